#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The dpdk engine on an AF_XDP port, in namespaces: with our filter the kernel keeps what is not
DNS; with an exception path the kernel sees the port only through a TAP, and all works as well."""

import contextlib
import os
import threading
import time
import unittest

import merlon_dns
import merlon_e2e as e2e
import merlon_net as net

STRANGER4 = "192.0.2.3"
LIST = "shared.merlon.internal"
ADDRESSES = ["45.7.1.1", "45.7.1.2", "45.7.1.3"]


def setUpModule():
    net.need_privilege()
    if not os.path.exists("/dev/net/tun"):
        raise unittest.SkipTest("needs /dev/net/tun")


class Dpdk(e2e.Case):
    def setUp(self):
        super().setUp()
        self.wire = net.Wire()
        self.addCleanup(self.wire.close)
        self.wire.client.run("ip", "address", "add", f"{STRANGER4}/24", "dev", net.CLIENT)
        self.m = self.merlon()
        self.m.port = 53
        self.m.settings["controlplane"]["dns_listen"] = ["0.0.0.0:53"]
        self.m.settings["dataplane"].update(
            engine="dpdk", dpdk_ports=[f"af_xdp:{net.SERVER}"], dpdk_huge_pages="no")

    def start(self, **settings):
        self.m.settings["dataplane"].update(settings)
        self.m.write_config()
        self.m.start()
        self.m.add_feed("shared", ADDRESSES, "--tier", "basic")
        self.m.add_device("fw", [net.CLIENT4, net.CLIENT6], "acme", "advanced")
        self.m.build()

    def move_addresses(self, interface):
        """From the port, which the kernel no longer sees, to its stand-in."""
        self.wire.server.run("ip", "address", "flush", "dev", net.SERVER)
        for address in (f"{net.SERVER4}/24", f"{net.SERVER6}/64"):
            nodad = ("nodad",) if ":" in address else ()
            self.wire.server.run("ip", "address", "add", address, "dev", interface, *nodad)

    def ask(self, source=net.CLIENT4, server=net.SERVER4, seconds=30):
        """One answer over UDP; what gets lost is asked again."""
        def once():
            query = merlon_dns.make_query(LIST, "A")
            return self.wire.client.call(merlon_dns.ask_udp, (server, 53), query, source,
                                         2 * e2e.FACTOR)
        return e2e.wait_until(f"answer to {source}", once, seconds)

    def dig_tcp(self):
        return self.wire.client.run("dig", "+tcp", "+tries=10", "+time=5", f"@{net.SERVER4}",
                                    LIST, "A", "+short").split()

    def ping(self, address):
        self.wire.client.run("ping", "-c", "3", "-i", "0.2", "-W", "10", address)

    def check_everything(self):
        self.assert_addresses(self.ask(), ADDRESSES + [e2e.TEST_ADDRESS4])
        self.assert_addresses(self.ask(net.CLIENT6, net.SERVER6),
                              ADDRESSES + [e2e.TEST_ADDRESS4])
        refused = self.ask(STRANGER4)
        self.assertEqual((refused.rcode, refused.ede, refused.answers), ("REFUSED", 18, []))
        e2e.wait_until("ping", lambda: self.ping(net.SERVER4) is None, 30)
        e2e.wait_until("ping", lambda: self.ping(net.SERVER6) is None, 30)
        self.assertEqual(sorted(self.dig_tcp()), sorted(ADDRESSES + [e2e.TEST_ADDRESS4]))

    @contextlib.contextmanager
    def asking_meanwhile(self):
        """Queries from another thread; every one of them must be answered, and rightly."""
        done, answers, errors = threading.Event(), [], []

        def work():
            while not done.is_set():
                try:
                    answers.append(self.ask())
                except AssertionError as error:
                    errors.append(error)
                    return

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        yield
        with contextlib.suppress(AssertionError):  # what is missing then is named below
            e2e.wait_until("more than three answers", lambda: errors or len(answers) > 3, 30)
        done.set()
        thread.join(60 * e2e.FACTOR)
        self.assertEqual(errors, [])
        self.assertGreater(len(answers), 3)
        for answer in answers:
            self.assert_addresses(answer, ADDRESSES + [e2e.TEST_ADDRESS4])

    def end(self):
        status, seconds = self.m.data.end()
        self.assertEqual(status, 0)
        self.assertLess(seconds, 1 * e2e.FACTOR + 1)
        self.assertFalse(self.wire.has_program())

    def test_the_kernel_lives_behind_the_exception_path(self):
        self.start(dpdk_exception="tap")
        self.move_addresses("mrl0")
        self.check_everything()
        status = self.m.data_command("status")
        self.assertEqual(status["engine"], "dpdk")
        self.assertEqual(status["ports"][0]["driver"], "net_af_xdp")
        self.assertEqual(status["ports"][0]["exception"], "mrl0")
        with self.asking_meanwhile():
            # Another card takes the client's place: the kernel has to learn its address again.
            self.wire.client.run("ip", "link", "set", net.CLIENT, "address", "02:00:00:00:12:34")
            self.wire.client.run("ip", "neigh", "flush", "all")
            self.wire.server.run("ip", "neigh", "flush", "all")
            e2e.wait_until("ping after the change", lambda: self.ping(net.SERVER4) is None, 60)
            self.assertEqual(sorted(self.dig_tcp()), sorted(ADDRESSES + [e2e.TEST_ADDRESS4]))
        neighbours = self.wire.server.run("ip", "neigh", "show", "dev", "mrl0")
        self.assertIn("02:00:00:00:12:34", neighbours)
        stats = self.m.data_command("stats")
        counts = stats["total"]["io"]
        self.assertGreater(counts["to_kernel"], 5)
        self.assertGreater(counts["from_kernel"], 5)
        self.assertEqual(counts["drop_to_kernel"], 0)
        self.assertEqual(counts["drop_not_ours"], 0)
        self.assertGreater(stats["ports"][0]["counters"]["exception_from_kernel"], 5)
        self.end()
        self.assertNotIn("mrl0", self.wire.server.run("ip", "link", "show"))

    def test_with_our_filter_the_kernel_keeps_the_rest(self):
        self.start()
        self.check_everything()
        counts = self.m.data_command("stats")["total"]["io"]
        self.assertGreater(counts["rx_packets"], 2)
        self.assertEqual(counts["drop_not_ours"], 0)
        self.end()

    def test_a_killed_data_plane_is_replaced(self):
        self.start()
        self.assert_addresses(self.ask(), ADDRESSES + [e2e.TEST_ADDRESS4])
        self.m.data.end(9)
        e2e.wait_until("ping without a data plane", lambda: self.ping(net.SERVER4) is None, 30)
        self.m.start_data()
        self.assert_addresses(self.ask(), ADDRESSES + [e2e.TEST_ADDRESS4])
        self.end()

    def test_an_idle_data_plane_leaves_the_core_to_others(self):
        self.start()
        self.assert_addresses(self.ask(), ADDRESSES + [e2e.TEST_ADDRESS4])
        self.assertEqual(self.m.data_command("status")["ports"][0]["waiting"], "descriptor")

        def cpu_seconds():
            with open(f"/proc/{self.m.data.pid}/stat", encoding="ascii") as stat:
                fields = stat.read().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

        before, seconds = cpu_seconds(), 3
        time.sleep(seconds)
        share = (cpu_seconds() - before) / seconds
        print(f"idle: {100 * share:.1f} % of a core", flush=True)
        self.assertLess(share, 0.03 * e2e.FACTOR)
        self.assert_addresses(self.ask(), ADDRESSES + [e2e.TEST_ADDRESS4])
        self.end()


if __name__ == "__main__":
    e2e.main()
