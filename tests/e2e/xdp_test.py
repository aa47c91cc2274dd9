#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An interface whose DNS goes past the kernel still belongs to the kernel for everything else, and
all of it does again when the one who took the DNS is gone. Here that one is xsk-sink, which takes
queries and answers none; dpdk_xdp_test.py asks the same of the real engine."""

import ipaddress
import json
import os
import random
import signal
import socket
import threading

import merlon_dns
import merlon_e2e as e2e
import merlon_net as net

PORT = 53
ADDRESSES = ((net.SERVER4, net.CLIENT4), (net.SERVER6, net.CLIENT6))


def setUpModule():
    net.need_privilege()


def receive_all(stream, size):
    return merlon_dns.receive_exactly(stream, size)


class TcpEcho(threading.Thread):
    """Sends back what it gets, after a 4-byte length; one connection."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.listener = socket.create_server((address, 0), family=merlon_dns.family_of(address))
        self.listener.settimeout(60 * e2e.FACTOR)
        self.port = self.listener.getsockname()[1]
        self.start()

    def run(self):
        with self.listener, self.listener.accept()[0] as stream:
            stream.settimeout(60 * e2e.FACTOR)
            while True:
                try:
                    head = receive_all(stream, 4)
                except ConnectionError:
                    return
                stream.sendall(head + receive_all(stream, int.from_bytes(head, "big")))


class OverTheWire(e2e.Case):
    """What must work while the filter is attached, whoever serves behind it."""

    def setUp(self):
        super().setUp()
        self.wire = net.Wire()
        self.addCleanup(self.wire.close)
        self.client = self.wire.client

    def check_ping(self):
        for server, _ in ADDRESSES:
            self.client.run("ping", "-c", "3", "-i", "0.05", "-W", "20", server)

    def check_tcp_session(self, server):
        """A long exchange as of a remote shell, then a large transfer both ways."""
        echo = TcpEcho(server)
        rng = random.Random(1)

        def session():
            with socket.create_connection((server, echo.port), 60 * e2e.FACTOR) as stream:
                for size in [rng.randrange(1, 200) for _ in range(300)] + [1 << 20]:
                    data = rng.randbytes(size)
                    sender = threading.Thread(
                        target=stream.sendall, args=(size.to_bytes(4, "big") + data,))
                    sender.start()
                    answer = receive_all(stream, 4 + size)
                    sender.join()
                    if answer[4:] != data:
                        raise AssertionError(f"{size} bytes came back changed")

        self.client.call(session)
        echo.join(60 * e2e.FACTOR)

    def check_other_udp(self, server):
        """Another port is answered by its owner, a closed one by an ICMP error."""
        with socket.socket(merlon_dns.family_of(server), socket.SOCK_DGRAM) as owner:
            owner.bind((server, 0))
            owner.settimeout(30 * e2e.FACTOR)
            port = owner.getsockname()[1]

            def exchange():
                with socket.socket(merlon_dns.family_of(server), socket.SOCK_DGRAM) as asking:
                    asking.settimeout(30 * e2e.FACTOR)
                    asking.connect((server, port))
                    asking.send(b"ping")
                    data, source = owner.recvfrom(100)
                    owner.sendto(data + b"-pong", source)
                    return asking.recv(100)

            self.assertEqual(self.client.call(exchange), b"ping-pong")

        def refused():
            with socket.socket(merlon_dns.family_of(server), socket.SOCK_DGRAM) as asking:
                asking.settimeout(30 * e2e.FACTOR)
                asking.connect((server, port))
                asking.send(b"ping")
                asking.recv(100)

        with self.assertRaises(ConnectionRefusedError):
            self.client.call(refused)

    def check_neighbours(self):
        """ARP and neighbour discovery: tables flushed, then the hardware addresses changed."""
        self.client.run("ip", "neigh", "flush", "all")
        self.wire.server.run("ip", "neigh", "flush", "all")
        self.check_ping()
        for side, interface, mac in ((self.client, net.CLIENT, "02:00:00:00:77:02"),
                                     (self.wire.server, net.SERVER, "02:00:00:00:77:01")):
            side.run("ip", "link", "set", "dev", interface, "address", mac)
            for flushed in (self.client, self.wire.server):
                flushed.run("ip", "neigh", "flush", "all")
            self.check_ping()
        shown = self.client.run("ip", "neigh", "show", net.SERVER4)
        self.assertIn("02:00:00:00:77:01", shown)

    def check_kernel_traffic(self):
        self.check_ping()
        for server, _ in ADDRESSES:
            self.check_tcp_session(server)
            self.check_other_udp(server)

    def kernel_socket(self, server):
        own = socket.socket(merlon_dns.family_of(server), socket.SOCK_DGRAM)
        self.addCleanup(own.close)
        own.bind((server, PORT))
        own.settimeout(30 * e2e.FACTOR)
        return own

    def send_query(self, server, payload=b"", size=40):
        def send():
            with socket.socket(merlon_dns.family_of(server), socket.SOCK_DGRAM) as asking:
                asking.sendto(payload or os.urandom(size), (server, PORT))

        self.client.call(send)

    def check_fragments(self, server):
        """Datagrams to our port that come in pieces reach the kernel's socket whole."""
        own = self.kernel_socket(server)
        for size in (1473, 4000, 60000):
            payload = os.urandom(size)
            self.send_query(server, payload)
            self.assertEqual(own.recv(65535), payload)
        own.close()

    def preflight(self, *words, expect=0):
        return self.wire.server.run(e2e.BIN / "merlon-dataplane", "preflight", *words,
                                    expect=expect)

    def attached_owner(self):
        report = json.loads(self.preflight("--json", net.SERVER))
        return report["interfaces"][0]["attached"]["owner"]


