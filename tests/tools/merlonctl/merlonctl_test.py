#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""merlonctl, the real binary: usage, feeds, devices, snapshots, the data plane."""

import json
import os
import pty
import socket
import subprocess
import threading
import time
import unittest

from merlonctl_case import (Case, FAILED, MERLONCTL, NOT_FOUND, OK, UNREACHABLE, USAGE)


class Usage(Case):
    def test_unknown_command_is_usage_with_a_suggestion(self):
        done = self.run_ctl("fead", "list", expect=USAGE)
        self.assertEqual(done.stdout, "")
        self.assertIn('did you mean "merlonctl feed"?', done.stderr)
        done = self.run_ctl("snapshot", "biuld", expect=USAGE)
        self.assertIn('did you mean "merlonctl snapshot build"?', done.stderr)
        done = self.run_ctl("feed", "add", "x", "--ulr", "y", expect=USAGE)
        self.assertIn('did you mean "--url"?', done.stderr)

    def test_wrong_words_are_usage(self):
        for words in ([], ["feed"], ["feed", "show"], ["status", "surplus"], ["feed", "add", "x"],
                      ["feed", "add", "--dir", "x", "--url", "y"], ["feed", "refresh"],
                      ["feed", "refresh", "x", "--all"], ["device", "add", "x"],
                      ["account", "add"], ["custom-list", "add", "acme"], ["entry", "add", "acme"],
                      ["entry", "add", "acme", "bad"], ["entry", "remove", "acme", "bad"],
                      ["entry", "add", "acme", "bad", "192.0.2.1", "--file", "x"],
                      ["entry", "add", "acme", "bad", "192.0.2.1", "--expires", "soon"],
                      ["policy", "add", "acme", "edge"],
                      ["policy", "add", "acme", "edge", "--category", "scanner,"],
                      ["policy", "add", "acme", "edge", "--list", "x", "--capacity", "many"],
                      ["policy", "add", "acme", "edge", "--list", "x", "--file", "y"],
                      ["feed", "add", "x", "--url", "y", "--interval", "soon"],
                      ["feed", "add", "x", "--url", "y", "--severity", "high"],
                      ["device", "add", "x", "--account", "a", "--source", "192.0.2.1,"],
                      ["snapshot", "activate", "x", "--yes"], ["status", "--timeout", "0"],
                      ["status", "--socket", "x" * 200]):
            done = self.run_ctl(*words, expect=USAGE)
            self.assertEqual(done.stdout, "")
            self.assertIn("merlonctl: ", done.stderr)
            self.assertIn("--help", done.stderr)

    def test_help_and_version_need_no_daemon(self):
        self.assertRegex(self.run_ctl("--version").stdout, r"^merlonctl \d+\.\d+\.\d+\n$")
        text = self.run_ctl("--help").stdout
        for noun in ("status", "feed", "list", "device", "account", "custom-list", "entry",
                     "policy", "dnssec", "snapshot", "dataplane", "check"):
            self.assertIn(f"  {noun} ", text)
        self.assertIn("--severity", self.run_ctl("feed", "add", "--help").stdout)
        self.assertNotIn("snapshot build ", self.run_ctl("feed", "--help").stdout)


