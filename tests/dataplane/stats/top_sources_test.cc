// SPDX-License-Identifier: Apache-2.0
#include "dataplane/stats/top_sources.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <thread>

#include "tests/support/seed.h"

namespace merlon::stats {
namespace {

using address::Address;
using Entry = TopSources::Entry;

constexpr size_t kEntryCount = TopSources::kSetCount * TopSources::kWays;

std::map<address::Bits6, Entry> by_address(const TopSources& top) {
  std::map<address::Bits6, Entry> found;
  for (const Entry& entry : top.entries()) {
    found[entry.address.bits] = entry;
  }
  return found;
}

TEST(TopSources, FewSourcesAreCountedExactly) {
  TopSources top(4711);
  for (uint32_t i = 0; i < 8; ++i) {
    for (uint32_t n = 0; n <= i; ++n) {
      top.record(Address::v4(i), 1, 100 + n);
    }
  }
  const auto merged = TopSources::merged(top.entries(), 3);
  ASSERT_EQ(merged.size(), 3u);
  EXPECT_EQ(merged[0].address, Address::v4(7));
  EXPECT_EQ(merged[0].count, 8u);
  EXPECT_EQ(merged[0].error, 0u);
  EXPECT_EQ(merged[0].last_seen, 107u);
  EXPECT_EQ(merged[2].count, 6u);
}

TEST(TopSources, FamiliesAreDifferentSources) {
  TopSources top(1);
  top.record(Address::v4(1), 1, 1);
  top.record(Address::v6(1), 1, 1);
  EXPECT_EQ(top.entries().size(), 2u);
}

TEST(TopSources, MergedAddsTheWorkersUp) {
  const auto merged = TopSources::merged(
      {{Address::v4(1), 5, 1, 10}, {Address::v4(2), 7, 0, 20}, {Address::v4(1), 4, 2, 30}}, 10);
  ASSERT_EQ(merged.size(), 2u);
  EXPECT_EQ(merged[0].address, Address::v4(1));
  EXPECT_EQ(merged[0].count, 9u);
  EXPECT_EQ(merged[0].error, 3u);
  EXPECT_EQ(merged[0].last_seen, 30u);
}

// The bounds of Space-Saving, whatever the traffic: skewed, flat or weighted.
TEST(TopSources, CountsAreWithinTheirErrorForRandomStreams) {
  std::mt19937_64 random(test::seed_for("Stats"));
  for (int run = 0; run < 30; ++run) {
    TopSources top(random());
    std::map<address::Bits6, uint64_t> truth;
    const int skew = run % 3;
    uint64_t total = 0;
    for (int i = 0; i < 20'000; ++i) {
      uint64_t source = random() % 5000;
      for (int k = 0; k < skew * 2; ++k) {
        source = std::min<uint64_t>(source, random() % 5000);
      }
      const uint64_t weight = run % 2 == 0 ? 1 : 1 + random() % 7;
      top.record(Address::v6(source), weight, 1);
      truth[source] += weight;
      total += weight;
    }
    const auto entries = by_address(top);
    EXPECT_EQ(entries.size(), kEntryCount);
    uint64_t sum = 0;
    for (const auto& [address, entry] : entries) {
      EXPECT_LE(truth[address], entry.count);
      EXPECT_GE(truth[address], entry.count - entry.error);
      sum += entry.count;
    }
    // Each set's counts are what the set was given.
    EXPECT_EQ(sum, total);
    const uint64_t certain = total / TopSources::kWays;  // no set was given more than all
    for (const auto& [address, weight] : truth) {
      EXPECT_TRUE(weight <= certain || entries.contains(address));
    }
  }
}

TEST(TopSources, AHeavySourceIsFoundInAFloodOfOthers) {
  std::mt19937_64 random(test::seed_for("Stats"));
  TopSources top;
  uint64_t heavy = 0;
  for (int i = 0; i < 200'000; ++i) {
    if (i % 50 == 0) {
      top.record(Address::v4(0x0a000001), 1, 9);
      ++heavy;
    } else {
      top.record(Address::v6(random()), 1, 9);
    }
  }
  const auto merged = TopSources::merged(top.entries(), 1);
  ASSERT_EQ(merged.size(), 1u);
  EXPECT_EQ(merged[0].address, Address::v4(0x0a000001));
  EXPECT_GE(merged[0].count, heavy);
}

// An address of the reader is one that was written, with a count that it had.
TEST(TopSources, ReadersSeeWholeEntries) {
  TopSources top(5);
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    std::mt19937_64 random(1);
    while (!stop) {
      const uint64_t half = random();
      top.record(Address::v6(address::Bits6{half} << 64 | ~half), 1, 7);
    }
  });
  uint64_t seen = 0;
  for (int i = 0; i < 2000 || seen == 0; ++i) {  // the writer may start late
    for (const Entry& entry : top.entries()) {
      const auto high = static_cast<uint64_t>(entry.address.bits >> 64);
      EXPECT_EQ(static_cast<uint64_t>(entry.address.bits), ~high);
      EXPECT_LT(entry.error, entry.count);
      EXPECT_EQ(entry.last_seen, 7u);
      ++seen;
    }
  }
  stop = true;
  writer.join();
}

}  // namespace
}  // namespace merlon::stats
