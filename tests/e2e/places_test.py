#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Targets by country and autonomous system, with databases that are written here, and the worth of
feeds beside each other."""

import pathlib
import sys
import xml.dom.minidom

sys.path.insert(0, "tools")
import mmdb_write  # noqa: E402
import merlon_e2e as e2e  # noqa: E402

SUFFIX = "acme.merlon.internal"


class Places(e2e.Case):
    def write_countries(self, code):
        writer = mmdb_write.Writer("country")
        writer.add("45.1.0.0/16", {"country": {"iso_code": "DE"}})
        writer.add("45.2.0.0/16", {"country": {"iso_code": code}})
        aside = self.countries.with_suffix(".new")
        aside.write_bytes(writer.to_bytes())
        aside.rename(self.countries)

    def setUp(self):
        super().setUp()
        self.countries = self.folder / "country.mmdb"
        self.write_countries("FR")
        asns = self.folder / "asn.mmdb"
        writer = mmdb_write.Writer("asn")
        writer.add("45.1.3.0/24", {"autonomous_system_number": 3320,
                                   "autonomous_system_organization": "Telekom"})
        asns.write_bytes(writer.to_bytes())
        self.m = self.merlon(control={"geo_country_file": str(self.countries),
                                      "geo_asn_file": str(asns)})
        self.m.start()
        self.m.add_device("fw1", ["127.0.0.1", "::1"])
        self.m.add_feed("web", ["45.1.2.3", "45.1.3.4", "45.2.2.3", "45.3.2.3", "45.0.0.0/14"])

    def listed(self, name):
        return sorted(self.m.tcp(f"{name}.{SUFFIX}").values())

    def test_targets_by_country_and_system(self):
        self.m.ctl("policy", "add", "acme", "german", "--feed", "web", "--country", "DE")
        self.m.ctl("policy", "add", "acme", "both", "--feed", "web", "--country", "DE,FR")
        self.m.ctl("policy", "add", "acme", "telekom", "--feed", "web", "--asn", "AS3320",
                   "--country", "DE")
        self.m.ctl("policy", "add", "acme", "all", "--feed", "web")
        self.m.build()
        test = "192.0.2.1"
        self.assertEqual(self.listed("german"), sorted([test, "45.1.2.3", "45.1.3.4"]))
        self.assertEqual(self.listed("both"), sorted([test, "45.1.2.3", "45.1.3.4", "45.2.2.3"]))
        self.assertIn("45.1.3.4", self.listed("telekom"))
        self.assertNotIn("45.1.2.3", self.listed("telekom"))
        self.assertEqual(self.listed("all"), sorted(
            [test, "45.1.2.3", "45.1.3.4", "45.2.2.3", "45.3.2.3"]))
        wide = str(self.m.tcp(f"german.{SUFFIX}", "APL").values())
        self.assertIn("45.1.0.0/16", wide)
        self.assertNotIn("45.0.0.0", wide)
        shown = self.m.ctl("policy", "show", "acme", "telekom").stdout
        self.assertIn("AS3320", shown)
        check = self.m.ctl("check", "45.1.3.4").stdout
        self.assertIn("DE, AS3320 Telekom", check)
        # Another database: the lists follow.
        self.write_countries("DE")
        e2e.wait_until("the new database is in force",
                       lambda: "45.2.2.3" in self.listed("german"), 20)
        self.m.ctl("policy", "add", "acme", "bad", "--feed", "web", "--country", "de", expect=1)

    def test_what_feeds_are_worth(self):
        self.m.add_feed("more", ["45.1.2.3", "45.9.2.3", "10.1.2.3", "evil.example.com"])
        status, answer = self.m.api("GET", "/v1/feeds/report")
        self.assertEqual(status, 200)
        report = answer["report"]
        values = {one["feed"]: one for one in report["feeds"]}
        self.assertEqual(values["more"]["size"], 4)
        self.assertEqual(values["more"]["unique"], 3)
        self.assertEqual(values["more"]["safety"]["taken_out_count"], 1)
        at = [one["feed"] for one in report["feeds"]].index("web")
        self.assertEqual(report["shared"][at][1 - at], 1)
        self.assertIn("IN web", self.m.ctl("feed", "compare", "more", "web").stdout)
        self.assertIn("this feed listed 10.1.2.3", self.m.ctl("feed", "report").stdout)
        picture = self.folder / "feeds.svg"
        self.m.ctl("feed", "report", "--svg", str(picture))
        document = xml.dom.minidom.parse(str(pathlib.Path(picture)))
        self.assertEqual(document.documentElement.tagName, "svg")
        self.assertGreater(len(document.getElementsByTagName("rect")), 10)
        self.m.ctl("feed", "compare", "more", "none", expect=3)


if __name__ == "__main__":
    e2e.main()
