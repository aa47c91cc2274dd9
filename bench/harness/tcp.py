# SPDX-License-Identifier: Apache-2.0
"""DNS over TCP: one name with 4000 A records, Merlon's control plane beside NSD, and iperf3 on the
same path; then thousands of held connections and how long a new client waits beside them.

The path is a veth pair between two namespaces, or without root the loopback, where nothing is held.
"""

import contextlib
import json
import os
import pathlib
import shutil
import socket
import time

import merlon_dns
from harness import answers
from harness.load import BUSY, median
from harness.machine import (Failure, Missing, Process, core_times, first_line, package_version,
                             program, run)
from harness.net import CLIENT_LINK, SERVER, Network
from harness.servers import write_nsd_config

LIST = 4000
IDLE, SLOW, SLOW_RATE = 10_000, 1_000, 10_000
SOURCES = 200  # devices that the held connections come from
FIRST_SOURCE = "198.18.0.20"
# How the answers are asked for: client's reading, connections, queries under way on each.
SHAPES = {"discard": ("discard", 4, 8), "copy": ("copy", 4, 8), "single": ("copy", 4, 1),
          "compare": ("compare", 4, 8)}


def free_port():
    for port in range(15300, 15400):
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                stack.enter_context(socket.socket(socket.AF_INET, kind)).bind(("127.0.0.1", port))
            return port
    raise Failure("no free port")


class Path:
    """Where servers listen and clients come from."""

    def __init__(self, network):
        self.network = network
        self.address = SERVER if network else "127.0.0.1"
        self.name = "veth pair between two namespaces" if network else "loopback"
        self.used = 0

    def port(self):
        self.used += 1
        return 5300 + self.used if self.network else free_port()

    def server_words(self, core, words):
        return (self.network.server_words(core, words) if self.network
                else ["taskset", "-c", str(core), *map(str, words)])

    def client_words(self, core, words):
        return (self.network.client_words(core, words) if self.network
                else ["taskset", "-c", str(core), *map(str, words)])

    def inside(self):
        return (self.network.inside(self.network.client_name) if self.network
                else contextlib.nullcontext())

    def add_sources(self):
        first = int(FIRST_SOURCE.rpartition(".")[2])
        for last in range(first, first + SOURCES):
            run([self.network.ip, "-n", self.network.client_name, "addr", "add",
                 f"198.18.0.{last}/24", "dev", CLIENT_LINK])


class TcpServer:
    def __init__(self, name, bench, path, prepare):
        self.name, self.path, self.port = name, path, path.port()
        self.folder = pathlib.Path(bench.folder) / f"tcp-{name}"
        self.folder.mkdir()
        words, self.version = prepare(self, bench)
        self.process = Process(self.folder / "log", path.server_words(bench.server_core, words))

    def at(self):
        return f"{self.path.address}:{self.port}"

    def wait(self):
        deadline = time.monotonic() + 20
        while True:
            try:
                with self.path.inside():
                    answer = merlon_dns.ask_tcp((self.path.address, self.port),
                                                merlon_dns.make_query(
                                                    f"list.{answers.SUFFIX}", "A", edns=None))
                return sorted(answer.values("A"))
            except (OSError, ValueError):
                if not self.process.running() or time.monotonic() > deadline:
                    raise Failure(f"{self.name} does not answer over TCP\n"
                                  f"{self.process.text()[-4000:]}") from None
                time.sleep(0.05)

    def rss_kib(self):
        total = 0
        for pid in self.process.pids():
            with contextlib.suppress(OSError):
                for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
                    if line.startswith("VmRSS:"):
                        total += int(line.split()[1])
        return total


def merlon(server, bench):
    state = pathlib.Path(bench.folder) / "state"
    config = server.folder / "merlon.toml"
    config.write_text(f"""[controlplane]
state_directory = "{state}"
api_socket = "{server.folder}/api.sock"
dataplane_socket = ""
slow_path_socket = ""
dns_listen = ["{server.at()}"]
""")
    program_path = bench.bin / "merlon-controlplane"
    return [program_path, "--config", config], run([program_path, "--version"]).strip()


