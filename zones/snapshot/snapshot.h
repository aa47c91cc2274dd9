// SPDX-License-Identifier: Apache-2.0
// A generation in memory, ready to answer: every zone with a hash index over its names, found by
// apex, and the access table. Immutable once loaded; readable from any thread.
//
// The indexes are built at load, keyed by a secret of this process: segments are public knowledge
// for their subjects, so a hash stored in them would let somebody prepare colliding names. What did
// not change is shared with the snapshot before (by content hash), so loading costs what changed.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "zones/base/error.h"
#include "zones/base/huge_allocator.h"
#include "zones/snapshot/access.h"
#include "zones/snapshot/bodies.h"
#include "zones/snapshot/directory.h"
#include "zones/snapshot/manifest.h"
#include "zones/snapshot/zone.h"

namespace merlon::snapshot {

// Keyed hash of folded wire names. One per process, made once at start.
struct IndexKey {
  std::array<uint8_t, 192> secret{};

  static IndexKey random();
  uint64_t hash(Bytes folded_name) const;
  bool operator==(const IndexKey&) const = default;
};

struct LoadedBodies {
  Segment segment;
  BodiesView view;
};

// What answers one type at one name.
struct Rrset {
  Body body;
  uint16_t type = 0;
};

class LoadedZone {
 public:
  // Errors: corruption.
  static Result<std::shared_ptr<const LoadedZone>> make(
      Segment segment, std::vector<std::shared_ptr<const LoadedBodies>> bodies,
      const IndexKey& key);

  struct Slot {
    uint32_t tag = 0;
    uint32_t node_plus_one = 0;  // 0: free
  };

  const ZoneView& view() const { return view_; }
  size_t apex_size() const { return view_.info().apex_size; }
  const Body& negative() const { return negative_; }
  const std::vector<std::shared_ptr<const LoadedBodies>>& bodies() const { return bodies_; }
  uint64_t size_bytes() const { return segment_.bytes().size(); }

  void prefetch(uint64_t hash) const { __builtin_prefetch(&slots_[hash & mask_]); }
  // The node of a folded name with this hash, or nullptr.
  const NodeEntry* find(uint64_t hash, Bytes folded_name) const {
    const uint32_t tag = static_cast<uint32_t>(hash >> 32);
    for (uint64_t at = hash & mask_;; at = (at + 1) & mask_) {
      const Slot slot = slots_[at];
      if (slot.node_plus_one == 0) {
        return nullptr;  // at least half of the slots are free, so the walk ends
      }
      if (slot.tag == tag) {
        const NodeEntry& node = nodes_[slot.node_plus_one - 1];
        if (node.name_size == folded_name.size() &&
            std::memcmp(names_ + node.name_offset, folded_name.data(), folded_name.size()) == 0) {
          return &node;
        }
      }
    }
  }
  std::span<const Rrset> rrsets_of(const NodeEntry& node) const {
    return {rrsets_.data() + node.rrset_first, node.rrset_count};
  }

 private:
  Segment segment_;
  ZoneView view_;
  std::vector<std::shared_ptr<const LoadedBodies>> bodies_;
  HugeVector<Slot> slots_;
  uint64_t mask_ = 0;
  const NodeEntry* nodes_ = nullptr;
  const uint8_t* names_ = nullptr;
  HugeVector<Rrset> rrsets_;  // as RRSETS, references resolved
  Body negative_;
};

struct LoadedAccess {
  Segment segment;
  AccessView view;
};

class Snapshot {
 public:
  // Loads a generation, sharing with `before` (may be null) what is the same. Errors name file,
  // section and offset; nothing is kept of a snapshot that fails.
  static Result<std::shared_ptr<const Snapshot>> load(const Directory& directory,
                                                      const Manifest& manifest, const IndexKey& key,
                                                      const Snapshot* before);
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

  // The zone with the longest apex that is a suffix of the name, or nullptr. `label_offsets` are
  // the places of the name's labels, `label_count` of them, root excluded.
  const LoadedZone* find_zone(Bytes folded_name, const uint8_t* label_offsets,
                              size_t label_count) const;
  // The same among the zones above this one, which holds the name.
  const LoadedZone* find_zone_above(const LoadedZone& zone, Bytes folded_name,
                                    const uint8_t* label_offsets, size_t label_count) const;
  // Whether a shared zone has zones of accounts below its apex: a name that it does not hold may
  // then be an account's.
  bool is_over_accounts(const LoadedZone& zone) const { return over_accounts_.contains(&zone); }

 private:
  struct ApexSlot {
    uint64_t hash = 0;
    const LoadedZone* zone = nullptr;
  };
  // Each returns the segment's size.
  Result<uint64_t> load_bodies(const Directory& directory, const ManifestSegment& listed,
                               const Snapshot* before);
  Result<uint64_t> load_zone(const Directory& directory, const ManifestSegment& listed,
                             const Snapshot* before);
  Result<uint64_t> load_access(const Directory& directory, const ManifestSegment& listed,
                               const Snapshot* before);
  Result<std::vector<std::shared_ptr<const LoadedBodies>>> find_dependencies(
      std::span<const ContentHash> hashes) const;
  Status index_apexes();
  const LoadedZone* find_apex(uint64_t hash, Bytes apex) const;
  const LoadedZone* find_zone_within(Bytes folded_name, const uint8_t* label_offsets,
                                     size_t label_count, size_t depth_max) const;

  uint64_t generation_ = 0;
  IndexKey key_;
  std::vector<std::shared_ptr<const LoadedZone>> zones_;
  std::shared_ptr<const LoadedAccess> access_;
  // By content hash, so that the next generation can share.
  std::unordered_map<ContentHash, std::shared_ptr<const LoadedBodies>, ContentHashHasher>
      bodies_by_hash_;
  std::unordered_map<ContentHash, std::shared_ptr<const LoadedZone>, ContentHashHasher>
      zones_by_hash_;
  ContentHash access_hash_;
  std::vector<ApexSlot> apexes_;
  uint64_t apex_mask_ = 0;
  std::array<bool, name::kLabelCountMax + 1> apex_depths_{};  // label counts in use
  size_t apex_depth_max_ = 0;
  std::unordered_set<const LoadedZone*> over_accounts_;
  uint64_t size_bytes_ = 0;
  uint64_t node_count_ = 0;
};

}  // namespace merlon::snapshot
