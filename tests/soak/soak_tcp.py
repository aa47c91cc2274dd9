# SPDX-License-Identifier: Apache-2.0
"""DNS over TCP and TLS under good and bad clients at once, then under kxdpgun's modes of abuse.

Right is: every answer of a good client is right to the last byte and comes within BOUND; who may
not see a list sees nothing of it; when all is over the server has its memory and descriptors back,
and while it lasts no more than its limits allow. A new generation comes every second meanwhile.

All is asked over the loopback of a namespace of our own; kxdpgun comes over a veth pair, from an
address that no kernel knows, so that its peers really fall silent. Where there are no namespaces
that part is left out, and said to be."""

import ast
import contextlib
import os
import pathlib
import re
import resource
import select
import shutil
import signal
import subprocess
import tempfile
import time

import merlon_dns
import merlon_e2e as e2e
import tcp_clients
from harness.machine import Failure, Missing, program
from harness.machine import run as run_words
from harness.net import CLIENT_LINK, SERVER, SERVER_LINK, Network
from tcp_test import make_pair

LIST = 4000
BOUND = 2.0  # seconds until a good client has its answer
CYCLE = 30.0  # seconds of clients, then quiet, in which all must come back
SMOKE_SECONDS = 8.0
SETTLE = 40.0  # time-outs of the server are 5 and 10 s
MEMORY_SLACK_KIB = 64 << 10  # what the allocator keeps, once
GROWTH_KIB = 12 << 10  # from the first cycle's end to the last one's
CONNECTION_KIB = 70  # per connection that waits for its client, with TLS
DESCRIPTOR_SLACK = 8  # the store's own files
PER_SOURCE, TOTAL = 300, 2500
GOOD, OTHER, NOBODY, BAD = "127.0.0.1", "127.0.0.9", "127.0.0.200", "127.1.0"
# kxdpgun's modes ("": it behaves), and what they ask for; as of Knot DNS 3.2.
MODES = {"": "small", "1": "small", "2": "small", "3": "large", "5": "large", "7": "large",
         "8": "large", "9": "small"}
GUN_RATE, GUN_SECONDS = 1500, 3


