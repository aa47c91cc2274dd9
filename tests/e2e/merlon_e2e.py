# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests share: a Merlon of one's own in a temporary folder, on a free port, and
a feed server. Processes are started and ended one by one, by their process id.

    MERLON_E2E_BIN      folder with merlon-dataplane, merlon-controlplane and merlonctl
    MERLON_E2E_FACTOR   all time limits are multiplied by it (sanitizers are slow)
"""

import contextlib
import http.client
import http.server
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import merlon_dns

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("MERLON_E2E_BIN", ROOT / "build/release/bin")).resolve()
FACTOR = float(os.environ.get("MERLON_E2E_FACTOR", "1"))
OK, FAILED, USAGE, NOT_FOUND, UNREACHABLE = range(5)
SUFFIX = "merlon.internal."
TEST_ADDRESS4, TEST_ADDRESS6 = "192.0.2.1", "2001:db8::1"


def has_ipv6():
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


HAS_IPV6 = has_ipv6()
HOSTS = ["127.0.0.1"] + (["::1"] if HAS_IPV6 else [])


def free_port():
    """A port that is free for UDP and TCP on every address, below those that clients are given."""
    for _ in range(200):
        port = random.SystemRandom().randrange(10000, 32000)
        with contextlib.ExitStack() as stack:
            try:
                for host in HOSTS:
                    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                        probe = stack.enter_context(
                            socket.socket(merlon_dns.family_of(host), kind))
                        probe.bind((host, port))
                return port
            except OSError:
                continue
    raise RuntimeError("no free port")


def wait_until(what, condition, seconds=15):
    """Returns what `condition` returns as soon as it is true. An exception of it counts as no."""
    deadline = time.monotonic() + seconds * FACTOR
    error = None
    while True:
        try:
            value = condition()
            if value:
                return value
        except (OSError, ValueError, AssertionError, KeyError) as caught:
            error = caught
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds * FACTOR:g} s"
                                 + (f"; last: {error}" if error else ""))
        time.sleep(0.02)


class Process:
    """A program with its output in a file. In a session of its own, so that leftovers are seen."""

    def __init__(self, log, arguments, **options):
        self.name = pathlib.Path(arguments[0]).name
        self.log = log
        with open(log, "ab") as output:
            self.popen = subprocess.Popen(
                [str(argument) for argument in arguments], stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, start_new_session=True, **options)
        self.pid = self.popen.pid

    def running(self):
        return self.popen.poll() is None

    def end(self, number=signal.SIGTERM, seconds=10):
        """Sends a signal and returns (exit status, seconds until the end)."""
        started = time.monotonic()
        if self.running():
            os.kill(self.pid, number)
        try:
            status = self.popen.wait(seconds * FACTOR)
        except subprocess.TimeoutExpired:
            os.kill(self.pid, signal.SIGKILL)
            self.popen.wait()
            raise AssertionError(
                f"{self.name}: still there {seconds * FACTOR:g} s after signal {number}") from None
        return status, time.monotonic() - started

    def session_members(self):
        """The ids of all processes that it started and that live on."""
        members = []
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    fields = (entry / "stat").read_text().rpartition(")")[2].split()
                    if int(fields[3]) == self.pid and fields[0] != "Z":
                        members.append(int(entry.name))
        return members

    def text(self):
        return pathlib.Path(self.log).read_text(errors="replace")


class Merlon:
    """Both processes with one configuration. Nothing runs until it is started."""

    def __init__(self, folder, control=None, data=None):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.state = self.folder / "state"
        self.port = free_port()
        self.api_socket = str(self.folder / "api.sock")
        self.data_socket = str(self.folder / "data.sock")
        self.slow_socket = str(self.folder / "slow.sock")
        self.config = self.folder / "merlon.toml"
        self.control = self.data = None
        self.settings = {
            "controlplane": {
                "state_directory": str(self.state), "api_socket": self.api_socket,
                "dataplane_socket": self.data_socket, "dns_listen": self.endpoints(),
                "slow_path_socket": self.slow_socket, "feed_private_hosts": True,
                **(control or {})},
            "dataplane": {
                "listen": self.endpoints(), "snapshot_directory": str(self.state / "snapshots"),
                "manifest_key_file": str(self.state / "manifest.pub"),
                "control_socket": self.data_socket, "slow_path_socket": self.slow_socket,
                "workers": 1, **(data or {})}}
        self.write_config()

    def endpoints(self):
        return [f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
                for host in HOSTS]

    def write_config(self):
        lines = []
        for section, values in self.settings.items():
            lines.append(f"[{section}]")
            lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
        self.config.write_text("\n".join(lines) + "\n")

    # Processes.

    def start_control(self):
        self.control = Process(self.folder / "control.log",
                               [BIN / "merlon-controlplane", "--config", self.config])
        wait_until("control plane ready", lambda: self._alive(self.control)
                   and self.api("GET", "/v1/status"), 30)
        return self

    def start_data(self, **options):
        self.data = Process(self.folder / "data.log",
                            [BIN / "merlon-dataplane", "--config", self.config], **options)
        wait_until("data plane ready", lambda: self._alive(self.data)
                   and self.data_command("status")["engine"], 30)
        return self

    def start(self):
        return self.start_control().start_data()

    @staticmethod
    def _alive(process):
        if not process.running():
            raise RuntimeError(f"{process.name} ended with {process.popen.returncode}:\n"
                               + process.text())
        return True

    def stop(self):
        for process in (self.data, self.control):
            if process is not None and process.running():
                process.end()

    # What operators do.

    def ctl(self, *words, expect=OK):
        environment = {key: value for key, value in os.environ.items()
                       if not key.startswith("MERLON_")}
        done = subprocess.run(
            [str(BIN / "merlonctl"), *map(str, words)], stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=120 * FACTOR, check=False,
            env={**environment, "MERLON_SOCKET": self.api_socket})
        if expect is not None and done.returncode != expect:
            raise AssertionError(f"merlonctl {' '.join(map(str, words))}: exit status "
                                 f"{done.returncode}, not {expect}\n{done.stdout}{done.stderr}")
        return done

    def ctl_json(self, *words, expect=OK):
        answer = json.loads(self.ctl(*words, "--json", expect=expect).stdout)
        if answer["schema_version"] != 1:
            raise AssertionError(f"merlonctl {words}: schema_version {answer['schema_version']}")
        return answer

    def api(self, method, target, body=None):
        """(HTTP status, object) of one request over the Unix socket."""
        connection = http.client.HTTPConnection("localhost", timeout=60 * FACTOR)
        connection.sock = socket.socket(socket.AF_UNIX)
        with contextlib.closing(connection):
            connection.sock.settimeout(60 * FACTOR)
            connection.sock.connect(self.api_socket)
            connection.request(method, target, None if body is None else json.dumps(body),
                               {"Content-Type": "application/json"})
            response = connection.getresponse()
            return response.status, json.loads(response.read())

    def data_command(self, command):
        """The data plane's answer on its own control socket."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(60 * FACTOR)
            client.connect(self.data_socket)
            client.sendall(command.encode() + b"\n")
            text = b""
            while not text.endswith(b"\n"):
                part = client.recv(65536)
                if not part:
                    raise ConnectionError(f"control socket closed after {text!r}")
                text += part
            return json.loads(text)

    def write_feed(self, name, lines):
        """A feed file, put in place at once, as a program that exports feeds should."""
        path = self.folder / "feeds" / f"{name}.txt"
        path.parent.mkdir(exist_ok=True)
        aside = path.with_suffix(".new")
        content = lines if isinstance(lines, bytes) else "".join(f"{x}\n" for x in lines).encode()
        aside.write_bytes(content)
        aside.rename(path)
        return path

    def add_feed(self, name, lines, *flags, expect=OK):
        """Defines a feed from a file and loads it."""
        path = self.write_feed(name, lines)
        self.ctl("feed", "add", name, "--url", path.as_uri(), *flags)
        return self.ctl("feed", "refresh", name, expect=expect)

    def add_device(self, name, sources, account="acme", tier="advanced"):
        self.ctl("device", "add", name, "--account", account, "--tier", tier, "--source",
                 ",".join(sources))

    def build(self):
        return self.ctl_json("snapshot", "build")["build"]

    # What clients do.

    def udp(self, name, qtype="A", host="127.0.0.1", source=None, **query):
        return merlon_dns.ask_udp((host, self.port), merlon_dns.make_query(name, qtype, **query),
                                  source, 5 * FACTOR)

    def tcp(self, name, qtype="A", host="127.0.0.1", source=None, **query):
        return merlon_dns.ask_tcp((host, self.port), merlon_dns.make_query(name, qtype, **query),
                                  source, 5 * FACTOR)

    def run(self, *words):
        """A client program of somebody else; returns its standard output."""
        done = subprocess.run([str(word) for word in words], capture_output=True, text=True,
                              timeout=60 * FACTOR, check=False, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise AssertionError(f"{words}: exit status {done.returncode}\n{done.stdout}"
                                 f"{done.stderr}")
        return done.stdout

    # What lies on disk.

    @property
    def snapshots(self):
        return self.state / "snapshots"

    def current(self):
        return int((self.snapshots / "current").read_text())

    def segments_of(self, generation):
        """[(kind, path, apex)] as the manifest lists them."""
        text = (self.snapshots / "manifests" / f"{generation}.manifest").read_text()
        rows = [line.split() for line in text.splitlines() if line.startswith("segment ")]
        return [(kind, self.snapshots / "segments" / f"{digest}.seg", apex)
                for _, kind, digest, _, apex in rows]


class Case(unittest.TestCase):
    """A folder per test that goes with it; of a failed one the processes' last words are shown."""

    def setUp(self):
        # Short: the path of a Unix socket has at most 107 bytes.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="merlon-e2e-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.addCleanup(self._keep_logs)
        self.last_words = []

    def merlon(self, name="m", **settings):
        merlon = Merlon(self.folder / name, **settings)
        self.addCleanup(merlon.stop)
        return merlon

    def _keep_logs(self):
        for log in sorted(self.folder.rglob("*.log")):
            if "store" not in log.parts:
                lines = log.read_text(errors="replace").splitlines()[-40:]
                self.last_words.append(f"--- {log.relative_to(self.folder)}\n" + "\n".join(lines))

    def run(self, result=None):
        result = self.defaultTestResult() if result is None else result
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) != before:
            print(f"\n{self.id()}: what the processes said\n" + "\n".join(self.last_words),
                  file=sys.stderr)
        return result

    def assert_addresses(self, answer, addresses):
        self.assertEqual(answer.rcode, "NOERROR")
        self.assertEqual(sorted(answer.values()), sorted(addresses))


