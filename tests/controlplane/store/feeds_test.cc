// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <functional>

#include "tests/controlplane/store/support.h"

namespace merlon::store {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using StoreFeeds = StoreTest;

std::vector<std::string> ids_of(const Store& store) {
  std::vector<std::string> ids;
  const auto feeds = store.feeds().value();
  for (const FeedRecord& record : feeds) {
    ids.push_back(record.definition.id);
  }
  return ids;
}

TEST_F(StoreFeeds, AddedFeedIsThereWithAnEmptyStateAndSet) {
  EXPECT_GOOD(store->add_feed(definition("dshield")));
  const auto record = store->feed("dshield");
  ASSERT_TRUE(record.has_value());
  EXPECT_EQ(record->definition, definition("dshield"));
  EXPECT_EQ(record->state.health, FeedHealth::never_fetched);
  EXPECT_EQ(store->set_of("dshield").value(), FeedSet{});
}

TEST_F(StoreFeeds, AreSortedById) {
  for (const char* id : {"zeus", "alpha", "mid-7d"}) {
    EXPECT_GOOD(store->add_feed(definition(id)));
  }
  EXPECT_THAT(ids_of(*store), ElementsAre("alpha", "mid-7d", "zeus"));
}

TEST_F(StoreFeeds, TakenIdIsAConflict) {
  EXPECT_GOOD(store->add_feed(definition("dshield")));
  EXPECT_FAILS(store->add_feed(definition("dshield")), conflict, HasSubstr("dshield already"));
}

TEST_F(StoreFeeds, IdsThatNameOtherListsAreConflicts) {
  for (const char* id :
       {"basic", "rpz", "scanner", "basic2", "phishing7", "ns1", "ns", "hostmaster"}) {
    EXPECT_FAILS(store->add_feed(definition(id)), conflict, HasSubstr(id));
  }
  EXPECT_GOOD(store->add_feed(definition("level2")));
  EXPECT_FAILS(store->add_feed(definition("level25")), conflict, HasSubstr("list level2"));
  EXPECT_FAILS(store->add_feed(definition("level")), conflict, HasSubstr("list level2"));
  EXPECT_GOOD(store->add_feed(definition("level3")));
}

TEST_F(StoreFeeds, CategoryOutsideTheTableMustNotCollideEither) {
  FeedDefinition own = definition("own");
  own.category = "house-list";
  EXPECT_GOOD(store->add_feed(own));
  FeedDefinition second = definition("second");
  second.category = "house-list";
  EXPECT_GOOD(store->add_feed(second));
  EXPECT_FAILS(store->add_feed(definition("house-list")), conflict, HasSubstr("house-list"));
  FeedDefinition third = definition("third");
  third.category = "own";
  EXPECT_FAILS(store->add_feed(third), conflict, HasSubstr("category own"));
  third.category = "third";
  EXPECT_FAILS(store->add_feed(third), conflict, HasSubstr("third"));
  third.category = "rpz";
  EXPECT_FAILS(store->replace_feed([] {
    FeedDefinition d = definition("second");
    d.category = "basic";
    return d;
  }()),
               conflict, HasSubstr("category basic"));
  EXPECT_FAILS(store->add_feed(third), conflict, HasSubstr("category rpz"));
  for (const char* category : {"ns1", "ns", "hostmaster"}) {  // the zone's own names
    third.category = category;
    EXPECT_FAILS(store->add_feed(third), conflict, HasSubstr(category));
  }
}

TEST_F(StoreFeeds, EveryFieldOutOfBoundsIsRefusedByName) {
  struct Row {
    const char* word;
    std::function<void(FeedDefinition&)> spoil;
  };
  const std::vector<Row> rows = {
      {"feed id", [](FeedDefinition& d) { d.id = ""; }},
      {"feed id", [](FeedDefinition& d) { d.id = "UPPER"; }},
      {"feed id", [](FeedDefinition& d) { d.id = "-x"; }},
      {"feed id", [](FeedDefinition& d) { d.id = "x-"; }},
      {"feed id", [](FeedDefinition& d) { d.id = "a.b"; }},
      {"feed id", [](FeedDefinition& d) { d.id = "a b"; }},
      {"feed id", [](FeedDefinition& d) { d.id = std::string(41, 'a'); }},
      {"url", [](FeedDefinition& d) { d.url = ""; }},
      {"url", [](FeedDefinition& d) { d.url = "gopher://feeds.example/x"; }},
      {"no host", [](FeedDefinition& d) { d.url = "https://"; }},
      {"no host", [](FeedDefinition& d) { d.url = "http:///path"; }},
      {"url", [](FeedDefinition& d) { d.url = "file://relative"; }},
      {"url", [](FeedDefinition& d) { d.url = "file:///"; }},
      {"url", [](FeedDefinition& d) { d.url = "https://a.example/a b"; }},
      {"url", [](FeedDefinition& d) { d.url = "https://a.example/\n"; }},
      {"url", [](FeedDefinition& d) { d.url = "https://a.example/" + std::string(2048, 'a'); }},
      {"category", [](FeedDefinition& d) { d.category = "Not A Label"; }},
      {"format", [](FeedDefinition& d) { d.format = ""; }},
      {"title", [](FeedDefinition& d) { d.title = "two\nlines"; }},
      {"title", [](FeedDefinition& d) { d.title = std::string(201, 'a'); }},
      {"UTF-8", [](FeedDefinition& d) { d.title = "\xff"; }},
      {"severity 6", [](FeedDefinition& d) { d.severity = 6; }},
      {"confidence 101", [](FeedDefinition& d) { d.confidence = 101; }},
      {"interval_s 59", [](FeedDefinition& d) { d.interval_s = 59; }},
      {"timeout_s 0", [](FeedDefinition& d) { d.timeout_s = 0; }},
      {"timeout_s 601", [](FeedDefinition& d) { d.timeout_s = 601; }},
      {"size_max_bytes 1023", [](FeedDefinition& d) { d.size_max_bytes = 1023; }},
      {"size_max_bytes", [](FeedDefinition& d) { d.size_max_bytes = (1 << 30) + 1; }},
      {"tier", [](FeedDefinition& d) { d.tier = static_cast<Tier>(9); }},
      {"direction", [](FeedDefinition& d) { d.direction = static_cast<Direction>(2); }},
  };
  for (const Row& row : rows) {
    FeedDefinition spoilt = definition("good");
    row.spoil(spoilt);
    EXPECT_FAILS(store->add_feed(spoilt), invalid_argument, HasSubstr(row.word));
  }
  EXPECT_THAT(ids_of(*store), ElementsAre());
  EXPECT_EQ(store->revision(), 0u);
}

TEST_F(StoreFeeds, FieldsAtTheirBoundsAreTaken) {
  FeedDefinition low = definition("9");
  low.url = "file:///x";
  low.severity = 0;
  low.confidence = 0;
  low.interval_s = 60;
  low.timeout_s = 1;
  low.size_max_bytes = 1 << 10;
  EXPECT_GOOD(store->add_feed(low));
  FeedDefinition high = definition(std::string(40, 'z'));
  high.url = "http://h";
  high.severity = 5;
  high.confidence = 100;
  high.timeout_s = 600;
  high.size_max_bytes = 1 << 30;
  EXPECT_GOOD(store->add_feed(high));
}

TEST_F(StoreFeeds, ReplacingKeepsStateAndSet) {
  EXPECT_GOOD(store->add_feed(definition("a")));
  EXPECT_GOOD(store->apply("a", set_from({"5.5.5.5"}), good_state(100), 100));
  FeedDefinition changed = definition("a");
  changed.severity = 5;
  EXPECT_GOOD(store->replace_feed(changed));
  EXPECT_EQ(store->feed("a")->definition.severity, 5);
  EXPECT_EQ(store->feed("a")->state.last_good, 100);
  EXPECT_EQ(store->set_of("a").value(), set_from({"5.5.5.5"}));
  changed.severity = 6;
  EXPECT_FAILS(store->replace_feed(changed), invalid_argument, HasSubstr("severity"));
}

TEST_F(StoreFeeds, WhatIsNotThereIsNotFoundByName) {
  EXPECT_FAILS(store->replace_feed(definition("x")), not_found, HasSubstr("no feed x"));
  EXPECT_FAILS(store->remove_feed("x", 1), not_found, HasSubstr("no feed x"));
  EXPECT_FAILS(store->feed("x"), not_found, HasSubstr("no feed x"));
  EXPECT_FAILS(store->set_feed_state("x", {}), not_found, HasSubstr("no feed x"));
  EXPECT_FAILS(store->apply("x", {}, {}, 1), not_found, HasSubstr("no feed x"));
  EXPECT_FAILS(store->set_of("x"), not_found, HasSubstr("no feed x"));
}

TEST_F(StoreFeeds, StateOfAFailedAttemptLeavesSetAndItsCounts) {
  EXPECT_GOOD(store->add_feed(definition("a")));
  EXPECT_GOOD(store->apply("a", set_from({"5.5.5.5", "::5", "x.example"}), good_state(100), 100));
  FeedState failed;
  failed.health = FeedHealth::failed;
  failed.reason = "timed out";
  failed.last_attempt = 200;
  failed.last_good = 100;
  EXPECT_GOOD(store->set_feed_state("a", failed));
  const FeedState state = store->feed("a")->state;
  EXPECT_EQ(state.health, FeedHealth::failed);
  EXPECT_EQ(state.reason, "timed out");
  EXPECT_EQ(state.last_attempt, 200);
  EXPECT_EQ(state.prefix4_count, 1u);
  EXPECT_EQ(state.prefix6_count, 1u);
  EXPECT_EQ(state.domain_count, 1u);
  EXPECT_EQ(store->set_of("a").value(), set_from({"5.5.5.5", "::5", "x.example"}));
}

TEST_F(StoreFeeds, EverythingIsThereAfterReopening) {
  FeedDefinition full = definition("full");
  full.title = "Täglich";
  full.direction = Direction::allow;
  full.tier = Tier::advanced;
  EXPECT_GOOD(store->add_feed(full));
  EXPECT_GOOD(store->add_feed(definition("gone")));
  EXPECT_GOOD(store->apply("full", set_from({"5.5.5.0/24", "2a00::/16", "x.example"}),
                           good_state(100), 100));
  EXPECT_GOOD(store->apply("gone", set_from({"5.5.5.0/24"}), good_state(50), 50));
  EXPECT_GOOD(store->remove_feed("gone", 70));
  FeedState later = good_state(100);
  later.last_good = 300;
  EXPECT_GOOD(store->set_feed_state("full", later));
  const uint64_t revision = store->revision();
  for (int round = 0; round < 2;
       ++round) {  // the second time everything is in tables, not in the log
    reopen();
    EXPECT_EQ(store->revision(), revision);
    EXPECT_EQ(store->feed("full")->definition, full);
    EXPECT_EQ(store->feed("full")->state.last_good, 300);
    EXPECT_EQ(store->set_of("full").value(), set_from({"5.5.5.0/24", "2a00::/16", "x.example"}));
    const auto observations = seen("5.5.5.9");
    ASSERT_EQ(observations.size(), 2u);
    EXPECT_EQ(observations[0].feed, "full");
    EXPECT_EQ(observations[0].last_seen, 300);
    EXPECT_EQ(observations[1].feed, "gone");
    EXPECT_EQ(observations[1].last_seen, 70);
  }
}

TEST_F(StoreFeeds, RevisionGrowsWithWhatChangesASnapshotAndOnlyThen) {
  uint64_t last = store->revision();
  const auto grew = [&] {
    const bool grown = store->revision() > last;
    last = store->revision();
    return grown;
  };
  EXPECT_GOOD(store->add_feed(definition("a")));
  EXPECT_TRUE(grew());
  EXPECT_GOOD(store->replace_feed(definition("a")));  // nothing differs
  EXPECT_FALSE(grew());
  FeedDefinition changed = definition("a");
  changed.in_basic = false;
  EXPECT_GOOD(store->replace_feed(changed));
  EXPECT_TRUE(grew());
  EXPECT_GOOD(store->apply("a", set_from({"5.5.5.5"}), good_state(1), 1));
  EXPECT_TRUE(grew());
  EXPECT_GOOD(store->apply("a", set_from({"5.5.5.5"}), good_state(2), 2));  // the same set
  EXPECT_FALSE(grew());
  EXPECT_GOOD(store->set_feed_state("a", good_state(3)));
  EXPECT_FALSE(grew());
  EXPECT_GOOD(store->add_device(device("d", "acme", {"5.6.7.8"}), 1));
  EXPECT_TRUE(grew());
  EXPECT_GOOD(store->remove_device("d"));
  EXPECT_TRUE(grew());
  EXPECT_GOOD(store->remove_feed("a", 4));
  EXPECT_TRUE(grew());
  EXPECT_FALSE(store->remove_feed("a", 4).has_value());
  EXPECT_FALSE(grew());
  reopen();
  EXPECT_FALSE(grew());
}

TEST_F(StoreFeeds, DirectoryIsPrivate) {
  struct stat status{};
  ASSERT_EQ(::stat(directory.store().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0700u);
  const std::string deep = directory.path() + "/a/b/store/";
  ASSERT_TRUE(Store::open(deep).has_value());
  ASSERT_EQ(::stat(deep.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0700u);
}

}  // namespace
}  // namespace merlon::store