class Unreachable(Case):
    def test_no_daemon_names_the_socket_and_what_to_do(self):
        done = self.run_ctl("status", expect=UNREACHABLE)
        self.assertIn(self.socket, done.stderr)
        self.assertIn("is merlon-controlplane running? start it or pass --socket", done.stderr)
        self.assertEqual(done.stdout, "")

    def test_default_socket_and_precedence_of_the_flag(self):
        done = self.run_ctl("status", expect=UNREACHABLE, environment={
            "MERLON_SOCKET": "/nonexistent/from-environment"})
        self.assertIn("/nonexistent/from-environment", done.stderr)
        done = self.run_ctl("--socket", "/nonexistent/from-flag", "status", expect=UNREACHABLE)
        self.assertIn("/nonexistent/from-flag", done.stderr)

    def listen(self, answer):
        server = socket.socket(socket.AF_UNIX)
        self.addCleanup(server.close)
        server.bind(self.socket)
        server.listen(4)

        def serve():
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                if answer is None:
                    connection.recv(1)  # until the client gives up
                else:
                    connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        self.addCleanup(thread.join, 30)

    def test_daemon_that_does_not_answer(self):
        self.listen(None)
        done = self.run_ctl("status", "--timeout", "1", expect=UNREACHABLE)
        self.assertIn("within 1 s", done.stderr)

    def test_daemon_that_dies_while_answering(self):
        self.listen(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        self.assertIn("stopped?", self.run_ctl("status", expect=UNREACHABLE).stderr)

    def test_something_else_on_the_socket(self):
        for_everyone = b'HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{"hello": 1}\n'
        self.listen(for_everyone)
        self.assertIn("does not speak", self.run_ctl("status", expect=FAILED).stderr)

    def test_api_of_another_shape(self):
        self.listen(b"HTTP/1.1 200 OK\r\nContent-Length: 33\r\n\r\n"
                    b'{"schema_version":1,"status":{}}\n')
        self.assertIn("one version?", self.run_ctl("status", expect=FAILED).stderr)


class Feeds(Case):
    def setUp(self):
        super().setUp()
        self.start()

    def test_life_of_a_feed(self):
        done = self.run_ctl("feed", "list")
        self.assertTrue(done.stdout.startswith("FEED"))
        self.assertIn("next: merlonctl feed add", done.stderr)
        path = self.write("one.txt", "192.0.2.0/24\n198.51.100.7\nbad.example\n???\n")
        done = self.run_ctl("feed", "add", "one", "--url", f"file://{path}", "--title", "Żółw",
                            "--severity", "5", "--interval", "15m", "--size-max", "1MiB",
                            "--tier", "advanced", "--not-in-basic", "--confidence=90",
                            "--category", "c2-server")
        self.assertEqual(done.stdout, "feed one added\n")
        self.assertEqual(done.stderr, "next: merlonctl feed refresh one\n")
        feed = self.run_json("feed", "show", "one")["feed"]
        self.assertEqual(feed["title"], "Żółw")
        self.assertEqual((feed["severity"], feed["confidence"], feed["interval_s"]), (5, 90, 900))
        self.assertEqual((feed["size_max_bytes"], feed["in_basic"]), (1 << 20, False))
        self.assertIsNone(feed["state"]["last_good"])

        done = self.run_ctl("feed", "refresh", "one")
        self.assertRegex(done.stdout.splitlines()[1],
                         r"^one +loaded +2 +0 +1 +1 +3 +0 +1 not_an_indicator$")
        self.assertIn("next: merlonctl snapshot build", done.stderr)

        shown = self.run_ctl("feed", "show", "one").stdout
        self.assertRegex(shown, r"last good +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC \(")
        self.assertRegex(shown, r"in force +2 IPv4 prefixes, 0 IPv6 prefixes, 1 domains")
        self.assertRegex(shown, r"(?m)^ +1  not_an_indicator$")
        self.assertRegex(shown, r"(?m)^ +4  not_an_indicator  \?\?\?$")

        listed = self.run_ctl("feed", "list").stdout
        self.assert_aligned(listed, right=("IPV4", "IPV6", "DOMAINS", "REJECTED"))
        self.assertNotIn("\x1b", listed)

        done = self.run_ctl("feed", "remove", "one", "--yes")
        self.assertEqual(done.stdout, "feed one removed\n")
        self.run_ctl("feed", "show", "one", expect=NOT_FOUND)

    def test_error_classes_have_their_exit_status(self):
        self.assertIn('not_found: there is no feed "x"',
                      self.run_ctl("feed", "show", "x", expect=NOT_FOUND).stderr)
        self.run_ctl("feed", "refresh", "x", expect=NOT_FOUND)
        self.run_ctl("feed", "remove", "x", "--yes", expect=NOT_FOUND)
        self.add_feed()
        done = self.run_ctl("feed", "add", "one", "--url", "file:///x", expect=FAILED)
        self.assertIn("conflict: ", done.stderr)
        self.assertIn('"severity": must be an integer from 0 to 5, not 9', self.run_ctl(
            "feed", "add", "two", "--url", "file:///x", "--severity", "9", expect=FAILED).stderr)
        for code in ("invalid_argument", "corruption", "io", "busy", "unsupported", "conflict",
                     "internal"):
            self.order(f"fail {code} the disk is on fire")
            done = self.run_ctl("feed", "list", expect=FAILED)
            self.assertEqual(done.stderr, f"merlonctl: {code}: the disk is on fire\n")
        self.order("throw out of paper")
        self.assertIn("internal: out of paper", self.run_ctl("status", expect=FAILED).stderr)

    def test_errors_in_json_are_the_api_object(self):
        answer = self.run_json("feed", "show", "x", expect=NOT_FOUND)
        self.assertEqual(answer["error"],
                         {"code": "not_found", "message": 'there is no feed "x"'})

    def test_refresh_that_brings_nothing_fails(self):
        self.run_ctl("feed", "add", "gone", "--url", "file:///nonexistent")
        done = self.run_ctl("feed", "refresh", "gone", expect=FAILED)
        self.assertRegex(done.stdout, r"(?m)^gone +failed ")
        self.assertIn("next: merlonctl feed show gone", done.stderr)
        self.assertEqual(self.run_json("feed", "refresh", "gone", expect=FAILED)
                         ["refresh"]["state"]["health"], "failed")

    def test_refresh_of_many_and_of_all(self):
        self.add_feed("one")
        self.add_feed("two")
        self.run_ctl("feed", "add", "off", "--url", "file:///nonexistent", "--disabled")
        done = self.run_ctl("feed", "refresh", "--all")
        self.assertIn("[2/2] two: loaded, 2 IPv4, 1 IPv6, 1 domains", done.stderr)
        self.assertIn("2 feeds: 2 loaded, 0 quarantined, 0 failed", done.stderr)
        self.assert_aligned(done.stdout, right=("IPV4", "IPV6", "DOMAINS", "ADDED", "REMOVED"))
        answer = self.run_json("feed", "refresh", "one", "absent", expect=FAILED)
        self.assertEqual([f["result"] for f in answer["feeds"]], ["loaded", "failed"])
        self.assertIn("there is no feed", answer["feeds"][1]["reason"])

    def test_folder_of_files(self):
        self.write("feeds/Good List.txt", "192.0.2.1\n192.0.2.2\nbad.example\n")
        self.write("feeds/good-list.txt", "2001:db8::/32\n")
        self.write("feeds/junk.bin", "\x01\x02\n!!\n??\n")
        self.write("feeds/README.md", "words\n")
        self.write("feeds/INDEX.tsv", "words\n")
        self.write("feeds/.hidden", "words\n")
        folder = str(self.folder / "feeds")
        done = self.run_ctl("feed", "add", "--dir", folder, "--tier", "community", expect=FAILED)
        self.assert_aligned(done.stdout, right=("IPV4", "IPV6", "DOMAINS", "REJECTED"))
        lines = done.stdout.splitlines()
        self.assertEqual(len(lines), 4)
        for line, row in zip(lines[1:], (
                r"good-list-txt +loaded +2 +0 +1 +0 +3 +0  Good List.txt +plain",
                r"good-list-txt-b +loaded +0 +1 +0 +0 +1 +0  good-list.txt +plain",
                r"junk-bin +quarantined .* junk.bin +plain +nothing readable in it")):
            self.assertRegex(line, f"^{row}$")
        self.assertIn("[3/3] junk-bin: quarantined, nothing readable in it", done.stderr)
        self.assertIn("3 feeds: 2 loaded, 1 quarantined, 0 failed", done.stderr)
        tiers = {f["tier"] for f in self.run_json("feed", "list")["feeds"]}
        self.assertEqual(tiers, {"community"})
        again = self.run_json("feed", "add", "--dir", folder, expect=FAILED)
        self.assertEqual([(f["id"], f["file"], f["result"]) for f in again["feeds"]],
                         [("good-list-txt", "Good List.txt", "loaded"),
                          ("good-list-txt-b", "good-list.txt", "loaded"),
                          ("junk-bin", "junk.bin", "quarantined")])
        self.assertTrue(again["feeds"][0]["refresh"]["not_modified"])

    def test_folder_with_definitions(self):
        self.write("feeds/a.txt", "192.0.2.1\n")
        self.write("feeds/b.txt", "192.0.2.2\n")
        self.write("feeds/unused.txt", "192.0.2.3\n")
        self.write("feeds/feeds.json", json.dumps([
            {"file": "a.txt", "id": "alpha", "severity": 5},
            {"file": "b.txt", "enabled": False},
            {"file": "b.txt", "id": "wrong", "sevrity": 5}]))
        folder = str(self.folder / "feeds")
        answer = self.run_json("feed", "add", "--dir", folder, expect=FAILED)
        self.assertEqual([(f["id"], f["result"]) for f in answer["feeds"]],
                         [("alpha", "loaded"), ("b-txt", "disabled"), ("wrong", "failed")])
        self.assertIn('did you mean "severity"?', answer["feeds"][2]["reason"])
        self.assertEqual(self.run_json("feed", "show", "alpha")["feed"]["severity"], 5)

    def test_probe_shows_what_a_source_would_list_and_writes_the_definition(self):
        path = self.write("list.txt", "192.0.2.1\nbad.example\n???\n")
        done = self.run_ctl("feed", "probe", str(path))
        self.assertIn("1 IPv4 prefix", done.stdout)
        self.assertIn("???", done.stdout)
        self.assertIn(f"merlonctl feed add ID --url file://{path} --format plain", done.stderr)
        probe = self.run_json("feed", "probe", str(path), "--write", "mine")["probe"]
        self.assertEqual((probe["format"], probe["rejected_count"]), ("plain", 1))
        feed = self.run_json("feed", "show", "mine")["feed"]
        self.assertEqual((feed["url"], feed["format"]), (f"file://{path}", "plain"))
        junk = self.write("junk.txt", "???\n")
        self.assertIn("quarantined", self.run_ctl("feed", "probe", str(junk), expect=FAILED).stdout)
        self.run_ctl("feed", "probe", str(self.folder / "absent"), expect=FAILED)

    def test_folder_that_holds_nothing(self):
        (self.folder / "empty").mkdir()
        done = self.run_ctl("feed", "add", "--dir", str(self.folder / "empty"), expect=FAILED)
        self.assertIn("holds no feed files", done.stderr)
        self.run_ctl("feed", "add", "--dir", str(self.folder / "absent"), expect=FAILED)

    def test_terminal_escapes_of_a_feed_do_not_reach_the_terminal(self):
        path = self.write("evil.txt", "192.0.2.1\n\x1b[2Jevil\n")
        self.run_ctl("feed", "add", "evil", "--url", f"file://{path}", "--title", "\x1b]0;x\x07")
        self.run_ctl("feed", "refresh", "evil")
        shown = self.run_ctl("feed", "show", "evil").stdout
        self.assertNotIn("\x1b", shown)
        self.assertIn("\ufffd[2Jevil", shown)

    def test_dry_run_changes_nothing(self):
        self.add_feed()
        self.write("feeds/a.txt", "192.0.2.1\n")
        before = self.run_json("feed", "list")
        done = self.run_ctl("feed", "add", "two", "--url", "file:///x", "--dry-run")
        self.assertEqual(done.stdout,
                         'would send POST /v1/feeds {"id":"two","url":"file:///x"}\n')
        self.assertIn('"id":"a-txt"', self.run_ctl(
            "feed", "add", "--dir", str(self.folder / "feeds"), "--dry-run").stdout)
        self.assertEqual(self.run_ctl("feed", "remove", "one", "--dry-run").stdout,
                         "would send DELETE /v1/feeds/one\n")
        self.assertIn("POST /v1/feeds/one/refresh",
                      self.run_ctl("feed", "refresh", "--all", "--dry-run").stdout)
        self.assertEqual(self.run_json("feed", "list"), before)


class Others(Case):
    def setUp(self):
        super().setUp()
        self.start()

    def test_status(self):
        done = self.run_ctl("status")
        self.assertRegex(done.stdout, r"(?m)^generation +none yet$")
        self.assertRegex(done.stdout, r"(?m)^started +\d{4}-.* UTC \(.*\)$")
        self.assertEqual(done.stderr, "next: merlonctl snapshot build\n")
        self.assertEqual(self.run_json("status")["status"]["suffix"], "merlon.internal.")

    def test_devices(self):
        done = self.run_ctl("device", "add", "fw1", "--account", "acme",
                            "--source", "192.0.2.1,2001:DB8::/48", "--tier", "advanced")
        self.assertEqual(done.stdout, "device fw1 of account acme added: tier advanced, asks from "
                                      "192.0.2.1, 2001:db8::/48\n")
        self.assertIn("next: merlonctl snapshot build", done.stderr)
        self.assert_aligned(self.run_ctl("device", "list").stdout, right=("NUMBER",))
        self.assertEqual(self.run_json("device", "list")["devices"][0]["account"], "acme")
        done = self.run_ctl("device", "add", "fw2", "--account", "acme", "--source",
                            "192.0.2.1/24", expect=FAILED)
        self.assertIn("192.0.2.0/24 is the prefix", done.stderr)
        self.assertIn("what to change", self.run_ctl("device", "set", "fw1", expect=USAGE).stderr)
        self.run_ctl("device", "set", "fw1", "--recursion", "maybe", expect=USAGE)
        self.run_ctl("device", "set", "fw1", "--notify", "192.0.2.1,", expect=USAGE)
        self.run_ctl("device", "set", "fw9", "--recursion", "on", expect=NOT_FOUND)
        self.run_ctl("device", "key", "fw1", expect=NOT_FOUND)
        done = self.run_ctl("device", "set", "fw1", "--recursion", "on", "--tsig", "hmac-sha512",
                            "--notify", "192.0.2.1,[2001:db8::1]:5353", "--token", "new")
        token = done.stdout.splitlines()[1].split()
        self.assertEqual((token[0], len(token[1])), ("token", 43))
        self.assertIn("merlonctl device key fw1", done.stderr)
        shown = self.run_ctl("device", "show", "fw1").stdout
        for line in (r"recursion +on", r"tsig +hmac-sha512", r"token +set",
                     r"notify +192\.0\.2\.1, \[2001:db8::1\]:5353",
                     r"dns policy +all of the account's"):
            self.assertRegex(shown, f"(?m)^{line}$")
        key = self.run_json("device", "key", "fw1")["key"]
        text = self.run_ctl("device", "key", "fw1").stdout
        self.assertIn(f'key "{key["name"]}" {{ algorithm hmac-sha512; '
                      f'secret "{key["secret"]}"; }};', text)
        self.assertIn(f'    secret: {key["secret"]}\n', text)
        for words in (("list",), ("show", "fw1")):
            shown = json.dumps(self.run_json("device", *words))
            self.assertNotIn(key["secret"], shown)
            self.assertNotIn(token[1], shown)
        self.run_ctl("device", "set", "fw1", "--tsig", "off", "--notify", "off", "--token", "off",
                     "--certificate", "off", "--dns-policy", "")
        device = self.run_json("device", "show", "fw1")["device"]
        self.assertEqual((device["tsig"], device["notify"], device["has_token"]),
                         ("off", [], False))
        self.run_ctl("device", "remove", "fw1", "--yes")
        self.run_ctl("device", "remove", "fw1", "--yes", expect=NOT_FOUND)

    def test_snapshots_and_lists(self):
        self.run_ctl("snapshot", "verify", expect=NOT_FOUND)
        self.assertIn("next: merlonctl snapshot build", self.run_ctl("snapshot", "list").stderr)
        self.add_feed()
        self.run_ctl("feed", "refresh", "one")
        done = self.run_ctl("snapshot", "build")
        self.assertEqual(done.stdout, "generation 1 built: 2 lists, 2 names\n")
        self.assertIn("next: merlonctl list list", done.stderr)
        self.assertEqual(self.run_ctl("snapshot", "build").stdout,
                         "nothing changed: generation 1 stays\n")
        self.add_feed("two")
        self.assertEqual(self.run_json("snapshot", "build")["build"]["generation"], 2)
        self.assertIn("generation 1 activated",
                      self.run_ctl("snapshot", "rollback", "--yes").stdout)
        self.assertIn("generation 2 activated",
                      self.run_ctl("snapshot", "activate", "2", "--yes").stdout)
        self.run_ctl("snapshot", "activate", "9", "--yes", expect=NOT_FOUND)
        self.assertIn("manifest of generation 2: good\n",
                      self.run_ctl("snapshot", "verify").stdout)
        self.run_ctl("snapshot", "verify", "9", expect=NOT_FOUND)
        text = self.run_ctl("snapshot", "list").stdout
        self.assert_aligned(text, right=("GENERATION", "SEGMENTS", "SIZE"))
        self.assertRegex(text, r"(?m)^ +2 .* current$")
        text = self.run_ctl("list", "list").stdout
        self.assert_aligned(text, right=("IPV4", "IPV6", "APL ONLY", "PROTECTED", "DOMAINS"))
        shown = self.run_ctl("list", "show", "one").stdout
        self.assertRegex(shown, r"(?m)^IPv4 addresses +257$")
        self.assertRegex(shown, r"(?m)^one\.merlon\.internal\.$")
        self.run_ctl("list", "show", "absent", expect=NOT_FOUND)

    def test_damage_found_by_verify_is_a_failure(self):
        self.run_ctl("snapshot", "build")
        self.order("fail corruption 1.seg: section NAMES at offset 4096: checksum differs")
        done = self.run_ctl("snapshot", "verify", "1", expect=FAILED)
        self.assertIn("section NAMES at offset 4096", done.stderr)

    def test_data_plane_that_does_not_follow_is_a_failure(self):
        self.order("away no process listens on /run/merlon/dataplane.sock")
        done = self.run_ctl("snapshot", "build", expect=FAILED)
        self.assertIn("generation 1 is on disk, but the data plane does not serve it: no process",
                      done.stderr)
        self.assertIn("busy: ", self.run_ctl("dataplane", "status", expect=FAILED).stderr)

    def test_dataplane_prints_whatever_json_comes(self):
        self.order('dataplane {"engine":"io_uring","up":true,"rx":{"packets":7,"bytes":0},'
                   '"drop":{"reason":{"frame_too_short":3,"other":0}},"workers":[{"n":0},{"n":4}],'
                   '"ratio":0.5}')
        self.assertEqual(self.run_ctl("dataplane", "stats").stdout,
                         "rx.packets = 7\n\ndrop.reason.frame_too_short = 3\n\n"
                         "workers.1.n = 4\n\nratio = 0.5\n")
        text = self.run_ctl("dataplane", "status").stdout
        self.assertIn("engine = io_uring\nup = true\n\nrx.packets = 7\nrx.bytes = 0\n", text)
        self.assertEqual(self.run_json("dataplane", "stats")["dataplane"]["workers"][1]["n"], 4)
        self.order('dataplane {"rx":{"packets":0}}')
        done = self.run_ctl("dataplane", "stats")
        self.assertEqual((done.stdout, done.stderr), ("", "every counter is 0\n"))

    def test_sections_of_the_statistics_follow_the_table(self):
        self.order('dataplane {"total":{"io":{"rx":7}},"workers":[{"io":{"rx":7}}],'
                   '"dnstap":{"sampled":3,"ring_full":0,"problem":"x"}}')
        self.assertEqual(self.run_ctl("dataplane", "stats").stdout,
                         "GROUP  COUNTER  TOTAL  WORKER 0\nio     rx           7         7\n\n"
                         "dnstap.sampled = 3\n")

    def test_top(self):
        self.order('answer top_20 {"unknown_sources":[{"address":"192.0.2.9","count":9,"error":2,'
                   '"last_seen_unix_s":1790000000}]}')
        self.order('answer top_1 {"unknown_sources":[]}')
        self.assertRegex(self.run_ctl("dataplane", "top").stdout,
                         r"(?m)^192\.0\.2\.9 +9 +7 +\d+ s ago$")
        done = self.run_ctl("dataplane", "top", "--limit", "1")
        self.assertEqual((done.stdout, done.stderr),
                         ("", "no source was refused because nobody knows it\n"))
        self.assertIn("limit \"x\": must be a number from 1 to 1000",
                      self.run_ctl("dataplane", "top", "--limit", "x", expect=FAILED).stderr)

    def test_subjects(self):
        self.run_ctl("device", "add", "fw", "--account", "acme", "--source", "192.0.2.1")
        row = ('{"account":1,"device":1,"verb":"pass","queries":9,"last_seen_unix_s":0,'
               '"answered":4,"nodata":0,"nxdomain":0,"truncated":5,"dropped":0,'
               '"refused_by_verb":0,"refused":0,"other":0}')
        answer = ('{"subject_count":3,"without_slot":0,"subjects":[' + row +
                  '],"shared":{"queries":0},"gone":{"queries":0}}')
        for command in ("subjects_1000", "subjects_1000_1", "subjects_1"):
            self.order(f"answer {command} {answer}")
        done = self.run_ctl("dataplane", "subjects")
        self.assertRegex(done.stdout, r"(?m)^acme +fw +9 +4 +0 +0 +0 +0 +5 +0 +5 +never$")
        self.assertEqual(done.stderr, "1 device of 3; --limit shows more\n")
        self.assertEqual(self.run_ctl("dataplane", "subjects", "--account", "acme").stderr, "")
        self.assertEqual(self.run_json("dataplane", "subjects", "--limit", "1")["dataplane"]
                         ["subjects"][0]["never_came_back"], 5)
        self.assertIn("no device belongs to an account",
                      self.run_ctl("dataplane", "subjects", "--account", "x",
                                   expect=NOT_FOUND).stderr)

    def test_device_list_says_when_each_was_seen(self):
        self.run_ctl("device", "add", "fw", "--account", "acme", "--source", "192.0.2.1")
        self.run_ctl("device", "add", "gw", "--account", "acme", "--source", "192.0.2.2")
        now = int(time.time())
        row = ('{"account":1,"device":1,"verb":"pass","queries":9,"truncated":0,'
               f'"last_seen_unix_s":{now - 7200}}}')
        self.order('answer subjects_10000 {"subject_count":1,"without_slot":0,"subjects":[' + row +
                   '],"shared":{"queries":0},"gone":{"queries":0}}')
        text = self.run_ctl("device", "list").stdout
        self.assert_aligned(text, right=("NUMBER",))
        self.assertRegex(text, r"(?m)^fw .* 2 h ago +192\.0\.2\.1$")
        self.assertRegex(text, r"(?m)^gw .* unknown +192\.0\.2\.2$")
        self.order("away it is stopped")
        self.assertRegex(self.run_ctl("device", "list").stdout, r"(?m)^fw .* unknown +192")

    def test_doctor(self):
        self.run_ctl("device", "add", "fw", "--account", "acme", "--source", "192.0.2.1")
        self.run_ctl("doctor", "nobody", expect=NOT_FOUND)
        now = int(time.time())

        def answer(troubles):
            row = ('{"account":1,"device":1,"verb":"pass","queries":9,"truncated":0,'
                   f'"last_seen_unix_s":{now - 8},"last_useful_unix_s":{now - 8}{troubles}}}')
            for command in ("subjects_10000",):
                self.order(f'answer {command} {{"subject_count":1,"subjects":[{row}]}}')
            self.order(f'answer status {{"started_unix_s":{now - 99999}}}')
            self.order('answer top_1000 {"unknown_sources":[]}')

        answer("")
        done = self.run_ctl("doctor")
        self.assertEqual((done.stdout, done.stderr), ("", "nothing wrong with 1 device\n"))
        done = self.run_ctl("doctor", "fw")
        self.assertRegex(done.stdout, r"(?m)^health +good$")
        self.assertEqual(done.stderr, "nothing wrong with it\n")
        times = f"[{now - 6},{now - 8},{now - 9}]"
        answer(f',"troubles":{{"truncated":3,"truncated_unix_s":{times}}}')
        done = self.run_ctl("doctor", expect=FAILED)
        self.assertIn("error acme/fw: ", done.stdout)
        self.assertIn("TCP port 53 is blocked", done.stdout)
        self.assertIn("  do: allow TCP port 53 from 192.0.2.1", done.stdout)
        self.assertEqual(done.stderr, "1 finding, 1 of them an error\n")
        finding = self.run_json("doctor", "fw", expect=FAILED)["doctor"]["findings"][0]
        self.assertEqual((finding["severity"], finding["code"], finding["evidence"]["truncated"]),
                         ("error", "tcp_blocked", 3))
        self.order("away it is stopped")
        self.assertIn("it is stopped", self.run_ctl("doctor", expect=FAILED).stdout)

    def test_profile(self):
        self.order('answer profile {"running":false,"seconds":0,"stages":[]}')
        self.assertIn("nothing was measured yet", self.run_ctl("dataplane", "profile").stderr)
        stage = ('{"stage":"parse","packets":64,"mean_ns":20.25,"p50_ns":19,"p90_ns":30,'
                 '"p99_ns":1234.5,"max_ns":99999}')
        self.order('answer profile_1 {"running":true,"seconds":1,"stages":[]}')
        self.order('answer profile {"running":false,"seconds":1,"stages":[' + stage + "]}")
        done = self.run_ctl("dataplane", "profile", "--seconds", "1")
        self.assertRegex(done.stdout, r"(?m)^parse +64 +20\.\d +19\.0 +30\.0 +123[45] +99999$")
        self.assertEqual(done.stderr, "measuring for 1 second\n")
        self.run_ctl("dataplane", "profile", "--seconds", "0", expect=USAGE)

    def test_watch_counts_from_nothing_after_a_restart(self):
        self.order('dataplane {"total":{"io":{"rx":100}},"workers":[]}')
        watching = subprocess.Popen(
            [MERLONCTL, "dataplane", "stats", "--watch", "--count", "1", "--json"],
            stdout=subprocess.PIPE, text=True, env={**os.environ, "MERLON_SOCKET": self.socket})
        # Whether the watcher looked before or after this, 40 is what it may have counted.
        self.order('dataplane {"total":{"io":{"rx":40}},"workers":[]}')
        text = watching.communicate(timeout=60)[0]
        self.assertEqual(watching.returncode, OK)
        rates = json.loads(text)["rates"]["io"]["rx"]
        self.assertEqual(rates["total"], 40)
        self.assertTrue(0 <= rates["per_s"] <= 41, rates)

    def test_json_of_every_reading_command_is_one_object(self):
        self.add_feed()
        self.run_ctl("snapshot", "build")
        for words in (["status"], ["feed", "list"], ["feed", "show", "one"], ["list", "list"],
                      ["list", "show", "basic"], ["device", "list"], ["snapshot", "list"],
                      ["snapshot", "verify", "1"], ["dataplane", "status"],
                      ["dataplane", "stats"], ["check", "192.0.2.1"], ["account", "list"],
                      ["policy", "profiles"]):
            self.run_json(*words)

    def test_destructive_commands_without_a_terminal_need_yes(self):
        self.add_feed()
        for words in (["feed", "remove", "one"], ["device", "remove", "fw"],
                      ["account", "remove", "acme"], ["custom-list", "remove", "acme", "bad"],
                      ["policy", "remove", "acme", "edge"],
                      ["snapshot", "activate", "1"], ["snapshot", "rollback"]):
            self.assertIn("--yes", self.run_ctl(*words, expect=USAGE).stderr)
        self.run_ctl("feed", "show", "one")

    def on_terminal(self, answer, *words):
        """Runs merlonctl with stdin and stdout on a terminal; returns its status and stdout."""
        leader, follower = pty.openpty()
        environment = {"MERLON_SOCKET": self.socket, "TERM": "xterm", "PATH": os.environ["PATH"]}
        if "LD_LIBRARY_PATH" in os.environ:
            environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
        with subprocess.Popen([MERLONCTL, *words], stdin=follower, stdout=follower,
                              stderr=subprocess.PIPE, text=True, env=environment) as process:
            os.close(follower)
            os.write(leader, answer.encode())
            self.said = process.stderr.read()
            process.wait(timeout=30)
        text = b""
        while True:
            try:
                chunk = os.read(leader, 65536)
            except OSError:  # EIO: the other end is closed
                break
            if not chunk:
                break
            text += chunk
        os.close(leader)
        return process.returncode, text.decode()

    def test_destructive_commands_ask_on_a_terminal(self):
        self.add_feed()
        for answer in ("\n", "n\n", "yess\n", "\x04"):
            status, _ = self.on_terminal(answer, "feed", "remove", "one")
            self.assertEqual(status, FAILED)
            self.assertIn("Remove feed one and withdraw all it lists? [y/N]", self.said)
            self.assertIn("nothing was changed", self.said)
        self.run_ctl("feed", "show", "one")
        status, text = self.on_terminal("y\n", "feed", "remove", "one")
        self.assertEqual(status, OK)
        self.assertIn("feed one removed", text)
        self.run_ctl("feed", "show", "one", expect=NOT_FOUND)

    def test_colours_only_on_a_terminal_that_wants_them(self):
        self.add_feed()
        self.assertIn("\x1b[1mFEED", self.on_terminal("", "feed", "list")[1])
        self.assertNotIn("\x1b", self.on_terminal("", "feed", "list", "--no-color")[1])
        self.assertNotIn("\x1b", self.run_ctl("feed", "list").stdout)

    def test_full_disk_behind_stdout_is_a_failure(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = subprocess.run([MERLONCTL, "--socket", self.socket, "status"], stdout=full,
                                  stderr=subprocess.PIPE, text=True, check=False, timeout=30)
        self.assertEqual(done.returncode, FAILED)
        self.assertIn("cannot write to stdout", done.stderr)


if __name__ == "__main__":
    unittest.main()