def nsd(server, bench):
    config = server.folder / "nsd.conf"
    write_nsd_config(config, server.folder, bench.zone_file, server.at().replace(":", "@"))
    return [program("nsd"), "-d", "-c", config], first_line(program("nsd"), "-v")


def bottleneck(bench, busy):
    server_share, client_share = busy[bench.server_core], busy[bench.client_core]
    return ("both cores" if min(server_share, client_share) >= BUSY else
            "server core" if server_share >= BUSY else
            "client core" if client_share >= BUSY else "neither core")


def busy_since(cores, seconds):
    after = core_times()
    return {core: (after[core][0] - cores[core][0]) / seconds for core in after}


def sample(bench, server, seconds, shape):
    read, connections, pipeline = SHAPES[shape]
    cores = core_times()
    cpu = server.process.cpu_seconds()
    text = run(server.path.client_words(bench.client_core, [
        bench.bin / "merlon-tcp-load", "--server", server.at(), "--name", f"list.{answers.SUFFIX}",
        "--type", "A", "--seconds", seconds, "--expect-answers", LIST, "--read", read,
        "--connections", connections, "--pipeline", pipeline, "--json"]))
    got = json.loads(text)
    used = server.process.cpu_seconds() - cpu
    busy = busy_since(cores, got["seconds"])
    if got["wrong"] or got["errors"]:
        raise Failure(f"{server.name}: {got['wrong']} wrong answers, {got['errors']} errors: "
                      f"{got['first_wrong']}")
    return {"server": server.name, "shape": shape, "connections": connections,
            "pipeline": pipeline, "read": read,
            "answers_per_s": got["answers"] / got["seconds"],
            "bytes_per_s": 1e6 * got["megabytes_per_s"],
            "server_process_us_per_answer": 1e6 * used / got["answers"],
            "server_core": round(busy[bench.server_core], 3),
            "client_core": round(busy[bench.client_core], 3),
            "bottleneck": bottleneck(bench, busy)}


def iperf3(bench, path, port, seconds):
    """The kernel's own: as many connections, the server sends, the client reads."""
    server = Process(pathlib.Path(bench.folder) / "iperf3.log", path.server_words(
        bench.server_core, [program("iperf3"), "-s", "-1", "-B", path.address, "-p", port]))
    try:
        time.sleep(0.3)
        cores = core_times()
        began = time.monotonic()
        got = json.loads(run(path.client_words(bench.client_core, [
            program("iperf3"), "-c", path.address, "-p", port, "-R", "-P", SHAPES["copy"][1],
            "-t", max(1, round(seconds)), "-J"])))
        busy = busy_since(cores, time.monotonic() - began)
        return {"server": "iperf3", "shape": "copy", "connections": SHAPES["copy"][1],
                "bytes_per_s": got["end"]["sum_received"]["bits_per_second"] / 8,
                "server_core": round(busy[bench.server_core], 3),
                "client_core": round(busy[bench.client_core], 3),
                "bottleneck": bottleneck(bench, busy)}
    finally:
        server.stop()


