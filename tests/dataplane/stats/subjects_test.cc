// SPDX-License-Identifier: Apache-2.0
// Slots over random generations against a plain map that knows no slots.
#include "dataplane/stats/subjects.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "tests/support/seed.h"

namespace merlon::stats {
namespace {

using answer::Outcome;
using snapshot::Subject;

using Key = std::pair<uint32_t, uint32_t>;

Subject make_subject(uint32_t account, uint32_t device) {
  return {account, device, 1, snapshot::Verb::pass, {}, {}};
}

bool is_useful(Outcome outcome) {
  const SubjectCounter counter = subject_counter_of(outcome);
  return counter == SubjectCounter::answered || counter == SubjectCounter::nodata ||
         counter == SubjectCounter::truncated;
}

// Tables and a registry over them.
struct Counted {
  explicit Counted(size_t workers, uint32_t slot_count) {
    std::vector<SubjectTable*> pointers;
    for (size_t i = 0; i < workers; ++i) {
      tables.push_back(std::make_unique<SubjectTable>(slot_count));
      pointers.push_back(tables.back().get());
    }
    registry = std::make_unique<SubjectRegistry>(pointers, slot_count);
  }
  std::shared_ptr<const Slots> load(const std::vector<Subject>& subjects) {
    auto slots = registry->assign(subjects);
    registry->settle();
    return slots;
  }
  std::vector<std::unique_ptr<SubjectTable>> tables;
  std::unique_ptr<SubjectRegistry> registry;
};

TEST(SubjectTable, EveryOutcomeIsCountedOnce) {
  SubjectTable table(4);
  SubjectNumbers expected;
  for (size_t i = 0; i < answer::kOutcomeCount; ++i) {
    const auto outcome = static_cast<Outcome>(i);
    table.count(2, outcome, static_cast<uint32_t>(1000 + i));
    ++expected.counts[static_cast<size_t>(subject_counter_of(outcome))];
    if (is_useful(outcome)) {
      expected.last_useful = static_cast<uint32_t>(1000 + i);
    }
  }
  expected.last_seen = static_cast<uint32_t>(1000 + answer::kOutcomeCount - 1);
  EXPECT_EQ(table.read(2), expected);
  EXPECT_EQ(table.read(2).queries(), answer::kOutcomeCount);
  EXPECT_EQ(table.read(1), SubjectNumbers{});
  table.clear(2);
  EXPECT_EQ(table.read(2), SubjectNumbers{});
}

TEST(SubjectTable, OutcomesAreCountedForWhatTheyAre) {
  using enum SubjectCounter;
  EXPECT_EQ(subject_counter_of(Outcome::answered), answered);
  EXPECT_EQ(subject_counter_of(Outcome::nodata), nodata);
  EXPECT_EQ(subject_counter_of(Outcome::nxdomain), nxdomain);
  EXPECT_EQ(subject_counter_of(Outcome::truncated), truncated);
  EXPECT_EQ(subject_counter_of(Outcome::refused_by_verb), refused_by_verb);
  EXPECT_EQ(subject_counter_of(Outcome::refused_not_ours), refused);
  EXPECT_EQ(subject_counter_of(Outcome::refused_class), refused);
  EXPECT_EQ(subject_counter_of(Outcome::drop_ignored_source), dropped);
  EXPECT_EQ(subject_counter_of(Outcome::formerr_opt), other);
  EXPECT_EQ(subject_counter_of(Outcome::notimp_type), other);
  EXPECT_EQ(subject_counter_of(Outcome::badvers), other);
  EXPECT_EQ(subject_counter_of(Outcome::relayed), other);
  EXPECT_EQ(subject_counter_of(Outcome::limited_slip), truncated);
  EXPECT_EQ(subject_counter_of(Outcome::badcookie), dropped);
  EXPECT_EQ(subject_counter_of(Outcome::drop_rate_limited), dropped);
  EXPECT_EQ(to_string(refused_by_verb), "refused_by_verb");
  EXPECT_EQ(to_string(SubjectCounter::count_), "unknown");
}

TEST(SubjectRegistry, NumbersFollowTheirSubjectThroughSnapshots) {
  Counted counted(2, 16);
  auto slots = counted.load({make_subject(1, 1), make_subject(1, 2)});
  counted.tables[0]->count((*slots)[1], Outcome::answered, 50);
  counted.tables[1]->count((*slots)[1], Outcome::nxdomain, 60);
  slots = counted.load({make_subject(5, 9), make_subject(1, 2), make_subject(1, 1)});
  counted.tables[0]->count((*slots)[1], Outcome::answered, 55);
  const auto report = counted.registry->report({.account = 1, .count_max = 10});
  ASSERT_EQ(report.subjects.size(), 2u);
  EXPECT_EQ(report.subject_count, 3u);
  EXPECT_EQ(report.subjects[0].subject.device, 2u) << "most queries first";
  EXPECT_EQ(report.subjects[0].numbers.of(SubjectCounter::answered), 2u);
  EXPECT_EQ(report.subjects[0].numbers.of(SubjectCounter::nxdomain), 1u);
  EXPECT_EQ(report.subjects[0].numbers.last_seen, 60u);
  EXPECT_EQ(report.subjects[1].numbers.queries(), 0u);
}

TEST(SubjectRegistry, NumbersOfWhoIsGoneAreKeptAndTheSlotStartsAnew) {
  Counted counted(1, 3);
  auto slots = counted.load({make_subject(1, 1), make_subject(1, 2)});
  counted.tables[0]->count((*slots)[0], Outcome::truncated, 70);
  // Full: the third shares the slot of those without one, until a slot is free.
  slots = counted.load({make_subject(1, 1), make_subject(1, 2), make_subject(1, 3)});
  EXPECT_EQ((*slots)[2], kSharedSlot);
  EXPECT_EQ(counted.registry->report({}).without_slot, 1u);
  counted.load({make_subject(1, 2)});
  slots = counted.load({make_subject(1, 2), make_subject(1, 3)});
  EXPECT_NE((*slots)[1], kSharedSlot);
  const auto report = counted.registry->report({});
  EXPECT_EQ(report.without_slot, 0u);
  EXPECT_EQ(report.gone.of(SubjectCounter::truncated), 1u);
  EXPECT_EQ(report.gone.last_seen, 70u);
  for (const SubjectReport& row : report.subjects) {
    EXPECT_EQ(row.numbers, SubjectNumbers{});
  }
}

TEST(SubjectRegistry, OneSubjectInManyRowsHasOneSlot) {
  Counted counted(1, 8);
  Subject refused = make_subject(1, 1);
  refused.verb = snapshot::Verb::refuse;
  const auto slots = counted.load({make_subject(1, 1), refused});
  EXPECT_EQ((*slots)[0], (*slots)[1]);
  EXPECT_EQ(counted.registry->size().first, 1u);
}

// A reference that keeps numbers by (account, device) and forgets who is not named.
struct NaiveCounts {
  std::map<Key, SubjectNumbers> live;
  SubjectNumbers gone;
  SubjectNumbers shared;

