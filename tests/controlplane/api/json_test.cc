// SPDX-License-Identifier: Apache-2.0
#include "controlplane/api/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace merlon::api {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string fault_of_feed(const std::string& text) {
  const Result<Json> json = parse_json(text);
  if (!json) {
    return json.error().message;
  }
  const Result<store::FeedDefinition> feed = feed_from_json(*json);
  if (feed) {
    return "accepted";
  }
  EXPECT_EQ(feed.error().code, ErrorCode::invalid_argument);
  return feed.error().message;
}

std::string fault_of_device(const std::string& text) {
  const Result<DeviceRequest> device = device_from_json(Json::parse(text));
  return device ? "accepted" : device.error().message;
}

TEST(ApiJson, TimeIsRfc3339AndNeverIsNull) {
  EXPECT_EQ(time_to_json(1772366400), Json("2026-03-01T12:00:00Z"));
  EXPECT_EQ(time_to_json(-1), Json("1969-12-31T23:59:59Z"));
  EXPECT_TRUE(time_to_json(0).is_null());
  EXPECT_TRUE(time_to_json(INT64_MAX).is_null());
  EXPECT_TRUE(time_to_json(INT64_MIN).is_null());
  EXPECT_EQ(time_to_json(253402300799), Json("9999-12-31T23:59:59Z"));
  EXPECT_TRUE(time_to_json(253402300800).is_null());
}

