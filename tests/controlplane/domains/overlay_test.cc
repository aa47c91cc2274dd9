// SPDX-License-Identifier: Apache-2.0
#include "controlplane/domains/overlay.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/controlplane/domains/universe.h"
#include "tests/support/seed.h"

namespace merlon::domains {
namespace {

// The entries as a DNS zone has them, and look-ups as RFC 4592 section 3.3.1 says: the name when it
// exists, else the wildcard at its closest encloser.
class Zone {
 public:
  void add(const Decision& decision) {
    const std::string key(decision.key);
    EXPECT_TRUE(last_.empty() || last_ < key) << "out of order";
    last_ = key;
    for (size_t end = key.find('\0') + 1; end < key.size(); end = key.find('\0', end) + 1) {
      nodes_.try_emplace(key.substr(0, end));
    }
    nodes_[key] = {decision.exact, decision.below};
  }
  uint16_t look_up(const std::string& key) const {
    if (const auto at = nodes_.find(key); at != nodes_.end()) {
      return at->second.exact;
    }
    std::string up = key;
    while (!up.empty()) {
      up.resize(up.size() < 2 ? 0 : up.rfind('\0', up.size() - 2) + 1);
      if (const auto at = nodes_.find(up); at != nodes_.end()) {
        return at->second.below;
      }
    }
    return kNoRank;
  }
  size_t size() const { return nodes_.size(); }

 private:
  struct Node {
    uint16_t exact = kNoRank;
    uint16_t below = kNoRank;
  };
  std::map<std::string, Node> nodes_;
  std::string last_;
};

TEST(Overlay, ZoneFindsTheStrongestOfAllThatCoverAName) {
  std::mt19937_64 random(test::seed_for("ZoneFindsTheStrongest"));
  const auto names = universe(5);
  for (int round = 0; round < 500; ++round) {
    std::vector<NaiveSet> naive;
    std::vector<DomainSet> sets;
    const size_t count = 1 + random() % 5;
    std::vector<Layer> layers;
    sets.reserve(count);
    for (size_t i = 0; i < count; ++i) {
      naive.push_back(random_set(random, 8));
      sets.push_back(naive.back().set());
      layers.push_back({&sets.back(), static_cast<uint16_t>(random() % 3)});
    }
    Zone zone;
    overlay(layers, [&](const Decision& decision) { zone.add(decision); });
    for (const std::string& name : names) {
      uint16_t expected = kNoRank;
      for (size_t i = 0; i < count; ++i) {
        expected = naive[i].covers(name) ? std::min(expected, layers[i].rank) : expected;
      }
      ASSERT_EQ(zone.look_up(name), expected) << text_of(name) << " in round " << round;
    }
  }
}

TEST(Overlay, CountsWhatItLeavesOutAndFillsIn) {
  DomainSetBuilder strong;
  strong.add(key_of_text("a.com"), Scope::subtree);
  strong.add(key_of_text("x.y.z.b.com"), Scope::subtree);
  DomainSetBuilder same;
  same.add(key_of_text("a.com"), Scope::subtree);
  same.add(key_of_text("www.a.com"), Scope::subtree);
  DomainSetBuilder mild;
  mild.add(key_of_text("mail.a.com"), Scope::subtree);
  mild.add(key_of_text("b.com"), Scope::subtree);
  const DomainSet sets[] = {strong.finish(), same.finish(), mild.finish()};
  EXPECT_EQ(sets[1].size(), 1u);  // www.a.com is below a.com already
  DomainSetBuilder child;
  child.add(key_of_text("www.a.com"), Scope::subtree);
  const DomainSet child_set = child.finish();
  const Layer layers[] = {{&sets[0], 1}, {&sets[1], 1}, {&child_set, 1}, {&sets[2], 2}};
  std::vector<std::string> names;
  const auto counts =
      overlay(layers, [&](const Decision& decision) { names.push_back(text_of(decision.key)); });
  EXPECT_EQ(names,
            (std::vector<std::string>{"a.com", "b.com", "z.b.com", "y.z.b.com", "x.y.z.b.com"}));
  EXPECT_EQ(counts.duplicates, 1u);
  EXPECT_EQ(counts.covered, 1u);
  EXPECT_EQ(counts.outranked, 1u);
  EXPECT_EQ(counts.filled, 2u);
}

}  // namespace
}  // namespace merlon::domains
