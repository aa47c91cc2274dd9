// SPDX-License-Identifier: Apache-2.0
#include "zones/snapshot/access.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <tuple>

namespace merlon::snapshot {
namespace {

using address::Address;
using address::AnyPrefix;
using address::Bits6;
using address::Family;

uint64_t seed() {
  const char* given = std::getenv("MERLON_TEST_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
}

// Few distinct bits, so that prefixes nest and addresses meet them.
AnyPrefix random_prefix(std::mt19937_64& random) {
  const bool v4 = random() % 2 == 0;
  const int width = v4 ? 32 : 128;
  const auto length = static_cast<uint8_t>(random() % static_cast<unsigned>(width + 1));
  Bits6 bits = (Bits6{random() & random()} << 64) | (random() & random());
  bits = v4 ? bits & 0xffffffff : bits;
  const Bits6 host =
      v4 ? Bits6{address::host_mask<address::Bits4>(length)} : address::host_mask<Bits6>(length);
  return {v4 ? Family::v4 : Family::v6, length, bits & ~host};
}

TEST(AccessView, FindsTheLongestPrefixLikeANaiveSearch) {
  const uint64_t used_seed = seed();
  RecordProperty("seed", std::to_string(used_seed));
  SCOPED_TRACE("MERLON_TEST_SEED=" + std::to_string(used_seed));
  std::printf("MERLON_TEST_SEED=%llu\n", static_cast<unsigned long long>(used_seed));
  std::mt19937_64 random(used_seed);
  for (int round = 0; round < 60; ++round) {
    AccessBuilder builder;
    std::map<std::tuple<Family, Bits6, uint8_t>, uint32_t> model;
    for (uint64_t i = random() % 80; i > 0; --i) {
      const AnyPrefix prefix = random_prefix(random);
      const std::tuple key(prefix.family, prefix.bits, prefix.length);
      if (model.contains(key)) {
        continue;
      }
      model[key] = builder.add_subject({static_cast<uint32_t>(random()), 1, 1, Verb::pass, {}, {}});
      builder.add_source(prefix, model[key]);
    }
    const auto file = builder.finish();
    ASSERT_TRUE(file.has_value());
    const auto segment = Segment::from_bytes(*file);
    const auto view = AccessView::open(*segment);
    ASSERT_TRUE(view.has_value()) << view.error().message;
    for (int probe = 0; probe < 300; ++probe) {
      const AnyPrefix near = random_prefix(random);
      const Address source{near.family, near.bits | (random() % 4)};
      uint32_t expected = kNoSubject;
      int longest = -1;
      for (const auto& [key, subject] : model) {
        const AnyPrefix prefix{std::get<0>(key), std::get<2>(key), std::get<1>(key)};
        if (prefix.contains(source) && prefix.length > longest) {
          longest = prefix.length;
          expected = subject;
        }
      }
      ASSERT_EQ(view->find(source), expected) << address::to_text(source);
    }
  }
}

TEST(AccessView, EmptyTableKnowsNobody) {
  AccessBuilder builder;
  const auto segment = Segment::from_bytes(*builder.finish());
  const auto view = AccessView::open(*segment);
  ASSERT_TRUE(view.has_value());
  EXPECT_EQ(view->find(Address::v4(0)), kNoSubject);
  EXPECT_EQ(view->find(Address::v6(1)), kNoSubject);
}

TEST(AccessView, DefaultRouteMatchesItsFamilyOnly) {
  AccessBuilder builder;
  builder.add_source({Family::v4, 0, 0}, builder.add_subject({1, 1, 1, Verb::pass, {}, {}}));
  const auto segment = Segment::from_bytes(*builder.finish());
  const auto view = AccessView::open(*segment);
  EXPECT_EQ(view->find(Address::v4(0xffffffff)), 0u);
  EXPECT_EQ(view->find(Address::v6(0)), kNoSubject);
}

TEST(AccessBuilder, SourceGivenTwiceIsAConflict) {
  for (const char* text : {"192.0.2.0/24", "2001:db8::/32"}) {
    AccessBuilder builder;
    const AnyPrefix prefix = *address::parse_prefix(text);
    builder.add_source(prefix, builder.add_subject({1, 1, 1, Verb::pass, {}, {}}));
    builder.add_source(prefix, builder.add_subject({2, 2, 1, Verb::pass, {}, {}}));
    const auto file = builder.finish();
    ASSERT_FALSE(file.has_value());
    EXPECT_EQ(file.error().code, ErrorCode::conflict);
    EXPECT_EQ(file.error().message, std::string("source ") + text + " is registered twice");
  }
}

TEST(AccessBuilder, WhatWouldNotLoadIsNotWritten) {
  AccessBuilder host_bits;
  host_bits.add_source({Family::v4, 24, 0xC0000201},
                       host_bits.add_subject({1, 1, 1, Verb::pass, {}, {}}));
  EXPECT_EQ(host_bits.finish().error().code, ErrorCode::internal);
  AccessBuilder verb;
  verb.add_subject({1, 1, 1, Verb{9}, {}, {}});
  EXPECT_EQ(verb.finish().error().code, ErrorCode::internal);
}

TEST(AccessBuilder, OrderOfSourcesDoesNotMatter) {
  const char* texts[] = {"10.0.0.0/8", "10.0.0.0/16", "2001:db8::/32", "192.0.2.1", "::/0"};
  AccessBuilder forwards;
  AccessBuilder backwards;
  forwards.add_subject({1, 1, 1, Verb::pass, {}, {}});
  backwards.add_subject({1, 1, 1, Verb::pass, {}, {}});
  for (size_t i = 0; i < std::size(texts); ++i) {
    forwards.add_source(*address::parse_prefix(texts[i]), 0);
    backwards.add_source(*address::parse_prefix(texts[std::size(texts) - 1 - i]), 0);
  }
  EXPECT_EQ(*forwards.finish(), *backwards.finish());
}

}  // namespace
}  // namespace merlon::snapshot
