# SPDX-License-Identifier: Apache-2.0
"""Clients of the soak over TCP, good and bad. Each role is a process of its own, so that no
client's waits are those of this program, and ends with a dictionary of what it counted.

A good client knows an answer to the last byte: one was read record by record when all was quiet,
and every later one must be it, but for the id."""

import contextlib
import os
import random
import select
import socket
import ssl
import struct
import threading
import time

import merlon_dns

RESET = struct.pack("ii", 1, 0)
PATIENCE = 15.0  # of a good client: longer than any time-out of the server
VERSION_SIZE = 300


def flip_addresses(version):
    """What the list that changes holds in this version."""
    return [f"46.{version % 200}.{i // 200}.{i % 200 + 1}" for i in range(VERSION_SIZE)]


def framed(query):
    return struct.pack(">H", len(query)) + query


def read_message(stream):
    size = struct.unpack(">H", merlon_dns.receive_exactly(stream, 2))[0]
    return merlon_dns.receive_exactly(stream, size)


class Plan:
    """What all roles are told."""

    def __init__(self, **values):
        self.server = self.tls_server = self.until = None
        self.large = self.small = self.flip = ""
        self.references = {}  # name: the answer's bytes behind the id
        self.private = ()  # names and zones that belong to the account of the good clients
        self.per_source = 0
        self.seed = 0
        self.__dict__.update(values)

    def running(self):
        return time.monotonic() < self.until


def connect(plan, source=None, over_tls=False, buffer=0):
    client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        client.settimeout(PATIENCE)
        if source:
            client.bind((source, 0))
        client.connect(plan.tls_server if over_tls else plan.server)
        if over_tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            return context.wrap_socket(client)
    except BaseException:
        client.close()
        raise
    return client


# ---- good clients


class Good:
    """Asks in every way that clients do, without a pause."""

    PIPELINE = 12

    def __init__(self, plan, source):
        self.plan, self.source = plan, source
        self.random = random.Random(plan.seed)
        self.waits, self.faults = [], []
        self.counts = {"answers": 0, "connections": 0, "tls_connections": 0, "bytes": 0,
                       "pipelined": 0, "versions": 0}
        self.flip_seen = -1

    def run(self):
        while self.plan.running():
            over_tls = self.plan.tls_server is not None and self.random.random() < 0.3
            way = self.random.choice((self.one, self.kept, self.pipelined, self.half_closed))
            if over_tls and way == self.half_closed:  # TLS has no such thing
                way = self.one
            started = time.monotonic()
            try:
                with connect(self.plan, self.source, over_tls) as stream:
                    self.counts["tls_connections" if over_tls else "connections"] += 1
                    way(stream, started)
            except (OSError, ValueError) as error:
                self.faults.append(f"good client, {way.__name__}, TLS {over_tls}, after "
                                   f"{time.monotonic() - started:.2f} s: {error!r}")
        return {**self.counts, "waits": self.waits, "faults": self.faults}

    def query(self):
        name = self.random.choice((self.plan.large, self.plan.large, self.plan.small,
                                   self.plan.flip))
        return name, merlon_dns.make_query(name, "A", edns=None,
                                           ident=self.random.randrange(65536))

    def take(self, stream, asked, started):
        name, query = asked
        message = read_message(stream)
        self.waits.append(time.monotonic() - started)
        self.counts["answers"] += 1
        self.counts["bytes"] += len(message)
        if message[:2] != query[:2]:
            raise ValueError(f"{name}: id {message[:2].hex()} for {query[:2].hex()}")
        if name == self.plan.flip:
            self.check_version(message, query)
        elif message[2:] != self.plan.references[name]:
            raise ValueError(f"{name}: {len(message)} bytes differ from what it has")

    def check_version(self, message, query):
        values = merlon_dns.Answer(message, query).values("A")
        version = {value.split(".")[1] for value in values if value.startswith("46.")}
        if len(version) != 1 or not set(flip_addresses(int(min(version)))) < set(values) or len(
                values) != VERSION_SIZE + 1:
            raise ValueError(f"{self.plan.flip}: {len(values)} addresses of versions {version}")
        number = int(min(version))
        if number < self.flip_seen and self.flip_seen - number < 100:  # it wraps at 200
            raise ValueError(f"{self.plan.flip} goes back from {self.flip_seen} to {number}")
        self.counts["versions"] += number != self.flip_seen
        self.flip_seen = number

    def one(self, stream, started):
        asked = self.query()
        stream.sendall(framed(asked[1]))
        self.take(stream, asked, started)

    def kept(self, stream, _):
        for _ in range(10):
            self.one(stream, time.monotonic())

    def pipelined(self, stream, started):
        queries = [self.query() for _ in range(self.PIPELINE)]
        stream.sendall(b"".join(framed(query) for _, query in queries))
        for asked in queries:
            self.take(stream, asked, started)
        self.counts["pipelined"] += 1

    def half_closed(self, stream, started):
        asked = self.query()
        stream.sendall(framed(asked[1]))
        stream.shutdown(socket.SHUT_WR)
        self.take(stream, asked, started)
        if stream.recv(1):
            raise ValueError("bytes behind the last answer")


