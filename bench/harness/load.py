# SPDX-License-Identifier: Apache-2.0
"""Offers load to a running server and finds the highest rate that it answers with hardly a loss."""

import re
import statistics
import time

from harness.machine import Failure, Sampler, program, run, shares
from harness.net import CLIENT_LINK, SERVER, SERVER_LINK
from harness.probe import Beside, Probe

LOSS_MAX = 0.001
EVERYTHING = 5_000_000  # more than the generator can send
BUSY = 0.93  # of a core: what is above is the bottleneck
OTHERS = 0.15  # of a core, used by other programs: above, the numbers say little
PROBES = 50  # a second, beside every load


class Loads:
    """The load clients against one server, which is started anew for each block of measurements."""

    def __init__(self, bench):
        self.bench = bench
        self.kxdpgun = program("kxdpgun")
        self.samples = []

    def offer(self, server, rate, seconds, probes=PROBES):
        """One run of kxdpgun, with a probe beside it. Gives the sample and keeps it."""
        probe = Probe(self.bench.network, self.bench.names, server.check, seed=len(self.samples))
        try:
            with self._sampler() as sampler:
                cpu = server.cpu_seconds()
                with Beside(probe, self.bench.client_core, probes) as beside:
                    got = self.run_kxdpgun(rate, seconds)
                cpu = server.cpu_seconds() - cpu
        finally:
            probe.close()
        if beside.result is None or beside.result.wrong_count:
            raise Failure(f"{server.name}: wrong answers under load: "
                          f"{beside.result and beside.result.json()}")
        got.update({"server": server.name, "client": "kxdpgun", "rate_offered": rate,
                    "probe": beside.result.json(),
                    **self._accounts(server, sampler, cpu, got["answers"])})
        self.samples.append(got)
        return got

    def run_kxdpgun(self, rate, seconds):
        words = self.bench.network.client_words(
            self.bench.client_core,
            [self.kxdpgun, "-t", seconds, "-Q", int(rate), "-F", self.bench.client_core, "-i",
             self.bench.queries_kxdpgun, "-I", CLIENT_LINK, SERVER])
        text = ""
        for _ in range(10):
            text = run(words)
            # Its queue of the run before is freed a moment after that run's end.
            if "total queries" in text:
                break
            time.sleep(0.1)
        else:
            raise Failure(f"kxdpgun does not start: {text}")
        sent = re.search(r"total queries: +(\d+) \((\d+) pps\)", text)
        replies = re.search(r"total replies: +(\d+) \((\d+) pps\)", text)
        queries, answers = int(sent.group(1)), int(replies.group(1))
        return {"queries": queries, "answers": answers, "queries_per_s": int(sent.group(2)),
                "answers_per_s": int(replies.group(2)),
                "loss": max(0.0, 1 - answers / queries) if queries else 1.0,
                "command": " ".join(words)}

    def dnsperf(self, server, seconds):
        words = self.bench.network.client_words(
            self.bench.client_core,
            [program("dnsperf"), "-s", SERVER, "-p", "53", "-d", self.bench.queries_dnsperf, "-l",
             seconds, "-c", "8", "-q", "256", "-t", "1"])
        probe = Probe(self.bench.network, self.bench.names, server.check, seed=len(self.samples))
        try:
            with self._sampler() as sampler:
                cpu = server.cpu_seconds()
                with Beside(probe, self.bench.client_core, PROBES) as beside:
                    text = run(words)
                cpu = server.cpu_seconds() - cpu
        finally:
            probe.close()
        completed = int(re.search(r"Queries completed: +(\d+)", text).group(1))
        codes = re.search(r"Response codes: +(.*)", text).group(1)
        if beside.result.wrong_count or codes != f"NOERROR {completed} (100.00%)":
            raise Failure(f"{server.name}: wrong answers to dnsperf: {codes}, "
                          f"{beside.result.json()}")
        took = float(re.search(r"Run time \(s\): +([\d.]+)", text).group(1))
        got = {"server": server.name, "client": "dnsperf", "answers": completed, "seconds": took,
               "answers_per_s": completed / took, "probe": beside.result.json(),
               "average_latency_us": 1e6 * float(
                   re.search(r"Average Latency \(s\): +([\d.]+)", text).group(1)),
               "lost": int(re.search(r"Queries lost: +(\d+)", text).group(1)),
               "command": " ".join(words), **self._accounts(server, sampler, cpu, completed)}
        self.samples.append(got)
        return got

    def _sampler(self):
        network = self.bench.network
        return Sampler(lambda: network.packets(SERVER_LINK),
                       lambda: network.enter(network.server_name))

    def _accounts(self, server, sampler, cpu, answers):
        """What both cores did while the traffic flowed, and who held the other up."""
        window = sampler.loaded(0)
        if window is None:
            return {"server_core": 0.0, "client_core": 0.0, "bottleneck": "no traffic"}
        busy = shares(*window)
        own, client = busy[self.bench.server_core], busy[self.bench.client_core]
        took = window[1][0] - window[0][0]
        rate = (window[1][2][1] - window[0][2][1]) / took  # what left the server's link
        return {"server_core": round(own[0], 3), "server_core_softirq": round(own[1], 3),
                "client_core": round(client[0], 3), "client_core_softirq": round(client[1], 3),
                "server_process_cpu_s": round(cpu, 3),
                "server_core_us_per_answer": round(1e6 * own[0] / rate, 4) if rate else None,
                "both_cores_us_per_answer": round(1e6 * (own[0] + client[0]) / rate, 4)
                if rate else None,
                "window_s": round(took, 2), "bottleneck": bottleneck(own[0], client[0],
                                                                     server.polls)}


