// SPDX-License-Identifier: Apache-2.0
#include "controlplane/policy/policies.h"

#include <gmock/gmock.h>

#include "controlplane/policy/profiles.h"
#include "controlplane/policy/protected_set.h"

namespace merlon::policy {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr int64_t kNow = 1000;

store::FeedRecord feed(const std::string& id, const std::string& category, uint8_t severity,
                       uint8_t confidence = 50) {
  store::FeedRecord record;
  record.definition.id = id;
  record.definition.category = category;
  record.definition.severity = severity;
  record.definition.confidence = confidence;
  return record;
}

OwnList own(const std::string& name, const std::vector<std::string>& values,
            store::Direction direction = store::Direction::block) {
  OwnList list;
  list.list.account = "acme";
  list.list.name = name;
  list.list.direction = direction;
  for (const std::string& value : values) {
    list.entries.push_back({.value = value, .comment = {}, .created = 1, .expires = 0});
  }
  return list;
}

store::Target target(std::vector<std::string> feeds, std::vector<std::string> categories = {},
                     uint8_t severity_min = 0, uint8_t confidence_min = 0) {
  store::Target made;
  made.feeds = std::move(feeds);
  made.categories = std::move(categories);
  made.severity_min = severity_min;
  made.confidence_min = confidence_min;
  return made;
}

store::Policy policy_of(std::vector<store::Target> targets, std::vector<std::string> lists = {}) {
  store::Policy policy;
  policy.account = "acme";
  policy.name = "edge";
  policy.targets = std::move(targets);
  policy.lists = std::move(lists);
  return policy;
}

const std::vector<store::FeedRecord> kFeeds = {
    feed("scans", "scanner", 2), feed("c2", "c2-server", 5, 90),
    feed("c2-weak", "c2-server", 4, 20), feed("spam", "spam", 2, 80)};

class PolicyTest : public testing::Test {
 protected:
  PolicyTest() {
    std::vector<Universe::Feed> feeds;
    for (const auto& record : kFeeds) {
      feeds.push_back({record.definition.id, &empty_});
    }
    universe_ = Universe::build(feeds, {});
  }
  SelectionContext context() const {
    return {.universe = universe_, .feeds = kFeeds, .narrow_from = {}, .now = kNow};
  }

