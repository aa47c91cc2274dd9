// SPDX-License-Identifier: Apache-2.0
// A generation in memory, ready to answer: every zone with an index over its names (loaded_zone.h),
// found by apex (apex_table.h), and the access table. Immutable once loaded; readable from any
// thread.
//
// The indexes are built at load, keyed by a secret of this process: segments are public knowledge
// for their subjects, so a hash stored in them would let somebody prepare colliding names. What did
// not change is shared with the snapshot before (by content hash), so loading costs what changed.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "zones/base/error.h"
#include "zones/snapshot/access.h"
#include "zones/snapshot/apex_table.h"
#include "zones/snapshot/directory.h"
#include "zones/snapshot/loaded_zone.h"
#include "zones/snapshot/manifest.h"

namespace merlon::snapshot {

struct LoadedAccess {
  Segment segment;
  AccessView view;
};

using BodiesByHash =
    std::unordered_map<ContentHash, std::shared_ptr<const LoadedBodies>, ContentHashHasher>;

class Snapshot {
 public:
  // Loads a generation, sharing with `before` (may be null) what is the same. Errors name file,
  // section and offset; nothing is kept of a snapshot that fails.
  // Bodies are read and checked by options.threads side by side: one where packets are answered
  // beside it.
  struct LoadOptions {
    unsigned threads = 1;
    // Bodies that the caller has made, checked and written itself, by the hash of their bytes: they
    // are taken as they are instead of read from disk.
    const BodiesByHash* made = nullptr;
  };
  static Result<std::shared_ptr<const Snapshot>> load(const Directory& directory,
                                                      const Manifest& manifest, const IndexKey& key,
                                                      const Snapshot* before,
                                                      const LoadOptions& options);
  static Result<std::shared_ptr<const Snapshot>> load(const Directory& directory,
                                                      const Manifest& manifest, const IndexKey& key,
                                                      const Snapshot* before) {
    return load(directory, manifest, key, before, LoadOptions{});
  }
  // From segments in memory: tests, benchmarks, fuzzing.
  static Result<std::shared_ptr<const Snapshot>> assemble(
      uint64_t generation, std::vector<std::shared_ptr<const LoadedZone>> zones,
      std::shared_ptr<const LoadedAccess> access, const IndexKey& key);

  uint64_t generation() const { return generation_; }
  const IndexKey& key() const { return key_; }
  const std::vector<std::shared_ptr<const LoadedZone>>& zones() const { return zones_; }
  const std::shared_ptr<const LoadedAccess>& access() const { return access_; }
  const Subject& subject(uint32_t index) const { return access_->view.subjects()[index]; }
  uint64_t size_bytes() const { return size_bytes_; }
  uint64_t node_count() const { return node_count_; }
  // Segments and what was built from them, and the addresses in it: each body counts once, however
  // many names share it.
  uint64_t resident_bytes() const { return resident_bytes_; }
  uint64_t address_count() const { return address_count_; }

  // The zone with the longest apex that is a suffix of the name, or nullptr. `label_offsets` are
  // the places of the name's labels, `label_count` of them, root excluded.
  const LoadedZone* find_zone(Bytes folded_name, const uint8_t* label_offsets,
                              size_t label_count) const {
    return apexes_.find({folded_name, label_offsets, label_count}, label_count);
  }
  // The same among the zones above this one, which holds the name.
  const LoadedZone* find_zone_above(const LoadedZone& zone, Bytes folded_name,
                                    const uint8_t* label_offsets, size_t label_count) const;
  // Whether a shared zone has zones of accounts below its apex: a name that it does not hold may
  // then be an account's.
  bool is_over_accounts(const LoadedZone& zone) const {
    return std::ranges::binary_search(over_accounts_, &zone, std::less<>());
  }

 private:
  void reserve(const Manifest& manifest);
  void adopt(const Manifest& manifest, const BodiesByHash& made);
  // Each returns the segment's size.
  Result<uint64_t> load_bodies(const Directory& directory, const ManifestSegment& listed,
                               const Snapshot* before);
  // Those that `before` has not; load_bodies() finds them.
  Status read_ahead(const Directory& directory, const Manifest& manifest, const Snapshot* before,
                    unsigned threads);
  Result<uint64_t> load_zone(const Directory& directory, const ManifestSegment& listed,
                             const Snapshot* before);
  Result<uint64_t> load_access(const Directory& directory, const ManifestSegment& listed,
                               const Snapshot* before);
  Result<std::vector<std::shared_ptr<const LoadedBodies>>> find_dependencies(
      std::span<const ContentHash> hashes) const;
  // The same question without the answer.
  Status check_dependencies(std::span<const ContentHash> hashes) const;
  Status index_apexes();
  void count_memory();

  uint64_t generation_ = 0;
  IndexKey key_;
  std::vector<std::shared_ptr<const LoadedZone>> zones_;
  std::shared_ptr<const LoadedAccess> access_;
  // By content hash, so that the next generation can share.
  BodiesByHash bodies_by_hash_;
  std::unordered_map<ContentHash, std::shared_ptr<const LoadedZone>, ContentHashHasher>
      zones_by_hash_;
  ContentHash access_hash_;
  ApexTable apexes_;
  std::vector<const LoadedZone*> over_accounts_;  // sorted; few
  uint64_t size_bytes_ = 0;
  uint64_t node_count_ = 0;
  uint64_t resident_bytes_ = 0;
  uint64_t address_count_ = 0;
};

}  // namespace merlon::snapshot