class Sink(OverTheWire):
    """Queries are swallowed."""

    def start_sink(self, port=PORT, addresses=(net.SERVER4, net.SERVER6)):
        sink = e2e.Process(self.folder / f"sink-{os.urandom(3).hex()}.log",
                           [e2e.BIN / "xsk-sink", e2e.BIN / "merlon-xdp-filter.o", port,
                            net.SERVER, self.folder / "run", *addresses])
        self.addCleanup(sink.end)

        def ready():
            if not sink.running():
                raise RuntimeError(sink.text())
            return "ready" in sink.text()

        e2e.wait_until("sink ready", ready, 30)
        return sink

    def counters(self, sink):
        """Ends the sink and returns what its filter counted."""
        sink.end()
        return {name: int(value) for name, value in
                (line.split() for line in sink.text().splitlines() if " " in line)}

    def test_the_kernel_keeps_everything_but_queries(self):
        sink = self.start_sink()
        self.assertTrue(self.wire.has_program())
        self.check_kernel_traffic()
        self.check_neighbours()
        for server, _ in ADDRESSES:
            self.check_fragments(server)
        counted = self.counters(sink)
        for reason in ("not_ip", "not_udp", "other_port", "fragment", "ipv6_extension"):
            self.assertGreater(counted[reason], 0, reason)
        self.assertEqual(counted["redirected"], 0)

    def test_queries_to_our_addresses_do_not_reach_the_kernel(self):
        for family, extra in ((net.SERVER4, "192.0.2.77/24"), (net.SERVER6, "2001:db8::77/64")):
            nodad = ("nodad",) if ":" in extra else ()
            self.wire.server.run("ip", "address", "add", extra, "dev", net.SERVER, *nodad)
        sink = self.start_sink()
        for server, other in ((net.SERVER4, "192.0.2.77"), (net.SERVER6, "2001:db8::77")):
            own, others = self.kernel_socket(server), self.kernel_socket(other)
            for _ in range(20):
                self.send_query(server)
            # Not ours, though it is the machine's: for the kernel. It comes last, so the others
            # would have come by then.
            self.send_query(other, b"for the kernel")
            self.assertEqual(others.recv(100), b"for the kernel")
            own.setblocking(False)
            with self.assertRaises(BlockingIOError):
                own.recv(100)
        counted = self.counters(sink)
        self.assertEqual(counted["redirected"], 40)
        self.assertEqual(counted["other_address"], 2)

    def test_dns_over_tcp_on_the_same_address_is_the_control_planes(self):
        merlon = self.merlon()
        merlon.port = PORT
        merlon.settings["controlplane"]["dns_listen"] = [
            f"{net.SERVER4}:{PORT}", f"[{net.SERVER6}]:{PORT}"]
        merlon.write_config()
        merlon.start_control()
        merlon.add_device("fw1", [net.CLIENT4, net.CLIENT6])
        merlon.add_feed("live", ["45.1.1.1"])
        merlon.ctl("snapshot", "build", expect=None)  # no data plane is there to load it
        self.start_sink()
        for server, _ in ADDRESSES:
            answer = self.client.run("dig", "+tcp", "+short", f"@{server}", "live.merlon.internal",
                                     "A", "+time=20")
            self.assertEqual(sorted(answer.split()), ["192.0.2.1", "45.1.1.1"])

    def test_tagged_queries_are_taken_from_inside_their_tags(self):
        sink = self.start_sink()
        macs = (self.wire.mac(self.client, net.CLIENT), self.wire.mac(self.wire.server, net.SERVER))
        sent = 0

        def send(frame):
            with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
                raw.bind((net.CLIENT, 0))
                raw.send(frame)

        for server, client in ADDRESSES:
            packed = tuple(ipaddress.ip_address(text).packed for text in (client, server))
            for tags in ((), ((0x8100, 100),), ((0x88A8, 7), (0x8100, 100))):
                self.client.call(send, net.udp_frame(macs, packed, (40000, PORT), b"x" * 30, tags))
                sent += 1
        self.check_ping()  # comes after them on the same queue
        self.assertEqual(self.counters(sink)["redirected"], sent)

    def test_a_killed_one_leaves_queries_to_the_kernel_and_is_replaced(self):
        own = self.kernel_socket(net.SERVER4)
        for _ in range(3):
            sink = self.start_sink()
            self.assertEqual(self.attached_owner(), "serving")
            self.assertIn("a data plane serves here now", self.preflight(net.SERVER))
            sink.end(signal.SIGKILL)
            self.assertTrue(self.wire.has_program())
            # The kernel takes the socket out of the map a moment after the process ended.
            e2e.wait_until("the socket is gone", lambda: self.attached_owner() == "stale")
            self.send_query(net.SERVER4, b"after the kill")
            self.assertEqual(own.recv(100), b"after the kill")
            self.check_ping()
        sink = self.start_sink()
        self.assertEqual(self.attached_owner(), "serving")
        sink.end(signal.SIGTERM)
        self.assertFalse(self.wire.has_program())
        self.assertEqual(self.attached_owner(), "nobody")
        self.send_query(net.SERVER4, b"after the end")
        self.assertEqual(own.recv(100), b"after the end")

    def test_a_second_one_does_not_throw_out_the_first(self):
        first = self.start_sink()
        second = e2e.Process(self.folder / "second.log",
                             [e2e.BIN / "xsk-sink", e2e.BIN / "merlon-xdp-filter.o", PORT,
                              net.SERVER, self.folder / "run"])
        self.addCleanup(second.end)
        self.assertEqual(second.popen.wait(30 * e2e.FACTOR), 1)
        self.assertIn("a data plane serves there already", second.text())
        self.assertTrue(first.running())
        self.assertEqual(self.attached_owner(), "serving")


if __name__ == "__main__":
    e2e.main()
