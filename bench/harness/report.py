# SPDX-License-Identifier: Apache-2.0
"""What was measured, as tables for people and as a picture."""

import json
import pathlib
import subprocess

from harness.load import LOSS_MAX, median
from harness.machine import Failure, Missing


def number(value, digits=0):
    return "-" if value is None else f"{value:,.{digits}f}"


def share(value):
    return "-" if value is None else f"{value:.0%}"


def table(title, header, rows):
    widths = [max(len(str(row[i])) for row in [header, *rows]) for i in range(len(header))]
    print(f"\n{title}")
    for row in [header, *rows]:
        print("  ".join(str(cell).ljust(width) if i == 0 else str(cell).rjust(width)
                        for i, (cell, width) in enumerate(zip(row, widths))).rstrip())
    print(end="", flush=True)


def loads(results):
    """One line per server: `results` is {server: {...}} as bench/run keeps it."""
    header = ("server", f"answers/s at <= {LOSS_MAX:.1%} loss", "least", "most", "all sent",
              "p50 us", "p99 us", "p99.9 us", "us/answer", "server", "softirq", "client",
              "UDP sum", "bottleneck")
    rows = []
    for name, got in results.items():
        best = got["best"]
        rates = [one["answers_per_s"] for one in best]
        latency = got.get("latency", {}).get("probe", {})
        sums = sorted({kind for one in best for kind in one["probe"]["udp_checksums"]})
        core = median([one["server_core"] for one in best])
        rows.append((
            name, number(median(rates)), number(min(rates, default=None)),
            number(max(rates, default=None)),
            number(median([one["answers_per_s"] for one in got["most"]])),
            number(latency.get("p50_us"), 1), number(latency.get("p99_us"), 1),
            number(latency.get("p99.9_us"), 1),
            number(median([one.get("server_core_us_per_answer") for one in best]), 2),
            share(core), share(median([one.get("server_core_softirq") for one in best])),
            share(median([one["client_core"] for one in best])), ", ".join(sums),
            most_frequent(one["bottleneck"] for one in best)))
    table("UDP over a veth pair, kxdpgun (rates: median, least and most of the rounds; latency at "
          "half of the rate)", header, rows)


def most_frequent(words):
    words = list(words)
    return max(set(words), key=words.count) if words else "-"


def dnsperf(results):
    header = ("server", "answers/s", "average us", "us/answer", "server", "client", "bottleneck")
    table("UDP over a veth pair, dnsperf (closed loop, 256 outstanding)", header, [
        (name, number(median([one["answers_per_s"] for one in got])),
         number(median([one["average_latency_us"] for one in got]), 1),
         number(median([one.get("server_core_us_per_answer") for one in got]), 2),
         share(median([one["server_core"] for one in got])),
         share(median([one["client_core"] for one in got])),
         most_frequent(one["bottleneck"] for one in got)) for name, got in results.items()])


def tcp(got):
    header = ("server", "reading", "connections x queries", "answers/s", "Gbit/s", "CPU us/answer",
              "server", "client", "bottleneck")
    rows = []
    for name, every in got["samples"].items():
        for shape in dict.fromkeys(one["shape"] for one in every):
            own = [one for one in every if one["shape"] == shape]

            def middle(key, factor=1, own=own):
                return median([factor * one[key] for one in own if key in one])
            rows.append((
                name, own[0].get("read", "copy"),
                f"{own[0]['connections']} x {own[0].get('pipeline', '-')}",
                number(middle("answers_per_s")), number(middle("bytes_per_s", 8e-9), 1),
                number(middle("server_process_us_per_answer"), 1), share(middle("server_core")),
                share(middle("client_core")), most_frequent(one["bottleneck"] for one in own)))
    table(f"TCP over a {got['path']}, one name with 4000 A, merlon-tcp-load", header, rows)
    if got["held"]:
        header = ("server", "idle", "slow", "refused", "lost", "new clients", "failed", "p50 us",
                  "p99 us", "most us", "RSS MiB before", "most")
        table("A new client (connect, query, whole answer) beside held connections", header, [
            (one["server"], number(one["idle"]), number(one["slow"]), number(one["refused"]),
             number(one["lost"]), number(one["probes"]), number(one["failed"]),
             number(one["p50_us"]), number(one["p99_us"]), number(one["most_us"]),
             number(one["rss_before_kib"] / 1024, 1), number(one["rss_most_kib"] / 1024, 1))
            for one in got["held"]])


def memory(got):
    header = ("program", "million/s", "least", "most", "ns each", "ns without I/O", "core")
    rows = []
    io_ns = 1e9 / median([one["answers_per_s"] for one in got["rounds"]["testpmd-macswap"]])
    for name, rounds in got["rounds"].items():
        rates = [one["answers_per_s"] for one in rounds]
        own_ns = 1e9 / median(rates)
        rows.append((name, number(median(rates) / 1e6, 2), number(min(rates) / 1e6, 2),
                     number(max(rates) / 1e6, 2), number(own_ns, 1), number(own_ns - io_ns, 1),
                     share(median([one["cpu"] for one in rounds]))))
    table(f"Packet path alone, one core: {got['packets']:,} packets, {got['names']:,} names, "
          f"{got['sources']:,} source prefixes; {got['judged_replies']:,} replies compared byte "
          "by byte", header, rows)
    stages = got["rounds"]["merlon-dpdk"][-1].get("stages")
    if stages:
        columns = [key for key in stages[0] if key != "stage"]
        table("merlon-dpdk by stage", ("stage", *columns),
              [(one["stage"], *(cell(one[key]) for key in columns)) for one in stages])


def cell(value):
    return number(value, 1) if isinstance(value, float) else str(value)


def plot(path, samples):
    """Offered rate against loss and latency, drawn by the Python that Debian's packages are for."""
    points = [{"server": one["server"], "rate": one["queries_per_s"], "loss": one["loss"],
               "p99_us": one["probe"].get("p99_us")} for one in samples
              if one["client"] == "kxdpgun" and one["queries_per_s"]]
    script = pathlib.Path(__file__).with_name("plot.py")
    done = subprocess.run(["/usr/bin/python3", script, path], capture_output=True, text=True,
                          input=json.dumps({"loss_max": LOSS_MAX, "points": points}), check=False)
    if "No module named 'matplotlib'" in done.stderr:
        raise Missing("python3-matplotlib is not installed: tools/setup test")
    if done.returncode != 0:
        raise Failure(f"{path} was not drawn\n{done.stderr}")
