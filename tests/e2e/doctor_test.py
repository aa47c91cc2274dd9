#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`merlonctl doctor` over real processes and real clients: it says what is wrong with a device, and
says nothing of one that works. BIND is a customer as it comes from Debian."""

import shutil
import subprocess
import time
import unittest

import merlon_e2e as e2e

LARGE = [f"45.{i // 250}.{i % 250}.7" for i in range(500)]


class Doctor(e2e.Case):
    def setUp(self):
        super().setUp()
        self.m = self.merlon()
        self.m.start()
        self.m.add_device("fw1", ["127.0.0.1"])
        self.m.add_feed("small", ["45.99.0.1"])
        self.m.add_feed("large", LARGE, "--category", "malware")
        self.m.build()

    def findings(self, *device, expect=e2e.OK):
        doctor = self.m.ctl_json("doctor", *device, expect=expect)["doctor"]
        return {finding["code"]: finding for finding in doctor["findings"]}, doctor

    def test_a_healthy_device_has_nothing_wrong(self):
        for _ in range(6):
            self.m.udp("small.merlon.internal")
            self.assertTrue(self.m.udp("large.merlon.internal").tc)
            self.m.tcp("large.merlon.internal")
            self.assertEqual(self.m.udp("large9.merlon.internal").rcode, "NXDOMAIN")
        time.sleep(6)
        found, doctor = self.findings()
        self.assertEqual(found, {})
        device = doctor["devices"][0]
        self.assertEqual((device["health"], device["tcp_queries"]), ("good", 6))
        self.assertEqual([(name["name"], name["count"], name["told"])
                          for name in device["tcp_names"]],
                         [("large.merlon.internal.", 6, "answered")])
        done = self.m.ctl("doctor", "fw1")
        self.assertEqual(done.stderr, "nothing wrong with it\n")
        self.assertRegex(done.stdout, r"(?m)^large\.merlon\.internal\. +A +answered +6 +501 ")
        self.assertRegex(self.m.ctl("device", "list").stdout,
                         r"(?m)^fw1 .* \d+ s ago +127\.0\.0\.1$")

    def test_tcp_is_blocked_and_an_address_has_changed(self):
        self.m.add_device("fw2", ["127.0.1.2"], account="umbrella")
        self.m.build()
        time.sleep(1.1)  # what was truncated in the second of the start does not count
        for _ in range(4):
            self.assertTrue(self.m.udp("large.merlon.internal").tc)
            self.assertEqual(
                self.m.udp("small.merlon.internal", source="127.0.1.77").rcode, "REFUSED")
        e2e.wait_until("tcp_blocked", lambda: "tcp_blocked" in self.findings(expect=None)[0])
        found, _ = self.findings(expect=e2e.FAILED)
        self.assertEqual(set(found), {"tcp_blocked", "address_changed"})
        self.assertEqual(found["tcp_blocked"]["device"], "fw1")
        self.assertEqual(found["tcp_blocked"]["evidence"]["truncated"], 4)
        self.assertIn("TCP port 53 is blocked", found["tcp_blocked"]["cause"])
        changed = found["address_changed"]
        self.assertEqual((changed["device"], changed["severity"]), ("fw2", "error"))
        self.assertIn("127.0.1.77", changed["cause"])
        self.assertEqual(set(self.findings("fw1", expect=e2e.FAILED)[0]), {"tcp_blocked"})
        # The firewall was mended, and the new address registered.
        self.m.tcp("large.merlon.internal")
        self.m.ctl("device", "set", "fw2", "--source", "127.0.1.77")
        self.m.build()
        self.assertEqual(self.findings()[0], {})

    def test_names_that_are_gone_and_names_of_others(self):
        self.m.add_device("old", ["127.0.2.1"])
        self.m.add_device("all", ["127.0.3.1"])
        self.m.add_device("low", ["127.0.4.1"], tier="community")
        self.m.build()
        for number in range(25):
            self.m.udp("small.merlon.internal")
            self.m.udp("sslbl.merlon.internal", source="127.0.2.1")
            self.m.udp(f"www{number}.example.org", source="127.0.3.1")
            self.m.udp("small.merlon.internal", source="127.0.4.1")
        found, doctor = self.findings(expect=e2e.FAILED)
        self.assertEqual({code: finding["device"] for code, finding in found.items()},
                         {"only_missing": "old", "recursion_refused": "all", "not_for_it": "low"})
        self.assertIn("sslbl.merlon.internal.", found["only_missing"]["cause"])
        self.assertIn("tier community", found["not_for_it"]["cause"])
        self.assertIn("device set all --recursion on", found["recursion_refused"]["todo"])
        self.assertEqual({d["device"]: d["health"] for d in doctor["devices"]}["fw1"], "good")


@unittest.skipUnless(shutil.which("named"), "bind9 is not installed")
class StockBind(e2e.Case):
    """named forwards to Merlon, with no setting that its package does not have."""

    def setUp(self):
        super().setUp()
        self.m = self.merlon()
        self.m.start()
        self.m.add_device("bind", ["127.0.0.1"])
        self.m.add_feed("large", LARGE, "--category", "malware")
        self.m.ctl("policy", "add", "acme", "edge", "--feed", "large")
        self.m.build()
        self.port = e2e.free_port()
        folder = self.folder / "named"
        folder.mkdir()
        (folder / "named.conf").write_text(f"""
