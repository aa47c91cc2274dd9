#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What must never be blocked reaches no list, whatever a feed says, and the report says so."""

import merlon_e2e as e2e

PROTECTED = ["8.8.8.8", "127.0.0.1", "10.0.0.0/8", "45.9.9.9", "45.77.1.1"]


class Safety(e2e.Case):
    def setUp(self):
        super().setUp()
        self.allow = self.folder / "allow.txt"
        self.allow.write_text("45.77.0.0/16  # the head office\n")
        self.m = self.merlon(control={"allow_files": [str(self.allow)]})
        self.m.start()
        self.m.add_device("fw1", ["127.0.0.1", "45.9.9.9", "::1"])

    def test_protected_addresses_reach_no_list_and_the_report_says_so(self):
        self.m.add_feed("bad", [*PROTECTED, "45.1.2.3", "8.8.8.9"])
        self.m.build()
        for name in ("bad", "basic", "blacklist"):
            with self.subTest(name=name):
                answer = self.m.udp(f"{name}.merlon.internal")
                self.assert_addresses(answer, ["192.0.2.1", "45.1.2.3", "8.8.8.9"])
                prefixes = str(self.m.tcp(f"{name}.merlon.internal", "APL").values())
                self.assertIn("45.1.2.3", prefixes)
                for value in PROTECTED:
                    self.assertNotIn(f"{value.split('/')[0]}/", prefixes)
        shown = self.m.ctl("feed", "show", "bad").stdout
        for words in ("8.8.8.8", "public resolver, Google", "127.0.0.0/8", "loopback, RFC 1122",
                      "10.0.0.0/8", "device fw1 of account acme", "45.77.0.0/16", "of 100"):
            self.assertIn(words, shown)
        status, answer = self.m.api("GET", "/v1/feeds/bad/safety")
        self.assertEqual(status, 200)
        safety = answer["safety"]
        self.assertEqual(safety["taken_out_count"], 5)
        self.assertLess(safety["trust"], 50)
        self.assertEqual({one["entry"] for one in safety["taken_out_examples"]}, set(PROTECTED))
        check = self.m.ctl_json("check", "45.9.9.9")["check"]
        self.assertEqual(check["lists"], [])
        self.assertIn("device fw1", check["protected_by"])

    def test_doubted_content_waits_for_accept(self):
        many = [f"45.20.{i // 250}.{i % 250}" for i in range(1000)]
        self.m.add_feed("web", many)
        self.m.write_feed("web", many[:50])
        self.m.ctl("feed", "refresh", "web", expect=1)
        shown = self.m.ctl("feed", "show", "web").stdout
        self.assertIn("shrank from 1000 entries to 50", shown)
        self.assertIn("merlonctl feed accept web", shown)
        self.m.ctl("feed", "accept", "web", "--yes")
        feed = self.m.ctl_json("feed", "show", "web")["feed"]
        self.assertEqual((feed["state"]["health"], feed["state"]["prefix4_count"]), ("good", 50))
        again = self.m.ctl("feed", "accept", "web", "--yes", expect=1)
        self.assertIn("no content in quarantine", again.stderr)


if __name__ == "__main__":
    e2e.main()
