#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""merlonctl, the real binary: who lists a value, many at once, backups."""

import unittest

from merlonctl_case import Case, FAILED, USAGE


class Check(Case):
    def setUp(self):
        super().setUp()
        self.start()

    def test_check(self):
        path = self.add_feed()
        self.run_ctl("feed", "refresh", "one")
        self.run_ctl("snapshot", "build")
        text = self.run_ctl("check", "192.0.2.77").stdout
        self.assertRegex(text, r"(?m)^address +192\.0\.2\.77$")
        self.assertRegex(text, r"(?m)^verdict +listed$")
        self.assertRegex(text, r"(?m)^on lists +basic, one$")
        self.assertRegex(text, r"(?m)^192\.0\.2\.0/24  one +\S.* +listed$")
        self.assert_aligned(text.split("\n\n")[1])
        self.assertRegex(self.run_ctl("check", "203.0.113.1").stdout, r"verdict +never listed")
        self.assertRegex(self.run_ctl("check", "10.0.0.1").stdout, r"protected by +10\.0\.0\.0/8")
        self.assertEqual(self.run_json("check", "2001:DB8:0::7")["check"]["value"], "2001:db8::7")
        self.assertTrue(self.run_json("check", "bad.example")["check"]["listed"])
        self.assertIn("neither an address nor a domain",
                      self.run_ctl("check", "no such thing", expect=FAILED).stderr)
        self.assertRegex(self.run_ctl("check", "192.0.2.77", "--at", "2026-03-01T12:00:00Z").stdout,
                         r"(?m)^at +2026-03-01T12:00:00Z$")
        self.run_ctl("check", "192.0.2.77", "--at", "yesterday", expect=FAILED)
        self.run_ctl("check", expect=USAGE)
        self.run_ctl("check", "192.0.2.77", "--file", "x", expect=USAGE)
        path.write_text("198.51.100.7\n")
        self.run_ctl("feed", "refresh", "one")
        values = self.folder / "values.txt"
        values.write_text("# asked\n192.0.2.77\nno such thing\n\n 198.51.100.7 \r\n")
        many = self.run_json("check", "--file", values)["checks"]
        self.assertEqual([one["value"] for one in many],
                         ["192.0.2.77", "no such thing", "198.51.100.7"])
        self.assertIn("error", many[1])
        text = self.run_ctl("check", "--file", values).stdout
        self.assertRegex(text, r"(?m)^198\.51\.100\.7 +listed ")
        self.assertRegex(text, r"(?m)^no such thing +refused: ")
        self.assertIn("cannot read", self.run_ctl("check", "--file", "/nowhere",
                                                  expect=FAILED).stderr)
        backup = self.run_json("backup", "/tmp/somewhere")["backup"]
        self.assertEqual(backup["directory"], "/tmp/somewhere")
        text = self.run_ctl("check", "192.0.2.77").stdout
        self.assertRegex(text, r"(?m)^verdict +no longer listed$")
        self.assertRegex(text, r"(?m) withdrawn$")


if __name__ == "__main__":
    unittest.main()
