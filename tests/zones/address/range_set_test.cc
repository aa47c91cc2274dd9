// SPDX-License-Identifier: Apache-2.0
// RangeSet against a model that cannot be wrong: one bit per address of a universe of 2^16
// addresses, laid at the bottom, in the middle and at the top of the address space.
#include "zones/address/range_set.h"

#include <gtest/gtest.h>

#include <bitset>
#include <random>
#include <vector>

#include "tests/support/seed.h"

namespace merlon::address {
namespace {

constexpr size_t kUniverse = 65536;
using Model = std::bitset<kUniverse>;

template <class Bits>
class RangeSetOf : public testing::Test {
 protected:
  using RangeSetType = RangeSet<Bits>;
  using Ranges = std::vector<Range<Bits>>;
  static constexpr Bits kMax = kAllOnes<Bits>;

  static std::vector<Bits> bases() {
    return {Bits{0}, static_cast<Bits>(kMax / 2 - 1000), static_cast<Bits>(kMax - (kUniverse - 1))};
  }

  struct Sample {
    RangeSetType set;
    Model model;
  };

  // Ranges in random order, overlapping and touching; the ends of the universe are likely.
  static Sample sample(std::mt19937_64& random, Bits base) {
    Sample made;
    Ranges ranges;
    const size_t count = random() % 40;
    const uint64_t widest = uint64_t{1} << (random() % 17);
    for (size_t i = 0; i < count; ++i) {
      uint64_t first = random() % kUniverse;
      if (random() % 8 == 0) {
        first = random() % 2 == 0 ? 0 : kUniverse - 1;
      }
      const uint64_t last = std::min(first + random() % widest, uint64_t{kUniverse - 1});
      ranges.push_back({static_cast<Bits>(base + first), static_cast<Bits>(base + last)});
      for (uint64_t at = first; at <= last; ++at) {
        made.model.set(at);
      }
    }
    made.set = RangeSetType::from_unsorted(ranges);
    return made;
  }

