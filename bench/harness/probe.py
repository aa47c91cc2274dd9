# SPDX-License-Identifier: Apache-2.0
"""A client on a raw socket: asks at a steady, low rate beside a load generator, checks every byte
of every answer, and times it by the kernel's receive stamp."""

import collections
import ctypes
import os
import random
import select
import socket
import struct
import threading
import time

import merlon_dns
from harness import answers
from harness.net import CLIENT_LINK, PROBE, SERVER

SOL_PACKET, PACKET_AUXDATA, SO_TIMESTAMPNS, SO_ATTACH_FILTER = 263, 8, 35, 26
CHECKSUM_NOT_READY = 1 << 3
FIRST_PORT, PORTS = 1024, 900  # below kxdpgun's, whose XDP program takes what is for its ports
LOST_AFTER = 1.0  # seconds


def only_to_probe():
    """A classic BPF program: frames whose IPv4 destination is PROBE, whole."""
    target, = struct.unpack(">I", socket.inet_aton(PROBE))
    program = [(0x20, 0, 0, 30), (0x15, 0, 1, target), (0x06, 0, 0, 0x40000), (0x06, 0, 0, 0)]
    code = b"".join(struct.pack("HBBI", *line) for line in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    return buffer, struct.pack("HP", len(program), ctypes.addressof(buffer))


class Result:
    def __init__(self):
        self.sent = self.answered = self.lost = 0
        self.wrong = []
        self.wrong_count = 0
        self.latencies_us = []
        self.checksums = collections.Counter()

    def json(self):
        return {"sent": self.sent, "answered": self.answered, "lost": self.lost,
                "wrong": self.wrong_count, "first_wrong": self.wrong[:3],
                "udp_checksums": dict(self.checksums), **self.percentiles()}

    def percentiles(self):
        ordered = sorted(self.latencies_us)
        if not ordered:
            return {}
        return {f"{name}_us": round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1)
                for name, share in (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999))}


class Probe:
    """REQUIRES: `network` is up; made anew after network.renew()."""

    def __init__(self, network, names, check=answers.check_answer, seed=1):
        self.macs = (network.client_mac, network.server_mac)
        self.names, self.check = names, check
        self.random = random.Random(seed)
        self.count = 0
        self.waiting = {}
        self.socket = self._open(network)
        self.socket.setblocking(False)
        self._drain()

    def _open(self, network):
        with network.inside(network.client_name):
            link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(answers.IPV4))
            link.bind((CLIENT_LINK, answers.IPV4))
        buffer, fprog = only_to_probe()
        link.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, fprog)
        del buffer
        link.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        link.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        return link

    def close(self):
        self.socket.close()

    def _drain(self):
        try:
            while True:
                self.socket.recv(65536)
        except BlockingIOError:
            pass

    def _send(self, result):
        self.count += 1
        number = self.random.randrange(self.names)
        name = answers.random_case(f"n{number}.{answers.SUFFIX}", self.random)
        message = merlon_dns.make_query(name, "A", edns=1232 if self.count % 3 == 0 else None,
                                        ident=self.count & 0xFFFF)
        ports = (FIRST_PORT + self.count % PORTS, 53)
        frame = answers.udp4_frame(self.macs, (PROBE, SERVER), ports, message, self.count & 0xFFFF)
        key = (self.count & 0xFFFF, ports[0])
        self.waiting[key] = (time.time_ns(), answers.Datagram(frame), number)
        self.socket.send(frame)
        result.sent += 1

    def _receive(self, result):
        while True:
            try:
                frame, extra, _, _ = self.socket.recvmsg(65536, 512)
            except BlockingIOError:
                return
            now, unfinished = time.time_ns(), False
            for level, kind, data in extra:
                if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
                    seconds, nanoseconds = struct.unpack("qq", data[:16])
                    now = seconds * 1_000_000_000 + nanoseconds
                elif (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
                    unfinished = bool(struct.unpack_from("I", data)[0] & CHECKSUM_NOT_READY)
            self._judge(frame, now, unfinished, result)

    def _judge(self, frame, now, unfinished, result):
        try:
            reply = answers.Datagram(frame, unfinished)
            key = (struct.unpack_from(">H", reply.message)[0], reply.target_port)
            if key not in self.waiting:
                raise ValueError(f"an answer to nothing that waits: id and port {key}")
            sent, query, number = self.waiting.pop(key)
            result.latencies_us.append((now - sent) / 1000)
            result.answered += 1
            result.checksums[reply.checksum] += 1
            answers.check_turned(reply, query)
            self.check(reply.message, query.message, number)
        except (ValueError, IndexError, struct.error) as error:
            result.wrong_count += 1
            result.wrong.append(f"{error}; frame {frame[:400].hex()}")

    def _give_up(self, result, before):
        for key in [key for key, (sent, _, _) in self.waiting.items() if sent < before]:
            del self.waiting[key]
            result.lost += 1

    def run(self, seconds=None, count=None, rate=100, until=None):
        """Asks for some seconds, or `count` times, or until the event is set."""
        result = Result()
        started = time.monotonic()
        due = started

        def over():
            return ((seconds is not None and time.monotonic() - started >= seconds)
                    or (count is not None and result.sent >= count)
                    or (until is not None and until.is_set()))

        while not over():
            self._send(result)
            due += 1 / rate
            while (wait := due - time.monotonic()) > 0:
                if select.select([self.socket], [], [], wait)[0]:
                    self._receive(result)
            self._receive(result)
            self._give_up(result, time.time_ns() - int(LOST_AFTER * 1e9))
        deadline = time.monotonic() + LOST_AFTER
        while self.waiting and time.monotonic() < deadline:
            if select.select([self.socket], [], [], 0.05)[0]:
                self._receive(result)
        self._give_up(result, time.time_ns() + 1)
        return result

    def ready(self):
        """One question; true when it, or one of those before it, is answered rightly within a
        moment. A server that binds first and loads then answers the early ones late: they count."""
        result = Result()
        self._send(result)
        deadline = time.monotonic() + 0.2
        while result.answered == 0 and (wait := deadline - time.monotonic()) > 0:
            if select.select([self.socket], [], [], wait)[0]:
                self._receive(result)
        return result.answered > 0 and result.wrong_count == 0


class Beside:
    """A probe in a thread of its own, on the client's core and before everything else there, for as
    long as the context lasts. `result` is there afterwards."""

    def __init__(self, probe, core, rate):
        self.probe, self.core, self.rate = probe, core, rate
        self.result = None
        self._until = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._until.set()
        self._thread.join()

    def _ask(self):
        os.sched_setaffinity(0, {self.core})
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        self.result = self.probe.run(until=self._until, rate=self.rate)
