#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One command loads a folder of feeds in every format, with definitions that the probe wrote; what
is counted is what short scripts of their own count, which know nothing of our parsers. The folder
of real feeds (MERLON_TEST_DATA, or ../shared/data) is used when it is there, samples otherwise."""

import csv
import io
import json
import os
import pathlib
import re

import merlon_e2e as e2e

DATA = pathlib.Path(os.environ.get("MERLON_TEST_DATA", "../shared/data")) / "feeds"
ADDRESS = r"(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)"
NAME = r"(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?\.)+[a-z][a-z0-9-]*[a-z0-9]"


def lines_of(text, comments="#"):
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and line[0] not in comments]


def first_words(text):
    return {line.split()[0].lower() for line in lines_of(text, "#;")}


def matches(pattern):
    return lambda text: set(re.findall(pattern, text, re.M))


def misp(text):
    found = set()
    for event in json.loads(text)["response"]:
        attributes = event["Event"]["Attribute"]
        for item in event["Event"].get("Object", []):
            attributes += item["Attribute"]
        for item in attributes:
            if item["type"] in ("ip-dst", "ip-src", "domain", "hostname") and item["to_ids"]:
                found.add(item["value"].lower())
    return found


def column(name, wanted=lambda row: True):
    return lambda text: {row[name].lower() for row in csv.DictReader(io.StringIO(text))
                         if wanted(row)}


def stix2(text):
    found = set()
    for item in json.loads(text)["objects"]:
        found |= set(re.findall(
            r"(?:(?:ipv4-addr|domain-name):value|dst_ref\.value)\s*=\s*'([^' ]+)'",
            item.get("pattern", "") if item["type"] == "indicator" else ""))
    return {value.lower() for value in found}


# What each file lists, by a script of its own.
COUNTERS = {
    "c2tracker__Cobalt_Strike_C2_IPs.txt": first_words,
    "ipsum__ipsum.txt": first_words,
    "cps__tor-exit.txt": first_words,
    "cps__sans.txt": first_words,
    "x4b__vpn_ipv4.txt": first_words,
    "x4b__vpn_ipv6.txt": first_words,
    "ipverse__ru_ipv4-aggregated.txt": first_words,
    "spamhaus2024__drop_ipv6.txt": first_words,
    "spamhaus2025__drop_v4.json": lambda text: {
        row["cidr"] for row in map(json.loads, text.splitlines()) if "cidr" in row},
    "hagezi__3p_adaway.adblock.txt": matches(r"^\|\|([^/^$*]+)\^$"),
    "hagezi__3p_adaway.dnsmasq.txt": matches(r"^address=/([^/]+)/#$"),
    "hagezi__3p_adaway.domains.txt": first_words,
    "hagezi__3p_adaway.hosts.txt": matches(r"^0\.0\.0\.0 (\S+)$"),
    "hagezi__3p_adaway.unbound.conf": matches(r'^local-zone: "(.+)\." always_null$'),
    "hagezi__3p_adaway.wildcard.txt": matches(r"^\*\.(\S+)$"),
    "hagezi__3p_stevenblack.dnsmasq.txt": matches(r"^address=/([^/]+)/#$"),
    "jarelllama__adblock_scams_light.txt": matches(r"^\|\|([^/^$*]+)\^$"),
    "maltrail__worst_asns.txt": lambda text: {row.split(",")[0] for row in lines_of(text)},
    "mispwl__sinkholes_list.json": lambda text: set(json.loads(text)["list"]),
    "mispwl__public-dns-v4_list.json": lambda text: set(json.loads(text)["list"]),
    "ipverse__kp_aggregated.json": lambda text: set(
        json.loads(text)["prefixes"]["ipv4"] + json.loads(text)["prefixes"]["ipv6"]),
    "citizenlab__201611_KeyBoy_misp.json": misp,
    "citizenlab__201611_KeyBoy_iocs.csv": column(
        "value", lambda row: row["type"] in ("ip-dst", "domain", "hostname")),
    "citizenlab__201611_KeyBoy_stix.xml": matches(
        r"(?:Address_Value|DomainNameObj:Value)[^>]*>([^<@\s]+)<"),
    "unit42__venomrat_iocs.csv": lambda text: {
        row["C2"].strip().lower().split(":")[0] for row in csv.DictReader(io.StringIO(text))
        if re.fullmatch(rf"({ADDRESS}|{NAME})(:\d+)?", row["C2"].strip().lower())},
    "unit42__stix2-reports_qakbotmalware.json": stix2,
    "amnesty__2021-12-16_cytrox_cytrox.stix2": stix2,
    "oasis__threat-reports_poisonivy.json": stix2,
    "minemeld__IPv4.lst": None,
}

SAMPLES = {
    "plain.txt": ("# c\n45.1.2.3\r\n45.1.2.4 # x\n2a0f::1\n", 3),
    "netset.netset": ("45.1.0.0/17\n45.2.0.0/255.255.0.0\n", 2),
    "ranges.lst": ("45.1.2.0-45.1.2.1\n", 1),
    "hosts.txt": ("127.0.0.1 localhost\n0.0.0.0 a.example\n0.0.0.0 b.example\n", 2),
    "domains.txt": ("a.example\nb.example\n", 2),
    "dnsmasq.txt": ("address=/a.example/#\nserver=/b.example/\n", 2),
    "unbound.conf": ('server:\nlocal-zone: "a.example." always_null\n'
                     'local-zone: "b.example." always_nxdomain\n', 2),
    "adblock.txt": ("! t\n||a.example^\n||b.example^\n", 2),
    "wildcard.txt": ("*.a.example\n*.b.example\n", 2),
    "columns.csv": ('first,ip\n"2026","45.1.2.3"\n"2026","45.1.2.4"\n', 2),
    "pipes.txt": ("4134 | A | 45.1.2.3 | x\n4134 | B | 45.1.2.4 | y\n", 2),
    "list.json": ('{"list":["45.1.2.3","45.1.2.4"]}', 2),
    "lines.ndjson": ('{"ip":"45.1.2.3"}\n{"ip":"45.1.2.4"}\n', 2),
    "bundle.json": ('{"type":"bundle","id":"bundle--1","objects":[{"type":"indicator","pattern":'
                    '"[ipv4-addr:value = \'45.1.2.3\' OR domain-name:value = \'a.example\']"}]}',
                    2),
    "misp.json": ('{"response":[{"Event":{"Attribute":[{"type":"ip-dst","value":"45.1.2.3",'
                  '"to_ids": true},{"type":"md5","value":"x","to_ids": true}]}}]}', 1),
    "rpz.zone": ("$TTL 60\n@ SOA a. b. 1 2 3 4 5\na.example CNAME .\n32.3.2.1.45.rpz-ip CNAME .\n",
                 2),
    "urls.txt": ("https://a.example/x\nhxxp://b[.]example/\n", 2),
    "report.txt": ("== Report ==\nThe panel is panel[.]example at\n45.1.2[.]3, they say.\n", 2),
}


class Formats(e2e.Case):
    def load(self, folder):
        m = self.merlon("m")
        m.start_control()
        answer = m.ctl_json("feed", "add", "--dir", folder, expect=None)
        return m, {row["file"]: row for row in answer["feeds"]}

    @staticmethod
    def count(row):
        state = row["refresh"]["state"]
        return sum(state[f"{kind}_count"] for kind in ("prefix4", "prefix6", "domain"))

    def test_every_format_is_loaded_by_one_command(self):
        folder = self.folder / "samples"
        folder.mkdir()
        for name, (text, _) in SAMPLES.items():
            (folder / name).write_text(text)
        _, rows = self.load(folder)
        self.assertEqual(set(rows), set(SAMPLES))
        for name, (_, expected) in SAMPLES.items():
            self.assertEqual(rows[name]["result"], "loaded", rows[name])
            self.assertEqual(self.count(rows[name]), expected, rows[name])
            self.assertNotEqual(rows[name]["format"], "auto")

    def test_real_feeds_count_as_scripts_of_their_own_count_them(self):
        if not DATA.is_dir():
            self.assertTrue(SAMPLES)  # the test above has run on the samples instead
            return
        _, rows = self.load(DATA)
        checked = 0
        for name, counter in COUNTERS.items():
            row = rows[name]
            self.assertEqual(row["result"], "loaded", row)
            if counter is not None:
                expected = counter((DATA / name).read_text("utf-8"))
                self.assertEqual(self.count(row), len(expected), (name, row["format"]))
                checked += 1
        self.assertGreaterEqual(checked, 25)
        unread = {name for name, row in rows.items() if row["result"] != "loaded"}
        self.assertEqual(unread, {
            "cps__illuminate.txt",  # empty
            "eset__mozi_mozi.misp-event.json",  # nothing in it is marked for detection
            "maltrail__ip2cc.csv.gz",  # hexadecimal differences, an own format
            "mmdb__test-data_GeoLite2-ASN-Test.mmdb",
            "mmdb__test-data_GeoLite2-Country-Test.mmdb"})
        for row in rows.values():
            if row["result"] != "loaded":
                self.assertTrue(row["reason"], row)


if __name__ == "__main__":
    e2e.main()
