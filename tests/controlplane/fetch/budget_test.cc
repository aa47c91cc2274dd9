// SPDX-License-Identifier: Apache-2.0
#include "controlplane/fetch/budget.h"

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <thread>

namespace merlon::fetch {
namespace {

using Share = MemoryBudget::Share;
constexpr uint64_t kFree = MemoryBudget::kFreeBytes;

TEST(MemoryBudget, SmallFeedsNeverAskAndLargeOnesGiveBack) {
  MemoryBudget budget(100);
  {
    Share small(&budget);
    EXPECT_EQ(small.grow_to(kFree, nullptr), Share::Grown::yes);
    EXPECT_EQ(budget.used(), 0u);
    Share large(&budget);
    EXPECT_EQ(large.grow_to(kFree + 40, nullptr), Share::Grown::yes);
    EXPECT_EQ(large.grow_to(kFree + 60, nullptr), Share::Grown::yes);
    EXPECT_EQ(large.grow_to(kFree + 50, nullptr), Share::Grown::yes);
    EXPECT_EQ(budget.used(), 60u);
    const Share moved = std::move(large);
    EXPECT_EQ(budget.used(), 60u);
  }
  EXPECT_EQ(budget.used(), 0u);
}

TEST(MemoryBudget, OldestMayAlwaysGoOnTheOthersWait) {
  MemoryBudget budget(100);
  std::optional<Share> first(std::in_place, &budget);
  Share second(&budget);
  ASSERT_EQ(first->grow_to(kFree + 80, nullptr), Share::Grown::yes);
  std::atomic<bool> done = false;
  std::thread waiting([&] {
    EXPECT_EQ(second.grow_to(kFree + 50, nullptr), Share::Grown::yes);
    done = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_FALSE(done);
  EXPECT_EQ(first->grow_to(kFree + 500, nullptr), Share::Grown::yes);
  EXPECT_FALSE(done);
  first.reset();
  waiting.join();
  EXPECT_TRUE(done);
  EXPECT_EQ(budget.used(), 50u);
}

TEST(MemoryBudget, StopEndsTheWait) {
  MemoryBudget budget(10);
  Share first(&budget);
  Share second(&budget);
  ASSERT_EQ(first.grow_to(kFree + 10, nullptr), Share::Grown::yes);
  const std::atomic<bool> stop = true;
  EXPECT_EQ(second.grow_to(kFree + 10, &stop), Share::Grown::stopped);
}

}  // namespace
}  // namespace merlon::fetch
