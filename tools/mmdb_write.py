# SPDX-License-Identifier: Apache-2.0
"""Writes databases in MaxMind's format (MMDB 2.0): networks with a map of texts and numbers each.
Run as a program it makes one of CSV files with "first,last,number,organisation" a line:
    python3 tools/mmdb_write.py OUT.mmdb FILE.csv..."""

import csv
import ipaddress
import struct
import sys
import time


def _control(kind, size):
    head = [] if kind < 8 else [kind - 7]
    first = (kind if kind < 8 else 0) << 5
    if size < 29:
        return bytes([first | size, *head])
    if size < 285:
        return bytes([first | 29, *head, size - 29])
    if size < 65821:
        return bytes([first | 30, *head]) + struct.pack(">H", size - 285)
    raise ValueError("a value of more than 65820 bytes")


UINT16, UINT32, UINT64 = 5, 6, 9


def encode(value):
    """One value: texts, numbers below 2**32, (type, number), lists and maps."""
    if isinstance(value, str):
        raw = value.encode()
        return _control(2, len(raw)) + raw
    if isinstance(value, (int, tuple)):
        kind, number = value if isinstance(value, tuple) else (UINT32, value)
        raw = number.to_bytes((number.bit_length() + 7) // 8, "big")
        return _control(kind, len(raw)) + raw
    if isinstance(value, list):
        return _control(11, len(value)) + b"".join(map(encode, value))
    return _control(7, len(value)) + b"".join(
        encode(key) + encode(item) for key, item in value.items())


class Writer:
    """Networks are added in any order; one that lies in another must be added after it."""

    def __init__(self, kind, version=6):
        self.kind, self.version = kind, version
        self.width = 128 if version == 6 else 32
        self.nodes = [[None, None]]
        self.data, self.offsets = bytearray(), {}

    def _offset(self, value):
        raw = encode(value)
        if raw not in self.offsets:
            self.offsets[raw] = len(self.data)
            self.data += raw
        return ("data", self.offsets[raw])

    def add(self, network, value):
        network = ipaddress.ip_network(network)
        bits, length = int(network.network_address), network.prefixlen
        if network.version == 4 and self.width == 128:
            length += 96
        at = 0
        for depth in range(length - 1):
            side = bits >> (self.width - 1 - depth) & 1
            child = self.nodes[at][side]
            if not isinstance(child, int):
                self.nodes.append([child, child])
                self.nodes[at][side] = child = len(self.nodes) - 1
            at = child
        self.nodes[at][bits >> (self.width - length) & 1] = self._offset(value)

    def to_bytes(self):
        count = len(self.nodes)

        def record(child):
            number = count if child is None else child
            if isinstance(number, tuple):
                number = count + 16 + child[1]
            return struct.pack(">I", number)

        tree = b"".join(record(left) + record(right) for left, right in self.nodes)
        metadata = encode({
            "binary_format_major_version": (UINT16, 2),
            "binary_format_minor_version": (UINT16, 0),
            "build_epoch": (UINT64, int(time.time())), "database_type": self.kind,
            "description": {"en": self.kind}, "ip_version": (UINT16, self.version),
            "languages": ["en"], "node_count": count, "record_size": (UINT16, 32)})
        return tree + bytes(16) + bytes(self.data) + b"\xab\xcd\xefMaxMind.com" + metadata


def main(out, *paths):
    writer = Writer("merlon-asn")
    for path in paths:
        with open(path, encoding="utf-8", newline="") as lines:
            for first, last, number, organisation in csv.reader(lines):
                value = {"autonomous_system_number": int(number),
                         "autonomous_system_organization": organisation}
                for network in ipaddress.summarize_address_range(
                        ipaddress.ip_address(first), ipaddress.ip_address(last)):
                    writer.add(network, value)
    with open(out, "wb") as file:
        file.write(writer.to_bytes())


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
