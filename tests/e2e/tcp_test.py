#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""DNS over TCP and TLS with a stock client (kdig), and clients that behave badly beside it."""

import contextlib
import json
import socket
import ssl
import struct
import subprocess
import time
import unittest

import merlon_dns
import merlon_e2e as e2e

HELD = 400  # below connections_per_source_max


def make_pair(folder, name):
    certificate, key = folder / "server.pem", folder / "server.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", f"/CN={name}", "-keyout", key, "-out", certificate],
        check=True, capture_output=True)
    return certificate, key


class Tcp(e2e.Case):
    def setUp(self):
        super().setUp()
        self.m = self.merlon()
        certificate, key = make_pair(self.m.folder, "first.test")
        self.dot_port, self.other_port = e2e.free_port(), e2e.free_port()
        control = self.m.settings["controlplane"]
        control["dns_listen"] = [*control["dns_listen"], f"127.0.0.1:{self.other_port}"]
        control.update(dot_listen=[f"127.0.0.1:{self.dot_port}"],
                       tls_certificate_file=str(certificate), tls_key_file=str(key))
        self.m.write_config()
        self.m.start()
        self.m.add_device("fw1", ["127.0.0.1"])
        self.addresses = [f"45.1.{i // 250}.{i % 250 + 1}" for i in range(3000)]
        self.m.add_feed("live", self.addresses)
        self.m.build()
        self.expected = sorted([*self.addresses, e2e.TEST_ADDRESS4])

    def kdig(self, port, *words):
        done = subprocess.run(
            ["kdig", "@127.0.0.1", "-p", str(port), "+short", "+time=5", "+retry=0", *words],
            capture_output=True, text=True, timeout=20, check=True)
        return done.stdout.split()

    def test_kdig_gets_whole_lists_over_tcp_and_tls(self):
        name = "live.merlon.internal"
        for port, words in ((self.m.port, ["+tcp"]), (self.other_port, ["+tcp"]),
                            (self.dot_port, ["+tls"])):
            with self.subTest(port=port, words=words):
                self.assertEqual(sorted(self.kdig(port, *words, name, "A")), self.expected)
                twice = self.kdig(port, *words, "+keepopen", name, "A", name, "A")
                self.assertEqual(sorted(twice), sorted(self.expected * 2))

    def test_a_new_certificate_is_served_without_a_restart(self):
        def subject():
            done = subprocess.run(
                ["openssl", "s_client", "-connect", f"127.0.0.1:{self.dot_port}", "-alpn", "dot"],
                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False)
            return done.stdout
        self.assertIn("first.test", subject())
        self.assertIn("ALPN protocol: dot", subject())
        make_pair(self.m.folder, "second.test")
        e2e.wait_until("the new certificate", lambda: "second.test" in subject())

    def test_transfers_over_tls_need_version_1_3(self):
        query = merlon_dns.make_query("merlon.internal", 252)
        rcodes = {}
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.minimum_version = context.maximum_version = version
            with socket.create_connection(("127.0.0.1", self.dot_port), 10) as plain, \
                    context.wrap_socket(plain) as client:
                client.sendall(struct.pack(">H", len(query)) + query)
                rcodes[version] = client.recv(4096)[5] & 15
        self.assertEqual(list(rcodes.values()), [5, 0])

    def test_ten_thousand_held_connections_delay_no_new_client(self):
        self.m.add_device("many", ["127.1.0.0/16"])
        self.m.build()
        done = subprocess.run(
            [e2e.BIN / "merlon-tcp-hold", "--server", f"127.0.0.1:{self.m.port}", "--source",
             "127.1.0.1", "--sources", "200", "--idle", "10000", "--slow", "1000", "--small",
             "stats.live.merlon.internal", "--large", "live.merlon.internal", "--probe",
             "live.merlon.internal", "--expect-answers", str(len(self.expected)), "--seconds",
             "3"], capture_output=True, text=True, timeout=25, check=False)
        self.assertEqual(done.returncode, 0, done.stdout[-2000:] + done.stderr)
        got = json.loads(done.stdout.splitlines()[-1])
        self.assertEqual((got["opened"], got["refused"], got["lost"], got["failed"]),
                         (11_000, 0, 0, 0))
        waits = sorted(got["probe_us"])
        self.assertGreater(len(waits), 50)
        self.assertLess(waits[int(len(waits) * 0.99)], 100_000)

    def test_who_misbehaves_delays_nobody(self):
        query = merlon_dns.make_query("live.merlon.internal", "A")
        framed = struct.pack(">H", len(query)) + query
        with contextlib.ExitStack() as stack:
            for i in range(HELD):
                held = stack.enter_context(socket.create_connection(("127.0.0.1", self.m.port)))
                if i % 4 == 1:
                    held.sendall(b"\0")  # half a length
                elif i % 4 == 2:
                    held.sendall(framed * 20)  # and never reads
                elif i % 4 == 3:
                    held.sendall(b"\xff\xff" + b"garbage" * 100)  # a long message's beginning
            times = []
            for _ in range(20):
                started = time.monotonic()
                answer = merlon_dns.ask_tcp(("127.0.0.1", self.m.port), query)
                times.append(time.monotonic() - started)
                self.assertEqual(sorted(answer.values("A")), self.expected)
            self.assertLess(sorted(times)[len(times) // 2], 0.1 * e2e.FACTOR)

    def test_whole_but_senseless_messages_end_one_connection_only(self):
        query = merlon_dns.make_query("live.merlon.internal", "A")
        for sent in (b"\0\0", b"\0\x03abc", b"\xff\xff" + b"\xff" * 65535,
                     b"\xff\xff" + query + b"\0" * (65535 - len(query))):
            with socket.create_connection(("127.0.0.1", self.m.port)) as client:
                client.settimeout(10)
                client.sendall(sent)
                with contextlib.suppress(ConnectionError):
                    answer = client.recv(4096)
                    self.assertLess(len(answer), 600)  # nothing, or an error and the question
            answer = merlon_dns.ask_tcp(("127.0.0.1", self.m.port), query)
            self.assertEqual(len(answer.values("A")), len(self.expected))


if __name__ == "__main__":
    unittest.main()
