// SPDX-License-Identifier: Apache-2.0
// The project's own sample feeds, which e2e tests and the first steps of a newcomer use.
#include <gtest/gtest.h>

#include <filesystem>

#include "controlplane/feeds/parse.h"
#include "tests/controlplane/feeds/feed_checks.h"
#include "zones/base/file.h"

namespace merlon::feeds {
namespace {

std::vector<uint8_t> sample(const std::string& name) {
  const auto content = read_file("tests/samples/" + name, 1 << 20);
  EXPECT_TRUE(content.has_value()) << name;
  return content ? *content : std::vector<uint8_t>{};
}

struct Row {
  std::string_view file;
  Format format;
  size_t v4;
  size_t v6;
  size_t names;
  uint64_t rejected;
};

constexpr Row kRows[] = {
    {"scanners.txt", Format::plain, 601, 2, 0, 0},
    {"c2-servers.txt", Format::plain, 8, 1, 2, 3},
    {"bad-hosting.txt", Format::plain, 660, 0, 0, 0},
    {"vpn-ipv6.txt", Format::plain, 0, 61, 0, 0},
    {"phishing-domains.txt", Format::domains, 0, 0, 400, 0},
    {"tracking-hosts.txt", Format::hosts, 0, 0, 300, 0},
    {"dshield-block.txt", Format::dshield, 20, 0, 0, 0},
    {"hijacked-drop.txt", Format::spamhaus_drop, 120, 0, 0, 0},
    {"hijacked-drop.json", Format::spamhaus_drop_json, 120, 0, 0, 0},
};

TEST(SampleFeeds, AreReadCompletely) {
  for (const Row& row : kRows) {
    const Result<ParsedFeed> feed = parse_feed(sample("feeds/" + std::string(row.file)), "auto");
    ASSERT_TRUE(feed.has_value()) << row.file << ": " << feed.error().message;
    EXPECT_EQ(fault_of(*feed), "") << row.file;
    EXPECT_EQ(to_string(feed->format), to_string(row.format)) << row.file;
    EXPECT_EQ(feed->set.v4.size(), row.v4) << row.file;
    EXPECT_EQ(feed->set.v6.size(), row.v6) << row.file;
    EXPECT_EQ(feed->set.domains.size(), row.names) << row.file;
    EXPECT_EQ(feed->rejected_count, row.rejected) << row.file;
  }
}

TEST(SampleFeeds, EveryFileHasARow) {
  for (const auto& entry : std::filesystem::directory_iterator("tests/samples/feeds")) {
    EXPECT_TRUE(std::any_of(std::begin(kRows), std::end(kRows), [&](const Row& row) {
      return row.file == entry.path().filename();
    })) << entry.path();
  }
}

TEST(SampleFeeds, OneListHasMoreAddressesThanOneNameHolds) {
  const Result<ParsedFeed> feed = parse_feed(sample("feeds/bad-hosting.txt"), "auto");
  ASSERT_TRUE(feed.has_value());
  EXPECT_EQ(static_cast<uint64_t>(feed->set.addresses().v4.address_count()), 14400U);
}

TEST(SampleFeeds, DropTextAndJsonHoldTheSameSet) {
  EXPECT_EQ(parse_feed(sample("feeds/hijacked-drop.txt"), "auto")->set,
            parse_feed(sample("feeds/hijacked-drop.json"), "auto")->set);
}

TEST(SampleFeeds, BadOnesAreQuarantinedForTheirReason) {
  const struct {
    std::string file;
    ErrorCode code;
    std::string_view reason;
  } rows[] = {
      {"error-page.html", ErrorCode::unsupported, "HTML page"},
      {"truncated.gz", ErrorCode::unsupported, "gzip data that is truncated or damaged"},
      {"empty.txt", ErrorCode::unsupported, "empty (0 bytes)"},
      {"comments-only.txt", ErrorCode::invalid_argument, "no readable entry"},
      {"mostly-unreadable.txt", ErrorCode::invalid_argument, "mostly unreadable"},
      {"truncated-drop.json", ErrorCode::invalid_argument, "declares 120 records, 70 are there"},
  };
  for (const auto& row : rows) {
    const Result<ParsedFeed> feed = parse_feed(sample("feeds-bad/" + row.file), "auto");
    ASSERT_FALSE(feed.has_value()) << row.file;
    EXPECT_EQ(to_string(feed.error().code), to_string(row.code)) << row.file;
    EXPECT_NE(feed.error().message.find(row.reason), std::string::npos) << feed.error().message;
  }
  const Result<ParsedFeed> named = parse_feed(sample("feeds-bad/mostly-unreadable.txt"), "plain");
  ASSERT_FALSE(named.has_value());
  EXPECT_NE(named.error().message.find("40 of 43 lines rejected"), std::string::npos);
}

}  // namespace
}  // namespace merlon::feeds
