// SPDX-License-Identifier: Apache-2.0
// The promise of stable chunks over long random histories: an edit of one address changes one name,
// two when addresses move between neighbours; the chunks hold exactly the set; fill stays above
// 60 %; the same history gives the same plan.
#include "controlplane/compile/chunks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <random>
#include <set>

#include "tests/support/seed.h"

namespace merlon::compile {
namespace {

using address::Bits4;
using address::Bits6;
using address::RangeSet;

constexpr size_t kFewChunks = 8;  // a list of fewer may have one chunk too many

template <class Bits>
RangeSet<Bits> set_of(const std::set<Bits>& addresses) {
  std::vector<address::Range<Bits>> ranges;
  for (const Bits bits : addresses) {
    ranges.push_back({bits, bits});
  }
  return RangeSet<Bits>::from_unsorted(std::move(ranges));
}

// The addresses of each name.
template <class Bits>
using Names = std::map<uint32_t, std::vector<Bits>>;

template <class Bits>
Names<Bits> names_of(const ChunkPlan<Bits>& plan, const std::set<Bits>& addresses) {
  Names<Bits> names;
  for (size_t i = 0; i < plan.chunks.size(); ++i) {
    const auto begin = addresses.lower_bound(plan.chunks[i].first);
    const auto end = i + 1 < plan.chunks.size() ? addresses.lower_bound(plan.chunks[i + 1].first)
                                                : addresses.end();
    std::vector<Bits> chunk(begin, end);
    EXPECT_EQ(plan.chunks[i].count, chunk.size());
    if (!chunk.empty()) {
      EXPECT_TRUE(names.emplace(plan.chunks[i].number, std::move(chunk)).second) << "number twice";
    }
  }
  return names;
}

template <class Bits>
size_t changed_names(const Names<Bits>& before, const Names<Bits>& after) {
  size_t changed = 0;
  for (const auto& [number, addresses] : before) {
    const auto at = after.find(number);
    changed += at == after.end() || at->second != addresses ? 1u : 0u;
  }
  for (const auto& [number, addresses] : after) {
    changed += before.contains(number) ? 0u : 1u;
  }
  return changed;
}

template <class Bits>
void check_plan(const ChunkPlan<Bits>& plan, const std::set<Bits>& addresses, uint32_t capacity) {
  ASSERT_FALSE(plan.chunks.empty());
  EXPECT_EQ(plan.chunks.front().first, Bits{0});
  uint64_t total = 0;
  for (size_t i = 0; i < plan.chunks.size(); ++i) {
    ASSERT_TRUE(i == 0 || plan.chunks[i - 1].first < plan.chunks[i].first);
    ASSERT_LE(plan.chunks[i].count, capacity);
    ASSERT_LT(plan.chunks[i].number, plan.number_end);
    total += plan.chunks[i].count;
  }
  EXPECT_EQ(total, addresses.size());
}

// One edit after another, with what every edit cost.
template <class Bits>
class History {
 public:
  History(uint32_t capacity, size_t start, uint64_t seed) : random_(seed), capacity_(capacity) {
    while (addresses_.size() < start) {
      addresses_.insert(any());
    }
    plan_ = update_chunks<Bits>({}, set_of(addresses_), capacity_);
    names_ = names_of(plan_, addresses_);
  }

  Bits any() {
    return static_cast<Bits>(static_cast<Bits>(random_()) * static_cast<Bits>(0x9e3779b97f4a7c15));
  }
  void add(Bits bits) {
    if (addresses_.insert(bits).second) {
      update();
    }
  }
  void add_any() { add(any()); }
  // The first address from a place on.
  bool remove(Bits from, Bits last = address::kAllOnes<Bits>) {
    const auto at = addresses_.lower_bound(from);
    if (at == addresses_.end() || *at > last) {
      return false;
    }
    addresses_.erase(at);
    update();
    return true;
  }
  void remove_any() {
    if (!remove(any())) {
      remove(Bits{0});
    }
  }
  // Many at once, as a feed's update; does not count as an edit.
  template <class Change>
  void change(Change&& change) {
    change(addresses_);
    plan_ = update_chunks(plan_, set_of(addresses_), capacity_);
    names_ = names_of(plan_, addresses_);
    check_plan(plan_, addresses_, capacity_);
    note_fill();
  }

