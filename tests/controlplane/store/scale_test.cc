// SPDX-License-Identifier: Apache-2.0
// How long a large apply takes, how much it stores and how much memory it needs. The limits are far
// above what is measured on a small machine; the printed numbers are the interesting part.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>

#include "tests/controlplane/store/support.h"

namespace merlon::store {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;  // memory and time are then those of the sanitizer
#else
constexpr bool kSanitized = false;
#endif

using StoreScale = StoreTest;

// Three quarters IPv4 addresses, one eighth IPv6 networks, one eighth domains, all random.
FeedSet random_set(std::mt19937& random, size_t count) {
  FeedSet set;
  while (set.v4.size() < count * 3 / 4) {
    while (set.v4.size() < count * 3 / 4) {
      set.v4.push_back({static_cast<address::Bits4>(random()), 32});
    }
    set.normalise();
  }
  for (size_t i = 0; i < count / 8; ++i) {
    address::Bits6 bits = (address::Bits6{0x2a000000 | (random() & 0xffffff)} << 96);
    bits |= address::Bits6{static_cast<uint32_t>(random())} << 64;
    set.v6.push_back({bits, 64});
    set.domains.push_back(fmt::format("{:x}{:x}.example{}.com", random(), i, random() % 1000));
  }
  set.normalise();
  return set;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

uint64_t directory_bytes(const std::string& path) {
  uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
    bytes += entry.is_regular_file() ? entry.file_size() : 0;
  }
  return bytes;
}

// VmRSS or VmHWM (the highest since reset_peak) in MiB.
uint64_t memory_mib(const std::string& what) {
  std::ifstream status("/proc/self/status");
  std::string line;
  while (std::getline(status, line)) {
    if (line.starts_with(what + ":")) {
      return std::stoull(line.substr(what.size() + 1)) / 1024;
    }
  }
  ADD_FAILURE() << "no " << what;
  return 0;
}

void reset_peak() {
  std::ofstream("/proc/self/clear_refs") << "5";
}

TEST_F(StoreScale, TwoHundredThousandIndicatorsStayBelowAHundredBytesEach) {
  std::mt19937 random(test_seed());
  EXPECT_GOOD(store->add_feed(definition("large")));
  const FeedSet set = random_set(random, 200'000);
  const size_t count = set.v4.size() + set.v6.size() + set.domains.size();
  auto start = std::chrono::steady_clock::now();
  const auto applied = store->apply("large", set, good_state(100), 100);
  const double first_seconds = seconds_since(start);
  ASSERT_TRUE(applied.has_value()) << applied.error().message;
  EXPECT_EQ(applied->added, count);

  start = std::chrono::steady_clock::now();
  EXPECT_EQ(store->apply("large", set, good_state(200), 200)->unchanged, count);
  const double same_seconds = seconds_since(start);

  start = std::chrono::steady_clock::now();
  EXPECT_EQ(store->set_of("large").value(), set);
  const double read_seconds = seconds_since(start);

  start = std::chrono::steady_clock::now();
  for (size_t i = 0; i < 1000; ++i) {
    const auto found = store->observations_of(address::Address::v4(set.v4[i * 100].bits));
    ASSERT_EQ(found->size(), 1u);
  }
  const double lookup_micros = seconds_since(start) * 1000;

  reopen();  // moves the log into tables
  reopen();  // and drops it
  const double bytes_each =
      static_cast<double>(directory_bytes(directory.store())) / static_cast<double>(count);
  std::printf(
      "%zu indicators: apply %.2f s, apply of the same %.2f s, set_of %.2f s, lookup %.0f us, "
      "%.1f bytes each on disk\n",
      count, first_seconds, same_seconds, read_seconds, lookup_micros, bytes_each);
  EXPECT_LT(bytes_each, 100);
  EXPECT_EQ(store->set_of("large").value(), set);
  if (!kSanitized) {
    EXPECT_LT(first_seconds, 30);
  }
}

TEST_F(StoreScale, AQuarterOfAMillionInOneBatchNeedsBoundedMemory) {
  std::mt19937 random(test_seed());
  EXPECT_GOOD(store->add_feed(definition("huge")));
  const FeedSet first = random_set(random, 250'000);
  const FeedSet second = random_set(random, 250'000);
  const uint64_t before = memory_mib("VmRSS");
  reset_peak();
  auto start = std::chrono::steady_clock::now();
  EXPECT_GOOD(store->apply("huge", first, good_state(100), 100));
  const double first_seconds = seconds_since(start);
  const uint64_t first_peak = memory_mib("VmHWM");
  reset_peak();
  start = std::chrono::steady_clock::now();
  EXPECT_GOOD(store->apply("huge", second, good_state(200), 200));  // nearly all differs
  const double second_seconds = seconds_since(start);
  const uint64_t second_peak = memory_mib("VmHWM");
  std::printf(
      "250k: apply %.2f s, peak +%llu MiB; all replaced %.2f s, peak +%llu MiB (RSS before: "
      "%llu)\n",
      first_seconds, static_cast<unsigned long long>(first_peak - before), second_seconds,
      static_cast<unsigned long long>(second_peak - before),
      static_cast<unsigned long long>(before));
  EXPECT_EQ(store->set_of("huge").value(), second);
  if (!kSanitized) {
    EXPECT_LT(first_peak - before, 256u);
    EXPECT_LT(second_peak - before, 384u);
  }
}

}  // namespace
}  // namespace merlon::store
