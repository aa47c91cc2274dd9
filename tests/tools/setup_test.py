#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/setup with stand-ins for dpkg-query, apt-get, id, sudo, systemctl and pgrep on its PATH.

Each stand-in writes what it was called with into a log, so that a test can say what was done and
in which order, and nothing is installed on the machine.
"""

import os
import pathlib
import subprocess
import tempfile
import unittest

SETUP = pathlib.Path(__file__).resolve().parents[2] / "tools" / "setup"
LIST = "# all\n[build]\ng++\ncmake # comment\n\n[test]\nnsd\n[fuzz]\nclang-19\n"

# The state: one file per installed package in "installed".
DPKG_QUERY = """
for name in "$@"; do [ ! -e "$STATE/installed/$name" ] || echo "$name installed"; done
for name in "$@"; do
  case "$name" in -*|*'$'*) ;; *) [ -e "$STATE/installed/$name" ] || exit 1;; esac
done
"""
APT_GET = """
echo "apt-get $* RUNLEVEL=$RUNLEVEL" >>"$STATE/log"
[ ! -e "$STATE/apt-fails" ] || { seq 1 100; echo "E: Unable to locate package"; exit 100; }
[ ! -e "$STATE/apt-lies" ] || exit 0
case " $* " in *" install "*) for name in "$@"; do
  case "$name" in -*|install|*=*) ;; *) : >"$STATE/installed/$name";; esac; done;; esac
"""


class SetupTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.state = pathlib.Path(self.folder.name)
        (self.state / "installed").mkdir()
        (self.state / "bin").mkdir()
        (self.state / "packages.txt").write_text(LIST)
        self.program("dpkg-query", DPKG_QUERY)
        self.program("apt-get", APT_GET)
        self.program("id", "echo ${FAKE_UID:-0}")
        self.program("pgrep", "exit 1")
        self.program("systemctl", 'echo "systemctl $*" >>"$STATE/log"')
        for name in ("bash", "env", "sed", "awk", "grep", "tail", "rm", "mktemp", "dirname", "cat",
                     "seq"):
            (self.state / "bin" / name).symlink_to(self.find(name))

    @staticmethod
    def find(name):
        for folder in os.environ["PATH"].split(":"):
            if os.access(f"{folder}/{name}", os.X_OK):
                return f"{folder}/{name}"
        raise FileNotFoundError(name)

    def program(self, name, body):
        path = self.state / "bin" / name
        path.write_text("#!/bin/sh\n" + body + "\n")
        path.chmod(0o755)

    def installed(self, *names):
        for name in names:
            (self.state / "installed" / name).touch()

    def run_setup(self, *arguments, **variables):
        environment = {"PATH": str(self.state / "bin"), "STATE": str(self.state),
                       "MERLON_PACKAGES": str(self.state / "packages.txt"),
                       "MERLON_SYSTEMD_RUN": str(self.state / "no-systemd"), **variables}
        return subprocess.run([str(self.state / "bin" / "bash"), str(SETUP), *arguments],
                              env=environment, capture_output=True, text=True, check=False)

    def log(self):
        path = self.state / "log"
        return path.read_text().splitlines() if path.exists() else []

    def test_nothing_is_called_when_all_is_there(self):
        self.installed("g++", "cmake", "nsd")
        done = self.run_setup("test")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.log(), [])
        self.assertIn("all 3 packages are there", done.stderr)

    def test_only_what_is_missing_is_installed(self):
        self.installed("g++")
        done = self.run_setup("build")
        self.assertEqual(done.returncode, 0, done.stderr)
        install = [line for line in self.log() if " install " in line]
        self.assertEqual(len(install), 1)
        self.assertTrue(install[0].endswith("--no-install-recommends cmake RUNLEVEL=1"), install)

    def test_groups_build_on_each_other(self):
        for group, count in (("build", 2), ("test", 3), ("all", 4)):
            self.installed("g++", "cmake", "nsd", "clang-19")
            self.assertIn(f"all {count} packages", self.run_setup(group).stderr)

    def test_failure_shows_the_end_of_the_output_and_what_was_wanted(self):
        (self.state / "apt-fails").touch()
        done = self.run_setup("build")
        self.assertEqual(done.returncode, 1)
        self.assertIn("  | E: Unable to locate package", done.stderr)
        self.assertIn("could not install: g++ cmake", done.stderr)
        self.assertNotIn("| 42\n", done.stderr)

    def test_packages_still_missing_after_success_are_an_error(self):
        (self.state / "apt-lies").touch()
        done = self.run_setup("build")
        self.assertEqual(done.returncode, 1)
        self.assertIn("these are missing: g++ cmake", done.stderr)

    def test_without_root_and_sudo_it_says_what_to_run(self):
        done = self.run_setup("build", FAKE_UID="1000")
        self.assertEqual(done.returncode, 1)
        self.assertIn("apt-get install --no-install-recommends g++ cmake", done.stderr)
        self.assertEqual(self.log(), [])

    def test_without_root_it_says_that_it_uses_sudo(self):
        self.program("sudo", 'echo sudo >>"$STATE/log"; shift; exec "$@"')
        done = self.run_setup("build", FAKE_UID="1000")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("runs through sudo", done.stderr)
        self.assertEqual(self.log()[0], "sudo")

    def test_new_daemon_is_held_released_and_disabled(self):
        (self.state / "systemd").mkdir()
        systemd = {"MERLON_SYSTEMD_RUN": str(self.state / "systemd")}
        self.assertEqual(self.run_setup("test", **systemd).returncode, 0)
        said = [line for line in self.log() if "systemctl" in line or " install " in line]
        self.assertEqual([line.split()[1] for line in said if "systemctl" in line],
                         ["mask", "unmask", "disable"])
        self.assertLess(said.index("systemctl mask --runtime --quiet nsd.service"),
                        next(i for i, line in enumerate(said) if " install " in line))

    def test_mask_does_not_outlive_a_failed_installation(self):
        (self.state / "systemd").mkdir()
        (self.state / "apt-fails").touch()
        done = self.run_setup("test", MERLON_SYSTEMD_RUN=str(self.state / "systemd"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("systemctl unmask --runtime --quiet nsd.service", self.log())

    def test_daemon_that_was_there_before_is_left_alone(self):
        (self.state / "systemd").mkdir()
        self.installed("nsd")
        self.run_setup("test", MERLON_SYSTEMD_RUN=str(self.state / "systemd"))
        self.assertFalse([line for line in self.log() if "systemctl" in line])

    def test_wrong_use_is_exit_2(self):
        for arguments in ((), ("bogus",), ("build", "more")):
            self.assertEqual(self.run_setup(*arguments).returncode, 2)


if __name__ == "__main__":
    unittest.main()
