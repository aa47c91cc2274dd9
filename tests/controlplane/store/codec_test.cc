// SPDX-License-Identifier: Apache-2.0
#include "controlplane/store/codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/controlplane/store/support.h"

namespace merlon::store {
namespace {

using testing::HasSubstr;

TEST(Sightings, SurviveEncodingAtTheEdgesOfTheirNumbers) {
  const std::vector<Sighting> all{
      {1, 1000, 0, true},       {63, 0, 5, false},        {64, 7, 0, true},
      {8191, 1, 2, false},      {UINT32_MAX, 1, 0, true}, {UINT32_MAX, 1, UINT32_MAX, false},
      {0, UINT32_MAX, 0, true},
  };
  std::string bytes;
  encode_sightings(all, bytes);
  std::vector<Sighting> read;
  ASSERT_TRUE(decode_sightings(bytes, read));
  EXPECT_EQ(read, all);
}

TEST(Sightings, ListedOneOfASmallFeedNumberTakesFiveBytes) {
  std::string bytes;
  encode_sightings({{63, 1700000000, 0, true}}, bytes);
  EXPECT_EQ(bytes.size(), 5u);
}

TEST(Sightings, EveryCutThatIsNotBetweenTwoIsRefused) {
  std::string bytes;
  encode_sightings({{300, 10, 20, false}, {5, 30, 0, true}}, bytes);
  const size_t first_size = 2 + 8;
  std::vector<Sighting> read;
  for (size_t size = 0; size <= bytes.size(); ++size) {
    const bool whole = size == 0 || size == first_size || size == bytes.size();
    EXPECT_EQ(decode_sightings(std::string_view(bytes).substr(0, size), read), whole) << size;
  }
}

TEST(Sightings, OverlongNumberIsRefused) {
  std::vector<Sighting> read;
  EXPECT_FALSE(decode_sightings(std::string("\xff\xff\xff\xff\xff\x01", 6) + "abcdefgh", read));
  EXPECT_FALSE(decode_sightings(std::string("\xff\xff\xff\xff\x7f", 5) + "abcdefgh", read));
}

TEST(StoredTime, IsClampedIntoItsBits) {
  EXPECT_EQ(to_stored_time(-5), 0u);
  EXPECT_EQ(to_stored_time(1700000000), 1700000000u);
  EXPECT_EQ(to_stored_time(int64_t{1} << 40), UINT32_MAX);
}

TEST(ValueKey, OrderIsThatOfANormalisedSet) {
  const FeedSet set = set_from({"0.0.0.0/0", "0.0.0.0/1", "9.0.0.0/8", "9.0.0.0/9", "128.0.0.0/1",
                                "255.255.255.255", "::/0", "2001::/16", "2001::/32", "ff00::/8",
                                "a-b.example", "a.example", "ab.example", "\xc3\xa4.example"});
  std::vector<std::string> keys;
  std::string key;
  for (const auto& prefix : set.v4) {
    ASSERT_TRUE(encode_value_key(prefix, key));
    keys.push_back(key);
  }
  for (const auto& prefix : set.v6) {
    ASSERT_TRUE(encode_value_key(prefix, key));
    keys.push_back(key);
  }
  for (const auto& domain : set.domains) {
    ASSERT_TRUE(encode_value_key(domain, key));
    keys.push_back(key);
  }
  EXPECT_EQ(keys.size(), 14u);
  EXPECT_TRUE(std::is_sorted(keys.begin(), keys.end()));
  FeedSet read;
  for (const std::string& one : keys) {
    ASSERT_TRUE(decode_value_key(one, read));
  }
  EXPECT_EQ(read, set);
}

TEST(ValueKey, WhatNoSetMayHoldIsRefused) {
  std::string key;
  EXPECT_FALSE(encode_value_key(address::Prefix<address::Bits4>{0x0a000001, 24}, key));
  EXPECT_FALSE(encode_value_key(address::Prefix<address::Bits4>{0, 33}, key));
  EXPECT_FALSE(encode_value_key(address::Prefix<address::Bits6>{1, 127}, key));
  EXPECT_FALSE(encode_value_key(address::Prefix<address::Bits6>{0, 129}, key));
  for (const char* domain : {"", ".", "a.", ".a", "a..b", "A.example", "a.exAmple"}) {
    EXPECT_FALSE(encode_value_key(std::string(domain), key)) << domain;
  }
  EXPECT_FALSE(encode_value_key(std::string(254, 'a'), key));
  EXPECT_TRUE(encode_value_key(std::string(253, 'a'), key));
}

TEST(ValueKey, DamagedBytesAreRefused) {
  FeedSet read;
  for (const std::string& bytes :
       {std::string(), std::string("4"), std::string("4abcd"), std::string("4abcde"),
        std::string("6abcdx"), std::string("x1"), std::string("4abcd\x21", 6)}) {
    EXPECT_FALSE(decode_value_key(bytes, read));
  }
}

TEST(IndicatorKey, DomainsAreKeyedFromTheLastLabel) {
  EXPECT_EQ(domain_indicator_key("www.evil.example"), "dexample.evil.www.");
  EXPECT_EQ(domain_indicator_key("example"), "dexample.");
  EXPECT_EQ(indicator_key(std::string_view("dwww.evil.example")), "dexample.evil.www.");
}

TEST(IndicatorKey, PrefixAndItsValueKeyGiveTheSame) {
  for (const char* text :
       {"192.0.2.0/24", "0.0.0.0/0", "1.2.3.4", "2001:db8::/32", "::/0", "::1"}) {
    const auto prefix = address::parse_prefix(text).value();
    std::string value_key;
    ASSERT_TRUE(prefix.family == address::Family::v4 ? encode_value_key(prefix.v4(), value_key)
                                                     : encode_value_key(prefix.v6(), value_key));
    EXPECT_EQ(indicator_key(value_key), indicator_key(prefix)) << text;
  }
}

StoredFeed full_feed() {
  StoredFeed feed;
  feed.number = 77;
  FeedDefinition& d = feed.record.definition;
  d = definition("full");
  d.title = "Ümläut \"quoted\"";
  d.format = "csv";
  d.category = "c2-server";
  d.severity = 5;
  d.confidence = 100;
  d.direction = Direction::allow;
  d.tier = Tier::operator_;
  d.in_basic = false;
  d.enabled = false;
  d.interval_s = UINT32_MAX;
  d.timeout_s = 600;
  d.size_max_bytes = 1 << 30;
  FeedState& s = feed.record.state;
  s.health = FeedHealth::quarantined;
  s.reason = "shrank from 1000 to 3";
  s.last_attempt = 1;
  s.last_good = 2;
  s.last_changed = INT64_MAX;
  s.format = "plain";
  s.etag = "\"abc\"";
  s.last_modified = "Mon, 01 Jan 2024 00:00:00 GMT";
  s.size_bytes = UINT64_MAX;
  s.line_count = 3;
  s.rejected_count = 4;
  s.rejected_by_reason = {{"leading_zero", 3}, {"not_an_address", 1}};
  s.rejected_examples = {{12, "leading_zero", "1.2.3.04"}, {13, "not_an_address", "x"}};
  s.prefix4_count = 5;
  s.prefix6_count = 6;
  s.domain_count = 7;
  return feed;
}

TEST(FeedRecordCodec, EveryFieldSurvives) {
  const StoredFeed feed = full_feed();
  const auto text = encode_feed(feed);
  ASSERT_TRUE(text.has_value());
  const auto read = decode_feed(*text);
  ASSERT_TRUE(read.has_value()) << read.error().message;
  EXPECT_EQ(read->number, feed.number);
  EXPECT_EQ(read->record.definition, feed.record.definition);
  const FeedState& a = read->record.state;
  const FeedState& b = feed.record.state;
  EXPECT_EQ(a.health, b.health);
  EXPECT_EQ(a.reason, b.reason);
  EXPECT_EQ(a.last_attempt, b.last_attempt);
  EXPECT_EQ(a.last_good, b.last_good);
  EXPECT_EQ(a.last_changed, b.last_changed);
  EXPECT_EQ(a.format, b.format);
  EXPECT_EQ(a.etag, b.etag);
  EXPECT_EQ(a.last_modified, b.last_modified);
  EXPECT_EQ(a.size_bytes, b.size_bytes);
  EXPECT_EQ(a.line_count, b.line_count);
  EXPECT_EQ(a.rejected_count, b.rejected_count);
  EXPECT_EQ(a.rejected_by_reason, b.rejected_by_reason);
  ASSERT_EQ(a.rejected_examples.size(), 2u);
  EXPECT_EQ(a.rejected_examples[1].line, 13u);
  EXPECT_EQ(a.rejected_examples[1].reason, "not_an_address");
  EXPECT_EQ(a.rejected_examples[0].text, "1.2.3.04");
  EXPECT_EQ(a.prefix4_count, 5u);
  EXPECT_EQ(a.prefix6_count, 6u);
  EXPECT_EQ(a.domain_count, 7u);
}

TEST(FeedRecordCodec, BytesOfASourceThatAreNotUtf8AreReplaced) {
  StoredFeed feed = full_feed();
  feed.record.state.rejected_examples[0].text = "a\xff z";
  const auto text = encode_feed(feed);
  ASSERT_TRUE(text.has_value());
  const auto read = decode_feed(*text);
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->record.state.rejected_examples[0].text, "a\xef\xbf\xbd z");
}

TEST(FeedRecordCodec, DefinitionThatIsNotUtf8IsRefused) {
  StoredFeed feed = full_feed();
  feed.record.definition.title = "\xff";
  EXPECT_FAILS(encode_feed(feed), invalid_argument, HasSubstr("UTF-8"));
}

TEST(FeedRecordCodec, DamageAndNewerVersionsAreToldApart) {
  const std::string text = encode_feed(full_feed()).value();
  EXPECT_FAILS(decode_feed(""), corruption, HasSubstr("damaged"));
  EXPECT_FAILS(decode_feed(text.substr(0, text.size() / 2)), corruption, HasSubstr("damaged"));
  EXPECT_FAILS(decode_feed("{\"version\":1}"), corruption, HasSubstr("number"));
  EXPECT_FAILS(decode_feed("{\"version\":2}"), unsupported, HasSubstr("version 2"));
  EXPECT_FAILS(decode_device("{\"version\":9}"), unsupported, HasSubstr("version 9"));
}

TEST(DeviceCodec, EveryFieldSurvives) {
  Device made = device("edge-1", "acme", {"192.0.2.1", "2001:db8::/48", "10.0.0.0/8"});
  made.tier = Tier::advanced;
  made.created = 1234;
  made.number = 5;
  made.account_number = 6;
  made.recursion = true;
  made.dns_policy = "guard";
  made.tsig_algorithm = "hmac-sha512";
  made.tsig_secret = "c2VjcmV0IHNlY3JldCBzZWNyZXQ=";
  made.notify = {"192.0.2.53", "[2001:db8::1]:5353"};
  made.certificate = std::string(64, 'a');
  made.token_digest = std::string(64, 'b');
  const auto read = decode_device(encode_device(made).value());
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(*read, made);
}

TEST(DeviceCodec, RecordOfBeforeHasNoneOfWhatCameLater) {
  const auto read =
      decode_device(R"({"version":1,"name":"fw","account":"acme","tier":1,"created":7,"number":2,)"
                    R"("account_number":3,"sources":["192.0.2.1"]})");
  ASSERT_TRUE(read.has_value()) << read.error().message;
  Device old = device("fw", "acme", {"192.0.2.1"});
  old.created = 7;
  old.number = 2;
  old.account_number = 3;
  EXPECT_EQ(*read, old);
}

}  // namespace
}  // namespace merlon::store