  void finish(const char* what) {
    std::ranges::sort(costs_);
    ASSERT_FALSE(costs_.empty());
    std::printf(
        "%-28s %6zu edits, names changed per edit: median %zu, p99 %zu, max %zu; "
        "fill at least %.3f; %zu chunks\n",
        what, costs_.size(), costs_[costs_.size() / 2], costs_[costs_.size() * 99 / 100],
        costs_.back(), fill_min_, plan_.chunks.size());
    EXPECT_EQ(costs_.front(), 1u);
    EXPECT_EQ(costs_[costs_.size() / 2], 1u);
    EXPECT_LE(costs_.back(), 2u);
    EXPECT_GT(fill_min_, 0.6);
  }
  size_t size() const { return addresses_.size(); }
  const ChunkPlan<Bits>& plan() const { return plan_; }
  std::mt19937_64& random() { return random_; }

 private:
  void update() {
    plan_ = update_chunks(plan_, set_of(addresses_), capacity_);
    check_plan(plan_, addresses_, capacity_);
    Names<Bits> names = names_of(plan_, addresses_);
    costs_.push_back(changed_names(names_, names));
    names_ = std::move(names);
    note_fill();
  }
  void note_fill() {
    const size_t chunks = plan_.chunks.size();
    const size_t fewest = (addresses_.size() + capacity_ - 1) / capacity_;
    if (chunks >= kFewChunks) {
      fill_min_ = std::min(fill_min_, static_cast<double>(addresses_.size()) /
                                          static_cast<double>(chunks * capacity_));
    } else {
      EXPECT_LE(chunks, std::max<size_t>(fewest + 2, 1));
    }
  }

