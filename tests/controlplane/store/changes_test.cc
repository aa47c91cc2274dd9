// SPDX-License-Identifier: Apache-2.0
// What a build is told to look at again.
#include "controlplane/store/changes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/controlplane/store/account_support.h"

namespace merlon::store {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Kind = Change::Kind;

Change feed_change(Kind kind, const std::string& feed) {
  Change change;
  change.kind = kind;
  change.feed = feed;
  return change;
}
Change account_change(Kind kind, uint32_t account, uint32_t list = 0, uint32_t policy = 0) {
  Change change;
  change.kind = kind;
  change.account = account;
  change.list = list;
  change.policy = policy;
  return change;
}

TEST(ChangeLog, ForgetsTheOldestAndSaysSo) {
  ChangeLog log;
  log.start(10);
  EXPECT_EQ(log.since(9), std::nullopt);
  EXPECT_EQ(log.since(11), std::nullopt);
  EXPECT_THAT(log.since(10).value(), IsEmpty());
  for (uint64_t i = 1; i <= ChangeLog::kChangesMax; ++i) {
    log.add(10 + i, {account_change(Kind::list, 1, static_cast<uint32_t>(i))});
  }
  EXPECT_EQ(log.since(10)->size(), ChangeLog::kChangesMax);
  log.add(10 + ChangeLog::kChangesMax + 1, {account_change(Kind::list, 1, 1)});
  EXPECT_EQ(log.since(10), std::nullopt);
  EXPECT_EQ(log.since(11)->size(), ChangeLog::kChangesMax);
}

TEST(ChangeLog, PartOfARevisionIsNotAllOfIt) {
  ChangeLog log;
  log.start(0);
  log.add(1, {account_change(Kind::list, 1, 1), account_change(Kind::list, 1, 2)});
  std::vector<Change> many(ChangeLog::kChangesMax - 1, account_change(Kind::policy, 7));
  log.add(2, many);  // pushes out one of the two of revision 1
  EXPECT_EQ(log.since(0), std::nullopt);
  EXPECT_THAT(log.since(1).value(), ElementsAre(account_change(Kind::policy, 7)));
}

using StoreChanges = AccountTest;

TEST_F(StoreChanges, EveryMutationIsNamed) {
  uint64_t before = store->revision();
  const auto changes = [&] {
    const uint64_t from = before;
    before = store->revision();
    const auto since = store->changes_since(from);
    EXPECT_TRUE(since.has_value());
    return since.value_or(std::vector<Change>{});
  };
  EXPECT_GOOD(store->add_feed(definition("one")));
  EXPECT_THAT(changes(), ElementsAre(feed_change(Kind::feed_definition, "one")));
  EXPECT_GOOD(store->apply("one", set_from({"5.0.0.1"}), good_state(1), 1));
  EXPECT_THAT(changes(), ElementsAre(feed_change(Kind::feed_set, "one")));
  EXPECT_GOOD(store->apply("one", set_from({"5.0.0.1"}), good_state(2), 2));
  EXPECT_THAT(changes(), IsEmpty());
  FeedDefinition other = definition("one");
  other.severity = 5;
  EXPECT_GOOD(store->replace_feed(other));
  EXPECT_THAT(changes(), ElementsAre(feed_change(Kind::feed_definition, "one")));
  EXPECT_GOOD(store->add_device(device("edge", "acme", {"5.5.5.5"}), 1));
  EXPECT_THAT(changes(),
              ElementsAre(account_change(Kind::devices, 1), account_change(Kind::account, 1)));
  Device changed = store->device("edge").value();
  changed.recursion = true;
  EXPECT_GOOD(store->replace_device(changed));
  EXPECT_THAT(changes(), ElementsAre(account_change(Kind::devices, 1)));
  EXPECT_GOOD(store->replace_device(changed));
  EXPECT_THAT(changes(), IsEmpty());
  EXPECT_GOOD(store->remove_device("edge"));
  EXPECT_THAT(changes(), ElementsAre(account_change(Kind::devices, 1)));
  Account account = store->account("acme").value();
  account.title = "x";
  EXPECT_GOOD(store->replace_account(account));
  EXPECT_THAT(changes(), ElementsAre(account_change(Kind::account, 1)));
  EXPECT_GOOD(store->replace_account(account));
  EXPECT_THAT(changes(), IsEmpty());
  EXPECT_GOOD(store->add_list(own_list("acme", "bad"), 1));
  EXPECT_THAT(changes(), ElementsAre(account_change(Kind::list, 1, 1)));
  add("acme", "bad", {"5.0.0.1"});
  add("acme", "bad", {"5.0.0.2"});
  EXPECT_THAT(changes(), ElementsAre(account_change(Kind::list, 1, 1)));  // once
  const std::vector<std::string> values{"5.0.0.2"};
  EXPECT_GOOD(store->remove_entries("acme", "bad", values, {.now = 1}));
  EXPECT_THAT(changes(), ElementsAre(account_change(Kind::list, 1, 1)));
  EXPECT_GOOD(store->add_policy(ip_policy("acme", "edge", {"bad"}), 1));
  EXPECT_THAT(changes(), ElementsAre(account_change(Kind::policy, 1, 0, 1)));
  Policy policy = ip_policy("acme", "edge", {"bad"});
  policy.capacity = 9;
  EXPECT_GOOD(store->replace_policy(policy, 2));
  EXPECT_THAT(changes(), ElementsAre(account_change(Kind::policy, 1, 0, 1)));
  EXPECT_GOOD(store->remove_policy("acme", "edge"));
  EXPECT_THAT(changes(), ElementsAre(account_change(Kind::policy, 1, 0, 1)));
  EXPECT_GOOD(store->remove_list("acme", "bad"));
  EXPECT_THAT(changes(), ElementsAre(account_change(Kind::list, 1, 1)));
  EXPECT_GOOD(store->remove_account("acme"));
  EXPECT_THAT(changes(),
              ElementsAre(account_change(Kind::devices, 1), account_change(Kind::account, 1)));
  EXPECT_GOOD(store->remove_feed("one", 3));
  EXPECT_THAT(changes(), ElementsAre(feed_change(Kind::feed_definition, "one")));
}

TEST_F(StoreChanges, AreForgottenOverARestart) {
  const uint64_t before = store->revision();
  EXPECT_GOOD(store->add_account(account("acme"), 1));
  reopen();
  EXPECT_EQ(store->changes_since(before), std::nullopt);
  EXPECT_THAT(store->changes_since(store->revision()).value(), IsEmpty());
  EXPECT_EQ(store->changes_since(store->revision() + 1), std::nullopt);
}

// A reader that follows the revision while others write misses none of their changes.
TEST_F(StoreChanges, FollowerMissesNothing) {
  constexpr uint32_t kLists = 40;
  EXPECT_GOOD(store->add_account(account("acme"), 1));
  uint64_t followed = store->revision();
  std::thread writer([&] {
    for (uint32_t i = 0; i < kLists; ++i) {
      EXPECT_GOOD(store->add_list(own_list("acme", "l" + std::to_string(i) + "x"), 1));
    }
  });
  std::vector<bool> seen(kLists + 1, false);
  uint32_t count = 0;
  while (count < kLists) {
    const uint64_t revision = store->revision();
    const auto changes = store->changes_since(followed);
    ASSERT_TRUE(changes.has_value());
    for (const Change& change : *changes) {
      count += seen.at(change.list) ? 0u : 1u;
      seen.at(change.list) = true;
    }
    followed = revision;
  }
  writer.join();
}

}  // namespace
}  // namespace merlon::store
