#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Adds up the JUnit files that ctest wrote into a folder and prints "N passed, N failed".

A test that ctest should have run and did not (because the time was over, or because ctest itself
died) counts as failed. Skipped tests are neither; they are named, so that nobody takes them for
passed. Exit code 0 only when something passed and nothing failed.
"""

import argparse
import pathlib
import sys
import xml.etree.ElementTree as ElementTree


def outcome(case):
    """passed, failed or skipped. ctest also says "notrun" of a test whose program is missing."""
    status = case.get("status")
    if status == "run":
        return "passed"
    reason = case.find("skipped")
    said_so = reason is not None and reason.get("message", "").startswith("SKIP_")
    return "skipped" if status == "disabled" or said_so else "failed"


def outcomes(folder):
    """{test name: outcome} over all files of the folder."""
    found = {}
    for path in sorted(pathlib.Path(folder).glob("*.xml")):
        try:
            root = ElementTree.parse(path).getroot()
        except ElementTree.ParseError as error:
            print(f"{path.name}: not readable: {error}", file=sys.stderr)
            continue
        for case in root.iter("testcase"):
            found[case.get("name")] = outcome(case)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--expected", type=int, required=True, help="tests that ctest selected")
    parser.add_argument("--status", type=int, default=0, help="1 when a ctest run failed")
    parser.add_argument("folder")
    arguments = parser.parse_args()

    found = outcomes(arguments.folder)
    named = {kind: sorted(name for name in found if found[name] == kind)
             for kind in ("passed", "failed", "skipped")}
    for name in named["failed"]:
        print(f"failed: {name}")
    if named["skipped"]:
        print(f"skipped: {', '.join(named['skipped'])}")
    lost = max(0, arguments.expected - len(found))
    if lost:
        print(f"not executed: {lost} of {arguments.expected}")
    failures = len(named["failed"]) + lost
    if failures == 0 and arguments.status != 0:
        print("ctest reported an error of its own")
        failures = 1
    if not named["passed"] and failures == 0:
        print("no test was executed")
    print(f"{len(named['passed'])} passed, {failures} failed")
    return 0 if named["passed"] and failures == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
