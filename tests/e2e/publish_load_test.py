#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A hundred publishes in a row under queries: no answer is lost, none is wrong, none is stale."""

import re
import signal
import socket
import struct
import threading
import time

import merlon_dns
import merlon_e2e as e2e

PUBLISHES = 100
NAME = "live.merlon.internal"


class Checker(threading.Thread):
    """Asks without pause on one socket. An answer must be of a generation that was in force at some
    moment between its query and itself."""

    def __init__(self, test, protocol):
        super().__init__(daemon=True)
        self.test, self.protocol = test, protocol
        self.stopping = threading.Event()
        self.answers, self.wrong, self.seen, self.slowest = 0, [], set(), 0.0
        self.start()

    def run(self):
        kind = socket.SOCK_DGRAM if self.protocol == "UDP" else socket.SOCK_STREAM
        with socket.socket(socket.AF_INET, kind) as client:
            client.settimeout(5 * e2e.FACTOR)
            client.connect(("127.0.0.1", self.test.m.port))
            while not self.stopping.is_set():
                try:
                    self.ask(client)
                except (OSError, ValueError) as error:
                    self.wrong.append(repr(error))
                    if self.protocol == "TCP":
                        return

    def ask(self, client):
        query = merlon_dns.make_query(NAME, "A")
        oldest, started = self.test.acknowledged, time.monotonic()
        if self.protocol == "UDP":
            client.send(query)
            answer = merlon_dns.Answer(client.recv(65535), query)
        else:
            client.sendall(struct.pack(">H", len(query)) + query)
            size = struct.unpack(">H", merlon_dns.receive_exactly(client, 2))[0]
            answer = merlon_dns.Answer(merlon_dns.receive_exactly(client, size), query)
        self.slowest = max(self.slowest, time.monotonic() - started)
        newest = self.test.publishing
        number = self.test.number_of.get(tuple(sorted(answer.values())))
        self.answers += 1
        self.seen.add(number)
        if number is None or not oldest <= number <= newest:
            self.wrong.append((oldest, number, newest, answer.rcode, answer.values()))

    def finish(self):
        self.stopping.set()
        self.join(30 * e2e.FACTOR)


class PublishLoad(e2e.Case):
    def setUp(self):
        super().setUp()
        self.m = self.merlon()
        self.m.start()
        self.m.add_device("fw1", ["127.0.0.1"])
        self.publishing = self.acknowledged = 0
        self.number_of = {tuple(sorted([*self.content(number), e2e.TEST_ADDRESS4])): number
                          for number in range(PUBLISHES + 1)}
        self.m.add_feed("live", self.content(0))
        self.m.add_feed("still", [f"46.1.1.{i}" for i in range(20)], "--not-in-basic")
        self.m.build()

    @staticmethod
    def content(number):
        """Between 10 and 20 addresses, some of which come back and some never."""
        return ([f"45.{number}.0.{i}" for i in range(10)]
                + [f"45.200.{number % 3}.{i}" for i in range(number % 11)])

    def start_dnsperf(self, mode, rate):
        queries = self.folder / "queries"
        queries.write_text(f"{NAME} A\nstill.merlon.internal A\nbasic.merlon.internal TXT\n"
                           "live.merlon.internal PTR\nmerlon.internal SOA\n")
        process = e2e.Process(self.folder / f"dnsperf-{mode}.log", [
            "dnsperf", "-s", "127.0.0.1", "-p", self.m.port, "-d", queries, "-m", mode, "-Q", rate,
            "-l", "600", "-t", 5 * e2e.FACTOR])
        self.addCleanup(process.end, signal.SIGKILL)
        return process

    def dnsperf_result(self, process):
        process.end(signal.SIGINT, 20)
        text = process.text()
        numbers = {key: int(re.search(rf"Queries {key}: +(\d+)", text).group(1))
                   for key in ("sent", "completed", "lost")}
        numbers["interrupted"] = int(
            (re.search(r"Queries interrupted: +(\d+)", text) or [0, 0])[1])
        return text, numbers

    def test_hundred_publishes_under_load(self):
        m = self.m
        first = m.current()
        clients = [self.start_dnsperf("udp", 2000), self.start_dnsperf("tcp", 300)]
        checkers = [Checker(self, "UDP"), Checker(self, "TCP")]
        e2e.wait_until("answers", lambda: all(one.answers > 20 for one in checkers))
        started = time.monotonic()
        for number in range(1, PUBLISHES + 1):
            self.publishing = number
            m.write_feed("live", self.content(number))
            m.ctl("feed", "refresh", "live")
            built = m.build()
            self.assertEqual(built["dataplane_error"], "")
            self.acknowledged = number
        took = time.monotonic() - started
        e2e.wait_until("answers of the last", lambda: all(
            PUBLISHES in one.seen for one in checkers))
        for checker in checkers:
            checker.finish()
            print(f"{checker.protocol}: {checker.answers} answers checked over {PUBLISHES} "
                  f"publishes in {took:.1f} s, {len(checker.seen)} generations seen, slowest "
                  f"answer {checker.slowest * 1000:.1f} ms", flush=True)
            self.assertEqual(checker.wrong, [], checker.protocol)
            self.assertGreater(checker.answers, 10 * PUBLISHES / e2e.FACTOR)
            self.assertGreater(len(checker.seen), PUBLISHES // 2)
        for process in clients:
            text, numbers = self.dnsperf_result(process)
            self.assertEqual(numbers["lost"], 0, text)
            self.assertEqual(numbers["sent"], numbers["completed"] + numbers["interrupted"], text)
            self.assertGreater(numbers["completed"], 500, text)
            self.assertRegex(text, r"Response codes: +NOERROR \d+ \(100\.00%\)")
        self.assertGreaterEqual(m.current(), first + PUBLISHES)
        self.assertEqual(m.data_command("status")["generation"], m.current())
        # Old generations went, and with them what only they used.
        snapshots = m.ctl_json("snapshot", "list")["snapshots"]
        self.assertEqual(len(snapshots), 32)
        used = {path for item in snapshots for _, path, _ in m.segments_of(item["generation"])}
        self.assertEqual(set((m.snapshots / "segments").iterdir()), used)
        self.assertEqual(len(list((m.state / "catalogue").iterdir())), 32)
        io = m.data_command("stats")["total"]["io"]
        self.assertEqual({key: value for key, value in io.items()
                          if value and ("drop" in key or "error" in key)}, {})


if __name__ == "__main__":
    e2e.main()
