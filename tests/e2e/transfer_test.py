#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Zones given away: dig with the right key, a wrong one and none; a secondary that hears of a
change and fetches it; a control plane that was killed."""

import shutil
import signal
import subprocess
import time

import merlon_e2e as e2e

ZONE = "names.rpz.acme.merlon.internal"
KEY = "sec1.acme.merlon.internal"
WRONG = "d3Jvbmctd3Jvbmctd3Jvbmctd3Jvbmctd3Jvbmctd3I="


class Transfer(e2e.Case):
    def setUp(self):
        super().setUp()
        self.m = self.merlon()
        self.m.start()
        self.m.ctl("account", "add", "acme")
        self.m.ctl("account", "add", "zeta")
        self.m.ctl("custom-list", "add", "acme", "blocked", "--direction", "block")
        self.block(*(f"bad{i}.badnames.com" for i in range(200)))
        self.m.ctl("policy", "add", "acme", "names", "--kind", "dns", "--list", "blocked")
        self.notify_port = e2e.free_port()
        self.m.ctl("device", "add", "sec1", "--account", "acme", "--tier", "advanced", "--source",
                   "127.0.0.1", "--tsig", "hmac-sha256", "--notify",
                   f"127.0.0.1:{self.notify_port}")
        self.m.ctl("device", "add", "plain", "--account", "acme", "--tier", "advanced",
                   "--source", "127.0.0.2")
        self.m.ctl("device", "add", "other", "--account", "zeta", "--tier", "advanced",
                   "--source", "127.0.0.3", "--tsig", "hmac-sha512")
        self.secret = self.key_of("sec1")
        self.m.build()
        e2e.wait_until("the zone", lambda: self.m.udp(ZONE, "SOA").answers)

    def key_of(self, device):
        return self.m.api("GET", f"/v1/devices/{device}/key")[1]["key"]["secret"]

    def block(self, *values):
        self.m.ctl("entry", "add", "acme", "blocked", *values)

    def dig(self, qtype, key=None, source="127.0.0.1", zone=ZONE):
        words = ["dig", "@127.0.0.1", "-p", self.m.port, "-b", source, zone, qtype, "+nocookie",
                 "+tcp", "+tries=1", "+time=5", "+onesoa"]
        if key:
            words += ["-y", key]
        return subprocess.run([str(w) for w in words], capture_output=True, text=True,
                              timeout=30 * e2e.FACTOR, check=False).stdout

    def good_key(self):
        return f"hmac-sha256:{KEY}:{self.secret}"

    def serial(self):
        return self.m.udp(ZONE, "SOA").answers[0][3][2]

    def transfers(self):
        return self.m.ctl_json("transfers")

    def test_dig_gets_zones_with_the_right_key_alone(self):
        whole = self.dig("AXFR", self.good_key())
        self.assertIn(f"bad7.badnames.com.{ZONE}.", whole)
        self.assertNotIn("Couldn't verify", whole)
        self.assertIn("XFR size", whole)
        plain = self.dig("AXFR", source="127.0.0.2")  # a device without a key
        self.assertIn(f"bad7.badnames.com.{ZONE}.", plain)
        for key, source in ((None, "127.0.0.1"),  # must sign
                            (f"hmac-sha256:{KEY}:{WRONG}", "127.0.0.1"),
                            (f"hmac-sha256:nobody.acme.merlon.internal:{self.secret}",
                             "127.0.0.1"),
                            (f"hmac-sha512:{KEY}:{self.secret}", "127.0.0.1"),
                            (self.good_key(), "127.0.0.2"),   # right key, wrong device
                            (self.good_key(), "127.0.0.3"),   # and wrong account
                            (f"hmac-sha512:other.zeta.merlon.internal:{self.key_of('other')}",
                             "127.0.0.3"),                    # its own, another's zone
                            (None, "127.0.0.9")):             # a stranger
            for qtype in ("AXFR", "IXFR=1"):
                output = self.dig(qtype, key, source)
                self.assertNotIn("bad7", output, (key, source, qtype))
                self.assertNotIn("SOA\t", output, (key, source, qtype))
        faults = {row["error"] for row in self.transfers()["key_failures"]}
        self.assertEqual(faults, {"BADKEY", "BADSIG", "NOT_ITS_OWN", "UNSIGNED"})
        refused = {row["device"]: row["refused"] for row in self.transfers()["secondaries"]}
        self.assertEqual(refused["plain"], 0)
        self.assertGreater(refused["other"], 0)
        self.assertIn("acme/sec1", self.m.ctl("transfers").stdout)

    def test_signed_queries_are_answered_signed(self):
        for transport in ("+tcp", "+notcp"):
            output = self.m.run("dig", "@127.0.0.1", "-p", self.m.port, ZONE, "SOA", transport,
                                "-y", self.good_key())
            self.assertIn("status: NOERROR", output)
            self.assertIn("TSIG PSEUDOSECTION", output)
            self.assertNotIn("Couldn't verify", output)
        if shutil.which("kdig"):
            output = self.m.run("kdig", "@127.0.0.1", "-p", self.m.port, ZONE, "AXFR", "-y",
                                self.good_key())
            self.assertIn("bad7.badnames.com", output)

    def test_ixfr_has_what_changed_and_survives_a_kill(self):
        first = self.serial()
        self.block("new.badnames.com")
        e2e.wait_until("a new serial", lambda: self.serial() != first)
        e2e.wait_until("the difference", lambda: self.ixfr(first) == ["+new.badnames.com"])
        second = self.serial()
        self.block("newer.badnames.com")
        e2e.wait_until("another", lambda: self.serial() != second)
        e2e.wait_until("both", lambda: self.ixfr(first) ==
                       ["+new.badnames.com", "+newer.badnames.com"])
        self.m.control.end(signal.SIGKILL)
        self.m.start_control()
        e2e.wait_until("both again",
                       lambda: self.ixfr(first) == ["+new.badnames.com", "+newer.badnames.com"])

    def ixfr(self, serial):
        """What came, or None when it was the whole zone."""
        output = self.dig(f"IXFR={serial}", self.good_key())
        if "bad7.badnames.com" in output:
            return None
        suffix = f".{ZONE}."
        return sorted({"+" + line.split()[0].removesuffix(suffix) for line in output.splitlines()
                       if suffix in line and " CNAME" in line.replace("\t", " ")
                       and not line.startswith(("*", ";"))})

    @e2e.unittest.skipUnless(shutil.which("knotd"), "needs knotd")
    def test_secondary_follows_changes_by_notify_and_ixfr(self):
        folder = self.folder / "knot"
        folder.mkdir()
        config = folder / "knot.conf"
        config.write_text(f"""
