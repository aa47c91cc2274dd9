#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""merlonctl, the real binary: signed zones, and what accounts have published."""

import unittest

from merlonctl_case import Case, FAILED, NOT_FOUND, USAGE

ZONE = "acme.merlon.internal."


class Dnssec(Case):
    def setUp(self):
        super().setUp()
        self.start()

    def test_nothing_signed_says_which_setting(self):
        self.assertIn("set sign or also in [dnssec]", self.run_ctl("dnssec", "list").stderr)
        self.assertIn("[dnssec]", self.run_ctl("dnssec", "show", ZONE, expect=FAILED).stderr)
        self.run_ctl("dnssec", "confirm-clock", expect=FAILED)
        self.assertRegex(self.run_ctl("status").stdout, r"(?m)^DNSSEC +off$")

    def test_zone_and_its_trust_anchors(self):
        self.order(f"sign {ZONE}")
        text = self.run_ctl("dnssec", "list").stdout
        self.assert_aligned(text, right=("KEYS",))
        self.assertRegex(text, r"(?m)^acme\.merlon\.internal\.  yes +1  none +-$")
        text = self.run_ctl("dnssec", "show", ZONE).stdout
        self.assertRegex(text, r"(?m)^4711  csk +ecdsa-p256  active  yes ")
        self.assertEqual(self.run_ctl("dnssec", "ds", ZONE).stdout.splitlines(),
                         [f"{ZONE} IN DS 4711 13 2 00AA", f"{ZONE} IN DS 4711 13 4 00BB"])
        self.assertEqual(self.run_ctl("dnssec", "ds", ZONE, "--dnskey").stdout,
                         f"{ZONE} IN DNSKEY 257 3 13 AAAA\n")
        self.assertEqual(self.run_json("dnssec", "show", ZONE)["zone"]["apex"], ZONE)
        self.run_ctl("dnssec", "show", "absent.", expect=NOT_FOUND)
        self.assertTrue(self.run_json("dnssec", "list")["enabled"])

    def test_rollover(self):
        self.order(f"sign {ZONE}")
        for words in ([], ["--ksk", "--zsk"], ["--ksk", "--algorithm", "ed25519"]):
            self.assertIn("one of --ksk",
                          self.run_ctl("dnssec", "rollover", ZONE, *words, expect=USAGE).stderr)
        self.assertIn('{"kind":"zsk"}', self.run_ctl("dnssec", "rollover", ZONE, "--zsk",
                                                     "--dry-run").stdout)
        done = self.run_ctl("dnssec", "rollover", ZONE, "--algorithm", "ed25519")
        self.assertEqual(done.stdout, f"zone {ZONE}: begun; rollover algorithm: parent, "
                                      "next step when its DS is seen\n")
        self.assertIn(f"then merlonctl dnssec ds-seen {ZONE}", done.stderr)
        self.assertIn("under way",
                      self.run_ctl("dnssec", "rollover", ZONE, "--ksk", expect=FAILED).stderr)
        self.assertRegex(self.run_ctl("dnssec", "ds-seen", ZONE).stdout,
                         r"noted; rollover algorithm: parent, next step 20\d\d-")
        self.run_ctl("dnssec", "ds-seen", ZONE, expect=FAILED)
        self.assertIn("confirmed", self.run_ctl("dnssec", "confirm-clock").stdout)

    def test_published_lists_of_an_account(self):
        self.run_ctl("account", "lists", "acme", expect=NOT_FOUND)
        self.run_ctl("account", "add", "acme")
        self.assertIn("next: merlonctl policy add acme",
                      self.run_ctl("account", "lists", "acme").stderr)
        self.run_ctl("custom-list", "add", "acme", "bad")
        self.run_ctl("entry", "add", "acme", "bad", "45.0.0.1", "45.0.0.2", "45.0.0.3")
        self.run_ctl("policy", "add", "acme", "edge", "--list", "bad", "--capacity", "2")
        self.run_ctl("policy", "add", "acme", "names", "--kind", "dns", "--list", "bad")
        text = self.run_ctl("account", "lists", "acme").stdout
        lists, zones = text.split("\n\n")
        self.assert_aligned(lists, right=("IPV4", "IPV6", "APL ONLY", "PROTECTED", "FALLEN OFF"))
        self.assertRegex(lists,
                         r"(?m)^edge  policy +2 +0 +0 +0 +1  edge\.acme\.merlon\.internal\.$")
        self.assertRegex(zones, r"(?m)^names\.rpz\.acme\.merlon\.internal\. +1 +3$")
        self.run_ctl("policy", "add", "acme", "empty", "--category", "scanner")
        self.assertIn("problem: policy empty: ", self.run_ctl("account", "lists", "acme").stderr)
        self.assertEqual(len(self.run_json("account", "lists", "acme")["lists"]), 2)


if __name__ == "__main__":
    unittest.main()
