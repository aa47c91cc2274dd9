// SPDX-License-Identifier: Apache-2.0
#include "controlplane/policy/lists.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>

#include "controlplane/policy/protected_set.h"

namespace merlon::policy {
namespace {

using store::Direction;
using store::FeedRecord;
using store::FeedSet;
using store::Tier;
using testing::ElementsAre;
using testing::HasSubstr;

FeedRecord feed(const std::string& id, const std::string& category = "scanner") {
  FeedRecord record;
  record.definition.id = id;
  record.definition.category = category;
  record.state.last_good = 1000;
  return record;
}

std::vector<std::string> names_of(const std::vector<ListDefinition>& lists) {
  std::vector<std::string> names;
  for (const ListDefinition& list : lists) {
    names.push_back(list.name);
  }
  return names;
}

const ListDefinition& named(const std::vector<ListDefinition>& lists, std::string_view name) {
  const auto found = std::find_if(lists.begin(), lists.end(),
                                  [&](const ListDefinition& list) { return list.name == name; });
  EXPECT_NE(found, lists.end()) << name;
  return *found;
}

FeedSet set_from(std::initializer_list<const char*> values) {
  FeedSet set;
  for (const char* text : values) {
    const auto prefix = address::parse_prefix(text);
    if (!prefix) {
      set.domains.emplace_back(text);
    } else if (prefix->family == address::Family::v4) {
      set.v4.push_back(prefix->v4());
    } else {
      set.v6.push_back(prefix->v6());
    }
  }
  set.normalise();
  return set;
}

address::IpSet ips(std::initializer_list<const char*> values) {
  return set_from(values).addresses();
}

// --- Names -----------------------------------------------------------------------------------

TEST(ListNames, SameNameCollides) {
  EXPECT_THAT(list_name_conflict(std::vector<std::string>{"dshield"}, "dshield"),
              HasSubstr("taken"));
}

TEST(ListNames, NameWithDigitsBehindCollidesBothWays) {
  const std::vector<std::string> short_name{"dshield"};
  const std::vector<std::string> long_name{"dshield12"};
  EXPECT_THAT(list_name_conflict(short_name, "dshield12"), HasSubstr("part of list dshield"));
  EXPECT_THAT(list_name_conflict(long_name, "dshield"), HasSubstr("collide with list dshield12"));
}

TEST(ListNames, OtherContinuationsDoNotCollide) {
  const std::vector<std::string> existing{"dshield", "level1", "a-7d", "9"};
  for (const char* name :
       {"dshield-1", "dshields", "dshiel", "level2", "a-30d", "dshield1x", "8"}) {
    EXPECT_EQ(list_name_conflict(existing, name), "") << name;
  }
  EXPECT_NE(list_name_conflict(existing, "level11"), "");
  EXPECT_NE(list_name_conflict(existing, "level"), "");
  EXPECT_NE(list_name_conflict(existing, "99"), "");
}

TEST(ListNames, NoTwoOfManyNonConflictingNamesOwnACommonName) {
  // The claim behind the rule, checked by writing the owned names out.
  const std::vector<std::string> pool{"a", "a1", "a11", "a12", "a-1", "b", "b2c", "b2", "1", "11"};
  const auto owned = [](const std::string& name) {
    std::vector<std::string> names{name};
    for (int i = 1; i < 2000; ++i) {
      names.push_back(name + std::to_string(i));
    }
    std::sort(names.begin(), names.end());
    return names;
  };
  for (const std::string& one : pool) {
    for (const std::string& other : pool) {
      std::vector<std::string> common;
      const auto a = owned(one);
      const auto b = owned(other);
      std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(common));
      EXPECT_EQ(list_name_conflict(std::vector<std::string>{one}, other).empty(), common.empty())
          << one << " and " << other;
    }
  }
}

TEST(ListNames, ReservedNamesDoNotCollideWithEachOther) {
  const auto reserved = reserved_list_names();
  EXPECT_THAT(reserved,
              testing::IsSupersetOf({"basic", "rpz", "scanner", "c2-server", "phishing"}));
  for (size_t i = 0; i < reserved.size(); ++i) {
    const std::vector<std::string> before(reserved.begin(),
                                          reserved.begin() + static_cast<std::ptrdiff_t>(i));
    EXPECT_EQ(list_name_conflict(before, reserved[i]), "");
  }
  EXPECT_TRUE(std::is_sorted(kCategoryNames.begin(), kCategoryNames.end()));
}

// --- Which lists there are -------------------------------------------------------------------

TEST(SharedLists, OnePerFeedOnePerCategoryAndBasic) {
  const auto lists = shared_lists({feed("zeta"), feed("alpha"), feed("mail", "spam")});
  EXPECT_THAT(names_of(lists), ElementsAre("alpha", "basic", "mail", "scanner", "spam", "zeta"));
  EXPECT_EQ(named(lists, "alpha").kind, ListDefinition::Kind::feed);
  EXPECT_EQ(named(lists, "scanner").kind, ListDefinition::Kind::category);
  EXPECT_EQ(named(lists, "basic").kind, ListDefinition::Kind::basic);
  EXPECT_THAT(named(lists, "scanner").feeds, ElementsAre("alpha", "zeta"));
  EXPECT_THAT(named(lists, "spam").feeds, ElementsAre("mail"));
  EXPECT_THAT(named(lists, "basic").feeds, ElementsAre("alpha", "mail", "zeta"));
}

TEST(SharedLists, OrderOfTheFeedsDoesNotMatter) {
  std::vector<FeedRecord> feeds{feed("c"), feed("a", "spam"), feed("b")};
  const auto lists = shared_lists(feeds);
  std::reverse(feeds.begin(), feeds.end());
  EXPECT_EQ(shared_lists(feeds), lists);
}

TEST(SharedLists, DisabledAllowingAndNeverAppliedFeedsMakeNone) {
  FeedRecord disabled = feed("disabled");
  disabled.definition.enabled = false;
  FeedRecord allowing = feed("allowing");
  allowing.definition.direction = Direction::allow;
  FeedRecord fresh = feed("fresh");
  fresh.state.last_good = 0;
  EXPECT_TRUE(shared_lists({disabled, allowing, fresh}).empty());
  EXPECT_TRUE(shared_lists({}).empty());
}

TEST(SharedLists, FeedOutsideBasicStaysOutOfBasic) {
  FeedRecord apart = feed("apart");
  apart.definition.in_basic = false;
  EXPECT_THAT(names_of(shared_lists({apart})), ElementsAre("apart", "scanner"));
  EXPECT_THAT(named(shared_lists({apart, feed("b")}), "basic").feeds, ElementsAre("b"));
}

TEST(SharedLists, TiersOfFeedsStayTheirOwnAndSharedListsAreBasic) {
  FeedRecord community = feed("community");
  community.definition.tier = Tier::community;
  FeedRecord advanced = feed("advanced");
  advanced.definition.tier = Tier::advanced;
  const auto lists = shared_lists({community, advanced});
  EXPECT_EQ(named(lists, "community").tier, Tier::community);
  EXPECT_EQ(named(lists, "advanced").tier, Tier::advanced);
  EXPECT_EQ(named(lists, "basic").tier, Tier::basic);
  EXPECT_EQ(named(lists, "scanner").tier, Tier::basic);
  // What only higher tiers may see does not leak through the category.
  EXPECT_THAT(named(lists, "scanner").feeds, ElementsAre("community"));
}

// --- What they hold --------------------------------------------------------------------------

struct Sets {
  std::map<std::string, FeedSet> by_id;
  SetOf lookup() const {
    return [this](const std::string& id) -> const FeedSet& { return by_id.at(id); };
  }
};

TEST(Compose, UnionMinusProtectedMinusAllowed) {
  Sets sets;
  sets.by_id["a"] = set_from({"10.0.0.0/7", "8.8.8.8/31", "2001:db8::/31", "bad.example"});
  sets.by_id["b"] = set_from({"5.5.5.0/24", "worse.example", "bad.example"});
  const ListDefinition list{.name = "scanner", .feeds = {"a", "b"}};
  const auto content = compose(list, sets.lookup(), ips({"5.5.5.128/25", "10.1.0.0/16"}), {});
  EXPECT_EQ(content.addresses, ips({"11.0.0.0/8", "8.8.8.9", "5.5.5.0/25", "2001:db9::/32"}));
  EXPECT_EQ(content.taken_out_protected, ips({"10.0.0.0/8", "8.8.8.8", "2001:db8::/32"}));
  EXPECT_EQ(content.taken_out_allowed, ips({"5.5.5.128/25"}));
  EXPECT_THAT(content.domains, ElementsAre("bad.example", "worse.example"));
}

// Merged, neighbours look wide; a device that reads address records must not lose them for that.
TEST(Compose, NarrowIsWhatWasListedNarrowNotWhatMergesToNarrow) {
  Sets sets;
  sets.by_id["a"] =
      set_from({"5.5.4.0/24", "5.5.5.0/24", "6.0.0.0/16", "2600::/124", "2600::10/124"});
  sets.by_id["b"] = set_from({"6.0.1.2", "7.0.0.0/20", "2600:1::/64"});
  const ListDefinition list{.name = "scanner", .feeds = {"a", "b"}};
  const auto content = compose(list, sets.lookup(), ips({"5.5.5.7"}), {});
  EXPECT_EQ(content.narrow, ips({"5.5.4.0/23", "6.0.1.2", "2600::/123"}).minus(ips({"5.5.5.7"})));
  const auto one =
      compose({.name = "b", .feeds = {"b"}}, sets.lookup(), {}, {.length4 = 20, .length6 = 64});
  EXPECT_EQ(one.narrow, one.addresses);
  const auto none =
      compose({.name = "b", .feeds = {"b"}}, sets.lookup(), {}, {.length4 = 32, .length6 = 128});
  EXPECT_EQ(none.narrow, ips({"6.0.1.2"}));
}

TEST(ListNames, NoListTakesTheNameOfTheZonesOwnServer) {
  const auto reserved = reserved_list_names();
  for (const char* name : {"ns1", "ns", "hostmaster", "rpz", "basic", "basic7"}) {
    EXPECT_NE(list_name_conflict(reserved, name), "") << name;
  }
  EXPECT_EQ(list_name_conflict(reserved, "ns1x"), "");
}

TEST(Compose, EmptyListAndEmptySetsGiveNothing) {
  Sets sets;
  sets.by_id["a"] = {};
  EXPECT_TRUE(compose({.name = "x"}, sets.lookup(), {}, {}).addresses.empty());
  EXPECT_TRUE(compose({.name = "a", .feeds = {"a"}}, sets.lookup(), {}, {}).addresses.empty());
}

TEST(Compose, AllowedComesFromEnabledAllowFeedsOnly) {
  Sets sets;
  sets.by_id["good"] = set_from({"5.0.0.0/8"});
  sets.by_id["off"] = set_from({"6.0.0.0/8"});
  sets.by_id["bad"] = set_from({"7.0.0.0/8"});
  FeedRecord good = feed("good");
  good.definition.direction = Direction::allow;
  FeedRecord off = good;
  off.definition.id = "off";
  off.definition.enabled = false;
  EXPECT_EQ(allowed_addresses({good, off, feed("bad")}, sets.lookup()), ips({"5.0.0.0/8"}));
}

TEST(Compose, PartsAreDisjointAndCompleteForRandomSets) {
  const char* given = std::getenv("MERLON_TEST_SEED");
  const unsigned seed =
      given != nullptr ? static_cast<unsigned>(std::atoi(given)) : std::random_device{}();
  SCOPED_TRACE("MERLON_TEST_SEED=" + std::to_string(seed));
  std::mt19937 random(seed);
  const auto random_set = [&random](size_t count) {
    FeedSet set;
    for (size_t i = 0; i < count; ++i) {
      const auto length = static_cast<uint8_t>(1 + random() % 32);
      const address::Bits4 mask = address::host_mask<address::Bits4>(length);
      set.v4.push_back({static_cast<address::Bits4>(random()) & ~mask, length});
      const auto length6 = static_cast<uint8_t>(1 + random() % 128);
      address::Bits6 bits = (address::Bits6{0x20010000 | (random() & 0x1ff)} << 96) | random();
      set.v6.push_back({bits & ~address::host_mask<address::Bits6>(length6), length6});
    }
    set.normalise();
    return set;
  };
  for (int round = 0; round < 200; ++round) {
    Sets sets;
    ListDefinition list{.name = "x"};
    address::IpSet listed;
    const size_t feed_count = random() % 6;
    for (size_t i = 0; i < feed_count; ++i) {
      const std::string id = "f" + std::to_string(i);
      list.feeds.push_back(id);
      sets.by_id[id] = random_set(1 + random() % 8);
      listed = listed.united(sets.by_id[id].addresses());
    }
    const address::IpSet allowed = random_set(3).addresses();
    const ListContent content = compose(list, sets.lookup(), allowed, {});
    EXPECT_EQ(
        content.addresses.united(content.taken_out_protected).united(content.taken_out_allowed),
        listed);
    EXPECT_TRUE(content.addresses.intersected(protected_addresses()).empty());
    EXPECT_TRUE(content.addresses.intersected(allowed).empty());
    EXPECT_TRUE(content.narrow.minus(content.addresses).empty());
    EXPECT_TRUE(content.taken_out_allowed.intersected(content.taken_out_protected).empty());
    EXPECT_TRUE(content.taken_out_protected.minus(protected_addresses()).empty());
    EXPECT_TRUE(content.taken_out_allowed.minus(allowed).empty());
  }
}

TEST(OwnsName, ItsOwnAndThoseOfItsParts) {
  for (const char* name : {"acme", "acme1", "acme007", "acme12345678901234567890"}) {
    EXPECT_TRUE(owns_name("acme", name)) << name;
  }
  for (const char* name : {"", "acm", "acmex", "acme-1", "acme1x", "1acme", "xacme"}) {
    EXPECT_FALSE(owns_name("acme", name)) << name;
  }
  EXPECT_FALSE(owns_name("acme1", "acme"));
}

}  // namespace
}  // namespace merlon::policy