  void load(const std::vector<Subject>& subjects) {
    std::set<Key> named;
    for (const Subject& subject : subjects) {
      named.insert({subject.account, subject.device});
      live[{subject.account, subject.device}];
    }
    std::erase_if(live, [&](const auto& item) {
      if (!named.contains(item.first)) {
        gone += item.second;
        return true;
      }
      return false;
    });
  }
};

TEST(SubjectRegistry, RandomGenerationsCountAsANaiveMapDoes) {
  std::mt19937_64 random(test::seed_for("Stats"));
  for (int run = 0; run < 20; ++run) {
    Counted counted(1 + random() % 3, 256);
    NaiveCounts naive;
    for (int generation = 0; generation < 30; ++generation) {
      std::vector<Subject> subjects;
      for (uint32_t i = 0; i < 200; ++i) {
        if (random() % 3 != 0) {
          subjects.push_back(make_subject(i / 10, i));
        }
      }
      std::shuffle(subjects.begin(), subjects.end(), random);
      const auto slots = counted.registry->assign(subjects);
      ASSERT_EQ(slots->size(), subjects.size());
      EXPECT_EQ(std::set<uint32_t>(slots->begin(), slots->end()).size(), subjects.size());
      EXPECT_EQ(std::ranges::count(*slots, kSharedSlot), 0);
      counted.registry->settle();
      naive.load(subjects);
      for (int i = 0; i < 300 && !subjects.empty(); ++i) {
        const size_t at = random() % subjects.size();
        const auto outcome = static_cast<Outcome>(random() % answer::kOutcomeCount);
        const auto now = static_cast<uint32_t>(1 + random() % 1000);
        const size_t worker = random() % counted.tables.size();
        const uint32_t before = counted.tables[worker]->read((*slots)[at]).last_seen;
        counted.tables[worker]->count((*slots)[at], outcome, std::max(now, before));
        SubjectNumbers& expected = naive.live[{subjects[at].account, subjects[at].device}];
        ++expected.counts[static_cast<size_t>(subject_counter_of(outcome))];
        expected.last_seen = std::max(expected.last_seen, now);
        if (is_useful(outcome)) {
          expected.last_useful = std::max({expected.last_useful, now, before});
        }
      }
      const auto report = counted.registry->report({});
      ASSERT_EQ(report.subjects.size(), naive.live.size());
      EXPECT_EQ(report.gone, naive.gone);
      EXPECT_EQ(report.shared, naive.shared);
      uint64_t above = UINT64_MAX;
      for (const SubjectReport& row : report.subjects) {
        EXPECT_EQ(row.numbers, (naive.live[{row.subject.account, row.subject.device}]));
        EXPECT_LE(row.numbers.queries(), above);
        above = row.numbers.queries();
      }
    }
  }
}

TEST(SubjectRegistry, WantedLimitsWhatIsReported) {
  Counted counted(1, 64);
  std::vector<Subject> subjects;
  for (uint32_t i = 0; i < 40; ++i) {
    subjects.push_back(make_subject(i % 2, i));
  }
  const auto slots = counted.load(subjects);
  for (uint32_t i = 0; i < 40; ++i) {
    for (uint32_t n = 0; n < i; ++n) {
      counted.tables[0]->count((*slots)[i], Outcome::answered, 1);
    }
  }
  const auto report = counted.registry->report({.account = 1, .count_max = 3});
  ASSERT_EQ(report.subjects.size(), 3u);
  EXPECT_EQ(report.subjects[0].subject.device, 39u);
  EXPECT_EQ(report.subjects[1].subject.device, 37u);
  EXPECT_EQ(report.subjects[2].subject.device, 35u);
}

TEST(SubjectRegistry, ReportsMayBeMadeWhileWorkersCount) {
  Counted counted(2, 64);
  const auto slots = counted.load({make_subject(1, 1), make_subject(1, 2)});
  constexpr uint64_t kCount = 100'000;
  std::vector<std::thread> workers;
  for (const auto& table : counted.tables) {
    workers.emplace_back([&table, &slots] {
      for (uint64_t i = 0; i < kCount; ++i) {
        table->count((*slots)[i % 2], Outcome::answered, 1);
      }
    });
  }
  uint64_t before = 0;
  for (int i = 0; i < 200; ++i) {
    uint64_t sum = 0;
    for (const SubjectReport& row : counted.registry->report({}).subjects) {
      sum += row.numbers.queries();
    }
    EXPECT_GE(sum, before);
    before = sum;
  }
  for (std::thread& worker : workers) {
    worker.join();
  }
  uint64_t sum = 0;
  for (const SubjectReport& row : counted.registry->report({}).subjects) {
    sum += row.numbers.queries();
  }
  EXPECT_EQ(sum, 2 * kCount);
}

}  // namespace
}  // namespace merlon::stats
