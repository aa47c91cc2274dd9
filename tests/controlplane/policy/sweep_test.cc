// SPDX-License-Identifier: Apache-2.0
// The sweep against the two references that say what a list holds: policy::compose, which unites
// set by set, and a walk over every address of a small universe.
#include "controlplane/policy/sweep.h"

#include <gmock/gmock.h>

#include <map>
#include <random>

#include "controlplane/policy/protected_set.h"
#include "tests/support/seed.h"

namespace merlon::policy {
namespace {

using address::Bits4;
using address::Bits6;
using address::IpSet;
using address::Prefix;
using address::RangeSet4;
using address::RangeSet6;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

constexpr Bits4 kBase4 = 0x14000000;  // 20.0.0.0
constexpr Bits6 kBase6 = Bits6{0x26000000} << 96;

IpSet ips(const std::vector<std::string>& texts) {
  std::vector<address::Range<Bits4>> v4;
  std::vector<address::Range<Bits6>> v6;
  for (const std::string& text : texts) {
    const auto range = address::parse_range(text).value();
    range.family == address::Family::v4 ? v4.push_back(range.v4()) : v6.push_back(range.v6());
  }
  return {RangeSet4::from_unsorted(v4), RangeSet6::from_unsorted(v6)};
}

store::FeedSet feed_set(const std::vector<std::string>& texts) {
  store::FeedSet set;
  for (const std::string& text : texts) {
    const auto prefix = address::parse_prefix(text).value();
    prefix.family == address::Family::v4 ? set.v4.push_back(prefix.v4())
                                         : set.v6.push_back(prefix.v6());
  }
  set.normalise();
  return set;
}

// Prefixes in 4096 addresses of each family, nested and side by side; wide is below /24 and /124.
store::FeedSet random_feed(std::mt19937_64& random) {
  store::FeedSet set;
  for (size_t i = random() % 40; i > 0; --i) {
    const auto length4 = static_cast<uint8_t>(random() % 3 == 0 ? 20 + random() % 12 : 32);
    const auto bits4 = static_cast<Bits4>(kBase4 | (random() & 0xfff));
    set.v4.push_back({bits4 & ~address::host_mask<Bits4>(length4), length4});
    if (random() % 2 == 0) {
      const auto length6 = static_cast<uint8_t>(116 + random() % 13);
      const Bits6 bits6 = kBase6 | (random() & 0xfff);
      set.v6.push_back({bits6 & ~address::host_mask<Bits6>(length6), length6});
    }
  }
  set.normalise();
  return set;
}

IpSet random_set(std::mt19937_64& random, size_t most) {
  store::FeedSet set;
  for (size_t i = random() % most; i > 0; --i) {
    const auto length4 = static_cast<uint8_t>(22 + random() % 11);
    const auto bits4 = static_cast<Bits4>(kBase4 | (random() & 0xfff));
    set.v4.push_back({bits4 & ~address::host_mask<Bits4>(length4), length4});
    const auto length6 = static_cast<uint8_t>(120 + random() % 9);
    set.v6.push_back(
        {(kBase6 | (random() & 0xfff)) & ~address::host_mask<Bits6>(length6), length6});
  }
  set.normalise();
  return set.addresses();
}

struct World {
  std::vector<std::string> ids;
  std::map<std::string, store::FeedSet> sets;
  Universe universe;
  IpSet never;
  IpSet allowed;

