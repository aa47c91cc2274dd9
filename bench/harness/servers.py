# SPDX-License-Identifier: Apache-2.0
"""The servers that are compared. Each is started alone, in the server's namespace, on one core."""

import json
import pathlib
import shutil
import socket
import time

from harness import answers
from harness.machine import Failure, Missing, Process, first_line, package_version, program, run
from harness.net import SERVER, SERVER_LINK
from harness.probe import Probe

READY_SECONDS = 30


class Server:
    """One way to answer. start() gives a running server that has answered rightly."""

    name = ""
    polls = False  # its core is busy even when nothing comes
    check = staticmethod(answers.check_answer)

    def __init__(self, bench):
        self.bench = bench  # folder, bin, network, server_core, names, huge_pages_mib
        self.process = None
        self.starts = 0
        self.version = ""
        self.command = []
        self.require()
        self.folder = pathlib.Path(bench.folder) / self.name
        self.folder.mkdir()

    def require(self):
        """Raises Missing when this machine cannot run it."""

    def cores(self):
        return self.bench.server_core

    def words(self):
        """The command, for the start number self.starts."""
        raise NotImplementedError

    def start(self):
        self.bench.network.renew()
        self.starts += 1
        self.command = self.bench.network.server_words(self.cores(), self.words())
        self.process = Process(self.folder / f"{self.starts}.log", self.command)
        probe = Probe(self.bench.network, self.bench.names, self.check, seed=self.starts)
        try:
            deadline = time.monotonic() + READY_SECONDS
            while not probe.ready():
                if not self.process.running() or time.monotonic() > deadline:
                    raise Failure(f"{self.name} does not answer: {' '.join(self.command)}\n"
                                  + self.process.text()[-4000:])
                time.sleep(0.05)
        except BaseException:
            self.stop()
            raise
        finally:
            probe.close()
        return self

    def stop(self):
        if self.process is not None:
            self.process.stop()
            self.process = None

    def cpu_seconds(self):
        return self.process.cpu_seconds()


class Merlon(Server):
    engine = ""

    def __init__(self, bench):
        self.name = f"merlon-{self.engine}"
        super().__init__(bench)
        self.config = self.folder / "merlon.toml"
        self.control_socket = self.folder / "data.sock"
        state = pathlib.Path(bench.folder) / "state"
        settings = {"listen": [f"{SERVER}:53"], "engine": self.engine, "workers": 1,
                    "cores": [str(bench.server_core)],
                    "snapshot_directory": str(state / "snapshots"),
                    "manifest_key_file": str(state / "manifest.pub"),
                    "control_socket": str(self.control_socket), **self.settings()}
        self.config.write_text("[dataplane]\n" + "".join(
            f"{key} = {json.dumps(value)}\n" for key, value in settings.items()))
        self.version = "merlon-dataplane " + run(
            [bench.bin / "merlon-dataplane", "--version"]).strip()

    def settings(self):
        return {}

    def words(self):
        return [self.bench.bin / "merlon-dataplane", "--config", self.config]

    def start(self):
        super().start()
        engine = control(self.control_socket, "status")["engine"]
        if engine != self.engine:
            self.stop()
            raise Missing(f"{self.name}: this machine gives engine {engine} instead")
        return self


class MerlonDpdk(Merlon):
    engine = "dpdk"
    polls = True  # as testpmd does; its own default is to sleep when nothing comes

    def settings(self):
        return {"dpdk_ports": [f"af_xdp:{SERVER_LINK}"], "dpdk_addresses": [SERVER],
                "dpdk_idle": "poll"}


class MerlonUring(Merlon):
    engine = "io_uring"


class MerlonMmsg(Merlon):
    engine = "mmsg"


