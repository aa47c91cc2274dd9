// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "controlplane/feeds/parse.h"

namespace merlon::feeds {
namespace {

using namespace std::string_view_literals;

std::string repeat(std::string_view text, int count) {
  std::string all;
  for (int i = 0; i < count; ++i) {
    all += text;
  }
  return all;
}

TEST(Detect, KnowsItsFormats) {
  const struct {
    Format expected;
    std::string_view content;
  } rows[] = {
      {Format::plain, "45.1.2.3\n45.1.2.4\n"},
      {Format::plain, "# IP\tnumber\n45.1.2.3\t10\n"},
      {Format::plain, "45.1.2.0-45.1.2.9\n"},
      {Format::plain, "[2a0f::1]:443\n[2a0f::2]:443\n"},
      {Format::plain, "panel.example\n45.1.2.3\n"},
      {Format::plain, "45.1.2.0/24 \n"},
      {Format::plain, "# nothing today\n"},
      {Format::plain,
       "\xef\xbb\xbf"
       "45.1.2.3\r\n"},
      {Format::plain, "45.1.2.3\n/x.sh\n"},
      {Format::domains, "# names\npanel.example\nother.example\n"},
      {Format::domains, "panel.example\t17\nother.example\t3\n"},
      {Format::hosts, "127.0.0.1 localhost\n0.0.0.0 ads.example\n"},
      {Format::hosts, "# hosts\n0.0.0.0 a.example b.example\n:: c.example\n"},
      {Format::dshield, "#\nStart\tEnd\tNetblock\n45.1.2.0\t45.1.2.255\t24\t7\tN\tZZ\tm\n"},
      {Format::spamhaus_drop, "; Spamhaus\n45.1.0.0/17 ; SBL1\n2a0f::/32 ; SBL2\n"},
      {Format::spamhaus_drop_json, "{\"cidr\":\"45.1.0.0/17\"}\n{\"type\":\"metadata\"}\n"},
      {Format::spamhaus_drop_json, "\n {\"type\":\"metadata\",\"records\":0}\n"},
  };
  for (const auto& row : rows) {
    const Result<Format> format = detect(as_bytes(row.content));
    ASSERT_TRUE(format.has_value()) << row.content << ": " << format.error().message;
    EXPECT_EQ(to_string(*format), to_string(row.expected)) << row.content;
  }
}

TEST(Detect, SaysWhatItDoesNotRead) {
  const struct {
    std::string_view reason;
    std::string_view content;
  } rows[] = {
      {"empty (0 bytes)", ""},
      {"HTML page", "<!DOCTYPE html>\n<html></html>"},
      {"HTML page", " \n<HTML><body>403</body></HTML>"},
      {"gzip", "\x1f\x8b\x08\x00\x00"sv},
      {"zip archive", "PK\x03\x04\x14\x00"sv},
      {"bzip2", "BZh91AY"},
      {"xz",
       "\xfd"
       "7zXZ\x00"sv},
      {"zstd", "\x28\xb5\x2f\xfd\x04"},
      {"7z archive", "7z\xbc\xaf\x27\x1c"},
      {"PDF", "%PDF-1.7"},
      {"ELF",
       "\x7f"
       "ELF\x02"},
      {"PNG", "\x89PNG\r\n"},
      {"UTF-16",
       "\xff\xfe"
       "1\x00.\x00"sv},
      {"MaxMind database", "\x00\x00\x01\xab\xcd\xefMaxMind.com\xe9"sv},
      {"NUL bytes", "45.1.2.3\x00\n"sv},
      {"many control bytes", "\x01\x02\x03\x04 text"},
      {"STIX 2 bundle", "{\n\"type\": \"bundle\", \"id\": \"bundle--1\"}"},
      {"STIX 1 as JSON", "{\"stix_header\": {}}"},
      {"MISP event", "{\"response\": [{\"Event\": {}}]}"},
      {"MISP warning list", "{\n  \"list\": [],\n \"matching_attributes\": []}"},
      {"AS numbers", "{\"asn\":932,\"rir\":\"arin\"}\n{\"asn\":933}\n"},
      {"JSON", "[{\"ip_address\":\"45.1.2.3\"}]"},
      {"JSON", "[ \"45.1.2.3\" ]"},
      {"STIX 1 (XML)", "<stix:STIX_Package>"},
      {"OpenIOC", "<?xml version=\"1.0\"?><ioc id=\"1\">"},
      {"RSS", "<?xml version=\"1.0\"?><rss/>"},
      {"Atom", "<feed xmlns=\"http://www.w3.org/2005/Atom\"/>"},
      {"XML", "<?xml version=\"1.0\"?><other/>"},
      {"adblock", "[Adblock Plus]\n! Title: x\n||ads.example^\n"},
      {"adblock", "||ads.example^$third-party\n@@||good.example^\n"},
      {"dnsmasq", "# x\naddress=/ads.example/#\nserver=/b.example/\n"},
      {"Unbound", "server:\nlocal-zone: \"ads.example.\" always_null\n"},
      {"RPZ", "$TTL 60\n@ SOA a. b. 1 2 3 4 5\nads.example CNAME .\nx.example CNAME .\n"},
      {"wildcards", "*.a.example\n*.b.example\n"},
      {"URLs", "https://a.example/\nhttp://b.example/x\n"},
      {"URL paths", "/a.sh\n/b.sh\n45.1.2.3\n"},
      {"file hashes", "d41d8cd98f00b204e9800998ecf8427e\n"},
      {"e-mail", "a@b.example\n"},
      {"defanged", "45.1.2[.]3\npanel[.]example\n"},
      {"CSV", "ip,port\n45.1.2.3,443\n"},
      {"CSV", "\"first seen\",\"ip\"\n\"2026-01-02 03:04:05\",\"45.1.2.3\"\n"},
      {"CSV", "hxxp://a.example/,2016-05-09,127708396133c54c\n"},
      {"tab-separated", "a.example\tx\ty\nb.example\tx\ty\n"},
      {"none of the known layouts", "Dear reader:\nthis page is gone.\n"},
      {"none of the known layouts", "index.php has a problem\nerror.log says more\n"},
  };
  for (const auto& row : rows) {
    const Result<Format> format = detect(as_bytes(row.content));
    ASSERT_FALSE(format.has_value()) << row.content << " is " << to_string(*format);
    EXPECT_EQ(format.error().code, ErrorCode::unsupported);
    EXPECT_NE(format.error().message.find(row.reason), std::string::npos)
        << row.reason << " / " << format.error().message;
  }
}

TEST(Detect, NamesFollowedByAnAddressFarDownAreAMixedList) {
  const std::string names = repeat("panel.example\n", 5000);
  EXPECT_EQ(*detect(as_bytes(names)), Format::domains);
  EXPECT_EQ(*detect(as_bytes(names + "45.1.2.3\n")), Format::plain);
  EXPECT_EQ(*detect(as_bytes(names + "2a0f::1\n")), Format::plain);
  EXPECT_EQ(*detect(as_bytes(names + "# 45.1.2.3\n7up.example\n")), Format::domains);
}

TEST(Detect, GivesTheFirstStrangeLineAsEvidence) {
  const Result<Format> format = detect(as_bytes("# x\n\n== Title ==\nwords\n"));
  ASSERT_FALSE(format.has_value());
  EXPECT_NE(format.error().message.find("line 3: \"== Title ==\""), std::string::npos)
      << format.error().message;
}

}  // namespace
}  // namespace merlon::feeds