class FeedServer:
    """Feeds over HTTP on loopback. Each path has a handler or a body with an ETag."""

    def __init__(self, case):
        self.pages = {}
        self.requests = []  # (path, headers, status)
        self.release = threading.Event()  # ends what hangs
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                with contextlib.suppress(ConnectionError):
                    outer.serve(self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        case.addCleanup(self.server.server_close)
        case.addCleanup(self.server.shutdown)
        case.addCleanup(self.release.set)

    def url(self, path):
        return f"http://127.0.0.1:{self.server.server_address[1]}{path}"

    def put(self, path, body, etag=None):
        self.pages[path] = (body if isinstance(body, bytes) else body.encode(), etag)

    def serve(self, request):
        page = self.pages.get(request.path)
        if callable(page):
            self.requests.append((request.path, dict(request.headers), None))
            page(request)
            return
        body, etag = page if page else (b"", None)
        status = 404 if page is None else 200
        if etag and request.headers.get("If-None-Match") == etag:
            status, body = 304, b""
        self.requests.append((request.path, dict(request.headers), status))
        request.send_response(status)
        if etag:
            request.send_header("ETag", etag)
        if status != 304:
            request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    def statuses(self, path):
        return [status for seen, _, status in self.requests if seen == path]

    # Bad servers, for `pages`.

    def fail_with(self, status):
        def handler(request):
            request.send_response(status)
            request.send_header("Content-Length", "0")
            request.end_headers()
        return handler

    def hang(self, request):
        request.send_response(200)
        request.send_header("Content-Length", "1000")
        request.end_headers()
        request.wfile.write(b"45.1.1.1\n")
        request.wfile.flush()
        request.close_connection = True
        self.release.wait(120)

    @staticmethod
    def flood(request):
        """Never ends by itself, and does not say how much it sends."""
        request.send_response(200)
        request.end_headers()
        request.close_connection = True
        for number in range(1 << 20):
            request.wfile.write(b"45.%d.%d.1\n" % (number >> 8 & 255, number & 255) * 64)


def main():
    unittest.main(verbosity=2)
