// SPDX-License-Identifier: Apache-2.0
// apply() and what the observations say afterwards.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <thread>
#include <tuple>

#include "tests/controlplane/store/support.h"

namespace merlon::store {
namespace {

using testing::HasSubstr;

class StoreHistory : public StoreTest {
 protected:
  void SetUp() override {
    StoreTest::SetUp();
    EXPECT_GOOD(store->add_feed(definition("a")));
    EXPECT_GOOD(store->add_feed(definition("b")));
  }
  ApplySummary apply(const std::string& id, const std::vector<std::string>& values, int64_t now) {
    const auto summary = store->apply(id, set_from(values), good_state(now), now);
    EXPECT_TRUE(summary.has_value()) << summary.error().message;
    return summary.value_or(ApplySummary{});
  }
  // "value feed first last listed" per observation, in order.
  std::vector<std::string> told(const std::string& text) const {
    std::vector<std::string> lines;
    for (const Observation& one : seen(text)) {
      lines.push_back(fmt::format("{} {} {} {} {}", one.value, one.feed, one.first_seen,
                                  one.last_seen, one.listed ? "listed" : "withdrawn"));
    }
    return lines;
  }
};

using testing::ElementsAre;

TEST_F(StoreHistory, SummaryCountsTheDifference) {
  const auto first = apply("a", {"5.0.0.1", "5.0.0.2", "2a00::/16", "x.example"}, 100);
  EXPECT_EQ(std::tuple(first.added, first.removed, first.unchanged), std::tuple(4u, 0u, 0u));
  const auto second = apply("a", {"5.0.0.2", "5.0.0.3", "y.example", "x.example"}, 200);
  EXPECT_EQ(std::tuple(second.added, second.removed, second.unchanged), std::tuple(2u, 2u, 2u));
  const auto same = apply("a", {"5.0.0.2", "5.0.0.3", "y.example", "x.example"}, 300);
  EXPECT_EQ(std::tuple(same.added, same.removed, same.unchanged), std::tuple(0u, 0u, 4u));
  const auto none = apply("a", {}, 400);
  EXPECT_EQ(std::tuple(none.added, none.removed, none.unchanged), std::tuple(0u, 4u, 0u));
  EXPECT_TRUE(store->set_of("a")->empty());
}

TEST_F(StoreHistory, SetIsWhatWasAppliedLastAndCountsFollow) {
  apply("a", {"5.0.0.0/8", "5.0.0.0/9", "5.0.0.0", "::/1", "z.example", "a.z.example"}, 100);
  EXPECT_EQ(store->set_of("a").value(),
            set_from({"5.0.0.0/8", "5.0.0.0/9", "5.0.0.0", "::/1", "z.example", "a.z.example"}));
  const FeedState state = store->feed("a")->state;
  EXPECT_EQ(std::tuple(state.prefix4_count, state.prefix6_count, state.domain_count),
            std::tuple(3u, 1u, 2u));
  EXPECT_EQ(state.last_good, 100);
  EXPECT_TRUE(store->set_of("b")->empty());
}

TEST_F(StoreHistory, ListedIndicatorIsLastSeenWhenItsFeedWasLastGood) {
  apply("a", {"5.0.0.1"}, 100);
  EXPECT_THAT(told("5.0.0.1"), ElementsAre("5.0.0.1 a 100 100 listed"));
  FeedState confirmed = good_state(100);
  confirmed.last_good = 500;  // not modified
  EXPECT_GOOD(store->set_feed_state("a", confirmed));
  EXPECT_THAT(told("5.0.0.1"), ElementsAre("5.0.0.1 a 100 500 listed"));
}

TEST_F(StoreHistory, UnchangedIndicatorKeepsFirstSeen) {
  apply("a", {"5.0.0.1"}, 100);
  apply("a", {"5.0.0.1", "5.0.0.2"}, 200);
  EXPECT_THAT(told("5.0.0.1"), ElementsAre("5.0.0.1 a 100 200 listed"));
  EXPECT_THAT(told("5.0.0.2"), ElementsAre("5.0.0.2 a 200 200 listed"));
}

TEST_F(StoreHistory, WithdrawnIndicatorSaysWhen) {
  apply("a", {"5.0.0.1", "x.example"}, 100);
  apply("a", {}, 250);
  apply("a", {}, 900);
  EXPECT_THAT(told("5.0.0.1"), ElementsAre("5.0.0.1 a 100 250 withdrawn"));
  EXPECT_THAT(told("x.example"), ElementsAre("x.example a 100 250 withdrawn"));
}

TEST_F(StoreHistory, RelistedIndicatorKeepsItsEarliestFirstSeen) {
  apply("a", {"5.0.0.1"}, 100);
  apply("a", {}, 200);
  apply("a", {"5.0.0.1"}, 300);
  EXPECT_THAT(told("5.0.0.1"), ElementsAre("5.0.0.1 a 100 300 listed"));
  apply("a", {}, 400);
  EXPECT_THAT(told("5.0.0.1"), ElementsAre("5.0.0.1 a 100 400 withdrawn"));
}

TEST_F(StoreHistory, EveryCoveringPrefixIsFoundNarrowestFirst) {
  apply("a", {"5.0.0.1", "5.0.0.0/24", "5.0.0.0/8", "0.0.0.0/0", "5.0.1.0/24", "5.0.0.2"}, 100);
  EXPECT_THAT(told("5.0.0.1"),
              ElementsAre("5.0.0.1 a 100 100 listed", "5.0.0.0/24 a 100 100 listed",
                          "5.0.0.0/8 a 100 100 listed", "0.0.0.0/0 a 100 100 listed"));
  EXPECT_THAT(told("200.0.0.1"), ElementsAre("0.0.0.0/0 a 100 100 listed"));
  apply("b", {"2a00::1", "2a00::/16", "::/0"}, 100);
  EXPECT_THAT(told("2a00::1"), ElementsAre("2a00::1 b 100 100 listed", "2a00::/16 b 100 100 listed",
                                           "::/0 b 100 100 listed"));
  EXPECT_THAT(told("::"), ElementsAre("::/0 b 100 100 listed"));
}

TEST_F(StoreHistory, DomainIsFoundItselfAndThroughItsParentsButNotItsChildren) {
  apply("a", {"evil.example", "www.evil.example", "deep.www.evil.example", "notevil.example"}, 100);
  EXPECT_THAT(told("www.evil.example"),
              ElementsAre("www.evil.example a 100 100 listed", "evil.example a 100 100 listed"));
  EXPECT_THAT(told("WWW.Evil.Example."),
              ElementsAre("www.evil.example a 100 100 listed", "evil.example a 100 100 listed"));
  EXPECT_THAT(told("example"), ElementsAre());
  EXPECT_FAILS(store->observations_of_domain("a..b"), invalid_argument, HasSubstr("a..b"));
  EXPECT_FAILS(store->observations_of_domain("."), invalid_argument, HasSubstr("root"));
}

TEST_F(StoreHistory, ListedOnesComeFirst) {
  apply("a", {"5.0.0.1"}, 100);
  apply("b", {"5.0.0.0/8"}, 100);
  apply("a", {}, 200);
  EXPECT_THAT(told("5.0.0.1"),
              ElementsAre("5.0.0.0/8 b 100 100 listed", "5.0.0.1 a 100 200 withdrawn"));
}

TEST_F(StoreHistory, FeedsDoNotTouchEachOthersWord) {
  apply("a", {"5.0.0.1"}, 100);
  apply("b", {"5.0.0.1"}, 200);
  apply("a", {}, 300);
  EXPECT_THAT(told("5.0.0.1"),
              ElementsAre("5.0.0.1 b 200 200 listed", "5.0.0.1 a 100 300 withdrawn"));
  EXPECT_EQ(store->set_of("b").value(), set_from({"5.0.0.1"}));
}

TEST_F(StoreHistory, RemovedFeedLeavesItsHistoryUnderItsName) {
  apply("a", {"5.0.0.1", "x.example"}, 100);
  EXPECT_GOOD(store->remove_feed("a", 700));
  EXPECT_THAT(told("5.0.0.1"), ElementsAre("5.0.0.1 a 100 700 withdrawn"));
  EXPECT_THAT(told("x.example"), ElementsAre("x.example a 100 700 withdrawn"));
  EXPECT_FAILS(store->set_of("a"), not_found, HasSubstr("a"));
}

TEST_F(StoreHistory, FeedThatTakesAnOldIdIsAnotherFeed) {
  apply("a", {"5.0.0.1"}, 100);
  EXPECT_GOOD(store->remove_feed("a", 200));
  EXPECT_GOOD(store->add_feed(definition("a")));
  EXPECT_TRUE(store->set_of("a")->empty());
  EXPECT_EQ(store->feed("a")->state.health, FeedHealth::never_fetched);
  apply("a", {"5.0.0.1"}, 300);
  EXPECT_THAT(told("5.0.0.1"),
              ElementsAre("5.0.0.1 a 300 300 listed", "5.0.0.1 a 100 200 withdrawn"));
}

TEST_F(StoreHistory, SetThatIsNotNormalisedIsRefusedAndChangesNothing) {
  apply("a", {"5.0.0.1"}, 100);
  FeedSet unsorted;
  unsorted.v4 = {{0x05000002, 32}, {0x05000001, 32}};
  EXPECT_FAILS(store->apply("a", unsorted, good_state(200), 200), invalid_argument,
               HasSubstr("IPv4 prefix number 1"));
  FeedSet twice;
  twice.domains = {"x.example", "x.example"};
  EXPECT_FAILS(store->apply("a", twice, good_state(200), 200), invalid_argument,
               HasSubstr("domain number 1"));
  FeedSet host_bits;
  host_bits.v6 = {{1, 64}};
  EXPECT_FAILS(store->apply("a", host_bits, good_state(200), 200), invalid_argument,
               HasSubstr("IPv6 prefix number 0"));
  EXPECT_EQ(store->feed("a")->state.last_good, 100);
  EXPECT_THAT(told("5.0.0.1"), ElementsAre("5.0.0.1 a 100 100 listed"));
}

TEST_F(StoreHistory, ReadersSeeOneStateWhileWritersWrite) {
  // Two sets alternate; each reader must see the whole of one, with the counts that belong to it.
  std::vector<std::string> even;
  std::vector<std::string> odd;
  for (int i = 0; i < 3000; ++i) {
    even.push_back(fmt::format("5.0.{}.{}", i / 250, i % 250));
    odd.push_back(fmt::format("6.0.{}.{}", i / 250, i % 250));
  }
  const FeedSet sets[] = {set_from(even), set_from(odd)};
  EXPECT_GOOD(store->apply("a", sets[0], good_state(1), 1));
  std::atomic<bool> stop{false};
  std::atomic<int> reads{0};
  std::thread reader([&] {
    while (!stop) {
      const auto set = store->set_of("a");
      if (!set || (*set != sets[0] && *set != sets[1])) {
        ADD_FAILURE() << "torn set";
        break;
      }
      ++reads;
    }
  });
  for (int i = 1; i < 15 || reads < 10; ++i) {
    EXPECT_GOOD(store->apply("a", sets[i % 2], good_state(i), i));
  }
  stop = true;
  reader.join();
  EXPECT_GE(reads, 10);
}

// --- Against a naive model -------------------------------------------------------------------

// The same promises with maps and loops. A lifetime is a feed from add to remove.
class Model {
 public:
  struct Word {
    int64_t first_seen = 0;
    int64_t withdrawn = 0;
    bool listed = false;
    std::optional<address::AnyPrefix> prefix{};  // nothing for a domain
  };
  struct Lifetime {
    std::string id;
    int64_t last_good = 0;
    std::map<std::string, Word> words{};  // by the indicator's text
  };