class Soak:
    def __init__(self, options, folder, network):
        self.options, self.folder, self.network = options, pathlib.Path(folder), network
        self.faults, self.left_out = [], {}
        self.publishes, self.waits = 0, []
        self.counts = {}
        self.m, self.plan, self.addresses, self.start_usage = None, {}, [], {}

    # The server.

    def start(self, stack):
        port, tls_port = e2e.free_port(), e2e.free_port()
        certificate, key = make_pair(self.folder, "soak.test")
        listen = [f"127.0.0.1:{port}"] + ([f"{SERVER}:{port}"] if self.network else [])
        self.m = e2e.Merlon(self.folder / "m", control={
            "dns_listen": listen, "dot_listen": [f"127.0.0.1:{tls_port}"],
            "tls_certificate_file": str(certificate), "tls_key_file": str(key),
            "dns_connections": TOTAL, "dns_connections_per_source": PER_SOURCE},
            data={"listen": [f"127.0.0.1:{port}"]})
        self.m.port = port
        stack.callback(self.m.stop)
        if self.network:
            stack.enter_context(self.network.inside(self.network.server_name))
        self.m.start()
        m = self.m
        m.add_device("fw", [GOOD, "198.18.0.0/24"], "acme")
        m.add_device("bad", ["127.1.0.0/16"], "acme")
        m.add_device("other", [OTHER], "zeta")
        self.addresses = [f"45.1.{i // 200}.{i % 200 + 1}" for i in range(LIST - 1)]
        m.add_feed("live", self.addresses)
        m.add_feed("few", self.addresses[:3])
        m.add_feed("flip", tcp_clients.flip_addresses(0))
        m.ctl("custom-list", "add", "acme", "private", "--direction", "block")
        m.ctl("entry", "add", "acme", "private", "bad1.badnames.com")
        m.ctl("policy", "add", "acme", "names", "--kind", "dns", "--list", "private")
        m.build()
        self.plan = {"server": (GOOD, port), "tls_server": (GOOD, tls_port),
                     "per_source": PER_SOURCE}
        self.plan.update({role: f"{name}.{e2e.SUFFIX}" for role, name in (
            ("large", "live"), ("small", "few"), ("flip", "flip"))})
        self.plan["private"] = tuple(
            (name, qtype) for name in ("names.rpz.acme.merlon.internal",
                                       "bad1.badnames.com.names.rpz.acme.merlon.internal",
                                       "acme.merlon.internal") for qtype in ("A", "SOA", 252))
        self.plan["references"] = self.references()

    def references(self):
        """One answer of each name, read record by record."""
        found = {}
        for role, values in (("large", self.addresses), ("small", self.addresses[:3])):
            name = self.plan[role]
            answer = self.m.tcp(name, "A", edns=None)
            if sorted(answer.values("A")) != sorted([*values, e2e.TEST_ADDRESS4]):
                raise Failure(f"{name} has {len(answer.answers)} records, not {len(values) + 1}")
            found[name] = answer.wire[2:]
        private = self.m.tcp("bad1.badnames.com.names.rpz.acme.merlon.internal", "CNAME")
        if private.rcode != "NOERROR" or not private.answers:
            raise Failure(f"the account does not see its own policy: {private.rcode}")
        return found

    def publish(self):
        self.publishes += 1
        self.m.write_feed("flip", tcp_clients.flip_addresses(self.publishes))
        self.m.ctl("feed", "refresh", "flip")
        built = self.m.build()
        if built["dataplane_error"]:
            self.faults.append(f"load: {built['dataplane_error']}")

    # What the process holds.

    def usage(self):
        folder = pathlib.Path(f"/proc/{self.m.control.pid}")
        status = (folder / "status").read_text()
        sockets = descriptors = 0
        for entry in (folder / "fd").iterdir():
            with contextlib.suppress(OSError):
                descriptors += 1
                sockets += os.readlink(entry).startswith("socket:")
        return {"rss_kib": int(re.search(r"VmRSS:\s+(\d+)", status).group(1)),
                "descriptors": descriptors, "sockets": sockets}

    def closes(self):
        rows = self.metrics("merlon_tcp_closes_total")
        return {re.search(r'reason="(\w+)"', row).group(1): int(float(row.split()[-1]))
                for row in rows}

    def metrics(self, name):
        text = self.m.run("curl", "-s", "--unix-socket", self.m.api_socket,
                          "http://x/metrics")
        return [line for line in text.splitlines() if line.startswith(name)]

    def settle(self, before):
        """Waits until every connection is gone and says what is left."""
        deadline = time.monotonic() + SETTLE * e2e.FACTOR
        while True:
            got = self.usage()
            back = (got["sockets"] <= before["sockets"]
                    and got["descriptors"] <= before["descriptors"] + DESCRIPTOR_SLACK)
            if back or time.monotonic() > deadline:
                break
            time.sleep(0.2)
        if not back:
            self.faults.append(f"descriptors are not back: {got}, at the start {before}")
        if got["rss_kib"] > before["rss_kib"] + MEMORY_SLACK_KIB:
            self.faults.append(f"memory is not back: {got}, at the start {before}")
        return got

    # Clients.

    def mix(self, seconds, seed):
        """Good and bad clients at once; the most that the server held meanwhile."""
        plan = tcp_clients.Plan(**self.plan, seed=seed, until=time.monotonic() + seconds)
        roles = [lambda: tcp_clients.Good(plan, GOOD).run(),
                 lambda: tcp_clients.strangers(plan, (OTHER, NOBODY)),
                 lambda: tcp_clients.Bad(plan, BAD).run()]
        running = [tcp_clients.fork(role) for role in roles]
        results, most = {}, self.usage()
        next_publish = time.monotonic()
        while len(results) < len(running):
            open_pipes = [pipe for _, pipe in running if pipe not in results]
            for pipe in select.select(open_pipes, [], [], 0.2)[0]:
                with os.fdopen(pipe, "rb") as stream:
                    results[pipe] = stream.read()
            most = {key: max(most[key], value) for key, value in self.usage().items()}
            if plan.running() and time.monotonic() >= next_publish:
                next_publish = time.monotonic() + 1
                self.publish()
        for pid, pipe in running:
            status = os.waitpid(pid, 0)[1]
            if status or not results[pipe]:
                self.faults.append(f"a client process ended with {status}")
                continue
            self.take(ast.literal_eval(results[pipe].decode()))
        return most

    def take(self, got):
        self.faults += got.pop("faults")[:20]
        self.waits += got.pop("waits", [])
        for key, value in got.items():
            self.counts[key] = self.counts.get(key, 0) + value

    def ordinary_client(self, when, inside=None):
        """A client as any other: at once, and all of the list."""
        place = self.network.inside(inside) if inside else contextlib.nullcontext()
        started = time.monotonic()
        try:
            with place:
                query = merlon_dns.make_query(self.plan["large"], "A", edns=None)
                host = SERVER if inside else GOOD
                answer = merlon_dns.ask_tcp((host, self.m.port), query, timeout=10)
                if answer.wire[2:] != self.plan["references"][self.plan["large"]]:
                    raise ValueError("the list is not what it is")
        except (OSError, ValueError) as error:
            self.faults.append(f"an ordinary client {when}: {error!r}")
        took = time.monotonic() - started
        if took > BOUND * e2e.FACTOR:
            self.faults.append(f"an ordinary client {when} waited {took:.2f} s")
        self.waits.append(took)
        return round(1000 * took, 1)

    # kxdpgun.

    def guns(self, before):
        if self.network is None:
            return {}
        rows = {}
        for number, (mode, asked) in enumerate(MODES.items()):
            source = f"198.18.0.{100 + number}"  # a limit of its own
            run_words([self.network.ip, "-n", self.network.server_name, "neigh", "replace", source,
                       "lladdr", self.network.client_mac, "dev", SERVER_LINK, "nud", "permanent"])
            rows[mode or "normal"] = self.gun(mode, asked, source)
        got = self.settle(before)
        return {"modes": rows, "after": got}

    def gun(self, mode, asked, source):
        """One mode, with an ordinary client again and again beside it, and another afterwards."""
        queries = self.folder / f"queries-{asked}"
        queries.write_text(f"{self.plan[asked]} A\n")
        seconds = 1 if self.options.smoke else GUN_SECONDS
        words = [self.network.ip, "netns", "exec", self.network.client_name, program("kxdpgun"),
                 f"-T{mode}", "-t", str(seconds), "-Q", str(GUN_RATE), "-p", str(self.m.port),
                 "-i", str(queries), "-I", CLIENT_LINK, "-l", source, SERVER]
        beside, most, text = [], self.usage(), ""
        for _ in range(20):
            with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True) as gun:
                while gun.poll() is None:
                    beside.append(self.ordinary_client(f"beside kxdpgun -T{mode}"))
                    most = {key: max(most[key], value) for key, value in self.usage().items()}
                    time.sleep(0.05)
                text = gun.stdout.read()
            if "total" in text:
                break
            time.sleep(0.2)  # the queue of the run before is freed a moment after its end
        else:
            raise Failure(f"kxdpgun does not start: {text}")
        after = self.ordinary_client(f"after kxdpgun -T{mode}", self.network.client_name)
        numbers = dict(re.findall(r"total ([a-z -]+): +(\d+)", text.lower()))
        if mode == "" and int(numbers.get("replies", 0)) < 0.9 * int(numbers.get("syns", 1)):
            self.faults.append(f"kxdpgun -T: {numbers}")
        self.judge_most(most, f"kxdpgun -T{mode}")
        return {**{key: int(value) for key, value in numbers.items()}, **most,
                "beside_most_ms": max(beside), "after_ms": after}

    def judge_most(self, most, when):
        allowed = self.start_usage["rss_kib"] + MEMORY_SLACK_KIB + CONNECTION_KIB * TOTAL
        if most["rss_kib"] > allowed:
            self.faults.append(f"{when}: {most['rss_kib']} KiB resident, more than {allowed}")
        if most["sockets"] > self.start_usage["sockets"] + TOTAL + 64:
            self.faults.append(f"{when}: {most['sockets']} sockets, more than the limits allow")

    # All of it.

    def run(self, stack):
        self.start(stack)
        self.start_usage = self.usage()
        pid = self.m.control.pid
        total = SMOKE_SECONDS if self.options.smoke else self.options.minutes * 60
        until, cycles = time.monotonic() + total, []
        while not cycles or time.monotonic() < until:
            seconds = min(CYCLE, max(SMOKE_SECONDS, until - time.monotonic()))
            most = self.mix(seconds, self.options.seed + len(cycles))
            self.judge_most(most, "clients")
            cycles.append({"most": most, "quiet": self.settle(self.start_usage)})
        grown = cycles[-1]["quiet"]["rss_kib"] - cycles[0]["quiet"]["rss_kib"]
        if grown > GROWTH_KIB:
            self.faults.append(f"memory grows: {grown} KiB from the first cycle to the last")
        guns = self.guns(self.start_usage)
        self.judge(pid)
        waits = sorted(self.waits) or [0.0]
        return {"part": "tcp", "seed": self.options.seed, "seconds": round(total),
                "load_average": os.getloadavg(), "counts": self.counts,
                "wait_p50_ms": round(1000 * waits[len(waits) // 2], 2),
                "wait_p99_ms": round(1000 * waits[int(len(waits) * 0.99)], 2),
                "wait_most_ms": round(1000 * waits[-1], 1), "generations": self.publishes,
                "start": self.start_usage, "cycles": [cycles[0], cycles[-1]], "kxdpgun": guns,
                "closes": {key: value for key, value in self.closes().items() if value},
                "left_out": self.left_out, "faults": self.faults}

    def judge(self, pid):
        late = sum(wait > BOUND * e2e.FACTOR for wait in self.waits)
        if late:
            self.faults.append(f"{late} answers came later than {BOUND * e2e.FACTOR} s")
        for process in (self.m.data, self.m.control):
            if not process.running():
                self.faults.append(f"{process.name} ended: {process.text()[-2000:]}")
        if self.m.control.pid != pid:
            self.faults.append("the control plane was started again")
        closes = self.closes()
        expected = ["client_reset", "message_timeout", "limit_source"]
        if not self.options.smoke:
            expected += ["write_stalled", "handshake_timeout"]
        happened = [key for key in ("answers", "tls_connections", "refused", "versions",
                                    "beyond_limits_closed") if not self.counts.get(key)]
        happened += [key for key in expected if not closes.get(key)]
        cut = self.counts.get("slow_reader_cut_off", 0)
        if cut:
            self.faults.append(f"{cut} clients that read 10 kB/s were cut off")
        if happened:
            self.faults.append(f"too little happened to say anything: none of {happened}")


def run(options):
    folder = tempfile.mkdtemp(prefix="merlon-soak-")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        network, why = None, ""
        try:
            program("kxdpgun")
            network = stack.enter_context(Network())
        except Missing as missing:
            network, why = None, str(missing)
        soak = Soak(options, folder, network)
        if why:
            soak.left_out["kxdpgun"] = why
        return soak.run(stack)