def strangers(plan, sources):
    """Sources of another account, and of nobody: they must get nothing of what is private, nor be
    able to tell it from what does not exist."""
    counts, faults = {"refused": 0}, []
    while plan.running():
        for source in sources:
            for over_tls in (False, True) if plan.tls_server else (False,):
                for name, qtype in plan.private:
                    try:
                        difference = compare_as_stranger(plan, source, over_tls, name, qtype)
                    except (OSError, ValueError) as error:
                        difference = repr(error)
                    if difference:
                        faults.append(f"stranger {source} {name} {qtype}: {difference}")
                    counts["refused"] += 1
        time.sleep(0.05)
    return {**counts, "faults": faults}


def compare_as_stranger(plan, source, over_tls, name, qtype):
    """What tells the name from one of nobody, or None. Both are asked in one generation (whose
    serial the answers hold): the answer before is the answer afterwards."""
    other, before = name.replace("acme", "acmf"), None
    while True:
        message = ask_as_stranger(plan, source, over_tls, name, qtype)
        answers, = struct.unpack_from(">H", message, 6)
        if answers:
            return f"{answers} records"
        if before is not None and before[2:] == message[2:]:
            break
        before = message
        nobody = ask_as_stranger(plan, source, over_tls, other, qtype)
    expected = nobody[2:].replace(b"\4acmf", b"\4acme")
    return None if message[2:] == expected else f"{message.hex()}, nobody's {nobody.hex()}"


def ask_as_stranger(plan, source, over_tls, name, qtype):
    with connect(plan, source, over_tls) as stream:
        stream.sendall(framed(merlon_dns.make_query(name, qtype, edns=None)))
        return read_message(stream)


# ---- bad clients: they may be closed, refused or reset whenever the server likes