def hold(bench, server, seconds, idle, slow):
    """A new client beside held connections; the server's memory meanwhile."""
    before = server.rss_kib()
    log = server.folder / f"hold-{idle}-{slow}.log"
    holder = Process(log, server.path.client_words(bench.client_core, [
        bench.bin / "merlon-tcp-hold", "--server", server.at(), "--source", FIRST_SOURCE,
        "--sources", SOURCES, "--idle", idle, "--slow", slow, "--slow-rate", SLOW_RATE,
        "--small", f"n1.{answers.SUFFIX}", "--large", f"list.{answers.SUFFIX}", "--probe",
        f"list.{answers.SUFFIX}", "--expect-answers", LIST, "--seconds", seconds]))
    rss = [before]
    deadline = time.monotonic() + 90 + seconds
    while holder.running() and time.monotonic() < deadline:
        rss.append(server.rss_kib())
        time.sleep(0.2)
    running = holder.running()
    holder.stop()
    lines = [line for line in log.read_text(errors="replace").splitlines()
             if line.startswith("{")]
    if running or not lines:
        raise Failure(f"merlon-tcp-hold against {server.name}: "
                      f"{log.read_text(errors='replace')[-2000:]}")
    got = json.loads(lines[-1])
    waits = sorted(got.pop("probe_us"))
    if not waits:
        raise Failure(f"{server.name}: no new client was served: {got['first_failure']}")
    return {"server": server.name, **got, "rss_before_kib": before, "rss_most_kib": max(rss),
            "p50_us": waits[len(waits) // 2], "p99_us": waits[int(len(waits) * 0.99)],
            "most_us": waits[-1], "probe_us": waits}


def measure_rates(bench, path, servers, rounds, seconds):
    samples = {server.name: [] for server in servers}
    for server in servers:
        # Every byte of every answer, which is too much work for the client to measure by.
        samples[server.name].append(sample(bench, server, min(1, seconds), "compare"))
    try:
        program("iperf3")
        samples["iperf3"] = []
    except Missing as why:
        bench.leave_out("iperf3", why)
    for turn in range(rounds):
        for server in servers if turn % 2 == 0 else reversed(servers):
            for shape in ("discard", "copy", "single"):
                samples[server.name].append(sample(bench, server, seconds, shape))
        if "iperf3" in samples:
            samples["iperf3"].append(iperf3(bench, path, path.port(), seconds))
    return samples


def of_shape(samples, name, shape, key):
    return [one[key] for one in samples.get(name, ()) if one["shape"] == shape]


def measure(bench, rounds, seconds, smoke):
    bench.server_core = min(bench.server_core, os.cpu_count() - 1)
    servers, lists, held = [], [], []
    with contextlib.ExitStack() as stack:
        try:
            path = Path(stack.enter_context(Network()))
            path.add_sources()
        except Missing as why:
            bench.leave_out("tcp over a veth pair, held connections", why)
            path = Path(None)
        try:
            for name, prepare in (("merlon-tcp", merlon), ("nsd-tcp", nsd)):
                servers.append(TcpServer(name, bench, path, prepare))
                lists.append(servers[-1].wait())  # it has its port before the next looks for one
            if any(values != lists[0] or len(values) != LIST for values in lists):
                raise Failure("the servers' lists differ over TCP")
            samples = measure_rates(bench, path, servers, rounds, seconds)
            if path.network:
                idle, slow = (200, 20) if smoke else (IDLE, SLOW)
                held = [hold(bench, servers[0], 2 * seconds, *numbers)
                        for numbers in ((0, 0), (idle, 0), (idle, slow))]
        finally:
            for server in servers:
                server.process.stop()
                shutil.rmtree(server.folder, ignore_errors=True)
    ours, theirs = (server.name for server in servers)

    def paired(first, second, shape, key):
        return median([a / b for a, b in zip(of_shape(samples, first, shape, key),
                                             of_shape(samples, second, shape, key))])

    ratios = {"tcp_vs_nsd": paired(ours, theirs, "discard", "answers_per_s"),
              "tcp_vs_nsd_copy": paired(ours, theirs, "copy", "answers_per_s"),
              "tcp_vs_nsd_single": paired(ours, theirs, "single", "answers_per_s"),
              "tcp_cpu_vs_nsd": paired(ours, theirs, "discard", "server_process_us_per_answer")}
    if "iperf3" in samples:
        ratios["tcp_vs_iperf3"] = paired(ours, "iperf3", "copy", "bytes_per_s")
    versions = {server.name: server.version for server in servers}
    if "iperf3" in samples:
        versions["iperf3"] = f"iperf3 {package_version('iperf3')}"
    return {"path": path.name, "samples": samples, "held": held, "ratios": ratios,
            "versions": versions}
