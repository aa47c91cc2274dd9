#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Signed zones before other people's validators: delv over UDP and TCP, Unbound as a validating
forwarder, and Unbound all through rollovers whose waits are seconds."""

import pathlib
import re
import shutil
import subprocess
import time

import merlon_e2e as e2e

ACME, SHARED = "acme.merlon.internal.", "merlon.internal."
NEEDED = ("delv", "unbound", "dig")


def run(*words, expect=0):
    done = subprocess.run([str(word) for word in words], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60 * e2e.FACTOR, check=False)
    if expect is not None and done.returncode != expect:
        raise AssertionError(f"{words}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def run_both(*words):
    """Output and errors: delv says on the latter why it does not believe."""
    done = subprocess.run([str(word) for word in words], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=60 * e2e.FACTOR, check=False)
    return done.stdout


class Dnssec(e2e.Case):
    def setUp(self):
        super().setUp()
        missing = [name for name in NEEDED if shutil.which(name) is None]
        if missing:
            self.skipTest("not installed: " + ", ".join(missing))
        self.m = self.merlon()
        self.resolvers = []

    def tearDown(self):
        for resolver in self.resolvers:
            resolver.end()
        super().tearDown()

    def lab(self, *options):
        """Signs and publishes; keeps the trust anchors, returns the step of acme's rollover."""
        text = run(e2e.BIN / "merlon-dnssec-lab", self.m.state, *options)
        self.anchors = [line for line in text.splitlines() if not line.startswith(";")]
        return re.search(rf"; {re.escape(ACME)} rollover \S+ step (\S+)", text).group(1)

    def anchor_file(self, name="anchors"):
        path = pathlib.Path(self.m.folder) / name
        path.write_text("\n".join(self.anchors) + "\n")
        return path

    def unbound(self, **zones):
        """A validating forwarder of both zones with the present trust anchors."""
        port = e2e.free_port()
        folder = pathlib.Path(self.m.folder) / f"unbound-{port}"
        folder.mkdir()
        forwards = "".join(f'forward-zone:\n  name: "{zone}"\n  forward-addr: '
                           f"127.0.0.1@{self.m.port}\n" for zone in (ACME, SHARED))
        config = folder / "unbound.conf"
        config.write_text(f"""server:
  interface: 127.0.0.1@{port}
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "{folder}"
  pidfile: "{folder}/pid"
  use-syslog: no
  verbosity: 1
  val-log-level: 2
  module-config: "validator iterator"
  trust-anchor-file: "{self.anchor_file(f'anchors-{port}')}"
  trust-anchor-signaling: no
  do-not-query-localhost: no
  harden-algo-downgrade: yes
  aggressive-nsec: no
  prefetch: no
  num-threads: 1
remote-control:
  control-enable: no
{forwards}""")
        process = e2e.Process(folder / "log", ["unbound", "-d", "-c", config])
        self.resolvers.append(process)
        e2e.wait_until("unbound answers", lambda: "status: NOERROR" in self.dig(port, ACME, "SOA"))
        return port

    @staticmethod
    def dig(port, name, qtype, *options):
        return run("dig", "@127.0.0.1", "-p", port, "+dnssec", "+tries=1", "+time=5", *options,
                   name, qtype, expect=None)

    def delv(self, zone, name, qtype, *options):
        keys = [line.split() for line in self.anchors if line.startswith(zone + " ")]
        anchors = "".join(f'"{zone}" static-key {k[3]} {k[4]} {k[5]} "{"".join(k[6:])}";\n'
                          for k in keys)
        path = pathlib.Path(self.m.folder) / f"delv-{zone}conf"
        path.write_text("trust-anchors {\n" + anchors + "};\n")
        return run_both("delv", "@127.0.0.1", "-p", self.m.port, "-a", path, f"+root={zone}",
                        *options, name, qtype)


