// SPDX-License-Identifier: Apache-2.0
#include "controlplane/coordinator/due.h"

#include <gtest/gtest.h>

namespace merlon::coordinator {
namespace {

using store::FeedHealth;

constexpr int64_t kNow = 2'000'000'000;

store::FeedRecord record(FeedHealth health, int64_t last_attempt, int64_t last_good,
                         uint32_t interval_s = 3600) {
  store::FeedRecord made;
  made.definition.interval_s = interval_s;
  made.state.health = health;
  made.state.last_attempt = last_attempt;
  made.state.last_good = last_good;
  return made;
}

TEST(NextAttempt, NewFeedIsDueAtOnce) {
  EXPECT_LE(next_attempt(record(FeedHealth::never_fetched, 0, 0), kNow), kNow);
}

TEST(NextAttempt, GoodFeedIsDueAfterItsInterval) {
  EXPECT_EQ(next_attempt(record(FeedHealth::good, kNow - 10, kNow - 10), kNow), kNow + 3590);
}

TEST(NextAttempt, BadFeedIsAskedSoonerAndThenEverMoreSeldom) {
  for (const FeedHealth health : {FeedHealth::failed, FeedHealth::quarantined}) {
    EXPECT_EQ(next_attempt(record(health, kNow, kNow - 3600), kNow), kNow + 1800);
    EXPECT_EQ(next_attempt(record(health, kNow, kNow - 7200), kNow), kNow + 3600);
    EXPECT_EQ(next_attempt(record(health, kNow, kNow - 10), kNow), kNow + 60);
    EXPECT_EQ(next_attempt(record(health, kNow, kNow - 10'000'000), kNow), kNow + 4 * 3600);
    EXPECT_EQ(next_attempt(record(health, kNow, kNow - 10'000'000, 86'400), kNow), kNow + 86'400);
  }
}

TEST(NextAttempt, FeedThatWasNeverGoodIsAskedAfterHalfItsInterval) {
  EXPECT_EQ(next_attempt(record(FeedHealth::failed, kNow, 0), kNow), kNow + 1800);
  EXPECT_EQ(next_attempt(record(FeedHealth::failed, kNow, 0, 60), kNow), kNow + 60);
}

// A clock that was years ahead once must not silence a feed for years.
TEST(NextAttempt, AttemptInTheFutureDoesNotCount) {
  EXPECT_LE(next_attempt(record(FeedHealth::good, kNow + 100'000'000, kNow), kNow), kNow);
}

}  // namespace
}  // namespace merlon::coordinator
