# SPDX-License-Identifier: Apache-2.0
"""A new generation every second under steady load: the control plane publishes, the data plane
loads, kxdpgun asks, and beside it a prober reads every byte of its answers.

Right is: every query has its answer, the prober's and kxdpgun's alike; each answer of the prober is
of a generation that was in force between the query and the answer, and no name ever goes back."""

import concurrent.futures
import contextlib
import ipaddress
import os
import pathlib
import shutil
import struct
import tempfile
import time
import types

import merlon_dns
import merlon_e2e as e2e
from harness import answers, load
from harness.machine import Failure
from harness.net import SERVER, SERVER_LINK, Network
from harness.probe import FIRST_PORT, PORTS, Beside, Probe

NAMES, CHANGED, PER_NAME = 8, 2, 4  # n0 .. n7, of which each generation changes two
VERSIONS = 4096
PERIOD = 1.0
SMOKE_SECONDS, SMOKE_RATE = 6, 5000
TRIAL_SECONDS = 2
TRIALS = 10
STEP = 0.7  # to the next rate when one was not carried without loss
PROBES = 200  # a second
WATCHED = ("rx_dropped", "tx_dropped", "rx_missed", "drop")


class Contents:
    """What each name holds in each version, and which versions may be seen now."""

    def __init__(self):
        self.acknowledged, self.publishing = [0] * NAMES, [0] * NAMES
        self.seen = [0] * NAMES
        self.versions_seen = set()

    @staticmethod
    def addresses(number, version):
        first = (45 << 24) + (number * VERSIONS + version % VERSIONS) * 256
        return [str(ipaddress.IPv4Address(first + 1 + 2 * k)) for k in range(PER_NAME)]

    @staticmethod
    def version_of(number, values):
        """The version that these addresses are, or None."""
        first = min(int(ipaddress.IPv4Address(value)) for value in values)
        version = (first - (45 << 24)) // 256 - number * VERSIONS
        wanted = Contents.addresses(number, version) if 0 <= version < VERSIONS else ()
        return version if sorted(values) == sorted(wanted) else None

    def check(self, message, query, asked):
        number, oldest = asked
        answer = merlon_dns.Answer(message, query)
        flags, = struct.unpack_from(">H", message, 2)
        name = merlon_dns.read_name(query, 12)[0].lower()
        if flags & ~0x0080 != 0x8500 or answer.authorities or not answer.answers or any(
                (owner.lower(), kind) != (name, "A") for owner, kind, _, _ in answer.answers):
            raise ValueError(f"{name}: flags {flags:#06x}, {answer.answers}")
        values = [value for value in answer.values() if value != e2e.TEST_ADDRESS4]
        version = self.version_of(number, values) if values else None
        if len(answer.answers) != PER_NAME + 1 or version is None:
            raise ValueError(f"{name} has {answer.values()}, which it never had")
        if not oldest <= version <= self.publishing[number]:
            raise ValueError(f"{name}: version {version}, when {oldest} was in force and "
                             f"{self.publishing[number]} the newest")
        if version < self.seen[number]:
            raise ValueError(f"{name} goes back from version {self.seen[number]} to {version}")
        self.seen[number] = version
        self.versions_seen.add((number, version))


class DatedProbe(Probe):
    """Knows what was in force when it asked."""

    def __init__(self, network, contents, seed):
        super().__init__(network, NAMES, contents.check, seed)
        self.contents = contents

    def _send(self, result):
        oldest = list(self.contents.acknowledged)
        super()._send(result)
        key = (self.count & 0xFFFF, FIRST_PORT + self.count % PORTS)
        sent, query, number = self.waiting[key]
        self.waiting[key] = (sent, query, (number, oldest[number]))


