#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The probe of bench/harness, against a server that binds its socket long before it answers."""

import pathlib
import socket
import sys
import threading
import types
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "tests/e2e")]

from harness import answers  # noqa: E402
from harness.probe import Probe  # noqa: E402


class Wired(Probe):
    """On one end of a socket pair instead of a link."""

    def __init__(self, end):
        self.end = end
        nowhere = types.SimpleNamespace(client_mac="02:00:00:00:00:01",
                                        server_mac="02:00:00:00:00:02")
        super().__init__(nowhere, 10, answers.check_reflection)

    def _open(self, network):
        return self.end


def reflected(frame):
    """Addresses and ports swapped, as testpmd's 5tswap does."""
    turned = bytearray(frame)
    for first, second, size in ((0, 6, 6), (26, 30, 4), (34, 36, 2)):
        turned[first:first + size] = frame[second:second + size]
        turned[second:second + size] = frame[first:first + size]
    return bytes(turned)


class LateServer(unittest.TestCase):
    def setUp(self):
        self.ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.probe = Wired(self.ours)
        self.addCleanup(self.theirs.close)
        self.addCleanup(self.probe.close)

    def test_nobody_there_is_not_ready(self):
        self.assertFalse(self.probe.ready())

    def test_late_answers_to_earlier_questions_count(self):
        """Else each question would find the answer to the one before it, for ever."""
        self.assertFalse(self.probe.ready())
        self.assertFalse(self.probe.ready())
        first = reflected(self.theirs.recv(65536))
        self.theirs.send(first)
        self.assertTrue(self.probe.ready())

    def test_a_wrong_answer_is_not_ready(self):
        def answer_wrongly():
            frame = bytearray(reflected(self.theirs.recv(65536)))
            frame[-1] ^= 1
            self.theirs.send(bytes(frame))

        thread = threading.Thread(target=answer_wrongly)
        thread.start()
        self.assertFalse(self.probe.ready())
        thread.join()


if __name__ == "__main__":
    unittest.main(verbosity=2)
