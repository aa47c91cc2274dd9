#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""HTTPS: zone files with a device's token, the REST API with the operator's, nothing without."""

import base64
import gzip
import json
import ssl
import subprocess
import time
import urllib.error
import urllib.request

import merlon_e2e as e2e

POLICY = "names.rpz.acme.merlon.internal"


class Https(e2e.Case):
    def setUp(self):
        super().setUp()
        self.cert, self.key = self.folder / "cert.pem", self.folder / "key.pem"
        self.make_certificate()
        self.port = e2e.free_port()
        self.operator = self.folder / "operator.token"
        self.m = self.merlon(control={
            "dataplane_socket": "", "https_listen": [f"127.0.0.1:{self.port}"],
            "tls_certificate_file": str(self.cert),
            "tls_key_file": str(self.key), "api_token_file": str(self.operator)})
        self.m.start_control()
        for account in ("acme", "bolt"):
            self.m.ctl("account", "add", account)
            self.m.ctl("custom-list", "add", account, "bad")
            self.m.ctl("entry", "add", account, "bad", "bad-name.com", "45.9.9.9")
            self.m.ctl("policy", "add", account, "names", "--kind", "dns", "--list", "bad")
        self.token = self.add_device("ns", "acme", "45.0.0.1")
        self.other = self.add_device("other", "bolt", "45.0.0.2")
        self.m.build()

    def make_certificate(self):
        """A new pair, put in the old one's place."""
        key, cert = self.folder / "key.new", self.folder / "cert.new"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
             "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", cert],
            check=True, capture_output=True)
        key.rename(self.key)
        cert.rename(self.cert)

    def shown(self):
        """The certificate that the server shows, as its file holds it."""
        return ssl.get_server_certificate(("127.0.0.1", self.port))

    def add_device(self, name, account, source):
        done = self.m.ctl("device", "add", name, "--account", account, "--source", source,
                          "--token", "new", "--tsig", "hmac-sha256")
        return [line.split()[1] for line in done.stdout.splitlines()
                if line.startswith("token ")][0]

    def get(self, path, token=None, **headers):
        """(status, headers, body)"""
        context = ssl.create_default_context(cafile=self.cert)
        request = urllib.request.Request(f"https://127.0.0.1:{self.port}{path}")
        if token:
            request.add_header("Authorization", token)
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        try:
            with urllib.request.urlopen(request, context=context, timeout=20) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()

    def test_zone_files_come_with_the_token_in_each_of_its_places(self):
        basic = base64.b64encode(f"any:{self.token}".encode()).decode()
        texts = set()
        for path, token in ((f"/zones/{POLICY}", f"Bearer {self.token}"),
                            (f"/zones/{POLICY}.", f"Basic {basic}"),
                            (f"/zones/{self.token}/{POLICY.upper()}", None)):
            status, headers, body = self.get(path, token)
            self.assertEqual(status, 200)
            texts.add(body)
        self.assertEqual(len(texts), 1)
        text = texts.pop().decode()
        self.assertIn(f"\nbad-name.com.{POLICY}. 300 IN CNAME .\n", text)
        self.assertIn(f"\n*.bad-name.com.{POLICY}. 300 IN CNAME .\n", text)
        path = self.folder / "zone"
        for apex in (POLICY, "acme.merlon.internal", "ns.catalog.acme.merlon.internal"):
            status, headers, body = self.get(f"/zones/{self.token}/{apex}")
            self.assertEqual(status, 200, apex)
            path.write_bytes(body)
            said = self.m.run("named-checkzone", "-i", "none", "-k", "ignore", apex, path)
            self.assertIn(f"loaded serial {headers['ETag'].strip(chr(34))}", said)
            if apex != POLICY:
                self.m.run("ldns-verify-zone", "-Z", path)

    def test_what_is_had_already_is_not_sent_and_text_is_packed(self):
        path = f"/zones/{self.token}/{POLICY}"
        _, headers, body = self.get(path)
        self.assertEqual(self.get(path, If_None_Match=headers["ETag"])[0], 304)
        status, packed, data = self.get(path, Accept_Encoding="gzip")
        self.assertEqual((status, packed["Content-Encoding"]), (200, "gzip"))
        self.assertEqual(gzip.decompress(data), body)
        self.m.ctl("entry", "add", "acme", "bad", "worse-name.com")
        e2e.wait_until("the new serial", lambda: self.get(
            path, If_None_Match=headers["ETag"])[0] == 200)
        self.assertIn(b"\nworse-name.com.", self.get(path)[2])

    def test_others_find_nothing_and_all_that_alike(self):
        answers = [self.get(path, token)[::2] for path, token in (
            (f"/zones/{self.other}/{POLICY}", None),
            (f"/zones/{self.token}/merlon.internal", None),
            (f"/zones/{self.token}/names.rpz.bolt.merlon.internal", None),
            (f"/zones/{self.token}/no-such.example", None),
            (f"/zones/{self.token}/", None),
            (f"/zones/{self.token[:-1]}/{POLICY}", None),
            (f"/zones/{POLICY}", None),
            (f"/zones/{POLICY}", f"Bearer {self.token}x"),
            (f"/zones/{POLICY}", "Basic !!!"),
            (f"/zones/{POLICY}", f"Bearer {self.operator.read_text().strip()}"),
            ("/", None), ("/zones/", None), ("/anything", f"Bearer {self.token}"))]
        self.assertEqual({status for status, _ in answers}, {404})
        self.assertEqual(len({body for _, body in answers}), 1)

    def test_token_that_was_taken_back_opens_nothing(self):
        self.assertEqual(self.get(f"/zones/{self.token}/{POLICY}")[0], 200)
        self.m.ctl("device", "set", "ns", "--token", "off")
        self.assertEqual(self.get(f"/zones/{self.token}/{POLICY}")[0], 404)

    def test_rest_api_takes_the_operators_token_alone(self):
        self.assertEqual(self.operator.stat().st_mode & 0o777, 0o600)
        words = ["--server", f"https://127.0.0.1:{self.port}", "--ca-file", self.cert]
        operator = ["--token-file", self.operator]
        devices = self.m.ctl_json("device", "list", *words, *operator)["devices"]
        self.assertEqual([device["name"] for device in devices], ["ns", "other"])
        self.m.ctl("device", "set", "ns", "--recursion", "on", *words, *operator)
        self.assertTrue(self.m.ctl_json("device", "show", "ns")["device"]["recursion"])
        stranger = self.folder / "stranger.token"
        stranger.write_text(self.token)
        for bad in ([], ["--token-file", stranger]):
            done = self.m.ctl("device", "list", *words, *bad, expect=None)
            self.assertNotEqual(done.returncode, e2e.OK)
            self.assertNotIn("ns", done.stdout)
        # Nor does it go to a server whose certificate nobody vouches for.
        done = self.m.ctl("device", "list", "--server", f"https://127.0.0.1:{self.port}",
                          *operator, expect=e2e.UNREACHABLE)
        status, _, body = self.get("/v1/devices")
        self.assertEqual((status, json.loads(body)["error"]["code"]), (401, "unauthorized"))
        self.assertEqual(self.get("/metrics")[0], 401)

    def test_changed_certificate_is_taken_over_and_a_bad_one_is_not(self):
        old = self.cert.read_text()
        self.assertEqual(self.shown(), old)
        self.make_certificate()
        new = self.cert.read_text()
        self.assertNotEqual(new, old)
        e2e.wait_until("the new certificate", lambda: self.shown() == new)
        self.assertEqual(self.get(f"/zones/{self.token}/{POLICY}")[0], 200)
        self.key.write_text("no key\n")
        e2e.wait_until("a word about the bad key",
                       lambda: "goes on with the certificate it has" in self.m.control.text())
        self.assertEqual(self.shown(), new)
        self.assertEqual(self.get(f"/zones/{self.token}/{POLICY}")[0], 200)

    def test_files_count_among_the_accounts_transfers(self):
        self.get(f"/zones/{self.token}/{POLICY}")
        rows = self.m.ctl_json("transfers")["secondaries"]
        self.assertEqual([(row["account"], row["device"], row["source"], row["kind"],
                           row["apex"].rstrip(".")) for row in rows],
                         [("acme", "ns", "127.0.0.1", "file", POLICY)])
        self.assertEqual(rows[0]["serial_given"], rows[0]["serial_current"])
        self.get(f"/zones/{self.other}/{POLICY}")  # another account's: nothing given
        self.assertEqual(len(self.m.ctl_json("transfers")["secondaries"]), 1)

    def test_who_fails_often_waits(self):
        for _ in range(20):
            self.assertEqual(self.get(f"/zones/wrong/{POLICY}")[0], 404)
        started = time.monotonic()
        self.assertEqual(self.get(f"/zones/{self.token}/{POLICY}")[0], 429)
        self.assertLess(time.monotonic() - started, 2)


if __name__ == "__main__":
    e2e.main()
