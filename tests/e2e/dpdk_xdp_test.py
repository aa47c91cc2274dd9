#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The dpdk engine behind our filter on a real cable: it answers DNS over both families, tagged or
not, and the kernel keeps everything else; also when it was killed, and after it comes back."""

import ipaddress
import signal
import socket
import struct
import threading

import merlon_dns
import merlon_e2e as e2e
import merlon_net as net
import xdp_test

LIST = "live.merlon.internal"
ANSWER = ["45.1.1.1", e2e.TEST_ADDRESS4]
SOL_PACKET, PACKET_AUXDATA = 263, 8
setUpModule = net.need_privilege


class Dpdk(xdp_test.OverTheWire):
    def setUp(self):
        super().setUp()
        self.m = self.merlon()
        self.m.port = xdp_test.PORT
        self.endpoints = [f"{net.SERVER4}:{self.m.port}", f"[{net.SERVER6}]:{self.m.port}"]
        self.m.settings["controlplane"]["dns_listen"] = self.endpoints
        self.m.settings["dataplane"].update(
            engine="dpdk", listen=self.endpoints, dpdk_ports=[f"af_xdp:{net.SERVER}"],
            dpdk_addresses=[net.SERVER4, net.SERVER6], dpdk_huge_pages="no")
        self.m.write_config()
        self.m.start()
        self.m.add_device("fw1", [net.CLIENT4, net.CLIENT6])
        self.m.add_feed("live", ["45.1.1.1"])
        self.m.build()

    def ask(self, server):
        """One answer; a lost datagram is asked for again, as resolvers do."""
        def once():
            return self.client.call(merlon_dns.ask_udp, (server, self.m.port),
                                    merlon_dns.make_query(LIST, "A"), None, 2 * e2e.FACTOR)

        return e2e.wait_until(f"answer from {server}", once, 60)

    def check_dns(self):
        for server, _ in xdp_test.ADDRESSES:
            self.assert_addresses(self.ask(server), ANSWER)
            tcp = self.client.run("dig", "+tcp", "+short", f"@{server}", LIST, "A", "+time=20")
            self.assertEqual(sorted(tcp.split()), sorted(ANSWER))

    def engine_packets(self):
        return self.m.data_command("stats")["total"]["io"]["rx_packets"]

    def test_dns_is_the_data_planes_and_the_rest_the_kernels(self):
        self.assertIn(f"{net.SERVER}: native copy: ", self.m.data.text())
        before = self.engine_packets()
        stop, wrong, answered = threading.Event(), [], []

        def ask_on():
            while not stop.is_set():
                try:
                    self.assert_addresses(self.ask(net.SERVER4), ANSWER)
                    answered.append(1)
                except AssertionError as error:
                    wrong.append(error)
                    return

        asking = threading.Thread(target=ask_on, daemon=True)
        asking.start()
        self.check_dns()
        self.check_kernel_traffic()
        # The client's place is taken by another machine; ours learns its address by ARP.
        self.client.run("ip", "link", "set", "dev", net.CLIENT, "address", "02:00:00:00:77:02")
        for side in (self.client, self.wire.server):
            side.run("ip", "neigh", "flush", "all")
        self.check_ping()
        self.check_dns()
        e2e.wait_until("more than ten answers", lambda: wrong or len(answered) > 10, 30)
        stop.set()
        asking.join(120 * e2e.FACTOR)
        self.assertEqual(wrong, [])
        self.assertGreater(len(answered), 10)
        self.assertGreater(self.engine_packets(), before + len(answered))
        self.assertEqual(self.m.data_command("stats")["total"]["io"]["drop_not_ours"], 0)

    def test_a_killed_one_leaves_its_queries_to_the_kernel_until_it_is_back(self):
        self.check_dns()
        self.m.data.end(signal.SIGKILL)
        self.assertTrue(self.wire.has_program())
        self.check_kernel_traffic()
        # A data plane on sockets answers meanwhile, the filter notwithstanding.
        self.m.settings["dataplane"]["engine"] = "mmsg"
        self.m.write_config()
        self.m.start_data()
        self.assertEqual(self.m.data_command("status")["engine"], "mmsg")
        self.check_dns()
        self.assertEqual(self.m.data.end()[0], 0)
        self.assertTrue(self.wire.has_program())
        self.m.settings["dataplane"]["engine"] = "dpdk"
        self.m.write_config()
        self.m.start_data()
        self.check_dns()
        self.assertGreater(self.engine_packets(), 0)
        self.assertEqual(self.m.data.end()[0], 0)
        self.assertFalse(self.wire.has_program())
        self.check_kernel_traffic()

    def test_preflight_and_a_second_one_see_the_first(self):
        shown = self.preflight("--config", self.m.config)
        self.assertIn("a data plane serves here now", shown)
        self.assertIn("The configured engine, dpdk, can run", shown)
        second = self.merlon("second")
        second.settings["dataplane"] = {
            **self.m.settings["dataplane"], "control_socket": second.data_socket}
        second.write_config()
        process = e2e.Process(second.folder / "data.log",
                              [e2e.BIN / "merlon-dataplane", "--config", second.config])
        self.addCleanup(process.end)
        self.assertEqual(process.popen.wait(60 * e2e.FACTOR), 1)
        self.assertIn("a data plane serves there already", process.text())
        self.check_dns()

    def test_tagged_queries_get_tagged_answers(self):
        macs = (self.wire.mac(self.client, net.CLIENT), self.wire.mac(self.wire.server, net.SERVER))

        def exchange(server, client, port):
            packed = tuple(ipaddress.ip_address(text).packed for text in (client, server))
            query = merlon_dns.make_query(LIST, "A")
            frame = net.udp_frame(macs, packed, (port, self.m.port), query, ((0x8100, 100),))
            with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as raw:
                raw.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
                raw.bind((net.CLIENT, 3))
                raw.settimeout(2 * e2e.FACTOR)
                raw.send(frame)
                while True:
                    data, ancillary, _, sender = raw.recvmsg(2048, 256)
                    at = 14 + (40 if ":" in server else 20)
                    if sender[2] == socket.PACKET_OUTGOING or len(data) < at + 8 or \
                            struct.unpack_from(">2H", data, at) != (self.m.port, port):
                        continue
                    self.assertEqual(data[:12], macs[0] + macs[1])
                    # The kernel takes a tag out of the frame and tells it beside.
                    tags = [struct.unpack_from("=IIIHHHH", part)[5] & 0xFFF
                            for level, kind, part in ancillary
                            if (level, kind) == (SOL_PACKET, PACKET_AUXDATA)]
                    return merlon_dns.Answer(data[at + 8:], query), tags

        for port, (server, client) in enumerate(xdp_test.ADDRESSES, 40000):
            answer, tags = e2e.wait_until(
                "tagged answer", lambda: self.client.call(exchange, server, client, port), 60)
            self.assert_addresses(answer, ANSWER)
            self.assertEqual(tags, [100])


if __name__ == "__main__":
    e2e.main()
