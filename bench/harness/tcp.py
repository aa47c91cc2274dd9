# SPDX-License-Identifier: Apache-2.0
"""DNS over TCP on loopback: one name with 4000 A records, Merlon's control plane beside NSD.
Needs no privileges."""

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
from harness.machine import Failure, Process, core_times, first_line, program, run
from harness.servers import write_nsd_config

LIST = 4000


def free_port():
    for port in range(15300, 15400):
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                stack.enter_context(socket.socket(socket.AF_INET, kind)).bind(("127.0.0.1", port))
            return port
    raise Failure("no free port")


class TcpServer:
    def __init__(self, name, bench, prepare):
        self.name, self.port = name, free_port()
        self.folder = pathlib.Path(bench.folder) / f"tcp-{name}"
        self.folder.mkdir()
        words, self.version = prepare(self, bench)
        self.process = Process(self.folder / "log",
                               ["taskset", "-c", bench.server_core, *words])

    def wait(self):
        deadline = time.monotonic() + 20
        while True:
            try:
                answer = merlon_dns.ask_tcp(("127.0.0.1", self.port), merlon_dns.make_query(
                    f"list.{answers.SUFFIX}", "A", edns=None))
                return sorted(answer.values("A"))
            except (OSError, ValueError):
                if not self.process.running() or time.monotonic() > deadline:
                    raise Failure(f"{self.name} does not answer over TCP\n"
                                  f"{self.process.text()[-4000:]}") from None
                time.sleep(0.05)


def merlon(server, bench):
    state = pathlib.Path(bench.folder) / "state"
    config = server.folder / "merlon.toml"
    config.write_text(f"""[controlplane]
state_directory = "{state}"
api_socket = "{server.folder}/api.sock"
dataplane_socket = ""
slow_path_socket = ""
dns_listen = ["127.0.0.1:{server.port}"]
""")
    program_path = bench.bin / "merlon-controlplane"
    return [program_path, "--config", config], run([program_path, "--version"]).strip()


def nsd(server, bench):
    config = server.folder / "nsd.conf"
    write_nsd_config(config, server.folder, bench.zone_file, f"127.0.0.1@{server.port}")
    return [program("nsd"), "-d", "-c", config], first_line(program("nsd"), "-v")


def sample(bench, server, seconds):
    cores = core_times()
    cpu = server.process.cpu_seconds()
    text = run(["taskset", "-c", bench.client_core, bench.bin / "merlon-tcp-load", "--server",
                f"127.0.0.1:{server.port}", "--name", f"list.{answers.SUFFIX}", "--type", "A",
                "--seconds", seconds, "--expect-answers", LIST, "--read", "discard",
                "--connections", "4", "--pipeline", "8", "--json"])
    got = json.loads(text)
    used = server.process.cpu_seconds() - cpu
    after = core_times()
    if got["wrong"] or got["errors"]:
        raise Failure(f"{server.name}: {got['wrong']} wrong answers, {got['errors']} errors")
    busy = {core: (after[core][0] - cores[core][0]) / got["seconds"] for core in after}
    server_share, client_share = busy[bench.server_core], busy[bench.client_core]
    return {"server": server.name, "answers_per_s": got["answers"] / got["seconds"],
            "bytes_per_s": 1e6 * got["megabytes_per_s"],
            "server_process_us_per_answer": 1e6 * used / got["answers"],
            "server_core": round(server_share, 3), "client_core": round(client_share, 3),
            "bottleneck": "both cores" if min(server_share, client_share) >= BUSY else
            "server core" if server_share >= BUSY else
            "client core" if client_share >= BUSY else "neither core"}


def measure(bench, rounds, seconds):
    bench.server_core = min(bench.server_core, os.cpu_count() - 1)
    servers, lists, samples = [], [], {}
    try:
        for name, prepare in (("merlon-tcp", merlon), ("nsd-tcp", nsd)):
            servers.append(TcpServer(name, bench, prepare))
            lists.append(servers[-1].wait())  # it has its port before the next looks for one
        if any(values != lists[0] or len(values) != LIST for values in lists):
            raise Failure("the servers' lists differ over TCP")
        for server in servers:
            sample(bench, server, min(1, seconds))  # warm
            samples[server.name] = []
        for turn in range(rounds):
            for server in servers if turn % 2 == 0 else reversed(servers):
                samples[server.name].append(sample(bench, server, seconds))
    finally:
        for server in servers:
            server.process.stop()
            shutil.rmtree(server.folder, ignore_errors=True)
    ours, theirs = (samples[server.name] for server in servers)
    ratio = median([a["answers_per_s"] / b["answers_per_s"] for a, b in zip(ours, theirs)])
    cpu = median([a["server_process_us_per_answer"] / b["server_process_us_per_answer"]
                  for a, b in zip(ours, theirs)])
    return {"samples": samples, "ratio": ratio, "cpu_ratio": cpu,
            "versions": {server.name: server.version for server in servers}}
