// SPDX-License-Identifier: Apache-2.0
#include "controlplane/store/database.h"

#include <fcntl.h>
#include <rocksdb/convenience.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>

#include "zones/base/file.h"

namespace merlon::store {
namespace {

constexpr size_t kBlockCacheBytes = 64 << 20;
constexpr size_t kWriteBuffersBytes = 64 << 20;     // of all columns together
constexpr size_t kWriteBufferBytes = 16 << 20;      // of a column with many entries
constexpr size_t kSmallWriteBufferBytes = 1 << 20;  // of the others
constexpr uint64_t kLogBytesMax = 64 << 20;
constexpr int kOpenFilesMax = 256;
constexpr uint64_t kBlobSizeMin = 1024;
constexpr double kBloomBitsPerKey = 10;  // about 1 % false positives

constexpr std::string_view kDamageAdvice =
    "restore the directory from a backup, or move it away and start with an empty one: feeds fill "
    "again by themselves, definitions, devices and history do not";

rocksdb::Slice slice(std::string_view text) {
  return {text.data(), text.size()};
}

bool has_compression(rocksdb::CompressionType wanted) {
  const auto built_in = rocksdb::GetSupportedCompressions();
  return std::find(built_in.begin(), built_in.end(), wanted) != built_in.end();
}

rocksdb::DBOptions database_options() {
  rocksdb::DBOptions options;
  options.create_missing_column_families = true;
  options.paranoid_checks = true;
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  options.max_total_wal_size = kLogBytesMax;
  options.db_write_buffer_size = kWriteBuffersBytes;
  options.max_open_files = kOpenFilesMax;
  options.max_background_jobs = 2;
  options.bytes_per_sync = 1 << 20;
  options.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  options.max_log_file_size = 1 << 20;
  options.keep_log_file_num = 3;
  options.max_manifest_file_size = 4 << 20;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  return options;
}

rocksdb::ColumnFamilyOptions column_options(std::string_view name,
                                            const std::shared_ptr<rocksdb::Cache>& cache) {
  const bool large = name == "sets" || name == "indicators" || name == "entries";
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.cache_index_and_filter_blocks = true;
  // In partitions: the whole filter of a table of millions of keys is megabytes, which are read and
  // checked again for each batch of keys once the tables' filters no longer fit the cache together.
  table.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;
  table.partition_filters = true;
  table.pin_top_level_index_and_filter = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  table.block_size = large ? 16 << 10 : 4 << 10;
  table.format_version = 5;
  if (name == "indicators") {
    // A lookup asks for up to 129 keys of which nearly all are absent.
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(kBloomBitsPerKey));
    table.optimize_filters_for_memory = true;
  }
  rocksdb::ColumnFamilyOptions options;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.write_buffer_size = large ? kWriteBufferBytes : kSmallWriteBufferBytes;
  options.level_compaction_dynamic_level_bytes = true;
  options.compression = has_compression(rocksdb::kLZ4Compression) ? rocksdb::kLZ4Compression
                                                                  : rocksdb::kNoCompression;
  options.bottommost_compression =
      has_compression(rocksdb::kZSTD) ? rocksdb::kZSTD : options.compression;
  if (name == "contents") {  // large values that are replaced whole: kept out of the tables
    options.write_buffer_size = kWriteBufferBytes;
    options.enable_blob_files = true;
    options.min_blob_size = kBlobSizeMin;
    options.blob_compression_type = options.bottommost_compression;
    options.enable_blob_garbage_collection = true;
    options.blob_garbage_collection_age_cutoff = 1;
    options.blob_garbage_collection_force_threshold = 0.5;
  }
  return options;
}

Status make_private_directory(const std::string& path) {
  std::filesystem::path parent = std::filesystem::path(path).parent_path();
  if (path.ends_with('/')) {  // "dir/" has the parent "dir"
    parent = parent.parent_path();
  }
  if (!parent.empty()) {
    if (auto made = make_directories(parent.string()); !made) {
      return made;
    }
  }
  if (::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) {
    return {};
  }
  return fail_errno("create the directory", errno);
}

// RocksDB takes a directory without CURRENT for an empty one, starts afresh and deletes what it
// does not know. A log or table there says that CURRENT was lost, not that there never was one.
Result<bool> holds_database(const std::string& path) {
  std::error_code error;
  bool current = false;
  std::string orphan;
  for (std::filesystem::directory_iterator at(path, error), end; !error && at != end;
       at.increment(error)) {
    const std::string name = at->path().filename().string();
    const std::string suffix = at->path().extension().string();
    const bool numbered = !name.empty() && name.front() >= '0' && name.front() <= '9';
    if (name == "CURRENT") {
      current = true;
    } else if (numbered && (suffix == ".sst" || suffix == ".log")) {
      orphan = name;
    }
  }
  if (error) {
    return fail(ErrorCode::io, "read the directory: {}", error.message());
  }
  if (!current && !orphan.empty()) {
    return fail(ErrorCode::corruption, "file CURRENT is missing beside {}; {}", orphan,
                kDamageAdvice);
  }
  return current;
}

// " (process 4711)", or "" when the kernel does not say. Only asked when another process holds the
// lock: closing any descriptor of a file drops the locks that the own process has on it.
std::string lock_holder(const std::string& file) {
  const int fd = ::open(file.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) {
    return "";
  }
  struct flock lock{};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  const bool known = ::fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK && lock.l_pid > 0;
  ::close(fd);
  return known ? fmt::format(" (process {})", lock.l_pid) : "";
}

Status locked_error(const std::string& path, const rocksdb::Status& status) {
  const std::string text = status.ToString();
  if (text.find("lock hold by current process") != std::string::npos) {
    return fail(ErrorCode::busy, "store {}: this process has it open already", path);
  }
  if (text.find("While lock file") != std::string::npos) {
    return fail(ErrorCode::busy,
                "store {}: another process{} has it open; stop that one, or give this one another "
                "data directory",
                path, lock_holder(path + "/LOCK"));
  }
  return {};
}

// Asks for RocksDB's lock before anything is read: while another process writes, its files may look
// damaged for a moment.
Status check_unlocked(const std::string& path) {
  rocksdb::FileLock* lock = nullptr;
  rocksdb::Env* env = rocksdb::Env::Default();
  const rocksdb::Status status = env->LockFile(path + "/LOCK", &lock);
  if (status.ok()) {
    return env->UnlockFile(lock).ok()
               ? Status{}
               : fail(ErrorCode::io, "store {}: cannot release its lock", path);
  }
  if (auto free = locked_error(path, status); !free) {
    return free;
  }
  return fail(ErrorCode::io, "store {}: {}", path, status.ToString());
}

}  // namespace