class Knot(Server):
    name = "knot"
    xdp = False

    def require(self):
        self.program = program("knotd")
        self.version = first_line(self.program, "-V")

    def words(self):
        home = self.folder / f"home-{self.starts}"
        (home / "zones").mkdir(parents=True)
        shutil.copy(self.bench.zone_file, home / "zones" / f"{answers.SUFFIX}.zone")
        xdp = f"xdp:\n    listen: {SERVER_LINK}@53\n" if self.xdp else ""
        config = home / "knot.conf"
        config.write_text(f"""server:
    rundir: {home}
    listen: {SERVER}@53
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
{xdp}log:
  - target: stderr
    any: warning
database:
    storage: {home}
template:
  - id: default
    storage: {home}/zones
    file: "%s.zone"
    zonefile-sync: -1
    zonefile-load: whole
    journal-content: none
zone:
  - domain: {answers.SUFFIX}
""")
        return [self.program, "-c", config]


class KnotXdp(Knot):
    name = "knot-xdp"
    xdp = True


class Nsd(Server):
    name = "nsd"

    def require(self):
        self.program = program("nsd")
        self.version = first_line(self.program, "-v")

    def words(self):
        home = self.folder / f"home-{self.starts}"
        home.mkdir()
        config = home / "nsd.conf"
        write_nsd_config(config, home, self.bench.zone_file, f"{SERVER}@53")
        return [self.program, "-d", "-c", config]


def write_nsd_config(config, home, zone_file, address):
    shutil.copy(zone_file, home / "zone.txt")
    config.write_text(f"""server:
  ip-address: {address}
  server-count: 1
  do-ip6: no
  username: ""
  chroot: ""
  zonesdir: "{home}"
  database: ""
  pidfile: ""
  xfrdfile: "{home}/xfrd.state"
  xfrdir: "{home}"
  zonelistfile: "{home}/zone.list"
  cookie-secret-file: "{home}/cookie.secret"
  tcp-count: 500
  tcp-query-count: 0
  rrl-ratelimit: 0
  rrl-whitelist-ratelimit: 0
  round-robin: no
  minimal-responses: yes
  hide-version: no
  verbosity: 1
remote-control:
  control-enable: no
zone:
  name: {answers.SUFFIX}
  zonefile: zone.txt
""")


class Testpmd(Server):
    """Not a server: sends each query back as it is, with addresses and ports swapped. What
    net_af_xdp can carry at all on this machine."""

    name = "testpmd-5tswap"
    polls = True
    check = staticmethod(answers.check_reflection)

    def require(self):
        self.program = program("dpdk-testpmd")
        self.version = f"DPDK {package_version('dpdk')}"
        self.filter = self.bench.bin / "merlon-xdp-filter.o"
        if not self.filter.exists():
            raise Missing(f"{self.filter} is not built: it needs clang-19 (tools/setup build)")

    def words(self):
        eal = testpmd_eal(self.bench, f"testpmd-{self.starts}")
        return [self.program, *eal, "--vdev",
                f"net_af_xdp0,iface={SERVER_LINK},start_queue=0,queue_count=1,"
                f"xdp_prog={self.filter}",
                "--", "--forward-mode=5tswap", "--nb-cores=1", "--rxd=2048", "--txd=2048",
                "--total-num-mbufs=16384", "--auto-start", "-i"]

    def cores(self):
        return f"{self.bench.server_core},{self.bench.client_core}"


def testpmd_eal(bench, prefix, mebibytes=256):
    """It forwards on the server's core; its main thread, which only reads commands, gets the other.
    """
    memory = ["--in-memory"] if bench.huge_pages_mib else ["--no-huge"]
    return ["--no-pci", "--no-telemetry", *memory, "-m", mebibytes, "--file-prefix",
            f"merlon-bench-{prefix}", "--main-lcore", bench.client_core, "-l",
            f"{bench.server_core},{bench.client_core}"]


def control(path, command):
    """The data plane's answer on its control socket."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(str(path))
        client.sendall(command.encode() + b"\n")
        text = b""
        while not text.endswith(b"\n"):
            part = client.recv(1 << 16)
            if not part:
                raise Failure(f"{command}: the control socket was closed after {text[:200]!r}")
            text += part
    return json.loads(text)



ALL = (MerlonDpdk, KnotXdp, Testpmd, MerlonUring, Nsd, MerlonMmsg, Knot)
