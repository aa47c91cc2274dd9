#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A full disk below the state directory: said, survived, and over when there is room again."""

import contextlib
import os
import subprocess
import unittest

import merlon_e2e as e2e

SIZE_MIB = 48


@unittest.skipIf(os.geteuid() != 0, "mounting a small file system takes root")
class FullDisk(e2e.Case):
    def setUp(self):
        super().setUp()
        self.m = self.merlon()
        self.m.state.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m,mode=0700", "merlon-e2e",
                        str(self.m.state)], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", str(self.m.state)], check=True)
        self.addCleanup(self.m.stop)
        self.filler = self.m.state / "filler"
        self.m.start()
        self.m.add_device("fw1", ["127.0.0.1"])
        self.m.add_feed("live", ["45.1.1.1"])
        self.m.build()

    def fill(self):
        """Not a byte is left."""
        with contextlib.suppress(OSError), open(self.filler, "ab", buffering=0) as filler:
            while True:
                filler.write(bytes(1 << 16))
        with contextlib.suppress(OSError), open(self.filler, "ab", buffering=0) as filler:
            while True:
                filler.write(b"x")
        self.assertEqual(os.statvfs(self.m.state).f_bavail, 0)

    def expect(self, *addresses):
        for ask in (self.m.udp, self.m.tcp):
            self.assert_addresses(ask("live.merlon.internal"), [*addresses, e2e.TEST_ADDRESS4])

    def publish(self, *addresses):
        self.m.write_feed("live", addresses)
        return (self.m.ctl("feed", "refresh", "live", expect=None),
                self.m.ctl("snapshot", "build", expect=None))

    def test_a_publish_on_a_full_disk_fails_and_the_old_generation_stays(self):
        m = self.m
        generation = m.current()
        self.fill()
        many = [f"46.{i // 250}.0.{i % 250}" for i in range(3000)]
        refreshed, built = self.publish(*many)
        said = refreshed.stderr + built.stderr
        self.assertNotEqual((refreshed.returncode, built.returncode), (e2e.OK, e2e.OK), said)
        self.assertIn("No space left on device", said + m.ctl("status").stdout)
        self.assertEqual(m.current(), generation)
        self.expect("45.1.1.1")
        self.assertTrue(m.control.running())
        m.ctl("snapshot", "verify")
        # The data plane does not write there, and starts in spite of it.
        m.data.end()
        m.start_data()
        self.expect("45.1.1.1")
        # The space is back.
        self.filler.unlink()

        def works():
            refreshed, built = self.publish("45.1.1.2")
            if "shrank" in refreshed.stdout:  # the many were stored before the disk was full
                refreshed = m.ctl("feed", "accept", "live", "--yes", expect=None)
                built = m.ctl("snapshot", "build", expect=None)
            return (refreshed.returncode, built.returncode) == (e2e.OK, e2e.OK)

        e2e.wait_until("publishing again", works, 30)
        self.expect("45.1.1.2")
        self.assertGreater(m.current(), generation)
        self.assertEqual(list(m.snapshots.rglob("*.partial-*")), [])
        self.assertEqual(m.ctl_json("status")["status"]["last_build_error"], "")
        # And nothing was lost over it.
        m.control.end()
        m.start_control()
        m.ctl("snapshot", "verify")
        self.expect("45.1.1.2")

    def test_the_snapshots_alone_find_no_room(self):
        """The store takes the small change, the segments do not fit."""
        m = self.m
        many = [f"46.{i // 32768}.{i // 128 % 256}.{2 * (i % 128)}" for i in range(100_000)]
        m.write_feed("live", many)
        generation = m.current()
        self.fill()
        with open(self.filler, "r+b") as filler:  # room for the store, not for 1.6 MB of segments
            filler.truncate(os.path.getsize(self.filler) - (1 << 20))
        refreshed = m.ctl("feed", "refresh", "live", expect=None)
        built = m.ctl("snapshot", "build", expect=None)
        said = refreshed.stderr + built.stderr + m.ctl("status").stdout
        self.assertIn("No space left on device", said)
        self.assertNotEqual((refreshed.returncode, built.returncode), (e2e.OK, e2e.OK), said)
        self.assertEqual(m.current(), generation)
        self.expect("45.1.1.1")
        self.assertEqual(list(m.snapshots.rglob("*.partial-*")), [])
        self.filler.unlink()

        def works():
            return (m.ctl("feed", "refresh", "live", expect=None).returncode == e2e.OK
                    and m.ctl("snapshot", "build", expect=None).returncode == e2e.OK)

        e2e.wait_until("publishing again", works, 30)
        names = m.ctl_json("list", "show", "live")["list"]["names"]
        self.assertGreaterEqual(len(names), 26)
        got = [value for name in names for value in m.tcp(name).values("A")]
        self.assertEqual(len(set(got)), 100_001)
        self.assertEqual(len(got), 100_000 + len(names))  # the test address in every name

    def test_start_on_a_full_disk(self):
        m = self.m
        m.control.end()
        self.fill()
        process = e2e.Process(m.folder / "control.log",
                              [e2e.BIN / "merlon-controlplane", "--config", m.config])
        self.addCleanup(process.end)
        m.control = process
        # Either it runs, or it ends and says why; UDP is answered in both cases.
        e2e.wait_until("a decision", lambda: not process.running()
                       or m.api("GET", "/v1/status")[0] == 200, 30)
        if not process.running():
            self.assertEqual(process.popen.returncode, 1)
            self.assertIn("No space left on device", process.text())
        self.assert_addresses(m.udp("live.merlon.internal"), ["45.1.1.1", e2e.TEST_ADDRESS4])
        self.filler.unlink()
        process.end()
        m.start_control()
        self.expect("45.1.1.1")


if __name__ == "__main__":
    e2e.main()