Result<std::unique_ptr<Database>> Database::open(const std::string& path) {
  if (path.empty()) {
    return fail(ErrorCode::invalid_argument, "the store's path is empty");
  }
  if (auto made = make_private_directory(path); !made) {
    return in(fmt::format("store {}", path), made.error());
  }
  if (auto free = check_unlocked(path); !free) {
    return std::unexpected(free.error());
  }
  std::unique_ptr<Database> database(new Database(path));
  if (auto opened = database->open_columns(); !opened) {
    return std::unexpected(opened.error());
  }
  if (auto checked = database->check_schema(); !checked) {
    return std::unexpected(checked.error());
  }
  return database;
}

Status Database::open_columns() {
  const auto exists = holds_database(path_);
  if (!exists) {
    return in(fmt::format("store {}", path_), exists.error());
  }
  rocksdb::DBOptions options = database_options();
  options.create_if_missing = !*exists;
  std::vector<std::string> names{rocksdb::kDefaultColumnFamilyName};
  if (*exists) {
    names.clear();
    const auto listed = rocksdb::DB::ListColumnFamilies(options, path_, &names);
    if (!listed.ok()) {
      // CURRENT may name a manifest that is not there: to RocksDB that is a missing path.
      return listed.IsCorruption() || listed.IsPathNotFound() ? damaged(listed.ToString())
                                                              : failed(listed);
    }
  }
  for (const std::string_view ours : kColumnNames) {
    if (std::find(names.begin(), names.end(), ours) == names.end()) {
      names.emplace_back(ours);
    }
  }
  const auto cache = rocksdb::NewLRUCache(kBlockCacheBytes);
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  for (const std::string& name : names) {
    descriptors.emplace_back(name, column_options(name, cache));
  }
  const auto opened = rocksdb::DB::Open(options, path_, descriptors, &handles_, &db_);
  if (!opened.ok()) {
    if (auto free = locked_error(path_, opened); !free) {
      return free;
    }
    return opened.IsPathNotFound() ? damaged(opened.ToString()) : failed(opened);
  }
  for (rocksdb::ColumnFamilyHandle* handle : handles_) {
    const auto at = std::find(kColumnNames.begin(), kColumnNames.end(), handle->GetName());
    if (at != kColumnNames.end()) {
      columns_[static_cast<size_t>(at - kColumnNames.begin())] = handle;
    }
  }
  return {};
}

