#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Unbound as a customer. It has no TSIG: transfers in clear by its source, over TLS, or files over
HTTPS with a token; every action, changes by NOTIFY."""

import subprocess

import merlon_e2e as e2e
import merlon_peers as peers


class Unbound(peers.Peers):
    programs = ("unbound", "openssl")
    host = "127.0.0.7"
    # Over TCP it takes the address that the route has, whatever outgoing-interface says.
    source = "127.0.0.1,127.0.0.7"

    def control_settings(self):
        self.cert, key = self.folder / "cert.pem", self.folder / "key.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
             "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", self.cert],
            check=True, capture_output=True)
        self.dot, self.https = e2e.free_port(), e2e.free_port()
        return {"dot_listen": [f"127.0.0.1:{self.dot}"],
                "https_listen": [f"127.0.0.1:{self.https}"], "tls_certificate_file": str(self.cert),
                "tls_key_file": str(key)}

    def start_unbound(self, text, name="unbound"):
        folder = self.folder / name
        folder.mkdir()
        config = folder / "unbound.conf"
        text = text.replace("/etc/ssl/certs/ca-certificates.crt", str(self.cert))
        config.write_text(text.replace("server:\n", f"""server:
  directory: "{folder}"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  logfile: ""
  verbosity: 3
  interface: {self.host}@{self.port}
  outgoing-interface: {self.host}
  access-control: 127.0.0.0/8 allow
  do-not-query-localhost: no
  num-threads: 1
  cache-max-ttl: 1
  cache-max-negative-ttl: 1
""", 1) + f"""forward-zone:
  name: "{peers.ZONE}"
  forward-addr: 127.0.0.1@{self.upstream}
remote-control:
  control-enable: no
""")
        self.m.run("unbound-checkconf", config)
        return self.start_peer(name, ["unbound", "-d", "-c", config])

    def test_in_clear_by_its_source(self):
        self.port = self.add_device("ub", self.source, key=False)
        self.start_unbound(self.config("ub", "unbound"))
        self.check_actions()
        self.check_change("ub", 10)

    def test_over_tls(self):
        # It asks for the serial in clear, at port 53 of the same address.
        octets = [e2e.random.SystemRandom().randrange(1, 250) for _ in range(3)]
        address = "127." + ".".join(map(str, octets))
        self.m.stop()
        self.m.settings["controlplane"]["dns_listen"].append(f"{address}:53")
        self.m.settings["controlplane"]["dot_listen"].append(f"{address}:853")
        self.m.settings["dataplane"]["listen"].append(f"{address}:53")
        self.m.write_config()
        self.m.start()
        self.port = self.add_device("ub", self.source, key=False)
        self.m.build()
        text = self.m.ctl("device", "config", "ub", "--for", "unbound", "--address", address,
                          "--tls", "localhost").stdout
        self.assertIn(f"primary: {address}@853#localhost", text)
        # NOTIFY comes from the address that the route to Unbound has.
        text = text.replace(f"allow-notify: {address}", "allow-notify: 127.0.0.1")
        self.start_unbound(text)
        self.check_actions()
        self.check_change("ub", 10)

    def test_over_https_with_a_token(self):
        self.port = self.add_device("ub", self.source)
        self.m.build()
        done = self.m.ctl("device", "config", "ub", "--for", "unbound", "--address", "127.0.0.1",
                          expect=e2e.FAILED)  # it has a key, and Unbound cannot sign
        self.assertIn("--tsig off", done.stderr)
        said = self.m.ctl("device", "set", "ub", "--token", "new", "--tsig", "off").stdout
        token = [line.split()[1] for line in said.splitlines() if line.startswith("token ")][0]
        text = self.config("ub", "unbound", "--https", f"127.0.0.1:{self.https}")
        self.start_unbound(text.replace("/TOKEN/", f"/{token}/"))
        self.check_actions()
        self.check_change("ub", 10, kind=None)

    def test_wrong_source_account_and_token_get_nothing(self):
        self.port = self.add_device("ub", "127.0.0.77", key=False)
        text = self.config("ub", "unbound")
        web = self.config("ub", "unbound", "--https", f"127.0.0.1:{self.https}")
        for name, said in (("stranger", text), ("token", web.replace("/TOKEN/", "/wrong/")),
                           ("other", text)):
            if name == "other":
                self.add_device("theirs", self.source, account="zeta", key=False)
                self.m.build()
            process = self.start_unbound(said, name)
            e2e.wait_until("up", lambda: self.says(peers.PLAIN, "free"), 10)
            e2e.time.sleep(1)
            self.assertIn(peers.PLAIN, self.dig("nx"), name)
            process.end()
        for row in self.m.ctl_json("transfers")["secondaries"]:
            self.assertEqual(row["transfers"], 0, row)


if __name__ == "__main__":
    e2e.main()