  static RangeSetType set_of(const Model& model, Bits base) {
    Ranges ranges;
    for (size_t at = 0; at < kUniverse; ++at) {
      if (!model.test(at)) {
        continue;
      }
      const size_t first = at;
      while (at + 1 < kUniverse && model.test(at + 1)) {
        ++at;
      }
      ranges.push_back({static_cast<Bits>(base + first), static_cast<Bits>(base + at)});
    }
    return RangeSetType::from_normal(ranges);
  }
};

using Widths = testing::Types<Bits4, Bits6>;
TYPED_TEST_SUITE(RangeSetOf, Widths);

TYPED_TEST(RangeSetOf, OperationsAgreeWithOneBitPerAddress) {
  std::mt19937_64 random(test::seed_for("RangeSet"));
  for (int round = 0; round < 60; ++round) {
    for (const TypeParam base : this->bases()) {
      const auto a = this->sample(random, base);
      const auto b = this->sample(random, base);
      ASSERT_TRUE(a.set == this->set_of(a.model, base));
      ASSERT_TRUE(a.set.united(b.set) == this->set_of(a.model | b.model, base));
      ASSERT_TRUE(a.set.minus(b.set) == this->set_of(a.model & ~b.model, base));
      ASSERT_TRUE(a.set.intersected(b.set) == this->set_of(a.model & b.model, base));
      ASSERT_TRUE(a.set.address_count() == a.model.count());
      for (const auto& set :
           {a.set, a.set.united(b.set), a.set.minus(b.set), a.set.intersected(b.set)}) {
        ASSERT_TRUE(TestFixture::RangeSetType::is_normal(set.ranges()));
      }
    }
  }
}

TYPED_TEST(RangeSetOf, QuestionsAgreeWithOneBitPerAddress) {
  std::mt19937_64 random(test::seed_for("RangeSet"));
  for (int round = 0; round < 20; ++round) {
    for (const TypeParam base : this->bases()) {
      const auto a = this->sample(random, base);
      for (int i = 0; i < 2000; ++i) {
        const uint64_t first = i == 0 ? 0 : random() % kUniverse;
        const uint64_t last = std::min(first + random() % 16, uint64_t{kUniverse - 1});
        bool any = false;
        for (uint64_t at = first; at <= last; ++at) {
          any = any || a.model.test(at);
        }
        const auto low = static_cast<TypeParam>(base + first);
        ASSERT_EQ(a.set.contains(low), a.model.test(first));
        ASSERT_EQ(a.set.overlaps({low, static_cast<TypeParam>(base + last)}), any);
      }
    }
  }
}

TYPED_TEST(RangeSetOf, PrefixesOfASetMakeTheSameSet) {
  std::mt19937_64 random(test::seed_for("RangeSet"));
  for (int round = 0; round < 30; ++round) {
    for (const TypeParam base : this->bases()) {
      const auto a = this->sample(random, base);
      typename TestFixture::Ranges ranges;
      a.set.for_each_prefix([&](Prefix<TypeParam> prefix) { ranges.push_back(prefix.range()); });
      ASSERT_TRUE(TestFixture::RangeSetType::from_unsorted(ranges) == a.set);
    }
  }
}

TYPED_TEST(RangeSetOf, UnionOfManyAgreesWithOneBitPerAddress) {
  using Fixture = RangeSetOf<TypeParam>;
  std::mt19937_64 random(test::seed_for("range set, union of many"));
  for (const TypeParam base : Fixture::bases()) {
    for (int round = 0; round < 20; ++round) {
      Model model;
      std::vector<RangeSet<TypeParam>> sets;
      for (size_t count = random() % 9; count > 0; --count) {
        const auto sample = Fixture::sample(random, base);
        model |= sample.model;
        sets.push_back(sample.set);
      }
      std::vector<const RangeSet<TypeParam>*> pointers;
      for (const auto& set : sets) {
        pointers.push_back(&set);
      }
      const auto all =
          RangeSet<TypeParam>::united(pointers, static_cast<unsigned>(1 + random() % 3));
      EXPECT_EQ(all, Fixture::set_of(model, base));
      EXPECT_TRUE(RangeSet<TypeParam>::is_normal(all.ranges()));
      uint64_t prefixes = 0;
      all.for_each_prefix([&prefixes](Prefix<TypeParam>) { ++prefixes; });
      EXPECT_EQ(all.prefix_count(), prefixes);
    }
  }
}

// Large enough for many slices; some ranges reach over several of them.
TYPED_TEST(RangeSetOf, UnionOfManyIsTheSameForAnyNumberOfThreads) {
  std::mt19937_64 random(test::seed_for("range set, threads"));
  std::vector<RangeSet<TypeParam>> sets(7);
  std::vector<Range<TypeParam>> together;
  for (auto& set : sets) {
    std::vector<Range<TypeParam>> ranges;
    for (int i = 0; i < 40'000; ++i) {
      const auto first = static_cast<TypeParam>(static_cast<TypeParam>(random()) *
                                                static_cast<TypeParam>(0x9e3779b97f4a7c15));
      const int length =
          static_cast<int>(random() % 500 == 0 ? 3 + random() % 12 : kWidth<TypeParam> - 4);
      ranges.push_back({first, static_cast<TypeParam>(first | host_mask<TypeParam>(length))});
    }
    together.insert(together.end(), ranges.begin(), ranges.end());
    set = RangeSet<TypeParam>::from_unsorted(std::move(ranges));
  }
  std::vector<const RangeSet<TypeParam>*> pointers;
  for (const auto& set : sets) {
    pointers.push_back(&set);
  }
  const auto expected = RangeSet<TypeParam>::from_unsorted(std::move(together));
  for (const unsigned threads : {1u, 2u, 5u}) {
    EXPECT_EQ(RangeSet<TypeParam>::united(pointers, threads), expected) << threads;
  }
}

TYPED_TEST(RangeSetOf, EmptySetIsNeutral) {
  using Set = typename TestFixture::RangeSetType;
  const Set none;
  const Set some = Set::from_unsorted({{5, 9}});
  EXPECT_TRUE(none.empty());
  EXPECT_TRUE(none.address_count() == 0);
  EXPECT_FALSE(none.contains(0));
  EXPECT_FALSE(none.overlaps({0, this->kMax}));
  EXPECT_TRUE(none.united(some) == some && some.united(none) == some);
  EXPECT_TRUE(some.minus(none) == some && none.minus(some).empty());
  EXPECT_TRUE(some.intersected(none).empty() && none.intersected(some).empty());
  EXPECT_TRUE(Set::from_unsorted({}).empty());
}

TYPED_TEST(RangeSetOf, WholeSpaceAndItsEnds) {
  using Set = typename TestFixture::RangeSetType;
  const TypeParam max = this->kMax;
  const auto below_max = static_cast<TypeParam>(max - 1);
  const Set whole = Set::from_unsorted({{0, max}});
  const Set ends = Set::from_unsorted({{max, max}, {0, 0}});
  const Set inner = Set::from_unsorted({{1, below_max}});
  EXPECT_EQ(ends.ranges().size(), 2U);
  EXPECT_TRUE(whole.minus(ends) == inner);
  EXPECT_TRUE(whole.minus(inner) == ends);
  EXPECT_TRUE(whole.minus(whole).empty());
  EXPECT_TRUE(inner.united(ends) == whole);
  EXPECT_TRUE(whole.united(ends) == whole && ends.united(whole) == whole);
  EXPECT_TRUE(whole.intersected(ends) == ends);
  EXPECT_TRUE(whole.contains(0) && whole.contains(max));
  EXPECT_FALSE(inner.contains(0) || inner.contains(max));
  EXPECT_TRUE(inner.overlaps({0, 1}) && inner.overlaps({below_max, max}));
  EXPECT_FALSE(inner.overlaps({max, max}));
  // Adjacent halves become one range; a set that holds the last address does not wrap to the first.
  const auto half = static_cast<TypeParam>(max / 2);
  EXPECT_TRUE(Set::from_unsorted({{static_cast<TypeParam>(half + 1), max}, {0, half}}) == whole);
  EXPECT_EQ(Set::from_unsorted({{below_max, max}, {0, 0}, {max, max}}).ranges().size(), 2U);
}

TYPED_TEST(RangeSetOf, NormalMeansSortedDisjointAndNotAdjacent) {
  using Set = typename TestFixture::RangeSetType;
  const TypeParam max = this->kMax;
  EXPECT_TRUE(Set::is_normal({}));
  EXPECT_TRUE(Set::is_normal({{0, 0}, {2, 3}, {max, max}}));
  EXPECT_TRUE(Set::is_normal({{0, max}}));
  EXPECT_FALSE(Set::is_normal({{1, 0}}));
  EXPECT_FALSE(Set::is_normal({{0, 1}, {2, 3}}));
  EXPECT_FALSE(Set::is_normal({{0, 2}, {2, 3}}));
  EXPECT_FALSE(Set::is_normal({{4, 5}, {0, 1}}));
  EXPECT_FALSE(Set::is_normal({{5, max}, {0, 1}}));
  EXPECT_FALSE(Set::is_normal({{0, max}, {0, 0}}));
}

TEST(RangeSet, CountOfTheIpv4SpaceIsExactAndOfTheIpv6SpaceSaturates) {
  EXPECT_TRUE(RangeSet4::from_unsorted({{0, kAllOnes<Bits4>}}).address_count() == Bits6{1} << 32);
  EXPECT_TRUE(RangeSet6::from_unsorted({{0, kAllOnes<Bits6>}}).address_count() == kAllOnes<Bits6>);
  EXPECT_TRUE(RangeSet6::from_unsorted({{1, kAllOnes<Bits6>}}).address_count() == kAllOnes<Bits6>);
  EXPECT_TRUE(RangeSet6::from_unsorted({{0, 0}, {2, kAllOnes<Bits6>}}).address_count() ==
              kAllOnes<Bits6>);
}

TEST(IpSet, FamiliesDoNotMix) {
  IpSet a;
  a.v4 = RangeSet4::from_unsorted({{1, 5}});
  IpSet b;
  b.v6 = RangeSet6::from_unsorted({{1, 5}});
  EXPECT_TRUE(a.contains(Address::v4(3)));
  EXPECT_FALSE(a.contains(Address::v6(3)));
  EXPECT_TRUE(b.contains(Address::v6(3)));
  EXPECT_TRUE(a.minus(b) == a);
  EXPECT_TRUE(a.intersected(b).empty());
  const IpSet both = a.united(b);
  EXPECT_TRUE(both.contains(Address::v4(5)) && both.contains(Address::v6(5)));
  EXPECT_FALSE(both.empty());
  EXPECT_TRUE(both.minus(a) == b);
}

}  // namespace
}  // namespace merlon::address
