# SPDX-License-Identifier: Apache-2.0
"""A DNS client small enough to be trusted: it reads every byte of an answer and complains."""

import ipaddress
import os
import socket
import struct

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "TXT": 16, "AAAA": 28, "OPT": 41,
         "APL": 42, "ANY": 255}
TYPE_NAMES = {number: name for name, number in TYPES.items()}
RCODES = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED",
          9: "NOTAUTH", 16: "BADVERS"}


def name_to_wire(name):
    wire = b""
    for label in name.rstrip(".").split("."):
        if label:
            wire += bytes([len(label)]) + label.encode()
    return wire + b"\0"


def make_query(name, qtype, edns=1232, version=0, ident=None, options=b""):
    ident = int.from_bytes(os.urandom(2), "big") if ident is None else ident
    message = struct.pack(">6H", ident, 0x0100, 1, 0, 0, 0 if edns is None else 1)
    message += name_to_wire(name) + struct.pack(">2H", TYPES.get(qtype, qtype), 1)
    if edns is not None:
        message += b"\0" + struct.pack(">HHBBHH", 41, edns, 0, version, 0, len(options)) + options
    return message


def read_name(message, at):
    labels, end, hops = [], None, 0
    while True:
        size = message[at]
        if size & 0xC0 == 0xC0:
            target = struct.unpack_from(">H", message, at)[0] & 0x3FFF
            end = at + 2 if end is None else end
            if target >= at or hops > 16:
                raise ValueError(f"compression pointer at {at} does not point back")
            at, hops = target, hops + 1
            continue
        if size & 0xC0:
            raise ValueError(f"label type at {at}")
        at += 1
        if size == 0:
            return ".".join(labels) + ".", at if end is None else end
        labels.append(message[at:at + size].decode("latin-1"))
        at += size


def read_apl(data):
    items, at = [], 0
    while at < len(data):
        family, prefix, size = struct.unpack_from(">HBB", data, at)
        size &= 0x7F
        width = 4 if family == 1 else 16
        part = data[at + 4:at + 4 + size]
        if len(part) != size or size > width or (size and part[-1] == 0):
            raise ValueError("APL item")
        address = ipaddress.ip_address(part + bytes(width - size))
        items.append(f"{address}/{prefix}")
        at += 4 + size
    return items


def read_data(message, rtype, at, size):
    data = message[at:at + size]
    if rtype in (1, 28):
        if size != (4 if rtype == 1 else 16):
            raise ValueError("address record size")
        return str(ipaddress.ip_address(data))
    if rtype == 16:
        strings, i = [], 0
        while i < size:
            strings.append(data[i + 1:i + 1 + data[i]].decode("latin-1"))
            i += 1 + data[i]
        return strings
    if rtype in (2, 5, 12):
        return read_name(message, at)[0]
    if rtype == 42:
        return read_apl(data)
    if rtype == 6:
        primary, at = read_name(message, at)
        mailbox, at = read_name(message, at)
        return (primary, mailbox) + struct.unpack_from(">5I", message, at)
    return data


class Answer:
    """One response, taken apart to the last byte."""

    def __init__(self, message, query):
        self.wire = message
        ident, flags, questions, answers, authorities, additionals = struct.unpack_from(
            ">6H", message)
        if ident != struct.unpack_from(">H", query)[0] or not flags & 0x8000:
            raise ValueError("not the response to this query")
        self.aa, self.tc = bool(flags & 0x0400), bool(flags & 0x0200)
        self.question, at = b"", 12
        if questions:
            _, end = read_name(message, at)
            self.question = message[at:end + 4]
            at = end + 4
            if self.question != query[12:12 + len(self.question)]:
                raise ValueError("the question is not the one that was asked")
        self.edns_version = self.edns_size = self.ede = None
        rcode = flags & 15
        sections = []
        for count in (answers, authorities, additionals):
            records = []
            for _ in range(count):
                owner, at = read_name(message, at)
                rtype, rclass, ttl, size = struct.unpack_from(">HHIH", message, at)
                at += 10
                if at + size > len(message):
                    raise ValueError("record runs past the message")
                if rtype == 41:
                    rcode |= ttl >> 24 << 4
                    self.edns_size, self.edns_version = rclass, ttl >> 16 & 255
                    self._read_options(message[at:at + size])
                else:
                    records.append((owner, TYPE_NAMES.get(rtype, rtype), ttl,
                                    read_data(message, rtype, at, size)))
                at += size
            sections.append(records)
        if at != len(message):
            raise ValueError(f"{len(message) - at} bytes behind the last record")
        self.rcode = RCODES.get(rcode, str(rcode))
        self.answers, self.authorities, self.additionals = sections

    def _read_options(self, data):
        at = 0
        while at < len(data):
            code, size = struct.unpack_from(">HH", data, at)
            if code == 15:
                self.ede = struct.unpack_from(">H", data, at + 4)[0]
            at += 4 + size

    def values(self, qtype=None):
        return [data for _, rtype, _, data in self.answers if qtype in (None, rtype)]

    def visible(self):
        """Everything but the id and the question: what two answers are compared by."""
        return (self.wire[2:12], self.wire[12 + len(self.question):])


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def receive_exactly(stream, size):
    data = b""
    while len(data) < size:
        part = stream.recv(size - len(data))
        if not part:
            raise ConnectionError(f"closed after {len(data)} of {size} bytes")
        data += part
    return data


def ask_udp(server, query, source=None, timeout=5):
    """`server` is (address, port). Raises TimeoutError when no answer comes."""
    with socket.socket(family_of(server[0]), socket.SOCK_DGRAM) as client:
        client.settimeout(timeout)
        if source:
            client.bind((source, 0))
        client.connect(server)
        client.send(query)
        return Answer(client.recv(65535), query)


def ask_tcp(server, query, source=None, timeout=5):
    with socket.socket(family_of(server[0]), socket.SOCK_STREAM) as client:
        client.settimeout(timeout)
        if source:
            client.bind((source, 0))
        client.connect(server)
        client.sendall(struct.pack(">H", len(query)) + query)
        size = struct.unpack(">H", receive_exactly(client, 2))[0]
        return Answer(receive_exactly(client, size), query)
