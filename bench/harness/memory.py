# SPDX-License-Identifier: Apache-2.0
"""The packet path alone: Merlon's data plane with engine dpdk on net_pcap, which hands it the
packets of a file from memory again and again (infinite_rx) and throws its replies away.

2^20 names and 2^20 source prefixes, drawn uniformly by packets that each ask another name from
another source, EDNS, client cookies, rate limit on: nothing stays in a cache. Beside it testpmd's
macswap over the same file: what reading and freeing the packets costs without any answer.

The replies are thrown away by the driver, so before that a shorter file is answered once into
another file, and every reply is compared with what its query must be answered with."""

import contextlib
import json
import pathlib
import re
import statistics
import struct
import subprocess
import time

from harness import answers
from harness.machine import (HUGE_MIB, Failure, Missing, Process, huge_pages, program,
                             require_root, run)
from harness.servers import control, testpmd_eal

MBUF_BYTES = 2048 + 128 + 128 + 64  # data room, headroom, header, the pool's own
SPARE_BUFFERS = 16384
SIDE_MIB = 256  # rings, the EAL, the data plane's own segments stay outside
RATE_LIMIT = 1_000_000_000  # on, and never reached
CLIENT_COOKIE = 8
PROFILE_SECONDS = 2


class Memory:
    def __init__(self, bench, packets, sample, names, sources):
        require_root()
        self.bench = bench
        self.packets, self.sample_size = packets, sample
        self.names, self.sources = names, sources
        self.folder = pathlib.Path(bench.folder) / "memory"
        self.folder.mkdir()
        self.starts = 0
        self.commands = {}

    # What they read.

    def generate(self):
        words = [self.bench.bin / "merlon-bench-packets", "--names", self.names, "--sources",
                 self.sources]
        run([*words, "--state", self.folder / "state", "--pcap", self.folder / "load.pcap",
             "--packets", self.packets])
        run([*words, "--pcap", self.folder / "sample.pcap", "--packets", self.sample_size,
             "--packet-seed", 2])

    def pool_mib(self):
        return -(-(self.packets + SPARE_BUFFERS) * MBUF_BYTES // (1 << 20)) + SIDE_MIB

    # Merlon.

    def start_merlon(self, name, port):
        """Returns (process, control socket) once the data plane says what engine it runs."""
        self.starts += 1
        home = self.folder / f"{name}-{self.starts}"
        home.mkdir()
        state = self.folder / "state"
        control_socket = home / "data.sock"
        settings = {"listen": ["127.0.0.1:0"], "engine": "dpdk", "workers": 1,
                    "cores": [str(self.bench.server_core)], "dpdk_ports": [port],
                    "dpdk_huge_pages": "yes" if self.bench.huge_pages_mib else "no",
                    "dpdk_idle": "poll", "rate_limit": RATE_LIMIT, "cookies": True,
                    "snapshot_directory": str(state / "snapshots"),
                    "manifest_key_file": str(state / "manifest.pub"),
                    "control_socket": str(control_socket)}
        (home / "merlon.toml").write_text("[dataplane]\n" + "".join(
            f"{key} = {json.dumps(value)}\n" for key, value in settings.items()))
        words = [self.bench.bin / "merlon-dataplane", "--config", home / "merlon.toml"]
        self.commands[name] = " ".join(map(str, words)) + f"  # {port}"
        process = Process(home / "log", words)
        try:
            deadline = time.monotonic() + 60
            while True:
                try:
                    status = control(control_socket, "status")
                    if status["engine"]:
                        break
                except OSError:
                    pass
                if not process.running() or time.monotonic() > deadline:
                    raise Failure(f"merlon-dataplane on {port} does not start\n"
                                  + process.text()[-4000:])
                time.sleep(0.1)
            if status["engine"] != "dpdk":
                raise Missing(f"merlon-dataplane gives engine {status['engine']} instead of dpdk")
            if status["last_load_error"]:
                raise Failure(f"merlon-dataplane on {port}: {status}")
        except BaseException:
            process.stop()
            raise
        return process, control_socket

    @staticmethod
    def counters(control_socket):
        stats = control(control_socket, "stats")
        return time.monotonic(), stats["total"]

    def measure_merlon(self, seconds, samples, profile):
        process, control_socket = self.start_merlon(
            "merlon", f"net_pcap0,rx_pcap={self.folder / 'load.pcap'},infinite_rx=1")
        try:
            time.sleep(1.0)
            rates, outcomes = [], {}
            before = self.counters(control_socket)
            started, cpu = before[0], process.cpu_seconds()
            for _ in range(samples):
                time.sleep(seconds)
                after = self.counters(control_socket)
                took = after[0] - before[0]
                done = {key: after[1]["outcomes"][key] - before[1]["outcomes"][key]
                        for key in after[1]["outcomes"]}
                sent = after[1]["io"]["tx_packets"] - before[1]["io"]["tx_packets"]
                for key, value in done.items():
                    outcomes[key] = outcomes.get(key, 0) + value
                # Burst by burst in flight, what was answered is what was handed to the port.
                if abs(sent - done["answered"]) > 4096:
                    raise Failure(f"{done['answered']} answered, {sent} handed to the port")
                rates.append(done["answered"] / took)
                before = after
            cpu = (process.cpu_seconds() - cpu) / (time.monotonic() - started)
            other = {key: value for key, value in outcomes.items() if value and key != "answered"}
            if other or not outcomes.get("answered"):
                raise Failure(f"not every query was answered: {other or 'none was'}")
            stages = self.stages(control_socket) if profile else None
        finally:
            process.stop()
        return {"server": "merlon-dpdk", "answers_per_s": statistics.median(rates),
                "samples": rates, "cpu": round(cpu, 3), "stages": stages}

    @staticmethod
    def stages(control_socket):
        """The data plane's own account of what each stage costs; None when it keeps none."""
        got = control(control_socket, f"profile {PROFILE_SECONDS}")
        if "error" in got:
            return None
        deadline = time.monotonic() + 3 * PROFILE_SECONDS
        while got["running"] and time.monotonic() < deadline:
            time.sleep(0.1)
            got = control(control_socket, "profile")
        return got["stages"]

    # testpmd.

    def measure_testpmd(self, seconds):
        words = [program("dpdk-testpmd"),
                 *testpmd_eal(self.bench, "memory", -(-self.pool_mib() // HUGE_MIB) * HUGE_MIB),
                 "--vdev", f"net_pcap0,rx_pcap={self.folder / 'load.pcap'},infinite_rx=1", "--",
                 "--forward-mode=macswap", "--nb-cores=1",
                 f"--total-num-mbufs={self.packets + SPARE_BUFFERS}", "--auto-start", "-i"]
        self.commands["testpmd"] = " ".join(map(str, words))
        self.starts += 1
        process = Process(self.folder / f"testpmd-{self.starts}.log", words)

        def say(text):
            process.popen.stdin.write(text.encode() + b"\n")
            process.popen.stdin.flush()

        try:
            deadline = time.monotonic() + 60
            while "testpmd>" not in process.text():
                if not process.running() or time.monotonic() > deadline:
                    raise Failure(f"testpmd does not start\n{process.text()[-4000:]}")
                time.sleep(0.1)
            time.sleep(0.5)
            times, cpu = [], process.cpu_seconds()
            for _ in range(2):
                say("show port stats 0")
                times.append(time.monotonic())
                time.sleep(seconds)
            cpu = (process.cpu_seconds() - cpu) / (time.monotonic() - times[0])
            say("quit")
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.popen.wait(15)
        finally:
            process.stop()
        # Its output is complete only when it has ended; the last report is of its whole run.
        found = re.findall(r"TX-packets: +(\d+)", process.text())
        if len(found) < 2:
            raise Failure(f"testpmd gives no statistics\n{process.text()[-4000:]}")
        rate = (int(found[1]) - int(found[0])) / (times[1] - times[0])
        return {"server": "testpmd-macswap", "answers_per_s": rate, "samples": [rate],
                "cpu": round(cpu, 3)}

    # Every byte.

    def verify(self):
        """Answers a file once into a file, and judges each reply."""
        source, target = self.folder / "sample.pcap", self.folder / "answered.pcap"
        process, control_socket = self.start_merlon(
            "merlon-sample", f"net_pcap0,rx_pcap={source},tx_pcap={target}")
        try:
            deadline = time.monotonic() + 20
            while self.counters(control_socket)[1]["io"]["tx_packets"] < self.sample_size:
                if time.monotonic() > deadline:
                    break  # what is missing is named below
                time.sleep(0.1)
        finally:
            process.stop()
        queries = {}
        for frame in read_pcap(source):
            query = answers.Datagram(frame)
            queries.setdefault(key_of(query.message, query.source, query.source_port),
                               []).append(query)
        judged = 0
        for frame in read_pcap(target):
            reply = answers.Datagram(frame)
            if reply.checksum != "true":
                raise Failure(f"a reply has UDP checksum: {reply.checksum}")
            waiting = queries.get(key_of(reply.message, reply.target, reply.target_port))
            if not waiting:
                raise Failure(f"a reply to nothing that was asked: {frame.hex()}")
            query = waiting.pop()
            try:
                answers.check_turned(reply, query)
                name = answers.merlon_dns.read_name(query.message, 12)[0]
                answers.check_answer(reply.message, query.message, answers.number_of(name))
                check_cookie(reply.message, query.message)
            except ValueError as error:
                raise Failure(f"wrong reply: {error}\nquery {query.message.hex()}\n"
                              f"reply {reply.message.hex()}") from None
            judged += 1
        if judged != self.sample_size:
            raise Failure(f"{self.sample_size - judged} of {self.sample_size} queries got no reply")
        return judged


def key_of(message, address, port):
    return message[:2], message[12:32], address, port  # 20: the shortest name asked


def option(message, code):
    """The value of an EDNS option; OPT is the last record of all messages here."""
    # From the end: OPT is 11 bytes and its options, and the owner is the root.
    for at in range(len(message) - 11, 11, -1):
        if message[at:at + 3] == b"\0\0\x29":
            size, = struct.unpack_from(">H", message, at + 9)
            if at + 11 + size == len(message):
                data = message[at + 11:]
                while len(data) >= 4:
                    found, length = struct.unpack_from(">HH", data)
                    if found == code:
                        return data[4:4 + length]
                    data = data[4 + length:]
                return None
    return None


def check_cookie(reply, query):
    """RFC 9018: the client's eight bytes, version 1, three zeros, time, hash."""
    client, got = option(query, 10), option(reply, 10)
    if client is None:
        return
    if got is None or len(got) != 24 or got[:CLIENT_COOKIE] != client or got[8:12] != b"\1\0\0\0":
        raise ValueError(f"cookie {got and got.hex()} for {client.hex()}")
    if abs(struct.unpack_from(">I", got, 12)[0] - int(time.time())) > 300:
        raise ValueError(f"cookie time {got[12:16].hex()}")


def read_pcap(path):
    data = pathlib.Path(path).read_bytes()
    if data[:4] not in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1"):
        raise Failure(f"{path} is no pcap file of this machine")
    at = 24
    while at + 16 <= len(data):
        size, = struct.unpack_from("<I", data, at + 8)
        if at + 16 + size > len(data):
            raise Failure(f"{path} ends inside a packet")
        yield data[at + 16:at + 16 + size]
        at += 16 + size


def measure(bench, packets, sample, names, sources, seconds, rounds):
    """Alternating rounds of Merlon and testpmd. Gives what goes into the JSON."""
    memory = Memory(bench, packets, sample, names, sources)
    memory.generate()
    with huge_pages(memory.pool_mib()) as mebibytes:
        bench.huge_pages_mib = mebibytes
        if not mebibytes:
            raise Missing(f"the packet path alone needs {memory.pool_mib()} MiB of huge pages")
        judged = memory.verify()
        results = {"merlon-dpdk": [], "testpmd-macswap": []}
        for turn in range(rounds):
            results["merlon-dpdk"].append(
                memory.measure_merlon(seconds, 3, profile=turn == rounds - 1))
            results["testpmd-macswap"].append(memory.measure_testpmd(seconds))
    bench.huge_pages_mib = 0
    return {"packets": packets, "names": names, "sources": sources, "judged_replies": judged,
            "huge_pages_mib": memory.pool_mib(), "commands": memory.commands, "rounds": results}
