#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Who may ask: registered sources only, each its tier's lists, from the moment it is added until it
is removed."""

import socket
import struct

import merlon_dns
import merlon_e2e as e2e

# Loopback addresses as sources of different devices.
OPERATOR, COMMUNITY, BASIC, OTHER, STRANGER = (f"127.0.1.{i}" for i in range(1, 6))


class Access(e2e.Case):
    def setUp(self):
        super().setUp()
        self.m = self.merlon()
        self.m.start()
        for name, tier in (("public", "community"), ("shared", "basic"), ("premium", "advanced")):
            self.m.add_feed(name, [f"45.{len(name)}.1.{i}" for i in range(1, 5)], "--tier", tier)
        self.m.add_device("op", [OPERATOR], "house", "operator")
        self.m.add_device("small", [COMMUNITY], "acme", "community")
        self.m.add_device("middle", [BASIC], "acme", "basic")
        self.m.add_device("rich", [OTHER], "zeta", "advanced")
        self.m.build()

    def both(self, name, source, qtype="A", **query):
        """The answer over UDP, which TCP must equal."""
        udp = self.m.udp(name, qtype, source=source, ident=1, **query)
        tcp = self.m.tcp(name, qtype, source=source, ident=1, **query)
        self.assertEqual(udp.wire, tcp.wire, (name, source))
        return udp

    def test_unregistered_source_is_refused(self):
        for name in ("public.merlon.internal", "missing.merlon.internal", "merlon.internal",
                     "example.com", "."):
            answer = self.both(name, STRANGER)
            self.assertEqual((answer.rcode, answer.ede, answer.answers, answer.authorities),
                             ("REFUSED", 18, [], []))
            self.assertFalse(answer.aa)
            plain = self.both(name, STRANGER, edns=None)
            self.assertEqual((plain.rcode, plain.edns_version), ("REFUSED", None))
        if e2e.HAS_IPV6:
            for ask in (self.m.udp, self.m.tcp):
                answer = ask("public.merlon.internal", host="::1")
                self.assertEqual((answer.rcode, answer.ede), ("REFUSED", 18))
        text = self.m.run("dig", "-b", STRANGER, "@127.0.0.1", "-p", self.m.port,
                          "public.merlon.internal", "TXT")
        self.assertIn("status: REFUSED", text)
        self.assertIn("EDE: 18 (Prohibited)", text)
        self.assertIn("(Prohibited)", self.m.run(
            "kdig", "-b", STRANGER, "@127.0.0.1", "-p", self.m.port, "public.merlon.internal",
            "+edns"))

    def test_each_tier_sees_its_lists_and_those_below(self):
        sees = {COMMUNITY: {"public"}, BASIC: {"public", "shared", "basic", "blacklist"},
                OTHER: {"public", "shared", "premium", "basic", "blacklist"},
                OPERATOR: {"public", "shared", "premium", "basic", "blacklist"}}
        for source, lists in sees.items():
            for name in ("public", "shared", "premium", "basic", "blacklist"):
                answer = self.both(f"{name}.merlon.internal", source)
                if name in lists:
                    self.assertEqual(answer.rcode, "NOERROR", (source, name))
                    self.assertIn(e2e.TEST_ADDRESS4, answer.values())
                else:
                    self.assertEqual((answer.rcode, answer.answers), ("REFUSED", []),
                                     (source, name))

    def test_a_hidden_list_looks_like_a_name_of_nobody(self):
        for qtype in ("A", "TXT", "PTR", "AAAA", "ANY"):
            hidden = self.both("premium.merlon.internal", COMMUNITY, qtype)
            nobody = self.both("premium.merlon.nowhere.", COMMUNITY, qtype)
            self.assertEqual(hidden.rcode, "REFUSED")
            self.assertEqual(hidden.visible(), nobody.visible())

    def test_a_lists_parts_and_index_are_hidden_with_it(self):
        self.m.add_feed("long", [f"46.{i // 250}.1.{i % 250}" for i in range(4100)],
                        "--tier", "advanced")
        self.m.build()
        for name in ("long", "long1"):
            self.assertEqual(self.both(f"{name}.merlon.internal", BASIC).rcode, "REFUSED")
            answer = self.m.tcp(f"{name}.merlon.internal", source=OTHER)
            self.assertEqual(answer.rcode, "NOERROR")
            self.assertEqual(len(answer.answers), 2051)

    def test_two_accounts_get_the_same_shared_lists(self):
        mine = self.both("shared.merlon.internal", BASIC)
        other = self.both("shared.merlon.internal", OTHER)
        self.assertEqual(mine.wire, other.wire)
        devices = {item["name"]: item for item in self.m.ctl_json("device", "list")["devices"]}
        self.assertEqual(devices["small"]["account_number"], devices["middle"]["account_number"])
        self.assertNotEqual(devices["small"]["account_number"], devices["rich"]["account_number"])

    def test_an_added_device_is_answered_and_a_removed_one_refused_within_seconds(self):
        for ask in (self.m.udp, self.m.tcp):
            self.assertEqual(ask("shared.merlon.internal", source=STRANGER).rcode, "REFUSED")
        self.m.add_device("new", [STRANGER], "zeta", "basic")
        for ask in (self.m.udp, self.m.tcp):
            e2e.wait_until("answered", lambda ask=ask: ask(
                "shared.merlon.internal", source=STRANGER).rcode == "NOERROR", 5)
        self.m.ctl("device", "remove", "new", "--yes")
        for ask in (self.m.udp, self.m.tcp):
            e2e.wait_until("refused", lambda ask=ask: ask(
                "shared.merlon.internal", source=STRANGER).ede == 18, 5)
        self.assertEqual(self.both("shared.merlon.internal", BASIC).rcode, "NOERROR")

    def test_an_open_connection_is_refused_too_when_its_device_is_removed(self):
        with socket.create_connection(("127.0.0.1", self.m.port), 20 * e2e.FACTOR,
                                      (BASIC, 0)) as client:
            def ask():
                query = merlon_dns.make_query("shared.merlon.internal", "A")
                client.sendall(struct.pack(">H", len(query)) + query)
                size = struct.unpack(">H", merlon_dns.receive_exactly(client, 2))[0]
                return merlon_dns.Answer(merlon_dns.receive_exactly(client, size), query)

            self.assertEqual(ask().rcode, "NOERROR")
            self.m.ctl("device", "remove", "middle", "--yes")
            e2e.wait_until("refused", lambda: ask().rcode == "REFUSED", 5)

    def test_longest_prefix_decides(self):
        self.m.add_device("net", ["127.0.2.0/24"], "acme", "basic")
        self.m.add_device("host", ["127.0.2.77"], "zeta", "community")
        self.m.build()
        for last, rcode in ((1, "NOERROR"), (76, "NOERROR"), (77, "REFUSED"), (78, "NOERROR"),
                            (255, "NOERROR")):
            answer = self.both("shared.merlon.internal", f"127.0.2.{last}")
            self.assertEqual(answer.rcode, rcode, last)
        self.assertEqual(self.both("public.merlon.internal", "127.0.2.77").rcode, "NOERROR")
        self.assertEqual(self.both("public.merlon.internal", "127.0.3.0").ede, 18)
        self.m.ctl("device", "remove", "host", "--yes")
        self.m.build()
        self.assertEqual(self.both("shared.merlon.internal", "127.0.2.77").rcode, "NOERROR")

    def test_a_source_belongs_to_one_device(self):
        taken = self.m.ctl("device", "add", "thief", "--account", "zeta", "--source", BASIC,
                           expect=e2e.FAILED)
        self.assertIn("middle", taken.stderr)
        for bad in ("127.0.0.0.1", "127.0.0.1/33", "127.0.0.01", "fw.example", "127.0.0.1/24"):
            refused = self.m.ctl("device", "add", "bad", "--account", "zeta", "--source", bad,
                                 expect=None)
            self.assertIn(refused.returncode, (e2e.FAILED, e2e.USAGE), bad)
        self.assertNotIn("bad", self.m.ctl("device", "list").stdout)


if __name__ == "__main__":
    e2e.main()
