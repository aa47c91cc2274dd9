// SPDX-License-Identifier: Apache-2.0
// RocksDB as the store needs it: ten column families under one directory, bounded memory, and
// every failure as an Error that names the directory and what to do.
//
// Recovery: the log is read with kTolerateCorruptedTailRecords. A torn end (the process was killed
// or power failed while it wrote) is cut off, and that write never happened. Damage *before* the
// end is an error: RocksDB's default would silently drop everything after it, devices included.
// Thread-safe after open().
#pragma once

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "zones/base/error.h"

namespace merlon::store {

enum class Column : uint8_t {
  feeds,
  sets,
  indicators,
  devices,
  meta,
  accounts,
  lists,
  entries,
  policies,
  contents
};
inline constexpr std::array<std::string_view, 10> kColumnNames = {
    "feeds",    "sets",  "indicators", "devices",  "meta",
    "accounts", "lists", "entries",    "policies", "contents"};
// Every file of the store is readable by this program and those of the same version number.
// Version 2 brought accounts, lists, entries and policies, version 3 histories of several
// intervals, ageing and the contents of feeds; upgrade.cc makes it of older ones.
inline constexpr uint64_t kSchemaVersion = 3;
inline constexpr std::string_view kSchemaKey = "schema";

enum class Durability {
  synced,   // survives a power failure once write() returned
  process,  // survives the death of the process
  lazy,     // survives when the database is closed in order; kept out of the log
};

class Database {
 public:
  // Creates the directory (mode 0700) and the database when there is none; an older one gets the
  // columns that it lacks and keeps its schema version. Errors: busy (another
  // process has it open), unsupported (written by a newer version), corruption, io.
  static Result<std::unique_ptr<Database>> open(const std::string& path);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  const std::string& path() const { return path_; }
  uint64_t schema_version() const { return schema_version_; }  // of what is stored, at open()
  rocksdb::DB* rocks() const { return db_; }
  rocksdb::ColumnFamilyHandle* column(Column column) const {
    return columns_[static_cast<size_t>(column)];
  }

  // nullopt when there is no such key.
  Result<std::optional<std::string>> get(Column column, std::string_view key,
                                         const rocksdb::ReadOptions& options = {}) const;
  // One value per key, in order; nullopt where there is none.
  Result<std::vector<std::optional<std::string>>> get_many(
      Column column, const std::vector<std::string>& keys,
      const rocksdb::ReadOptions& options = {}) const;
  Status write(rocksdb::WriteBatch& batch, Durability durability);

  // "store <path>: <rocksdb's words>" with the code that fits and, for damage, what to do.
  std::unexpected<Error> failed(const rocksdb::Status& status) const;
  // The stored bytes are not what this program writes.
  std::unexpected<Error> damaged(std::string_view what) const;

 private:
  explicit Database(std::string path) : path_(std::move(path)) {}
  Status open_columns();
  Status check_schema();
  Result<bool> is_empty() const;

  std::string path_;
  uint64_t schema_version_ = kSchemaVersion;
  rocksdb::DB* db_ = nullptr;
  std::vector<rocksdb::ColumnFamilyHandle*> handles_;  // all that the database has
  std::array<rocksdb::ColumnFamilyHandle*, kColumnNames.size()> columns_{};
};

}  // namespace merlon::store