class Swap:
    def __init__(self, options, folder, network):
        self.options, self.folder, self.network = options, pathlib.Path(folder), network
        self.seconds = SMOKE_SECONDS if options.smoke else options.minutes * 60
        self.contents, self.faults, self.publishes, self.published_in = Contents(), [], 0, []
        queries = self.folder / "queries"
        queries.write_text("".join(f"n{i}.{answers.SUFFIX}. A\n" for i in range(NAMES)))
        self.loads = load.Loads(types.SimpleNamespace(
            network=network, names=NAMES, client_core=options.client_core,
            server_core=options.server_core, queries_kxdpgun=queries))

    def start(self, stack):
        endpoint = f"{SERVER}:53"
        data = {"engine": self.options.engine, "listen": [endpoint],
                "cores": [str(self.options.server_core)]}
        if self.options.engine == "dpdk":
            data.update(dpdk_ports=[f"af_xdp:{SERVER_LINK}"], dpdk_addresses=[SERVER])
        self.m = e2e.Merlon(self.folder / "m", control={"dns_listen": [endpoint]}, data=data)
        stack.callback(self.m.stop)
        with self.network.inside(self.network.server_name):
            self.m.start()
        self.m.add_device("all", ["198.18.0.0/24"])
        for number in range(NAMES):
            self.m.add_feed(f"n{number}", self.contents.addresses(number, 0))
        self.m.build()
        engine = self.m.data_command("status")["engine"]
        if engine != self.options.engine:
            raise Failure(f"this machine gives engine {engine}: {self.m.data.text()[-2000:]}")
        probe = DatedProbe(self.network, self.contents, 1)
        try:
            e2e.wait_until("a right answer", probe.ready)
        finally:
            probe.close()

    def publish(self):
        """The next generation, loaded when this returns."""
        started = time.monotonic()
        for k in range(CHANGED):
            number = (self.publishes * CHANGED + k) % NAMES
            version = self.contents.publishing[number] + 1
            self.contents.publishing[number] = version
            self.m.write_feed(f"n{number}", self.contents.addresses(number, version))
            self.m.ctl("feed", "refresh", f"n{number}")
        built = self.m.build()
        if built["dataplane_error"]:
            self.faults.append(f"load: {built['dataplane_error']}")
        self.contents.acknowledged = list(self.contents.publishing)
        self.publishes += 1
        self.published_in.append(time.monotonic() - started)

    def offer(self, rate, seconds, with_swaps):
        """kxdpgun at this rate, the prober beside it; perhaps a new generation every second."""
        probe = DatedProbe(self.network, self.contents, self.publishes + 2)
        try:
            with concurrent.futures.ThreadPoolExecutor(1) as pool, \
                    Beside(probe, self.options.client_core, PROBES) as beside:
                running = pool.submit(self.loads.run_kxdpgun, rate, seconds)
                due = time.monotonic()
                while with_swaps and not running.done():
                    self.publish()
                    due = max(due + PERIOD, time.monotonic())
                    concurrent.futures.wait([running], due - time.monotonic())
                got = running.result()
        finally:
            probe.close()
        if beside.result is None:
            raise Failure("the prober ended early")
        got["lost"] = got["queries"] - got["answers"]
        return got, beside.result

    def find_rate(self):
        """A share of what is answered when everything is offered; less until nothing is lost."""
        rate = self.options.rate or (SMOKE_RATE if self.options.smoke else 0)
        if not rate:
            most, _ = self.offer(load.EVERYTHING, TRIAL_SECONDS, with_swaps=False)
            rate = int(self.options.share * most["answers_per_s"])
        trials = []
        for _ in range(TRIALS):
            got, probed = self.offer(rate, TRIAL_SECONDS, with_swaps=False)
            trials.append({"rate": rate, "lost": got["lost"], "probe_lost": probed.lost})
            if got["lost"] == 0 and probed.lost == 0:
                break
            if not self.options.rate:
                rate = int(rate * STEP)
        return rate, trials

    def drops(self):
        """What is counted as lost on the way, by whom."""
        found = {}
        stats = self.m.data_command("stats")
        ports = stats.get("ports") or [{"counters": {}}]
        for name, value in {**stats["total"]["io"], **ports[0]["counters"]}.items():
            if value and any(word in name for word in (*WATCHED, "error", "exhausted")):
                found[name] = value
        with self.network.inside(self.network.server_name):
            text = self.link_drops()
        for name in ("rx_dropped", "tx_dropped"):
            found[f"link_{name}"] = text[name]
        return found

    @staticmethod
    def link_drops():
        """The link's counters, in the namespace of the calling thread."""
        for line in pathlib.Path("/proc/thread-self/net/dev").read_text().splitlines():
            name, _, values = line.partition(":")
            if name.strip() == SERVER_LINK:
                fields = values.split()
                return {"rx_dropped": int(fields[3]), "tx_dropped": int(fields[11])}
        return {"rx_dropped": 0, "tx_dropped": 0}

    def run(self, stack):
        self.start(stack)
        rate, trials = self.find_rate()
        before = self.drops()
        got, probed = self.offer(rate, self.seconds, with_swaps=True)
        after = self.drops()
        for what, number in (("kxdpgun: queries without an answer", got["lost"]),
                             ("the prober: queries without an answer", probed.lost),
                             ("the prober: wrong answers", probed.wrong_count)):
            if number:
                self.faults.append(f"{what}: {number}")
        if not got["answers"] or not probed.answered or len(self.contents.versions_seen) < 3:
            self.faults.append("too little happened to say anything")
        for process in (self.m.data, self.m.control):
            if not process.running():
                self.faults.append(f"{process.name} ended: {process.text()[-2000:]}")
        generation = self.m.data_command("status")["generation"]
        if generation != self.m.current():
            self.faults.append(f"generation {generation} is served, {self.m.current()} current")
        return {"part": "swap", "engine": self.options.engine, "seconds": self.seconds,
                "rate": rate, "trials": trials, "load_average": os.getloadavg(),
                "queries": got["queries"], "answers": got["answers"], "lost": got["lost"],
                "generations": self.publishes, "versions_seen": len(self.contents.versions_seen),
                "publish_slowest_s": round(max(self.published_in), 3),
                "probe": probed.json(), "slowest_answer_us": round(max(probed.latencies_us), 1),
                "drops": {k: v - before.get(k, 0) for k, v in after.items()
                          if v - before.get(k, 0)},
                "faults": self.faults}


def run(options):
    folder = tempfile.mkdtemp(prefix="merlon-soak-")
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        network = stack.enter_context(Network())
        return Swap(options, folder, network).run(stack)
