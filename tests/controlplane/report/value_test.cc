// SPDX-License-Identifier: Apache-2.0
#include "controlplane/report/value.h"

#include <gtest/gtest.h>

namespace merlon::report {
namespace {

store::FeedSet set_of(const std::vector<std::string>& values) {
  store::FeedSet set;
  for (const std::string& value : values) {
    const auto prefix = address::parse_prefix(value);
    if (!prefix) {
      set.domains.push_back(value);
    } else if (prefix->family == address::Family::v4) {
      set.v4.push_back(prefix->v4());
    } else {
      set.v6.push_back(prefix->v6());
    }
  }
  set.normalise();
  return set;
}

TEST(Overlap, CountsWhatPairsShareAndWhatOneAloneLists) {
  const store::FeedSet zebra = set_of({"45.1.2.0/24", "2a00::1", "a.example", "b.example"});
  const store::FeedSet ape = set_of({"45.1.2.128/25", "45.1.3.1", "2a00::1", "b.example"});
  const store::FeedSet none;
  const std::vector<FeedInput> feeds{{"zebra", &zebra, domain_hashes_of(zebra)},
                                     {"ape", &ape, domain_hashes_of(ape)},
                                     {"none", &none, {}}};
  const Overlap overlap = overlap_of(feeds);
  EXPECT_EQ(overlap.shared_of(0, 0), 256U + 1 + 2);
  EXPECT_EQ(overlap.shared_of(1, 1), 128U + 1 + 1 + 1);
  EXPECT_EQ(overlap.shared_of(0, 1), 128U + 1 + 1);
  EXPECT_EQ(overlap.shared_of(1, 0), overlap.shared_of(0, 1));
  EXPECT_EQ(overlap.shared_of(2, 0), 0U);
  EXPECT_EQ(overlap.unique, (std::vector<uint64_t>{128 + 1, 1, 0}));
}

TEST(Timings, SayWhoWasEarlierAndHowLongEntriesStay) {
  const std::vector<std::string> feeds{"early", "late"};
  const std::vector<std::vector<store::Observation>> values{
      {{.value = "45.1.2.3", .feed = "early", .first_seen = 100, .last_seen = 900, .listed = true},
       {.value = "45.1.2.3", .feed = "late", .first_seen = 400, .last_seen = 900, .listed = true},
       {.value = "45.1.2.3", .feed = "gone", .first_seen = 1, .last_seen = 2}},
      {{.value = "45.1.2.4", .feed = "late", .first_seen = 500, .last_seen = 560}}};
  const std::vector<Timing> timings = timings_of(feeds, values, 1000);
  EXPECT_EQ(timings[0], (Timing{.shared = 1, .first = 1, .lead_s = 300, .age_s = 900}));
  EXPECT_EQ(timings[1],
            (Timing{.shared = 1, .lead_s = -300, .age_s = 600, .retention_s = 60, .withdrawn = 1}));
}

TEST(Sample, IsSpreadOverAllOfASet) {
  store::FeedSet set;
  for (uint32_t i = 0; i < 1000; ++i) {
    set.v4.push_back({0x2d000000 + i, 32});
  }
  set.domains = {"a.example"};
  EXPECT_EQ(sample_of(set, 10).size(), 10U);
  EXPECT_EQ(sample_of(set, 10).front(), "45.0.0.50");
  EXPECT_EQ(sample_of(set, 5000).size(), 1001U);
  EXPECT_TRUE(sample_of({}, 10).empty());
}

}  // namespace
}  // namespace merlon::report
