# SPDX-License-Identifier: Apache-2.0
"""Damaged frames into the dpdk engine on net_af_xdp behind our filter, with everything on: cookies,
the rate limit (dry run), the slow path to a real control plane.

Right is: merlon-frame-storm finds no violation (judge.h says what one is); known-good queries of a
real client are answered rightly all along; the process lives, says nothing of errors, and does not
grow; every message received is in exactly one outcome."""

import contextlib
import json
import pathlib
import re
import shutil
import tempfile
import threading
import time

import merlon_dns
import merlon_e2e as e2e
import merlon_net as net
from harness.machine import Missing, run as run_program

LISTS = {"live": ["45.1.1.1", "45.1.1.2"], "small": ["45.2.1.1"],
         "medium": [f"45.4.1.{2 * i}" for i in range(50)],
         "large": [f"45.3.{i // 250}.{2 * (i % 250) % 255}" for i in range(1, 3001, 2)]}
SMOKE_SECONDS = 5
WARM_UP = 60  # seconds, at most a third of the run
GROWTH_MAX = 1024  # KiB of the data plane's memory after the warm-up
SILENCE_MAX = 10  # seconds within which a known-good query must be answered once
BAD_WORDS = re.compile(r"\berror|\bwarn|assert|fatal|panic|sanitizer|abort", re.IGNORECASE)
# What becomes of a message besides an outcome.
SIDEWAYS = ("drop_no_snapshot",)


