// SPDX-License-Identifier: Apache-2.0
// What is inside a Store, for its own sources: store.cc (definitions, numbers), devices.cc,
// apply.cc (sets and history), age_out.cc, lookup.cc (reading), contents.cc, backup.cc,
// accounts.cc, lists.cc, entries.cc, policies.cc, upgrade.cc.
//
// Keys beside those of codec.h and account_codec.h: `feeds` and `devices` are keyed by id and by
// name; devices also by "/" and the indicator key of a source prefix (value: the device's name) and
// by "." account(4) name (value: ""); '/' and '.' are in no name.
// `meta`: "schema", "revision", "next/feed", "next/device", "next/account", "next/list",
// "next/policy" in decimal text, "feed/" feed number -> id, which outlives the feed for its
// history, and, of databases that were of version 1, "account/" name -> number of accounts whose
// devices were all gone: should one come back, it has its number.
#pragma once

#include <rocksdb/snapshot.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "controlplane/store/account_codec.h"
#include "controlplane/store/codec.h"
#include "controlplane/store/database.h"
#include "controlplane/store/store.h"

namespace merlon::store {

inline rocksdb::Slice slice(std::string_view text) {
  return {text.data(), text.size()};
}

// One state of the database for several reads, whatever is written meanwhile.
class View {
 public:
  explicit View(const Database& database) : snapshot_(database.rocks()) {
    options_.snapshot = snapshot_.snapshot();
  }
  const rocksdb::ReadOptions& options() const { return options_; }

 private:
  rocksdb::ManagedSnapshot snapshot_;
  rocksdb::ReadOptions options_;
};

// Walks what one feed lists, in the order of value keys. `view` must outlive it.
class SetCursor {
 public:
  SetCursor(const Database& database, uint32_t feed_number, const View& view);
  SetCursor(const SetCursor&) = delete;  // the iterator points to end_slice_
  SetCursor& operator=(const SetCursor&) = delete;
  bool valid() const { return at_->Valid(); }
  std::string_view value_key() const {
    const rocksdb::Slice key = at_->key();
    return std::string_view(key.data(), key.size()).substr(4);
  }
  std::string_view value() const { return at_->value().ToStringView(); }
  void next() { at_->Next(); }
  rocksdb::Status status() const { return at_->status(); }

 private:
  std::string first_;
  std::string end_;
  rocksdb::Slice end_slice_;
  std::unique_ptr<rocksdb::Iterator> at_;
};

struct Store::Impl {
  // The sequences. Guarded by `writing`; they move on only when the batch that uses them is
  // written.
  struct Numbers {
    uint32_t feed = 1;
    uint32_t device = 1;
    uint32_t account = 1;
    uint32_t list = 1;
    uint32_t policy = 1;
  };

  explicit Impl(std::unique_ptr<Database> opened) : database(std::move(opened)) {}

  std::unique_ptr<Database> database;
  std::mutex writing;  // held by every method that writes, from its first read on
  std::atomic<uint64_t> revision{0};
  Numbers next;
  ChangeLog changes;
  std::string sweep_at;  // where the next turn over the history begins; guarded by `writing`

  Status load_numbers();
  Result<uint64_t> load_number(std::string_view key, uint64_t otherwise) const;

  // Errors of the four below: not_found with the id, corruption.
  Result<StoredFeed> load_feed(const std::string& id, const rocksdb::ReadOptions& options) const;
  Result<Device> load_device(const std::string& name,
                             const rocksdb::ReadOptions& options = {}) const;
  Status put_feed(rocksdb::WriteBatch& batch, const StoredFeed& feed) const;
  Result<std::vector<StoredFeed>> load_feeds(const rocksdb::ReadOptions& options) const;

  // conflict when the definition's names would collide with lists of other feeds.
  Status check_list_names(const FeedDefinition& definition) const;

  // Writes the batch together with the next revision; `changed` is what it changes.
  Status commit(rocksdb::WriteBatch& batch, std::vector<Change> changed);

  // conflict when another device has one of its sources.
  Status check_source_free(const Device& device) const;
  Status check_dns_policy(const Device& device) const;
  Status put_device(rocksdb::WriteBatch& batch, const Device& device) const;
  Status delete_device(rocksdb::WriteBatch& batch, const Device& device) const;
  Result<std::vector<Device>> load_devices_of(uint32_t account) const;  // of one moment