TEST(ApiJson, FeedTakesDefaultsForAbsentKeys) {
  const Result<store::FeedDefinition> feed =
      feed_from_json(Json::parse(R"({"id":"a","url":"file:///a"})"));
  ASSERT_TRUE(feed);
  store::FeedDefinition expected;
  expected.id = "a";
  expected.url = "file:///a";
  EXPECT_EQ(*feed, expected);
}

TEST(ApiJson, FeedSurvivesTheRoundTripWithEveryKey) {
  store::FeedDefinition feed;
  feed.id = "x-9";
  feed.title = "Żółw";
  feed.url = "https://feeds.example/x";
  feed.format = "csv";
  feed.category = "c2-server";
  feed.severity = 5;
  feed.confidence = 100;
  feed.direction = store::Direction::allow;
  feed.tier = store::Tier::operator_;
  feed.in_basic = false;
  feed.enabled = false;
  feed.interval_s = 4294967295;
  feed.timeout_s = 7;
  feed.size_max_bytes = uint64_t{1} << 40;
  const Result<store::FeedDefinition> back = feed_from_json(to_json(feed));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(*back, feed);
}

TEST(ApiJson, UnknownKeyIsNamedWithTheNearestValidOne) {
  EXPECT_EQ(fault_of_feed(R"({"id":"a","url":"file:///a","sevrity":3})"),
            R"(unknown key "sevrity"; did you mean "severity"?)");
  EXPECT_EQ(fault_of_feed(R"({"id":"a","url":"file:///a","teir":"basic"})"),
            R"(unknown key "teir"; did you mean "tier"?)");
  EXPECT_THAT(fault_of_feed(R"({"id":"a","url":"file:///a","zzzzzzzzzzzz":3})"),
              AllOf(HasSubstr(R"(unknown key "zzzzzzzzzzzz"; the keys are id, title, url)"),
                    HasSubstr("size_max_bytes")));
}

TEST(ApiJson, MissingRequiredKeyIsNamed) {
  EXPECT_EQ(fault_of_feed(R"({"url":"file:///a"})"), R"(missing key "id")");
  EXPECT_EQ(fault_of_feed(R"({"id":"a"})"), R"(missing key "url")");
  EXPECT_EQ(fault_of_feed(R"({"id":"","url":"file:///a"})"), R"("id": must not be empty)");
}

TEST(ApiJson, WrongTypesAndRangesAreNamed) {
  const auto with = [](const std::string& more) {
    return fault_of_feed(R"({"id":"a","url":"file:///a",)" + more + "}");
  };
  EXPECT_EQ(with(R"("severity":"high")"),
            R"("severity": must be an integer from 0 to 5, not "high")");
  EXPECT_EQ(with(R"("severity":6)"), R"("severity": must be an integer from 0 to 5, not 6)");
  EXPECT_EQ(with(R"("severity":-1)"), R"("severity": must be an integer from 0 to 5, not -1)");
  EXPECT_EQ(with(R"("severity":2.5)"), R"("severity": must be an integer from 0 to 5, not 2.5)");
  EXPECT_EQ(with(R"("severity":5)"), "accepted");
  EXPECT_EQ(with(R"("confidence":101)"),
            R"("confidence": must be an integer from 0 to 100, not 101)");
  EXPECT_THAT(with(R"("interval_s":4294967296)"), HasSubstr("from 1 to 4294967295"));
  EXPECT_THAT(with(R"("interval_s":0)"), HasSubstr("from 1 to 4294967295"));
  EXPECT_EQ(with(R"("title":null)"), R"("title": must be a string, not null)");
  EXPECT_EQ(with(R"("title":["a"])"), R"("title": must be a string, not an array)");
  EXPECT_EQ(with(R"("enabled":1)"), R"("enabled": must be true or false, not 1)");
  EXPECT_THAT(with(R"("tier":"gold")"), HasSubstr(R"("operator", not "gold")"));
  EXPECT_THAT(with(R"("direction":true)"), HasSubstr(R"("block" or "allow", not true)"));
}

TEST(ApiJson, WhatIsNotAnObjectIsRefused) {
  EXPECT_EQ(fault_of_feed("[]"), "the body must be a JSON object, not an array");
  EXPECT_EQ(fault_of_feed("7"), "the body must be a JSON object, not 7");
}

TEST(ApiJson, SyntaxErrorsComeWithLineAndColumn) {
  EXPECT_THAT(fault_of_feed("{\"id\":\n  nope}"),
              AllOf(HasSubstr("the body is not JSON"), HasSubstr("line 2, column 4")));
  EXPECT_THAT(fault_of_feed("{"), HasSubstr("line 1, column 2"));
  EXPECT_THAT(fault_of_feed(R"({"id":"a"} x)"), HasSubstr("line 1, column 12"));
  EXPECT_THAT(fault_of_feed("{\"id\":\"\xff\"}"), HasSubstr("line 1, column 8"));
}

TEST(ApiJson, DeviceSourcesAreReadStrictly) {
  const auto with = [](const std::string& sources) {
    return fault_of_device(R"({"name":"fw","account":"acme","sources":)" + sources + "}");
  };
  EXPECT_EQ(with(R"(["192.0.2.1","2001:db8::/48"])"), "accepted");
  EXPECT_THAT(with(R"(["192.0.2.1/24"])"), HasSubstr("192.0.2.0/24 is the prefix"));
  EXPECT_THAT(with(R"(["192.0.2.256"])"), HasSubstr("has an octet above 255"));
  EXPECT_THAT(with("[]"), HasSubstr("at least one address or prefix, not an empty one"));
  EXPECT_THAT(with(R"("192.0.2.1")"), HasSubstr(R"(not "192.0.2.1")"));
  EXPECT_THAT(with("[7]"), HasSubstr("as strings, not 7"));
  EXPECT_EQ(fault_of_device(R"({"name":"fw","account":"acme"})"), R"(missing key "sources")");
  EXPECT_EQ(fault_of_device(R"({"name":"fw","account":"acme","sources":["::1"],"acount":"b"})"),
            R"(unknown key "acount"; did you mean "account"?)");
}

TEST(ApiJson, DeviceIsWrittenWithCanonicalSources) {
  const Result<DeviceRequest> device = device_from_json(
      Json::parse(R"({"name":"fw","account":"acme","sources":["2001:DB8:0::1","192.0.2.0/24"]})"));
  ASSERT_TRUE(device);
  EXPECT_EQ(to_json(device->device)["sources"], Json::parse(R"(["2001:db8::1","192.0.2.0/24"])"));
}

TEST(ApiJson, BytesThatAreNotUtf8AreReplaced) {
  store::FeedState state;
  state.rejected_examples.push_back({3, "bad", "\xff\xfe"});
  const std::string text = to_text(to_json(state));
  EXPECT_TRUE(Json::accept(text));
  EXPECT_THAT(text, HasSubstr("\xef\xbf\xbd"));
}

TEST(ApiJson, CallsThatTakeNothingRefuseKeys) {
  EXPECT_TRUE(nothing_from_json(Json::object()));
  EXPECT_EQ(nothing_from_json(Json::parse(R"({"force":true})")).error().message,
            R"(unknown key "force"; this call takes no keys)");
  EXPECT_FALSE(nothing_from_json(Json::parse("[]")));
}

}  // namespace
}  // namespace merlon::api
