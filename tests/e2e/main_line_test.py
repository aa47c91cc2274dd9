#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""From feeds to answers: what was fetched is what clients get, over UDP and TCP, IPv4 and IPv6."""

import ipaddress
import re
import socket
import struct

import merlon_e2e as e2e
from merlon_dns import TYPES, Answer, make_query, name_to_wire, receive_exactly

SCAN = [str(ipaddress.ip_address("45.0.0.0") + 3 * i) for i in range(4500)]
WEB4 = ["185.10.0.4", "185.10.0.5", "185.20.0.0/16"]
WEB6 = ["2a0f:1::1", "2a0f:1::2", "2a0f:2::/48"]
DOMAINS = ["bad.example", "worse.example"]


class MainLine(e2e.Case):
    """One Merlon for all tests of the class: nothing here changes it."""

    @classmethod
    def setUpClass(cls):
        cls.keeper = e2e.Case()
        cls.keeper.setUp()
        cls.addClassCleanup(cls.keeper.doCleanups)
        cls.feeds = e2e.FeedServer(cls.keeper)
        cls.feeds.put("/web.txt", "\n".join(["# web", *WEB4, *WEB6, *DOMAINS, "nonsense!", ""]),
                      '"v1"')
        cls.m = cls.keeper.merlon()
        cls.m.start()
        cls.m.add_device("fw1", ["127.0.0.1"] + (["::1"] if e2e.HAS_IPV6 else []))
        cls.added = cls.m.add_feed("scan", SCAN, "--category", "scanner")
        cls.m.ctl("feed", "add", "web", "--url", cls.feeds.url("/web.txt"), "--category",
                  "c2-server", "--title", "Web")
        cls.m.ctl("feed", "refresh", "web")
        cls.built = cls.m.ctl("snapshot", "build")

    def setUp(self):
        self.folder, self.last_words = self.keeper.folder, []
        self.addCleanup(self._keep_logs)

    def listed4(self):
        return SCAN + WEB4[:2] + [e2e.TEST_ADDRESS4]

    # Answers.

    def test_small_list_fits_udp(self):
        for host in e2e.HOSTS:
            answer = self.m.udp("web.merlon.internal", host=host)
            self.assert_addresses(answer, WEB4[:2] + [e2e.TEST_ADDRESS4])
            self.assertTrue(answer.aa)
            self.assertFalse(answer.tc)
            self.assertEqual({ttl for _, _, ttl, _ in answer.answers}, {900})
            aaaa = self.m.udp("web.merlon.internal", "AAAA", host=host)
            self.assert_addresses(aaaa, WEB6[:2] + [e2e.TEST_ADDRESS6])

    def test_long_list_is_truncated_on_udp_and_whole_on_tcp(self):
        for host in e2e.HOSTS:
            short = self.m.udp("scan.merlon.internal", host=host)
            self.assertTrue(short.tc)
            self.assertEqual(short.answers, [])
            first = self.m.tcp("scan.merlon.internal", host=host)
            self.assertFalse(first.tc)
            second = self.m.tcp("scan1.merlon.internal", host=host)
            for part in (first, second):  # cut in halves, each with the test address
                self.assertIn(len(part.answers), (2251, 2252))
            self.assertEqual(sorted(first.values("A") + second.values("A")),
                             sorted(SCAN + 2 * [e2e.TEST_ADDRESS4]))
            none = self.m.udp("scan2.merlon.internal", host=host)
            self.assertEqual(none.rcode, "NXDOMAIN")

    def test_index_names_every_part(self):
        self.assertEqual(self.m.udp("scan.merlon.internal", "PTR").values(),
                         ["scan.merlon.internal.", "scan1.merlon.internal."])
        self.assertEqual(self.m.udp("web.merlon.internal", "PTR").values(),
                         ["web.merlon.internal."])

    def test_text_counts_the_list(self):
        words = dict(x.split("=", 1) for x in self.m.udp("scan.merlon.internal", "TXT").values()[0])
        self.assertEqual((words["merlon"], words["names"], words["ipv4"], words["ipv6"],
                          words["prefixes-only-in-apl"]), ("1", "2", "4501", "0", "0"))
        words = dict(x.split("=", 1) for x in self.m.udp("web.merlon.internal", "TXT").values()[0])
        self.assertEqual((words["names"], words["ipv4"], words["ipv6"],
                          words["prefixes-only-in-apl"]), ("1", "3", "3", "2"))
        self.assertRegex(words["changed"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertRegex(words["digest"], r"^[0-9a-f]{32}$")

    def test_prefix_list_holds_what_is_too_wide_for_addresses(self):
        items = self.m.tcp("web.merlon.internal", "APL").values()[0]
        got = {ipaddress.ip_network(item) for item in items}
        self.assertEqual(got, {ipaddress.ip_network(item) for item in (
            "185.10.0.4/31", "185.20.0.0/16", "192.0.2.1/32", "2a0f:1::1/128", "2a0f:1::2/128",
            "2a0f:2::/48", "2001:db8::1/128")})

    def test_basic_and_category_lists(self):
        got = []
        for name in self.m.udp("basic.merlon.internal", "PTR").values():
            got += self.m.tcp(name).values("A")
        self.assertEqual(sorted(set(got)), sorted(self.listed4()))
        self.assertEqual(got.count(e2e.TEST_ADDRESS4), len(got) - len(self.listed4()) + 1)
        self.assert_addresses(self.m.udp("c2-server.merlon.internal"),
                              WEB4[:2] + [e2e.TEST_ADDRESS4])

    def test_no_data_and_no_name(self):
        nodata = self.m.udp("scan.merlon.internal", "AAAA")
        self.assertEqual((nodata.rcode, nodata.answers), ("NOERROR", []))
        missing = self.m.udp("missing.merlon.internal")
        self.assertEqual((missing.rcode, missing.answers), ("NXDOMAIN", []))
        apex = self.m.udp("merlon.internal", "SOA")
        for answer in (nodata, missing):
            owner, rtype, ttl, soa = answer.authorities[0]
            self.assertEqual((owner, rtype, ttl, soa), ("merlon.internal.", "SOA", 60,
                                                        apex.values()[0]))
            self.assertTrue(answer.aa)
        self.assertEqual(self.m.udp("merlon.internal", "NS").values(), ["ns1.merlon.internal."])

    def test_case_of_the_question_is_kept(self):
        for ask in (self.m.udp, self.m.tcp):
            answer = ask("WeB.mERlon.INternAL")
            self.assertEqual(answer.question[:-4], name_to_wire("WeB.mERlon.INternAL"))
            self.assertEqual(len(answer.answers), 3)
            self.assertEqual({owner for owner, _, _, _ in answer.answers},
                             {"WeB.mERlon.INternAL."})
            self.assertEqual(ask("MISSing.merlon.INTERNAL").rcode, "NXDOMAIN")

    def test_edns_versions_and_sizes(self):
        for ask in (self.m.udp, self.m.tcp):
            plain = ask("web.merlon.internal", edns=None)
            self.assertIsNone(plain.edns_version)
            self.assertEqual(len(plain.answers), 3)
            answer = ask("web.merlon.internal", edns=4096)
            self.assertEqual((answer.edns_version, answer.edns_size), (0, 1232))
            newer = ask("web.merlon.internal", version=1)
            self.assertEqual((newer.rcode, newer.edns_version, newer.answers), ("BADVERS", 0, []))
            unknown = ask("web.merlon.internal", options=struct.pack(">HH3s", 65001, 3, b"abc"))
            self.assertEqual((unknown.rcode, len(unknown.answers)), ("NOERROR", 3))
            broken = ask("web.merlon.internal", options=struct.pack(">HH", 65001, 30))
            self.assertEqual(broken.rcode, "FORMERR")

    def test_udp_and_tcp_say_the_same(self):
        for name, qtype in (("web.merlon.internal", "A"), ("web.merlon.internal", "AAAA"),
                            ("web.merlon.internal", "TXT"), ("web.merlon.internal", "APL"),
                            ("scan.merlon.internal", "PTR"), ("scan.merlon.internal", "AAAA"),
                            ("missing.merlon.internal", "A"), ("elsewhere.example", "A"),
                            ("merlon.internal", "SOA"), ("web.merlon.internal", "ANY")):
            for edns in (1232, None):
                udp = self.m.udp(name, qtype, ident=7, edns=edns)
                tcp = self.m.tcp(name, qtype, ident=7, edns=edns)
                self.assertEqual(udp.wire, tcp.wire, (name, qtype, edns))

    def test_many_queries_on_one_connection(self):
        names = ["web", "scan", "scan1", "missing", "c2-server"] * 8
        queries = [make_query(f"{name}.merlon.internal", "A") for name in names]
        with socket.create_connection(("127.0.0.1", self.m.port), 20 * e2e.FACTOR) as client:
            client.sendall(b"".join(struct.pack(">H", len(q)) + q for q in queries))
            for name, query in zip(names, queries):
                size = struct.unpack(">H", receive_exactly(client, 2))[0]
                answer = Answer(receive_exactly(client, size), query)
                self.assertIn(len(answer.values("A")), {
                    "web": (3,), "scan": (2251, 2252), "scan1": (2251, 2252), "missing": (0,),
                    "c2-server": (3,)}[name])

    # Other people's clients.

    def ask_with_clients(self, name, qtype):
        """{client and family: sorted values} as dig, kdig and drill print them."""
        got = {}
        for host in e2e.HOSTS:
            for tool in ("dig", "kdig"):
                text = self.m.run(tool, f"@{host}", "-p", self.m.port, name, qtype, "+short")
                got[tool, host] = sorted(line for line in text.splitlines() if line)
            text = self.m.run("drill", "-a", f"@{host}", "-p", self.m.port, name, qtype)
            answer = text.split(";; ANSWER SECTION:")[1].split(";; AUTHORITY SECTION:")[0]
            got["drill", host] = sorted(
                re.split(r"\s+", line, maxsplit=4)[4] for line in answer.splitlines()
                if line.startswith(name))
        return got

    def test_dig_kdig_and_drill_agree(self):
        for name, qtype, ours in (
                ("web.merlon.internal.", "A", WEB4[:2] + [e2e.TEST_ADDRESS4]),
                ("web.merlon.internal.", "AAAA", WEB6[:2] + [e2e.TEST_ADDRESS6]),
                ("scan.merlon.internal.", "PTR",
                 ["scan.merlon.internal.", "scan1.merlon.internal."]),
                ("scan1.merlon.internal.", "A", self.m.tcp("scan1.merlon.internal").values()),
                ("scan.merlon.internal.", "A", self.m.tcp("scan.merlon.internal").values())):
            for client, values in self.ask_with_clients(name, qtype).items():
                self.assertEqual(values, sorted(ours), (client, name, qtype))

    def test_clients_agree_on_text_and_prefixes(self):
        for qtype in ("TXT", "APL"):
            got = self.ask_with_clients("web.merlon.internal.", qtype)
            # drill writes the zeros of IPv6 addresses out.
            first, *others = [
                [[str(ipaddress.ip_network(item[2:])) if qtype == "APL" else item
                  for item in value.split()] for value in values] for values in got.values()]
            self.assertEqual(len(first), 1)
            self.assertEqual(len(first[0]), {"TXT": 8, "APL": 7}[qtype])
            for values in others:
                self.assertEqual(values, first, (qtype, got))

    def test_dig_comes_over_tcp_by_itself(self):
        text = self.m.run("dig", "@127.0.0.1", "-p", self.m.port, "scan.merlon.internal", "A")
        self.assertIn("Truncated, retrying in TCP mode", text)
        self.assertIn("(TCP)", text)
        self.assertRegex(text, r"ANSWER: 225[12],")
        self.assertIn("status: NOERROR", text)

    # The operator's view.

    def test_feeds_as_table_and_json(self):
        self.assertRegex(self.added.stdout, r"scan +loaded +4500 +0 +0 +0 +4500 +0")
        table = self.m.ctl("feed", "list").stdout.splitlines()
        self.assertRegex(table[0], r"^FEED +HEALTH +IPV4 +IPV6 +DOMAINS +REJECTED +TIER")
        self.assertRegex(table[1], r"^scan +good +4500 +0 +0 +0 +basic +scanner")
        self.assertRegex(table[2], r"^web +good +3 +3 +2 +1 +basic +c2-server")
        feeds = {feed["id"]: feed for feed in self.m.ctl_json("feed", "list")["feeds"]}
        state = feeds["web"]["state"]
        self.assertEqual((state["health"], state["etag"], state["prefix4_count"],
                          state["prefix6_count"], state["domain_count"], state["rejected_count"]),
                         ("good", '"v1"', 3, 3, 2, 1))
        shown = self.m.ctl("feed", "show", "web").stdout
        self.assertIn("nonsense!", shown)
        self.assertIn("Web", shown)
        missing = self.m.ctl("feed", "show", "nowhere", expect=e2e.NOT_FOUND)
        self.assertEqual(missing.stdout, "")
        self.assertIn("nowhere", missing.stderr)
        self.m.ctl("feed", "refresh", "nowhere", expect=e2e.NOT_FOUND)
        again = self.m.ctl("feed", "add", "web", "--url", "file:///tmp/x", expect=e2e.FAILED)
        self.assertIn("conflict", again.stderr)
        self.m.ctl("feed", "add", "basic", "--url", "file:///tmp/x", expect=e2e.FAILED)
        self.m.ctl("feed", "add", "scan2", "--url", "file:///tmp/x", expect=e2e.FAILED)

    def test_unchanged_feed_is_a_304(self):
        before = len(self.feeds.statuses("/web.txt"))
        report = self.m.ctl_json("feed", "refresh", "web")["refresh"]
        self.assertEqual((report["not_modified"], report["added_count"]), (True, 0))
        self.assertEqual(report["state"]["health"], "good")
        self.assertEqual(self.feeds.statuses("/web.txt")[before:], [304])
        self.assertFalse(self.m.build()["changed"])

    def test_lists_as_table_and_json(self):
        table = self.m.ctl("list", "list").stdout
        for row in (r"(?m)^basic +basic +basic +4503 +3 +2 +0 +2 +2 +2$",
                    r"(?m)^c2-server +category +basic +3 +3 +2 +0 +2 +1 +1$",
                    r"(?m)^scan +feed +basic +4501 +0 +0 +0 +0 +2 +1$",
                    r"(?m)^scanner +category +basic +4501 ",
                    r"(?m)^web +feed +basic +3 +3 +2 +0 +2 +1 +1$"):
            self.assertRegex(table, row)
        lists = {item["name"]: item for item in self.m.ctl_json("list", "list")["lists"]}
        self.assertEqual(sorted(lists), ["basic", "c2-server", "scan", "scanner", "web"])
        self.assertEqual(lists["scan"]["names"],
                         ["scan.merlon.internal.", "scan1.merlon.internal."])
        one = self.m.ctl_json("list", "show", "scan")["list"]
        self.assertEqual(one, lists["scan"])
        self.assertIn("scan1.merlon.internal.", self.m.ctl("list", "show", "scan").stdout)
        self.m.ctl("list", "show", "nowhere", expect=e2e.NOT_FOUND)

    def test_devices_as_table_and_json(self):
        self.assertRegex(self.m.ctl("device", "list").stdout,
                         r"(?m)^fw1 +acme +advanced +1 .*127\.0\.0\.1")
        device = self.m.ctl_json("device", "list")["devices"][0]
        self.assertEqual((device["name"], device["account"], device["tier"]),
                         ("fw1", "acme", "advanced"))
        self.m.ctl("device", "remove", "nobody", "--yes", expect=e2e.NOT_FOUND)
        self.m.ctl("device", "remove", "fw1", expect=e2e.USAGE)  # nobody there to ask
        self.m.ctl("device", "add", "fw2", "--account", "acme", "--source", "127.0.0.1",
                   expect=e2e.FAILED)

    def test_snapshots_as_table_and_json(self):
        snapshots = self.m.ctl_json("snapshot", "list")["snapshots"]
        current = [item for item in snapshots if item["current"]]
        self.assertEqual([item["generation"] for item in current], [self.m.current()])
        self.assertGreater(current[0]["size_bytes"], 4500 * 16)
        self.assertEqual(current[0]["segment_count"], len(self.m.segments_of(self.m.current())))
        self.assertRegex(self.m.ctl("snapshot", "list").stdout,
                         rf"(?m)^ *{self.m.current()} .*current$")
        good = self.m.ctl_json("snapshot", "verify")["verify"]
        self.assertEqual(good["generation"], self.m.current())
        text = self.m.ctl("snapshot", "verify").stdout
        self.assertIn("signature good", text)
        self.assertIn("zone merlon.internal.: serial", text)
        self.m.ctl("snapshot", "verify", "99999", expect=e2e.NOT_FOUND)
        self.m.ctl("snapshot", "activate", "99999", "--yes", expect=e2e.NOT_FOUND)
        self.m.ctl("snapshot", "activate", "many", "--yes", expect=e2e.USAGE)
        self.assertIn("nothing changed", self.m.ctl("snapshot", "build").stdout)

    def test_data_plane_as_table_and_json(self):
        status = self.m.ctl_json("dataplane", "status")["dataplane"]
        self.assertEqual((status["generation"], status["last_load_error"], status["worker_count"]),
                         (self.m.current(), "", 1))
        self.assertEqual(status["listen"], self.m.endpoints())
        self.assertIn(f"generation = {self.m.current()}", self.m.ctl("dataplane", "status").stdout)

        def answered():
            return self.m.ctl_json("dataplane", "stats")["dataplane"]["total"]["outcomes"]

        before = answered()
        for _ in range(25):
            self.m.udp("web.merlon.internal")
        self.m.udp("missing.merlon.internal")
        self.m.udp("scan.merlon.internal")
        after = answered()
        grown = {key: after[key] - before[key] for key in after if after[key] != before[key]}
        self.assertEqual(grown, {"answered": 25, "nxdomain": 1, "truncated": 1})
        self.assertRegex(self.m.ctl("dataplane", "stats").stdout,
                         rf"(?m)^outcomes  answered +{after['answered']}\b")

    def test_status_at_a_glance(self):
        status = self.m.ctl_json("status")["status"]
        self.assertEqual((status["feed_count"], status["feed_unhealthy_count"],
                          status["device_count"], status["generation"], status["tcp_generation"],
                          status["last_build_error"], status["dataplane"]),
                         (2, 0, 1, self.m.current(), self.m.current(), "",
                          f"serving generation {self.m.current()}"))
        self.assertIn("last build", self.m.ctl("status").stdout)

    def test_check_says_who_lists_a_value(self):
        check = self.m.ctl_json("check", SCAN[4321])["check"]
        self.assertTrue(check["listed"])
        self.assertEqual([item["feed"] for item in check["observations"]], ["scan"])
        # The second name has it as an A record, the first one in its APL.
        self.assertEqual(check["lists"], [f"{name}{part}.merlon.internal."
                                          for name in ("basic", "scan", "scanner")
                                          for part in ("", "1")])
        wide = self.m.ctl_json("check", "185.20.77.1")["check"]
        self.assertEqual([item["value"] for item in wide["observations"]], ["185.20.0.0/16"])
        self.assertEqual(wide["lists"], ["basic.merlon.internal.", "c2-server.merlon.internal.",
                                         "web.merlon.internal."])
        self.assertTrue(self.m.ctl_json("check", "2a0f:2::99")["check"]["listed"])
        domain = self.m.ctl_json("check", "Bad.Example.")["check"]
        self.assertEqual((domain["kind"], domain["value"], domain["listed"]),
                         ("domain", "bad.example", True))
        self.assertFalse(self.m.ctl_json("check", "203.0.113.9")["check"]["listed"])
        self.assertIn("never listed", self.m.ctl("check", "45.0.0.1").stdout)
        self.assertRegex(self.m.ctl("check", SCAN[0]).stdout, r"(?m)^verdict +listed$")
        for bad in ("109.230.155.061", "1.2.3", "not a name"):
            refused = self.m.ctl("check", bad, expect=e2e.FAILED)
            self.assertIn(bad, refused.stderr)

    def test_every_type_is_asked_for_by_number_too(self):
        for name in ("A", "AAAA", "TXT", "PTR"):
            by_number = self.m.run("dig", "@127.0.0.1", "-p", self.m.port, "+short",
                                   "web.merlon.internal", f"TYPE{TYPES[name]}")
            by_name = self.m.run("dig", "@127.0.0.1", "-p", self.m.port, "+short",
                                 "web.merlon.internal", name)
            self.assertEqual(by_number, by_name)
            self.assertTrue(by_name.strip())


class Changes(e2e.Case):
    """What changes in a feed changes in the answers, and in the names' history."""

    def test_a_change_reaches_the_clients_without_being_asked_to(self):
        m = self.merlon()
        m.start()
        m.add_device("fw1", ["127.0.0.1"])
        server = e2e.FeedServer(self)
        server.put("/list", "45.1.1.1\n45.1.1.2\n", '"a"')
        m.ctl("feed", "add", "live", "--url", server.url("/list"), "--interval", "1h")
        # Neither refreshed nor built by hand.
        e2e.wait_until("first answer", lambda: sorted(m.udp("live.merlon.internal").values())
                       == ["192.0.2.1", "45.1.1.1", "45.1.1.2"])
        serial = m.udp("merlon.internal", "SOA").values()[0][2]
        server.put("/list", "45.1.1.2\n45.1.1.3\n", '"b"')
        m.ctl("feed", "refresh", "live")
        e2e.wait_until("changed answer", lambda: sorted(m.udp("live.merlon.internal").values())
                       == ["192.0.2.1", "45.1.1.2", "45.1.1.3"])
        e2e.wait_until("the same over TCP", lambda: sorted(m.tcp("live.merlon.internal").values())
                       == ["192.0.2.1", "45.1.1.2", "45.1.1.3"])
        self.assertGreater(m.udp("merlon.internal", "SOA").values()[0][2], serial)
        gone = m.ctl_json("check", "45.1.1.1")["check"]
        self.assertFalse(gone["listed"])
        self.assertEqual([item["listed"] for item in gone["observations"]], [False])
        self.assertIn("no longer listed", m.ctl("check", "45.1.1.1").stdout)
        m.ctl("feed", "remove", "live", "--yes")
        e2e.wait_until("list gone", lambda: m.udp("live.merlon.internal").rcode == "NXDOMAIN")

    def test_sample_feeds_of_the_project(self):
        m = self.merlon()
        m.start()
        m.add_device("fw1", ["127.0.0.1"])
        loaded = m.ctl("feed", "add", "--dir", e2e.ROOT / "tests/samples/feeds", expect=None)
        self.assertEqual(loaded.returncode, e2e.OK, loaded.stdout + loaded.stderr)
        m.build()
        self.assertIn("good", m.ctl("feed", "list").stdout)
        for item in m.ctl_json("list", "list")["lists"]:
            if item["address4_count"] > 1 or item["address6_count"]:
                total = [value for name in item["names"]
                         for value in m.tcp(name, "A").values("A")]
                self.assertEqual(len(set(total)), item["address4_count"], item["name"])
                tests = total.count(e2e.TEST_ADDRESS4)  # one in every name
                self.assertEqual(len(total), len(set(total)) + tests - 1, item["name"])
                self.assertGreater(tests, 0)
                total = [value for name in item["names"]
                         for value in m.tcp(name, "AAAA").values("AAAA")]
                self.assertEqual(len(set(total)), item["address6_count"], item["name"])


if __name__ == "__main__":
    e2e.main()
