// SPDX-License-Identifier: Apache-2.0
// A database of version 1 opens, gains what version 2 has and loses nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rocksdb/db.h>

#include <algorithm>
#include <memory>

#include "controlplane/store/codec.h"
#include "controlplane/store/database.h"
#include "tests/controlplane/store/account_support.h"

namespace merlon::store {
namespace {

using testing::HasSubstr;

class StoreUpgrade : public AccountTest {
 protected:
  // Makes of the closed store what version 1 would have written: no families for accounts, names
  // and numbers of accounts in `meta`, no index of devices.
  void turn_into_version_1(const std::vector<std::pair<std::string, uint32_t>>& accounts) {
    store.reset();
    std::vector<std::string> names;
    ASSERT_TRUE(rocksdb::DB::ListColumnFamilies({}, directory.store(), &names).ok());
    std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
    for (const std::string& name : names) {
      descriptors.emplace_back(name, rocksdb::ColumnFamilyOptions());
    }
    rocksdb::DB* raw = nullptr;
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    ASSERT_TRUE(rocksdb::DB::Open({}, directory.store(), descriptors, &handles, &raw).ok());
    const std::unique_ptr<rocksdb::DB> database(raw);
    for (rocksdb::ColumnFamilyHandle* handle : handles) {
      const std::string name = handle->GetName();
      if (name == "meta") {
        ASSERT_TRUE(raw->Put({}, handle, "schema", "1").ok());
        ASSERT_TRUE(raw->Delete({}, handle, "next/list").ok());
        ASSERT_TRUE(raw->Delete({}, handle, "next/policy").ok());
        for (const auto& [account, number] : accounts) {
          ASSERT_TRUE(raw->Put({}, handle, "account/" + account, std::to_string(number)).ok());
        }
      } else if (name == "devices") {
        ASSERT_TRUE(raw->DeleteRange({}, handle, ".", "/").ok());
      } else if (name == "accounts" || name == "lists" || name == "entries" || name == "policies") {
        ASSERT_TRUE(raw->DropColumnFamily(handle).ok());
      }
      raw->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
    }
  }
  std::vector<std::string> families() const {
    std::vector<std::string> names;
    EXPECT_TRUE(rocksdb::DB::ListColumnFamilies({}, directory.store(), &names).ok());
    return names;
  }
};

TEST_F(StoreUpgrade, AccountsThatDevicesNameBecomeRecordsWithTheirNumbers) {
  EXPECT_GOOD(store->add_feed(definition("one")));
  EXPECT_GOOD(store->apply("one", set_from({"5.0.0.1", "bad.example"}), good_state(5), 5));
  EXPECT_GOOD(store->add_device(device("gone", "past", {"5.5.5.1"}), 10));
  EXPECT_GOOD(store->remove_device("gone"));
  EXPECT_GOOD(store->add_device(device("a1", "acme", {"5.5.5.5"}), 30));
  EXPECT_GOOD(store->add_device(device("a0", "acme", {"5.5.5.6"}), 20));
  EXPECT_GOOD(store->add_device(device("b1", "bolt", {"2a00::/32"}), 40));
  const auto devices = store->devices().value();
  turn_into_version_1({{"past", 1}, {"acme", 2}, {"bolt", 3}});
  EXPECT_EQ(std::ranges::count(families(), "accounts"), 0);

  open();
  EXPECT_EQ(std::ranges::count(families(), "accounts"), 1);
  const auto accounts = store->accounts().value();
  ASSERT_EQ(accounts.size(), 2u);
  EXPECT_EQ(accounts[0].name, "acme");
  EXPECT_EQ(accounts[0].number, 2u);
  EXPECT_EQ(accounts[0].created, 20);
  EXPECT_EQ(accounts[0].tier, Account{}.tier);
  EXPECT_EQ(accounts[1].name, "bolt");
  EXPECT_EQ(accounts[1].number, 3u);
  EXPECT_EQ(store->account_of(3)->name, "bolt");
  EXPECT_EQ(store->devices()->size(), devices.size());
  EXPECT_EQ(store->devices_of("acme")->size(), 2u);
  EXPECT_EQ(store->devices_of("bolt")->at(0).name, "b1");
  EXPECT_EQ(store->set_of("one").value(), set_from({"5.0.0.1", "bad.example"}));
  // An account that had devices once has its number still, a new one gets a new one.
  EXPECT_EQ(store->add_account(account("past"), 1)->number, 1u);
  EXPECT_EQ(store->add_account(account("new"), 1)->number, 4u);
  EXPECT_EQ(store->add_device(device("a2", "acme", {"5.5.5.7"}), 50)->account_number, 2u);
  EXPECT_GOOD(store->add_list(own_list("acme", "bad"), 1));
  EXPECT_GOOD(store->add_policy(ip_policy("acme", "edge", {"bad"}), 1));
  reopen();
  EXPECT_EQ(store->accounts()->size(), 4u);
  EXPECT_EQ(store->policies_of("acme")->size(), 1u);
  EXPECT_GOOD(store->remove_account("past"));
  EXPECT_EQ(store->add_account(account("past"), 1)->number, 5u);
}

TEST_F(StoreUpgrade, AccountNamedAsASharedListStaysButGetsNoNamesOfItsOwn) {
  EXPECT_GOOD(store->add_device(device("a1", "acme", {"5.5.5.5"}), 30));
  EXPECT_GOOD(store->remove_account("acme", {.with_contents = true}));
  EXPECT_GOOD(store->add_feed(definition("acme")));
  EXPECT_GOOD(store->add_device(device("a1", "bolt", {"5.5.5.5"}), 30));
  Device stored = store->devices()->at(0);
  turn_into_version_1({{"acme", 2}});
  {
    // Version 1 let an account be called as a feed.
    auto raw = Database::open(directory.store());
    ASSERT_TRUE(raw.has_value());
    stored.account = "acme";
    rocksdb::WriteBatch batch;
    ASSERT_TRUE(batch.Put((*raw)->column(Column::devices), "a1", *encode_device(stored)).ok());
    EXPECT_GOOD((*raw)->write(batch, Durability::synced));
  }
  open();
  EXPECT_EQ(store->account("acme")->number, 2u);
  EXPECT_EQ(store->devices_of("acme")->size(), 1u);
  EXPECT_FAILS(store->add_list(own_list("acme", "bad"), 1), conflict,
               HasSubstr("the shared list acme"));
  FeedDefinition changed = definition("acme");
  changed.interval_s = 600;
  EXPECT_GOOD(store->replace_feed(changed));  // what brings no new name is still possible
  EXPECT_GOOD(store->remove_feed("acme", 1));
  EXPECT_GOOD(store->add_list(own_list("acme", "bad"), 1));
}

TEST_F(StoreUpgrade, EmptyStoreOfVersion1Opens) {
  turn_into_version_1({});
  open();
  EXPECT_TRUE(store->accounts()->empty());
  EXPECT_EQ(store->add_account(account("acme"), 1)->number, 1u);
}

TEST_F(StoreUpgrade, DamagedDeviceLeavesVersion1AndIsNamed) {
  EXPECT_GOOD(store->add_device(device("edge", "acme", {"5.5.5.5"}), 1));
  turn_into_version_1({{"acme", 1}});
  {
    auto raw = Database::open(directory.store());
    ASSERT_TRUE(raw.has_value());
    rocksdb::WriteBatch batch;
    ASSERT_TRUE(batch.Put((*raw)->column(Column::devices), "edge", "{").ok());
    EXPECT_GOOD((*raw)->write(batch, Durability::synced));
  }
  EXPECT_FAILS(Store::open(directory.store()), corruption, HasSubstr("device edge"));
  const auto raw = Database::open(directory.store());
  ASSERT_TRUE(raw.has_value());
  EXPECT_EQ((*raw)->schema_version(), 1u);
}

// What version 2 wrote: no column for contents, entries without a value, sightings without earlier
// intervals.
TEST_F(StoreUpgrade, HistoryOfVersion2GoesOn) {
  EXPECT_GOOD(store->add_feed(definition("one")));
  EXPECT_GOOD(store->apply("one", set_from({"5.0.0.1", "5.0.0.2"}), good_state(1000), 1000));
  EXPECT_GOOD(store->apply("one", set_from({"5.0.0.2"}), good_state(90'000), 90'000));
  store.reset();
  {
    const auto raw = Database::open(directory.store());
    ASSERT_TRUE(raw.has_value());
    std::string sightings;
    ASSERT_TRUE((*raw)
                    ->rocks()
                    ->Get({}, (*raw)->column(Column::indicators),
                          indicator_key(address::parse_prefix("5.0.0.1").value()), &sightings)
                    .ok());
    EXPECT_EQ(sightings, std::string("\2\0\0\3\xe8\0\1\x5f\x90", 9));  // as it always was
    rocksdb::WriteBatch batch;
    ASSERT_TRUE(batch.Put((*raw)->column(Column::meta), "schema", "2").ok());
    EXPECT_GOOD((*raw)->write(batch, Durability::synced));
    ASSERT_TRUE((*raw)->rocks()->DropColumnFamily((*raw)->column(Column::contents)).ok());
  }
  EXPECT_EQ(std::ranges::count(families(), "contents"), 0);

  open();
  EXPECT_EQ(std::ranges::count(families(), "contents"), 1);
  EXPECT_EQ(store->set_of("one").value(), set_from({"5.0.0.2"}));
  FeedDefinition feed = store->feed("one")->definition;
  feed.ageing = "last_seen+7d";
  EXPECT_GOOD(store->replace_feed(feed));
  EXPECT_GOOD(store->apply("one", set_from({"5.0.0.1"}), good_state(200'000), 200'000));
  const auto back = seen("5.0.0.1").at(0);
  EXPECT_EQ(back.intervals, (std::vector<Interval>{{1000, 90'000}, {200'000, 0}}));
  EXPECT_TRUE(seen("5.0.0.2").at(0).gone);
  EXPECT_GOOD(store->keep_content("one", "5.0.0.1"));
  store.reset();
  const auto raw = Database::open(directory.store());
  ASSERT_TRUE(raw.has_value());
  EXPECT_EQ((*raw)->schema_version(), 3u);
}

}  // namespace
}  // namespace merlon::store