class Validators(Dnssec):
    def check_delv(self, algorithm, layout):
        self.lab("--algorithm", algorithm, "--layout", layout)
        self.m.start()
        for transport in ((), ("+tcp",)):
            for zone in (ACME, SHARED):
                for name, qtype, wanted in (
                        (zone, "SOA", "; fully validated"),
                        ("text." + zone, "TXT", "; fully validated"),
                        ("list1." + zone, "A", "; fully validated"),
                        ("any.wild." + zone, "A", "; fully validated"),
                        ("text." + zone, "AAAA", "; negative response, fully validated"),
                        ("ent." + zone, "A", "; negative response, fully validated"),
                        ("any.wild." + zone, "TXT", "; negative response, fully validated"),
                        ("nothing." + zone, "A", "; negative response, fully validated"),
                        ("sub." + zone, "DS", "; fully validated"),
                        ("plain." + zone, "DS", "; negative response, fully validated")):
                    with self.subTest(name=name, qtype=qtype, transport=transport):
                        answer = self.delv(zone, name, qtype, *transport)
                        self.assertIn(wanted, answer)

    def test_delv_validates_every_kind_of_answer(self):
        self.check_delv("ecdsa-p256", "csk")

    def test_delv_validates_ed25519_with_ksk_and_zsk(self):
        self.check_delv("ed25519", "split")

    def test_unbound_validates_all_4000_addresses(self):
        self.lab()
        self.m.start()
        port = self.unbound()
        found = set()
        for label in ("list", "list2", "list3"):
            answer = self.dig(port, f"{label}.{ACME}", "A", "+tcp")
            self.assertRegex(answer, r"flags: [a-z ]*\bad\b")
            found.update(re.findall(r"\sA\s+([0-9.]+)$", answer, re.MULTILINE))
        self.assertEqual(len(found), 4000)
        for name, qtype, status in (("no.such." + ACME, "A", "NXDOMAIN"),
                                    ("text." + ACME, "A", "NOERROR"),
                                    ("x.wild." + ACME, "A", "NOERROR"),
                                    ("nothing." + SHARED, "A", "NXDOMAIN"),
                                    ("x.wild." + SHARED, "A", "NOERROR")):
            answer = self.dig(port, name, qtype)
            self.assertIn(f"status: {status}", answer)
            self.assertRegex(answer, r"flags: [a-z ]*\bad\b", name)


class Rollovers(Dnssec):
    """TTLs of 1 s and a propagation of 1 s: a step every few seconds."""

    OPTIONS = ("--ttl", 1, "--propagation", 1)

    def publish(self, *more):
        step = self.lab(*self.OPTIONS, *self.layout, *more)
        self.assertEqual(self.m.data_command("load").get("error", ""), "")
        return step

    def ask(self, ports):
        for port in ports:
            for name, status in (("text." + ACME, "NOERROR"), ("no.such." + ACME, "NXDOMAIN"),
                                 ("x.wild." + ACME, "NOERROR")):
                answer = self.dig(port, name, "TXT")
                self.assertIn(f"status: {status}", answer, self.resolvers[0].text()[-3000:])
                self.assertRegex(answer, r"flags: [a-z ]*\bad\b", answer)
                self.answers += 1

    def roll(self, kind, *more):
        """Runs one rollover to its end under queries; returns its steps."""
        self.layout = (*self.layout, *more)
        steps = [self.publish("--rollover", kind)]
        ports = list(self.ports)
        deadline = time.monotonic() + 60 * e2e.FACTOR
        while steps[-1] != "none":
            self.assertLess(time.monotonic(), deadline, steps)
            self.ask(ports)
            time.sleep(0.3)
            seen = ()
            if steps[-1] == "parent" and len(ports) == len(self.ports):
                # The customer takes the new trust anchor; who has the old one still validates.
                ports.append(self.unbound())
                self.ask(ports)
                seen = ("--ds-seen",)
                ports, self.ports = ports, ports[-1:]
            step = self.publish(*seen)
            if step in ("withdraw", "none") and kind != "zsk":
                ports = list(self.ports)  # the old trust anchor has had its time
            if step != steps[-1]:
                steps.append(step)
        for _ in range(8):
            self.ask(self.ports)
            time.sleep(0.3)
        return steps

    def test_unbound_never_sees_a_bogus_answer(self):
        self.layout, self.answers = ("--layout", "split"), 0
        self.lab(*self.OPTIONS, *self.layout)
        self.m.start_data()
        self.ports = [self.unbound()]
        self.assertEqual(self.roll("zsk"), ["publish", "swap", "none"])
        self.assertEqual(self.roll("ksk"), ["publish", "parent", "none"])
        self.assertEqual(self.roll("algorithm", "--algorithm", "ed25519"),
                         ["presign", "publish", "parent", "withdraw", "none"])
        self.assertGreater(self.answers, 100)
        for resolver in self.resolvers:
            self.assertNotIn("validation failure", resolver.text())


if __name__ == "__main__":
    e2e.main()
