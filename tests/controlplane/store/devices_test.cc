// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/controlplane/store/support.h"

namespace merlon::store {
namespace {

using testing::HasSubstr;
using StoreDevices = StoreTest;

TEST_F(StoreDevices, GetNumbersAndTheTimeOfTheirCreation) {
  Device wished = device("edge", "acme", {"5.5.5.5", "2a00::/32"});
  wished.number = 99;  // not for the caller to choose
  wished.account_number = 98;
  wished.created = 97;
  wished.tier = Tier::advanced;
  const auto made = store->add_device(wished, 1000);
  ASSERT_TRUE(made.has_value());
  EXPECT_EQ(made->number, 1u);
  EXPECT_EQ(made->account_number, 1u);
  EXPECT_EQ(made->created, 1000);
  const auto all = store->devices().value();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].name, "edge");
  EXPECT_EQ(all[0].account, "acme");
  EXPECT_EQ(all[0].tier, Tier::advanced);
  EXPECT_EQ(all[0].sources, wished.sources);
  EXPECT_EQ(all[0].number, 1u);
  EXPECT_EQ(all[0].account_number, 1u);
  EXPECT_EQ(all[0].created, 1000);
}

TEST_F(StoreDevices, AreSortedByNameAndSourcesAreNotAmongThem) {
  for (const char* name : {"zulu", "9", "alpha"}) {
    Device made = device(name, "acme", {});
    made.sources.push_back(
        {address::Family::v4, 32, static_cast<address::Bits6>(0x05000000 + name[0])});
    EXPECT_GOOD(store->add_device(made, 1));
  }
  const auto all = store->devices().value();
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].name, "9");
  EXPECT_EQ(all[1].name, "alpha");
  EXPECT_EQ(all[2].name, "zulu");
}

TEST_F(StoreDevices, OneAccountHasOneNumberAndTwoAccountsHaveTwo) {
  const uint32_t a1 = store->add_device(device("a1", "acme", {"5.0.0.1"}), 1)->account_number;
  const uint32_t b1 = store->add_device(device("b1", "bolt", {"5.0.0.2"}), 1)->account_number;
  const uint32_t a2 = store->add_device(device("a2", "acme", {"5.0.0.3"}), 1)->account_number;
  EXPECT_EQ(a1, a2);
  EXPECT_NE(a1, b1);
  EXPECT_NE(a1, 0u);
  EXPECT_NE(b1, 0u);
}

TEST_F(StoreDevices, NumbersOfAccountsNeverMeetOverManyChangesAndReopenings) {
  std::mt19937 random(test_seed());
  std::map<std::string, uint32_t> account_numbers;
  std::map<uint32_t, std::string> accounts;
  std::set<uint32_t> device_numbers;
  std::vector<std::string> present;
  for (int step = 0; step < 300; ++step) {
    if (!present.empty() && random() % 3 == 0) {
      const size_t which = random() % present.size();
      EXPECT_GOOD(store->remove_device(present[which]));
      present.erase(present.begin() + static_cast<std::ptrdiff_t>(which));
    } else {
      const std::string account = "account-" + std::to_string(random() % 20);
      Device wished = device("d" + std::to_string(step), account, {});
      wished.sources.push_back({address::Family::v4, 32, static_cast<uint32_t>(step)});
      const auto made = store->add_device(wished, step);
      ASSERT_TRUE(made.has_value()) << made.error().message;
      present.push_back(made->name);
      EXPECT_TRUE(device_numbers.insert(made->number).second) << "number used twice";
      const auto known = account_numbers.emplace(account, made->account_number).first;
      EXPECT_EQ(known->second, made->account_number);
      EXPECT_EQ(accounts.emplace(made->account_number, account).first->second, account);
    }
    if (step % 100 == 99) {
      reopen();
    }
  }
  const auto all = store->devices().value();
  for (const Device& one : all) {
    EXPECT_EQ(accounts.at(one.account_number), one.account);
  }
}

