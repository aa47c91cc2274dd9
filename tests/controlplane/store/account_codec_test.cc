// SPDX-License-Identifier: Apache-2.0
// Records of accounts, lists and policies as bytes, and bytes that are none.
#include "controlplane/store/account_codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "controlplane/store/database.h"
#include "tests/controlplane/store/account_support.h"

namespace merlon::store {
namespace {

using testing::HasSubstr;

Policy full_policy() {
  Policy policy = ip_policy("acme", "names", {"bad", "good"});
  policy.title = "Nämen";
  policy.kind = PolicyKind::dns;
  policy.targets = {{{"one"}, {"scanner"}, 3, 70, Action::garden}, {{}, {}, 0, 0, Action::drop}};
  policy.list_action = Action::tcp_only;
  policy.garden = "*.walled.example";
  policy.profile = "bind";
  policy.capacity = 12345678901;
  policy.created = 5;
  policy.changed = 6;
  policy.number = 7;
  policy.account_number = 8;
  return policy;
}

// No prefix of a record is a record, and a wrong type is said.
template <class Decode>
void expect_only_whole(const std::string& record, Decode decode) {
  EXPECT_TRUE(decode(record).has_value());
  for (size_t size = 0; size < record.size(); ++size) {
    EXPECT_FAILS(decode(std::string_view(record).substr(0, size)), corruption,
                 HasSubstr("damaged"));
  }
}

TEST(AccountCodec, RecordsComeBackAndNothingShorterDoes) {
  Account account;
  account.name = "acme";
  account.title = "T";
  account.tier = Tier::operator_;
  account.created = 9;
  account.number = 4'000'000'000;
  EXPECT_EQ(decode_account(*encode_account(account)).value(), account);
  expect_only_whole(*encode_account(account), decode_account);
  CustomList list = own_list("acme", "bad", Direction::allow);
  list.title = "L";
  list.created = 1;
  list.changed = 2;
  list.entry_count = 3;
  list.number = 4;
  list.account_number = 5;
  EXPECT_EQ(decode_list(*encode_list(list)).value(), list);
  expect_only_whole(*encode_list(list), decode_list);
  EXPECT_EQ(decode_policy(*encode_policy(full_policy())).value(), full_policy());
  expect_only_whole(*encode_policy(full_policy()), decode_policy);
}

TEST(AccountCodec, ValuesThatNoEnumHasAreDamage) {
  std::string record = *encode_policy(full_policy());
  const auto with = [&record](std::string_view from, std::string_view to) {
    std::string changed = record;
    const size_t at = changed.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return changed.replace(at, from.size(), to);
  };
  EXPECT_FAILS(decode_policy(with("\"kind\":1", "\"kind\":2")), corruption, HasSubstr("value"));
  EXPECT_FAILS(decode_policy(with("\"action\":5", "\"action\":6")), corruption, HasSubstr("value"));
  EXPECT_FAILS(decode_policy(with("\"list_action\":4", "\"list_action\":-1")), corruption,
               HasSubstr("value"));
  EXPECT_FAILS(decode_policy(with("\"version\":1", "\"version\":2")), unsupported,
               HasSubstr("version 2"));
}

TEST(AccountCodec, EntriesAndExpiriesComeBack) {
  const std::string bytes = encode_entry({.created = 1, .expires = UINT32_MAX, .comment = "why"});
  StoredEntry entry;
  ASSERT_TRUE(decode_entry(bytes, entry));
  EXPECT_EQ(entry.created, 1u);
  EXPECT_EQ(entry.expires, UINT32_MAX);
  EXPECT_EQ(entry.comment, "why");
  for (size_t size = 0; size < 8; ++size) {
    EXPECT_FALSE(decode_entry(bytes.substr(0, size), entry));
  }
  EXPECT_FALSE(decode_entry(bytes + std::string(200, 'x'), entry));

  const std::string value = parse_own_value("45.0.0.1")->key();
  const std::string key =
      encode_expiry_key({.expires = int64_t{1} << 32, .list = 7, .value_key = value});
  ExpiryKey expiry;
  ASSERT_TRUE(decode_expiry_key(key, expiry));
  EXPECT_EQ(expiry.expires, int64_t{1} << 32);
  EXPECT_EQ(expiry.list, 7u);
  EXPECT_EQ(expiry.value_key, value);
  EXPECT_FALSE(decode_expiry_key(key.substr(0, 16), expiry));
  EXPECT_FALSE(decode_expiry_key(entry_key(7, value), expiry));
  // Sooner is before later, and every index before every entry.
  EXPECT_LT(encode_expiry_key({.expires = 255, .list = 9, .value_key = "z"}),
            encode_expiry_key({.expires = 256, .list = 1, .value_key = "a"}));
  EXPECT_LT(key, entry_key(1, value));
}

TEST(AccountCodec, ValueKeysSortByFamilyAndAddress) {
  const char* texts[] = {"5.0.0.0/30", "5.0.0.1", "5.0.0.1-5.0.0.3", "200.0.0.1",
                         "2a00::/32",  "2a00::1", "*.example.com",   "bad.example"};
  std::vector<std::string> keys;
  for (const char* text : texts) {
    keys.push_back(parse_own_value(text)->key());
  }
  EXPECT_TRUE(std::is_sorted(keys.begin(), keys.end()));
  EXPECT_EQ(std::adjacent_find(keys.begin(), keys.end()), keys.end());
}

using AccountDamage = AccountTest;

TEST_F(AccountDamage, MalformedRecordsAreCorruptionThatNamesThem) {
  EXPECT_GOOD(store->add_account(account("acme"), 1));
  EXPECT_GOOD(store->add_list(own_list("acme", "bad"), 1));
  EXPECT_GOOD(store->add_policy(ip_policy("acme", "edge", {"bad"}), 1));
  add("acme", "bad", {"45.0.0.1"});
  store.reset();
  {
    auto database = Database::open(directory.store());
    ASSERT_TRUE(database.has_value());
    rocksdb::WriteBatch batch;
    ASSERT_TRUE(batch.Put((*database)->column(Column::lists), owned_key(1, "bad"), "{").ok());
    ASSERT_TRUE(batch.Put((*database)->column(Column::policies), owned_key(1, "edge"), "").ok());
    EXPECT_GOOD((*database)->write(batch, Durability::synced));
  }
  open();
  EXPECT_FAILS(store->list("acme", "bad"), corruption, HasSubstr("list bad of account acme"));
  EXPECT_FAILS(store->lists_of("acme"), corruption, HasSubstr("list bad"));
  EXPECT_FAILS(store->entries_of("acme", "bad", {}), corruption, HasSubstr("list bad"));
  EXPECT_FAILS(store->policy("acme", "edge"), corruption, HasSubstr("policy edge"));
  EXPECT_FAILS(store->policies(), corruption, HasSubstr("policy edge"));
  EXPECT_FAILS(store->remove_account("acme", {.with_contents = true}), corruption,
               HasSubstr("list bad"));
  store.reset();
  {
    auto database = Database::open(directory.store());
    ASSERT_TRUE(database.has_value());
    rocksdb::WriteBatch batch;
    ASSERT_TRUE(batch.Put((*database)->column(Column::entries), entry_key(1, "4xx"), "??").ok());
    ASSERT_TRUE(batch.Put((*database)->column(Column::accounts), "acme", "[]").ok());
    EXPECT_GOOD((*database)->write(batch, Durability::synced));
  }
  open();
  EXPECT_FAILS(store->set_of_list(1), corruption, HasSubstr("list number 1"));
  EXPECT_FAILS(store->account("acme"), corruption, HasSubstr("account acme"));
  EXPECT_FAILS(store->accounts(), corruption, HasSubstr("account acme"));
}

}  // namespace
}  // namespace merlon::store
