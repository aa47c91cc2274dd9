# SPDX-License-Identifier: Apache-2.0
"""Two network namespaces of our own, server and client, and a veth pair between them."""

import contextlib
import ctypes
import os
import pathlib
import re

from harness.machine import Failure, Missing, program, require_root, run

PREFIX = "merlon-bench-"
SERVER, CLIENT, PROBE = "198.18.0.1", "198.18.0.2", "198.18.0.3"  # RFC 2544's for measuring
SERVER_LINK, CLIENT_LINK = "dns0", "load0"
CLONE_NEWNET = 0x40000000


def set_namespace(descriptor):
    """Moves the calling thread."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Network:
    """A context: removed at the end, whatever happens in between.

    The client has a second address, PROBE, which only raw sockets use: its kernel knows nothing of
    it, so it does not answer the answers with ICMP."""

    def __init__(self):
        require_root()
        self.ip = program("ip")
        self.server_name = f"{PREFIX}{os.getpid()}-s"
        self.client_name = f"{PREFIX}{os.getpid()}-c"
        self.server_mac = self.client_mac = ""

    def _require_entering(self):
        """ip enters a namespace with a mount namespace of its own, which a plain chroot (whose root
        is no mount point) and some containers do not allow. What else fails is a failure."""
        try:
            run(["unshare", "--mount", "--propagation", "slave", "true"])
        except Failure as why:
            raise Missing(f"ip cannot enter namespaces here: {why}") from None

    def __enter__(self):
        self._require_entering()
        self._remove_leftovers()
        try:
            for name in (self.server_name, self.client_name):
                run([self.ip, "netns", "add", name])
                with self.inside(name):  # no router solicitations into the counters
                    for scope in ("all", "default"):
                        setting = pathlib.Path(f"/proc/sys/net/ipv6/conf/{scope}/disable_ipv6")
                        if setting.exists():
                            setting.write_text("1")
                run([self.ip, "-n", name, "link", "set", "lo", "up"])
            self.renew()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for name in (self.server_name, self.client_name):
            if pathlib.Path(f"/run/netns/{name}").exists():
                run([self.ip, "netns", "del", name])

    def _remove_leftovers(self):
        """Of runs that were killed: their process is gone."""
        folder = pathlib.Path("/run/netns")
        for path in folder.glob(f"{PREFIX}*") if folder.exists() else ():
            owner = re.fullmatch(rf"{PREFIX}(\d+)-[sc]", path.name)
            if owner and not pathlib.Path(f"/proc/{owner.group(1)}").exists():
                run([self.ip, "netns", "del", path.name])

    def renew(self):
        """A new pair, so that no XDP program, queue or counter of the server before is left."""
        with contextlib.suppress(Failure):
            run([self.ip, "-n", self.server_name, "link", "del", SERVER_LINK])
        run([self.ip, "link", "add", SERVER_LINK, "netns", self.server_name, "type", "veth", "peer",
             "name", CLIENT_LINK, "netns", self.client_name])
        for name, link, address in ((self.server_name, SERVER_LINK, SERVER),
                                    (self.client_name, CLIENT_LINK, CLIENT)):
            run([self.ip, "-n", name, "addr", "add", f"{address}/24", "dev", link])
            run([self.ip, "-n", name, "link", "set", link, "up"])
        self.server_mac = self._mac(self.server_name, SERVER_LINK)
        self.client_mac = self._mac(self.client_name, CLIENT_LINK)
        # Permanent neighbours: no ARP while we measure.
        for name, link, address, mac in (
                (self.server_name, SERVER_LINK, CLIENT, self.client_mac),
                (self.server_name, SERVER_LINK, PROBE, self.client_mac),
                (self.client_name, CLIENT_LINK, SERVER, self.server_mac)):
            run([self.ip, "-n", name, "neigh", "replace", address, "lladdr", mac, "dev", link,
                 "nud", "permanent"])

    def _mac(self, name, link):
        return re.search(r"link/ether ([0-9a-f:]{17})",
                         run([self.ip, "-n", name, "link", "show", link])).group(1)

    @contextlib.contextmanager
    def inside(self, name):
        """The calling thread is in the namespace; sockets opened there stay there."""
        with open("/proc/thread-self/ns/net", "rb") as own, open(f"/run/netns/{name}",
                                                                 "rb") as other:
            set_namespace(other.fileno())
            try:
                yield
            finally:
                set_namespace(own.fileno())

    def enter(self, name):
        """As inside(), for a thread that ends there."""
        with open(f"/run/netns/{name}", "rb") as other:
            set_namespace(other.fileno())

    def server_words(self, core, words):
        return self._words(self.server_name, core, words)

    def client_words(self, core, words):
        return self._words(self.client_name, core, words)

    def _words(self, name, core, words):
        return [self.ip, "netns", "exec", name, "taskset", "-c", str(core), *map(str, words)]

    @staticmethod
    def packets(link):
        """(received, sent) of the link, read by a thread inside its namespace."""
        for line in pathlib.Path("/proc/thread-self/net/dev").read_text().splitlines():
            name, _, values = line.partition(":")
            if name.strip() == link:
                fields = values.split()
                return int(fields[1]), int(fields[9])
        return 0, 0
