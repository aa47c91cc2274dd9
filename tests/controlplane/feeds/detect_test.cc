// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "controlplane/feeds/guess.h"
#include "controlplane/feeds/parse.h"

namespace merlon::feeds {
namespace {

using namespace std::string_view_literals;

Result<Format> detect(Bytes content) {
  const Result<Declaration> guessed = guess(as_text(content));
  return guessed ? Result<Format>(guessed->format) : std::unexpected(guessed.error());
}

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
      {"PDF", "%PDF-1.7"},
      {"ELF",
       "\x7f"
       "ELF\x02"},
      {"PNG", "\x89PNG\r\n"},
      {"MaxMind database", "\x00\x00\x01\xab\xcd\xefMaxMind.com\xe9"sv},
      {"NUL bytes", "45.1.2.3\x00\n"sv},
      {"many control bytes", "\x01\x02\x03\x04 text"},
      {"AS numbers", "{\"asn\":932,\"rir\":\"arin\"}\n{\"asn\":933}\n"},
      {"name the place", "{\"a\": [\"no address\"]}"},
      {"but malformed JSON", "{\n\"a\": [\"45.1.2.3\""},
      {"XML of a kind", "<?xml version=\"1.0\"?><other/>"},
      {"URL paths", "/a.sh\n/b.sh\n"},
      {"file hashes", "d41d8cd98f00b204e9800998ecf8427e\n"},
      {"e-mail", "a@b.example\n"},
      {"tab-separated", "a.example x\ty\tz\nb.example\tx\ty\tz\nq\tw\n"},
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

TEST(Detect, WritesTheDeclarationThatFits) {
  const struct {
    std::string_view declaration;
    std::string_view content;
  } rows[] = {
      {"plain", "/a.sh\n/b.sh\n45.1.2.3\n"},
      {"plain; defanged=yes", "45.1.2[.]3\npanel[.]example\n"},
      {"plain; urls=host", "https://a.example/\nhttp://b.example/x\n"},
      {"wildcard", "*.a.example\n*.b.example\n"},
      {"adblock", "[Adblock Plus]\n! Title: x\n||ads.example^\n"},
      {"adblock", "||ads.example^$third-party\n@@||good.example^\n"},
      {"dnsmasq", "# x\naddress=/ads.example/#\nserver=/b.example/\n"},
      {"unbound", "server:\nlocal-zone: \"ads.example.\" always_null\n"},
      {"rpz", "$TTL 60\n@ SOA a. b. 1 2 3 4 5\nads.example CNAME .\nx.example CNAME .\n"},
      {"csv; column=ip; header=yes", "ip,port\n45.1.2.3,443\n"},
      {"csv; column=ip; header=yes",
       "\"first seen\",\"ip\"\n\"2026-01-02 03:04:05\",\"45.1.2.3\"\n"},
      {"csv; column=1; urls=host", "hxxp://a.example/,2016-05-09,127708396133c54c\n"},
      {"csv; column=3; delimiter=pipe", "4134 | A B | 45.1.2.3 | x\n4134 | C | 45.1.2.4 | y\n"},
      {"csv; column=domain,address; header=yes",
       "domain,address,note\na.example,45.1.2.3,\nb.example,45.1.2.4,x\n"},
      {"json; path=[*].ip_address", "[{\"ip_address\":\"45.1.2.3\",\"country\":\"FR\"}]"},
      {"json; path=[*]", "[ \"45.1.2.3\" ]"},
      {"json; path=list[*]", "{\n  \"list\": [\"45.1.2.3\"],\n \"matching_attributes\": []}"},
      {"json; path=p.ipv4[*],p.ipv6[*]",
       "{\"p\":{\"ipv4\":[\"45.1.0.0/17\"],\"ipv6\":[\"2a0f::/32\"]}}"},
      {"ndjson; path=ip", "{\"ip\":\"45.1.2.3\",\"n\":1}\n{\"ip\":\"45.1.2.4\",\"n\":2}\n"},
      {"stix2", "{\n\"type\": \"bundle\", \"id\": \"bundle--1\"}"},
      {"stix1", "{\"stix_header\": {}}"},
      {"misp", "{\"response\": [{\"Event\": {}}]}"},
      {"stix1", "<stix:STIX_Package>"},
      {"openioc", "<?xml version=\"1.0\"?><ioc id=\"1\">"},
      {"rss", "<?xml version=\"1.0\"?><rss/>"},
      {"rss", "<feed xmlns=\"http://www.w3.org/2005/Atom\"/>"},
      {"prose; take=marked",
       "== Report ==\nThe panel panel[.]example was seen at 45.1.2[.]3\nfor weeks\n"},
  };
  for (const auto& row : rows) {
    const Result<Declaration> guessed = guess(row.content);
    ASSERT_TRUE(guessed.has_value()) << row.content << ": " << guessed.error().message;
    EXPECT_EQ(to_text(*guessed), row.declaration) << row.content;
    const Result<Declaration> again = parse_declaration(to_text(*guessed));
    ASSERT_TRUE(again.has_value()) << row.declaration;
    EXPECT_TRUE(*again == *guessed) << row.declaration;
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