  void build(unsigned threads = 2) {
    std::vector<Universe::Feed> feeds;
    for (const std::string& id : ids) {
      feeds.push_back({id, &sets.at(id)});
    }
    universe = Universe::build(feeds, {.narrow_from = {}, .threads = threads});
  }
  std::vector<Composed> compose(std::span<const Selection> selections, unsigned threads = 2) const {
    return compose_all(universe, selections,
                       {.never = never, .allowed = allowed, .threads = threads});
  }
  Composed compose(const Selection& selection) const {
    return compose(std::span(&selection, 1)).front();
  }
  Selection select(const std::vector<std::string>& chosen) const {
    Selection selection;
    for (const std::string& id : ids) {
      if (std::ranges::find(chosen, id) != chosen.end()) {
        selection.feeds.push_back(
            {static_cast<uint16_t>(universe.feed_number(id)), score_of(3, 50)});
      }
    }
    return selection;
  }
};

World random_world(std::mt19937_64& random, size_t feeds) {
  World world;
  for (size_t i = 0; i < feeds; ++i) {
    world.ids.push_back("f" + std::to_string(i));
    world.sets[world.ids.back()] = random_feed(random);
  }
  world.never = random_set(random, 4);
  world.allowed = random_set(random, 6);
  world.build();
  return world;
}

World world_of(const std::map<std::string, std::vector<std::string>>& feeds) {
  World world;
  for (const auto& [id, texts] : feeds) {
    world.ids.push_back(id);
    world.sets[id] = feed_set(texts);
  }
  world.never = protected_addresses();
  world.build();
  return world;
}

TEST(Universe, RangesHaveTheClassOfThoseWhoListThem) {
  const World world = world_of({{"a", {"20.0.0.0/30", "21.0.0.0/8"}}, {"b", {"20.0.0.2/31"}}});
  const auto ranges = world.universe.ranges4();
  ASSERT_EQ(ranges.size(), 3u);
  EXPECT_EQ(address::to_text(address::Range<Bits4>{ranges[0].first, ranges[0].last}),
            "20.0.0.0/31");
  EXPECT_EQ(address::to_text(address::Range<Bits4>{ranges[1].first, ranges[1].last}),
            "20.0.0.2/31");
  EXPECT_EQ(address::to_text(address::Range<Bits4>{ranges[2].first, ranges[2].last}), "21.0.0.0/8");
  EXPECT_THAT(world.universe.members_of(ranges[0].class_number),
              ElementsAre(Membership{0, true, false}));
  EXPECT_THAT(world.universe.members_of(ranges[1].class_number),
              ElementsAre(Membership{0, true, false}, Membership{1, true, false}));
  EXPECT_THAT(world.universe.members_of(ranges[2].class_number),
              ElementsAre(Membership{0, false, true}));
}

TEST(Universe, IsTheSameForAnyNumberOfThreads) {
  std::mt19937_64 random(test::seed_for("universe threads"));
  World world;
  for (int feed = 0; feed < 5; ++feed) {
    world.ids.push_back("f" + std::to_string(feed));
    store::FeedSet& set = world.sets[world.ids.back()];
    for (int i = 0; i < 60'000; ++i) {
      const auto length = static_cast<uint8_t>(random() % 20 == 0 ? 8 + random() % 24 : 32);
      set.v4.push_back({static_cast<Bits4>(random()) & ~address::host_mask<Bits4>(length), length});
    }
    set.normalise();
  }
  world.build(1);
  const Universe one = world.universe;
  for (const unsigned threads : {2u, 3u, 7u}) {
    world.build(threads);
    EXPECT_TRUE(std::ranges::equal(one.ranges4(), world.universe.ranges4())) << threads;
    ASSERT_EQ(one.class_count(), world.universe.class_count());
    for (uint32_t i = 0; i < one.class_count(); ++i) {
      EXPECT_TRUE(std::ranges::equal(one.members_of(i), world.universe.members_of(i)));
    }
  }
}

TEST(Universe, TheWholeSpaceAndItsEndsAreSwept) {
  const World world = world_of(
      {{"all", {"0.0.0.0/0", "::/0"}},
       {"ends", {"0.0.0.0", "255.255.255.255", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}}});
  ASSERT_EQ(world.universe.ranges4().size(), 3u);
  ASSERT_EQ(world.universe.ranges6().size(), 3u);
  EXPECT_EQ(world.universe.ranges4()[2].last, address::kAllOnes<Bits4>);
  EXPECT_EQ(world.universe.ranges6()[2].last, address::kAllOnes<Bits6>);
}

TEST(ComposeAll, HoldsWhatComposingListByListHolds) {
  std::mt19937_64 random(test::seed_for("compose_all against compose"));
  for (int round = 0; round < 150; ++round) {
    SCOPED_TRACE(round);
    const World world = random_world(random, 1 + random() % 6);
    std::vector<Selection> selections;
    std::vector<ListDefinition> lists;
    for (int i = 0; i < 8; ++i) {
      std::vector<std::string> chosen;
      std::ranges::copy_if(world.ids, std::back_inserter(chosen),
                           [&](const auto&) { return random() % 2 == 0; });
      selections.push_back(world.select(chosen));
      lists.push_back({.name = "x", .feeds = chosen});
    }
    const auto composed = world.compose(selections);
    const SetOf set_of = [&](const std::string& id) -> const store::FeedSet& {
      return world.sets.at(id);
    };
    for (size_t i = 0; i < lists.size(); ++i) {
      // compose() knows the built-in protected addresses alone, so those of this world are put
      // where it looks, too.
      const ListContent one = compose(lists[i], set_of, {}, {});
      const ListContent& all = *composed[i].content;
      const IpSet blockable = one.addresses.minus(world.never);
      EXPECT_EQ(all.addresses, blockable.minus(world.allowed));
      EXPECT_EQ(all.narrow, one.narrow.minus(world.never).minus(world.allowed));
      EXPECT_EQ(all.taken_out_protected, one.addresses.intersected(world.never));
      EXPECT_EQ(all.taken_out_allowed, blockable.intersected(world.allowed));
      EXPECT_EQ(composed[i].fallen_off, FallenOff{});
    }
  }
}

// Which addresses a list holds, one by one, by the rules as they are written down.
struct Reference {
  std::map<Bits4, uint32_t> candidates4;  // score of what could be an address record
  std::map<Bits6, uint32_t> candidates6;
  IpSet listed;
  IpSet wide;

