// SPDX-License-Identifier: Apache-2.0
// check() of the past, of many, of one account; raw lines; ageing that reaches the lists by itself.
#include <ctime>

#include "tests/controlplane/coordinator/fixture.h"

namespace merlon::coordinator {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class Explain : public CoordinatorTest {
 protected:
  void add_account(const std::string& name) {
    EXPECT_GOOD(coordinator_->add_account({.name = name, .title = ""}));
  }
  void add_policy(const std::string& account, const std::string& name, store::PolicyKind kind) {
    store::Policy policy;
    policy.account = account;
    policy.name = name;
    policy.kind = kind;
    policy.targets.push_back({});
    EXPECT_GOOD(coordinator_->add_policy(policy));
  }
  // What the feed listed in the past, as if it had been fetched then.
  void list_at(const std::string& id, const std::string& address, int64_t now) {
    store::FeedSet set;
    if (!address.empty()) {
      set.v4.push_back(address::parse_prefix(address)->v4());
    }
    store::FeedState state;
    state.health = store::FeedHealth::good;
    state.last_good = state.last_changed = now;
    EXPECT_GOOD(store_->apply(id, set, state, now));
  }
};

TEST_F(Explain, EverySourceIsNamedWithItsLine) {
  write_feed("mine", "# comment\n45.1.2.0/24 ; SBL1\n45.1.2.3   # seen twice\n");
  auto feed = definition("mine", "file://" + feed_path("mine"));
  feed.homepage = "https://feeds.example/about";
  feed.provider = "Example";
  feed.severity = 4;
  feed.confidence = 70;
  EXPECT_GOOD(coordinator_->add_feed(feed));
  auto copy = definition("copy", "file://" + feed_path("mine"));
  copy.copies = {"mine"};
  copy.confidence = 90;
  EXPECT_GOOD(coordinator_->add_feed(copy));
  EXPECT_GOOD(coordinator_->refresh_feed("copy"));
  publish_feed("mine", "# comment\n45.1.2.0/24 ; SBL1\n45.1.2.3   # seen twice\n");
  const auto report = coordinator_->check("45.1.2.3");
  ASSERT_GOOD(report);
  ASSERT_EQ(report->observations.size(), 4u);
  ASSERT_EQ(report->sources.size(), 4u);
  for (size_t i = 0; i < 4; ++i) {
    const api::CheckSource& source = report->sources[i];
    const bool prefix = report->observations[i].value == "45.1.2.0/24";
    EXPECT_EQ(source.line_number, prefix ? 2u : 3u) << source.line_note;
    EXPECT_THAT(source.line, HasSubstr(prefix ? "SBL1" : "seen twice"));
    EXPECT_EQ(source.category, "scanner");
    if (report->observations[i].feed == "mine") {
      EXPECT_EQ(source.reference, "https://feeds.example/about");
      EXPECT_EQ(source.severity, 4);
    } else {
      EXPECT_THAT(source.reference, HasSubstr("file://"));
    }
  }
  EXPECT_EQ(report->merged.sources, 2u);
  EXPECT_EQ(report->merged.independent, 1u);
  EXPECT_EQ(report->merged.confidence, 90);
  EXPECT_EQ(report->merged.combined, 90);
  EXPECT_EQ(report->generation, served());
}

TEST_F(Explain, PastIsReadFromTheGenerationServedThen) {
  const uint64_t first = publish_feed("mine", "45.1.2.3\n");
  const int64_t then = std::time(nullptr);
  while (std::time(nullptr) == then) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  publish_feed("mine", "45.1.2.4\n");
  const auto past = coordinator_->check("45.1.2.3", {.at = then});
  ASSERT_GOOD(past);
  EXPECT_TRUE(past->listed);
  EXPECT_EQ(past->generation, first);
  EXPECT_EQ(past->lists_from, "generation");
  EXPECT_THAT(past->lists, Contains("mine.merlon.internal."));
  EXPECT_THAT(past->unknown, IsEmpty());
  const auto present = coordinator_->check("45.1.2.3");
  ASSERT_GOOD(present);
  EXPECT_FALSE(present->listed);
  EXPECT_THAT(present->lists, IsEmpty());
  EXPECT_FALSE(coordinator_->check("45.1.2.4", {.at = then})->listed);
}

TEST_F(Explain, PastBeyondTheGenerationsIsReplayedAndSaysSo) {
  add_account("acme");
  add_file_feed("mine", "");
  const int64_t start = std::time(nullptr) - 1'000'000;
  list_at("mine", "45.1.2.3", start);
  list_at("mine", "", start + 100'000);
  list_at("mine", "45.1.2.3", start + 300'000);
  const auto at = [&](int64_t time) { return coordinator_->check("45.1.2.3", {.at = time}); };
  const auto listed = at(start + 50'000);
  ASSERT_GOOD(listed);
  EXPECT_TRUE(listed->listed);
  EXPECT_EQ(listed->lists_from, "history");
  EXPECT_EQ(listed->generation, 0u);
  EXPECT_THAT(listed->unknown, Contains(HasSubstr("which generation")));
  EXPECT_THAT(listed->lists, ElementsAre("basic.merlon.internal.", "mine.merlon.internal.",
                                         "scanner.merlon.internal."));
  const auto between = at(start + 200'000);
  EXPECT_FALSE(between->listed);
  EXPECT_THAT(between->lists, IsEmpty());
  EXPECT_EQ(between->observations.at(0).intervals.size(), 2u);
  EXPECT_TRUE(at(start + 400'000)->listed);
  EXPECT_FALSE(at(start - 1)->listed);
  EXPECT_GOOD(coordinator_->remove_feed("mine"));
  const auto removed = at(start + 50'000);
  EXPECT_TRUE(removed->listed);
  EXPECT_THAT(removed->lists, IsEmpty());
  EXPECT_THAT(removed->unknown, Contains(HasSubstr("feed mine, which is removed")));
}

TEST_F(Explain, OneAccountSeesNothingOfAnother) {
  add_account("acme");
  add_account("bolt");
  add_policy("acme", "edge", store::PolicyKind::ip);
  add_policy("bolt", "wall", store::PolicyKind::ip);
  add_policy("acme", "names", store::PolicyKind::dns);
  add_policy("bolt", "dns", store::PolicyKind::dns);
  publish_feed("mine", "45.1.2.3\nbad.example.com\n");
  const auto lists = [&](const std::string& value, const std::string& account, int64_t at = 0) {
    const auto report = coordinator_->check(value, {.at = at, .account = account});
    EXPECT_GOOD(report);
    const auto many = coordinator_->check_many({value}, {.at = at, .account = account});
    EXPECT_GOOD(many);
    EXPECT_EQ(many->at(0).lists, report->lists);
    return report->lists;
  };
  EXPECT_THAT(lists("45.1.2.3", ""),
              testing::IsSupersetOf({"edge.acme.merlon.internal.", "wall.bolt.merlon.internal."}));
  for (const auto& [account, other] : {std::pair{"acme", "bolt"}, std::pair{"bolt", "acme"}}) {
    for (const int64_t at : {int64_t{0}, int64_t{std::time(nullptr)}}) {
      const auto own = lists("45.1.2.3", account, at);
      EXPECT_THAT(own, Contains(HasSubstr(account)));
      EXPECT_THAT(own, Contains("basic.merlon.internal."));
      EXPECT_THAT(own, Not(Contains(HasSubstr(other))));
      const auto names = lists("www.bad.example.com", account, at);
      EXPECT_THAT(names, ElementsAre(HasSubstr(std::string(".rpz.") + account)));
    }
  }
  // Replayed, too: no generation of that time is known.
  const int64_t past = std::time(nullptr) - 100'000;
  list_at("mine", "45.1.2.9", past);
  EXPECT_THAT(lists("45.1.2.9", "acme", past + 1), Not(Contains(HasSubstr("bolt"))));
  EXPECT_FAILS(coordinator_->check("45.1.2.3", {.account = "nobody"}), not_found,
               HasSubstr("nobody"));
  EXPECT_FAILS(coordinator_->check_many({"45.1.2.3"}, {.account = "nobody"}), not_found,
               HasSubstr("nobody"));
}

TEST_F(Explain, WhoAllowsAValueIsSaid) {
  add_account("acme");
  add_account("bolt");
  EXPECT_GOOD(coordinator_->add_list(
      {.account = "acme", .name = "good", .title = "", .direction = store::Direction::allow}));
  const std::vector<store::CustomEntry> entries{{.value = "45.1.2.0-45.1.2.9", .comment = ""},
                                                {.value = "*.fine.example", .comment = ""}};
  EXPECT_GOOD(coordinator_->add_entries("acme", "good", entries, store::OnFault::apply_nothing));
  write_feed("partners", "45.1.2.0/24\n");
  auto partners = definition("partners", "file://" + feed_path("partners"));
  partners.direction = store::Direction::allow;
  EXPECT_GOOD(coordinator_->add_feed(partners));
  EXPECT_GOOD(coordinator_->refresh_feed("partners"));
  publish_feed("mine", "45.1.2.3\n");
  const auto by = [&](const char* value, const char* account) {
    return coordinator_->check(value, {.account = account})->allowed_by;
  };
  EXPECT_THAT(by("45.1.2.3", ""), ElementsAre("partners"));
  EXPECT_THAT(by("45.1.2.3", "acme"), ElementsAre("partners", "acme/good"));
  EXPECT_THAT(by("45.1.2.3", "bolt"), ElementsAre("partners"));
  EXPECT_THAT(by("45.1.2.10", "acme"), ElementsAre("partners"));
  EXPECT_THAT(by("a.fine.example", "acme"), ElementsAre("acme/good"));
  EXPECT_THAT(by("fine.example", "acme"), IsEmpty());
  EXPECT_THAT(coordinator_->check("45.1.2.3")->lists, IsEmpty());
}

TEST_F(Explain, ManyAtOnceSayWhatEachOfThemSays) {
  publish_feed("mine", "45.1.2.3\n46.0.0.0/16\n2600:2::/32\nbad.example\n8.8.8.0/24\n");
  const std::vector<std::string> values{"46.0.77.1", "45.1.2.3", "nonsense!",     "45.1.2.4",
                                        "2600:2::9", "8.8.8.8",  "a.bad.example", "45.1.2.3"};
  const auto reports = coordinator_->check_many(values, {});
  ASSERT_GOOD(reports);
  ASSERT_EQ(reports->size(), values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    const auto single = coordinator_->check(values[i]);
    const api::CheckReport& one = reports->at(i);
    EXPECT_EQ(one.error.empty(), single.has_value()) << values[i];
    if (single) {
      EXPECT_EQ(one.value, single->value);
      EXPECT_EQ(one.listed, single->listed) << values[i];
      EXPECT_EQ(one.lists, single->lists) << values[i];
      EXPECT_EQ(one.protected_by, single->protected_by);
      EXPECT_EQ(one.merged, single->merged);
    }
  }
  EXPECT_FAILS(coordinator_->check_many(std::vector<std::string>(10'001, "45.1.2.3"), {}),
               invalid_argument, HasSubstr("10000"));
  EXPECT_THAT(coordinator_->check_many({}, {}).value(), IsEmpty());
}

TEST_F(Explain, TenThousandValuesTakeNoLongerThanAFewSeconds) {
  publish_feed("mine", "45.1.2.3\n46.0.0.0/16\n");
  std::vector<std::string> values;
  for (int i = 0; i < 10'000; ++i) {
    values.push_back(fmt::format("46.0.{}.{}", i / 250, i % 250));
  }
  const auto start = std::chrono::steady_clock::now();
  const auto reports = coordinator_->check_many(values, {});
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  ASSERT_GOOD(reports);
  EXPECT_TRUE(std::ranges::all_of(*reports, [](const auto& one) { return one.lists.size() == 3; }));
  EXPECT_LT(taken.count(), 8);
}

TEST_F(Explain, WhatAgesOutLeavesTheListsByItself) {
  write_feed("mine", "45.1.2.3\n45.1.2.4\n");
  auto feed = definition("mine", "file://" + feed_path("mine"));
  feed.ageing = "last_seen+2s";
  EXPECT_GOOD(coordinator_->add_feed(feed));
  EXPECT_GOOD(coordinator_->start());
  EXPECT_GOOD(coordinator_->refresh_feed("mine"));
  publish_feed("mine", "45.1.2.4\n");
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(9);
  while (!carriers("45.1.2.3").empty() && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  EXPECT_THAT(carriers("45.1.2.3"), IsEmpty());
  EXPECT_THAT(carriers("45.1.2.4"), Not(IsEmpty()));
}

TEST_F(Explain, ColumnOfATableEndsItsEntries) {
  write_feed("table", fmt::format("ip,until\n45.1.2.3,{}\n45.1.2.4,2020-01-01T00:00:00Z\n"
                                  "45.1.2.5,\n",
                                  std::time(nullptr) + 1000));
  auto feed = definition("table", "file://" + feed_path("table"));
  feed.ageing = "expires=until";
  EXPECT_FAILS(coordinator_->add_feed(feed), invalid_argument, HasSubstr("csv"));
  feed.format = "csv; column=ip; header=yes";
  EXPECT_GOOD(coordinator_->add_feed(feed));
  EXPECT_GOOD(coordinator_->refresh_feed("table"));
  const auto set = store_->set_of("table");
  ASSERT_GOOD(set);
  EXPECT_EQ(set->v4.size(), 2u);
  EXPECT_GT(coordinator_->check("45.1.2.3")->observations.at(0).ages_out, std::time(nullptr));
  EXPECT_EQ(coordinator_->check("45.1.2.5")->observations.at(0).ages_out, 0);
  EXPECT_THAT(coordinator_->check("45.1.2.4")->observations, IsEmpty());
}

TEST_F(Explain, BackupIsMadeWhileItRuns) {
  publish_feed("mine", "45.1.2.3\n");
  const auto made = coordinator_->backup(directory_.path() + "/backups");
  ASSERT_GOOD(made);
  EXPECT_GT(made->size_bytes, 0u);
  EXPECT_GOOD(store::Store::restore(made->directory, directory_.path() + "/restored"));
  EXPECT_FAILS(coordinator_->backup("relative"), invalid_argument, HasSubstr("absolute"));
}

}  // namespace
}  // namespace merlon::coordinator
