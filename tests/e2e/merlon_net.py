# SPDX-License-Identifier: Apache-2.0
"""Two network namespaces with a cable between them: the server's, which the test process itself
moves into, and the client's. They have no names and go with the process, however it ends.

    SERVER  mer0  192.0.2.1/24, 2001:db8::1/64
    CLIENT  mer1  192.0.2.2/24, 2001:db8::2/64
"""

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
import subprocess
import threading
import unittest

import merlon_e2e as e2e

CLONE_NEWNET = 0x40000000
SIOCETHTOOL, ETHTOOL_STXCSUM = 0x8946, 0x17
SERVER, CLIENT = "mer0", "mer1"
SERVER4, CLIENT4 = "192.0.2.1", "192.0.2.2"
SERVER6, CLIENT6 = "2001:db8::1", "2001:db8::2"
LIBC = ctypes.CDLL(None, use_errno=True)


def system_call(name, *arguments):
    if getattr(LIBC, name)(*arguments) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")


def in_thread(function):
    """Runs it in a thread of its own, which may change its namespace, and returns its result."""
    outcome = {}

    def run():
        try:
            outcome["value"] = function()
        except BaseException as error:  # passed on to the caller
            outcome["error"] = error

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join()
    if "error" in outcome:
        raise outcome["error"]
    return outcome["value"]


def finish_checksums(interface):
    """What `ethtool -K interface tx off` does."""
    value = ctypes.create_string_buffer(struct.pack("2I", ETHTOOL_STXCSUM, 0))
    request = struct.pack("16sQ16x", interface.encode(), ctypes.addressof(value))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCETHTOOL, request)


class Namespace:
    """A network namespace of its own, alive as long as this object or a process in it."""

    def __init__(self):
        def make():
            system_call("unshare", CLONE_NEWNET)
            return os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net",
                           os.O_RDONLY | os.O_CLOEXEC)

        self.descriptor = in_thread(make)
        self.run("ip", "link", "set", "lo", "up")

    def close(self):
        os.close(self.descriptor)

    def enter(self):
        """For the calling thread, or as preexec_fn of a process."""
        system_call("setns", self.descriptor, CLONE_NEWNET)

    @property
    def path(self):
        return f"/proc/{os.getpid()}/fd/{self.descriptor}"

    def call(self, function, *arguments, **keywords):
        """The function's result, with every socket that it makes being one of this namespace."""
        def work():
            self.enter()
            return function(*arguments, **keywords)

        return in_thread(work)

    def run(self, *words, expect=0, seconds=60):
        done = subprocess.run([str(word) for word in words], preexec_fn=self.enter, check=False,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=seconds * e2e.FACTOR)
        if expect is not None and done.returncode != expect:
            raise AssertionError(f"{' '.join(map(str, words))}: exit status {done.returncode}\n"
                                 f"{done.stdout}{done.stderr}")
        return done.stdout


class Wire:
    """Both namespaces and the cable."""

    def __init__(self):
        self.server, self.client = Namespace(), Namespace()
        self.server.enter()  # the main thread, so that all that the test starts runs there
        self.server.run("ip", "link", "add", SERVER, "type", "veth", "peer", "name", CLIENT,
                        "netns", self.client.path)
        for side, interface, addresses in (
                (self.server, SERVER, (f"{SERVER4}/24", f"{SERVER6}/64")),
                (self.client, CLIENT, (f"{CLIENT4}/24", f"{CLIENT6}/64"))):
            for address in addresses:
                nodad = ("nodad",) if ":" in address else ()
                side.run("ip", "address", "add", address, "dev", interface, *nodad)
            side.run("ip", "link", "set", interface, "up")
            # Without it packets carry checksums that a card would have finished.
            side.call(finish_checksums, interface)

    def close(self):
        with contextlib.suppress(AssertionError):
            self.server.run("ip", "link", "del", SERVER)
        self.server.close()
        self.client.close()

    def mac(self, side, interface):
        words = side.run("ip", "-o", "link", "show", "dev", interface).split()
        return bytes.fromhex(words[words.index("link/ether") + 1].replace(":", ""))

    def has_program(self):
        """Whether an XDP program is attached to the server's interface."""
        return "prog/xdp" in self.server.run("ip", "link", "show", "dev", SERVER)


def need_privilege():
    """Skips the tests of a module unless namespaces can be made and BPF programs loaded."""
    with open("/proc/self/status", encoding="ascii") as status:
        fields = dict(line.split(":\t", 1) for line in status)
    wanted = 1 << 12 | 1 << 13 | 1 << 21  # CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_ADMIN
    if int(fields["CapEff"], 16) & wanted != wanted:
        raise unittest.SkipTest("needs root for network namespaces and BPF programs")


# Frames.

def checksum(data):
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def udp_frame(macs, addresses, ports, payload, tags=()):
    """An Ethernet frame; macs, addresses (packed) and ports are (source, destination)."""
    udp = struct.pack(">4H", *ports, 8 + len(payload), 0) + payload
    if len(addresses[0]) == 4:
        pseudo = b"".join(addresses) + struct.pack(">2H", 17, len(udp))
        ip = struct.pack(">2B3H2BH", 0x45, 0, 20 + len(udp), 1, 0x4000, 64, 17, 0)
        ip += b"".join(addresses)
        ip = ip[:10] + struct.pack(">H", checksum(ip)) + ip[12:]
        kind = 0x0800
    else:
        pseudo = b"".join(addresses) + struct.pack(">2I", len(udp), 17)
        ip = struct.pack(">IH2B", 6 << 28, len(udp), 17, 64) + b"".join(addresses)
        kind = 0x86DD
    udp = udp[:6] + struct.pack(">H", checksum(pseudo + udp) or 0xFFFF) + udp[8:]
    link = macs[1] + macs[0]
    for tag_type, tag in tags:
        link += struct.pack(">2H", tag_type, tag)
    return link + struct.pack(">H", kind) + ip + udp