  Result<Account> load_account(const std::string& name) const;  // not_found
  Status put_account(rocksdb::WriteBatch& batch, const Account& account) const;
  // A new account with its number, in the batch. conflict: check_account_name.
  Result<Account> make_account(Account account, Numbers& numbers, rocksdb::WriteBatch& batch) const;
  Status remove_contents(rocksdb::WriteBatch& batch, const Account& account,
                         const RemoveAccount& options) const;
  // conflict when a shared list has or may come to have this name.
  Status check_account_name(const std::string& name) const;
  // not_found: no account, or it has no such list or policy.
  Result<CustomList> load_list(const std::string& account, const std::string& name) const;
  Result<Policy> load_policy(const std::string& account, const std::string& name) const;
  Result<std::vector<CustomList>> load_lists(uint32_t first_account, uint64_t end_account) const;
  Result<std::vector<Policy>> load_policies(uint32_t first_account, uint64_t end_account) const;
  Status put_list(rocksdb::WriteBatch& batch, const CustomList& list) const;
  Status put_policy(rocksdb::WriteBatch& batch, const Policy& policy) const;
  // conflict when the account has a list or a policy whose names meet those of this one, or is
  // itself named as a shared list.
  Status check_owned_name(const Account& account, const std::string& name) const;
  Status check_policy_names(const Policy& policy) const;
  // The list with all its entries.
  Status delete_list(rocksdb::WriteBatch& batch, const CustomList& list) const;
  Status remove_entry(rocksdb::WriteBatch& batch, uint32_t list, std::string_view value_key,
                      std::string_view stored) const;
  Result<bool> something_expires(int64_t now) const;
  Result<std::vector<ExpiredEntries>> expire_some(int64_t now);

  struct Ended;  // what of one feed has come to its end
  Result<bool> something_aged(int64_t now) const;
  Result<std::vector<AgedOut>> age_some_out(int64_t now);
  Result<AgedOut> end_entries(uint32_t feed_number, const Ended& ended, int64_t now);

  Status upgrade();  // to this program's schema version

  Result<std::vector<Observation>> observations(const std::vector<std::string>& value_keys,
                                                const std::vector<std::string>& values) const;
};

// Keys of `meta`.
inline constexpr std::string_view kRevisionKey = "revision";
inline constexpr std::string_view kNextFeedKey = "next/feed";
inline constexpr std::string_view kNextDeviceKey = "next/device";
inline constexpr std::string_view kNextAccountKey = "next/account";
inline constexpr std::string_view kNextListKey = "next/list";
inline constexpr std::string_view kNextPolicyKey = "next/policy";
inline std::string feed_number_key(uint32_t number) {
  return "feed/" + big_endian(number);
}

inline std::string known_account_key(std::string_view name) {
  return fmt::format("account/{}", name);
}
// Key of the devices of an account, up to their names.
inline std::string device_of_account_key(uint32_t account) {
  return "." + big_endian(account);
}
// Times at which a generation began to be served, in `meta`: the key, and the generation in
// decimal.
inline constexpr std::string_view kGenerationPrefix = "generation/";
inline std::string generation_key(uint32_t time) {
  return std::string(kGenerationPrefix) + big_endian(time);
}
rocksdb::Status delete_content(const Database& database, rocksdb::WriteBatch& batch,
                               uint32_t feed_number);
// The first key that does not begin with `prefix`, for prefixes that are not all 0xff.
std::string end_of(std::string prefix);

void put_number(rocksdb::WriteBatch& batch, rocksdb::ColumnFamilyHandle* meta, std::string_view key,
                uint64_t number);

// Calls use(key, value) for every entry from `first` up to `end`, in order, until it fails.
template <class Use>
Status for_each_in(const Database& database, Column column, std::string_view first,
                   std::string_view end, Use&& use, rocksdb::ReadOptions options = {}) {
  const rocksdb::Slice end_slice = slice(end);
  options.iterate_upper_bound = &end_slice;
  const std::unique_ptr<rocksdb::Iterator> at(
      database.rocks()->NewIterator(options, database.column(column)));
  for (at->Seek(slice(first)); at->Valid(); at->Next()) {
    if (Status used = use(at->key().ToStringView(), at->value().ToStringView()); !used) {
      return used;
    }
  }
  return at->status().ok() ? Status{} : database.failed(at->status());
}

}  // namespace merlon::store