  std::mt19937_64 random_;
  uint32_t capacity_;
  std::set<Bits> addresses_;
  ChunkPlan<Bits> plan_;
  Names<Bits> names_;
  std::vector<size_t> costs_;
  double fill_min_ = 1;
};

constexpr int kEdits = 10'000;
constexpr uint32_t kCapacity = 50;
constexpr size_t kStart = kCapacity * 40;

template <class Bits>
class StableChunks : public testing::Test {};
using Families = testing::Types<Bits4, Bits6>;
TYPED_TEST_SUITE(StableChunks, Families);

TYPED_TEST(StableChunks, UnderRandomEdits) {
  History<TypeParam> history(kCapacity, kStart, test::seed_for("random edits"));
  for (int i = 0; i < kEdits; ++i) {
    history.random()() % 2 == 0 ? history.add_any() : history.remove_any();
  }
  history.finish("random edits");
}

TYPED_TEST(StableChunks, UnderGrowthAndShrinkageInTurn) {
  History<TypeParam> history(kCapacity, kStart, test::seed_for("tides"));
  for (int i = 0; i < kEdits; ++i) {
    const bool ebb = i / 1500 % 2 != 0;
    history.random()() % 10 < (ebb ? 1 : 9) ? history.add_any() : history.remove_any();
  }
  history.finish("growth and shrinkage");
}

TYPED_TEST(StableChunks, UnderInsertsInAscendingAndDescendingOrder) {
  History<TypeParam> up(kCapacity, 20, 1);
  History<TypeParam> down(kCapacity, 20, 2);
  for (uint32_t i = 0; i < 5'000; ++i) {
    up.add(TypeParam{0x10000000} + 3 * i);
    down.add(TypeParam{0x20000000} - 3 * i);
  }
  up.finish("ascending inserts");
  down.finish("descending inserts");
}

TYPED_TEST(StableChunks, WhileMostAddressesGo) {
  History<TypeParam> at_random(kCapacity, 8 * kStart / 4, 3);
  while (at_random.size() > 5 * kCapacity) {
    at_random.remove_any();
  }
  at_random.finish("random removals");
  History<TypeParam> from_the_start(kCapacity, kStart, 4);
  while (from_the_start.size() > 5 * kCapacity) {
    from_the_start.remove(TypeParam{0});
  }
  from_the_start.finish("removals from the start");
}

// The worst for fill: every other chunk is emptied, in order or all of them together.
TYPED_TEST(StableChunks, WhileEveryOtherChunkIsEmptied) {
  for (const bool together : {false, true}) {
    History<TypeParam> history(kCapacity, 2 * kStart, 5);
    std::vector<address::Range<TypeParam>> victims;
    const auto& chunks = history.plan().chunks;
    for (size_t i = 0; i + 1 < chunks.size(); i += 2) {
      victims.push_back({chunks[i].first, static_cast<TypeParam>(chunks[i + 1].first - 1)});
    }
    while (!victims.empty()) {
      const size_t at = together ? history.random()() % victims.size() : 0;
      if (!history.remove(victims[at].first, victims[at].last)) {
        victims.erase(victims.begin() + static_cast<std::ptrdiff_t>(at));
      }
    }
    history.finish(together ? "every other, together" : "every other, in order");
  }
}

TYPED_TEST(StableChunks, UnderUpdatesOfManyAtOnce) {
  History<TypeParam> history(kCapacity, kStart, test::seed_for("updates"));
  for (int round = 0; round < 200; ++round) {
    const size_t percent = round % 20 == 0 ? 60 : 1;
    history.change([&](std::set<TypeParam>& addresses) {
      const size_t count = addresses.size() * percent / 100;
      for (size_t i = 0; i < count; ++i) {
        if (round % 40 == 0 || history.random()() % 2 == 0) {
          const auto at = addresses.lower_bound(history.any());
          addresses.erase(at == addresses.end() ? addresses.begin() : at);
        } else {
          addresses.insert(history.any());
        }
      }
      while (addresses.size() < kStart / 2) {
        addresses.insert(history.any());
      }
    });
    history.add_any();
  }
  history.finish("updates of many");
}

TYPED_TEST(StableChunks, TheSameHistoryGivesTheSamePlan) {
  History<TypeParam> one(kCapacity, 500, 6);
  History<TypeParam> two(kCapacity, 500, 6);
  for (int i = 0; i < 3'000; ++i) {
    for (History<TypeParam>* history : {&one, &two}) {
      history->random()() % 2 == 0 ? history->add_any() : history->remove_any();
    }
  }
  EXPECT_EQ(one.plan(), two.plan());
}

TEST(ChunkPlan, UnchangedAddressesKeepThePlan) {
  const auto set = RangeSet<Bits4>::from_normal({{1000, 9999}, {20000, 25000}});
  const auto plan = update_chunks<Bits4>({}, set, 100);
  EXPECT_EQ(update_chunks(plan, set, 100), plan);
}

TEST(ChunkPlan, AListThatFitsHasOneChunkAndAnEmptyOneNone) {
  EXPECT_EQ(update_chunks<Bits4>({}, RangeSet<Bits4>::from_normal({{1, 100}}), 100).chunks.size(),
            1u);
  EXPECT_EQ(update_chunks<Bits4>({}, RangeSet<Bits4>::from_normal({{1, 101}}), 100).chunks.size(),
            2u);
  EXPECT_TRUE(update_chunks<Bits4>({}, {}, 100).chunks.empty());
}

TEST(ChunkPlan, NamesOutliveWhatTheyHeld) {
  auto plan = update_chunks<Bits4>({}, RangeSet<Bits4>::from_normal({{1, 1000}}), 100);
  EXPECT_EQ(plan.number_end, 12u);
  plan = update_chunks(plan, {}, 100);
  EXPECT_EQ(plan.chunks.size(), 1u);
  EXPECT_EQ(plan.chunks[0].number, 0u);
  EXPECT_EQ(plan.number_end, 12u);
  plan = update_chunks(plan, RangeSet<Bits4>::from_normal({{5, 10}}), 30);  // another capacity
  EXPECT_EQ(plan.number_end, 12u);
  EXPECT_EQ(plan.chunks.size(), 1u);
}

TEST(ChunkPlan, TheSmallestCapacityAndTheEndsOfTheSpaceWork) {
  constexpr Bits4 kLast = address::kAllOnes<Bits4>;
  auto plan =
      update_chunks<Bits4>({}, RangeSet<Bits4>::from_normal({{0, 1}, {kLast - 1, kLast}}), 1);
  EXPECT_EQ(plan.chunks.size(), 4u);
  EXPECT_EQ(plan.chunks.back().first, kLast);
  plan = update_chunks(plan, RangeSet<Bits4>::from_normal({{0, 2}, {kLast - 2, kLast}}), 1);
  EXPECT_EQ(plan.chunks.size(), 6u);
}

}  // namespace
}  // namespace merlon::compile