TEST_F(StoreDevices, SourceOfAnotherDeviceIsAConflictThatNamesIt) {
  EXPECT_GOOD(store->add_device(device("first", "acme", {"5.5.5.0/24", "2a00::/32"}), 1));
  EXPECT_FAILS(store->add_device(device("second", "bolt", {"6.6.6.6", "5.5.5.0/24"}), 1), conflict,
               testing::AllOf(HasSubstr("first"), HasSubstr("5.5.5.0/24")));
  EXPECT_FAILS(store->add_device(device("second", "acme", {"2a00::/32"}), 1), conflict,
               HasSubstr("first"));
  EXPECT_EQ(store->devices()->size(), 1u);
  // Another length is another prefix; the longest one wins where it is looked up.
  EXPECT_GOOD(store->add_device(device("second", "bolt", {"5.5.5.0/25", "5.5.5.0/23"}), 1));
}

TEST_F(StoreDevices, SourceIsFreeAgainWhenItsDeviceIsRemoved) {
  EXPECT_GOOD(store->add_device(device("first", "acme", {"5.5.5.5"}), 1));
  EXPECT_GOOD(store->remove_device("first"));
  const auto again = store->add_device(device("second", "bolt", {"5.5.5.5"}), 2);
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->number, 2u);
  EXPECT_EQ(again->account_number, 2u);
}

TEST_F(StoreDevices, TakenNameIsAConflict) {
  EXPECT_GOOD(store->add_device(device("edge", "acme", {"5.5.5.5"}), 1));
  EXPECT_FAILS(store->add_device(device("edge", "bolt", {"5.5.5.6"}), 1), conflict,
               HasSubstr("edge"));
}

TEST_F(StoreDevices, RefusedDeviceTakesNoNumber) {
  EXPECT_GOOD(store->add_device(device("a", "acme", {"5.5.5.5"}), 1));
  EXPECT_FALSE(store->add_device(device("b", "new-account", {"5.5.5.5"}), 1).has_value());
  const auto made = store->add_device(device("c", "other-account", {"5.5.5.6"}), 1);
  EXPECT_EQ(made->number, 2u);
  EXPECT_EQ(made->account_number, 2u);
}

TEST_F(StoreDevices, WrongFieldsAreRefusedByName) {
  EXPECT_FAILS(store->add_device(device("", "acme", {}), 1), invalid_argument, HasSubstr("name"));
  EXPECT_FAILS(store->add_device(device("/", "acme", {}), 1), invalid_argument, HasSubstr("name"));
  EXPECT_FAILS(store->add_device(device("Edge", "acme", {}), 1), invalid_argument,
               HasSubstr("Edge"));
  EXPECT_FAILS(store->add_device(device("edge", "", {}), 1), invalid_argument,
               HasSubstr("account"));
  EXPECT_FAILS(store->add_device(device("edge", "acme", {"5.5.5.5", "5.5.5.5"}), 1),
               invalid_argument, HasSubstr("twice"));
  Device wrong = device("edge", "acme", {});
  wrong.sources = {{address::Family::v4, 24, 0x05050505}};
  EXPECT_FAILS(store->add_device(wrong, 1), invalid_argument, HasSubstr("not a prefix"));
  wrong.sources = {{address::Family::v4, 33, 0}};
  EXPECT_FAILS(store->add_device(wrong, 1), invalid_argument, HasSubstr("not a prefix"));
  wrong.sources = {{address::Family::v6, 128, (address::Bits6{0xffff} << 32) | 1}};
  EXPECT_FAILS(store->add_device(wrong, 1), invalid_argument, HasSubstr("mapped"));
  wrong.sources = {};
  wrong.tier = static_cast<Tier>(7);
  EXPECT_FAILS(store->add_device(wrong, 1), invalid_argument, HasSubstr("tier"));
}

TEST_F(StoreDevices, WhatIsNotThereIsNotFoundByName) {
  EXPECT_FAILS(store->remove_device("edge"), not_found, HasSubstr("edge"));
  EXPECT_GOOD(store->add_device(device("edge", "acme", {"5.5.5.5"}), 1));
  const std::string key_of_source = std::string("/4 ") + "\x05\x05\x05\x05";
  EXPECT_FAILS(store->remove_device(key_of_source), not_found, HasSubstr("no device"));
}

}  // namespace
}  // namespace merlon::store