  void add(const std::string& id) {
    lifetimes_.push_back({.id = id});
    current_[id] = lifetimes_.size() - 1;
  }
  void apply(const std::string& id, const std::vector<std::string>& values, int64_t now) {
    Lifetime& feed = lifetimes_[current_.at(id)];
    for (auto& [value, word] : feed.words) {
      if (word.listed && std::find(values.begin(), values.end(), value) == values.end()) {
        word.listed = false;
        word.withdrawn = now;
      }
    }
    for (const std::string& value : values) {
      Word& word = feed.words[value];
      if (word.first_seen == 0) {
        word.first_seen = now;
        if (const auto prefix = address::parse_prefix(value)) {
          word.prefix = *prefix;
        }
      }
      word.listed = true;
    }
    feed.last_good = now;
  }
  void remove(const std::string& id, int64_t now) {
    apply(id, {}, now);
    current_.erase(id);
  }
  bool has(const std::string& id) const { return current_.contains(id); }
  FeedSet set_of(const std::string& id) const {
    std::vector<std::string> values;
    for (const auto& [value, word] : lifetimes_[current_.at(id)].words) {
      if (word.listed) {
        values.push_back(value);
      }
    }
    return set_from(values);
  }
  using Row = std::tuple<bool, std::string, std::string, int64_t, int64_t>;
  std::vector<Row> observations(const std::string& asked) const {
    std::vector<Row> rows;
    const auto address = address::parse_address(asked);
    for (const Lifetime& feed : lifetimes_) {
      for (const auto& [value, word] : feed.words) {
        if (address ? word.prefix && word.prefix->contains(*address)
                    : !word.prefix && is_at_or_below(asked, value)) {
          rows.emplace_back(word.listed, value, feed.id, word.first_seen,
                            word.listed ? feed.last_good : word.withdrawn);
        }
      }
    }
    std::sort(rows.begin(), rows.end());
    return rows;
  }

