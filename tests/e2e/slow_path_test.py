#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the data plane does not answer itself comes from the control plane, whatever the engine.
When that is away or stuck, there is an answer all the same, and nobody else waits."""

import os
import signal
import socket
import struct
import time

import merlon_dns
import merlon_e2e as e2e

STRANGER = "127.0.1.99"
NAME = "live.merlon.internal"
ZONE = "merlon.internal"
TSIG, IXFR, AXFR, SOA = 250, 251, 252, 6
OPCODE_STATUS, OPCODE_NOTIFY, OPCODE_UPDATE = 2, 4, 5
BADKEY = 17
TIME_SIGNED = bytes.fromhex("000065432100")


def message(name, qtype, opcode=0, ident=0x4242, authority=b"", additional=b""):
    """One question, and at most one authority and one additional record."""
    return (struct.pack(">6H", ident, opcode << 11, 1, 0, bool(authority), bool(additional))
            + merlon_dns.name_to_wire(name) + struct.pack(">2H", qtype, 1) + authority + additional)


def record(owner, rtype, rclass, data):
    return (merlon_dns.name_to_wire(owner) + struct.pack(">HHIH", rtype, rclass, 0, len(data))
            + data)


def tsig(key="Key.Example"):
    data = (merlon_dns.name_to_wire("hmac-sha256") + TIME_SIGNED + struct.pack(">HH", 300, 32)
            + bytes(32) + struct.pack(">HHH", 0x4242, 0, 0))
    return record(key, TSIG, 255, data)


def ixfr(zone, serial=0):
    data = (merlon_dns.name_to_wire("ns.invalid") + merlon_dns.name_to_wire("mail.invalid")
            + struct.pack(">5I", serial, 1, 1, 1, 1))
    return message(zone, IXFR, authority=record(zone, SOA, 1, data))


SIGNED = message(NAME, 1, additional=tsig())


class Kinds:
    """For each engine; see below."""

    engine = ""

    def setUp(self):
        super().setUp()
        self.m = self.merlon(data={"engine": self.engine})
        self.m.start()
        self.m.add_device("fw1", ["127.0.0.1"])
        self.m.add_device("other", ["127.0.1.2"], account="zeta")
        self.m.add_feed("live", ["45.1.1.1"])
        self.m.build()
        e2e.wait_until("slow path", lambda: self.is_bad_key(self.ask(SIGNED)))

    def ask(self, query, source=None):
        return merlon_dns.ask_udp(("127.0.0.1", self.m.port), query, source, 8 * e2e.FACTOR)

    def counters(self):
        total = self.m.data_command("stats")["total"]
        return {**total["io"], **total["outcomes"]}

    @staticmethod
    def is_bad_key(answer):
        return answer.rcode == "NOTAUTH" and [r[1] for r in answer.additionals] == [TSIG]

    def relayed(self, query):
        """The answer, which must have come from the control plane."""
        before = self.counters()
        answer = self.ask(query)
        e2e.wait_until("counted", lambda: self.counters()["slow_path_replies"]
                       == before["slow_path_replies"] + 1)
        self.assertEqual(self.counters()["relayed"], before["relayed"] + 1)
        return answer

    def test_a_signed_query_gets_badkey(self):
        answer = self.relayed(SIGNED)
        self.assertEqual((answer.rcode, answer.answers), ("NOTAUTH", []))
        (owner, rtype, ttl, data), = answer.additionals
        self.assertEqual((owner, rtype, ttl), ("Key.Example.", TSIG, 0))
        self.assertEqual(data, merlon_dns.name_to_wire("hmac-sha256") + TIME_SIGNED
                         + struct.pack(">HHHHH", 300, 0, 0x4242, BADKEY, 0))

    def test_ixfr_is_the_soa_in_force_of_a_zone_that_one_may_see(self):
        soa = self.m.udp(ZONE, "SOA").answers
        for serial in (0, soa[0][3][2]):
            answer = self.relayed(ixfr(ZONE, serial))
            self.assertEqual((answer.rcode, answer.answers, answer.aa), ("NOERROR", soa, True))
        # Another account's zone, one that does not exist, and one of nobody look the same.
        hidden = self.relayed(ixfr(f"zeta.{ZONE}"))
        nobody = self.relayed(ixfr("zeta.example"))
        missing = self.relayed(ixfr(f"missing.{ZONE}"))
        self.assertEqual((hidden.rcode, hidden.answers), ("REFUSED", []))
        self.assertEqual(hidden.visible(), nobody.visible())
        self.assertEqual(hidden.visible(), missing.visible())

    def test_opcodes_and_transfers_get_their_rcodes(self):
        for query, rcode in ((message(ZONE, SOA, OPCODE_NOTIFY), "NOTAUTH"),
                             (message("other.example", SOA, OPCODE_NOTIFY), "NOTAUTH"),
                             (message(ZONE, 1, OPCODE_NOTIFY), "FORMERR"),
                             (message(ZONE, SOA, OPCODE_UPDATE), "NOTIMP"),
                             (message(ZONE, 1, OPCODE_STATUS), "NOTIMP"),
                             (message(ZONE, IXFR), "FORMERR"), (message(ZONE, AXFR), "NOTIMP")):
            answer = self.relayed(query)
            self.assertEqual(answer.rcode, rcode, query)
            self.assertEqual(answer.wire[2] & 0x78, query[2] & 0x78)  # the opcode is copied

    def test_tcp_says_the_same(self):
        for query in (SIGNED, ixfr(f"zeta.{ZONE}"), message(ZONE, SOA, OPCODE_NOTIFY),
                      message(ZONE, SOA, OPCODE_UPDATE)):
            tcp = merlon_dns.ask_tcp(("127.0.0.1", self.m.port), query, timeout=8 * e2e.FACTOR)
            self.assertEqual(tcp.wire, self.relayed(query).wire)

    def test_strangers_are_refused_and_not_relayed(self):
        before = self.counters()
        for query in (SIGNED, ixfr(ZONE), message(ZONE, SOA, OPCODE_NOTIFY),
                      message(ZONE, AXFR)):
            answer = self.ask(query, STRANGER)
            self.assertEqual((answer.rcode, answer.answers, answer.additionals),
                             ("REFUSED", [], []))
        after = self.counters()
        self.assertEqual(after["relayed"], before["relayed"])
        self.assertEqual(after["refused_unregistered"], before["refused_unregistered"] + 4)

    def test_each_asker_gets_his_own_answer(self):
        """Forty at once with one id; the answer's question shows whose it is."""
        clients = []
        for i in range(40):
            client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.addCleanup(client.close)
            client.settimeout(8 * e2e.FACTOR)
            client.connect(("127.0.0.1", self.m.port))
            clients.append((client, message(f"n{i}.example", 1, additional=tsig(f"key{i}"))))
        for _ in range(5):
            for client, query in clients:
                client.send(query)
            for i, (client, query) in enumerate(clients):
                answer = merlon_dns.Answer(client.recv(4096), query)
                self.assertEqual(answer.additionals[0][0], f"key{i}.")
        self.assertEqual(self.counters()["slow_path_unmatched"], 0)

    def test_a_killed_control_plane_is_replaced_by_rcodes_and_comes_back(self):
        self.m.control.end(signal.SIGKILL)

        def fallback():
            started = time.monotonic()
            answer = self.ask(SIGNED)
            self.assertLess(time.monotonic() - started, 1.5 * e2e.FACTOR)
            self.assertIn(answer.rcode, ("NOTAUTH", "SERVFAIL"))
            return answer.rcode == "NOTAUTH" and not answer.additionals

        e2e.wait_until("answered without the control plane", fallback)
        relayed = self.counters()["relayed"]
        self.assertEqual(self.ask(message(ZONE, AXFR)).rcode, "NOTIMP")
        self.assertEqual(self.ask(message(ZONE, SOA, OPCODE_NOTIFY)).rcode, "NOTIMP")
        self.assertEqual(self.counters()["relayed"], relayed)
        self.m.start_control()
        e2e.wait_until("the slow path is back", lambda: self.is_bad_key(self.ask(SIGNED)))

    def test_a_stuck_control_plane_delays_nobody_else(self):
        os.kill(self.m.control.pid, signal.SIGSTOP)
        self.addCleanup(lambda: self.m.control.running()
                        and os.kill(self.m.control.pid, signal.SIGCONT))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waiting:
            waiting.settimeout(8 * e2e.FACTOR)
            waiting.connect(("127.0.0.1", self.m.port))
            for _ in range(30):
                waiting.send(SIGNED)
            # Patience is two seconds; fast answers know nothing of it.
            for _ in range(100):
                started = time.monotonic()
                self.assert_addresses(self.m.udp(NAME), ["45.1.1.1", e2e.TEST_ADDRESS4])
                self.assertLess(time.monotonic() - started, 1.5 * e2e.FACTOR)
            for _ in range(30):
                self.assertIn(merlon_dns.Answer(waiting.recv(4096), SIGNED).rcode,
                              ("SERVFAIL", "NOTAUTH"))
        os.kill(self.m.control.pid, signal.SIGCONT)
        e2e.wait_until("the slow path is back", lambda: self.is_bad_key(self.ask(SIGNED)))


class IoUring(Kinds, e2e.Case):
    engine = "io_uring"


class Mmsg(Kinds, e2e.Case):
    engine = "mmsg"


if __name__ == "__main__":
    e2e.main()
