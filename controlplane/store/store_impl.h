// SPDX-License-Identifier: Apache-2.0
// What is inside a Store, for its own sources: store.cc (definitions, devices, numbers), apply.cc
// (sets and history), lookup.cc (reading).
//
// Keys beside those of codec.h: `feeds` and `devices` are keyed by id and by name, devices also by
// "/" and the indicator key of a source prefix (value: the device's name; '/' is in no name).
// `meta`: "schema", "revision", "next/feed", "next/device", "next/account" in decimal text,
// "feed/" feed number -> id, which outlives the feed for its history, and "account/" name ->
// number.
#pragma once

#include <rocksdb/snapshot.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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
  };

  explicit Impl(std::unique_ptr<Database> opened) : database(std::move(opened)) {}

  std::unique_ptr<Database> database;
  std::mutex writing;  // held by every method that writes, from its first read on
  std::atomic<uint64_t> revision{0};
  Numbers next;

  Status load_numbers();
  Result<uint64_t> load_number(std::string_view key, uint64_t otherwise) const;

  // Errors of the four below: not_found with the id, corruption.
  Result<StoredFeed> load_feed(const std::string& id, const rocksdb::ReadOptions& options) const;
  Result<Device> load_device(const std::string& name) const;
  Status put_feed(rocksdb::WriteBatch& batch, const StoredFeed& feed) const;
  Result<std::vector<StoredFeed>> load_feeds(const rocksdb::ReadOptions& options) const;

  // conflict when the definition's names would collide with lists of other feeds.
  Status check_list_names(const FeedDefinition& definition) const;

  // Writes the batch together with the next revision.
  Status commit(rocksdb::WriteBatch& batch);

  Status check_source_free(const Device& device) const;
  // The account's number; takes a new one into the batch when the account is new.
  Result<uint32_t> account_number(const std::string& account, Numbers& numbers,
                                  rocksdb::WriteBatch& batch) const;

  Result<std::vector<Observation>> observations(const std::vector<std::string>& keys,
                                                const std::vector<std::string>& values) const;
};

// Keys of `meta`.
inline constexpr std::string_view kRevisionKey = "revision";
inline constexpr std::string_view kNextFeedKey = "next/feed";
inline constexpr std::string_view kNextDeviceKey = "next/device";
inline constexpr std::string_view kNextAccountKey = "next/account";
inline std::string feed_number_key(uint32_t number) {
  return "feed/" + big_endian(number);
}

}  // namespace merlon::store
