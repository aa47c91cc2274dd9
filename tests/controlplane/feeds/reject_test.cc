// SPDX-License-Identifier: Apache-2.0
// Every reason for which a line is refused, by name, with lines that must be refused for it.
#include "controlplane/feeds/reject.h"

#include <gtest/gtest.h>

#include <set>

#include "controlplane/feeds/declaration.h"
#include "controlplane/feeds/parse.h"
#include "tests/controlplane/feeds/feed_checks.h"

namespace merlon::feeds {
namespace {

using enum RejectReason;

struct Row {
  RejectReason reason;
  Format format;
  std::string_view line;
};

const std::string kLongLine = "45.1.2.3 " + std::string(kLineSizeMax, 'x');
const std::string kLabel63 = std::string(63, 'a');
const std::string kLongName = kLabel63 + "." + kLabel63 + "." + kLabel63 + "." + kLabel63;

const Row kRows[] = {
    {not_an_address, Format::plain, "1.2.3.4.5"},
    {not_an_address, Format::plain, "2a0f::1::2"},
    {not_an_address, Format::plain, "fe80::1%eth0"},
    {not_an_address, Format::plain, "45.1.2.3-9"},
    {not_an_address, Format::spamhaus_drop, "panel.example ; SBL1"},
    {not_an_address, Format::dshield, "x\ty\t24"},
    {not_an_address, Format::spamhaus_drop_json, "{\"cidr\":\"panel.example\"}"},
    {leading_zero, Format::plain, "109.230.155.061"},
    {leading_zero, Format::plain, "045.001.002.003/32"},
    {leading_zero, Format::dshield, "045.1.2.0\t45.1.2.255\t24"},
    {octet_too_large, Format::plain, "45.1.2.256"},
    {octet_too_large, Format::plain, "45.1.2.256:80"},
    {bad_prefix_length, Format::plain, "45.1.2.0/33"},
    {bad_prefix_length, Format::plain, "45.1.2.0/"},
    {bad_prefix_length, Format::plain, "45.1.2.0/024"},
    {bad_prefix_length, Format::plain, "2a0f::/129"},
    {bad_prefix_length, Format::dshield, "45.1.2.0\t45.1.2.255\t99"},
    {bad_netmask, Format::plain, "45.1.2.0/255.0.255.0"},
    {range_reversed, Format::plain, "45.1.2.9-45.1.2.1"},
    {range_reversed, Format::plain, "45.1.2.9 - 45.1.2.1"},
    {families_differ, Format::plain, "45.1.2.3-2a0f::1"},
    {families_differ, Format::plain, "45.1.2.3 - 2a0f::1"},
    {short_form, Format::plain, "1.2.3"},
    {short_form, Format::plain, "10.0/16"},
    {short_form, Format::plain, "3232235777"},
    {short_form, Format::domains, "1.2"},
    {too_wide, Format::plain, "44.0.0.0/7"},
    {too_wide, Format::plain, "0.0.0.0/0"},
    {too_wide, Format::plain, "45.0.0.0-46.0.0.0"},
    {too_wide, Format::plain, "2a00::/18"},
    {too_wide, Format::spamhaus_drop, "::/0"},
    {too_wide, Format::dshield, "0.0.0.0\t255.255.255.255\t0"},
    {unspecified, Format::plain, "0.0.0.0"},
    {unspecified, Format::plain, "::"},
    {unspecified, Format::plain, "0.0.0.0/8"},
    {bad_port, Format::plain, "45.1.2.3:0"},
    {bad_port, Format::plain, "45.1.2.3:65536"},
    {bad_port, Format::plain, "45.1.2.3:"},
    {bad_port, Format::plain, "[2a0f::1]:http"},
    {bad_port, Format::plain, "panel.example:80-90"},
    {two_addresses, Format::plain, "45.1.2.0 255.255.255.0"},
    {two_addresses, Format::plain, "45.1.2.0\t45.1.2.255\t24"},
    {address_not_name, Format::domains, "45.1.2.3"},
    {address_not_name, Format::domains, "2a0f::1"},
    {address_not_name, Format::hosts, "0.0.0.0 45.1.2.3"},
    {bad_domain, Format::plain, "localhost"},
    {bad_domain, Format::plain, "a..example"},
    {bad_domain, Format::plain, "panel.example.."},
    {bad_domain, Format::hosts, "0.0.0.0 panel.example.."},
    {bad_domain, Format::plain, "-a.example"},
    {bad_domain, Format::plain, "panel.123"},
    {bad_domain, Format::domains, kLongName},
    {bad_domain, Format::hosts, "0.0.0.0 a..example"},
    {wildcard, Format::plain, "*.panel.example"},
    {wildcard, Format::domains, ".panel.example"},
    {wildcard, Format::hosts, "0.0.0.0 *.panel.example"},
    {url, Format::plain, "http://panel.example/gate.php"},
    {url, Format::plain, "hxxps://panel.example/"},
    {url, Format::plain, "panel.example/gate.php"},
    {url, Format::plain, "45.1.2.3/gate.php"},
    {url, Format::plain, "45.1.2.3:8080/gate.php"},
    {url, Format::plain, "[2a0f::1]/gate.php"},
    {path_only, Format::plain, "/izuku.sh"},
    {path_only, Format::domains, "/bins/panel.example"},
    {email, Format::plain, "who@panel.example"},
    {hash, Format::plain, "d41d8cd98f00b204e9800998ecf8427e"},
    {hash, Format::domains, "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709"},
    {hash, Format::plain, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {defanged, Format::plain, "45.1.2[.]3"},
    {defanged, Format::plain, "panel[.]example"},
    {defanged, Format::domains, "panel(.)example"},
    {comma_columns, Format::plain, "45.1.2.3,scanner"},
    {comma_columns, Format::plain, "45.1.2.3;65"},
    {comma_columns, Format::plain, "\"45.1.2.3\",\"scanner\""},
    {bad_columns, Format::dshield, "45.1.2.0/24"},
    {bad_columns, Format::dshield, "45.1.2.0\t45.1.2.255"},
    {bad_columns, Format::dshield, "45.1.2.0\t45.1.2.255\tx"},
    {mask_mismatch, Format::dshield, "45.1.2.0\t45.1.2.127\t24"},
    {mask_mismatch, Format::dshield, "45.1.2.1\t45.1.3.0\t24"},
    {not_a_sinkhole, Format::hosts, "45.1.2.3 panel.example"},
    {not_a_sinkhole, Format::hosts, "panel.example"},
    {no_name, Format::hosts, "0.0.0.0"},
    {no_name, Format::hosts, "0.0.0.0 # ads.example"},
    {bad_json, Format::spamhaus_drop_json, "{\"cidr\":\"45.1."},
    {bad_json, Format::spamhaus_drop_json, "[\"45.1.2.0/24\"]"},
    {bad_json, Format::spamhaus_drop_json, "45.1.2.0/24"},
    {no_cidr, Format::spamhaus_drop_json, "{\"asn\":932}"},
    {no_cidr, Format::spamhaus_drop_json, "{\"cidr\":17}"},
    {line_too_long, Format::plain, kLongLine},
    {line_too_long, Format::hosts, kLongLine},
    {line_too_long, Format::dshield, kLongLine},
    {line_too_long, Format::spamhaus_drop, kLongLine},
    {line_too_long, Format::spamhaus_drop_json, kLongLine},
    {wildcard_mask, Format::plain, "45.1.2.0/0.0.0.255"},
    {file_name, Format::plain, "svchost.exe"},
    {allow_rule, Format::adblock, "@@||good.example^"},
    {allow_rule, Format::unbound, "local-zone: \"good.example.\" transparent"},
    {allow_rule, Format::rpz, "good.example CNAME rpz-passthru."},
    {allow_rule, Format::dnsmasq, "server=/good.example/#"},
    {narrow_rule, Format::adblock, "||ads.example^$third-party"},
    {narrow_rule, Format::adblock, "||ads.example/path^"},
    {narrow_rule, Format::adblock, "page.example##.banner"},
    {not_a_rule, Format::dnsmasq, "bad line"},
    {not_a_rule, Format::unbound, "bad line"},
    {not_a_rule, Format::rpz, "bad.example"},
    {other_record, Format::dnsmasq, "server=/intern.example/192.0.2.1"},
    {other_record, Format::unbound, "local-data: \"a.example A 192.0.2.1\""},
    {other_record, Format::rpz, "32.1.2.0.192.rpz-client-ip CNAME ."},
    {open_quote, Format::csv, "\"45.1.2.3,x"},
    {no_value, Format::csv, "-,x"},
    {unknown, Format::plain, "[Adblock"},
    {unknown, Format::plain, "[x]"},
    {unknown, Format::plain, "Win32/Pterodo"},
};

TEST(RejectReasons, EachLineIsRefusedForItsReasonAndLeavesNothing) {
  for (const Row& row : kRows) {
    const Result<ParsedFeed> feed = parse(as_bytes(row.line), row.format);
    ASSERT_TRUE(feed.has_value());
    EXPECT_EQ(fault_of(*feed), "") << row.line;
    ASSERT_EQ(feed->rejected_examples.size(), 1U) << to_string(row.format) << ": " << row.line;
    EXPECT_EQ(feed->rejected_examples[0].reason, to_string(row.reason))
        << to_string(row.format) << ": " << row.line;
    EXPECT_TRUE(feed->set.empty()) << row.line;
  }
}

struct OptionRow {
  RejectReason reason;
  std::string_view declaration;
  std::string_view content;
};

constexpr OptionRow kOptionRows[] = {
    {name_not_address, "plain; type=ip", "panel.example"},
    {address_not_name, "plain; type=domain", "45.1.2.3"},
    {url_with_path, "plain; urls=bare", "https://a.example/x"},
    {file_name, "prose; take=all", "it drops install.sh"},
    {missing_column, "csv; column=3", "45.1.2.3,x"},
    {mask_mismatch, "csv; start=1; end=2; prefix=3", "45.1.2.0,45.1.2.9,24"},
    {other_indicator, "csv; column=1; where=2:ip", "45.1.2.3,hash"},
    {no_value, "ndjson; path=ip", "{\"host\":\"a.example\"}"},
    {not_text, "json; path=ip", "{\"ip\":17}"},
    {bad_pattern, "stix2", R"({"objects":[{"type":"indicator","pattern":"[ipv4-addr:value = "}]})"},
    {pattern_operator, "stix2",
     R"({"objects":[{"type":"indicator","pattern":"[url:value LIKE 'a%']"}]})"},
    {negated, "stix2",
     R"({"objects":[{"type":"indicator","pattern":"[ipv4-addr:value != '45.1.2.3']"}]})"},
    {other_indicator, "stix2",
     R"({"objects":[{"type":"indicator","pattern":"[file:name = 'x']"}]})"},
    {observable_only, "stix2", R"({"objects":[{"type":"ipv4-addr","value":"45.1.2.3"}]})"},
    {revoked, "stix2",
     R"({"objects":[{"type":"indicator","revoked":true,)"
     R"("pattern":"[ipv4-addr:value = '45.1.2.3']"}]})"},
    {not_for_detection, "misp",
     R"({"Event":{"Attribute":[{"type":"ip-dst","value":"45.1.2.3","to_ids":false}]}})"},
    {observable_only, "stix1",
     R"(<P><Properties xsi:type="A:AddressObjectType"><V:Address_Value>45.1.2.3)"
     "</V:Address_Value></Properties></P>"},
};

TEST(RejectReasons, WhatOptionsAndDocumentsRefuseHasItsReason) {
  for (const OptionRow& row : kOptionRows) {
    const Result<Declaration> declaration = parse_declaration(row.declaration);
    ASSERT_TRUE(declaration.has_value()) << row.declaration;
    const Result<ParsedFeed> feed = parse(as_bytes(row.content), *declaration);
    ASSERT_TRUE(feed.has_value()) << row.content << feed.error().message;
    EXPECT_EQ(fault_of(*feed), "") << row.content;
    ASSERT_EQ(feed->rejected_examples.size(), 1U) << row.declaration << ": " << row.content;
    EXPECT_EQ(feed->rejected_examples[0].reason, to_string(row.reason)) << row.content;
    EXPECT_TRUE(feed->set.empty()) << row.content;
  }
}

TEST(RejectReasons, EachReasonHasARowANameAndAnExplanation) {
  std::set<RejectReason> covered;
  for (const Row& row : kRows) {
    covered.insert(row.reason);
  }
  for (const OptionRow& row : kOptionRows) {
    covered.insert(row.reason);
  }
  for (size_t i = 0; i < kRejectReasonCount; ++i) {
    const auto reason = static_cast<RejectReason>(i);
    EXPECT_TRUE(covered.contains(reason)) << to_string(reason);
    EXPECT_FALSE(explain(reason).empty());
  }
}

TEST(RejectReasons, AddressFaultsKeepTheirNames) {
#define MERLON_X(name, text) \
  EXPECT_EQ(to_string(from_fault(address::Fault::name)), to_string(address::Fault::name));
  MERLON_ADDRESS_FAULTS(MERLON_X)
#undef MERLON_X
}

}  // namespace
}  // namespace merlon::feeds
