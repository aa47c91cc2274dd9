// SPDX-License-Identifier: Apache-2.0
// Value: RRSIG data, then 8 bytes of SHA-256 over key and data. RocksDB has checksums of its own,
// but a wrong signature is worse than one made anew, and 8 bytes are cheap.
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <filesystem>
#include <mutex>

#include "controlplane/dnssec/cache.h"
#include "controlplane/dnssec/sign.h"
#include "zones/base/error.h"
#include "zones/base/file.h"

namespace merlon::dnssec {
namespace {

constexpr size_t kCheckSize = 8;
constexpr size_t kHeadMin = 19;
constexpr size_t kBlockCacheBytes = 32 << 20;
constexpr size_t kWriteBufferBytes = 16 << 20;
constexpr double kBloomBitsPerKey = 10;
constexpr size_t kDeletesPerBatch = 10'000;

rocksdb::Options options_of() {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(kBlockCacheBytes);
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(kBloomBitsPerKey));
  table.format_version = 5;
  rocksdb::Options options;
  options.create_if_missing = true;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.write_buffer_size = kWriteBufferBytes;
  options.max_background_jobs = 2;
  options.max_open_files = 128;
  options.compression = rocksdb::kNoCompression;  // signatures and hashes do not compress
  options.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  options.keep_log_file_num = 2;
  options.max_log_file_size = 1 << 20;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  return options;
}

rocksdb::Slice slice(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Bytes check_of(const Sha256& digest) {
  return Bytes(digest).first(kCheckSize);
}

class RocksCache : public SignatureCache {
 public:
  explicit RocksCache(std::unique_ptr<rocksdb::DB> db, std::string trouble)
      : db_(std::move(db)), trouble_(std::move(trouble)) {}
  ~RocksCache() override { db_->Close().PermitUncheckedError(); }

  std::vector<std::vector<uint8_t>> get(std::span<const Sha256> keys) override {
    std::vector<rocksdb::Slice> slices;
    slices.reserve(keys.size());
    for (const Sha256& key : keys) {
      slices.push_back(slice(key));
    }
    std::vector<rocksdb::PinnableSlice> values(keys.size());
    std::vector<rocksdb::Status> statuses(keys.size());
    db_->MultiGet({}, db_->DefaultColumnFamily(), keys.size(), slices.data(), values.data(),
                  statuses.data());
    std::vector<std::vector<uint8_t>> found(keys.size());
    for (size_t i = 0; i < keys.size(); ++i) {
      if (!statuses[i].ok()) {
        note(statuses[i]);
        continue;
      }
      const Bytes value = as_bytes(std::string_view(values[i].data(), values[i].size()));
      if (value.size() < kHeadMin + kCheckSize) {
        continue;
      }
      const Bytes rrsig = value.first(value.size() - kCheckSize);
      if (std::ranges::equal(value.last(kCheckSize), check_of(sha256({keys[i], rrsig})))) {
        found[i].assign(rrsig.begin(), rrsig.end());
      }
    }
    return found;
  }

  void put(std::span<const CachedSignature> signatures) override {
    rocksdb::WriteBatch batch;
    for (const CachedSignature& signature : signatures) {
      std::vector<uint8_t> value = signature.rrsig;
      const Sha256 digest = sha256({signature.key, signature.rrsig});
      value.insert(value.end(), digest.begin(), digest.begin() + kCheckSize);
      batch.Put(slice(signature.key), slice(value));
    }
    note(db_->Write({}, &batch));  // not synced: what a crash loses is signed anew
  }

  void forget_expired(int64_t now) override {
    const std::unique_ptr<rocksdb::Iterator> at(db_->NewIterator({}));
    rocksdb::WriteBatch batch;
    for (at->SeekToFirst(); at->Valid(); at->Next()) {
      const Bytes value = as_bytes(std::string_view(at->value().data(), at->value().size()));
      const bool keep =
          value.size() >= kHeadMin + kCheckSize &&
          static_cast<int32_t>(validity_of(value).expiration - static_cast<uint32_t>(now)) >= 0;
      if (!keep) {
        batch.Delete(at->key());
      }
      if (batch.Count() >= static_cast<int>(kDeletesPerBatch)) {
        note(db_->Write({}, &batch));
        batch.Clear();
      }
    }
    note(at->status());
    note(db_->Write({}, &batch));
  }

  std::string trouble() const override {
    const std::scoped_lock lock(mutex_);
    return trouble_;
  }

 private:
  void note(const rocksdb::Status& status) {
    if (!status.ok() && !status.IsNotFound()) {
      const std::scoped_lock lock(mutex_);
      trouble_ = status.ToString();
    }
  }

  std::unique_ptr<rocksdb::DB> db_;
  mutable std::mutex mutex_;
  std::string trouble_;
};

// Lives with the process because the database could not be opened.
class SubstituteCache : public SignatureCache {
 public:
  explicit SubstituteCache(std::string trouble) : trouble_(std::move(trouble)) {}
  std::vector<std::vector<uint8_t>> get(std::span<const Sha256> keys) override {
    return memory_->get(keys);
  }
  void put(std::span<const CachedSignature> signatures) override { memory_->put(signatures); }
  void forget_expired(int64_t now) override { memory_->forget_expired(now); }
  std::string trouble() const override { return trouble_; }

 private:
  std::unique_ptr<SignatureCache> memory_ = memory_cache();
  std::string trouble_;
};

}  // namespace

std::unique_ptr<SignatureCache> open_cache(const std::string& path) {
  const auto parent = std::filesystem::path(path).parent_path();
  if (auto made = parent.empty() ? Status{} : make_directories(parent.string()); !made) {
    return std::make_unique<SubstituteCache>(made.error().message);
  }
  rocksdb::DB* db = nullptr;
  rocksdb::Status opened = rocksdb::DB::Open(options_of(), path, &db);
  std::string trouble;
  const bool locked = opened.ToString().find("lock") != std::string::npos;
  if (!opened.ok() && !locked) {
    trouble = fmt::format("signature cache {}: {}; made anew", path, opened.ToString());
    std::error_code error;
    std::filesystem::remove_all(path, error);
    opened = rocksdb::DB::Open(options_of(), path, &db);
  }
  if (!opened.ok()) {
    return std::make_unique<SubstituteCache>(fmt::format(
        "signature cache {}: {}; signatures are kept in memory only", path, opened.ToString()));
  }
  return std::make_unique<RocksCache>(std::unique_ptr<rocksdb::DB>(db), trouble);
}

}  // namespace merlon::dnssec
