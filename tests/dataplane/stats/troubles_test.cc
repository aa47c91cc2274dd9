// SPDX-License-Identifier: Apache-2.0
#include "dataplane/stats/troubles.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "dataplane/stats/subjects.h"
#include "zones/name/name.h"

namespace merlon::stats {
namespace {

using answer::Outcome;
using ::testing::ElementsAre;

TroubleSeen seen(Outcome outcome, uint32_t now_s, const name::Name& name) {
  return {.outcome = outcome, .name = name.wire(), .now_s = now_s};
}

const name::Name kName = *name::Name::from_text("sslbl.merlon.internal.");

TEST(TroubleTable, EachKindIsCountedWithItsTime) {
  TroubleTable table(16);
  EXPECT_FALSE(table.read(3).has_value());
  for (uint32_t i = 0; i < 6; ++i) {
    table.note(3, {.outcome = Outcome::truncated, .would_fit = i < 2, .now_s = 100 + i});
  }
  table.note(3, seen(Outcome::limited_slip, 200, kName));
  table.note(3, seen(Outcome::badcookie, 201, kName));
  table.note(3, seen(Outcome::drop_rate_limited, 202, kName));
  table.note(3, seen(Outcome::nxdomain, 300, kName));
  table.note(3, seen(Outcome::refused_not_ours, 400, *name::Name::from_text("x.y.")));
  table.note(3, {.outcome = Outcome::refused_not_ours,
                 .outside = true,
                 .name = name::Name::from_text("www.example.org.")->wire(),
                 .now_s = 401});
  const auto numbers = table.read(3);
  ASSERT_TRUE(numbers.has_value());
  EXPECT_EQ(numbers->truncated, 6u);
  EXPECT_EQ(numbers->would_fit, 2u);
  EXPECT_THAT(numbers->truncated_times, ElementsAre(105, 104, 103, 102));
  EXPECT_EQ(numbers->limited, 3u);
  EXPECT_EQ(numbers->badcookie, 1u);
  EXPECT_EQ(numbers->limited_last, 202u);
  EXPECT_EQ(numbers->missed_last, 300u);
  EXPECT_EQ(numbers->missed_name, "sslbl.merlon.internal.");
  EXPECT_EQ(numbers->hidden, 1u);
  EXPECT_EQ(numbers->hidden_last, 400u);
  EXPECT_EQ(numbers->outside, 1u);
  EXPECT_EQ(numbers->outside_last, 401u);
  EXPECT_EQ(numbers->refused_name, "www.example.org.");
  EXPECT_FALSE(table.read(4).has_value());
  table.clear(3);
  EXPECT_FALSE(table.read(3).has_value());
}

TEST(TroubleTable, NamesAreShownAsTextWhateverTheyHold) {
  TroubleTable table(16);
  const auto shown = [&table](const name::Name& name) {
    table.note(1, seen(Outcome::nxdomain, 1, name));
    return table.read(1)->missed_name;
  };
  EXPECT_EQ(shown(*name::Name::from_text("a\\.\\027\\200b.c.")), "a???b.c.");
  const std::string label(40, 'l');
  EXPECT_EQ(shown(*name::Name::from_text(label + "." + label + ".example.")), label + "....");
}

TEST(TroubleTable, ASharedRowIsGivenOnWhenItIsQuiet) {
  TroubleTable table(4);
  table.note(1, seen(Outcome::nxdomain, 100, kName));
  table.note(5, seen(Outcome::nxdomain, 100 + kTroubleKeepS - 1, kName));
  EXPECT_TRUE(table.read(1).has_value());
  EXPECT_FALSE(table.read(5).has_value()) << "another customer's trouble is not shown as its own";
  table.note(5, seen(Outcome::limited_slip, 100 + kTroubleKeepS, kName));
  EXPECT_FALSE(table.read(1).has_value());
  ASSERT_TRUE(table.read(5).has_value());
  EXPECT_EQ(table.read(5)->missed_last, 0u);
  EXPECT_EQ(table.read(5)->missed_name, "");
  table.clear(1);
  EXPECT_TRUE(table.read(5).has_value());
}

TEST(TroubleTable, WorkersAddUp) {
  TroubleNumbers sum{
      .truncated = 1, .truncated_times = {50}, .missed_last = 9, .missed_name = "a."};
  sum += TroubleNumbers{.truncated = 2,
                        .truncated_times = {60, 40},
                        .limited_last = 7,
                        .missed_last = 8,
                        .missed_name = "b.",
                        .refused_name = "c.",
                        .refused_last = 3};
  EXPECT_EQ(sum.truncated, 3u);
  EXPECT_THAT(sum.truncated_times, ElementsAre(60, 50, 40));
  EXPECT_EQ(sum.missed_name, "a.");
  EXPECT_EQ(sum.refused_name, "c.");
}

TEST(TroubleTable, AReaderNeverSeesHalfAName) {
  TroubleTable table(4);
  const name::Name one = *name::Name::from_text("aaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaa.");
  const name::Name two = *name::Name::from_text("bbbbbbbbbbbbbbbbbbbb.bbbbbbbbbbbbbbbb.");
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    for (uint32_t i = 1; !stop; ++i) {
      table.note(1, seen(Outcome::nxdomain, i, i % 2 == 0 ? one : two));
    }
  });
  for (int i = 0; i < 20'000; ++i) {
    const auto numbers = table.read(1);
    if (numbers && !numbers->missed_name.empty()) {
      EXPECT_EQ(numbers->missed_name,
                numbers->missed_last % 2 == 0 ? one.to_text() : two.to_text());
    }
  }
  stop = true;
  writer.join();
}

TEST(SubjectTable, TheLastUsefulQuestionHasATimeOfItsOwn) {
  SubjectTable table(4);
  table.count(1, Outcome::answered, 100);
  table.count(1, Outcome::nxdomain, 200);
  EXPECT_EQ(table.read(1).last_useful, 100u);
  EXPECT_EQ(table.read(1).last_seen, 200u);
  table.count(1, Outcome::truncated, 300);
  EXPECT_EQ(table.read(1).last_useful, 300u);
  EXPECT_EQ(table.read(1).last_seen, 300u);
}

}  // namespace
}  // namespace merlon::stats