class Bad:
    """Each way is a thread; sources are of one network, an address for each way."""

    def __init__(self, plan, network):
        self.plan, self.network = plan, network
        self.counts, self.faults = {}, []
        self.lock = threading.Lock()
        self.query = framed(merlon_dns.make_query(plan.large, "A", edns=None))

    WAYS = ("never_read", "half_message", "slow_writer", "reset_inside", "beyond_limits",
            "garbage", "slow_reader", "connect_and_leave")
    TLS_WAYS = ("tls_half_handshake", "tls_never_read", "tls_reset_inside", "tls_garbage")

    def run(self):
        ways = self.WAYS + (self.TLS_WAYS if self.plan.tls_server else ())
        threads = [threading.Thread(target=self.repeat, args=(way, f"{self.network}.{i + 1}"))
                   for i, way in enumerate(ways)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return {**self.counts, "faults": self.faults}

    def repeat(self, way, source):
        chance = random.Random(f"{self.plan.seed} {way}")
        while self.plan.running():
            try:
                with contextlib.ExitStack() as stack:
                    getattr(self, way)(stack, source, chance)
            except (ssl.SSLError, OSError):  # closed, reset, full: as it must be
                self.count(f"{way}_cut_off")
            except Exception as error:  # pylint: disable=broad-except
                self.faults.append(f"{way}: {error!r}")
                return

    def count(self, what, number=1):
        with self.lock:
            self.counts[what] = self.counts.get(what, 0) + number

    def open(self, stack, source, **how):
        return stack.enter_context(connect(self.plan, source, **how))

    def hold(self, streams, seconds):
        """Keeps them without reading; says how many the server closed or reset meanwhile."""
        poller = select.poll()
        for stream in streams:
            poller.register(stream.fileno(), select.POLLRDHUP)
        closed, until = set(), min(time.monotonic() + seconds, self.plan.until)
        while len(closed) < len(streams) and time.monotonic() < until:
            for descriptor, _ in poller.poll(200):
                closed.add(descriptor)
                poller.unregister(descriptor)
        return len(closed)

    def never_read(self, stack, source, _, over_tls=False):
        streams = [self.open(stack, source, over_tls=over_tls, buffer=4096) for _ in range(40)]
        for stream in streams:
            stream.sendall(self.query * 30)
        self.count("never_read", len(streams))
        self.count("never_read_closed", self.hold(streams, PATIENCE))

    def half_message(self, stack, source, chance):
        streams = [self.open(stack, source) for _ in range(60)]
        for stream in streams:
            stream.sendall(self.query[:chance.randrange(1, len(self.query))])
        self.count("half_message", len(streams))
        self.count("half_message_closed", self.hold(streams, PATIENCE))

    def slow_writer(self, stack, source, _):
        streams = [self.open(stack, source) for _ in range(20)]
        self.count("slow_writer", len(streams))
        for byte in self.query:
            if self.hold(streams, 0.4) or not self.plan.running():
                self.count("slow_writer_closed", self.hold(streams, 1.0))
                return
            for stream in streams:
                stream.sendall(bytes([byte]))

    def reset_inside(self, stack, source, chance, over_tls=False):
        streams = [self.open(stack, source, over_tls=over_tls) for _ in range(10)]
        for stream in streams:
            stream.sendall(self.query * chance.randrange(1, 8))
        for stream in streams:
            stream.recv(chance.randrange(1, 50_000))
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.count("reset_inside", len(streams))

    def beyond_limits(self, stack, source, _):
        streams = [self.open(stack, source) for _ in range(self.plan.per_source + 50)]
        self.count("beyond_limits", len(streams))
        self.count("beyond_limits_closed", self.hold(streams, 1.0))

    def garbage(self, stack, source, chance):
        kind = chance.randrange(5)
        sent = (b"\0\0", b"\0\3abc", b"\xff\xff" + chance.randbytes(65535),
                chance.randbytes(chance.randrange(1, 3000)),
                self.query[:2] + bytes([chance.randrange(256) for _ in self.query[2:]]))[kind]
        stream = self.open(stack, source)
        stream.sendall(sent)
        stream.settimeout(0.05)
        self.count("garbage")
        with contextlib.suppress(TimeoutError):
            while stream.recv(65536):
                pass

    def slow_reader(self, stack, source, _):
        """10 kB/s is progress: it is kept, and its answers are right to the end."""
        stream = self.open(stack, source, buffer=8192)
        stream.sendall(self.query * 2)
        wanted = (struct.pack(">H", 2 + len(self.plan.references[self.plan.large]))
                  + self.query[2:4] + self.plan.references[self.plan.large]) * 2
        at = 0
        while at < len(wanted) and self.plan.running():
            part = stream.recv(1000)
            if part != wanted[at:at + len(part)] or not part:
                raise ValueError(f"byte {at} of a slow reader's answers differs, or is not there")
            at += len(part)
            time.sleep(0.1)
        self.count("slow_reader_bytes", at)

    def connect_and_leave(self, stack, source, _):
        for _ in range(20):
            self.open(stack, source)
        self.count("connect_and_leave", 20)
        time.sleep(0.05)

    def tls_half_handshake(self, stack, source, _):
        streams = []
        for _ in range(20):
            stream = stack.enter_context(socket.create_connection(
                self.plan.tls_server, PATIENCE, (source, 0)))
            stream.sendall(b"\x16\x03\x01\x02\x00\x01\x00")  # a ClientHello's beginning
            streams.append(stream)
        self.count("tls_half_handshake", len(streams))
        self.count("tls_half_handshake_closed", self.hold(streams, PATIENCE))

    def tls_never_read(self, stack, source, chance):
        self.never_read(stack, source, chance, over_tls=True)

    def tls_reset_inside(self, stack, source, chance):
        self.reset_inside(stack, source, chance, over_tls=True)

    def tls_garbage(self, stack, source, chance):
        stream = stack.enter_context(socket.create_connection(
            self.plan.tls_server, PATIENCE, (source, 0)))
        stream.sendall(chance.randbytes(chance.randrange(1, 2000)))
        stream.settimeout(0.05)
        self.count("tls_garbage")
        with contextlib.suppress(TimeoutError):
            while stream.recv(65536):
                pass


# ---- processes


def fork(role):
    """Runs `role()` in a process of its own; gives (process id, descriptor of its result)."""
    receiving, sending = os.pipe()
    pid = os.fork()
    if pid:
        os.close(sending)
        return pid, receiving
    status = 1
    try:
        os.close(receiving)
        text = repr(role()).encode()
        with os.fdopen(sending, "wb") as out:
            out.write(text)
        status = 0
    finally:
        os._exit(status)  # nothing of the parent's runs twice
