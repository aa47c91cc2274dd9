// SPDX-License-Identifier: Apache-2.0
// Real feeds, when the folder with them is there (MERLON_TEST_DATA, or ../shared/data beside the
// checkout): exact counts for some, the invariants for all.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "controlplane/feeds/parse.h"
#include "tests/controlplane/feeds/feed_checks.h"
#include "zones/base/file.h"

namespace merlon::feeds {
namespace {

constexpr uint64_t kFeedSizeMax = 64 << 20;

std::filesystem::path feeds_folder() {
  const char* data = std::getenv("MERLON_TEST_DATA");
  return std::filesystem::path(data != nullptr ? data : "../shared/data") / "feeds";
}

std::vector<uint8_t> content_of(const std::string& name) {
  const auto content = read_file((feeds_folder() / name).string(), kFeedSizeMax);
  return content ? *content : std::vector<uint8_t>{};
}

#define MERLON_NEED_FEEDS()                                                 \
  if (!std::filesystem::is_directory(feeds_folder())) {                     \
    GTEST_SKIP() << "no real feeds in " << feeds_folder()                   \
                 << "; set MERLON_TEST_DATA to the folder that holds them"; \
  }                                                                         \
  static_assert(true)

TEST(RealFeeds, EveryFileAddsUpOrSaysWhyNot) {
  MERLON_NEED_FEEDS();
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(feeds_folder())) {
    if (entry.is_regular_file()) {
      files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  ASSERT_FALSE(files.empty());
  for (const auto& file : files) {
    const std::string name = file.filename().string();
    const std::vector<uint8_t> content = content_of(name);
    const Result<ParsedFeed> feed = parse_feed(content, "auto");
    if (feed) {
      fmt::print("{:44.44} {:18} lines {:7} entries {:7} v4 {:7} v6 {:5} names {:6} rejected {}\n",
                 name, to_string(feed->format), feed->line_count, feed->entry_count,
                 feed->set.v4.size(), feed->set.v6.size(), feed->set.domains.size(),
                 feed->rejected_count);
    } else {
      fmt::print("{:44.44} {}: {}\n", name, to_string(feed.error().code), feed.error().message);
      EXPECT_FALSE(feed.error().message.empty()) << name;
    }
    // Whatever the guard says: every format must add up on every content.
    for (const Format format : all_formats()) {
      const Result<ParsedFeed> parsed = parse(content, format);
      if (!parsed) {  // a document's format, and content that is no such document
        EXPECT_NE(parsed.error().message.find("malformed"), std::string::npos)
            << name << ": " << parsed.error().message;
        continue;
      }
      EXPECT_EQ(fault_of(*parsed), "") << name << " as " << to_string(format);
    }
  }
}

ParsedFeed feed_of(const std::string& name) {
  Result<ParsedFeed> feed = parse_feed(content_of(name), "auto");
  EXPECT_TRUE(feed.has_value()) << name << ": " << (feed ? "" : feed.error().message);
  return feed ? *feed : ParsedFeed{};
}

// These numbers pin what the parser makes of real feeds, so that a change of behaviour is seen; no
// other tool counted them.
TEST(RealFeeds, HoldWhatTheyHeldBefore) {
  MERLON_NEED_FEEDS();
  const struct {
    std::string name;
    Format format;
    uint64_t lines, entries, rejected;
    size_t v4, v6, names;
  } rows[] = {
      {"hagezi__hosts_fake.txt", Format::hosts, 14053, 14043, 0, 0, 0, 14043},
      {"hagezi__3p_adaway.domains.txt", Format::domains, 7662, 7648, 0, 0, 0, 7648},
      {"hagezi__3p_adaway.hosts.txt", Format::hosts, 7662, 7648, 0, 0, 0, 7648},
      {"intelmq__dshield_block.txt", Format::dshield, 39, 2, 0, 2, 0, 0},
      {"minemeld__IPv4.lst", Format::plain, 168, 168, 0, 174, 0, 0},
      {"ipsum__ipsum.txt", Format::plain, 120437, 120430, 0, 120430, 0, 0},
      {"x4b__vpn_ipv6.txt", Format::plain, 498, 498, 0, 0, 498, 0},
      {"x4b__vpn_ipv4.txt", Format::plain, 10862, 10862, 0, 10862, 0, 0},
      {"cps__tor-exit.txt", Format::plain, 3251, 3251, 0, 1372, 0, 0},
      {"spamhaus2024__drop_ipv6.txt", Format::plain, 51, 51, 0, 0, 51, 0},
      {"spamhaus2025__drop.txt", Format::plain, 1406, 1406, 0, 1406, 0, 0},
      {"spamhaus2025__drop_v4.json", Format::spamhaus_drop_json, 1407, 1406, 0, 1406, 0, 0},
      {"unit42__angler_compromised_domains", Format::domains, 90557, 90556, 1, 0, 0, 90554},
      {"firehol__dshield.netset", Format::plain, 50, 20, 0, 20, 0, 0},
  };
  for (const auto& row : rows) {
    const ParsedFeed feed = feed_of(row.name);
    EXPECT_EQ(to_string(feed.format), to_string(row.format)) << row.name;
    EXPECT_EQ(feed.line_count, row.lines) << row.name;
    EXPECT_EQ(feed.entry_count, row.entries) << row.name;
    EXPECT_EQ(feed.rejected_count, row.rejected) << row.name;
    EXPECT_EQ(feed.set.v4.size(), row.v4) << row.name;
    EXPECT_EQ(feed.set.v6.size(), row.v6) << row.name;
    EXPECT_EQ(feed.set.domains.size(), row.names) << row.name;
  }
}

TEST(RealFeeds, SiblingsInTwoFormatsHoldTheSameSet) {
  MERLON_NEED_FEEDS();
  EXPECT_EQ(feed_of("spamhaus2025__drop.txt").set, feed_of("spamhaus2025__drop_v4.json").set);
  EXPECT_EQ(feed_of("hagezi__3p_adaway.domains.txt").set,
            feed_of("hagezi__3p_adaway.hosts.txt").set);
}

TEST(RealFeeds, MergedAsThePublisherMergedThem) {
  MERLON_NEED_FEEDS();
  EXPECT_EQ(feed_of("ipranges__digitalocean_ipv4.txt").set.addresses(),
            feed_of("ipranges__digitalocean_ipv4_merged.txt").set.addresses());
  EXPECT_EQ(feed_of("ipranges__amazon_ipv6.txt").set.addresses(),
            feed_of("ipranges__amazon_ipv6_merged.txt").set.addresses());
}

TEST(RealFeeds, PathsAndUrlsNeverBecomeNames) {
  MERLON_NEED_FEEDS();
  const std::vector<uint8_t> content = content_of("maltrail__elf_mirai.txt");
  const Result<ParsedFeed> mirai = parse(content, Format::plain);
  ASSERT_TRUE(mirai.has_value());
  EXPECT_FALSE(
      std::binary_search(mirai->set.domains.begin(), mirai->set.domains.end(), "izuku.sh"));
  const auto& reasons = mirai->rejected_by_reason;
  EXPECT_TRUE(std::count(reasons.begin(), reasons.end(),
                         std::pair<std::string, uint64_t>("path_only", 37611)))
      << "37611 lines begin with a slash";
  EXPECT_TRUE(parse_feed(content, "plain").has_value()) << "paths say nothing against the rest";
}

TEST(RealFeeds, ContentThatIsNoFeedIsNamed) {
  MERLON_NEED_FEEDS();
  const struct {
    std::string name;
    std::string_view reason;
  } rows[] = {
      {"cps__illuminate.txt", "empty"},
      {"mmdb__test-data_GeoLite2-ASN-Test.mmdb", "MaxMind"},
      {"intelmq__html_table_feodotracker.html", "HTML"},
      {"eset__mozi_mozi.misp-event.json", "not_for_detection"},
      {"openphish__feed.txt", "URLs"},
      {"INDEX.tsv", "columns (CSV) without addresses"},
  };
  for (const auto& row : rows) {
    const Result<ParsedFeed> feed = parse_feed(content_of(row.name), "auto");
    ASSERT_FALSE(feed.has_value()) << row.name;
    EXPECT_NE(feed.error().message.find(row.reason), std::string::npos) << feed.error().message;
  }
}

}  // namespace
}  // namespace merlon::feeds