def bottleneck(server, client, polls):
    if polls:
        return "client core" if client >= BUSY else "server core, or waiting (it polls)"
    if server >= BUSY and client >= BUSY:
        return "both cores"
    if server >= BUSY:
        return "server core"
    return "client core" if client >= BUSY else "neither core: queues"


class Search:
    """Finds the highest rate at no more than LOSS_MAX. A machine stumbles now and then, so a rate
    counts as carried when one of `tries` runs carries it. When `budget_s` is used up it looks no
    closer, and takes the first rate that it finds carried."""

    REACHED = 0.97  # of the rate asked for: below, the generator gave no more

    def __init__(self, loads, seconds, budget_s, tries=2):
        self.loads, self.seconds, self.tries = loads, seconds, tries
        self.until = time.monotonic() + budget_s

    def _late(self):
        return time.monotonic() > self.until

    def everything(self, server):
        return self.loads.offer(server, EVERYTHING, self.seconds)

    def carries(self, server, rate):
        """(the best sample at the rate, whether it was carried, whether it was sent in full)"""
        best = None
        for _ in range(self.tries):
            got = self.loads.offer(server, rate, self.seconds)
            if best is None or self._rank(got) > self._rank(best):
                best = got
            if self._late() or (got["loss"] <= LOSS_MAX
                                and got["queries_per_s"] >= self.REACHED * rate):
                break
        return (best, best["loss"] <= LOSS_MAX, best["queries_per_s"] >= self.REACHED * rate)

    @staticmethod
    def _rank(sample):
        carried = sample["loss"] <= LOSS_MAX
        return carried, sample["answers_per_s"] if carried else -sample["loss"]

    def whole(self, server, steps):
        """From what is answered when everything is sent, down or up and then between."""
        most = self.everything(server)
        if most["loss"] <= LOSS_MAX:
            return {"most": most, "best": most}
        best, failed = self._walk(server, most["answers_per_s"] * 0.97, 0.9, 1.08)
        for _ in range(steps):
            if best is None or failed is None or self._late():
                break
            rate = (best["rate_offered"] * failed) ** 0.5
            got, carried, _ = self.carries(server, rate)
            if carried:
                best = got
            else:
                failed = rate
        return {"most": most, "best": best}

    def near(self, server, rate):
        """Where it was found before, give or take a few steps."""
        return self._walk(server, rate, 0.96, 1.03)[0]

    def _walk(self, server, rate, down, up):
        """(best carried sample or None, lowest rate that was not carried or None)"""
        got, carried, sent = self.carries(server, rate)
        best, failed = (got, None) if carried else (None, rate)
        while carried and sent and not self._late():
            rate *= up
            got, carried, sent = self.carries(server, rate)
            if carried and got["answers_per_s"] > best["answers_per_s"]:
                best = got
            if not carried:
                failed = rate
        for _ in range(8):
            if best is not None:
                break
            failed = rate
            rate *= down ** 3 if self._late() else down
            got, carried, _ = self.carries(server, rate)
            best = got if carried else None
        return best, failed


def others_share(seconds=0.5):
    """What other programs use of the processors, measured while we do nothing."""
    with Sampler(lambda: (0,)) as sampler:
        time.sleep(seconds)
    return sum(share[0] for share in shares(sampler.rows[0], sampler.rows[-1]).values())


def median(values):
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None