 private:
  static bool is_at_or_below(const std::string& asked, const std::string& domain) {
    return asked == domain || asked.ends_with("." + domain);
  }

  std::vector<Lifetime> lifetimes_;
  std::map<std::string, size_t> current_;
};

// Values from a small space, so that they come back, cover each other and are shared.
class Values {
 public:
  explicit Values(unsigned seed) : random_(seed) {}
  uint32_t below(uint32_t bound) { return static_cast<uint32_t>(random_()) % bound; }

  std::string address() {
    return below(2) == 0 ? fmt::format("5.0.{}.{}", below(3), below(6))
                         : fmt::format("2a00::{:x}", below(12));
  }
  std::string domain() {
    std::string text = fmt::format("d{}.example", below(3));
    for (uint32_t depth = below(3); depth > 0; --depth) {
      text = fmt::format("s{}.{}", below(2), text);
    }
    return text;
  }
  std::string value() {
    if (below(3) == 0) {
      return domain();
    }
    const std::string base = address();
    const bool v6 = base.find(':') != std::string::npos;
    const uint32_t length = (v6 ? 128 : 32) - (below(2) == 0 ? 0 : below(v6 ? 129 : 33));
    const auto prefix = address::parse_prefix(fmt::format("{}/{}", base, length)).value();
    return address::to_text(prefix);
  }
  std::vector<std::string> values() {
    std::vector<std::string> all;
    for (uint32_t count = below(40); count > 0; --count) {
      all.push_back(value());
    }
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
    return all;
  }

