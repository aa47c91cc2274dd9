#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What feeds really send: error pages, half files, nonsense, nothing. The last good copy stays."""

import gzip
import ipaddress
import os
import time

import merlon_e2e as e2e

GOOD = [f"45.1.1.{i}" for i in range(1, 41)]
HTML = b"<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title><body>45.1.1.1"


class BadInput(e2e.Case):
    def setUp(self):
        super().setUp()
        self.m = self.merlon()
        self.m.start()
        self.m.add_device("fw1", ["127.0.0.1"])
        self.server = e2e.FeedServer(self)

    def add(self, name, **more):
        """Defines a feed at the test's server."""
        status, answer = self.m.api("POST", "/v1/feeds", {
            "id": name, "url": self.server.url(f"/{name}"), **more})
        self.assertEqual(status, 201, answer)

    def state(self, name):
        return self.m.ctl_json("feed", "show", name)["feed"]["state"]

    def assert_last_good(self, name="live"):
        self.m.build()
        self.assert_addresses(self.m.udp(f"{name}.merlon.internal"), GOOD + [e2e.TEST_ADDRESS4])

    def test_content_that_is_no_feed_is_quarantined(self):
        self.server.put("/live", "\n".join(GOOD))
        self.add("live")
        self.m.ctl("feed", "refresh", "live")
        self.assert_last_good()
        for content, reason in (
                (b"", "empty"), (b"\n\n# nothing today\n", "no readable entry"),
                (HTML, "HTML"), (os.urandom(5000) + b"\0", "binary"),
                (gzip.compress(b"45.1.1.1\n", mtime=0)[:-9], "gzip data that is truncated"),
                (b"45.1.1.1\n" + b"junk and more\n" * 50, "none of the known layouts"),
                (("45.1.1.1\n" * 9 + "45.1.1.300\n" * 30).encode(), "mostly unreadable"),
                ((e2e.ROOT / "tests/samples/feeds-bad/mostly-unreadable.txt").read_bytes(),
                 "mostly unreadable"),
                ("\ufeff<html>".encode(), "HTML|unreadable|readable|none of")):
            with self.subTest(reason=reason):
                self.server.put("/live", content)
                done = self.m.ctl("feed", "refresh", "live", expect=e2e.FAILED)
                self.assertIn("quarantined", done.stdout + done.stderr)
                state = self.state("live")
                self.assertEqual(state["health"], "quarantined")
                self.assertRegex(state["reason"], reason)
                self.assertEqual(state["prefix4_count"], len(GOOD))
                self.assertIn("quarantined", self.m.ctl("feed", "show", "live").stdout)
                self.assertRegex(self.m.ctl("feed", "list").stdout, r"(?m)^live +quarantined +40 ")
                self.assertEqual(self.m.ctl_json("status")["status"]["feed_unhealthy_count"], 1)
                self.assert_last_good()
        self.server.put("/live", "45.2.2.2\n")
        self.m.ctl("feed", "refresh", "live")
        self.assertEqual(self.state("live")["health"], "good")
        self.m.build()
        self.assert_addresses(self.m.udp("live.merlon.internal"), ["45.2.2.2", e2e.TEST_ADDRESS4])

    def test_refused_lines_are_counted_and_shown(self):
        self.m.add_feed("mixed", GOOD + [
            "109.230.155.061", "/izuku.sh", "/gate.php", "1.2.3", "300.1.1.1", "45.3.3.0/33",
            "http://panel.example/x", "45.3.3[.]3", "a@b.example",
            "d41d8cd98f00b204e9800998ecf8427e", "45.4.4.9-45.4.4.1", "*.wild.example"])
        state = self.state("mixed")
        # The defanged 45.3.3[.]3 is read.
        self.assertEqual((state["health"], state["rejected_count"]), ("good", 11))
        self.assertEqual(state["rejected_by_reason"]["leading_zero"], 1)
        self.assertEqual(state["rejected_by_reason"]["path_only"], 2)
        first = state["rejected_examples"][0]
        self.assertEqual((first["line"], first["reason"], first["text"]),
                         (41, "leading_zero", "109.230.155.061"))
        self.assertEqual(len(state["rejected_examples"]), 10)
        shown = self.m.ctl("feed", "show", "mixed").stdout
        self.assertRegex(shown, r"(?m)^ *41 +leading_zero +109\.230\.155\.061$")
        self.assertRegex(shown, r"(?m)^ *42 +path_only +/izuku\.sh$")
        self.m.build()
        self.assert_addresses(self.m.udp("mixed.merlon.internal"),
                              GOOD + ["45.3.3.3", e2e.TEST_ADDRESS4])
        for octal in ("109.230.155.49", "109.230.155.61"):  # read as octal, read as decimal
            self.assertFalse(self.m.ctl_json("check", octal)["check"]["listed"])

    def test_bad_servers(self):
        self.server.put("/live", "\n".join(GOOD), '"good"')
        self.add("live", timeout_s=2, size_max_bytes=100_000)
        self.m.ctl("feed", "refresh", "live")
        self.assert_last_good()
        for page, reason in ((None, "HTTP 404"), (self.server.fail_with(500), "HTTP 500"),
                             (self.server.fail_with(403), "HTTP 403"),
                             (self.server.fail_with(503), "HTTP 503"),
                             (self.server.fail_with(304), ""),
                             (self.server.flood, "larger than 100000 bytes"),
                             (self.server.hang, "not complete within 2 s")):
            with self.subTest(reason=reason):
                self.server.pages["/live"] = page
                started = time.monotonic()
                done = self.m.ctl("feed", "refresh", "live",
                                  expect=e2e.FAILED if reason else e2e.OK)
                self.assertLess(time.monotonic() - started, 8 * e2e.FACTOR)
                state = self.state("live")
                self.assertEqual(state["health"], "failed" if reason else "good")
                self.assertIn(reason, state["reason"])
                self.assertIn(reason, done.stdout + done.stderr)
                self.assert_last_good()

    def test_a_dead_server_and_a_missing_file(self):
        self.server.put("/live", "\n".join(GOOD))
        self.add("live")
        self.m.ctl("feed", "refresh", "live")
        path = self.m.write_feed("file", GOOD)
        self.m.ctl("feed", "add", "file", "--url", path.as_uri())
        self.m.ctl("feed", "refresh", "file")
        self.server.server.shutdown()
        self.server.server.server_close()
        path.unlink()
        done = self.m.ctl("feed", "refresh", "--all", expect=e2e.FAILED)
        self.assertIn("2 feeds: 0 loaded, 0 quarantined, 2 failed", done.stderr)
        self.assertIn("no such file", self.state("file")["reason"])
        self.assertIn("127.0.0.1", self.state("live")["reason"])
        self.assert_last_good("live")
        self.assert_last_good("file")

    def test_compressed_answers_are_read_and_limited(self):
        def send(body):
            def page(request):
                data = gzip.compress(body)
                request.send_response(200)
                request.send_header("Content-Encoding", "gzip")
                request.send_header("Content-Length", str(len(data)))
                request.end_headers()
                request.wfile.write(data)
            return page

        self.server.pages["/live"] = send("\n".join(GOOD).encode())
        self.add("live", size_max_bytes=100_000)
        self.m.ctl("feed", "refresh", "live")
        self.assert_last_good()
        self.server.pages["/live"] = send(b"45.9.9.9\n" * 100_000)  # small on the wire
        self.m.ctl("feed", "refresh", "live", expect=e2e.FAILED)
        self.assertIn("larger than 100000 bytes", self.state("live")["reason"])
        self.assert_last_good()

    def test_a_hanging_feed_does_not_hold_the_others_up(self):
        self.server.pages["/slow"] = self.server.hang
        self.add("slow", timeout_s=30)  # fetched by itself at once
        e2e.wait_until("asked", lambda: self.server.statuses("/slow"))
        started = time.monotonic()
        self.m.add_feed("quick", GOOD)
        self.m.build()
        self.assert_addresses(self.m.udp("quick.merlon.internal"), GOOD + [e2e.TEST_ADDRESS4])
        self.assertLess(time.monotonic() - started, 5 * e2e.FACTOR)

    def test_protected_addresses_are_never_listed(self):
        protected = ["10.0.0.1", "127.0.0.1", "192.168.1.0/24", "172.16.5.5", "169.254.1.1",
                     "100.64.0.1", "8.8.8.8", "1.1.1.1", "9.9.9.9", "198.41.0.4", "224.0.0.5",
                     "198.51.100.7", "240.0.0.1", "fe80::1", "fc00::1", "::1", "2001:db8::77",
                     "2001:4860:4860::8888", "ff02::1"]
        # Around a public resolver and around private space.
        wide = ["8.8.8.0/24", "11.0.0.0", "9.255.255.255", "2a0f:1::1"]
        self.m.add_feed("evil", protected + wide)
        self.m.build()
        answer = self.m.tcp("evil.merlon.internal").values("A")
        expected = [f"8.8.8.{i}" for i in range(256) if i != 8]
        self.assertEqual(sorted(answer), sorted(
            expected + ["11.0.0.0", "9.255.255.255", e2e.TEST_ADDRESS4]))
        self.assert_addresses(self.m.tcp("evil.merlon.internal", "AAAA"),
                              ["2a0f:1::1", e2e.TEST_ADDRESS6])
        ranges = [ipaddress.ip_network(item)
                  for item in self.m.tcp("evil.merlon.internal", "APL").values()[0]]
        for text in protected:
            first = ipaddress.ip_network(text, strict=False).network_address
            self.assertFalse([item for item in ranges if item.version == first.version
                              and first in item], text)
        check = self.m.ctl_json("check", "8.8.8.8")["check"]
        self.assertIn("Google", check["protected_by"])
        self.assertEqual(check["lists"], [])
        self.assertRegex(self.m.ctl("check", "10.0.0.1").stdout, "private use")
        lists = self.m.ctl_json("list", "show", "evil")["list"]
        self.assertEqual(lists["protected_prefix_count"], len(protected))

    def test_too_wide_prefixes_are_refused(self):
        self.m.add_feed("wide", GOOD + ["0.0.0.0/0", "::/0", "0.0.0.0", "64.0.0.0/7"])
        state = self.state("wide")
        self.assertEqual(state["rejected_count"], 4, state)
        self.m.build()
        self.assert_addresses(self.m.udp("wide.merlon.internal"), GOOD + [e2e.TEST_ADDRESS4])
        # As wide as a feed may say: in the prefix list, not as a million addresses.
        self.m.write_feed("wide", GOOD + ["64.0.0.0/8"])
        self.m.ctl("feed", "refresh", "wide")
        self.m.build()
        self.assert_addresses(self.m.udp("wide.merlon.internal"), GOOD + [e2e.TEST_ADDRESS4])
        self.assertIn("64.0.0.0/8", self.m.tcp("wide.merlon.internal", "APL").values()[0])
        text = self.m.udp("wide.merlon.internal", "TXT").values()[0]
        self.assertIn("prefixes-only-in-apl=1", text)

    def test_bad_sample_feeds_of_the_project(self):
        folder = e2e.ROOT / "tests/samples/feeds-bad"
        done = self.m.ctl_json("feed", "add", "--dir", folder, expect=e2e.FAILED)
        self.assertEqual(len(done["feeds"]), len(list(folder.iterdir())))
        for item in done["feeds"]:
            self.assertEqual(item["result"], "quarantined", item)
            self.assertGreater(len(item["reason"]), 4)
        self.m.build()
        self.assertEqual(self.m.ctl_json("list", "list")["lists"], [])

    def test_allow_feeds_take_out_of_every_list(self):
        self.m.add_feed("live", GOOD)
        self.m.add_feed("friends", ["45.1.1.10", "45.1.1.16/29"], "--direction", "allow")
        self.m.build()
        friends = {10, *range(16, 24)}
        expected = [x for x in GOOD if int(x.rsplit(".", 1)[1]) not in friends]
        for name in ("live", "basic"):
            self.assert_addresses(self.m.udp(f"{name}.merlon.internal"),
                                  expected + [e2e.TEST_ADDRESS4])
        self.assertEqual(self.m.udp("friends.merlon.internal").rcode, "NXDOMAIN")


if __name__ == "__main__":
    e2e.main()
