#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""BIND as a customer: policies enforced with every action, new ones by its catalog zone, changes by
NOTIFY and IXFR; with the wrong key, source or account it gets nothing."""

import merlon_e2e as e2e
import merlon_peers as peers


class Named(peers.Peers):
    programs = ("named",)
    host = "127.0.0.1"  # it listens on addresses that an interface has, and on no others
    source = "127.0.0.5"

    def start_named(self, text, name="named"):
        folder = self.folder / name
        folder.mkdir()
        config = folder / "named.conf"
        config.write_text(text.replace("options {", f"""options {{
  directory "{folder}"; pid-file none; session-keyfile none; listen-on-v6 {{ none; }};
  listen-on port {self.port} {{ {self.host}; }}; transfer-source {self.source};
  forwarders {{ 127.0.0.1 port {self.upstream}; }}; forward only; recursion yes;
  allow-query {{ any; }}; dnssec-validation no; empty-zones-enable no; notify no;
""", 1) + "controls { };\nlogging { category default { default_stderr; };"
            "  category xfer-in { default_stderr; }; };\n")
        self.m.run("named-checkconf", config)
        return self.start_peer(name, ["named", "-f", "-g", "-c", config, "-n", "1"])

    def test_it_enforces_every_action_and_follows_changes(self):
        self.port = self.add_device("bind", self.source)
        self.start_named(self.config("bind", "named"))
        self.check_actions()
        self.check_change("bind", 10)
        # A policy that was not there when it started comes by the catalog.
        self.m.ctl("policy", "add", "acme", "later", "--kind", "dns", "--feed", "f-nxdomain")
        apex = "later.rpz.acme.merlon.internal"
        def there():
            return "SOA" in self.dig(apex + ".", "SOA", "+noall", "+answer")
        e2e.wait_until("the new zone", there, 15)
        self.assertTrue(self.secondaries("bind", apex))
        self.m.ctl("policy", "remove", "acme", "later", "--yes")
        e2e.wait_until("gone again", lambda: not there(), 15)

    def test_wrong_key_source_and_account_get_nothing(self):
        self.port = self.add_device("bind", self.source)
        text = self.config("bind", "named")
        secret = self.m.api("GET", "/v1/devices/bind/key")[1]["key"]["secret"]
        wrong = "d3Jvbmctd3Jvbmctd3Jvbmctd3Jvbmctd3Jvbmctd3I="
        self.add_device("theirs", "127.0.0.6", account="zeta")
        for name, host, said in (("wrong-key", "127.0.0.5", text.replace(secret, wrong)),
                                 ("wrong-source", "127.0.0.9", text),
                                 ("other-account", "127.0.0.6", text)):
            self.source = host
            process = self.start_named(said, name)
            e2e.wait_until("refused", lambda: any(
                word in process.text() for word in
                ("tsig indicates error", "REFUSED", "expected a TSIG")), 15)
            self.assertIn(peers.PLAIN, self.dig("nx"), name)
            self.assertNotIn("Transfer status: success", process.text(), name)
            process.end()
        for row in self.m.ctl_json("transfers")["secondaries"]:
            self.assertEqual(row["transfers"], 0, row)


if __name__ == "__main__":
    e2e.main()
