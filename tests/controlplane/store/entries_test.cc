// SPDX-License-Identifier: Apache-2.0
// Own lists and their entries: values, batches, pages, expiry.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>

#include "tests/controlplane/store/account_support.h"

namespace merlon::store {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class StoreEntries : public AccountTest {
 protected:
  void SetUp() override {
    AccountTest::SetUp();
    EXPECT_GOOD(store->add_account(account("acme"), 1));
    EXPECT_GOOD(store->add_list(own_list("acme", "bad"), 1));
    EXPECT_GOOD(store->add_list(own_list("acme", "good", Direction::allow), 1));
  }
  // Why this value is refused in the block list; "" when it is not.
  std::string refused(const std::string& value, const std::string& list = "bad") {
    const std::vector<CustomEntry> entries{entry(value)};
    const auto report = store->add_entries("acme", list, entries, {.now = 100});
    EXPECT_TRUE(report.has_value()) << report.error().message;
    return report->faults.empty() ? "" : report->faults[0].reason;
  }
};

TEST_F(StoreEntries, ValuesAreKeptInOneForm) {
  const std::pair<const char*, const char*> rows[] = {
      {"5.0.0.1", "5.0.0.1"},
      {" 5.0.0.1/32\r\n", "5.0.0.1"},
      {"5.0.0.0/24", "5.0.0.0/24"},
      {"5.0.0.0/255.255.255.0", "5.0.0.0/24"},
      {"5.0.0.0-5.0.0.255", "5.0.0.0/24"},
      {"5.0.0.1 - 5.0.0.9", "5.0.0.1-5.0.0.9"},
      {"2A00:0:0::1", "2a00::1"},
      {"2a00::/32", "2a00::/32"},
      {"2a00::1-2a00::f", "2a00::1-2a00::f"},
      {"::ffff:5.0.0.1", "5.0.0.1"},
      {"Bad.Example.", "bad.example"},
      {"*.Bad.EXAMPLE", "*.bad.example"},
      {"my-host_1.example", "my-host_1.example"},
      {"xn--bcher-kva.example", "xn--bcher-kva.example"},
      {"5.example.com", "5.example.com"},
  };
  for (const auto& [given, canonical] : rows) {
    const auto value = parse_own_value(given);
    ASSERT_TRUE(value.has_value()) << given << ": " << value.error().message;
    EXPECT_EQ(value->text, canonical) << given;
    OwnValue back;
    ASSERT_TRUE(decode_own_key(value->key(), back));
    EXPECT_EQ(back, *value) << given;
    EXPECT_EQ(parse_own_value(canonical).value(), *value) << given;
  }
}

TEST_F(StoreEntries, WhatIsNoValueIsRefusedWithTheReason) {
  const std::pair<const char*, const char*> rows[] = {
      {"", "empty"},
      {" \t", "empty"},
      {"5.0.0.1/24", "5.0.0.0/24 is the prefix"},
      {"5.0.0.256", "above 255"},
      {"5.0.0.01", "leading zero"},
      {"5.0.0.9-5.0.0.1", "below its start"},
      {"5.0.0.1-2a00::1", "one IPv4 and one IPv6"},
      {"5.0.0.0/33", "prefix length"},
      {"example", "single label"},
      {"*.com", "single label"},
      {"*", "no host name"},
      {"*.*.example.com", "no host name"},
      {"bad.*.example", "no host name"},
      {"-bad.example", "hyphen"},
      {"b\xc3\xbc\x63her.example", "no host name"},
      {"bad example.com", "no host name"},
      {"http://bad.example/", "no host name"},
      {"bad..example", "empty label"},
  };
  for (const auto& [given, reason] : rows) {
    EXPECT_THAT(refused(given), HasSubstr(reason)) << given;
  }
  EXPECT_THAT(refused(std::string(300, 'a') + ".example"), HasSubstr("longer than any domain"));
  OwnValue ignored;
  for (const std::string_view key : {"", "4", "4abcdefg", "d", "x1234", "6abcdefgh"}) {
    EXPECT_FALSE(decode_own_key(key, ignored));
  }
  EXPECT_FALSE(decode_own_key(std::string("4\x02\0\0\0\x01\0\0\0", 9), ignored));
}

TEST_F(StoreEntries, ProtectedSpaceIsRefusedInBlockListsAndNamed) {
  EXPECT_THAT(refused("10.1.2.3"),
              AllOf(HasSubstr("10.1.2.3"), HasSubstr("10.0.0.0/8: private use, RFC 1918")));
  EXPECT_THAT(refused("8.8.8.0/24"),
              AllOf(HasSubstr("8.8.8.0/24"), HasSubstr("8.8.8.8: public resolver, Google")));
  EXPECT_THAT(refused("9.9.9.8-9.9.9.10"), HasSubstr("Quad9"));
  EXPECT_THAT(refused("0.0.0.0/0"), HasSubstr("224.0.0.0/4"));
  EXPECT_THAT(refused("::/0"), HasSubstr("fc00::/7"));
  EXPECT_THAT(refused("2001:db8::1"), HasSubstr("documentation"));
  EXPECT_EQ(refused("9.9.9.10-9.9.9.255"), "");
  EXPECT_EQ(refused("10.1.2.3", "good"), "");
  EXPECT_EQ(refused("0.0.0.0/0", "good"), "");
}

TEST_F(StoreEntries, AllOrNothingUnlessTheRestIsWanted) {
  const std::vector<CustomEntry> entries{entry("5.0.0.1"), entry("5.0.0.256"), entry("5.0.0.2"),
                                         entry("10.0.0.1"), entry(std::string(500, 'x'))};
  const uint64_t before = store->revision();
  auto report = store->add_entries("acme", "bad", entries, {.now = 100}).value();
  EXPECT_FALSE(report.applied);
  EXPECT_EQ(report.added, 0u);
  ASSERT_EQ(report.faults.size(), 3u);
  EXPECT_EQ(report.faults[0].index, 1u);
  EXPECT_EQ(report.faults[0].value, "5.0.0.256");
  EXPECT_EQ(report.faults[1].index, 3u);
  EXPECT_EQ(report.faults[2].value.size(), 120u);
  EXPECT_THAT(values_of("acme", "bad"), IsEmpty());
  EXPECT_EQ(store->revision(), before);
  report =
      store->add_entries("acme", "bad", entries, {.now = 100, .on_fault = OnFault::apply_the_rest})
          .value();
  EXPECT_TRUE(report.applied);
  EXPECT_EQ(report.added, 2u);
  EXPECT_EQ(report.entry_count, 2u);
  EXPECT_EQ(report.faults.size(), 3u);
  EXPECT_THAT(values_of("acme", "bad"), ElementsAre("5.0.0.1", "5.0.0.2"));
}

TEST_F(StoreEntries, WhatIsThereAlreadyKeepsItsTimeAndGetsTheNewWords) {
  EXPECT_EQ(add_entries("acme", "bad", {entry("5.0.0.1", "old", 500)}, 100).added, 1u);
  const uint64_t before = store->revision();
  EXPECT_EQ(add_entries("acme", "bad", {entry("5.0.0.1/32", "old", 500)}, 150).unchanged, 1u);
  EXPECT_EQ(store->revision(), before);
  const auto report = add_entries("acme", "bad", {entry("5.0.0.1", "new")}, 200);
  EXPECT_EQ(report.replaced, 1u);
  EXPECT_EQ(report.entry_count, 1u);
  EXPECT_GT(store->revision(), before);
  const auto page = store->entries_of("acme", "bad", {}).value();
  ASSERT_EQ(page.entries.size(), 1u);
  EXPECT_EQ(page.entries[0].comment, "new");
  EXPECT_EQ(page.entries[0].created, 100);
  EXPECT_EQ(page.entries[0].expires, 0);
  EXPECT_TRUE(store->expire_entries(10'000)->empty());  // its old expiry is forgotten
  EXPECT_EQ(store->list("acme", "bad")->changed, 200);
}

TEST_F(StoreEntries, OneValueGivenTwiceIsOneEntryAndTheLastWordCounts) {
  const auto report = add_entries(
      "acme", "bad", {entry("5.0.0.1", "a"), entry("5.0.0.2"), entry("5.0.0.1/32", "b")});
  EXPECT_EQ(report.added, 2u);
  EXPECT_EQ(report.unchanged, 1u);
  EXPECT_EQ(store->list("acme", "bad")->entry_count, 2u);
  EXPECT_EQ(store->entries_of("acme", "bad", {})->entries[0].comment, "b");
}

TEST_F(StoreEntries, CommentsAndExpiriesAreChecked) {
  const auto reason = [&](CustomEntry wrong) {
    const std::vector<CustomEntry> entries{std::move(wrong)};
    return store->add_entries("acme", "bad", entries, {.now = 100})->faults.at(0).reason;
  };
  EXPECT_THAT(reason(entry("5.0.0.1", std::string(201, 'x'))), HasSubstr("200 bytes"));
  EXPECT_THAT(reason(entry("5.0.0.1", "a\tb")), HasSubstr("control"));
  EXPECT_THAT(reason(entry("5.0.0.1", "", 100)), HasSubstr("expired already"));
  EXPECT_THAT(reason(entry("5.0.0.1", "", -5)), HasSubstr("expired already"));
  EXPECT_THAT(reason(entry("5.0.0.1", "", int64_t{1} << 33)), HasSubstr("2106"));
  EXPECT_EQ(add_entries("acme", "bad", {entry("5.0.0.1", std::string(200, 'x'), 101)}).added, 1u);
}

TEST_F(StoreEntries, AreRemovedInAnyFormAndWhatIsNotThereIsNoFault) {
  add("acme", "bad", {"5.0.0.0/24", "5.0.1.1", "bad.example"});
  const std::vector<std::string> values{"5.0.0.0-5.0.0.255", "BAD.example.", "6.0.0.1"};
  const auto report = store->remove_entries("acme", "bad", values, {.now = 300}).value();
  EXPECT_EQ(report.removed, 2u);
  EXPECT_EQ(report.unchanged, 1u);
  EXPECT_EQ(report.entry_count, 1u);
  EXPECT_THAT(values_of("acme", "bad"), ElementsAre("5.0.1.1"));
  const std::vector<std::string> wrong{"5.0.1.1", "???"};
  EXPECT_FALSE(store->remove_entries("acme", "bad", wrong, {.now = 300})->applied);
  EXPECT_EQ(
      store->remove_entries("acme", "bad", wrong, {.now = 300, .on_fault = OnFault::apply_the_rest})
          ->removed,
      1u);
}

TEST_F(StoreEntries, PagesTogetherAreTheList) {
  std::vector<std::string> values;
  for (int i = 0; i < 25; ++i) {
    values.push_back("5.0.0." + std::to_string(i));
    values.push_back("host" + std::to_string(i) + ".example");
    values.push_back("2a00::" + std::to_string(i));
  }
  add("acme", "bad", values);
  std::vector<std::string> read;
  std::string after;
  while (true) {
    const auto page = store->entries_of("acme", "bad", {.after = after, .limit = 7}).value();
    for (const CustomEntry& one : page.entries) {
      read.push_back(one.value);
    }
    EXPECT_LE(page.entries.size(), 7u);
    if (!page.more) {
      break;
    }
    after = read.back();
  }
  EXPECT_EQ(read, values_of("acme", "bad"));
  EXPECT_EQ(read.size(), values.size());
  // A value that is not there will do as well; the list behind is not reached.
  add("acme", "good", {"200.0.0.1"});
  EXPECT_THAT(store->entries_of("acme", "bad", {.after = "zz.example", .limit = 5})->entries,
              IsEmpty());
  EXPECT_EQ(store->entries_of("acme", "bad", {.after = "5.0.0.23-5.0.0.24", .limit = 1})
                ->entries[0]
                .value,
            "5.0.0.24");
  EXPECT_FAILS(store->entries_of("acme", "bad", {.after = "?"}), invalid_argument,
               HasSubstr("after"));
}

TEST_F(StoreEntries, SetOfAListCutsRangesIntoPrefixes) {
  add("acme", "bad", {"5.0.0.1-5.0.0.4", "5.0.0.0/30", "2a00::/32", "b.example", "*.a.example"});
  const uint32_t number = store->list("acme", "bad")->number;
  EXPECT_EQ(store->set_of_list(number).value(),
            set_from({"5.0.0.1", "5.0.0.2/31", "5.0.0.4", "5.0.0.0/30", "2a00::/32", "b.example",
                      "*.a.example"}));
  EXPECT_TRUE(store->set_of_list(99)->empty());
}

TEST_F(StoreEntries, ExpireWhenTheirTimeHasComeAndSayWhere) {
  EXPECT_GOOD(store->add_account(account("bolt"), 1));
  EXPECT_GOOD(store->add_list(own_list("bolt", "bad"), 1));
  add_entries("acme", "bad",
              {entry("5.0.0.1", "", 200), entry("5.0.0.2", "", 201), entry("5.0.0.3"),
               entry("bad.example", "", 150)});
  add_entries("bolt", "bad", {entry("5.0.0.1", "", 190)});
  EXPECT_TRUE(store->expire_entries(149)->empty());
  const uint64_t before = store->revision();
  EXPECT_THAT(store->expire_entries(200).value(),
              ElementsAre(ExpiredEntries{"acme", "bad", 2}, ExpiredEntries{"bolt", "bad", 1}));
  EXPECT_THAT(values_of("acme", "bad"), ElementsAre("5.0.0.2", "5.0.0.3"));
  EXPECT_EQ(store->list("acme", "bad")->entry_count, 2u);
  EXPECT_EQ(store->list("acme", "bad")->changed, 200);
  EXPECT_EQ(store->list("bolt", "bad")->entry_count, 0u);
  EXPECT_EQ(store->changes_since(before)->size(), 2u);
  EXPECT_TRUE(store->expire_entries(200)->empty());
  reopen();
  EXPECT_EQ(store->expire_entries(1000)->at(0), (ExpiredEntries{"acme", "bad", 1}));
  EXPECT_TRUE(store->expire_entries(1'000'000)->empty());
}

TEST_F(StoreEntries, NothingExpiresThatWasRemovedOrWhoseListIsGone) {
  add_entries("acme", "bad", {entry("5.0.0.1", "", 200), entry("5.0.0.2", "", 200)});
  const std::vector<std::string> one{"5.0.0.1"};
  EXPECT_GOOD(store->remove_entries("acme", "bad", one, {.now = 120}));
  add("acme", "bad", {"5.0.0.1"});  // again, and for good
  EXPECT_EQ(store->expire_entries(300)->at(0).removed, 1u);
  EXPECT_THAT(values_of("acme", "bad"), ElementsAre("5.0.0.1"));
  add_entries("acme", "bad", {entry("5.0.0.9", "", 400)});
  EXPECT_GOOD(store->remove_list("acme", "bad"));
  EXPECT_TRUE(store->expire_entries(500)->empty());
}

TEST_F(StoreEntries, BatchAboveTheLimitIsRefused) {
  const std::vector<CustomEntry> entries(kEntryBatchMax + 1, entry("5.0.0.1"));
  EXPECT_FAILS(store->add_entries("acme", "bad", entries, {.now = 1}), invalid_argument,
               HasSubstr("100001 entries at once"));
  EXPECT_EQ(store->add_entries("acme", "bad", std::span(entries).first(kEntryBatchMax), {.now = 1})
                ->added,
            1u);
}

// Any history of additions, removals and expiries gives what a plain map of the same has.
TEST_F(StoreEntries, AnyHistoryGivesWhatAPlainMapHas) {
  std::mt19937 random(test_seed());
  std::map<std::string, CustomEntry> model;  // by key
  int64_t now = 1000;
  for (int step = 0; step < 400; ++step) {
    now += static_cast<int64_t>(random() % 10);
    const std::string value = random() % 2 == 0 ? "5.0.0." + std::to_string(random() % 40)
                                                : "h" + std::to_string(random() % 40) + ".example";
    const std::string key = parse_own_value(value)->key();
    if (random() % 3 == 0) {
      const std::vector<std::string> values{value};
      const auto report = store->remove_entries("acme", "bad", values, {.now = now}).value();
      EXPECT_EQ(report.removed, model.erase(key));
    } else {
      CustomEntry wished = entry(value, std::to_string(random() % 3));
      wished.expires = random() % 2 == 0 ? now + 1 + static_cast<int64_t>(random() % 100) : 0;
      const auto report = add_entries("acme", "bad", {wished}, now);
      const auto known = model.find(key);
      EXPECT_EQ(report.added, known == model.end() ? 1u : 0u);
      wished.created = known == model.end() ? now : known->second.created;
      model[key] = wished;
    }
    if (random() % 5 == 0) {
      const uint64_t expected = static_cast<uint64_t>(std::erase_if(model, [&](const auto& one) {
        return one.second.expires != 0 && one.second.expires <= now;
      }));
      const auto expired = store->expire_entries(now).value();
      EXPECT_EQ(expired.empty() ? 0 : expired[0].removed, expected);
    }
    if (step % 150 == 149) {
      reopen();
    }
  }
  std::vector<CustomEntry> expected;
  for (const auto& [key, one] : model) {
    expected.push_back(one);
  }
  EXPECT_EQ(store->entries_of("acme", "bad", {})->entries, expected);
  EXPECT_EQ(store->list("acme", "bad")->entry_count, model.size());
}

using StoreLists = AccountTest;

TEST_F(StoreLists, NamesOfListsAndPoliciesDoNotMeet) {
  EXPECT_GOOD(store->add_account(account("acme"), 1));
  EXPECT_GOOD(store->add_account(account("bolt"), 1));
  EXPECT_GOOD(store->add_list(own_list("acme", "bad"), 1));
  EXPECT_GOOD(store->add_policy(ip_policy("acme", "edge7", {"bad"}), 1));
  for (const char* name : {"bad", "bad1", "bad22", "ba", "edge7", "edge", "edge71", "rpz", "rpz1",
                           "ns1", "ns", "hostmaster"}) {
    if (name == std::string("ba")) {
      continue;  // continues as ba1, never as bad
    }
    EXPECT_FAILS(store->add_list(own_list("acme", name), 1), conflict, HasSubstr(name));
    EXPECT_FAILS(store->add_policy(ip_policy("acme", name, {"bad"}), 1), conflict, HasSubstr(name));
  }
  EXPECT_GOOD(store->add_list(own_list("acme", "ba"), 1));
  EXPECT_GOOD(store->add_list(own_list("acme", "bad-1"), 1));
  EXPECT_GOOD(store->add_list(own_list("acme", "basic"), 1));
  EXPECT_GOOD(store->add_list(own_list("bolt", "bad1"), 1));
}

TEST_F(StoreLists, FieldsAreCheckedAndTheAccountMustExist) {
  EXPECT_GOOD(store->add_account(account("acme"), 1));
  EXPECT_FAILS(store->add_list(own_list("acme", "No"), 1), invalid_argument, HasSubstr("No"));
  EXPECT_FAILS(store->add_list(own_list("nobody", "bad"), 1), not_found, HasSubstr("nobody"));
  CustomList wrong = own_list("acme", "bad");
  wrong.direction = static_cast<Direction>(4);
  EXPECT_FAILS(store->add_list(wrong, 1), invalid_argument, HasSubstr("direction"));
  wrong = own_list("acme", "bad");
  wrong.entry_count = 99;
  wrong.number = 98;
  const auto made = store->add_list(wrong, 5).value();
  EXPECT_EQ(made.entry_count, 0u);
  EXPECT_EQ(made.number, 1u);
  EXPECT_EQ(made.created, 5);
  EXPECT_EQ(store->list("acme", "bad").value(), made);
}

TEST_F(StoreLists, ListInUseStaysAndANewOneOfTheNameIsEmpty) {
  EXPECT_GOOD(store->add_account(account("acme"), 1));
  const uint32_t first = store->add_list(own_list("acme", "bad"), 1)->number;
  add("acme", "bad", {"5.0.0.1"});
  EXPECT_GOOD(store->add_policy(ip_policy("acme", "edge", {"bad"}), 1));
  EXPECT_FAILS(store->remove_list("acme", "bad"), conflict, HasSubstr("policy edge"));
  EXPECT_GOOD(store->remove_policy("acme", "edge"));
  EXPECT_GOOD(store->remove_list("acme", "bad"));
  EXPECT_FAILS(store->remove_list("acme", "bad"), not_found, HasSubstr("no list bad"));
  const auto again = store->add_list(own_list("acme", "bad"), 1).value();
  EXPECT_NE(again.number, first);
  EXPECT_THAT(values_of("acme", "bad"), IsEmpty());
}

}  // namespace
}  // namespace merlon::store
