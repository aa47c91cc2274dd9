#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""merlonctl, the real binary: what is taken out of feeds, and what the guard holds back."""

import unittest

from merlonctl_case import Case, USAGE


class FeedSafety(Case):
    def setUp(self):
        super().setUp()
        self.start()

    def test_quarantined_content_is_accepted_and_protected_entries_are_shown(self):
        path = self.write("held.txt", "127.0.0.1\n?\n?\n")
        self.run_ctl("feed", "add", "held", "--url", f"file://{path}")
        self.run_ctl("feed", "refresh", "held", expect=1)
        shown = self.run_ctl("feed", "show", "held").stdout
        self.assertIn("more than half of it is unreadable; next: merlonctl feed accept held", shown)
        self.assertIn("there is no terminal",
                      self.run_ctl("feed", "accept", "held", expect=USAGE).stderr.lower())
        done = self.run_ctl("feed", "accept", "held", "--yes")
        self.assertEqual(done.stdout, "feed held accepted: 1 added, 0 removed\n")
        shown = self.run_ctl("feed", "show", "held").stdout
        self.assertRegex(shown, r"trust +70 of 100")
        self.assertRegex(shown, r"127\.0\.0\.1 +127\.0\.0\.0/8 +loopback")
        self.assertIn("IN held", self.run_ctl("feed", "compare", "held", "held").stdout)


if __name__ == "__main__":
    unittest.main()
