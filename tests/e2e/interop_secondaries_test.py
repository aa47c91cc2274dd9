#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Knot, NSD and PowerDNS Recursor as customers: zones by TSIG, changes as IXFR within seconds."""

import merlon_e2e as e2e
import merlon_peers as peers


class Secondaries(peers.Peers):
    programs = ("nsd", "pdns_recursor")
    host = "127.0.0.5"

    def has(self, label, apex=peers.APEX):
        name = f"{label}.{apex}."
        return f"{name}" in self.dig(name, "CNAME", "+noall", "+answer")

    def follow(self, device):
        e2e.wait_until("the zone", lambda: self.has(f"nx.{peers.ZONE}"), 20)
        e2e.wait_until("the other zone", lambda: self.has(f"wild.{peers.ZONE}", peers.WILD), 20)
        self.assertFalse(self.has(f"fresh.{peers.ZONE}"))
        self.m.ctl("entry", "add", "acme", "own", f"fresh.{peers.ZONE}")
        started = e2e.time.monotonic()
        e2e.wait_until("the change", lambda: self.has(f"fresh.{peers.ZONE}"), 10)
        print(f"{device}: the change after {e2e.time.monotonic() - started:.2f} s", flush=True)
        e2e.wait_until("seen as IXFR", lambda: [
            row for row in self.secondaries(device)
            if row["kind"] == "IXFR" and row["serial_given"] == row["serial_current"]])

    def test_knot_by_its_catalog(self):
        self.port = self.add_device("kd", self.host)
        folder = self.folder / "knot"
        (folder / "db").mkdir(parents=True)
        text = self.config("kd", "knot")
        text = text.replace("remote:\n  - id: merlon\n",
                            f"remote:\n  - id: merlon\n    via: {self.host}\n")
        text = text.replace("template:\n",
                            f"template:\n  - id: default\n    storage: {folder}\n", 1)
        text = text.replace("  - id: merlon\n    master",
                            f"  - id: merlon\n    storage: {folder}\n    master")
        config = folder / "knot.conf"
        config.write_text(f"server:\n  rundir: {folder}\n  listen: {self.host}@{self.port}\n"
                          f"database:\n  storage: {folder}/db\nlog:\n  - target: stderr\n"
                          "    any: info\n" + text)
        self.m.run("knotc", "-c", config, "conf-check")
        knot = self.start_peer("knot", ["knotd", "-c", config])
        self.follow("kd")
        self.assertIn("IXFR, incoming", knot.text())
        self.m.ctl("policy", "add", "acme", "later", "--kind", "dns", "--feed", "f-nxdomain")
        e2e.wait_until("the new policy", lambda: self.has(
            f"nx.{peers.ZONE}", "later.rpz.acme.merlon.internal"), 15)

    def test_nsd(self):
        self.port = self.add_device("nsd", self.host)
        folder = self.folder / "nsd"
        folder.mkdir()
        text = self.config("nsd", "nsd").replace(
            "zone:\n", f"zone:\n  outgoing-interface: {self.host}\n")
        config = folder / "nsd.conf"
        config.write_text(f"""server:
  ip-address: {self.host}@{self.port}
  username: ""
  chroot: ""
  zonesdir: "{folder}"
  database: ""
  pidfile: "{folder}/nsd.pid"
  xfrdfile: "{folder}/xfrd.state"
  zonelistfile: "{folder}/zone.list"
  xfrdir: "{folder}"
  verbosity: 2
remote-control:
  control-enable: no
""" + text)
        self.m.run("nsd-checkconf", config)
        self.start_peer("nsd", ["nsd", "-d", "-c", config])
        self.follow("nsd")

    def test_pdns_recursor_enforces_every_action(self):
        self.host = "127.0.0.1"  # it sends transfers from whatever address the route has
        self.port = self.add_device("pdns", self.host)
        folder = self.folder / "pdns"
        folder.mkdir()
        (folder / "rpz.lua").write_text(self.config("pdns", "pdns"))
        (folder / "recursor.conf").write_text(f"""local-address={self.host}
local-port={self.port}
socket-dir={folder}
allow-from=127.0.0.0/8
forward-zones-recurse={peers.ZONE}=127.0.0.1:{self.upstream}
lua-config-file={folder}/rpz.lua
dnssec=off
daemon=no
loglevel=6
setuid=
setgid=
security-poll-suffix=
threads=1
dont-query=
max-cache-ttl=1
packetcache-ttl=1
max-negative-ttl=1
""")
        self.start_peer("pdns", ["pdns_recursor", f"--config-dir={folder}"])
        self.check_actions()
        self.check_change("pdns", 25)


if __name__ == "__main__":
    e2e.main()