  store::FeedSet empty_;
  Universe universe_;
};

TEST(FeedsOf, ATargetMeetsFeedsThatMeetAllItsConditions) {
  const struct {
    store::Target target;
    std::vector<std::string> feeds;
  } rows[] = {
      {{}, {"c2", "c2-weak", "scans", "spam"}},       {target({"spam", "c2"}), {"c2", "spam"}},
      {target({}, {"c2-server"}), {"c2", "c2-weak"}}, {target({}, {"c2-server"}, 5), {"c2"}},
      {target({}, {}, 0, 80), {"c2", "spam"}},        {target({"spam"}, {"scanner"}), {}},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(feeds_of(policy_of({row.target}), kFeeds), row.feeds);
  }
  EXPECT_THAT(feeds_of(policy_of({}), kFeeds), IsEmpty());
  EXPECT_THAT(feeds_of(policy_of({rows[1].target, rows[3].target, rows[0].target}), kFeeds),
              ElementsAre("c2", "c2-weak", "scans", "spam"));
}

TEST(FeedsOf, DisabledAndAllowFeedsAreNoBodysTarget) {
  std::vector<store::FeedRecord> feeds = kFeeds;
  feeds[0].definition.enabled = false;
  feeds[1].definition.direction = store::Direction::allow;
  EXPECT_THAT(feeds_of(policy_of({store::Target{}}), feeds), ElementsAre("c2-weak", "spam"));
}

TEST(OwnAddresses, RangesAndPrefixesAreNarrowWhereTheirPrefixesAre) {
  const OwnAddresses made =
      addresses_of(own("x", {"20.0.0.0/24", "21.0.0.0/16", "22.0.0.1-22.0.0.9", "2600::1",
                             "2600:1::/64", "example.com", "*.example.org"}),
                   {}, kNow);
  EXPECT_EQ(static_cast<uint64_t>(made.all.v4.address_count()), 256u + 65536 + 9);
  EXPECT_EQ(static_cast<uint64_t>(made.narrow.v4.address_count()), 256u + 9);
  EXPECT_EQ(static_cast<uint64_t>(made.narrow.v6.address_count()), 1u);
  EXPECT_EQ(made.all.v6.ranges().size(), 2u);
}

TEST(OwnAddresses, EntriesEndWhenTheyExpire) {
  OwnList list = own("x", {"20.0.0.1", "20.0.0.2", "20.0.0.3"});
  list.entries[0].expires = kNow;
  list.entries[1].expires = kNow + 1;
  EXPECT_EQ(static_cast<uint64_t>(addresses_of(list, {}, kNow).all.v4.address_count()), 2u);
  EXPECT_EQ(next_expiry(std::span(&list, 1), kNow), kNow + 1);
  EXPECT_EQ(next_expiry(std::span(&list, 1), kNow + 1), 0);
}

TEST_F(PolicyTest, SelectionHasFeedsWithScoresListsAndRoom) {
  store::Policy policy = policy_of({target({}, {"c2-server"})}, {"bad", "good"});
  policy.profile = "paloalto";
  policy.capacity = 60'000;
  const std::vector<OwnList> lists = {own("bad", {"20.0.0.1"}), own("other", {"20.0.0.2"}),
                                      own("good", {"20.0.0.3"}, store::Direction::allow)};
  const Selection selection = select_policy(policy, lists, context()).value();
  ASSERT_EQ(selection.feeds.size(), 2u);
  EXPECT_EQ(universe_.feeds()[selection.feeds[0].feed], "c2");
  EXPECT_EQ(selection.feeds[0].score, score_of(5, 90));
  EXPECT_TRUE(selection.block.contains(address::Address::v4(0x14000001)));
  EXPECT_FALSE(selection.block.contains(address::Address::v4(0x14000002)));
  EXPECT_TRUE(selection.allow.contains(address::Address::v4(0x14000003)));
  EXPECT_EQ(selection.capacity, 49'998u);  // the profile's, less the test addresses
  policy.capacity = 1;
  EXPECT_EQ(select_policy(policy, lists, context())->capacity, 1u);
  policy.profile = "";
  policy.capacity = 0;
  EXPECT_EQ(select_policy(policy, lists, context())->capacity, 0u);
}

TEST_F(PolicyTest, UnknownProfilesAndListsAreNamed) {
  store::Policy policy = policy_of({store::Target{}});
  policy.profile = "toaster";
  auto selection = select_policy(policy, {}, context());
  ASSERT_FALSE(selection.has_value());
  EXPECT_THAT(selection.error().message,
              AllOf(HasSubstr("acme/edge"), HasSubstr("toaster"), HasSubstr("paloalto")));
  policy.profile = "";
  policy.lists = {"gone"};
  selection = select_policy(policy, {}, context());
  ASSERT_FALSE(selection.has_value());
  EXPECT_EQ(selection.error().code, ErrorCode::not_found);
  EXPECT_THAT(selection.error().message, HasSubstr("gone"));
}

TEST_F(PolicyTest, ListsOfAnotherAccountAreNotThePolicys) {
  OwnList foreign = own("bad", {"20.0.0.1"});
  foreign.list.account = "zeta";
  EXPECT_FALSE(
      select_policy(policy_of({}, {"bad"}), std::span(&foreign, 1), context()).has_value());
}

TEST_F(PolicyTest, SharedAndOwnListsAreSelectionsToo) {
  const Selection shared = select_shared({.name = "basic", .feeds = {"scans", "spam"}}, context());
  EXPECT_EQ(shared.feeds.size(), 2u);
  EXPECT_EQ(shared.capacity, 0u);
  const OwnList good = own("good", {"20.0.0.3"}, store::Direction::allow);
  const Selection mine =
      select_own_list(own("bad", {"20.0.0.0/30"}), std::span(&good, 1), context());
  EXPECT_TRUE(mine.feeds.empty());
  EXPECT_EQ(static_cast<uint64_t>(mine.block_narrow.v4.address_count()), 4u);
  EXPECT_TRUE(mine.allow.contains(address::Address::v4(0x14000003)));
}

TEST(CheckOwnEntries, NamesRangeReasonListAndPolicy) {
  const store::Policy policy = policy_of({}, {"bad"});
  const struct {
    std::string entry, range, reason;
  } rows[] = {{"10.1.2.3", "10.1.2.3", "RFC 1918"},
              {"8.8.8.0/24", "8.8.4.4", "Google"},
              {"9.0.0.0-11.0.0.0", "9.9.9.9", "Quad9"},
              {"2000::/3", "2001:1::", "IETF"}};
  for (const auto& row : rows) {
    const OwnList list = own("bad", {"20.0.0.1", row.entry, "example.com"});
    const Status checked =
        check_own_entries(policy, std::span(&list, 1), protected_addresses(), kNow);
    ASSERT_FALSE(checked.has_value()) << row.entry;
    EXPECT_EQ(checked.error().code, ErrorCode::invalid_argument);
    EXPECT_THAT(checked.error().message, AllOf(HasSubstr("acme/edge"), HasSubstr(row.entry),
                                               HasSubstr("list bad"), HasSubstr(row.reason)));
  }
}

TEST(CheckOwnEntries, WhatThePolicyDoesNotBlockIsNotItsFault) {
  const store::Policy policy = policy_of({}, {"fine", "good"});
  std::vector<OwnList> lists = {own("fine", {"20.0.0.1", "10.0.0.1"}), own("bad", {"10.0.0.1"}),
                                own("good", {"10.0.0.0/8"}, store::Direction::allow)};
  lists[0].entries[1].expires = kNow;
  EXPECT_TRUE(check_own_entries(policy, lists, protected_addresses(), kNow).has_value());
}

TEST(Profiles, AreDifferentNamesAndTheFirstIsTheDefault) {
  EXPECT_EQ(find_profile(""), &profiles()[0]);
  EXPECT_EQ(find_profile("default"), &profiles()[0]);
  EXPECT_EQ(find_profile("none-such"), nullptr);
  EXPECT_EQ(find_profile("bind")->addresses4_per_name, 100u);
  EXPECT_EQ(find_profile("powerdns")->addresses4_per_name, 256u);
  EXPECT_EQ(find_profile("paloalto")->addresses6_per_name, 32u);
  EXPECT_EQ(find_profile("musl")->addresses4_per_name, 48u);
  for (const Profile& profile : profiles()) {
    EXPECT_EQ(find_profile(profile.name), &profile) << "a name twice";
    EXPECT_GE(profile.addresses4_per_name, 2u);
    EXPECT_FALSE(profile.what.empty());
  }
}

TEST(Places, APolicyTakesPartsOfFeedsAndWholeOnesOnce) {
  const std::vector<store::FeedRecord> feeds{feed("one", "scanner", 3), feed("two", "spam", 2)};
  store::Target german = target({});
  german.countries = {"FR", "DE"};
  store::Target system = german;
  system.asns = {3320};
  EXPECT_EQ(places_of(target({})), "");
  EXPECT_EQ(places_of(system), "DE,FR/3320");
  EXPECT_THAT(parts_of(policy_of({german, system, target({"two"})}), feeds),
              ElementsAre("one|DE,FR/", "one|DE,FR/3320", "two"));
}

TEST(Places, APartIsCutExactlyAndKeepsItsPrefixesApart) {
  const auto prefix = [](const char* text) { return address::parse_prefix(text).value(); };
  store::FeedSet set;
  set.v4 = {prefix("45.0.0.0/14").v4(), prefix("45.1.2.0/25").v4(), prefix("45.1.2.128/25").v4(),
            prefix("46.0.0.1").v4()};
  set.v6 = {prefix("2a00::/16").v6()};
  set.domains = {"a.example"};
  set.normalise();
  address::IpSet within;
  within.v4 = address::RangeSet4::from_unsorted({prefix("45.1.2.0/24").v4().range()});
  const store::FeedSet part = part_of(set, within);
  EXPECT_THAT(part.v4, ElementsAre(prefix("45.1.2.0/24").v4(), prefix("45.1.2.0/25").v4(),
                                   prefix("45.1.2.128/25").v4()));
  EXPECT_TRUE(part.v6.empty());
  EXPECT_TRUE(part.domains.empty());
}

}  // namespace
}  // namespace merlon::policy