Status Database::check_schema() {
  const auto stored = get(Column::meta, kSchemaKey);
  if (!stored) {
    return std::unexpected(stored.error());
  }
  if (!*stored) {
    const auto empty = is_empty();
    if (!empty) {
      return std::unexpected(empty.error());
    }
    if (!*empty) {
      return damaged("it has no schema version, so it is damaged or not a Merlon store");
    }
    rocksdb::WriteBatch batch;
    batch.Put(column(Column::meta), slice(kSchemaKey), fmt::format("{}", kSchemaVersion));
    return write(batch, Durability::synced);
  }
  uint64_t version = 0;
  const std::string& text = **stored;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), version);
  if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size() || version == 0) {
    return damaged("its schema version is not a number");
  }
  if (version > kSchemaVersion) {
    return fail(ErrorCode::unsupported,
                "store {}: written with schema version {}, this program knows versions up to {}; "
                "run the newer program",
                path_, version, kSchemaVersion);
  }
  schema_version_ = version;
  return {};
}

Result<bool> Database::is_empty() const {
  for (rocksdb::ColumnFamilyHandle* handle : handles_) {
    const std::unique_ptr<rocksdb::Iterator> at(db_->NewIterator({}, handle));
    at->SeekToFirst();
    if (at->Valid()) {
      return false;
    }
    if (!at->status().ok()) {
      return failed(at->status());
    }
  }
  return true;
}

Database::~Database() {
  if (db_ == nullptr) {
    return;
  }
  for (rocksdb::ColumnFamilyHandle* handle : handles_) {
    // Fails only for a null handle.
    db_->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
  }
  // What was written is in the log, so there is nothing left that closing could lose.
  db_->Close().PermitUncheckedError();
  delete db_;
}

Result<std::optional<std::string>> Database::get(Column from, std::string_view key,
                                                 const rocksdb::ReadOptions& options) const {
  std::string value;
  const auto status = db_->Get(options, column(from), slice(key), &value);
  if (status.ok()) {
    return value;
  }
  if (status.IsNotFound()) {
    return std::nullopt;
  }
  return failed(status);
}

Result<std::vector<std::optional<std::string>>> Database::get_many(
    Column from, const std::vector<std::string>& keys, const rocksdb::ReadOptions& options) const {
  const std::vector<rocksdb::Slice> slices(keys.begin(), keys.end());
  std::vector<rocksdb::PinnableSlice> values(keys.size());
  std::vector<rocksdb::Status> statuses(keys.size());
  db_->MultiGet(options, column(from), keys.size(), slices.data(), values.data(), statuses.data());
  std::vector<std::optional<std::string>> found(keys.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    if (statuses[i].ok()) {
      found[i].emplace(values[i].data(), values[i].size());
    } else if (!statuses[i].IsNotFound()) {
      return failed(statuses[i]);
    }
  }
  return found;
}

Status Database::write(rocksdb::WriteBatch& batch, Durability durability) {
  rocksdb::WriteOptions options;
  options.sync = durability == Durability::synced;
  options.disableWAL = durability == Durability::lazy;
  const auto status = db_->Write(options, &batch);
  if (!status.ok()) {
    return failed(status);
  }
  return {};
}

std::unexpected<Error> Database::failed(const rocksdb::Status& status) const {
  if (status.IsCorruption()) {
    return damaged(status.ToString());
  }
  if (status.IsNoSpace()) {
    return fail(ErrorCode::io, "store {}: the disk is full; make room and restart: {}", path_,
                status.ToString());
  }
  ErrorCode code = ErrorCode::internal;
  if (status.IsIOError()) {
    code = ErrorCode::io;
  } else if (status.IsBusy() || status.IsTimedOut() || status.IsTryAgain()) {
    code = ErrorCode::busy;
  } else if (status.IsNotSupported()) {
    code = ErrorCode::unsupported;
  }
  return fail(code, "store {}: {}", path_, status.ToString());
}

std::unexpected<Error> Database::damaged(std::string_view what) const {
  return fail(ErrorCode::corruption, "store {}: {}; {}", path_, what, kDamageAdvice);
}

}  // namespace merlon::store
