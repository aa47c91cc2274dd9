// SPDX-License-Identifier: Apache-2.0
#include "controlplane/coordinator/due.h"

#include <gtest/gtest.h>

#include <set>

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
  const int64_t next = next_attempt(record(FeedHealth::good, kNow - 10, kNow - 10), kNow);
  EXPECT_GE(next, kNow + 3590);
  EXPECT_LE(next, kNow + 3590 + 180);
}

TEST(NextAttempt, FeedsOfOneMomentDoNotStayTogether) {
  std::set<int64_t> times;
  for (int i = 0; i < 100; ++i) {
    store::FeedRecord one = record(FeedHealth::good, kNow, kNow);
    one.definition.id = "feed-" + std::to_string(i);
    times.insert(next_attempt(one, kNow));
    EXPECT_EQ(next_attempt(one, kNow), next_attempt(one, kNow + 1));
  }
  EXPECT_GT(times.size(), 50u);
}

TEST(NextAttempt, RetryAfterIsKept) {
  for (const FeedHealth health : {FeedHealth::good, FeedHealth::failed}) {
    store::FeedRecord one = record(health, kNow, kNow - 10);
    one.state.not_before = kNow + 40'000;
    EXPECT_EQ(next_attempt(one, kNow), kNow + 40'000);
  }
}

TEST(Lane, IsQuickForWhoWasQuickAndForFiles) {
  store::FeedRecord one = record(FeedHealth::good, kNow, kNow);
  one.definition.url = "https://feed.example/";
  one.state.last_duration_ms = 4000;
  EXPECT_EQ(lane_of(one), fetch::Lane::quick);
  one.state.last_duration_ms = 6000;
  EXPECT_EQ(lane_of(one), fetch::Lane::slow);
  one.state.last_duration_ms = 10;
  one.state.health = FeedHealth::failed;
  EXPECT_EQ(lane_of(one), fetch::Lane::slow);
  one.definition.url = "file:///feed";
  EXPECT_EQ(lane_of(one), fetch::Lane::quick);
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