server:
    rundir: {folder}/run
    listen: 127.0.0.1@{self.notify_port}
log:
  - target: stderr
    any: info
database:
    storage: {folder}/db
key:
  - id: {KEY}
    algorithm: hmac-sha256
    secret: {self.secret}
remote:
  - id: primary
    address: 127.0.0.1@{self.m.port}
    via: 127.0.0.1
    key: {KEY}
acl:
  - id: primary
    address: 127.0.0.1
    key: {KEY}
    action: notify
zone:
  - domain: {ZONE}
    storage: {folder}
    master: primary
    acl: primary
""")
        for part in ("run", "db"):  # without the latter Knot keeps no journal and asks for all
            (folder / part).mkdir()
        knot = e2e.Process(folder / "knot.log", ["knotd", "-c", config])
        self.addCleanup(knot.end)

        def has(name):
            answer = e2e.merlon_dns.ask_udp(
                ("127.0.0.1", self.notify_port),
                e2e.merlon_dns.make_query(f"{name}.{ZONE}", "CNAME"), None, 2)
            return answer.rcode == "NOERROR" and answer.answers

        e2e.wait_until("the zone in Knot", lambda: has("bad7.badnames.com"), 20)
        self.block("fresh.badnames.com")
        changed = time.monotonic()
        e2e.wait_until("the change in Knot", lambda: has("fresh.badnames.com"), 10)
        self.assertLess(time.monotonic() - changed, 5 * e2e.FACTOR)
        self.assertIn("IXFR, incoming", knot.text())
        e2e.wait_until("acknowledged", lambda: [
            row for row in self.transfers()["notified"]
            if row["apex"] == ZONE + "." and row["acknowledged"] and not row["error"]])
        def fetched():
            return [(row["kind"], row["serial_given"] == row["serial_current"])
                    for row in self.transfers()["secondaries"]
                    if row["apex"] == ZONE + "." and row["device"] == "sec1"]
        e2e.wait_until("seen as IXFR", lambda: fetched() == [("IXFR", True)])


if __name__ == "__main__":
    e2e.main()
