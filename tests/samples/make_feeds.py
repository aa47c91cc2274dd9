#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the sample feeds of tests/samples/feeds and tests/samples/feeds-bad.

All entries are invented. Addresses come from the documentation networks and, because those are
protected space that is never published, from a few fixed offsets into 45.0.0.0/8 and 185.0.0.0/8;
no judgement about whoever uses these addresses is meant. Names end in .example, .test, .invalid.
The same script gives the same bytes: python3 tests/samples/make_feeds.py
"""
import gzip
import io
import json
import pathlib

HERE = pathlib.Path(__file__).resolve().parent


class Sequence:
    """A linear congruential generator: the same numbers on every machine and Python."""

    def __init__(self, seed):
        self.state = seed

    def below(self, limit):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 33) % limit


def quad(bits):
    return ".".join(str(bits >> shift & 255) for shift in (24, 16, 8, 0))


def write(path, text, newline="\n"):
    file = HERE / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.replace("\n", newline).encode("utf-8"))


def networks(seed, count, base, length):
    """Distinct aligned prefixes inside base/8, in ascending order."""
    sequence = Sequence(seed)
    step = 2 ** (32 - length)
    found = set()
    while len(found) < count:
        found.add(base * 2**24 + sequence.below(2**24 // step) * step)
    return [f"{quad(bits)}/{length}" for bits in sorted(found)]


def names(seed, count, zone):
    words = ("login account bank cloud file invoice mail office parcel pay portal reset secure "
             "shop sign support tax track update verify wallet").split()
    sequence = Sequence(seed)
    found = {}
    while len(found) < count:
        parts = [words[sequence.below(len(words))] for _ in range(2)]
        found[f"{parts[0]}-{parts[1]}-{sequence.below(1000)}.{zone}"] = None
    return list(found)


def plain():
    sequence = Sequence(1)
    lines = ["# Scanners seen by a honeypot that does not exist",
             "# address<TAB>number of sightings", ""]
    lines += [f"{quad(45 * 2**24 + sequence.below(2**24))}\t{9 - i * 9 // 600}" for i in range(600)]
    lines += ["192.0.2.77\t1", "2001:db8::77\t1", "2a0f:77::45\t1"]
    write("feeds/scanners.txt", "\n".join(lines) + "\n")

    lines = ["// Mixed list as analysts keep them", "185.77.10.5:443", "185.77.10.6:8080",
             "[2a0f:77::c2]:443", "185.77.11.0 - 185.77.11.9", "185.77.12.16-185.77.12.31",
             "185.77.13.0/255.255.255.192", "185.77.14.9/24 ; host bits are set here",
             "198.51.100.23 # documentation space", "Beacon.Panel-7.EXAMPLE.", "drop.panel-8.test",
             "drop.panel-8.test", "/gate.php", "http://panel-9.example/gate.php",
             "109.230.155.061"]
    write("feeds/c2-servers.txt", "\n".join(lines) + "\n", newline="\r\n")

    large = networks(2, 420, 45, 28) + networks(3, 240, 185, 27)
    write("feeds/bad-hosting.txt",
          "# 660 networks, 14400 addresses\n" + "\n".join(large) + "\n")

    sequence = Sequence(4)
    v6 = sorted({f"2a0f:{sequence.below(4096):x}:{sequence.below(4096):x}::/48"
                 for _ in range(60)})
    write("feeds/vpn-ipv6.txt", "\n".join(v6) + "\n2001:db8:77::/48 \n")


def name_lists():
    write("feeds/phishing-domains.txt",
          "# Phishing names, all invented\n" + "\n".join(names(5, 400, "example")) + "\n")
    rows = names(6, 150, "test") + names(7, 150, "invalid")
    head = ["# Title: tracking hosts that do not exist", "127.0.0.1 localhost",
            "127.0.0.1 localhost.localdomain", "255.255.255.255 broadcasthost", "::1 localhost",
            "::1 ip6-localhost ip6-loopback", "fe80::1%lo0 localhost", "0.0.0.0 0.0.0.0", ""]
    body = [f"0.0.0.0 {name}" for name in rows[:280]]
    body += [f"0.0.0.0 {' '.join(rows[i:i + 5])} # five on a line" for i in range(280, 300, 5)]
    write("feeds/tracking-hosts.txt", "\n".join(head + body) + "\n")


def network_lists():
    rows = ["#", "#   Recommended block list, invented", "#    updated: 2026-01-02T03:04:05", "#",
            "Start\tEnd\tNetblock\tAttacks\tName\tCountry\temail"]
    for i, network in enumerate(networks(8, 18, 185, 24) + ["203.0.113.0/24", "198.51.100.0/24"]):
        start = network[:-3]
        end = start.rsplit(".", 1)[0] + ".255"
        owner = f"Net {i}\tZZ\tabuse@net-{i}.example" if i % 3 else "\t\t"
        rows.append(f"{start}\t{end}\t24\t{4000 - 7 * i}\t{owner}")
    write("feeds/dshield-block.txt", "\n".join(rows + ["#", "# END"]) + "\n")

    listed = networks(9, 80, 45, 22) + networks(10, 40, 185, 20)
    text = ["; Hijacked networks, invented", "; Last-Modified: Fri, 02 Jan 2026 03:04:05 GMT",
            "; Expires: Sat, 03 Jan 2026 03:04:05 GMT"]
    text += [f"{network} ; SBL{100000 + i}" for i, network in enumerate(listed)]
    write("feeds/hijacked-drop.txt", "\n".join(text) + "\n")
    objects = [json.dumps({"cidr": network, "sblid": f"SBL{100000 + i}", "rir": "ripencc"},
                          separators=(",", ":")) for i, network in enumerate(listed)]
    size = sum(len(line) + 1 for line in objects)
    trailer = json.dumps({"type": "metadata", "timestamp": 1767323045, "size": size,
                          "records": len(objects), "terms": "none: invented data"},
                         separators=(",", ":"))
    write("feeds/hijacked-drop.json", "\n".join(objects + [trailer]) + "\n")
    write("feeds-bad/truncated-drop.json", "\n".join(objects[:70] + [trailer]) + "\n")


def bad():
    write("feeds-bad/error-page.html",
          "<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head>\n"
          "<body><h1>Bad Gateway</h1><p>192.0.2.1</p></body></html>\n")
    write("feeds-bad/empty.txt", "")
    write("feeds-bad/comments-only.txt", "# No entries today\n\n; really none\n")
    write("feeds-bad/mostly-unreadable.txt",
          "# Files served by droppers\n185.77.10.5\n185.77.10.6\n"
          + "".join(f"185.77.10.{i}\n" for i in range(300, 340)) + "185.77.10.7\n")
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0, filename="") as stream:
        stream.write(b"185.77.10.5\n" * 50)
    (HERE / "feeds-bad/truncated.gz").write_bytes(packed.getvalue()[:-12])


if __name__ == "__main__":
    plain()
    name_lists()
    network_lists()
    bad()
