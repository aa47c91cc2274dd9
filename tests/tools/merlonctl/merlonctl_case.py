# SPDX-License-Identifier: Apache-2.0
"""What the tests of merlonctl share: the real binary against the API of fake_controlplane.

The paths of both programs come in MERLONCTL and FAKE_CONTROLPLANE (ctest sets them).
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

MERLONCTL = os.environ["MERLONCTL"]
FAKE_CONTROLPLANE = os.environ["FAKE_CONTROLPLANE"]
OK, FAILED, USAGE, NOT_FOUND, UNREACHABLE = range(5)


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="merlonctl-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.socket = str(self.folder / "control.sock")

    def start(self):
        self.daemon = subprocess.Popen(
            [FAKE_CONTROLPLANE, self.socket],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.stop)
        self.assertEqual(self.daemon.stdout.readline(), "ready\n")

    def stop(self):
        if self.daemon.poll() is None:
            self.daemon.stdin.close()
            self.daemon.wait(timeout=30)
        self.daemon.stdout.close()

    def order(self, line):
        self.daemon.stdin.write(line + "\n")
        self.daemon.stdin.flush()
        self.assertEqual(self.daemon.stdout.readline(), "ok\n")

    def run_ctl(self, *words, expect=OK, environment=None):
        env = {k: v for k, v in os.environ.items() if not k.startswith("MERLON_")}
        env.update(environment if environment is not None else {"MERLON_SOCKET": self.socket})
        done = subprocess.run([MERLONCTL, *words], stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, env=env, timeout=60, check=False)
        self.assertEqual(done.returncode, expect, f"{words}\n{done.stdout}\n{done.stderr}")
        return done

    def run_json(self, *words, expect=OK):
        answer = json.loads(self.run_ctl(*words, "--json", expect=expect).stdout)
        self.assertEqual(answer["schema_version"], 1)
        return answer

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    def add_feed(self, name="one"):
        path = self.write(f"{name}.txt",
                          "# feed\n192.0.2.0/24\n198.51.100.7\n2001:db8::7\nbad.example\n???\n")
        self.run_ctl("feed", "add", name, "--url", f"file://{path}")
        return path

    def assert_aligned(self, text, right=()):
        """Every cell starts (or, in a right-aligned column, ends) where its column does."""
        header, *rows = text.splitlines()
        self.assertTrue(rows, text)
        for match in re.finditer(r"\S+( \S+)*", header):
            for row in rows:
                padded = row.ljust(len(header) + 1)
                if match.group() in right:
                    self.assertNotEqual(padded[match.end() - 1], " ", text)
                    self.assertIn(padded[match.end():match.end() + 1], " ", text)
                elif match.start() > 0:
                    self.assertEqual(padded[match.start() - 2:match.start()], "  ", text)
        for line in text.splitlines():
            self.assertEqual(line, line.rstrip())
