// SPDX-License-Identifier: Apache-2.0
#include "controlplane/store/model.h"

#include <gtest/gtest.h>

#include <random>

namespace merlon::store {
namespace {

using address::Bits4;
using address::Prefix;

TEST(FeedSet, NormaliseSortsByAddressThenWiderFirstAndDropsRepetitions) {
  FeedSet set;
  set.v4 = {{0xc6336400, 24}, {0x2d000001, 32}, {0xc6336400, 25}, {0x2d000001, 32}};
  set.v6 = {{address::Bits6{2} << 112, 48}, {address::Bits6{1} << 112, 48}};
  set.domains = {"b.example", "a.example", "b.example"};
  set.normalise();
  EXPECT_EQ(set.v4,
            (std::vector<Prefix<Bits4>>{{0x2d000001, 32}, {0xc6336400, 24}, {0xc6336400, 25}}));
  EXPECT_EQ(set.v6.front().bits, address::Bits6{1} << 112);
  EXPECT_EQ(set.domains, (std::vector<std::string>{"a.example", "b.example"}));
}

TEST(FeedSet, LargeSetsSortAsSmallOnesDo) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  FeedSet set;
  for (int i = 0; i < 50000; ++i) {
    const auto length = static_cast<uint8_t>(8 + random() % 25);
    set.v4.push_back({static_cast<Bits4>(random()) & ~address::host_mask<Bits4>(length), length});
  }
  std::vector<std::pair<Bits4, uint8_t>> expected;
  for (const auto& prefix : set.v4) {
    expected.emplace_back(prefix.bits, prefix.length);
  }
  std::sort(expected.begin(), expected.end());
  expected.erase(std::unique(expected.begin(), expected.end()), expected.end());
  set.normalise();
  ASSERT_EQ(set.v4.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    ASSERT_EQ(set.v4[i].bits, expected[i].first);
    ASSERT_EQ(set.v4[i].length, expected[i].second);
  }
}

TEST(FeedSet, AddressesMergesNeighboursAndOverlaps) {
  FeedSet set;
  set.v4 = {{0xc0000200, 25}, {0xc0000280, 25}, {0xc0000205, 32}};
  EXPECT_EQ(set.addresses().v4.ranges(),
            (std::vector<address::Range<Bits4>>{{0xc0000200, 0xc00002ff}}));
  EXPECT_TRUE(set.addresses().v6.empty());
}

TEST(ModelNames, ReadBackAsWritten) {
  for (const Direction value : {Direction::block, Direction::allow}) {
    Direction read = Direction::block;
    EXPECT_TRUE(parse_direction(to_string(value), read));
    EXPECT_EQ(read, value);
  }
  for (const Tier value : {Tier::community, Tier::basic, Tier::advanced, Tier::operator_}) {
    Tier read = Tier::community;
    EXPECT_TRUE(parse_tier(to_string(value), read));
    EXPECT_EQ(read, value);
  }
  Tier untouched = Tier::advanced;
  EXPECT_FALSE(parse_tier("operator_", untouched));
  EXPECT_EQ(untouched, Tier::advanced);
  EXPECT_EQ(to_string(Tier::operator_), "operator");
  EXPECT_EQ(to_string(FeedHealth::quarantined), "quarantined");
}

}  // namespace
}  // namespace merlon::store
