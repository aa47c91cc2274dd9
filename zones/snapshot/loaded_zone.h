// SPDX-License-Identifier: Apache-2.0
// A zone in memory, ready to answer. Per name there is one record that has all that an answer
// takes, in cache lines of its own:
//
//   Node | Rrset x rrset_count | name | bodies
//
// The bodies are in it when they are small and no other name's; else they stay in their segment. So
// a lookup touches the bucket of the name's hash, then the record, and each is known early enough
// to be fetched ahead of its use: prefetch(), candidate(), find() over a burst, in this order.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "zones/base/error.h"
#include "zones/base/huge_allocator.h"
#include "zones/base/prefetch.h"
#include "zones/name/fold.h"
#include "zones/name/hash.h"
#include "zones/snapshot/bodies.h"
#include "zones/snapshot/name_index.h"
#include "zones/snapshot/segment.h"
#include "zones/snapshot/zone.h"

namespace merlon::snapshot {

// Keyed hash of folded wire names. One per process, made once at start.
struct IndexKey : name::HashKey {
  static IndexKey random();
  uint64_t hash(Bytes folded_name) const { return name::hash_folded(*this, folded_name); }
};

struct LoadedBodies {
  Segment segment;
  BodiesView view;
};

// What answers one type at one name.
struct Rrset {
  [[no_unique_address]] Body body;  // its tail has room for the type
  uint16_t type = 0;
};
static_assert(sizeof(Rrset) == 32 && alignof(Rrset) == 8);

// The head of a name's record. Lives in a LoadedZone only: what belongs to it lies behind it.
struct Node {
  uint32_t tier_mask = 0;  // 0: as the zone
  uint16_t rrset_count = 0;
  uint8_t name_size = 0;
  uint8_t reserved = 0;

  Node() = default;
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  std::span<const Rrset> rrsets() const {
    return {reinterpret_cast<const Rrset*>(this + 1), rrset_count};
  }
  Bytes name() const {
    const auto* behind = reinterpret_cast<const uint8_t*>(this + 1);
    return {behind + rrset_count * sizeof(Rrset), name_size};
  }
};
static_assert(sizeof(Node) == 8);

class LoadedZone {
 public:
  // Errors: corruption.
  static Result<std::shared_ptr<const LoadedZone>> make(
      Segment segment, std::vector<std::shared_ptr<const LoadedBodies>> bodies,
      const IndexKey& key);

  const ZoneView& view() const { return view_; }
  size_t apex_size() const { return view_.info().apex_size; }
  const Body& negative() const { return negative_; }
  const std::vector<std::shared_ptr<const LoadedBodies>>& bodies() const { return bodies_; }
  // The segment's size; memory_bytes() is what was built from it.
  uint64_t size_bytes() const { return segment_.bytes().size(); }
  uint64_t memory_bytes() const {
    return index_.size_bytes() + records_.size() * sizeof(RecordLine);
  }

  void prefetch(uint64_t hash) const { index_.prefetch(hash); }
  // The record that a name with this hash most likely has, on its way into the cache; nullptr when
  // there is none, or it is not where most are.
  const Node* candidate(uint64_t hash) const {
    const uint32_t line = index_.candidate(hash);
    if (line == NameIndex::kNone) {
      return nullptr;
    }
    prefetch_line(&lines_[line]);
    prefetch_line(&lines_[line] + 1);  // the second line of most records
    return node_at(line);
  }
  // The node of a folded name with this hash, or nullptr.
  const Node* find(uint64_t hash, Bytes folded_name) const {
    const uint32_t line =
        index_.find(hash, [&](uint32_t number) { return has_name(*node_at(number), folded_name); });
    return line == NameIndex::kNone ? nullptr : node_at(line);
  }
  static bool has_name(const Node& node, Bytes folded_name) {
    return node.name_size == folded_name.size() &&
           name::same_bytes(node.name().data(), folded_name.data(), folded_name.size());
  }
  std::span<const Rrset> rrsets_of(const Node& node) const { return node.rrsets(); }
  // The body that an entry of view() refers to.
  Body body_of(const RrsetEntry& rrset) const {
    return rrset.dependency == 0 ? view_.own_bodies().body(rrset.body)
                                 : bodies_[rrset.dependency - 1u]->view.body(rrset.body);
  }

 private:
  struct alignas(64) RecordLine {
    std::array<uint8_t, 64> bytes;
  };

  const Node* node_at(uint32_t line) const {
    return reinterpret_cast<const Node*>(lines_[line].bytes.data());
  }
  // How often names refer to each body of the zone's own; 2 stands for more.
  std::vector<uint8_t> count_references() const;
  bool is_inline(const RrsetEntry& rrset, const std::vector<uint8_t>& references) const;
  size_t record_lines(const NodeEntry& node, const std::vector<uint8_t>& references) const;
  void write_record(const NodeEntry& node, const std::vector<uint8_t>& references, uint8_t* out);
  Status write_records();
  void index_names(const IndexKey& key);

  NameIndex index_;
  const RecordLine* lines_ = nullptr;
  Segment segment_;
  ZoneView view_;
  std::vector<std::shared_ptr<const LoadedBodies>> bodies_;
  HugeVector<RecordLine> records_;
  std::vector<uint32_t> record_at_;  // line of each node's record; only while it is built
  Body negative_;
};

}  // namespace merlon::snapshot
