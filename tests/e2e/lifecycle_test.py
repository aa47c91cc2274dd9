#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Starting and stopping: what is refused at the start, how fast a stop is, what the quick start
shows, and what becomes of a machine that refuses io_uring."""

import contextlib
import ctypes
import os
import platform
import re
import signal
import socket
import struct
import subprocess
import threading
import time

import merlon_dns
import merlon_e2e as e2e

STOP_S = 2 * e2e.FACTOR


def refuse_io_uring():
    """Runs in the child before exec: io_uring_setup and its kin fail with EPERM from here on."""
    number_at, architecture_at = 0, 4
    architecture = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}[platform.machine()]
    load, equal, reply = 0x20, 0x15, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET|K
    allow, errno_eperm = 0x7FFF0000, 0x00050001
    code = [(load, 0, 0, architecture_at), (equal, 1, 0, architecture), (reply, 0, 0, allow),
            (load, 0, 0, number_at), (equal, 2, 0, 425), (equal, 1, 0, 426), (equal, 0, 1, 427),
            (reply, 0, 0, errno_eperm), (reply, 0, 0, allow)]
    program = b"".join(struct.pack("=HBBI", *instruction) for instruction in code)
    buffer = ctypes.create_string_buffer(program)
    description = struct.pack("@HP", len(code), ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) != 0 or libc.prctl(22, 2, description, 0, 0) != 0:
        os._exit(99)


class Stop(e2e.Case):
    def assert_gone(self, process, path):
        self.assertEqual(process.session_members(), [])
        self.assertFalse(os.path.exists(path), path)

    def test_both_stop_within_two_seconds_and_leave_nothing(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            m = self.merlon(f"m{number}")
            m.start()
            m.add_device("fw1", ["127.0.0.1"])
            m.add_feed("live", ["45.1.1.1"])
            m.build()
            for process, path in ((m.data, m.data_socket), (m.control, m.api_socket)):
                status, seconds = process.end(number)
                self.assertEqual(status, 0, process.text())
                self.assertLess(seconds, STOP_S)
                self.assert_gone(process, path)
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                with socket.socket(socket.AF_INET, kind) as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(("127.0.0.1", m.port))  # nobody holds the port

    def test_stop_while_clients_and_feeds_hang(self):
        m = self.merlon()
        server = e2e.FeedServer(self)
        server.pages["/slow"] = server.hang
        m.start()
        m.add_device("fw1", ["127.0.0.1"])
        m.add_feed("big", [f"45.{i // 100}.1.{2 * (i % 100)}" for i in range(8000)])
        m.build()
        for name in ("slow-a", "slow-b"):
            m.ctl("feed", "add", name, "--url", server.url("/slow"))
        waiting = threading.Thread(
            target=lambda: m.ctl("feed", "refresh", "slow-b", expect=None), daemon=True)
        waiting.start()
        e2e.wait_until("both feeds hang", lambda: len(server.statuses("/slow")) >= 2)
        with contextlib.ExitStack() as stack:
            query = merlon_dns.make_query("big.merlon.internal", "A")
            for index in range(30):
                client = stack.enter_context(
                    socket.create_connection(("127.0.0.1", m.port), 10 * e2e.FACTOR))
                if index % 3 == 1:
                    client.sendall(b"\0")  # half a length
                elif index % 3 == 2:
                    client.sendall((struct.pack(">H", len(query)) + query) * 20)  # never read
            half = stack.enter_context(socket.socket(socket.AF_UNIX))
            half.connect(m.api_socket)
            half.sendall(b"POST /v1/feeds HTTP/1.1\r\nContent-Le")
            other = stack.enter_context(socket.socket(socket.AF_UNIX))
            other.connect(m.data_socket)
            other.sendall(b"sta")
            time.sleep(0.2)
            for process, path in ((m.data, m.data_socket), (m.control, m.api_socket)):
                status, seconds = process.end(seconds=20)
                self.assertEqual(status, 0, process.text())
                self.assertLess(seconds, STOP_S, process.name)
                self.assert_gone(process, path)
        waiting.join(20 * e2e.FACTOR)
        self.assertFalse(waiting.is_alive())
        # A fetch that was given up because of the stop is no fault of the feed.
        server.put("/slow", "45.9.9.9\n")
        m.start_control()
        m.ctl("feed", "refresh", "slow-b")

    def test_stop_during_publishes(self):
        m = self.merlon()
        m.start()
        m.add_device("fw1", ["127.0.0.1"])
        for turn in range(5):
            m.add_feed(f"feed-{'abcde'[turn]}", [f"45.{turn}.1.1"])
            builder = threading.Thread(
                target=lambda: m.ctl("snapshot", "build", expect=None), daemon=True)
            builder.start()
            time.sleep(0.01 * turn)
            status, seconds = m.control.end()
            self.assertEqual(status, 0)
            self.assertLess(seconds, STOP_S)
            builder.join(20 * e2e.FACTOR)
            m.start_control()
            m.ctl("snapshot", "verify")


class Start(e2e.Case):
    def fail_to_start(self, merlon, program, expect):
        process = e2e.Process(merlon.folder / "refused.log",
                              [e2e.BIN / program, "--config", merlon.config])
        self.addCleanup(process.end)
        self.assertEqual(process.popen.wait(20 * e2e.FACTOR), expect, process.text())
        return process.text()

    def test_a_second_control_plane_is_refused_and_the_first_goes_on(self):
        m = self.merlon()
        m.start()
        m.add_device("fw1", ["127.0.0.1"])
        m.add_feed("live", ["45.1.1.1"])
        m.build()
        text = self.fail_to_start(m, "merlon-controlplane", 1)
        self.assertIn(str(m.control.pid), text)
        text = self.fail_to_start(m, "merlon-dataplane", 1)
        self.assertRegex(text, "another (data plane|program)")
        for ask in (m.udp, m.tcp):
            self.assert_addresses(ask("live.merlon.internal"), ["45.1.1.1", e2e.TEST_ADDRESS4])
        m.ctl("status")
        m.ctl("dataplane", "status")

    def test_a_data_plane_without_a_published_key_says_who_writes_it(self):
        m = self.merlon()
        text = self.fail_to_start(m, "merlon-dataplane", 1)
        self.assertIn("manifest.pub", text)
        self.assertIn("control plane writes it", text)

    def test_mistakes_in_the_settings_are_named(self):
        m = self.merlon()
        for section, key, value, programs, words in (
                ("dataplane", "enginee", "mmsg", ["merlon-dataplane"], ["engine", "enginee"]),
                ("dataplane", "engine", "warp", ["merlon-dataplane"], ["warp", "io_uring"]),
                ("dataplane", "listen", ["127.0.0.1"], ["merlon-dataplane"], ["127.0.0.1"]),
                ("controlplane", "ttl", 5, ["merlon-controlplane"], ["ttl", "ttl_s"]),
                ("controlplane", "ttl_s", 0, ["merlon-controlplane"], ["ttl_s"]),
                ("controlplane", "ttl_s", "5", ["merlon-controlplane"], ["ttl_s"]),
                ("controlplane", "suffix", ".", ["merlon-controlplane"], ["suffix"])):
            before = dict(m.settings[section])
            m.settings[section][key] = value
            m.write_config()
            for program in programs:
                text = self.fail_to_start(m, program, 2)
                for word in (*words, str(m.config)):
                    self.assertIn(word, text)
            m.settings[section] = before
        m.config.unlink()
        self.assertIn(str(m.config), self.fail_to_start(m, "merlon-dataplane", 2))

    def test_hangup_loads_what_is_current(self):
        m = self.merlon()
        m.start()
        m.add_device("fw1", ["127.0.0.1"])
        m.add_feed("live", ["45.1.1.1"])
        m.build()
        newest = m.current()
        (m.snapshots / "current").write_text(f"{newest - 1}\n")
        os.kill(m.data.pid, signal.SIGHUP)
        e2e.wait_until("older generation", lambda: m.data_command("status")["generation"]
                       == newest - 1)
        (m.snapshots / "current").write_text(f"{newest}\n")
        os.kill(m.data.pid, signal.SIGHUP)
        e2e.wait_until("newest generation", lambda: m.data_command("status")["generation"]
                       == newest)
        self.assert_addresses(m.udp("live.merlon.internal"), ["45.1.1.1", e2e.TEST_ADDRESS4])

    def test_example_settings_are_complete(self):
        for program, section in (("merlon-dataplane", "[dataplane]"),
                                 ("merlon-controlplane", "[controlplane]")):
            text = subprocess.run([e2e.BIN / program, "--example-config"], check=True, text=True,
                                  capture_output=True).stdout
            self.assertIn(section, text)
            self.assertRegex(subprocess.run([e2e.BIN / program, "--version"], check=True, text=True,
                                            capture_output=True).stdout, r"^\d+\.\d+\.\d+")

    def test_without_io_uring_it_falls_back_says_so_and_answers(self):
        for engine in ("auto", "io_uring"):
            m = self.merlon(engine, data={"engine": engine, "workers": 2})
            m.start_control()
            m.start_data(preexec_fn=refuse_io_uring)
            m.add_device("fw1", ["127.0.0.1"] + (["::1"] if e2e.HAS_IPV6 else []))
            m.add_feed("live", ["45.1.1.1"])
            m.build()
            status = m.ctl_json("dataplane", "status")["dataplane"]
            self.assertEqual(status["engine"], "mmsg")
            self.assertIn("io_uring refused", status["engine_note"])
            self.assertIn("Operation not permitted", status["engine_note"])
            self.assertRegex(m.data.text(), "io_uring refused.*falling back to mmsg")
            for host in e2e.HOSTS:
                for _ in range(200):
                    self.assert_addresses(m.udp("live.merlon.internal", host=host),
                                          ["45.1.1.1", e2e.TEST_ADDRESS4])
            status, seconds = m.data.end()
            self.assertEqual(status, 0)
            self.assertLess(seconds, STOP_S)

    def test_every_engine_and_worker_count_answers(self):
        for engine, workers in (("mmsg", 1), ("mmsg", 3), ("io_uring", 3), ("auto", 0)):
            m = self.merlon(f"{engine}{workers}", data={"engine": engine, "workers": workers})
            m.start()
            m.add_device("fw1", ["127.0.0.1"])
            m.add_feed("live", ["45.1.1.1"])
            m.build()
            for _ in range(100):  # from a port of its own each, so every worker gets some
                self.assert_addresses(m.udp("live.merlon.internal"),
                                      ["45.1.1.1", e2e.TEST_ADDRESS4])
            m.stop()


class QuickStart(e2e.Case):
    def start(self, *words):
        self.port = e2e.free_port()
        scratch = self.folder / "tmp"
        scratch.mkdir(exist_ok=True)
        process = e2e.Process(self.folder / "quickstart.log", [
            e2e.ROOT / "tools/quickstart", "--no-setup", "--bin", e2e.BIN, "--port", self.port,
            *words], env={**os.environ, "TMPDIR": str(scratch)})
        self.addCleanup(process.end)
        self.scratch = scratch
        return process

    def test_once_shows_what_it_promises(self):
        process = self.start("--once")
        self.assertEqual(process.popen.wait(120 * e2e.FACTOR), 0, process.text())
        text = process.text()
        for promise in (r"merlon-dataplane: ready", r"== UDP: dig basic\.merlon\.internal TXT",
                        r'"merlon=1" "serial=\d+" "names=\d+"', r"flags: qr aa tc rd",
                        r"\(TCP\)", r"ANSWER: [1-9]\d*,", r"\d+ A records, from ",
                        r"1\.merlon\.internal\.?: \d+ A records", r"status: REFUSED",
                        r"EDE: 18 \(Prohibited\)", r"verdict +listed",
                        r"outcomes  answered +\d+", r"== Done"):
            self.assertRegex(text, promise)
        answers = int(re.search(r"(\d+) A records, from ", text).group(1))
        self.assertIn(f"ANSWER: {answers},", text)
        self.assertGreater(answers, 1000)
        self.assertEqual(process.session_members(), [])
        self.assertEqual(list(self.scratch.iterdir()), [])

    def test_interrupt_ends_it_cleanly(self):
        state = self.folder / "state"
        process = self.start("--state", state)
        e2e.wait_until("running", lambda: "Ctrl-C stops." in process.text(), 90)
        query = merlon_dns.make_query("basic.merlon.internal", "TXT")
        self.assertEqual(merlon_dns.ask_udp(("127.0.0.1", self.port), query).rcode, "NOERROR")
        self.assertEqual(merlon_dns.ask_tcp(("127.0.0.1", self.port), query).rcode, "NOERROR")
        status, seconds = process.end(signal.SIGINT)
        self.assertEqual(status, 0, process.text())
        self.assertLess(seconds, 5 * e2e.FACTOR)
        self.assertEqual(process.session_members(), [])
        self.assertEqual(list(self.scratch.iterdir()), [])
        self.assertTrue((state / "snapshots/current").exists())  # --state is kept
        # And taken up again.
        again = self.start("--once", "--state", state)
        self.assertEqual(again.popen.wait(120 * e2e.FACTOR), 0, again.text())

    def test_a_wrong_word_is_usage(self):
        process = self.start("--twice")
        self.assertEqual(process.popen.wait(20 * e2e.FACTOR), 2)
        self.assertIn("--twice", process.text())
        self.assertIn("--feeds DIR", process.text())


if __name__ == "__main__":
    e2e.main()
