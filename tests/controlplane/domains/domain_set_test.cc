// SPDX-License-Identifier: Apache-2.0
#include "controlplane/domains/domain_set.h"

#include <gtest/gtest.h>

#include "tests/controlplane/domains/universe.h"
#include "tests/support/seed.h"

namespace merlon::domains {
namespace {

constexpr int kRounds = 2000;

void expect_normal(const DomainSet& set) {
  for (size_t i = 1; i < set.size(); ++i) {
    EXPECT_LT(set.key(i - 1), set.key(i));
    for (size_t k = 0; k < i; ++k) {
      EXPECT_FALSE(has_below(set.scope(k)) && set.key(i).starts_with(set.key(k)))
          << text_of(set.key(i)) << " is below " << text_of(set.key(k));
    }
  }
}

DomainSet set_of(std::initializer_list<std::pair<const char*, Scope>> entries) {
  DomainSetBuilder builder;
  for (const auto& [text, scope] : entries) {
    builder.add(key_of_text(text), scope);
  }
  return builder.finish();
}

TEST(DomainSet, StandsForWhatItsEntriesStandFor) {
  std::mt19937_64 random(test::seed_for("StandsForWhatItsEntriesStandFor"));
  const auto names = universe(5);
  for (int round = 0; round < kRounds / 10; ++round) {
    const NaiveSet naive = random_set(random, 12);
    Dropped dropped;
    const DomainSet set = naive.set(&dropped);
    expect_normal(set);
    EXPECT_EQ(set.size() + dropped.duplicates + dropped.covered, naive.entries.size());
    for (const std::string& name : names) {
      ASSERT_EQ(set.covers(name), naive.covers(name)) << text_of(name);
    }
  }
}

TEST(DomainSet, UnionIsThatOfTheNames) {
  std::mt19937_64 random(test::seed_for("UnionIsThatOfTheNames"));
  for (int round = 0; round < kRounds; ++round) {
    const NaiveSet a = random_set(random, 12);
    const NaiveSet b = random_set(random, 12);
    const NaiveSet c = random_set(random, 3);
    NaiveSet all = a;
    all.entries.insert(all.entries.end(), b.entries.begin(), b.entries.end());
    EXPECT_TRUE(a.set().united(b.set()) == all.set());
    all.entries.insert(all.entries.end(), c.entries.begin(), c.entries.end());
    const DomainSet sets[] = {a.set(), b.set(), c.set()};
    const DomainSet* pointers[] = {&sets[0], &sets[1], &sets[2]};
    EXPECT_TRUE(DomainSet::unite(pointers) == all.set());
  }
}

TEST(DomainSet, SubtractionIsExactWithItsHoles) {
  std::mt19937_64 random(test::seed_for("SubtractionIsExactWithItsHoles"));
  const auto names = universe(5);
  for (int round = 0; round < kRounds / 4; ++round) {
    const NaiveSet blocked = random_set(random, 10);
    const NaiveSet allowed = random_set(random, 6);
    const DomainSet set = blocked.set();
    const auto left = set.minus(allowed.set());
    expect_normal(left.kept);
    expect_normal(left.holes);
    EXPECT_EQ(left.kept.size() + left.removed, set.size());
    for (const std::string& name : names) {
      ASSERT_EQ(left.kept.covers(name) && !left.holes.covers(name),
                blocked.covers(name) && !allowed.covers(name))
          << text_of(name) << " round " << round;
    }
    for (size_t i = 0; i < left.holes.size(); ++i) {  // none that is of no use
      EXPECT_TRUE(left.kept.covers(std::string(left.holes.key(i)) + std::string("z\0", 2)));
    }
  }
}

TEST(DomainSet, SubtractionSaysWhatWent) {
  const DomainSet blocked = set_of({{"a.com", Scope::subtree},
                                    {"b.com", Scope::subtree},
                                    {"www.c.com", Scope::subtree},
                                    {"d.com", Scope::exact}});
  const auto left = blocked.minus(set_of({{"cdn.a.com", Scope::subtree},
                                          {"b.com", Scope::exact},
                                          {"c.com", Scope::subtree},
                                          {"d.com", Scope::below}}));
  EXPECT_TRUE(
      left.kept ==
      set_of({{"a.com", Scope::subtree}, {"b.com", Scope::below}, {"d.com", Scope::exact}}));
  EXPECT_TRUE(left.holes == set_of({{"cdn.a.com", Scope::subtree}}));
  EXPECT_EQ(left.removed, 1u);
  EXPECT_EQ(left.narrowed, 1u);
}

TEST(DomainSet, CostsItsNamesAndNineBytesEach) {
  std::mt19937_64 random(4711);
  DomainSetBuilder builder;
  size_t text_size = 0;
  for (int i = 0; i < 200'000; ++i) {
    const std::string text = fmt::format("{:x}.{:x}.com", random() % 4096, random());
    text_size += text.size();
    builder.add(key_of_text(text), Scope::subtree);
  }
  const DomainSet set = builder.finish();
  EXPECT_EQ(set.size(), 200'000u);
  EXPECT_LT(set.memory_bytes(), text_size + 200'000 * 9 + 1000 + set.size() / 2);
}

}  // namespace
}  // namespace merlon::domains
