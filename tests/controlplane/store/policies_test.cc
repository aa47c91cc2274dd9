// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/controlplane/store/account_support.h"

namespace merlon::store {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class StorePolicies : public AccountTest {
 protected:
  void SetUp() override {
    AccountTest::SetUp();
    FeedDefinition feed = definition("dshield");
    feed.category = "odd-things";
    EXPECT_GOOD(store->add_feed(feed));
    EXPECT_GOOD(store->add_account(account("acme"), 1));
    EXPECT_GOOD(store->add_list(own_list("acme", "bad"), 1));
    EXPECT_GOOD(store->add_list(own_list("acme", "good", Direction::allow), 1));
    EXPECT_GOOD(store->add_account(account("bolt"), 1));
    EXPECT_GOOD(store->add_list(own_list("bolt", "theirs"), 1));
  }
  static Policy dns_policy() {
    Policy made = ip_policy("acme", "names", {"bad", "good"});
    made.kind = PolicyKind::dns;
    made.title = "Names";
    made.targets.resize(2);
    made.targets[0].feeds = {"dshield"};
    made.targets[0].action = Action::garden;
    made.targets[1].categories = {"odd-things", "scanner"};
    made.targets[1].severity_min = 4;
    made.targets[1].confidence_min = 90;
    made.targets[1].countries = {"DE", "FR"};
    made.targets[1].asns = {3320, UINT32_MAX};
    made.targets[1].action = Action::drop;
    made.list_action = Action::tcp_only;
    made.garden = "*.walled.example";
    return made;
  }
};

TEST_F(StorePolicies, AreReadAsTheyWereWritten) {
  Policy wished = dns_policy();
  wished.number = 99;
  wished.created = 98;
  const auto made = store->add_policy(wished, 1000);
  ASSERT_TRUE(made.has_value()) << made.error().message;
  wished.number = 1;
  wished.created = 1000;
  wished.changed = 1000;
  wished.account_number = 1;
  EXPECT_EQ(*made, wished);
  Policy ip = ip_policy("acme", "edge", {"bad"});
  ip.profile = "paloalto";
  ip.capacity = 50'000;
  EXPECT_EQ(store->add_policy(ip, 1)->number, 2u);
  reopen();
  EXPECT_EQ(store->policy("acme", "names").value(), wished);
  EXPECT_EQ(store->policies_of("acme")->size(), 2u);
  EXPECT_EQ(store->add_policy(ip_policy("acme", "third", {"bad"}), 1)->number, 3u);
}

TEST_F(StorePolicies, ReplacingKeepsNumberAndTime) {
  const Policy made = store->add_policy(dns_policy(), 10).value();
  const uint64_t before = store->revision();
  EXPECT_EQ(store->replace_policy(dns_policy(), 20).value(), made);
  EXPECT_EQ(store->revision(), before);
  Policy wished = ip_policy("acme", "names", {"good"});
  wished.targets.resize(1);
  const auto replaced = store->replace_policy(wished, 30).value();
  EXPECT_EQ(replaced.number, made.number);
  EXPECT_EQ(replaced.created, 10);
  EXPECT_EQ(replaced.changed, 30);
  EXPECT_EQ(replaced.kind, PolicyKind::ip);
  EXPECT_EQ(store->policy("acme", "names").value(), replaced);
  EXPECT_FAILS(store->replace_policy(ip_policy("acme", "other", {"bad"}), 1), not_found,
               HasSubstr("no policy other"));
  wished.lists = {"theirs"};
  EXPECT_FAILS(store->replace_policy(wished, 40), invalid_argument, HasSubstr("theirs"));
  EXPECT_EQ(store->policy("acme", "names").value(), replaced);
}

TEST_F(StorePolicies, WhatTheyNameMustExist) {
  Policy wrong = dns_policy();
  wrong.targets[0].feeds = {"dsheild"};
  EXPECT_FAILS(store->add_policy(wrong, 1), invalid_argument,
               AllOf(HasSubstr("target 1"), HasSubstr("no feed dsheild; did you mean dshield?")));
  wrong = dns_policy();
  wrong.targets[1].categories = {"scaner"};
  EXPECT_FAILS(
      store->add_policy(wrong, 1), invalid_argument,
      AllOf(HasSubstr("target 2"), HasSubstr("no category scaner; did you mean scanner?")));
  // A list of another account is none.
  EXPECT_FAILS(store->add_policy(ip_policy("acme", "edge", {"theirs"}), 1), invalid_argument,
               HasSubstr("no list of account acme called theirs"));
  EXPECT_FAILS(store->add_policy(ip_policy("nobody", "edge", {"bad"}), 1), not_found,
               HasSubstr("nobody"));
  wrong = ip_policy("acme", "edge", {"bad"});
  wrong.profile = "abacus";
  EXPECT_FAILS(store->add_policy(wrong, 1), invalid_argument, HasSubstr("no profile \"abacus\""));
}

TEST_F(StorePolicies, FieldsAreCheckedByName) {
  const auto reason = [&](Policy wrong) {
    const auto made = store->add_policy(std::move(wrong), 1);
    EXPECT_FALSE(made.has_value());
    return made ? "" : made.error().message;
  };
  EXPECT_THAT(reason(ip_policy("acme", "edge", {})), HasSubstr("neither a target nor a list"));
  EXPECT_THAT(reason(ip_policy("acme", "Edge", {"bad"})), HasSubstr("Edge"));
  EXPECT_THAT(reason(ip_policy("acme", "edge", {"bad", "bad"})), HasSubstr("twice"));
  Policy wrong = dns_policy();
  wrong.garden = "";
  EXPECT_THAT(reason(wrong), HasSubstr("garden"));
  wrong.garden = "not a name";
  EXPECT_THAT(reason(wrong), HasSubstr("garden \"not a name\""));
  wrong = dns_policy();
  wrong.targets[1].severity_min = 6;
  EXPECT_THAT(reason(wrong), HasSubstr("severity_min 6"));
  wrong = dns_policy();
  wrong.targets[0].confidence_min = 101;
  EXPECT_THAT(reason(wrong), HasSubstr("confidence_min 101"));
  wrong.targets[0].confidence_min = 0;
  wrong.targets[0].countries = {"de"};
  EXPECT_THAT(reason(wrong), HasSubstr("two capital letters"));
  wrong.targets[0].countries = {};
  wrong.targets[0].asns = {0};
  EXPECT_THAT(reason(wrong), HasSubstr("no autonomous system 0"));
  wrong.targets[0].asns = {};
  wrong = dns_policy();
  wrong.targets[0].action = static_cast<Action>(17);
  EXPECT_THAT(reason(wrong), HasSubstr("action"));
  wrong = dns_policy();
  wrong.kind = static_cast<PolicyKind>(2);
  EXPECT_THAT(reason(wrong), HasSubstr("kind"));
  wrong = dns_policy();
  wrong.targets.resize(101);
  EXPECT_THAT(reason(wrong), HasSubstr("101 targets"));
}

TEST_F(StorePolicies, KindsDoNotTakeEachOthersFields) {
  const auto reason = [&](const Policy& wrong) {
    const auto made = store->add_policy(wrong, 1);
    EXPECT_FALSE(made.has_value());
    return made ? "" : made.error().message;
  };
  Policy wrong = ip_policy("acme", "edge", {"bad"});
  wrong.list_action = Action::drop;
  EXPECT_THAT(reason(wrong), HasSubstr("has no actions"));
  wrong = ip_policy("acme", "edge", {"bad"});
  wrong.garden = "walled.example";
  EXPECT_THAT(reason(wrong), HasSubstr("garden is for DNS"));
  wrong = dns_policy();
  wrong.profile = "bind";
  EXPECT_THAT(reason(wrong), HasSubstr("a DNS policy has neither"));
  wrong = dns_policy();
  wrong.capacity = 5;
  EXPECT_THAT(reason(wrong), HasSubstr("a DNS policy has neither"));
  wrong = ip_policy("acme", "edge", {"bad"});
  wrong.profile = "paloalto";
  wrong.capacity = 50'001;
  EXPECT_THAT(reason(wrong), HasSubstr("profile paloalto takes"));
}

TEST_F(StorePolicies, AreRemovedByAccountAndName) {
  EXPECT_GOOD(store->add_policy(dns_policy(), 1));
  EXPECT_FAILS(store->remove_policy("bolt", "names"), not_found, HasSubstr("bolt"));
  EXPECT_FAILS(store->add_policy(dns_policy(), 1), conflict, HasSubstr("names"));
  EXPECT_GOOD(store->remove_policy("acme", "names"));
  EXPECT_FAILS(store->policy("acme", "names"), not_found, HasSubstr("names"));
  EXPECT_EQ(store->add_policy(dns_policy(), 1)->number, 2u);
}

}  // namespace
}  // namespace merlon::store
