// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/controlplane/store/account_support.h"
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

TEST_F(StoreDevices, AreChangedInPlace) {
  EXPECT_GOOD(store->add_device(device("other", "bolt", {"5.5.5.6"}), 1));
  const Device made = store->add_device(device("edge", "acme", {"5.5.5.5"}), 2).value();
  Device wish = made;
  wish.number = 99;
  wish.account_number = 99;
  wish.created = 99;
  wish.sources = device("x", "x", {"5.5.5.5", "2a00::/32"}).sources;
  wish.recursion = true;
  wish.tsig_algorithm = "hmac-sha256";
  wish.tsig_secret = "c2VjcmV0IHNlY3JldCBzZWNyZXQ=";
  wish.notify = {"192.0.2.53", "192.0.2.53:5353", "[2001:db8::1]:53", "2001:db8::1"};
  EXPECT_GOOD(store->replace_device(wish));
  reopen();
  wish.number = made.number;
  wish.account_number = made.account_number;
  wish.created = made.created;
  EXPECT_EQ(store->device("edge").value(), wish);
  // A source that it gave up is free; one of another's is not taken.
  wish.sources = device("x", "x", {"2a00::/32", "5.5.5.6"}).sources;
  EXPECT_FAILS(store->replace_device(wish), conflict, HasSubstr("other"));
  wish.sources = device("x", "x", {"2a00::/32"}).sources;
  EXPECT_GOOD(store->replace_device(wish));
  EXPECT_GOOD(store->add_device(device("third", "bolt", {"5.5.5.5"}), 3));
  EXPECT_FAILS(store->add_device(device("fourth", "bolt", {"2a00::/32"}), 3), conflict,
               HasSubstr("edge"));
  wish.account = "bolt";
  EXPECT_FAILS(store->replace_device(wish), invalid_argument, HasSubstr("of account acme"));
  wish.name = "nobody";
  EXPECT_FAILS(store->replace_device(wish), not_found, HasSubstr("nobody"));
}

TEST_F(StoreDevices, AreFoundByTheirTokenAndByNoOther) {
  Device made = store->add_device(device("edge", "acme", {"5.5.5.5"}), 2).value();
  const std::string first(64, 'a');
  const std::string second(64, 'b');
  EXPECT_FAILS(store->device_by_token(first), not_found, HasSubstr("token"));
  made.token_digest = first;
  EXPECT_GOOD(store->replace_device(made));
  EXPECT_EQ(store->device_by_token(first)->name, "edge");
  made.token_digest = second;
  EXPECT_GOOD(store->replace_device(made));
  EXPECT_FALSE(store->device_by_token(first).has_value());
  EXPECT_EQ(store->device_by_token(second)->name, "edge");
  EXPECT_EQ(store->devices()->size(), 1u);
  EXPECT_FALSE(store->device_by_token("").has_value());
  EXPECT_GOOD(store->remove_device("edge"));
  EXPECT_FALSE(store->device_by_token(second).has_value());
}

TEST_F(StoreDevices, RecurseUnderADnsPolicyOfTheirAccount) {
  Device made = store->add_device(device("edge", "acme", {"5.5.5.5"}), 2).value();
  EXPECT_GOOD(store->add_list(own_list("acme", "bad"), 1));
  EXPECT_GOOD(store->add_policy(ip_policy("acme", "lists", {"bad"}), 1));
  Policy dns = ip_policy("acme", "guard", {"bad"});
  dns.kind = PolicyKind::dns;
  EXPECT_GOOD(store->add_policy(dns, 1));
  for (const char* name : {"absent", "lists"}) {
    made.dns_policy = name;
    EXPECT_FAILS(store->replace_device(made), invalid_argument, HasSubstr(name));
    Device other = device("other", "acme", {"5.5.5.6"});
    other.dns_policy = name;
    EXPECT_FAILS(store->add_device(other, 3), invalid_argument, HasSubstr(name));
  }
  made.dns_policy = "guard";
  EXPECT_GOOD(store->replace_device(made));
  EXPECT_FAILS(store->remove_policy("acme", "guard"), conflict, HasSubstr("edge"));
  made.dns_policy.clear();
  EXPECT_GOOD(store->replace_device(made));
  EXPECT_GOOD(store->remove_policy("acme", "guard"));
}

TEST_F(StoreDevices, KeysTargetsAndDigestsAreChecked) {
  const Device made = store->add_device(device("edge", "acme", {"5.5.5.5"}), 2).value();
  const auto wrong = [&](auto change, const char* about) {
    Device wish = made;
    change(wish);
    EXPECT_FAILS(store->replace_device(wish), invalid_argument, HasSubstr(about));
  };
  const std::string good = "c2VjcmV0IHNlY3JldCBzZWNyZXQ=";
  wrong([&](Device& d) { d.tsig_secret = good; }, "algorithm");
  wrong([&](Device& d) { d.tsig_algorithm = "hmac-md5", d.tsig_secret = good; }, "hmac-md5");
  for (const std::string& secret : {std::string(), std::string("c2VjcmV0"), good.substr(1),
                                    good + "====", std::string("c2VjcmV0IHNlY3JldCBzZWNyZXR="),
                                    std::string(88, 'A'), good + "\n"}) {
    wrong([&](Device& d) { d.tsig_algorithm = "hmac-sha256", d.tsig_secret = secret; }, "base64");
  }
  for (const char* target :
       {"", "host.example", "192.0.2.1:0", "192.0.2.1:65536", "192.0.2.1:", "[2001:db8::1",
        "[2001:db8::1]x53", "[192.0.2.1]:53", "192.0.2.1/32"}) {
    wrong([&](Device& d) { d.notify = {target}; }, "notify");
  }
  wrong([](Device& d) { d.notify = {"192.0.2.1", "192.0.2.1"}; }, "twice");
  wrong([](Device& d) { d.notify.assign(33, "192.0.2.1"); }, "at most");
  wrong([](Device& d) { d.certificate = std::string(63, 'a'); }, "certificate");
  wrong([](Device& d) { d.token_digest = std::string(64, 'A'); }, "token");
  wrong([](Device& d) { d.dns_policy = "Not a label"; }, "dns_policy");
}

TEST(NotifyTarget, IsAnAddressWithOrWithoutAPort) {
  EXPECT_EQ(parse_notify_target("192.0.2.1")->port, 53);
  EXPECT_EQ(parse_notify_target("192.0.2.1:5353")->port, 5353);
  EXPECT_EQ(parse_notify_target("[2001:db8::1]:853")->port, 853);
  EXPECT_EQ(parse_notify_target("[2001:db8::1]")->port, 53);
  EXPECT_EQ(parse_notify_target("2001:db8::1")->address,
            address::parse_address("2001:db8::1").value());
}

}  // namespace
}  // namespace merlon::store
