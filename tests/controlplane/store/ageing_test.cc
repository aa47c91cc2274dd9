// SPDX-License-Identifier: Apache-2.0
// Entries that age, histories of several intervals, and what keeps them small.
#include "controlplane/store/ageing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controlplane/store/codec.h"
#include "controlplane/store/history.h"
#include "controlplane/store/merge.h"
#include "tests/controlplane/store/support.h"

namespace merlon::store {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr int64_t kHour = 3600;
constexpr int64_t kDay = 86400;
constexpr int64_t kStart = 1'700'000'000;

TEST(Ageing, EveryFormReadsBack) {
  for (const char* text : {"sudden_death", "last_seen+7d", "first_seen+30d", "last_seen+12h",
                           "first_seen+90s", "expires=3", "expires=valid_until"}) {
    const auto ageing = parse_ageing(text);
    ASSERT_TRUE(ageing.has_value()) << text;
    EXPECT_EQ(to_text(*ageing), text);
  }
  EXPECT_EQ(parse_ageing("last_seen+7d")->span_s, 7u * 86400);
  EXPECT_EQ(to_text(parse_ageing("last_seen+2w").value()), "last_seen+14d");
}

TEST(Ageing, WhatIsNoAgeingIsRefused) {
  for (const char* text : {"", "never", "last_seen", "last_seen+", "last_seen+d", "last_seen+0d",
                           "last_seen+7", "last_seen+7y", "last_seen+-1d", "last_seen+99999999999w",
                           "expires=", "expires=a;b", "first_seen+1d "}) {
    EXPECT_FALSE(parse_ageing(text).has_value()) << text;
  }
  FeedDefinition feed = definition("a");
  feed.ageing = "expires=3";
  EXPECT_FAILS(check_ageing(feed), invalid_argument, HasSubstr("csv"));
  feed.format = "csv; column=1";
  EXPECT_GOOD(check_ageing(feed));
  EXPECT_EQ(format_with_ageing(feed), "csv; column=1; expires=3");
}

class StoreAgeing : public StoreTest {
 protected:
  void add(const std::string& id, const std::string& ageing) {
    FeedDefinition feed = definition(id);
    feed.ageing = ageing;
    feed.format = ageing.starts_with("expires") ? "csv; column=1" : "auto";
    EXPECT_GOOD(store->add_feed(feed));
  }
  ApplySummary apply(const std::string& id, const std::vector<std::string>& values, int64_t now,
                     const std::vector<Expiry>& expiries = {}) {
    const auto summary =
        store->apply(id, set_from(values), good_state(now), now, {.expiries = expiries});
    EXPECT_TRUE(summary.has_value()) << summary.error().message;
    return summary.value_or(ApplySummary{});
  }
  uint64_t count(const std::string& id) const { return store->set_of(id)->v4.size(); }
  std::vector<Interval> intervals(const std::string& value) const {
    const auto all = seen(value);
    return all.empty() ? std::vector<Interval>{} : all.front().intervals;
  }
};

TEST_F(StoreAgeing, RelistingKeepsTheFirstInterval) {
  add("a", "sudden_death");
  apply("a", {"5.0.0.1"}, kStart);
  apply("a", {}, kStart + kDay);
  apply("a", {"5.0.0.1"}, kStart + 3 * kDay);
  EXPECT_THAT(intervals("5.0.0.1"),
              ElementsAre(Interval{kStart, kStart + kDay}, Interval{kStart + 3 * kDay, 0}));
  EXPECT_EQ(seen("5.0.0.1")[0].first_seen, kStart);
  apply("a", {}, kStart + 4 * kDay);
  reopen();
  EXPECT_THAT(intervals("5.0.0.1"), ElementsAre(Interval{kStart, kStart + kDay},
                                                Interval{kStart + 3 * kDay, kStart + 4 * kDay}));
}

TEST_F(StoreAgeing, ShortBreakIsNone) {
  add("a", "sudden_death");
  apply("a", {"5.0.0.1"}, kStart);
  apply("a", {}, kStart + kDay);
  apply("a", {"5.0.0.1"}, kStart + kDay + 60);
  EXPECT_THAT(intervals("5.0.0.1"), ElementsAre(Interval{kStart, 0}));
}

TEST_F(StoreAgeing, ClockThatGoesBackLeavesAHistoryThatReads) {
  add("a", "sudden_death");
  apply("a", {"5.0.0.1"}, kStart + kDay);
  apply("a", {}, kStart);
  apply("a", {"5.0.0.1"}, kStart - kDay);
  EXPECT_THAT(intervals("5.0.0.1"), ElementsAre(Interval{kStart + kDay, 0}));
}

TEST_F(StoreAgeing, WhatTheSourceDropsLingersUntilItsTime) {
  add("a", "last_seen+7d");
  apply("a", {"5.0.0.1", "5.0.0.2"}, kStart);
  const uint64_t before = store->revision();
  const auto kept = apply("a", {"5.0.0.2"}, kStart + kDay);
  EXPECT_EQ(kept.removed, 0u);
  EXPECT_EQ(store->revision(), before);  // nothing changed for the lists
  EXPECT_EQ(count("a"), 2u);
  const Observation one = seen("5.0.0.1").at(0);
  EXPECT_TRUE(one.listed);
  EXPECT_TRUE(one.gone);
  EXPECT_EQ(one.ages_out, kStart + 7 * kDay);  // after the source was last known to name it
  EXPECT_EQ(one.last_seen, kStart);
  EXPECT_FALSE(seen("5.0.0.2").at(0).gone);

  EXPECT_THAT(store->age_out(kStart + 7 * kDay - 1).value(), IsEmpty());
  EXPECT_THAT(store->age_out(kStart + 7 * kDay).value(), ElementsAre(AgedOut{"a", 1}));
  EXPECT_EQ(count("a"), 1u);
  EXPECT_EQ(store->feed("a")->state.prefix4_count, 1u);
  EXPECT_THAT(intervals("5.0.0.1"), ElementsAre(Interval{kStart, kStart + 7 * kDay}));
  EXPECT_THAT(store->age_out(kStart + 30 * kDay).value(), IsEmpty());
}

TEST_F(StoreAgeing, OnlyDependantsHearOfWhatAgedOut) {
  add("a", "last_seen+7d");
  add("b", "last_seen+7d");
  apply("a", {"5.0.0.1"}, kStart);
  apply("b", {"5.0.0.1"}, kStart);
  apply("a", {}, kStart + kDay);
  const uint64_t before = store->revision();
  EXPECT_GOOD(store->age_out(kStart + 8 * kDay));
  EXPECT_THAT(store->changes_since(before).value(),
              ElementsAre(Change{.kind = Change::Kind::feed_set, .feed = "a"}));
  EXPECT_EQ(count("b"), 1u);
  EXPECT_TRUE(seen("5.0.0.1").at(0).listed);
  EXPECT_EQ(seen("5.0.0.1").at(0).feed, "b");
}

TEST_F(StoreAgeing, LingeringEntryThatComesBackIsAsIfItNeverWent) {
  add("a", "last_seen+7d");
  apply("a", {"5.0.0.1"}, kStart);
  apply("a", {}, kStart + kDay);
  EXPECT_EQ(apply("a", {"5.0.0.1"}, kStart + 2 * kDay).unchanged, 1u);
  EXPECT_FALSE(seen("5.0.0.1").at(0).gone);
  EXPECT_THAT(store->age_out(kStart + 100 * kDay).value(), IsEmpty());
  EXPECT_THAT(intervals("5.0.0.1"), ElementsAre(Interval{kStart, 0}));
}

TEST_F(StoreAgeing, EntryAgesOutThoughTheSourceGoesOnAndIsReactivatedAfterABreak) {
  add("a", "first_seen+30d");
  apply("a", {"5.0.0.1"}, kStart);
  EXPECT_EQ(seen("5.0.0.1").at(0).ages_out, kStart + 30 * kDay);
  EXPECT_THAT(store->age_out(kStart + 30 * kDay).value(), ElementsAre(AgedOut{"a", 1}));
  EXPECT_EQ(apply("a", {"5.0.0.1"}, kStart + 31 * kDay).added, 0u);
  EXPECT_EQ(count("a"), 0u);
  EXPECT_EQ(store->feed("a")->state.prefix4_count, 0u);
  EXPECT_FALSE(seen("5.0.0.1").at(0).listed);
  EXPECT_EQ(apply("a", {}, kStart + 32 * kDay).removed, 0u);
  EXPECT_EQ(apply("a", {"5.0.0.1"}, kStart + 33 * kDay).added, 1u);
  EXPECT_EQ(count("a"), 1u);
  EXPECT_THAT(intervals("5.0.0.1"),
              ElementsAre(Interval{kStart, kStart + 30 * kDay}, Interval{kStart + 33 * kDay, 0}));
}

TEST_F(StoreAgeing, SourceSaysItselfWhenAnEntryEnds) {
  add("a", "expires=2");
  const auto v4 = [](const char* text) { return address::parse_prefix(text).value(); };
  apply("a", {"5.0.0.1", "5.0.0.2", "5.0.0.3", "x.example"}, kStart,
        {{.prefix = v4("5.0.0.1"), .time = kStart + kHour},
         {.prefix = v4("5.0.0.2"), .time = kStart - 1},
         {.domain = "x.example", .time = kStart + kHour}});
  EXPECT_EQ(count("a"), 2u);  // one is over already, one has no end
  EXPECT_THAT(seen("5.0.0.2"), IsEmpty());
  EXPECT_THAT(store->age_out(kStart + kHour).value(), ElementsAre(AgedOut{"a", 2}));
  EXPECT_EQ(store->set_of("a").value(), set_from({"5.0.0.3"}));
  // A later end brings it back.
  EXPECT_EQ(apply("a", {"5.0.0.1", "5.0.0.3"}, kStart + 2 * kHour,
                  {{.prefix = v4("5.0.0.1"), .time = kStart + 5 * kHour}})
                .added,
            1u);
  EXPECT_EQ(seen("5.0.0.1").at(0).ages_out, kStart + 5 * kHour);
}

TEST_F(StoreAgeing, OtherAgeingTakesHoldWithTheNextContent) {
  add("a", "last_seen+7d");
  apply("a", {"5.0.0.1", "5.0.0.2"}, kStart);
  apply("a", {"5.0.0.2"}, kStart + kHour);
  EXPECT_GOOD(store->replace_feed(definition("a")));
  EXPECT_EQ(apply("a", {"5.0.0.2"}, kStart + 2 * kHour).removed, 1u);
  EXPECT_THAT(store->age_out(kStart + 100 * kDay).value(), IsEmpty());
  FeedDefinition young = definition("a");
  young.ageing = "first_seen+1d";
  EXPECT_GOOD(store->replace_feed(young));
  apply("a", {"5.0.0.2"}, kStart + 3 * kHour);
  EXPECT_THAT(store->age_out(kStart + kDay).value(), ElementsAre(AgedOut{"a", 1}));
}

TEST_F(StoreAgeing, RemovedFeedTakesItsEndsWithIt) {
  add("a", "last_seen+7d");
  apply("a", {"5.0.0.1"}, kStart);
  apply("a", {}, kStart + kHour);
  EXPECT_GOOD(store->remove_feed("a", kStart + 2 * kHour));
  EXPECT_THAT(store->age_out(kStart + 100 * kDay).value(), IsEmpty());
  EXPECT_THAT(intervals("5.0.0.1"), ElementsAre(Interval{kStart, kStart + 2 * kHour}));
}

TEST_F(StoreAgeing, OldHistoryIsForgottenAndThePresentStays) {
  add("a", "sudden_death");
  add("b", "sudden_death");
  apply("a", {"5.0.0.1", "5.0.0.2"}, kStart);
  apply("b", {"5.0.0.1"}, kStart);
  apply("a", {"5.0.0.2"}, kStart + kDay);
  EXPECT_GOOD(store->note_generation(4, kStart));
  EXPECT_GOOD(store->note_generation(5, kStart + 700 * kDay));
  EXPECT_EQ(store->compact_history(kStart + 2 * kDay, 1000)->changed, 0u);
  const int64_t later = kStart + 800 * kDay;
  const auto first = store->compact_history(later, 1);
  EXPECT_EQ(first->visited, 1u);
  EXPECT_FALSE(first->at_end);
  EXPECT_EQ(first->changed + store->compact_history(later, 100)->changed, 1u);
  ASSERT_EQ(seen("5.0.0.1").size(), 1u);
  EXPECT_EQ(seen("5.0.0.1")[0].feed, "b");
  EXPECT_EQ(seen("5.0.0.2").size(), 1u);
  EXPECT_EQ(store->generation_at(later)->known_from, kStart + 700 * kDay);
  // And the feed may list it again.
  EXPECT_EQ(apply("a", {"5.0.0.1", "5.0.0.2"}, later).added, 1u);
}

TEST(History, MoreBreaksThanAreKeptLoseTheShortest) {
  Sighting sighting{.feed = 1, .first_seen = 1000, .last_seen = 0, .listed = true};
  const HistoryOptions options{.merge_gap_s = 10, .intervals_max = 4};
  uint32_t now = 1000;
  for (const uint32_t gap : {500u, 20u, 600u, 700u, 30u, 800u}) {
    close_interval(sighting, now += 100);
    open_interval(sighting, now += gap, options);
  }
  EXPECT_EQ(sighting.earlier.size(), 3u);
  EXPECT_EQ(first_seen_of(sighting), 1000u);
  EXPECT_EQ(sighting.first_seen, now);
  for (size_t i = 1; i < sighting.earlier.size(); ++i) {
    EXPECT_GE(sighting.earlier[i].from - sighting.earlier[i - 1].until, 500u);
  }
}

TEST(History, OldIntervalsWithShortBreaksBecomeOne) {
  std::vector<Sighting> sightings{{.feed = 1,
                                   .first_seen = 900'000,
                                   .last_seen = 0,
                                   .listed = true,
                                   .earlier = {{1000, 2000}, {3000, 4000}, {500'000, 600'000}}}};
  const HistoryOptions options{.coarse_after_s = 100, .coarse_gap_s = 5000};
  EXPECT_TRUE(compact(sightings, 1'000'000, options));
  EXPECT_THAT(sightings[0].earlier,
              ElementsAre(StoredInterval{1000, 4000}, StoredInterval{500'000, 600'000}));
  EXPECT_FALSE(compact(sightings, 1'000'000, options));
}

TEST(History, SightingsOfSeveralIntervalsReadBackInFewBytes) {
  std::vector<Sighting> many{{.feed = 3, .first_seen = 100, .last_seen = 0, .listed = true},
                             {.feed = 70'000,
                              .first_seen = 4'000'000'000,
                              .last_seen = 4'000'000'100,
                              .listed = false,
                              .earlier = {{0, 0}, {5, 86405}, {100'000, 3'999'999'999}}},
                             {.feed = 4,
                              .first_seen = 4'294'967'295,
                              .last_seen = 0,
                              .listed = true,
                              .earlier = {{1, 4'294'967'290}}}};
  std::string bytes;
  encode_sightings(many, bytes);
  std::vector<Sighting> read;
  ASSERT_TRUE(decode_sightings(bytes, read));
  EXPECT_EQ(read, many);
  for (size_t cut = 1; cut < bytes.size(); ++cut) {  // never reads past the end
    decode_sightings(std::string_view(bytes).substr(0, cut), read);
  }
  EXPECT_FALSE(decode_sightings(std::string_view("\0\x07\xff\xff\xff\xff\x0f\0\0\0\1", 11), read));
  EXPECT_FALSE(decode_sightings(std::string_view("\0\x07\x01\xff\xff\xff\xff\x05\x05", 9), read));
  // A day listed, three days not, listed again: 13 bytes.
  encode_sightings({{.feed = 9,
                     .first_seen = 1'700'345'600,
                     .last_seen = 0,
                     .listed = true,
                     .earlier = {{1'700'000'000, 1'700'086'400}}}},
                   bytes);
  EXPECT_LE(bytes.size(), 13u);
}

TEST(Merge, ConfidenceIsTheHighestTimesAreTheWidest) {
  const std::vector<Claim> claims{
      {.feed = "a", .confidence = 50, .listed = true, .first_seen = 100, .last_seen = 900},
      {.feed = "b", .confidence = 80, .listed = true, .first_seen = 200, .last_seen = 950},
      {.feed = "c", .confidence = 99, .listed = false, .first_seen = 50, .last_seen = 60}};
  EXPECT_EQ(merge_claims(claims), (Merged{.sources = 2,
                                          .independent = 2,
                                          .confidence = 80,
                                          .combined = 90,
                                          .first_seen = 50,
                                          .last_seen = 950}));
  EXPECT_EQ(merge_claims({}), Merged{});
}

TEST(Merge, FeedsThatCopyEachOtherAreOneWitness) {
  std::vector<Claim> claims{
      {.feed = "origin", .confidence = 50, .listed = true},
      {.feed = "copy", .confidence = 60, .listed = true, .copies = {"origin"}},
      {.feed = "copy-of-copy", .confidence = 40, .listed = true, .copies = {"copy", "unknown"}}};
  Merged merged = merge_claims(claims);
  EXPECT_EQ(merged.sources, 3u);
  EXPECT_EQ(merged.independent, 1u);
  EXPECT_EQ(merged.combined, 60);
  claims[0].listed = false;  // the copy was made of something else then
  merged = merge_claims(claims);
  EXPECT_EQ(merged.independent, 1u);
  claims[1].listed = false;
  EXPECT_EQ(merge_claims(claims).independent, 1u);
  claims = {{.feed = "a", .confidence = 90, .listed = true},
            {.feed = "a", .confidence = 90, .listed = true},
            {.feed = "b", .confidence = 90, .listed = true},
            {.feed = "c", .confidence = 100, .listed = true}};
  merged = merge_claims(claims);
  EXPECT_EQ(merged.sources, 3u);
  EXPECT_EQ(merged.combined, 100);
  claims.pop_back();
  EXPECT_EQ(merge_claims(claims).combined, 99);
}

}  // namespace
}  // namespace merlon::store
