#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What is remembered: who listed a value when, what ages out, and a backup that is restored."""

import datetime
import shutil
import subprocess
import time

import merlon_e2e as e2e


def now_text(offset=0):
    then = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=offset)
    return then.strftime("%Y-%m-%dT%H:%M:%SZ")


class History(e2e.Case):
    def test_past_ageing_backup_and_restore(self):
        m = self.merlon()
        m.start()
        m.add_device("fw1", ["127.0.0.1"])
        m.add_feed("scan", ["45.1.2.3", "45.1.2.4 # second"], "--category", "scanner",
                   "--confidence", "70", "--homepage", "https://feeds.example/scan")
        m.add_feed("copy", ["45.1.2.3"], "--copies", "scan", "--ageing", "last_seen+2s")
        m.build()
        check = m.ctl_json("check", "45.1.2.4")["check"]
        source = check["observations"][0]
        self.assertEqual((source["line_number"], source["line"]), (2, "45.1.2.4 # second"))
        self.assertEqual(source["reference"], "https://feeds.example/scan")
        merged = m.ctl_json("check", "45.1.2.3")["check"]["merged"]
        self.assertEqual((merged["sources"], merged["independent"]), (2, 1))
        self.assertIn("45.1.2.3", m.tcp("copy.merlon.internal").values("A"))

        # What the source drops leaves by itself, a little later.
        time.sleep(1.1)
        listed_at = now_text()
        time.sleep(1.1)
        m.write_feed("copy", ["45.9.9.9"])
        m.ctl("feed", "refresh", "copy")
        e2e.wait_until("the entry has aged out",
                       lambda: m.tcp("copy.merlon.internal").values("A").count("45.1.2.3") == 0)
        check = m.ctl_json("check", "45.1.2.3", "--at", listed_at)["check"]
        self.assertTrue(check["listed"])
        self.assertEqual(check["lists_from"], "generation")
        self.assertIn("copy.merlon.internal.", check["lists"])
        self.assertNotIn("copy.merlon.internal.",
                         m.ctl_json("check", "45.1.2.3")["check"]["lists"])
        before = m.ctl_json("check", "45.1.2.3", "--at", "2020-01-01T00:00:00Z")["check"]
        self.assertFalse(before["listed"])
        self.assertTrue(before["unknown"])

        # Many at once.
        values = self.folder / "values.txt"
        values.write_text("".join(f"45.1.{n // 256}.{n % 256}\n" for n in range(10_000)))
        many = m.ctl_json("check", "--file", values)["checks"]
        self.assertEqual(len(many), 10_000)
        self.assertEqual([one["value"] for one in many if one["listed"]], ["45.1.2.3", "45.1.2.4"])
        with values.open("a") as out:
            out.write("45.1.2.3\n")
        self.assertIn("10000", m.ctl("check", "--file", values, expect=e2e.FAILED).stderr)

        # A backup while it runs; a restore when it does not.
        backups = self.folder / "backups"
        m.ctl("backup", backups)
        m.ctl("feed", "remove", "scan", "--yes")
        m.stop()
        store = m.state / "store"
        command = [str(e2e.BIN / "merlon-controlplane"), "--config", str(m.config), "--restore",
                   str(backups)]
        refused = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("move it away", refused.stderr)
        shutil.move(store, self.folder / "old-store")
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        m.start()
        check = m.ctl_json("check", "45.1.2.4")["check"]
        self.assertTrue(check["listed"])
        self.assertEqual(check["observations"][0]["line"], "45.1.2.4 # second")
        e2e.wait_until("the restored list is served",
                       lambda: "45.1.2.4" in m.tcp("scan.merlon.internal").values("A"))


if __name__ == "__main__":
    e2e.main()
