# SPDX-License-Identifier: Apache-2.0
"""Servers of others as customers: started with what `merlonctl device config` prints, and with
nothing else but ports, folders and an upstream whose names are known."""

import shutil
import subprocess

import merlon_e2e as e2e

ZONE = "merlon-lab.net"  # policies leave names of special use (.example) out
PLAIN, GARDEN = "45.1.1.1", "45.2.2.2"  # a name's own address, and that of the garden
HOSTILE4, HOSTILE6 = "45.9.9.9", "2a0e:97c0::99"
RECORDS = f"""$ORIGIN {ZONE}.
$TTL 1
@ IN SOA ns.{ZONE}. hostmaster.{ZONE}. 1 3600 600 86400 1
@ IN NS ns.{ZONE}.
ns IN A 127.0.0.1
* IN A {PLAIN}
garden IN A {GARDEN}
*.garden IN A {GARDEN}
by-address IN A {HOSTILE4}
by-address6 IN AAAA {HOSTILE6}
"""
POLICY = {"name": "names", "kind": "dns", "garden": f"garden.{ZONE}", "lists": ["own"],
          "targets": [{"feeds": [feed], "action": action} for feed, action in (
              ("f-nxdomain", "nxdomain"), ("f-nodata", "nodata"), ("f-passthru", "passthru"),
              ("f-drop", "drop"), ("f-tcp", "tcp-only"), ("f-garden", "garden"))]}
FEEDS = {"f-nxdomain": "nx", "f-nodata": "nodata", "f-passthru": "good.nx", "f-drop": "drop",
         "f-tcp": "tcp", "f-garden": "walled", "f-wild": "wild"}
APEX = "names.rpz.acme.merlon.internal"
WILD = "wild.rpz.acme.merlon.internal"


class Peers(e2e.Case):
    """Merlon with a policy that has every action, and what answers for the names without it."""

    programs = ()

    def setUp(self):
        super().setUp()
        for tool in ("knotd", "dig", *self.programs):
            self.assertIsNotNone(shutil.which(tool), f"{tool} is missing: tools/setup test")
        self.upstream = e2e.free_port()
        self.start_upstream()
        self.m = self.merlon(control=self.control_settings())
        self.m.start()
        for account in ("acme", "zeta"):
            self.m.ctl("account", "add", account)
        for feed, label in FEEDS.items():
            self.m.add_feed(feed, [f"{label}.{ZONE}"], "--format", "domains")
        self.m.ctl("custom-list", "add", "acme", "own", "--direction", "block")
        self.m.ctl("entry", "add", "acme", "own", HOSTILE4, HOSTILE6,
                   *(f"filler{i}.fillers.com" for i in range(300)))
        file = self.folder / "policy.json"
        file.write_text(e2e.json.dumps(POLICY))
        self.m.ctl("policy", "add", "acme", "names", "--file", file)
        self.m.ctl("policy", "add", "acme", "wild", "--kind", "dns", "--feed", "f-wild",
                   "--action", "garden", "--garden", f"*.garden.{ZONE}")

    def control_settings(self):
        return {}

    def start_upstream(self):
        folder = self.folder / "upstream"
        (folder / "db").mkdir(parents=True)
        (folder / "zone").write_text(RECORDS)
        (folder / "knot.conf").write_text(f"""server:
    rundir: "{folder}"
    listen: 127.0.0.1@{self.upstream}
database:
    storage: "{folder}/db"
zone:
  - domain: {ZONE}
    storage: "{folder}"
    file: "zone"
    zonefile-sync: -1
""")
        self.start_peer("upstream", ["knotd", "-c", folder / "knot.conf"])
        e2e.wait_until("upstream", lambda: PLAIN in self.dig("x", port=self.upstream,
                                                             host="127.0.0.1"))

    def start_peer(self, name, words, **options):
        process = e2e.Process(self.folder / f"{name}.log", words, **options)
        self.addCleanup(lambda: process.running() and process.end())
        return process

    def add_device(self, name, source, account="acme", key=True):
        """A device at `source` that is told of changes at a port of its own, which is returned."""
        port = e2e.free_port()
        self.m.ctl("device", "add", name, "--account", account, "--tier", "advanced", "--source",
                   source, "--notify", f"{self.host}:{port}",
                   *(["--tsig", "hmac-sha256"] if key else []))
        return port

    def config(self, device, server, *flags):
        self.m.build()
        return self.m.ctl("device", "config", device, "--for", server, "--address",
                          f"127.0.0.1:{self.m.port}", *flags).stdout

    def dig(self, name, rtype="A", *flags, port=None, host=None):
        name = name if name.endswith(".") else f"{name}.{ZONE}"
        return subprocess.run(
            ["dig", f"@{host or self.host}", "-p", str(port or self.port), name, rtype, "+tries=1",
             "+time=1", *flags], capture_output=True, text=True, check=False, timeout=20).stdout

    def says(self, text, name, *words):
        return text in self.dig(name, *words)

    def secondaries(self, device, apex=APEX):
        return [row for row in self.m.ctl_json("transfers")["secondaries"]
                if row["device"] == device and row["apex"] == apex + "."]

    def check_actions(self):
        """Every action of the policies, as dig sees it."""
        e2e.wait_until("enforced", lambda: self.says("NXDOMAIN", "nx"), 20)
        e2e.wait_until("both policies", lambda: self.says(GARDEN, "wild"), 20)
        self.assertIn(PLAIN, self.dig("free"))
        self.assertIn("NXDOMAIN", self.dig("below.nx"))
        nodata = self.dig("nodata")
        self.assertIn("status: NOERROR", nodata)
        self.assertIn("ANSWER: 0", nodata)
        self.assertIn(PLAIN, self.dig("good.nx"))   # passthru, within what is blocked
        self.assertIn(PLAIN, self.dig("below.good.nx"))
        self.assertNotIn("status:", self.dig("drop"))
        truncated = self.dig("tcp", "A", "+ignore")
        self.assertRegex(truncated, r"flags:[^;]* tc")
        self.assertNotIn(PLAIN, truncated)
        self.assertIn(PLAIN, self.dig("tcp", "A", "+tcp"))
        walled = self.dig("walled")
        self.assertIn(GARDEN, walled)
        self.assertIn(f"garden.{ZONE}.", walled)
        self.assertIn(f"wild.{ZONE}.garden.{ZONE}.", self.dig("wild"))
        self.assertIn("NXDOMAIN", self.dig("by-address"))
        self.assertIn("NXDOMAIN", self.dig("by-address6", "AAAA"))

    def check_change(self, device, within, kind="IXFR"):
        """A new entry is enforced within seconds, and came as a difference."""
        self.assertIn(PLAIN, self.dig("fresh"))
        e2e.time.sleep(1.1)  # that answer's TTL
        self.m.ctl("entry", "add", "acme", "own", f"fresh.{ZONE}")
        started = e2e.time.monotonic()
        e2e.wait_until("the change", lambda: self.says("NXDOMAIN", "fresh"), within)
        print(f"{device}: enforced after {e2e.time.monotonic() - started:.2f} s", flush=True)
        if kind:
            e2e.wait_until(f"seen as {kind}", lambda: [
                row for row in self.secondaries(device)
                if row["kind"] == kind and row["serial_given"] == row["serial_current"]])
