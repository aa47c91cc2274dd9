#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""merlonctl, the real binary: accounts, their own lists, entries and policies."""

import json
import os
import subprocess
import unittest

from merlonctl_case import Case, FAILED, MERLONCTL, NOT_FOUND, OK, USAGE


class Accounts(Case):
    def setUp(self):
        super().setUp()
        self.start()

    def entries(self, *words, expect=OK, stdin=None):
        """`merlonctl entry add acme bad`, with text on stdin."""
        done = subprocess.run([MERLONCTL, "entry", "add", "acme", "bad", *words], input=stdin,
                              text=True, capture_output=True, timeout=60, check=False,
                              env={**os.environ, "MERLON_SOCKET": self.socket})
        self.assertEqual(done.returncode, expect, f"{words}\n{done.stdout}\n{done.stderr}")
        return done

    def values(self):
        return self.run_ctl("entry", "list", "acme", "bad", "--values").stdout.splitlines()

    def add_list(self):
        self.run_ctl("account", "add", "acme")
        self.run_ctl("custom-list", "add", "acme", "bad")

    def test_life_of_an_account(self):
        done = self.run_ctl("account", "list")
        self.assertTrue(done.stdout.startswith("ACCOUNT"))
        self.assertIn("next: merlonctl account add", done.stderr)
        self.assertEqual(self.run_ctl("account", "add", "acme", "--title", "Żółw").stdout,
                         "account acme added: tier advanced, number 1\n")
        self.run_ctl("account", "add", "acme", expect=FAILED)
        self.assertIn("tier basic",
                      self.run_ctl("account", "change", "acme", "--tier", "basic").stdout)
        account = self.run_json("account", "show", "acme")["account"]
        self.assertEqual((account["title"], account["tier"]), ("Żółw", "basic"))
        self.run_ctl("account", "change", "acme", expect=USAGE)
        self.run_ctl("account", "change", "absent", "--tier", "basic", expect=NOT_FOUND)
        self.assert_aligned(self.run_ctl("account", "list").stdout, right=("NUMBER",))
        self.run_ctl("custom-list", "add", "acme", "bad")
        text = self.run_ctl("account", "show", "acme").stdout
        self.assertRegex(text, r"(?m)^bad +block +0 ")
        self.run_ctl("account", "remove", "acme", "--yes", expect=FAILED)
        done = self.run_ctl("account", "remove", "acme", "--yes", "--with-contents")
        self.assertEqual(done.stdout, "account acme removed\n")
        self.run_ctl("account", "show", "acme", expect=NOT_FOUND)

    def test_life_of_a_custom_list(self):
        self.run_ctl("custom-list", "list", "acme", expect=NOT_FOUND)
        self.run_ctl("account", "add", "acme")
        self.assertIn("custom-list add acme",
                      self.run_ctl("custom-list", "list", "acme").stderr)
        done = self.run_ctl("custom-list", "add", "acme", "good", "--direction", "allow")
        self.assertEqual(done.stdout, "list good of account acme added: allow\n")
        self.run_ctl("policy", "add", "acme", "edge", "--list", "good")
        text = self.run_ctl("custom-list", "show", "acme", "good").stdout
        self.assertRegex(text, r"(?m)^used by +edge$")
        self.assertEqual(self.run_json("custom-list", "show", "acme", "good")["policies"], ["edge"])
        self.assert_aligned(self.run_ctl("custom-list", "list", "acme").stdout, right=("ENTRIES",))
        self.run_ctl("custom-list", "remove", "acme", "good", "--yes")
        self.run_ctl("custom-list", "show", "acme", "good", expect=NOT_FOUND)
        # The shared lists stay where they were.
        self.run_ctl("list", "list")

    def test_entries_from_arguments(self):
        self.add_list()
        done = self.entries("192.0.2.7/32", "*.Bad.Example", "--comment", "mine", "--expires",
                            "30d")
        self.assertEqual(done.stdout, "2 added, 0 replaced, 0 unchanged; list bad of account acme "
                                      "has 2 entries\n")
        entries = self.run_json("entry", "list", "acme", "bad")["entries"]
        self.assertEqual([entry["value"] for entry in entries], ["192.0.2.7", "*.bad.example"])
        self.assertEqual(entries[0]["comment"], "mine")
        self.assertRegex(entries[0]["expires"], r"^20\d\d-\d\d-\d\dT")
        self.assert_aligned(self.run_ctl("entry", "list", "acme", "bad").stdout)
        self.entries("192.0.2.7", "--expires", "2030-01-01T00:00:00Z")
        self.assertIn("2030-01-01T00:00:00Z", self.run_ctl("entry", "list", "acme", "bad").stdout)
        done = self.run_ctl("entry", "remove", "acme", "bad", "192.0.2.7", "192.0.2.8")
        self.assertEqual(done.stdout, "1 removed, 1 were not there; list bad of account acme has "
                                      "1 entry\n")
        self.assertEqual(self.values(), ["*.bad.example"])

    def test_entries_from_a_file_and_stdin(self):
        self.add_list()
        path = self.write("values.txt", "# mine\n192.0.2.1 # scans\n\n2001:db8::/32\n")
        self.entries("--file", str(path))
        self.assertEqual(self.values(), ["192.0.2.1", "2001:db8::/32"])
        self.entries("-", stdin="bad.example\n")
        self.entries("--file", "-", stdin="192.0.2.9\n")
        self.assertEqual(len(self.values()), 4)
        self.assertIn("nothing in it", self.entries("-", stdin="", expect=FAILED).stderr)
        self.assertIn("no/such/file", self.entries("--file", "no/such/file", expect=FAILED).stderr)
        done = subprocess.run([MERLONCTL, "entry", "remove", "acme", "bad", "-"], text=True,
                              input="192.0.2.1\n192.0.2.9\n", capture_output=True, timeout=60,
                              env={**os.environ, "MERLON_SOCKET": self.socket}, check=True)
        self.assertIn("2 removed", done.stdout)

    def test_large_files_go_in_parts_with_lines_counted_through(self):
        self.add_list()
        lines = [f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}" for i in range(100_002)]
        path = self.write("large.txt", "\n".join(lines))
        done = self.entries("--file", str(path))
        self.assertIn("100002 added", done.stdout)
        path = self.write("large.txt", "\n".join(lines + ["nothing"]))
        done = self.entries("--file", str(path), expect=FAILED)
        self.assertIn("the 100000 lines before are taken", done.stderr)
        done = self.entries("--file", str(path), "--skip-invalid")
        self.assertIn("1 value skipped:\n  line 100003: ", done.stderr)

    def test_bad_values_refuse_all_unless_skipped(self):
        self.add_list()
        done = self.entries("192.0.2.1", "192.0.2.256", "x", expect=FAILED)
        self.assertIn("2 of 3 entries are refused, so nothing was changed", done.stderr)
        self.assertIn("192.0.2.256", done.stderr)
        self.assertIn("single label", done.stderr)
        self.assertEqual(self.values(), [])
        done = self.entries("192.0.2.1", "x", "--skip-invalid")
        self.assertIn("1 value skipped:", done.stderr)
        self.assertEqual(self.values(), ["192.0.2.1"])
        answer = json.loads(self.entries("x", "y", "--json", expect=FAILED).stdout)
        self.assertEqual(answer["error"]["fault_count"], 2)

    def test_life_of_a_policy(self):
        self.add_list()
        self.assertIn("policy add acme", self.run_ctl("policy", "list", "acme").stderr)
        done = self.run_ctl("policy", "add", "acme", "edge", "--category", "scanner,malware",
                            "--severity-min", "4", "--list", "bad", "--profile", "bind",
                            "--capacity", "5000")
        self.assertEqual(done.stdout, "policy edge of account acme added: ip\n")
        policy = self.run_json("policy", "show", "acme", "edge")["policy"]
        self.assertEqual(policy["targets"], [{"feeds": [], "categories": ["scanner", "malware"],
                                              "severity_min": 4, "confidence_min": 0,
                                              "countries": [], "asns": []}])
        self.assertEqual((policy["lists"], policy["profile"], policy["capacity"]),
                         (["bad"], "bind", 5000))
        text = self.run_ctl("policy", "show", "acme", "edge").stdout
        self.assertRegex(text, r"(?m)^target +category scanner or malware, severity 4 or more$")
        self.run_ctl("policy", "add", "acme", "edge", "--list", "bad", expect=FAILED)
        self.run_ctl("policy", "add", "acme", "edge", "--list", "bad", "--replace")
        self.assertEqual(self.run_json("policy", "show", "acme", "edge")["policy"]["targets"], [])
        self.run_ctl("policy", "add", "acme", "names", "--kind", "dns", "--severity-min", "0",
                     "--action", "garden", "--garden", "*.walled.example")
        policy = self.run_json("policy", "show", "acme", "names")["policy"]
        self.assertEqual(policy["targets"][0]["action"], "garden")
        self.assertEqual((policy["list_action"], policy["garden"]),
                         ("garden", "*.walled.example"))
        self.assert_aligned(self.run_ctl("policy", "list", "acme").stdout, right=("TARGETS",))
        self.run_ctl("policy", "remove", "acme", "edge", "--yes")
        self.run_ctl("policy", "show", "acme", "edge", expect=NOT_FOUND)

    def test_policy_that_was_shown_is_taken_back_from_a_file(self):
        self.add_list()
        self.run_ctl("policy", "add", "acme", "edge", "--feed", "one", "--list", "bad")
        shown = self.run_json("policy", "show", "acme", "edge")
        shown["policy"]["targets"].append({"categories": ["scanner"]})
        path = self.write("policy.json", json.dumps(shown))
        self.run_ctl("policy", "add", "acme", "edge", "--file", str(path), "--replace")
        self.assertEqual(len(self.run_json("policy", "show", "acme", "edge")["policy"]["targets"]),
                         2)
        self.run_ctl("policy", "add", "acme", "other", "--file", str(path))
        self.write("policy.json", "[]")
        self.assertIn("not a JSON object", self.run_ctl("policy", "add", "acme", "third", "--file",
                                                        str(path), expect=FAILED).stderr)

    def test_profiles(self):
        text = self.run_ctl("policy", "profiles").stdout
        self.assertRegex(text, r"(?m)^default +4000 +2300 +- ")
        self.assertRegex(text, r"(?m)^paloalto +32 +32 +50000 ")
        self.assertEqual(self.run_json("policy", "profiles")["profiles"][0]["name"], "default")

    def test_dry_run_changes_nothing(self):
        self.add_list()
        done = self.run_ctl("entry", "add", "acme", "bad", "192.0.2.1", "--dry-run")
        self.assertIn('would send POST /v1/accounts/acme/lists/bad/entries?invalid=refuse '
                      '["192.0.2.1"]', done.stdout)
        self.run_ctl("account", "remove", "acme", "--dry-run", "--with-contents")
        self.assertEqual(self.values(), [])


if __name__ == "__main__":
    unittest.main()