  Reference(const World& world, const Selection& selection) {
    std::vector<store::FeedSet> chosen;
    store::FeedSet wide_set;
    store::FeedSet narrow_set;
    for (const Selection::Chosen& feed : selection.feeds) {
      const store::FeedSet& set = world.sets.at(world.universe.feeds()[feed.feed]);
      chosen.push_back(set);
      listed = listed.united(set.addresses());
      for (const auto& prefix : set.v4) {
        (prefix.length >= 24 ? narrow_set : wide_set).v4.push_back(prefix);
      }
      for (const auto& prefix : set.v6) {
        (prefix.length >= 124 ? narrow_set : wide_set).v6.push_back(prefix);
      }
    }
    wide_set.normalise();
    narrow_set.normalise();
    wide = wide_set.addresses();
    const IpSet usable =
        narrow_set.addresses().minus(world.never).minus(world.allowed).minus(selection.allow);
    std::vector<IpSet> sets;
    for (const auto& set : chosen) {
      sets.push_back(set.addresses());
    }
    const auto score = [&](const address::Address& address) {
      uint32_t best = 0;
      uint32_t count = 0;
      for (size_t i = 0; i < sets.size(); ++i) {
        if (sets[i].contains(address)) {
          best = std::max<uint32_t>(best, selection.feeds[i].score);
          ++count;
        }
      }
      return best << 8 | count;
    };
    for (const auto& range : usable.v4.ranges()) {
      for (Bits4 bits = range.first; bits <= range.last; ++bits) {
        candidates4[bits] = score(address::Address::v4(bits));
      }
    }
    for (const auto& range : usable.v6.ranges()) {
      for (Bits6 bits = range.first; bits <= range.last; ++bits) {
        candidates6[bits] = score(address::Address::v6(bits));
      }
    }
  }
};

uint64_t count_of(const IpSet& set) {
  return static_cast<uint64_t>(set.v4.address_count() + set.v6.address_count());
}

void check_against_reference(const World& world, const Selection& selection,
                             const Composed& composed) {
  const Reference reference(world, selection);
  const ListContent& content = *composed.content;
  const auto clean = [&](const IpSet& set) {
    return set.minus(world.never).minus(world.allowed).minus(selection.allow);
  };
  const IpSet own = clean(selection.block_narrow);
  const uint64_t capacity = selection.capacity == 0 ? UINT64_MAX : selection.capacity;
  uint64_t wanted = count_of(own);
  uint32_t kept_min = UINT32_MAX;
  uint32_t lost_max = 0;
  uint64_t lost = 0;
  const auto visit = [&](const address::Address& address, uint32_t score) {
    if (own.contains(address)) {
      return;
    }
    ++wanted;
    if (content.narrow.contains(address)) {
      kept_min = std::min(kept_min, score);
    } else {
      lost_max = std::max(lost_max, score);
      ++lost;
      EXPECT_EQ(content.addresses.contains(address),
                reference.wide.contains(address) || clean(selection.block).contains(address));
    }
  };
  for (const auto& [bits, score] : reference.candidates4) {
    visit(address::Address::v4(bits), score);
  }
  for (const auto& [bits, score] : reference.candidates6) {
    visit(address::Address::v6(bits), score);
  }
  // As many as fit, no more and no fewer, and none that matters less than one that fell off.
  EXPECT_EQ(count_of(content.narrow), std::min(capacity, wanted));
  EXPECT_LE(lost_max, kept_min);
  EXPECT_EQ(composed.fallen_off.addresses, wanted - std::min(capacity, wanted));
  EXPECT_EQ(composed.fallen_off.addresses - composed.fallen_off.own_addresses, lost);
  if (lost != 0) {
    EXPECT_EQ(composed.fallen_off.score_lost_max, lost_max);
    EXPECT_EQ(composed.fallen_off.score_kept_min, kept_min == UINT32_MAX ? 0 : kept_min);
  }
  EXPECT_TRUE(content.narrow.minus(content.addresses).empty());
  const IpSet listed = reference.listed.united(selection.block);
  EXPECT_EQ(content.taken_out_protected, listed.intersected(world.never));
  EXPECT_EQ(content.taken_out_allowed,
            listed.minus(world.never).intersected(world.allowed.united(selection.allow)));
  EXPECT_TRUE(content.addresses.minus(clean(listed)).empty());
}

TEST(ComposeAll, KeepsWhatMattersMostWhereRoomEnds) {
  std::mt19937_64 random(test::seed_for("compose_all capacity"));
  for (int round = 0; round < 120; ++round) {
    SCOPED_TRACE(round);
    const World world = random_world(random, 1 + random() % 6);
    std::vector<Selection> selections;
    for (int i = 0; i < 6; ++i) {
      Selection selection;
      for (uint16_t feed = 0; feed < world.ids.size(); ++feed) {
        if (random() % 3 != 0) {
          selection.feeds.push_back({feed, score_of(static_cast<uint8_t>(random() % 3),
                                                    static_cast<uint8_t>(random() % 2 * 50))});
        }
      }
      if (random() % 2 == 0) {
        selection.block = random_set(random, 5);
        selection.block_narrow = selection.block.intersected(random_set(random, 8));
        selection.allow = random_set(random, 4);
      }
      selection.capacity = random() % 4 == 0 ? 0 : 1 + random() % 800;
      selections.push_back(selection);
    }
    const auto composed = world.compose(selections);
    for (size_t i = 0; i < selections.size(); ++i) {
      SCOPED_TRACE(i);
      check_against_reference(world, selections[i], composed[i]);
    }
  }
}

// Own entries alone are more than the list may hold, and feeds list some of them too.
TEST(ComposeAll, OwnEntriesThatFallOffDoNotComeBackByAFeed) {
  const World world = world_of({{"a", {"20.0.0.0/24"}}, {"b", {"20.0.0.7", "20.0.2.0/24"}}});
  for (const auto& feeds : {std::vector<std::string>{"a"}, {"b"}, {"a", "b"}}) {
    Selection selection = world.select(feeds);
    selection.block.v4 = address::RangeSet<address::Bits4>::from_unsorted(
        {{0x14000000, 0x140000ff}, {0x14000300, 0x1400030f}});
    selection.block_narrow = selection.block;
    for (const uint64_t capacity : {1u, 10u, 100u, 271u}) {
      selection.capacity = capacity;
      const Composed composed = world.compose(selection);
      EXPECT_EQ(count_of(composed.content->narrow), capacity);
      EXPECT_EQ(composed.content->addresses, composed.content->narrow);
    }
  }
}

TEST(ComposeAll, IsTheSameForAnyNumberOfThreadsAndAnyCompany) {
  std::mt19937_64 random(test::seed_for("compose_all threads"));
  const World world = random_world(random, 6);
  std::vector<Selection> selections;
  for (int i = 0; i < 300; ++i) {  // several groups
    Selection selection = world.select(world.ids);
    std::erase_if(selection.feeds, [&](const auto&) { return random() % 3 == 0; });
    selection.capacity = random() % 500;
    selections.push_back(selection);
  }
  const auto two = world.compose(selections, 2);
  const auto five = world.compose(selections, 5);
  for (size_t i = 0; i < selections.size(); ++i) {
    const Composed alone = world.compose(selections[i]);
    for (const Composed* other : {&five[i], &alone}) {
      EXPECT_EQ(two[i].content->addresses, other->content->addresses);
      EXPECT_EQ(two[i].content->narrow, other->content->narrow);
      EXPECT_EQ(two[i].fallen_off, other->fallen_off);
    }
  }
}

TEST(ComposeAll, EqualSelectionsShareOneContent) {
  const World world = world_of({{"a", {"20.0.0.1"}}, {"b", {"20.0.0.2"}}});
  const std::vector<Selection> selections = {world.select({"a"}), world.select({"a", "b"}),
                                             world.select({"a"})};
  const auto composed = world.compose(selections);
  EXPECT_EQ(composed[0].content, composed[2].content);
  EXPECT_NE(composed[0].content, composed[1].content);
}

// One address more moves one address at most: the cut does not deal the cards anew.
TEST(ComposeAll, TheCutIsStable) {
  std::mt19937_64 random(4711);
  World world;
  world.ids = {"f"};
  store::FeedSet& set = world.sets["f"];
  for (int i = 0; i < 20'000; ++i) {
    set.v4.push_back({static_cast<Bits4>(0x20000000 + (random() & 0x1fffffff)), 32});
  }
  set.normalise();
  world.build();
  Selection selection = world.select({"f"});
  selection.capacity = 5'000;
  auto before = world.compose(selection);
  EXPECT_EQ(count_of(before.content->narrow), 5'000u);
  for (int i = 0; i < 50; ++i) {
    if (i % 2 == 0) {
      set.v4.push_back({static_cast<Bits4>(0x20000000 + (random() & 0x1fffffff)), 32});
      set.normalise();
    } else {
      set.v4.erase(set.v4.begin() + static_cast<std::ptrdiff_t>(random() % set.v4.size()));
    }
    world.build();
    const auto after = world.compose(selection);
    EXPECT_EQ(count_of(after.content->narrow), 5'000u);
    EXPECT_LE(count_of(after.content->narrow.minus(before.content->narrow)), 1u);
    EXPECT_LE(count_of(before.content->narrow.minus(after.content->narrow)), 1u);
    before = after;
  }
}

TEST(ComposeAll, TellsWhatFellOffOfWhichFeed) {
  const World world =
      world_of({{"high", {"20.0.0.0/28"}}, {"low", {"20.0.0.8/29", "20.0.1.0/24"}}});
  Selection selection = world.select({"high", "low"});
  selection.feeds[0].score = score_of(5, 90);
  selection.feeds[1].score = score_of(2, 50);
  selection.capacity = 116;
  const Composed composed = world.compose(selection);
  EXPECT_EQ(composed.fallen_off.addresses, 156u);
  EXPECT_THAT(composed.fallen_off.by_feed, ElementsAre(Pair("low", 156)));
  EXPECT_EQ(composed.fallen_off.score_lost_max, 2u << 16 | 50u << 8 | 1u);
  EXPECT_TRUE(ips({"20.0.0.0/28"}).minus(composed.content->narrow).empty());
}

TEST(ComposeAll, OwnEntriesComeFirstAndAloneMayExceedTheRoom) {
  const World world = world_of({{"f", {"20.0.0.0/24"}}});
  Selection selection = world.select({"f"});
  selection.block = selection.block_narrow = ips({"30.0.0.0/28", "2600::/125"});
  selection.capacity = 30;
  Composed composed = world.compose(selection);
  EXPECT_TRUE(selection.block.minus(composed.content->narrow).empty());
  EXPECT_EQ(count_of(composed.content->narrow), 30u);
  EXPECT_EQ(composed.fallen_off.addresses, 250u);
  EXPECT_EQ(composed.fallen_off.own_addresses, 0u);
  selection.capacity = 10;
  composed = world.compose(selection);
  EXPECT_EQ(count_of(composed.content->narrow), 10u);
  EXPECT_TRUE(composed.content->narrow.minus(selection.block).empty());
  EXPECT_EQ(composed.fallen_off.own_addresses, 14u);
  EXPECT_EQ(composed.fallen_off.addresses, 270u);
}

TEST(ComposeAll, NothingSelectedAndNothingListedAreEmptyLists) {
  const World world = world_of({{"f", {"20.0.0.0/24"}}});
  EXPECT_TRUE(world.compose(Selection{}).content->addresses.empty());
  const World nothing = world_of({});
  EXPECT_TRUE(nothing.compose(Selection{}).content->addresses.empty());
  EXPECT_THAT(nothing.compose(std::span<const Selection>()), IsEmpty());
}

TEST(ListedBy, CountsByFeed) {
  const World world = world_of(
      {{"a", {"10.0.0.0/24", "20.0.0.1"}}, {"b", {"10.0.0.7", "fe80::1"}}, {"c", {"30.0.0.1"}}});
  const auto shares = listed_by(world.universe, protected_addresses());
  ASSERT_EQ(shares.size(), 2u);
  EXPECT_EQ(shares[0].feed, "a");
  EXPECT_EQ(shares[0].addresses4, 256u);
  EXPECT_EQ(shares[1].feed, "b");
  EXPECT_EQ(shares[1].addresses4, 1u);
  EXPECT_EQ(shares[1].ranges6, 1u);
}

}  // namespace
}  // namespace merlon::policy