 private:
  std::mt19937 random_;
};

class StoreAgainstModel : public StoreTest {
 protected:
  void compare(Values& values, const std::vector<std::string>& ids) {
    for (const std::string& id : ids) {
      if (model.has(id)) {
        EXPECT_EQ(store->set_of(id).value(), model.set_of(id));
      }
    }
    for (int i = 0; i < 10; ++i) {
      const std::string asked = i % 3 == 0 ? values.domain() : values.address();
      std::vector<Model::Row> rows;
      bool withdrawn_before = false;
      for (const Observation& one : seen(asked)) {
        EXPECT_FALSE(one.listed && withdrawn_before) << "listed ones come first";
        withdrawn_before = withdrawn_before || !one.listed;
        rows.emplace_back(one.listed, one.value, one.feed, one.first_seen, one.last_seen);
      }
      std::sort(rows.begin(), rows.end());
      EXPECT_EQ(rows, model.observations(asked)) << asked;
    }
  }
  Model model;
};

TEST_F(StoreAgainstModel, AgreesAfterEveryStepOfARandomLife) {
  Values values(test_seed());
  const std::vector<std::string> ids{"a", "b", "c"};
  for (int64_t now = 1000; now < 1220 && !HasFailure(); ++now) {
    const std::string& id = ids[values.below(3)];
    if (!model.has(id)) {
      EXPECT_GOOD(store->add_feed(definition(id)));
      model.add(id);
    } else if (values.below(20) == 0) {
      EXPECT_GOOD(store->remove_feed(id, now));
      model.remove(id, now);
    } else {
      const auto wanted = values.values();
      EXPECT_GOOD(store->apply(id, set_from(wanted), good_state(now), now));
      model.apply(id, wanted, now);
    }
    compare(values, ids);
    if (now % 80 == 0) {
      reopen();
    }
  }
}

}  // namespace
}  // namespace merlon::store
