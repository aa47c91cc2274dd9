// SPDX-License-Identifier: Apache-2.0
#include "controlplane/safety/guard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace merlon::safety {
namespace {

using testing::HasSubstr;

class Guard : public testing::Test {
 protected:
  Guard() {
    before_.prefix4_count = 1000;
    before_.line_count = 1000;
    before_.format = "plain";
    memory_.set_hash = 7;
  }
  Candidate candidate() {
    return {.definition = definition_,
            .before = before_,
            .memory = memory_,
            .format = "plain",
            .entries = 1000,
            .lines = 1000,
            .set_hash = 8};
  }

  store::FeedDefinition definition_;
  store::FeedState before_;
  Memory memory_;
};

TEST_F(Guard, BelievesOrdinaryChanges) {
  for (const uint64_t entries : {250U, 900U, 1000U, 5000U}) {
    Candidate next = candidate();
    next.entries = entries;
    EXPECT_EQ(doubt(next), "") << entries;
  }
}

TEST_F(Guard, DoubtsShrinkingAndGrowth) {
  Candidate next = candidate();
  next.entries = 249;
  EXPECT_EQ(doubt(next), "shrank from 1000 entries to 249, 24.9 % of what is in force");
  next.entries = 6000;
  EXPECT_EQ(doubt(next), "grew from 1000 entries to 6000, 6 times as many as are in force");
}

TEST_F(Guard, SmallFeedsMayChangeByLeaps) {
  before_.prefix4_count = 99;
  before_.line_count = 99;
  Candidate next = candidate();
  next.entries = 1;
  EXPECT_EQ(doubt(next), "");
  next.entries = 100'000;
  EXPECT_EQ(doubt(next), "");
}

TEST_F(Guard, DoubtsMoreRefusedLinesThanUsual) {
  Candidate next = candidate();
  next.rejected = 250;
  EXPECT_EQ(doubt(next), "250 of 1000 lines are refused (25 %), where 0.0 % were before");
  before_.rejected_count = 200;
  EXPECT_EQ(doubt(next), "");
}

TEST_F(Guard, DoubtsAnotherFormatUnlessTheDefinitionNamesIt) {
  Candidate next = candidate();
  next.format = "csv; column=2";
  EXPECT_THAT(doubt(next), HasSubstr("was read as plain, and looks like csv now"));
  definition_.format = "csv; column=2";
  EXPECT_EQ(doubt(next), "");
}

TEST_F(Guard, DoubtsOtherColumns) {
  memory_.shape = shape_of("first_seen,ip,port\n2024-01-01,45.1.2.3,80\n");
  Candidate next = candidate();
  next.shape = shape_of("first_seen,asn,ip,port\n2024-01-01,64500,45.1.2.3,80\n");
  EXPECT_THAT(doubt(next), HasSubstr("its columns changed from \"3 columns, , between: "
                                     "first_seen,ip,port\" to \"4 columns"));
  next.shape = shape_of("first_seen,ip,port\n2025-01-01,45.1.2.9,443\n");
  EXPECT_EQ(doubt(next), "");
}

TEST_F(Guard, DoubtsWhatBecomesAnotherFeedsContentAndNotWhatAlwaysWas) {
  Candidate next = candidate();
  next.same_as = "other";
  EXPECT_THAT(doubt(next), HasSubstr("exactly what feed other lists"));
  memory_.set_hash = 0;  // its first content
  EXPECT_EQ(doubt(next), "");
}

TEST_F(Guard, DoesNotDoubtWhatIsInForce) {
  Candidate same = candidate();
  same.set_hash = 7;
  same.format = "csv";
  same.same_as = "other";
  EXPECT_EQ(doubt(same), "");
}

TEST_F(Guard, StaleIsWhatRestsFarLongerThanItUsedTo) {
  constexpr int64_t kDay = 86'400;
  store::FeedRecord record;
  record.state.last_changed = 1'700'000'000;
  const int64_t then = record.state.last_changed;
  EXPECT_EQ(staleness(record, {}, then + 7 * kDay), "");
  EXPECT_THAT(staleness(record, {}, then + 8 * kDay), HasSubstr("not changed for 8 days"));
  const Memory slow{.usual_gap_s = 10 * kDay};
  EXPECT_EQ(staleness(record, slow, then + 50 * kDay), "");
  EXPECT_THAT(staleness(record, slow, then + 51 * kDay), HasSubstr("240 hours were usual"));
}

TEST_F(Guard, UsualGapFollowsTheLongestAndFades) {
  store::FeedState state;
  Memory memory;
  note_change(state, 1000, memory);
  EXPECT_EQ(memory.usual_gap_s, 0);
  state.last_changed = 1000;
  note_change(state, 5000, memory);
  EXPECT_EQ(memory.usual_gap_s, 4000);
  state.last_changed = 5000;
  note_change(state, 5100, memory);
  EXPECT_EQ(memory.usual_gap_s, 3000);
}

TEST_F(Guard, MemoryComesBackAsItWasAndDamageIsAnError) {
  Memory memory{.set_hash = UINT64_MAX,
                .shape = "3 columns",
                .usual_gap_s = 5,
                .quarantines = 2,
                .same_as = "other",
                .held = Held{.at = 9, .reason = "shrank", .etag = "\"x\""}};
  memory.findings = {.count4 = 1,
                     .by_reason = {{"loopback", 1}},
                     .examples = {{"127.0.0.1", "127.0.0.0/8", "loopback"}}};
  const auto again = decode_memory(encode_memory(memory));
  ASSERT_TRUE(again.has_value()) << again.error().message;
  EXPECT_EQ(*again, memory);
  EXPECT_EQ(decode_memory("{}").error().code, ErrorCode::corruption);
}

TEST_F(Guard, HashTellsSetsApart) {
  store::FeedSet one;
  one.v4 = {{0x2d010203, 32}};
  store::FeedSet other = one;
  EXPECT_EQ(hash_of(one), hash_of(other));
  other.domains = {"a.example"};
  EXPECT_NE(hash_of(one), hash_of(other));
  EXPECT_NE(hash_of({}), 0U);
}

}  // namespace
}  // namespace merlon::safety
