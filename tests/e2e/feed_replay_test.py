#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two hundred feeds, half of them from the catalogue, against one server that replays everything
that servers do: what is good is read on schedule, what is bad harms itself only."""

import collections
import gzip
import http.server
import pathlib
import re
import threading
import time

import merlon_e2e as e2e

INTERVAL_S, TIMEOUT_S = 2, 4
WATCH_S = 16
SIZE_MAX = 1 << 20
# What the server does for the feed number N; everything else is plainly good.
KINDS = {"drip": 10, "moved": 10, "hang": 10, "cut": 10, "endless": 10, "busy": 10, "gone": 10,
         "circle": 5, "to_file": 5, "error_page": 5, "bomb": 5, "to_metadata": 5}
GOOD = ("good", "drip", "moved")
REASONS = {"hang": r"not within|slow|time", "cut": r"cut|short|partial|end", "gone": "404",
           "endless": "limit|larger|more than", "busy": "503", "circle": "redirect",
           "to_file": "redirect|protocol|scheme", "error_page": "HTML|page",
           "bomb": "limit|larger|more than", "to_metadata": "redirect|protocol|address"}
BOMB = gzip.compress(b"45.1.1.1\n" * (16 << 20), 9)


def content_of(number, declaration):
    """Two entries in the format."""
    options = dict(part.strip().split("=", 1) for part in declaration.split(";")[1:])
    name, address = f"h{number}.replay.example", f"45.{number // 250}.{number % 250}.1"
    column = options.get("column", "")
    if declaration.startswith("csv") and column.isdigit():
        delimiter = {"pipe": "|", "tab": "\t"}.get(options.get("delimiter"), ",")
        rows = [["x"] * (int(column) - 1) + [f"{address[:-1]}{last}", "x"] for last in (1, 2)]
        header = [["head"] * (int(column) + 1)] if options.get("header") == "yes" else []
        return "".join(delimiter.join(row) + "\n" for row in header + rows)
    entries = {"domains": f"{name}\nw.{name}", "hosts": f"0.0.0.0 {name}\n0.0.0.0 w.{name}",
               "adblock": f"||{name}^\n||w.{name}^", "wildcard": f"*.{name}\n*.w.{name}"}
    return entries.get(declaration.split(";")[0], f"{address}\n{address[:-1]}2") + "\n"


class Replay(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        _, kind, number = self.path.split("/")[:3]
        server = self.server
        with server.lock:
            server.asked[int(number)].append((time.monotonic(), self.headers.get("User-Agent")))
        try:
            getattr(self, kind)(int(number))
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            pass

    def reply(self, status, body=b"", length=None, **headers):
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def good(self, number):
        tag = f'"v{number}"'
        known = self.headers.get("If-None-Match") == tag
        with self.server.lock:
            self.server.sent[number, 304 if known else 200] += 1
        if known:
            self.reply(304, ETag=tag)
        else:
            self.reply(200, self.server.content[number], ETag=tag)

    def moved(self, number):
        self.reply(302, Location=f"/good/{number}")

    def drip(self, number):
        body = self.server.content[number]
        self.reply(200, length=len(body))
        for at in range(len(body)):
            self.wfile.write(body[at:at + 1])
            time.sleep(1.5 / len(body))

    def hang(self, _):
        self.reply(200, b"45.0.0.1\n", length=10_000)
        self.server.over.wait(60)

    def cut(self, number):
        self.reply(200, self.server.content[number], length=10_000)
        self.close_connection = True

    def endless(self, _):
        self.send_response(200)
        self.end_headers()
        self.close_connection = True
        while not self.server.over.is_set():
            self.wfile.write(b"45.0.0.1\n" * 4096)

    def busy(self, _):
        self.reply(503, b"later", Retry_After="3600")

    def gone(self, _):
        self.reply(404, b"gone")

    def circle(self, number):
        self.reply(302, Location=f"/circle/{number}")

    def to_file(self, _):
        self.reply(302, Location="file:///etc/passwd")

    def to_metadata(self, _):
        self.reply(302, Location="gopher://169.254.169.254/latest")

    def error_page(self, _):
        self.reply(200, b"<!DOCTYPE html><html><head><title>Sorry</title></head><body>"
                        b"<p>We are down. 45.0.0.1</p></body></html>")

    def bomb(self, _):
        self.reply(200, BOMB, Content_Encoding="gzip")


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Replay)
        self.lock, self.over = threading.Lock(), threading.Event()
        self.asked, self.sent = collections.defaultdict(list), collections.Counter()
        self.content = {}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_):
        """Feeds that hang up on us are what the test is about."""

    def end(self):
        self.over.set()
        self.shutdown()
        self.server_close()


class FeedReplay(e2e.Case):
    def setUp(self):
        super().setUp()
        self.server = Server()
        self.addCleanup(self.server.end)
        self.m = self.merlon(control={"contact": "ops@replay.example"})
        self.m.start_control()
        self.kinds = [kind for kind, count in KINDS.items() for _ in range(count)]
        self.kinds += ["good"] * (200 - len(self.kinds))

    def rss_kib(self):
        status = pathlib.Path(f"/proc/{self.m.control.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1))

    def define(self):
        """The catalogue's definitions, as many as fit, with the server's URLs."""
        status, answer = self.m.api("GET", "/v1/feed-catalogue")
        self.assertEqual(status, 200)
        known = [entry for entry in answer["catalogue"]
                 if re.match(r"plain|netset|domains|hosts|adblock|wildcard|csv; column=\d",
                             entry["format"]) and "where" not in entry["format"]]
        self.assertGreaterEqual(len(known), 60)
        port = self.server.server_address[1]
        # Those of the catalogue last, where most are good.
        extra = 200 - len(known)
        for number, kind in enumerate(self.kinds):
            body = {"id": f"feed{number}x", "format": "plain", "category": "blacklist"}
            if number >= extra:
                entry = known[number - extra]
                body = {key: entry[key] for key in
                        ("id", "title", "provider", "licence", "format", "category", "severity",
                         "confidence")}
            self.server.content[number] = content_of(number, body["format"]).encode()
            body.update({"url": f"http://127.0.0.1:{port}/{kind}/{number}",
                         "interval_s": INTERVAL_S, "timeout_s": TIMEOUT_S,
                         "size_max_bytes": SIZE_MAX, "private_hosts": True})
            status, answer = self.m.api("POST", "/v1/feeds", body)
            self.assertEqual(status, 201, answer)

    def feeds(self):
        """{number: the feed's record}"""
        return {int(feed["url"].rpartition("/")[2]): feed
                for feed in self.m.ctl_json("feed", "list")["feeds"]}

    def test_two_hundred_feeds_of_every_kind(self):
        before = self.rss_kib()
        self.define()
        good = [number for number, kind in enumerate(self.kinds) if kind in GOOD]
        peak = [0]

        def all_good():
            peak[0] = max(peak[0], self.rss_kib())
            feeds = self.feeds()
            return all(feeds[number]["state"]["health"] == "good" for number in good)

        started = time.monotonic()
        e2e.wait_until("every good feed", all_good, 40)
        print(f"{len(good)} good feeds read {time.monotonic() - started:.1f} s after the last was "
              "defined", flush=True)
        watched = time.monotonic()
        while time.monotonic() - watched < WATCH_S * e2e.FACTOR:
            peak[0] = max(peak[0], self.rss_kib())
            time.sleep(0.2)
        with self.server.lock:
            asked = {number: list(calls) for number, calls in self.server.asked.items()}
        self.check_schedule(asked, watched)
        self.check_bad(asked)
        print(f"memory: {before} KiB before, {peak[0]} KiB at most", flush=True)
        self.assertLess(peak[0] - before, 200 * 1024)

    def check_schedule(self, asked, watched):
        gaps = []
        for number, kind in enumerate(self.kinds):
            if kind != "good":
                continue
            times = [at for at, _ in asked[number]]
            gaps += [later - earlier for earlier, later in zip(times, times[1:])]
            self.assertGreaterEqual(len([at for at in times if at >= watched]), 3,
                                    f"feed {number}")
            self.assertEqual(self.server.sent[number, 200], 1)
            self.assertGreaterEqual(self.server.sent[number, 304], 2)
        gaps.sort()
        print(f"schedule: {len(gaps)} gaps of {INTERVAL_S} s feeds: least {gaps[0]:.2f}, median "
              f"{gaps[len(gaps) // 2]:.2f}, greatest {gaps[-1]:.2f} s", flush=True)
        # Times are kept in whole seconds: one may be asked a second early by a finer clock.
        self.assertGreater(gaps[0], INTERVAL_S - 1.1)
        self.assertLess(gaps[len(gaps) // 2], 2 * INTERVAL_S)
        for calls in asked.values():
            for _, agent in calls:
                self.assertIn("ops@replay.example", agent)

    def check_bad(self, asked):
        feeds = self.feeds()
        for number, kind in enumerate(self.kinds):
            state = feeds[number]["state"]
            with self.subTest(kind=kind, feed=feeds[number]["id"]):
                if kind in GOOD:
                    self.assertEqual(state["health"], "good", state)
                    self.assertEqual(state["prefix4_count"] + state["domain_count"], 2, state)
                else:
                    self.assertIn(state["health"], ("failed", "quarantined"))
                    self.assertRegex(state["reason"], f"(?i){REASONS[kind]}")
                    self.assertEqual(state["prefix4_count"], 0, state)
                if kind == "busy":  # Retry-After: an hour
                    self.assertEqual(len(asked[number]), 1)
                if kind == "circle":
                    attempts = 1 + sum(later - earlier > 0.5 for (earlier, _), (later, _) in
                                       zip(asked[number], asked[number][1:]))
                    self.assertLessEqual(len(asked[number]), 6 * attempts)


class Catalogue(e2e.Case):
    def test_list_show_and_enable(self):
        m = self.merlon()
        m.start_control()
        entries = m.ctl_json("feed", "catalogue", "list")["catalogue"]
        self.assertGreaterEqual(len(entries), 60)
        self.assertFalse(any(entry["defined"] for entry in entries))
        shown = m.ctl("feed", "catalogue", "show", "ipsum").stdout
        self.assertIn("raw.githubusercontent.com", shown)
        self.assertIn("licence", shown)
        m.ctl("feed", "catalogue", "enable", "ipsum")
        self.assertEqual([feed["id"] for feed in m.ctl_json("feed", "list")["feeds"]], ["ipsum"])
        wrong = m.ctl("feed", "catalogue", "enable", "ipsun", expect=None)
        self.assertNotEqual(wrong.returncode, 0)
        self.assertIn('"ipsum"', wrong.stderr)
        key = next(entry["id"] for entry in entries if entry["access"] == "key")
        wrong = m.ctl("feed", "catalogue", "enable", key, expect=None)
        self.assertNotEqual(wrong.returncode, 0)
        self.assertIn("needs a key", wrong.stderr)
        free = {entry["id"] for entry in entries if entry["access"] == "free"}
        done = m.ctl_json("feed", "catalogue", "enable", "--free")
        self.assertEqual({feed["id"] for feed in done["feeds"]}, free - {"ipsum"})

    def test_an_upload_is_a_feed(self):
        m = self.merlon()
        m.start_control()
        m.ctl("feed", "add", "ours", "--url", "upload:")
        path = self.folder / "list.txt"
        path.write_text("45.1.1.1\n45.1.1.2\n")
        m.ctl("feed", "upload", "ours", path)
        feed = m.ctl_json("feed", "show", "ours")["feed"]
        self.assertEqual(feed["state"]["prefix4_count"], 2)
        m.ctl("feed", "add", "theirs", "--url", path.as_uri())
        wrong = m.ctl("feed", "upload", "theirs", path, expect=None)
        self.assertNotEqual(wrong.returncode, 0)
        self.assertIn("upload:", wrong.stderr)

    def test_private_hosts_are_asked_only_when_allowed(self):
        server = Server()
        self.addCleanup(server.end)
        server.content[1] = b"45.1.1.1\n"
        m = self.merlon(control={"feed_private_hosts": False})
        m.start_control()
        url = f"http://127.0.0.1:{server.server_address[1]}/good/1"
        m.ctl("feed", "add", "no", "--url", url)
        m.ctl("feed", "refresh", "no", expect=1)
        self.assertIn("127.0.0.1", m.ctl_json("feed", "show", "no")["feed"]["state"]["reason"])
        self.assertEqual(server.asked, {})
        m.ctl("feed", "add", "yes", "--url", url + "/2", "--private-hosts")
        server.content[1] = b"45.1.1.1\n"
        m.ctl("feed", "refresh", "yes", expect=None)
        self.assertEqual(len(server.asked), 1)


if __name__ == "__main__":
    e2e.main()