options {{
  directory "{folder}"; pid-file none; session-keyfile "{folder}/session.key";
  listen-on port {self.port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
  dnssec-validation no; allow-query {{ any; }};
}};
controls {{ }};
zone "merlon.internal" {{
  type forward; forward only; forwarders {{ 127.0.0.1 port {self.m.port}; }};
}};
""")
        named = e2e.Process(self.folder / "named.log",
                            ["named", "-g", "-n", "1", "-c", folder / "named.conf"])
        self.addCleanup(named.end)
        e2e.wait_until("named ready", lambda: self.dig("version.bind", "TXT", "-c", "CH"), 20)

    def dig(self, name, qtype="A", *words):
        """The values; [] when there are none."""
        done = subprocess.run(
            ["dig", "@127.0.0.1", "-p", str(self.port), *words, "-t", qtype, name, "+short",
             "+tries=1", "+time=5"], capture_output=True, text=True, timeout=30, check=False)
        return [line for line in done.stdout.split() if not line.startswith(";")]

    def status(self, name):
        done = subprocess.run(
            ["dig", "@127.0.0.1", "-p", str(self.port), name, "A", "+tries=1", "+time=5"],
            capture_output=True, text=True, timeout=30, check=False)
        return done.stdout.partition("status: ")[2].partition(",")[0]

    def test_a_list_of_the_default_profile_fails_and_the_doctor_says_why(self):
        name = "edge.acme.merlon.internal"
        for _ in range(5):
            self.assertEqual(self.status(name), "SERVFAIL")
            time.sleep(1.1)  # named remembers a failure for a second
        doctor = self.m.ctl_json("doctor", "bind", expect=e2e.FAILED)["doctor"]
        finding = {finding["code"]: finding for finding in doctor["findings"]}["list_too_long"]
        self.assertEqual((finding["severity"], finding["evidence"]["profile"]),
                         ("error", "default"))
        self.assertGreaterEqual(finding["evidence"]["within_ttl"], 4)
        self.assertIn("stock BIND takes 100", finding["cause"])
        self.assertIn("edge is compiled with the profile \"default\"", finding["cause"])
        self.assertIn("merlonctl policy add acme edge --replace --profile bind", finding["todo"])

    def test_with_its_own_profile_it_has_the_whole_list(self):
        self.m.ctl("policy", "add", "acme", "edge", "--feed", "large", "--replace", "--profile",
                   "bind")
        self.m.build()
        lists = self.m.api("GET", "/v1/accounts/acme/published")[1]["lists"]
        names = {entry["name"]: entry["names"] for entry in lists}["edge"]
        self.assertGreaterEqual(len(names), 6)
        found = []
        for name in names:
            part = self.dig(name)
            self.assertLessEqual(len(part), 100)
            found += part
        self.assertEqual(set(found) - {e2e.TEST_ADDRESS4}, set(LARGE))
        # A resolver that keeps what it gets: asked again, it does not ask again.
        for _ in range(5):
            self.assertEqual(len(self.dig(names[0])), len(set(self.dig(names[0]))))
        time.sleep(6)
        self.assertEqual(self.m.ctl_json("doctor", "bind")["doctor"]["findings"], [])


if __name__ == "__main__":
    e2e.main()
