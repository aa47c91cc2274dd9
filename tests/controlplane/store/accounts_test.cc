// SPDX-License-Identifier: Apache-2.0
// Accounts: their names and numbers, what goes with them, and that nobody reads another's things.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/controlplane/store/account_support.h"

namespace merlon::store {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using StoreAccounts = AccountTest;

TEST_F(StoreAccounts, GetNumbersAndTheTimeOfTheirCreation) {
  Account wished = account("acme");
  wished.title = "Acme Ltd";
  wished.tier = Tier::operator_;
  wished.number = 77;  // not for the caller to choose
  wished.created = 78;
  const auto made = store->add_account(wished, 1000);
  ASSERT_TRUE(made.has_value()) << made.error().message;
  EXPECT_EQ(made->number, 1u);
  EXPECT_EQ(made->created, 1000);
  reopen();
  EXPECT_EQ(store->account("acme").value(), *made);
  EXPECT_EQ(store->account_of(1).value(), *made);
  EXPECT_THAT(store->accounts().value(), ElementsAre(*made));
  EXPECT_EQ(store->add_account(account("bolt"), 1)->number, 2u);
}

TEST_F(StoreAccounts, ReplacingKeepsNumberAndTime) {
  const Account made = store->add_account(account("acme"), 5).value();
  Account wished = made;
  wished.title = "New";
  wished.tier = Tier::basic;
  wished.number = 9;
  const auto replaced = store->replace_account(wished);
  ASSERT_TRUE(replaced.has_value());
  EXPECT_EQ(replaced->title, "New");
  EXPECT_EQ(replaced->tier, Tier::basic);
  EXPECT_EQ(replaced->number, made.number);
  EXPECT_EQ(replaced->created, 5);
  EXPECT_EQ(store->account("acme").value(), *replaced);
  EXPECT_FAILS(store->replace_account(account("bolt")), not_found, HasSubstr("bolt"));
}

TEST_F(StoreAccounts, NumberOfARemovedAccountIsNeverGivenAgain) {
  const uint32_t first = store->add_account(account("acme"), 1)->number;
  EXPECT_GOOD(store->remove_account("acme"));
  EXPECT_FAILS(store->account("acme"), not_found, HasSubstr("acme"));
  EXPECT_FAILS(store->account_of(first), not_found, HasSubstr("number"));
  reopen();
  EXPECT_NE(store->add_account(account("acme"), 1)->number, first);
}

TEST_F(StoreAccounts, FieldsAreCheckedByName) {
  EXPECT_FAILS(store->add_account(account("Acme"), 1), invalid_argument, HasSubstr("Acme"));
  EXPECT_FAILS(store->add_account(account(""), 1), invalid_argument, HasSubstr("account"));
  EXPECT_FAILS(store->add_account(account(std::string(41, 'a')), 1), invalid_argument,
               HasSubstr("40"));
  Account wrong = account("acme");
  wrong.title = "a\nb";
  EXPECT_FAILS(store->add_account(wrong, 1), invalid_argument, HasSubstr("title"));
  wrong.title = "\xff";
  EXPECT_FAILS(store->add_account(wrong, 1), invalid_argument, HasSubstr("UTF-8"));
  wrong = account("acme");
  wrong.tier = static_cast<Tier>(9);
  EXPECT_FAILS(store->add_account(wrong, 1), invalid_argument, HasSubstr("tier"));
  EXPECT_GOOD(store->add_account(account("acme"), 1));
  EXPECT_FAILS(store->add_account(account("acme"), 1), conflict, HasSubstr("acme"));
  EXPECT_FAILS(store->account(std::string("/\0\0\0\1", 5)), not_found, HasSubstr("no account"));
}

TEST_F(StoreAccounts, NameOfASharedListIsRefusedBothWays) {
  FeedDefinition feed = definition("dshield");
  feed.category = "odd-things";
  EXPECT_GOOD(store->add_feed(feed));
  for (const char* name : {"dshield", "dshield1", "dshield42", "odd-things", "odd-things7", "basic",
                           "basic2", "rpz", "ns1", "hostmaster", "scanner", "scanner3"}) {
    EXPECT_FAILS(store->add_account(account(name), 1), conflict, HasSubstr(name));
    EXPECT_FAILS(store->add_device(device("edge", name, {"5.5.5.5"}), 1), conflict,
                 HasSubstr(name));
  }
  EXPECT_GOOD(store->add_account(account("dshield-1"), 1));
  EXPECT_GOOD(store->add_account(account("acme1"), 1));
  EXPECT_GOOD(store->add_account(account("acme2"), 1));  // accounts do not continue
  EXPECT_FAILS(store->add_feed(definition("acme1")), conflict, HasSubstr("acme1"));
  // A list `acme` would need acme1 for its second part.
  EXPECT_FAILS(store->add_feed(definition("acme")), conflict, HasSubstr("account acme1"));
  EXPECT_GOOD(store->add_feed(definition("acme1x")));
  feed = definition("another");
  feed.category = "acme2";
  EXPECT_FAILS(store->add_feed(feed), conflict, HasSubstr("acme2"));
  EXPECT_GOOD(store->add_feed(definition("another")));
  EXPECT_FAILS(store->replace_feed(feed), conflict, HasSubstr("acme2"));
  EXPECT_GOOD(store->remove_account("acme1"));
  EXPECT_GOOD(store->remove_account("acme2"));
  EXPECT_GOOD(store->add_feed(definition("acme")));
}

TEST_F(StoreAccounts, DeviceOfAnUnknownAccountAddsItWithTheDefaults) {
  const auto made = store->add_device(device("edge", "acme", {"5.5.5.5"}), 7);
  ASSERT_TRUE(made.has_value()) << made.error().message;
  const Account account = store->account("acme").value();
  EXPECT_EQ(account.number, made->account_number);
  EXPECT_EQ(account.tier, Account{}.tier);
  EXPECT_EQ(account.created, 7);
  EXPECT_EQ(store->add_device(device("core", "acme", {"5.5.5.6"}), 8)->account_number,
            account.number);
  EXPECT_EQ(store->accounts()->size(), 1u);
}

TEST_F(StoreAccounts, AccountWithDevicesListsOrPoliciesGoesOnlyWhenAsked) {
  EXPECT_GOOD(store->add_device(device("edge", "acme", {"5.5.5.5"}), 1));
  EXPECT_FAILS(store->remove_account("acme"), conflict, HasSubstr("devices (1)"));
  EXPECT_GOOD(store->remove_device("edge"));
  EXPECT_GOOD(store->add_list(own_list("acme", "bad"), 1));
  EXPECT_FAILS(store->remove_account("acme"), conflict, HasSubstr("lists (1)"));
  EXPECT_GOOD(store->add_policy(ip_policy("acme", "edge", {"bad"}), 1));
  EXPECT_FAILS(store->remove_account("acme"), conflict, HasSubstr("policies (1)"));
  EXPECT_GOOD(store->add_device(device("edge", "acme", {"5.5.5.5"}), 1));
  const uint32_t list = store->list("acme", "bad")->number;
  add("acme", "bad", {"5.0.0.1", "bad.example"});
  EXPECT_GOOD(store->remove_account("acme", {.with_contents = true}));
  EXPECT_TRUE(store->accounts()->empty());
  EXPECT_TRUE(store->devices()->empty());
  EXPECT_TRUE(store->lists()->empty());
  EXPECT_TRUE(store->policies()->empty());
  EXPECT_TRUE(store->set_of_list(list)->empty());
  // Its source is free, and a new account of the name has nothing of the old one.
  EXPECT_GOOD(store->add_device(device("edge", "acme", {"5.5.5.5"}), 1));
  EXPECT_TRUE(store->lists_of("acme")->empty());
  EXPECT_FAILS(store->remove_account("nobody"), not_found, HasSubstr("nobody"));
}

// Two accounts with all of the same names: what one reads is never the other's.
TEST_F(StoreAccounts, NobodyReadsTheThingsOfAnother) {
  for (const char* name : {"acme", "bolt"}) {
    const std::string source = name == std::string("acme") ? "5.0.0.1" : "6.0.0.1";
    EXPECT_GOOD(store->add_device(device(std::string("fw-") + name, name, {source.c_str()}), 1));
    EXPECT_GOOD(store->add_list(own_list(name, "bad"), 1));
    EXPECT_GOOD(store->add_policy(ip_policy(name, "edge", {"bad"}), 1));
    add(name, "bad", {source, std::string(name) + ".example"});
  }
  EXPECT_GOOD(store->add_account(account("empty"), 1));
  EXPECT_GOOD(store->add_list(own_list("acme", "more"), 1));
  for (const char* name : {"acme", "bolt"}) {
    const uint32_t number = store->account(name)->number;
    const std::string source = name == std::string("acme") ? "5.0.0.1" : "6.0.0.1";
    const auto devices = store->devices_of(name).value();
    ASSERT_EQ(devices.size(), 1u);
    EXPECT_EQ(devices[0].account, name);
    const CustomList list = store->list(name, "bad").value();
    EXPECT_EQ(list.account, name);
    EXPECT_EQ(list.account_number, number);
    const auto lists = store->lists_of(name).value();
    for (const CustomList& one : lists) {
      EXPECT_EQ(one.account, name);
    }
    EXPECT_EQ(values_of(name, "bad"),
              (std::vector<std::string>{source, std::string(name) + ".example"}));
    EXPECT_EQ(store->set_of_list(list.number).value(),
              set_from({source, std::string(name) + ".example"}));
    const Policy policy = store->policy(name, "edge").value();
    EXPECT_EQ(policy.account, name);
    EXPECT_EQ(policy.account_number, number);
    const auto policies = store->policies_of(name).value();
    ASSERT_EQ(policies.size(), 1u);
    EXPECT_EQ(policies[0], policy);
  }
  EXPECT_EQ(store->lists_of("acme")->size(), 2u);
  EXPECT_EQ(store->lists_of("bolt")->size(), 1u);
  EXPECT_FAILS(store->list("bolt", "more"), not_found, HasSubstr("account bolt has no list more"));
  EXPECT_FAILS(store->entries_of("bolt", "more", {}), not_found, HasSubstr("bolt"));
  EXPECT_TRUE(store->devices_of("empty")->empty());
  EXPECT_TRUE(store->lists_of("empty")->empty());
  EXPECT_TRUE(store->policies_of("empty")->empty());
  EXPECT_FAILS(store->list("empty", "bad"), not_found, HasSubstr("empty"));
  EXPECT_FAILS(store->policy("empty", "edge"), not_found, HasSubstr("empty"));
  EXPECT_FAILS(store->entries_of("empty", "bad", {}), not_found, HasSubstr("empty"));
  // Nor does one change them.
  EXPECT_EQ(store->remove_entries("acme", "bad", std::vector<std::string>{"6.0.0.1"}, {})->removed,
            0u);
  EXPECT_GOOD(store->remove_account("acme", {.with_contents = true}));
  EXPECT_EQ(values_of("bolt", "bad"), (std::vector<std::string>{"6.0.0.1", "bolt.example"}));
  EXPECT_EQ(store->devices()->size(), 1u);
  EXPECT_EQ(store->policies_of("bolt")->size(), 1u);
  EXPECT_FAILS(store->lists_of("acme"), not_found, HasSubstr("acme"));
  EXPECT_FAILS(store->policies_of("acme"), not_found, HasSubstr("acme"));
  EXPECT_FAILS(store->devices_of("acme"), not_found, HasSubstr("acme"));
}

TEST_F(StoreAccounts, AllListsAndPoliciesComeByAccountNumberAndName) {
  for (const char* name : {"zulu", "acme"}) {
    EXPECT_GOOD(store->add_account(account(name), 1));
    EXPECT_GOOD(store->add_list(own_list(name, "two"), 1));
    EXPECT_GOOD(store->add_list(own_list(name, "one"), 1));
    EXPECT_GOOD(store->add_policy(ip_policy(name, "p", {"one"}), 1));
  }
  std::vector<std::string> names;
  const auto lists = store->lists().value();
  for (const CustomList& list : lists) {
    names.push_back(list.account + "/" + list.name);
  }
  EXPECT_THAT(names, ElementsAre("zulu/one", "zulu/two", "acme/one", "acme/two"));
  names.clear();
  const auto policies = store->policies().value();
  for (const Policy& policy : policies) {
    names.push_back(policy.account);
  }
  EXPECT_THAT(names, ElementsAre("zulu", "acme"));
}

}  // namespace
}  // namespace merlon::store
