# SPDX-License-Identifier: Apache-2.0
"""Whole frames of queries, and whether the frames that come back are right to the last byte."""

import ipaddress
import random
import struct

import merlon_dns

SUFFIX = "merlon.internal"
FIRST_ADDRESS, PER_NAME, TTL = 0x0B000000, 4, 900  # as bench/state.h
ETHERNET, IPV4, IPV6, UDP = 14, 0x0800, 0x86DD, 17


def addresses_of(number):
    """The four addresses of n<number>."""
    return {str(ipaddress.IPv4Address(FIRST_ADDRESS + 16 * number + 3 * k))
            for k in range(PER_NAME)}


def number_of(name):
    label, _, suffix = name.lower().partition(".")
    if suffix.rstrip(".") != SUFFIX or not label.startswith("n"):
        raise ValueError(f"{name} was not asked")
    return int(label[1:])


def ones_sum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def mac_bytes(text):
    return bytes.fromhex(text.replace(":", ""))


def random_case(name, source=random):
    return "".join(c.upper() if source.random() < 0.5 else c for c in name)


def udp4_frame(macs, addresses, ports, message, ident=0):
    """`macs`, `addresses` and `ports` are (from, to)."""
    source, target = (ipaddress.IPv4Address(text).packed for text in addresses)
    udp = struct.pack(">4H", *ports, 8 + len(message), 0) + message
    pseudo = source + target + struct.pack(">2H", UDP, len(udp))
    udp = udp[:6] + struct.pack(">H", ~ones_sum(pseudo + udp) & 0xFFFF or 0xFFFF) + udp[8:]
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), ident, 0, 64, UDP, 0) + source + target
    ip = ip[:10] + struct.pack(">H", ~ones_sum(ip) & 0xFFFF) + ip[12:]
    return mac_bytes(macs[1]) + mac_bytes(macs[0]) + struct.pack(">H", IPV4) + ip + udp


class Datagram:
    """A frame taken apart. Raises ValueError at the first thing that is wrong with it.

    unfinished: the kernel left the UDP checksum to a network card that a veth pair does not have,
    so only the pseudo header's sum can be there."""

    def __init__(self, frame, unfinished=False):
        self.target_mac, self.source_mac = frame[:6], frame[6:12]
        kind, = struct.unpack_from(">H", frame, 12)
        if kind == IPV4:
            end = self._ipv4(frame)
        elif kind == IPV6:
            end = self._ipv6(frame)
        else:
            raise ValueError(f"ether type {kind:#06x}")
        udp = frame[self.udp_at:end]
        if len(udp) < 8:
            raise ValueError("no room for a UDP header")
        self.source_port, self.target_port, size, checksum = struct.unpack_from(">4H", udp)
        if size != len(udp):
            raise ValueError(f"UDP length {size} where IP holds {len(udp)}")
        self.message = udp[8:]
        pseudo = ones_sum(self.source + self.target + struct.pack(">2H", UDP, size))
        if checksum == 0:
            if kind == IPV6:
                raise ValueError("no UDP checksum on IPv6")
            self.checksum = "none"
        elif unfinished:
            if checksum != pseudo:
                raise ValueError(f"unfinished UDP checksum {checksum:#06x}, not {pseudo:#06x}")
            self.checksum = "left to the card"
        else:
            whole = ones_sum(struct.pack(">H", pseudo) + udp)
            if whole != 0xFFFF:
                raise ValueError(f"UDP checksum {checksum:#06x} is wrong by {0xFFFF - whole:#06x}")
            self.checksum = "true"

    def _ipv4(self, frame):
        header = (frame[ETHERNET] & 15) * 4
        ip = frame[ETHERNET:ETHERNET + header]
        if frame[ETHERNET] >> 4 != 4 or header < 20 or len(ip) != header:
            raise ValueError("IPv4 header")
        if ones_sum(ip) != 0xFFFF:
            raise ValueError("IPv4 header checksum is wrong")
        size, _, fragment, ttl, protocol = struct.unpack_from(">HHHBB", ip, 2)
        if protocol != UDP or fragment & 0x3FFF or ttl == 0:
            raise ValueError(f"protocol {protocol}, fragment {fragment:#06x}, TTL {ttl}")
        if size > len(frame) - ETHERNET:
            raise ValueError("IPv4 length beyond the frame")
        self.source, self.target = ip[12:16], ip[16:20]
        self.udp_at = ETHERNET + header
        return ETHERNET + size

    def _ipv6(self, frame):
        version, size, after, hops = struct.unpack_from(">IHBB", frame, ETHERNET)
        if version >> 28 != 6 or after != UDP or hops == 0:
            raise ValueError(f"IPv6 header: next {after}, hop limit {hops}")
        self.source, self.target = frame[22:38], frame[38:54]
        self.udp_at = ETHERNET + 40
        if self.udp_at + size > len(frame):
            raise ValueError("IPv6 length beyond the frame")
        return self.udp_at + size


def check_turned(reply, query):
    """The reply goes where the query came from."""
    for name, got, wanted in (
            ("MAC addresses", (reply.source_mac, reply.target_mac),
             (query.target_mac, query.source_mac)),
            ("IP addresses", (reply.source, reply.target), (query.target, query.source)),
            ("ports", (reply.source_port, reply.target_port),
             (query.target_port, query.source_port))):
        if got != wanted:
            raise ValueError(f"{name} {got}, not {wanted}")


def check_answer(message, query, number):
    """Every field of the answer to "n<number> A": id, flags, the question's very bytes, the four
    records as a set, OPT where the query has one, and nothing else."""
    answer = merlon_dns.Answer(message, query)  # id, QR, structure, question, no trailing bytes
    flags, questions, _, _, extra = struct.unpack_from(">5H", message, 2)
    asked, = struct.unpack_from(">H", query, 2)
    if questions != 1:
        raise ValueError(f"{questions} questions")
    # QR, opcode, AA, TC, RD, Z, AD, CD, RCODE; RA says what the server offers.
    if flags & ~0x0080 != 0x8400 | (asked & 0x0100):
        raise ValueError(f"flags {flags:#06x} for {asked:#06x}")
    name = merlon_dns.read_name(query, 12)[0].lower()
    for owner, kind, ttl, _ in answer.answers:
        if (owner.lower(), kind, ttl) != (name, "A", TTL):
            raise ValueError(f"record {owner} {ttl} {kind} in the answer to {name}")
    values = answer.values()
    if len(values) != PER_NAME or set(values) != addresses_of(number):
        raise ValueError(f"{name} has {values}, not {sorted(addresses_of(number))}")
    edns = struct.unpack_from(">H", query, 10)[0] == 1
    if edns != (answer.edns_version == 0):
        raise ValueError(f"OPT {'missing' if edns else 'without being asked'}")
    if answer.authorities or extra != (1 if edns else 0):
        raise ValueError("records beside the answer")


def check_reflection(message, query, _):
    if message != query:
        raise ValueError("reflected message differs")
