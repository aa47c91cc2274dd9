// SPDX-License-Identifier: Apache-2.0
// Ten thousand accounts: one edit, one account's things, and all of them for a first build. The
// limits are far above what is measured on a small machine; the printed numbers are the interesting
// part.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>

#include "tests/controlplane/store/account_support.h"

namespace merlon::store {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr uint32_t kAccounts = 500;
constexpr double kSlower = 20;
#else
constexpr uint32_t kAccounts = 10'000;
constexpr double kSlower = 1;
#endif
constexpr uint32_t kEntries = 100;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::string account_name(uint32_t i) {
  return "customer-" + std::to_string(i);
}

using StoreAccountScale = AccountTest;

TEST_F(StoreAccountScale, OneEditIsQuickAndAllIsReadInSeconds) {
  auto start = std::chrono::steady_clock::now();
  for (uint32_t i = 0; i < kAccounts; ++i) {
    const std::string name = account_name(i);
    Device made = device("fw-" + std::to_string(i), name, {});
    made.sources.push_back({address::Family::v4, 32, address::Bits6{0x05000000} + i});
    ASSERT_TRUE(store->add_device(made, 1).has_value());
    ASSERT_TRUE(store->add_list(own_list(name, "own"), 1).has_value());
    ASSERT_TRUE(store->add_policy(ip_policy(name, "edge", {"own"}), 1).has_value());
    std::vector<CustomEntry> entries;
    for (uint32_t k = 0; k < kEntries; ++k) {
      entries.push_back(k % 4 == 3 ? entry(fmt::format("h{}.c{}.example", k, i))
                                   : entry(address::to_text_v4(0x06000000 + i * kEntries + k)));
    }
    ASSERT_TRUE(store->add_entries(name, "own", entries, {.now = 1}).has_value());
  }
  std::printf("%u accounts with %u entries each made in %.1f s\n", kAccounts, kEntries,
              seconds_since(start));
  reopen();

  start = std::chrono::steady_clock::now();
  const auto accounts = store->accounts().value();
  const auto devices = store->devices().value();
  const auto policies = store->policies().value();
  const auto lists = store->lists().value();
  uint64_t values = 0;
  for (const CustomList& list : lists) {
    const FeedSet set = store->set_of_list(list.number).value();
    values += set.v4.size() + set.domains.size();
  }
  const double all_seconds = seconds_since(start);
  EXPECT_EQ(accounts.size(), kAccounts);
  EXPECT_EQ(devices.size(), kAccounts);
  EXPECT_EQ(policies.size(), kAccounts);
  EXPECT_EQ(values, uint64_t{kAccounts} * kEntries);
  std::printf("all of it read in %.2f s\n", all_seconds);
  EXPECT_LT(all_seconds, 3 * kSlower);

  std::vector<double> seconds;
  for (uint32_t i = 0; i < 200; ++i) {
    const std::vector<CustomEntry> one{entry(address::to_text_v4(0x09090a00 + i))};
    start = std::chrono::steady_clock::now();
    ASSERT_EQ(store->add_entries(account_name(i * 37 % kAccounts), "own", one, {.now = 2})->added,
              1u);
    seconds.push_back(seconds_since(start));
  }
  std::sort(seconds.begin(), seconds.end());
  std::printf("one entry added in %.0f us (median), %.0f us (p99)\n",
              seconds[seconds.size() / 2] * 1e6, seconds[seconds.size() * 99 / 100] * 1e6);
  EXPECT_LT(seconds[seconds.size() / 2], 0.005 * kSlower);

  start = std::chrono::steady_clock::now();
  for (uint32_t i = 0; i < 200; ++i) {
    const std::string name = account_name(i * 41 % kAccounts);
    ASSERT_EQ(store->devices_of(name)->size(), 1u);
    ASSERT_EQ(store->policies_of(name)->size(), 1u);
    ASSERT_GE(store->set_of_list(store->lists_of(name)->at(0).number)->v4.size(), 75u);
  }
  std::printf("one account's things read in %.0f us\n", seconds_since(start) / 200 * 1e6);
  EXPECT_LT(seconds_since(start) / 200, 0.005 * kSlower);
}

TEST_F(StoreAccountScale, AHundredThousandEntriesGoInAtOnce) {
  EXPECT_GOOD(store->add_account(account("acme"), 1));
  EXPECT_GOOD(store->add_list(own_list("acme", "own"), 1));
  std::vector<CustomEntry> entries;
  for (uint32_t i = 0; i < kEntryBatchMax; ++i) {
    entries.push_back(entry(address::to_text_v4(0x05000000 + i * 3), "", 1000));
  }
  auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(add_entries("acme", "own", entries).added, kEntryBatchMax);
  std::printf("%zu entries added in %.2f s\n", entries.size(), seconds_since(start));
  EXPECT_LT(seconds_since(start), 5 * kSlower);
  start = std::chrono::steady_clock::now();
  EXPECT_EQ(store->expire_entries(1000)->at(0).removed, kEntryBatchMax);
  std::printf("expired in %.2f s\n", seconds_since(start));
  EXPECT_EQ(store->list("acme", "own")->entry_count, 0u);
}

}  // namespace
}  // namespace merlon::store
