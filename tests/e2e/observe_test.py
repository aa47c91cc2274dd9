#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What an operator sees of a running Merlon: subjects, unknown sources, metrics, rates, the cost of
stages, and samples by dnstap, read by the tools of fstrm and BIND."""

import http.client
import math
import os
import pathlib
import pty
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
import unittest

import merlon_e2e as e2e

LARGE = [f"45.{i // 250}.{i % 250}.7" for i in range(500)]


def scrape(merlon):
    """GET /metrics as it comes: (content type, text)."""
    connection = http.client.HTTPConnection("localhost", timeout=60 * e2e.FACTOR)
    connection.sock = socket.socket(socket.AF_UNIX)
    try:
        connection.sock.connect(merlon.api_socket)
        connection.request("GET", "/metrics")
        response = connection.getresponse()
        return response.getheader("Content-Type"), response.read().decode()
    finally:
        connection.close()


LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
SERIES = re.compile(rf"^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{{{LABEL}(?:,{LABEL})*\}})? (\S+)$")


def read_metrics(text):
    """{series: value}; complains of whatever the exposition format does not allow."""
    family, typed, seen, values = None, {}, set(), {}
    if not text.endswith("\n"):
        raise AssertionError("the last line does not end")
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            family = line.split(" ")[2]
            if family in seen or len(line.split(" ", 3)) != 4:
                raise AssertionError(line)
            seen.add(family)
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            if name != family or name in typed or (kind == "counter") != name.endswith("_total"):
                raise AssertionError(line)
            typed[name] = kind
        else:
            match = SERIES.match(line)
            if not match or family not in typed:
                raise AssertionError(line)
            name = match.group(1)
            parts = {family, f"{family}_sum", f"{family}_count"}
            if name not in (parts if typed[family] == "summary" else {family}):
                raise AssertionError(f"{line}: inside {family}")
            series = line.rpartition(" ")[0]
            if series in values or math.isnan(float(match.group(3))):
                raise AssertionError(line)
            values[series] = float(match.group(3))
    return values


class Observed(e2e.Case):
    def setUp(self):
        super().setUp()
        self.m = self.merlon(data={"dnstap": str(self.folder / "tap.sock"), "dnstap_sample": 1,
                                   "identity": "ns-e2e"})
        self.m.start()
        self.m.add_device("fw1", ["127.0.0.1"])
        self.m.add_device("fw2", ["127.0.0.2"], account="umbrella")
        self.m.add_feed("small", ["45.0.0.1"])
        self.m.add_feed("large", LARGE)
        self.m.build()

    def subjects(self, *words):
        rows = self.m.ctl_json("dataplane", "subjects", *words)["dataplane"]["subjects"]
        return {row["device"]: row for row in rows}

    def test_each_device_has_its_numbers_over_udp_and_tcp(self):
        for _ in range(5):
            self.m.udp("small.merlon.internal")
        for _ in range(4):
            self.assertTrue(self.m.udp("large.merlon.internal").tc)
        self.m.tcp("large.merlon.internal")
        self.m.udp("nothing.merlon.internal", source="127.0.0.2")
        self.m.udp("small.merlon.internal", source="127.0.0.77")
        rows = self.subjects()
        one = rows["fw1"]
        self.assertEqual((one["account"], one["answered"], one["truncated"], one["tcp_queries"],
                          one["never_came_back"], one["queries"]), ("acme", 5, 4, 1, 3, 9))
        self.assertRegex(one["last_seen"], r"^20\d\d-\d\d-\d\dT")
        self.assertEqual((rows["fw2"]["nxdomain"], rows["fw2"]["queries"]), (1, 1))
        self.assertEqual(set(self.subjects("--account", "umbrella")), {"fw2"})
        self.m.ctl("dataplane", "subjects", "--account", "nobody", expect=e2e.NOT_FOUND)
        text = self.m.ctl("dataplane", "subjects").stdout
        self.assertRegex(text, r"(?m)^acme +fw1 +9 +5 +0 +0 +0 +0 +4 +1 +3 +\S")
        # A build that changes the devices keeps the numbers of those that stay.
        self.m.add_device("fw0", ["127.0.0.9"])
        self.m.ctl("device", "remove", "fw2", "--yes")
        self.m.build()
        self.m.udp("small.merlon.internal")
        rows = self.subjects()
        self.assertEqual(set(rows), {"fw0", "fw1"})
        self.assertEqual((rows["fw1"]["answered"], rows["fw1"]["truncated"]), (6, 4))

    def test_unknown_sources(self):
        self.assertIn("nobody knows it", self.m.ctl("dataplane", "top").stderr)
        for _ in range(6):
            self.assertEqual(self.m.udp("small.merlon.internal", source="127.0.0.77").rcode,
                             "REFUSED")
        self.m.udp("small.merlon.internal", source="127.0.0.78")
        rows = self.m.ctl_json("dataplane", "top")["dataplane"]["unknown_sources"]
        self.assertEqual([(row["address"], row["count"]) for row in rows],
                         [("127.0.0.77", 6), ("127.0.0.78", 1)])
        self.assertRegex(self.m.ctl("dataplane", "top", "--limit", "1").stdout,
                         r"(?m)\A.*\n127\.0\.0\.77 +6 +6 +\d+ s ago\n\Z")

    def test_metrics(self):
        for _ in range(3):
            self.m.udp("small.merlon.internal")
        self.m.tcp("small.merlon.internal")
        kind, text = scrape(self.m)
        self.assertEqual(kind, "text/plain; version=0.0.4; charset=utf-8")
        values = read_metrics(text)
        self.assertEqual(values["merlon_dataplane_up"], 1)
        self.assertEqual(
            values['merlon_dataplane_outcomes_total{worker="0",outcome="answered"}'], 3)
        self.assertEqual(values['merlon_dataplane_io_total{worker="0",counter="rx_packets"}'], 3)
        self.assertEqual(values["merlon_dataplane_snapshot_generation"], self.m.current())
        self.assertLess(values["merlon_dataplane_snapshot_age_seconds"], 3600)
        self.assertEqual(values['merlon_dataplane_subject_outcomes_total{account="acme",'
                                'device="fw1",outcome="answered"}'], 3)
        self.assertEqual(
            values['merlon_subject_tcp_queries_total{account="acme",device="fw1"}'], 1)
        self.assertEqual(values['merlon_tcp_outcomes_total{outcome="answered"}'], 1)
        self.assertEqual(values['merlon_feed_healthy{feed="small"}'], 1)
        self.assertGreaterEqual(values["merlon_controlplane_builds_total"], 1)
        self.assertEqual(values["merlon_controlplane_refreshes_total"], 2)
        self.assertNotIn("merlon_dataplane_stage_nanoseconds", text)
        if shutil.which("promtool"):
            subprocess.run(["promtool", "check", "metrics"], input=text, text=True, check=True,
                           timeout=60)
        self.m.data.end()
        values = read_metrics(scrape(self.m)[1])
        self.assertEqual(values["merlon_dataplane_up"], 0)
        self.assertEqual(values["merlon_tcp_generation"], self.m.current())

    def test_profile(self):
        stop = threading.Event()

        def ask():
            while not stop.is_set():
                self.m.udp("small.merlon.internal")

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            profile = self.m.ctl_json("dataplane", "profile", "--seconds", "2")["dataplane"]
        finally:
            stop.set()
            asking.join()
        stages = {stage["stage"]: stage for stage in profile["stages"]}
        self.assertLessEqual({"parse", "identify", "look_up", "compose", "sample", "send"},
                             set(stages))
        for stage in stages.values():
            self.assertGreater(stage["packets"], 0)
            self.assertLessEqual(stage["p50_ns"], stage["p99_ns"])
            self.assertLessEqual(stage["p99_ns"], stage["max_ns"])
        self.assertRegex(self.m.ctl("dataplane", "profile").stdout, r"(?m)^compose +\d+ +[\d.]+ ")
        values = read_metrics(scrape(self.m)[1])
        self.assertGreater(
            values['merlon_dataplane_stage_nanoseconds{stage="parse",quantile="0.5"}'], 0)

    def test_watch_shows_rates(self):
        stop = threading.Event()

        def ask():
            while not stop.is_set():
                self.m.udp("small.merlon.internal")

        self.m.udp("small.merlon.internal")
        asking = threading.Thread(target=ask)
        asking.start()
        try:
            text = self.m.ctl("dataplane", "stats", "--watch", "--count", "2").stdout
            lines = re.findall(r"(?m)^\S+Z outcomes answered ([\d.]+)/s (\d+)$", text)
            self.assertEqual(len(lines), 2, text)
            self.assertGreater(float(lines[0][0]), 0)
            self.assertGreater(int(lines[1][1]), int(lines[0][1]))
            self.assertNotIn("\x1b", text)
            self.assert_refreshed_in_place()
        finally:
            stop.set()
            asking.join()
        self.m.ctl("dataplane", "stats", "--interval", "5", expect=e2e.USAGE)
        self.m.ctl("dataplane", "stats", "--watch", "--interval", "0", expect=e2e.USAGE)

    def assert_refreshed_in_place(self):
        """On a terminal the table stays in its place until Ctrl-C, which is no failure."""
        master, slave = pty.openpty()
        watcher = subprocess.Popen(
            [str(e2e.BIN / "merlonctl"), "dataplane", "stats", "--watch"], stdin=slave,
            stdout=slave, stderr=slave, start_new_session=True,
            env={**os.environ, "MERLON_SOCKET": self.m.api_socket, "TERM": "xterm"})
        os.close(slave)
        shown = b""
        deadline = time.monotonic() + 30 * e2e.FACTOR
        while shown.count(b"\x1b[H") < 3 and time.monotonic() < deadline:
            shown += os.read(master, 65536)
        os.kill(watcher.pid, signal.SIGINT)
        self.assertEqual(watcher.wait(30 * e2e.FACTOR), 0)
        os.close(master)
        self.assertGreaterEqual(shown.count(b"\x1b[H"), 3)
        self.assertEqual(shown.count(b"\x1b[2J"), 1)
        self.assertIn(b"PER SECOND", shown)

    @unittest.skipUnless(shutil.which("fstrm_capture") and shutil.which("dnstap-read"),
                         "fstrm-bin and bind9-dnsutils are not installed")
    def test_dnstap_is_read_by_other_peoples_tools(self):
        capture = self.folder / "captured.fstrm"
        reader = e2e.Process(self.folder / "capture.log", [
            "fstrm_capture", "-t", "protobuf:dnstap.Dnstap", "-u", self.folder / "tap.sock",
            "-w", capture])

        def numbers():
            return self.m.data_command("stats")["dnstap"]

        try:
            e2e.wait_until("dnstap connected", lambda: numbers()["connected"])
            before = numbers()["frames_written"]
            self.assertEqual(self.m.udp("small.merlon.internal").rcode, "NOERROR")
            self.assertEqual(self.m.udp("nothing.merlon.internal", "TXT").rcode, "NXDOMAIN")
            e2e.wait_until("frames written", lambda: numbers()["frames_written"] >= before + 4)
            self.m.data.end()
        finally:
            reader.end()
        text = self.m.run("dnstap-read", "-p", capture)
        for kind, name, count in (("AQ", "small.merlon.internal/IN/A", 1),
                                  ("AR", "small.merlon.internal/IN/A", 1),
                                  ("A[QR]", "nothing.merlon.internal/IN/TXT", 2)):
            found = re.findall(rf"(?m) {kind} .* UDP .*{name}$", text)
            self.assertEqual(len(found), count, f"{kind} {name}\n{text}")
        self.assertIn("status: NXDOMAIN", text)
        self.assertRegex(text, r"small\.merlon\.internal\.\s+\d+\s+IN\s+A\s+45\.0\.0\.1")
        self.assertIn("127.0.0.1", text)
        yaml = self.m.run("dnstap-read", "-y", capture)
        self.assertIn("identity: ns-e2e", yaml)
        self.assertIn("version: merlon-dataplane", yaml)
        self.assertIn("type: AUTH_RESPONSE", yaml)
        self.assertIn("query_address: 127.0.0.1", yaml.replace('"', ""))
        self.assertIn("socket_protocol: UDP", yaml)

    def test_dnstap_into_a_file_that_a_start_does_not_overwrite(self):
        path = pathlib.Path(self.folder / "tap.fstrm")
        self.m.data.end()
        self.m.settings["dataplane"]["dnstap"] = f"file:{path}"
        self.m.write_config()
        for name in ("small", "large"):
            self.m.start_data()
            e2e.wait_until("dnstap file",
                           lambda: self.m.data_command("stats")["dnstap"]["connected"])
            self.m.udp(f"{name}.merlon.internal")
            self.m.data.end()
        for file, name in ((f"{path}.1", "small"), (path, "large")):
            if shutil.which("dnstap-read"):
                self.assertIn(f"{name}.merlon.internal/IN/A", self.m.run("dnstap-read", file))
            self.assertIn(name.encode(), pathlib.Path(file).read_bytes())


if __name__ == "__main__":
    e2e.main()