class Frames:
    def __init__(self, options, folder):
        self.options, self.folder = options, pathlib.Path(folder)
        self.seconds = SMOKE_SECONDS if options.smoke else options.minutes * 60
        self.faults, self.memory, self.slowest, self.asked, self.again = [], [], 0.0, 0, 0
        self.done = threading.Event()
        self.storm_program = next(
            (path for path in (options.bin / "merlon-frame-storm",
                               options.release / "merlon-frame-storm") if path.exists()), None)
        if self.storm_program is None:
            raise Missing("merlon-frame-storm is not built: cmake --build --preset release "
                          "--target merlon-frame-storm")

    def fault(self, text):
        if len(self.faults) < 20:
            self.faults.append(text)

    def start(self, stack):
        self.wire = net.Wire()
        stack.callback(self.wire.close)
        endpoints = [f"{net.SERVER4}:53", f"[{net.SERVER6}]:53"]
        self.m = e2e.Merlon(self.folder / "m", control={"dns_listen": endpoints}, data={
            "engine": "dpdk", "listen": endpoints, "dpdk_ports": [f"af_xdp:{net.SERVER}"],
            "dpdk_addresses": [net.SERVER4, net.SERVER6], "dpdk_huge_pages": "no",
            "cookies": True, "rate_limit": 100, "rate_limit_dry_run": True, "identity": "soak"})
        self.m.port = 53
        stack.callback(self.m.stop)
        self.m.start()
        self.m.add_device("fw1", [f"{net.SERVER4.rpartition('.')[0]}.0/24", "2001:db8::/120"])
        for name, addresses in LISTS.items():
            self.m.add_feed(name, addresses)
        self.m.build()
        self.expected = sorted(LISTS["live"] + [e2e.TEST_ADDRESS4])
        self.ask_known_good()
        if self.asked != 2 or self.faults:
            raise AssertionError(f"no start: {self.faults}\n{self.m.data.text()}")

    def ask_known_good(self):
        """Once over each family. A datagram may be lost to a full queue, an answer never wrong."""
        for server in (net.SERVER4, net.SERVER6):
            started = time.monotonic()
            while True:
                try:
                    answer = self.wire.client.call(
                        merlon_dns.ask_udp, (server, 53),
                        merlon_dns.make_query("live.merlon.internal", "A"), None, 0.5)
                    if answer.rcode != "NOERROR" or sorted(answer.values()) != self.expected:
                        self.fault(f"known-good query to {server}: {answer.rcode} "
                                   f"{answer.values()}")
                    break
                except (OSError, ValueError) as error:
                    self.again += 1
                    if isinstance(error, ValueError):
                        self.fault(f"known-good query to {server}: {error}")
                        break
                    if time.monotonic() - started > SILENCE_MAX:
                        self.fault(f"known-good query to {server}: no answer within "
                                   f"{SILENCE_MAX} s")
                        break
            self.asked += 1
            self.slowest = max(self.slowest, time.monotonic() - started)

    def watch(self, started):
        """Every second, in a thread of its own."""
        while not self.done.wait(1):
            if not self.m.data.running():
                self.fault(f"the data plane ended with {self.m.data.popen.returncode}")
                return
            if not self.m.control.running():
                self.fault(f"the control plane ended with {self.m.control.popen.returncode}")
                return
            self.ask_known_good()
            self.memory.append((time.monotonic() - started, resident(self.m.data.pid),
                                resident(self.m.control.pid)))

    def storm(self, seconds, *flags):
        capture = []
        with contextlib.suppress(Exception):  # one more source of seeds, when it is built
            path = self.folder / "capture.pcap"
            run_program([self.options.bin / "merlon-bench-packets", "--names", 1000, "--sources",
                         1000, "--packets", 1000, "--pcap", path])
            capture = ["--pcap", path]
        words = [self.storm_program, "--interface", net.CLIENT,
                 "--server-mac", self.wire.mac(self.wire.server, net.SERVER).hex(":"),
                 "--client-mac", self.wire.mac(self.wire.client, net.CLIENT).hex(":"),
                 "--corpus", self.options.root / "tests/fuzz/corpus", *capture,
                 "--seconds", seconds, "--rate", self.options.rate, "--seed", self.options.seed,
                 *flags]
        for name in (*LISTS, "basic"):
            words += ["--name", f"{name}.merlon.internal."]
        for address in (net.CLIENT4, net.CLIENT6):
            words += ["--bystander", address]
        log = self.folder / "storm.json"
        log.unlink(missing_ok=True)
        process = e2e.Process(log, words,
                              preexec_fn=self.wire.client.enter)
        try:
            status = process.popen.wait(seconds + 120)
        finally:
            process.end()
        text = process.text()
        if status not in (0, 1) or not text.startswith("{"):
            raise AssertionError(f"merlon-frame-storm: exit status {status}\n{text[-2000:]}")
        return json.loads(text)

    def check_judge(self):
        """A judge that is told wrongly who is a device and what fits UDP must complain."""
        for flags in (("--device4", "198.51.100.0", "--stranger4", "192.0.2.0"),
                      ("--udp-size-max", 513)):
            if not self.storm(0.5, *flags)["violations"]:
                self.fault(f"the judge sees nothing with {flags}")

    def settled_stats(self):
        """The counters when nothing moves any more."""
        def still():
            first = self.m.data_command("stats")
            time.sleep(0.3)
            second = self.m.data_command("stats")
            return second if first["total"] == second["total"] else None
        return e2e.wait_until("counters at rest", still, 20)

    def check_counters(self, stats):
        io, outcomes = stats["total"]["io"], stats["total"]["outcomes"]
        accounted = sum(outcomes.values()) + sum(io[name] for name in SIDEWAYS)
        if accounted != io["rx_packets"]:
            self.fault(f"{io['rx_packets']} messages received, {accounted} accounted for")
        ended = sum(io[name] for name in ("slow_path_replies", "slow_path_expired",
                                          "slow_path_lost"))
        if outcomes["relayed"] != ended:
            self.fault(f"{outcomes['relayed']} relayed, {ended} of them came to an end")
        port = stats["ports"][0]["counters"]
        frames = (io["rx_packets"] + io["drop_receive_truncated"] + io["drop_not_ours"]
                  + io["drop_source_port_zero"]
                  + sum(value for name, value in io.items() if name.startswith("drop_frame_")))
        if port["rx_packets"] != frames:
            self.fault(f"the port gave {port['rx_packets']} frames, {frames} are accounted for")
        replies = io["rx_packets"] - sum(io[name] for name in SIDEWAYS) - sum(
            value for name, value in outcomes.items() if name.startswith("drop_"))
        sent = sum(io[name] for name in ("tx_packets", "late_replies", "drop_send_failed",
                                         "drop_slow_path_send"))
        if replies != sent:
            self.fault(f"{replies} replies made, {sent} sent or refused by the port")
        return {"io": {k: v for k, v in io.items() if v},
                "outcomes": {k: v for k, v in outcomes.items() if v},
                "port": {k: v for k, v in port.items() if v}}

    def check_memory(self):
        warm_up = min(WARM_UP, self.seconds / 3)
        warm = [row[1] for row in self.memory if row[0] <= warm_up]
        later = [row[1] for row in self.memory if row[0] > warm_up]
        if not warm or not later:
            self.fault("memory was not measured")
            return {}
        if max(later) > max(warm) + GROWTH_MAX:
            self.fault(f"the data plane grew from {max(warm)} to {max(later)} KiB after "
                       f"{warm_up:.0f} s of warm-up; {GROWTH_MAX} are allowed")
        return {"warm_kib": max(warm), "later_kib": max(later), "warm_up_s": warm_up,
                "control_plane_kib": [self.memory[0][2], self.memory[-1][2]]}

    def run(self, stack):
        self.start(stack)
        words_at_start = len(self.m.data.text())
        started = time.monotonic()
        watcher = threading.Thread(target=self.watch, args=(started,), daemon=True)
        watcher.start()
        try:
            storm = self.storm(self.seconds)
            if self.options.smoke:
                self.check_judge()
        finally:
            self.done.set()
            watcher.join(60)
        if storm["violations"]:
            self.fault(f"{storm['violations']} violations")
        if not storm["received"]["replies"]:
            self.fault("nothing came back at all")
        for name in ("data", "control"):
            if not getattr(self.m, name).running():
                self.fault(f"{name} plane: {getattr(self.m, name).text()[-2000:]}")
                return {"storm": storm, "faults": self.faults}
        counters = self.check_counters(self.settled_stats())
        said = self.m.data.text()[words_at_start:]
        if BAD_WORDS.search(said):
            self.fault(f"the data plane said: {said[:2000]}")
        status, _ = self.m.data.end()
        if status != 0:
            self.fault(f"the data plane ended with {status}")
        return {"part": "frames", "storm": storm, "counters": counters,
                "known_good": {"asked": self.asked, "asked_again": self.again,
                               "slowest_s": round(self.slowest, 3)},
                "memory": self.check_memory(), "faults": self.faults}


def resident(pid):
    """KiB."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text).group(1))


def run(options):
    net.need_privilege()
    folder = tempfile.mkdtemp(prefix="merlon-soak-")
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        return Frames(options, folder).run(stack)
