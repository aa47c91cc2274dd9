#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Draws offered rate against loss and latency: plot.py FILE, with {"loss_max", "points"} as JSON on
standard input. A program of its own, because matplotlib belongs to Debian's Python."""

import json
import sys

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

LEAST_LOSS = 1e-5  # what no loss at all is drawn as, on a logarithmic axis


def main():
    data = json.load(sys.stdin)
    figure, (loss, latency) = pyplot.subplots(2, 1, sharex=True, figsize=(9, 8))
    for name in dict.fromkeys(point["server"] for point in data["points"]):
        own = sorted((point for point in data["points"] if point["server"] == name),
                     key=lambda point: point["rate"])
        rates = [point["rate"] / 1000 for point in own]
        line, = loss.plot(rates, [100 * max(point["loss"], LEAST_LOSS) for point in own], ".-",
                          label=name, linewidth=1)
        latency.plot(rates, [point["p99_us"] for point in own], ".-", linewidth=1,
                     color=line.get_color())
    loss.axhline(100 * data["loss_max"], color="gray", linestyle=":")
    loss.set_ylabel("queries without answer, %")
    loss.legend(fontsize="small")
    latency.set_ylabel("p99 of the probe beside the load, us")
    latency.set_xlabel("offered, thousand queries a second")
    for axes in (loss, latency):
        axes.set_yscale("log")
        axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(sys.argv[1])


if __name__ == "__main__":
    main()
