#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/count_results.py on JUnit files as ctest 3.25 writes them."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

COUNT = pathlib.Path(__file__).resolve().parents[2] / "tools" / "count_results.py"

RUN = '<testcase name="{}" status="run"></testcase>'
FAIL = '<testcase name="{}" status="fail"><failure message=""/></testcase>'
SKIP = '<testcase name="{}" status="notrun"><skipped message="SKIP_RETURN_CODE=77"/></testcase>'
ABSENT = ('<testcase name="{}" status="notrun"><skipped message="Unable to find executable"/>'
          "</testcase>")
DISABLED = '<testcase name="{}" status="disabled"></testcase>'


class CountResultsTest(unittest.TestCase):
    def count(self, expected, *files, status=0):
        """(exit code, last line, whole output) for files given as lists of (form, name)."""
        with tempfile.TemporaryDirectory() as folder:
            for number, cases in enumerate(files):
                text = cases if isinstance(cases, str) else "<testsuite>" + "".join(
                    form.format(name) for form, name in cases) + "</testsuite>"
                (pathlib.Path(folder) / f"{number}.xml").write_text(text, encoding="utf-8")
            done = subprocess.run([sys.executable, str(COUNT), "--expected", str(expected),
                                   "--status", str(status), folder],
                                  capture_output=True, text=True, check=False)
        return done.returncode, done.stdout.splitlines()[-1], done.stdout

    def test_all_passed(self):
        self.assertEqual(self.count(3, [(RUN, "a"), (RUN, "b")], [(RUN, "c")])[:2],
                         (0, "3 passed, 0 failed"))

    def test_failures_of_any_file_count_and_are_named(self):
        code, last, output = self.count(3, [(RUN, "a"), (FAIL, "b")], [(FAIL, "c")])
        self.assertEqual((code, last), (1, "1 passed, 2 failed"))
        self.assertIn("failed: b\nfailed: c\n", output)

    def test_program_that_is_not_there_is_a_failure(self):
        self.assertEqual(self.count(2, [(RUN, "a"), (ABSENT, "b")])[:2], (1, "1 passed, 1 failed"))

    def test_skipped_is_neither_and_is_named(self):
        code, last, output = self.count(3, [(RUN, "a"), (SKIP, "b"), (DISABLED, "c")])
        self.assertEqual((code, last), (0, "1 passed, 0 failed"))
        self.assertIn("skipped: b, c\n", output)

    def test_nothing_executed_is_a_failure(self):
        self.assertEqual(self.count(0)[:2], (1, "0 passed, 0 failed"))
        self.assertEqual(self.count(1, [(SKIP, "a")])[:2], (1, "0 passed, 0 failed"))

    def test_lost_tests_are_failures(self):
        self.assertEqual(self.count(5, [(RUN, "a")])[:2], (1, "1 passed, 4 failed"))
        self.assertEqual(self.count(2, [(RUN, "a")], "<testsuite><testca")[:2],
                         (1, "1 passed, 1 failed"))

    def test_error_of_ctest_itself_is_a_failure(self):
        self.assertEqual(self.count(1, [(RUN, "a")], status=1)[:2], (1, "1 passed, 1 failed"))


if __name__ == "__main__":
    unittest.main()
