#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Names of others: looked up at a real name server for devices with recursion, under the DNS policy
of their account, over UDP through the data plane and over TCP; delv validates what comes back."""

import os
import pathlib
import shutil
import subprocess
import time

import merlon_e2e as e2e

ZONE = "merlon-lab.net"  # policies leave names of special use (.example) out
RECORDS = f"""$ORIGIN {ZONE}.
$TTL 300
@ IN SOA ns.{ZONE}. hostmaster.{ZONE}. 1 3600 600 86400 60
@ IN NS ns.{ZONE}.
ns IN A 127.0.0.1
www IN A 203.0.113.80
alias IN CNAME www
hostile IN A 203.0.113.81
* IN A 203.0.113.82
"""


class Upstream:
    """knotd, authoritative for one signed zone."""

    def __init__(self, folder):
        self.folder = folder
        self.port = e2e.free_port()
        os.makedirs(f"{folder}/db")
        with open(f"{folder}/{ZONE}.zone", "w", encoding="ascii") as out:
            out.write(RECORDS)
        with open(f"{folder}/knot.conf", "w", encoding="ascii") as out:
            out.write(f"""server:
    rundir: "{folder}"
    listen: 127.0.0.1@{self.port}
database:
    storage: "{folder}/db"
policy:
  - id: plain
    algorithm: ecdsap256sha256
    single-type-signing: on
zone:
  - domain: {ZONE}
    storage: "{folder}"
    file: "{ZONE}.zone"
    dnssec-signing: on
    dnssec-policy: plain
    zonefile-sync: -1
""")
        self.process = e2e.Process(pathlib.Path(folder) / "knot.log",
                                   ["knotd", "-c", f"{folder}/knot.conf"])
        e2e.wait_until("upstream", lambda: self.dig("www", "A").strip() != "")

    def dig(self, name, rtype):
        return subprocess.run(["dig", "+short", "+time=1", "+tries=1", "-p", str(self.port),
                               "@127.0.0.1", f"{name}.{ZONE}", rtype], check=False,
                              capture_output=True, text=True, timeout=10).stdout

    def anchor(self, path):
        key = subprocess.run(["dig", "+short", "-p", str(self.port), "@127.0.0.1", ZONE, "DNSKEY"],
                             check=True, capture_output=True, text=True, timeout=10).stdout
        flags, protocol, algorithm, *data = key.splitlines()[0].split()
        with open(path, "w", encoding="ascii") as out:
            out.write(f'trust-anchors {{ "{ZONE}." static-key {flags} {protocol} {algorithm} '
                      f'"{"".join(data)}"; }};\n')

    def stop(self):
        if self.process.running():
            self.process.end()


class Forward(e2e.Case):
    def setUp(self):
        super().setUp()
        for tool in ("knotd", "dig", "delv", "dnsperf"):
            self.assertIsNotNone(shutil.which(tool), f"{tool} is missing: tools/setup test")
        self.m = self.merlon()
        self.upstream = Upstream(f"{self.folder}/upstream")
        self.addCleanup(self.upstream.stop)
        self.m.settings["forward"] = {"upstreams": [f"127.0.0.1:{self.upstream.port}"]}
        self.m.write_config()
        self.m.start()
        self.m.ctl("device", "add", "site", "--account", "acme", "--tier", "advanced", "--source",
                   "127.0.0.1", "--recursion", "on")
        self.m.add_device("plain", ["127.0.1.2"], account="zeta")
        self.m.build()
        e2e.wait_until("forwarded", lambda: "203.0.113.80" in self.dig("www"))

    def dig(self, name, *options, source="127.0.0.1", tcp=False):
        return subprocess.run(
            ["dig", "+time=3", "+tries=1", *(["+tcp"] if tcp else []), "-b", source, "-p",
             str(self.m.port), "@127.0.0.1", f"{name}.{ZONE}", *options], check=False,
            capture_output=True, text=True, timeout=15).stdout

    def test_names_of_others_are_looked_up_for_who_may(self):
        for tcp in (False, True):
            answer = self.dig("alias", "A", tcp=tcp)
            self.assertRegex(answer, r"flags: qr rd ra;")
            self.assertIn("203.0.113.80", answer)
            self.assertIn("status: REFUSED", self.dig("www", "A", source="127.0.1.2", tcp=tcp))
        self.assertIn("status: REFUSED", self.dig("www", "A", "+norec"))

    def test_delv_validates_through_the_forwarder(self):
        anchor = f"{self.folder}/anchor.conf"
        self.upstream.anchor(anchor)
        for name, said in (("www", "; fully validated"), ("alias", "; fully validated"),
                           ("other", "; fully validated"), ("ns", "; fully validated")):
            result = subprocess.run(
                ["delv", "@127.0.0.1", "-p", str(self.m.port), "-a", anchor, f"+root={ZONE}",
                 f"{name}.{ZONE}", "A"], check=False, capture_output=True, text=True, timeout=20)
            self.assertIn(said, result.stdout, result.stderr)

    def test_a_blocked_name_gets_the_garden_and_the_reason(self):
        self.m.ctl("custom-list", "add", "acme", "hostile")
        self.m.ctl("entry", "add", "acme", "hostile", f"hostile.{ZONE}")
        self.m.ctl("policy", "add", "acme", "web", "--kind", "dns", "--list", "hostile",
                   "--list-action", "garden", "--garden", f"garden.{ZONE}")
        self.m.build()
        e2e.wait_until("enforced", lambda: f"garden.{ZONE}" in self.dig("hostile", "A"))
        for tcp in (False, True):
            answer = self.dig("hostile", "A", tcp=tcp)
            self.assertIn("203.0.113.82", answer)
            self.assertRegex(answer, r"EDE: 17 \(Filtered\)")
            self.assertIn("web.rpz.acme.", answer)
        self.assertIn("203.0.113.80", self.dig("www", "A"))

    def test_status_says_what_was_asked(self):
        self.dig("www", "A")
        said = self.m.ctl("forward", "status").stdout
        self.assertRegex(said, rf"udp://127\.0\.0\.1:{self.upstream.port} +up")
        self.assertRegex(said, r"(?m)^queries = [1-9]")

    def test_a_hundred_thousand_names_are_looked_up_and_none_is_lost(self):
        queries = self.folder / "names.txt"
        queries.write_text("".join(f"n{i}.{ZONE} A\n" for i in range(100_000)))
        said = subprocess.run(
            ["dnsperf", "-s", "127.0.0.1", "-p", str(self.m.port), "-d", str(queries), "-n", "1",
             "-q", "50", "-c", "4"], check=True, capture_output=True, text=True,
            timeout=90 * e2e.FACTOR).stdout
        self.assertRegex(said, r"Queries completed: +100000 ")
        self.assertRegex(said, r"Queries lost: +0 ")
        self.assertRegex(said, r"Response codes: +NOERROR 100000 ")
        forward = self.m.ctl_json("forward", "status")["forward"]
        self.assertGreaterEqual(forward["counters"]["queries"], 100_000)
        print(next(line for line in said.splitlines() if "per second" in line), flush=True)

    def test_expired_answers_outlive_the_upstream(self):
        self.assertIn("203.0.113.82", self.dig("any", "A"))
        self.upstream.stop()
        started = time.monotonic()
        self.assertIn("status: SERVFAIL", self.dig("never", "A"))
        self.assertLess(time.monotonic() - started, 2.5 * e2e.FACTOR)
        self.assertIn("203.0.113.82", self.dig("any", "A"))  # from the cache


if __name__ == "__main__":
    e2e.main()
