// SPDX-License-Identifier: Apache-2.0
#include "dataplane/stats/stages.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <thread>

#include "tests/support/seed.h"

namespace merlon::stats {
namespace {

constexpr uint64_t kForEver = UINT64_MAX;

TEST(LogLinear, BucketsFollowEachOtherWithoutGap) {
  uint64_t lower = 0;
  for (size_t bucket = 0; bucket < LogLinear::kBucketCount; ++bucket) {
    const uint64_t upper = LogLinear::upper_edge(bucket);
    ASSERT_EQ(LogLinear::bucket_of(lower), bucket) << lower;
    ASSERT_EQ(LogLinear::bucket_of(upper), bucket) << upper;
    EXPECT_LE(upper - lower, lower / 16) << "a bucket is at most a sixteenth wide";
    lower = upper + 1;
  }
  EXPECT_EQ(lower, uint64_t{1} << LogLinear::kBitsMax);
  EXPECT_EQ(LogLinear::bucket_of(UINT64_MAX), LogLinear::kBucketCount - 1);
}

TEST(StageProfile, QuantilesAreThoseOfTheSortedValues) {
  std::mt19937_64 random(test::seed_for("Stats"));
  StageProfile profile;
  profile.start(kForEver);
  ASSERT_TRUE(profile.active());
  std::vector<uint64_t> values;  // of each packet, in sixteenths of a tick
  uint64_t sum = 0;
  for (int i = 0; i < 5000; ++i) {
    const size_t packets = 1 + random() % 64;
    const uint64_t elapsed = random() % (uint64_t{1} << (random() % 30));
    profile.record(Stage::parse, elapsed, packets);
    values.insert(values.end(), packets, elapsed * 16 / packets);
    sum += elapsed;
  }
  std::ranges::sort(values);
  const StageNumbers numbers = profile.numbers(Stage::parse);
  EXPECT_EQ(numbers.packet_count, values.size());
  EXPECT_EQ(numbers.tick_sum, sum);
  EXPECT_EQ(numbers.max, values.back());
  for (const double part : {0.01, 0.5, 0.9, 0.99, 1.0}) {
    const auto rank = static_cast<size_t>(std::ceil(part * static_cast<double>(values.size()))) - 1;
    EXPECT_GE(numbers.quantile(part), values[rank]);
    EXPECT_LE(numbers.quantile(part), values[rank] + values[rank] / 16);
  }
  EXPECT_EQ(profile.numbers(Stage::send).packet_count, 0u);
}

TEST(StageProfile, IsOffUntilStartedAndEndsByItself) {
  StageProfile profile;
  EXPECT_FALSE(profile.active());
  profile.start(ticks() + static_cast<uint64_t>(20e6 * ticks_per_ns()));
  EXPECT_TRUE(profile.active());
  StageTimer(profile).done(Stage::decide, 1);
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  EXPECT_FALSE(profile.active());
  EXPECT_EQ(profile.numbers(Stage::decide).packet_count, 1u) << "what was measured stays";
}

TEST(StageProfile, ANewRunForgetsTheOneBefore) {
  StageProfile profile;
  profile.start(kForEver);
  StageTimer(profile).done(Stage::decide, 5);
  EXPECT_EQ(profile.numbers(Stage::decide).packet_count, 5u);
  profile.start(kForEver);
  EXPECT_EQ(profile.numbers(Stage::decide).packet_count, 0u) << "no burst since";
  StageTimer(profile).done(Stage::decide, 2);
  EXPECT_EQ(profile.numbers(Stage::decide).packet_count, 2u);
}

TEST(StageTimer, MeasuresFromStageToStage) {
  StageProfile profile;
  profile.start(kForEver);
  StageTimer timer(profile);
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  timer.done(Stage::parse, 10);
  timer.done(Stage::send, 10);
  timer.done(Stage::sample, 0);  // nobody was there: no value
  const auto ns_of = [&](Stage stage) {
    return static_cast<double>(profile.numbers(stage).tick_sum) / ticks_per_ns();
  };
  EXPECT_GE(ns_of(Stage::parse), 4.9e6);
  EXPECT_LT(ns_of(Stage::send), ns_of(Stage::parse));
  EXPECT_EQ(profile.numbers(Stage::sample).packet_count, 0u);
}

TEST(Stages, TicksAreCalibrated) {
  const auto start = std::chrono::steady_clock::now();
  const uint64_t first = ticks();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const uint64_t last = ticks();
  const auto ns =
      std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start);
  // The clock's interval is the outer one; a busy machine may lengthen it between the readings.
  EXPECT_LE(static_cast<double>(last - first) / ticks_per_ns(), ns.count() * 1.01);
  EXPECT_GE(static_cast<double>(last - first) / ticks_per_ns(), 50e6 * 0.98);
}

TEST(Stages, HaveNames) {
  EXPECT_EQ(to_string(Stage::look_up), "look_up");
  EXPECT_EQ(to_string(Stage::count_), "unknown");
}

}  // namespace
}  // namespace merlon::stats
