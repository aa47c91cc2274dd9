// SPDX-License-Identifier: Apache-2.0
// A zone in memory, ready to answer. Per name there is one record that has all that an answer
// takes, in cache lines of its own:
//
//   Node | Rrset x rrset_count | name | bodies
//
// Signatures are not in it: who wants them takes them from the segment, by the RRset's number.
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
#include "zones/name/nsec3.h"
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

  // Errors: corruption, of BodiesView::open().
  static Result<std::shared_ptr<const LoadedBodies>> make(Segment segment);
};

// What answers one type at one name.
struct Rrset {
  [[no_unique_address]] Body body;  // its tail has room for the type
  uint16_t type = 0;
};
static_assert(sizeof(Rrset) == 32 && alignof(Rrset) == 8);

// A folded wire name with the places of its labels, `label_count` of them, root excluded.
struct LabelledName {
  Bytes name;
  const uint8_t* label_offsets = nullptr;
  size_t label_count = 0;

  // REQUIRES: depth <= label_count.
  Bytes suffix(size_t depth) const {
    return name.subspan(depth == 0 ? name.size() - 1 : label_offsets[label_count - depth]);
  }
};

// What a name is in its zone, besides what it holds (RFC 1034 section 4.2.1, 4592, 6672).
namespace node_flag {
inline constexpr uint8_t cut = 1;  // NS below the apex, and no cut or DNAME above: a delegation
inline constexpr uint8_t occluded = 2;          // below a cut or a DNAME: glue, or nothing at all
inline constexpr uint8_t dname = 4;             // has a DNAME that redirects what is below it
inline constexpr uint8_t cname = 8;             // has a CNAME
inline constexpr uint8_t wildcard_parent = 16;  // the name `*` is directly below it
inline constexpr uint8_t apex = 32;
}  // namespace node_flag

// The head of a name's record. Lives in a LoadedZone only: what belongs to it lies behind it.
struct Node {
  uint32_t tier_mask = 0;  // 0: as the zone
  uint16_t rrset_count = 0;
  uint8_t name_size = 0;
  uint8_t flags = 0;         // node_flag
  uint32_t rrset_first = 0;  // in view().rrsets()
  uint32_t reserved = 0;

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
static_assert(sizeof(Node) == 16);

// A node and how many labels its name has.
struct Encloser {
  const Node* node = nullptr;
  size_t depth = 0;
};

class LoadedZone {
 public:
  // Errors: corruption.
  static Result<std::shared_ptr<const LoadedZone>> make(
      Segment segment, std::vector<std::shared_ptr<const LoadedBodies>> bodies,
      const IndexKey& key);

  const ZoneView& view() const { return view_; }
  size_t apex_size() const { return view_.info().apex_size; }
  const Body& negative() const { return negative_; }
  bool is_signed() const { return is_signed_; }
  // Whether a name that is not there is simply not there: no delegations, DNAMEs or wildcards.
  bool has_plain_misses() const { return has_plain_misses_; }
  const std::vector<std::shared_ptr<const LoadedBodies>>& bodies() const { return bodies_; }
  // The segment's size; memory_bytes() is what was built from it.
  uint64_t size_bytes() const { return segment_.bytes().size(); }
  Bytes segment_bytes() const { return segment_.bytes(); }
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
  const Node& apex_node() const { return *node_at(0); }
  size_t apex_depth() const { return apex_depth_; }
  // The name's nearest ancestor that exists (RFC 4592 section 3.3.1). As every ancestor of a name
  // is a node, its depth is searched by halving. REQUIRES: a name below the apex that is no node.
  Encloser closest_encloser(const IndexKey& key, const LabelledName& name) const;
  // The RRSIG records of an RRset of this node; size 0: there are none.
  Body signature_of(const Node& node, const Rrset& rrset) const {
    const auto place = static_cast<size_t>(&rrset - node.rrsets().data());
    const uint32_t body = view_.signature_of(node.rrset_first + place);
    return body == kNoBody ? Body{} : view_.own_bodies().body(body);
  }
  // The number in view().nodes() of the last name with an NSEC record that is this name or before
  // it; kNoBody: there is none.
  uint32_t nsec_at_or_before(Bytes folded_name) const;
  // The number in view().nsec3() of the record that matches the hash, or else covers it. REQUIRES:
  // the zone has NSEC3.
  uint32_t nsec3_at_or_before(const name::Sha1Digest& hash) const;
  const name::Nsec3Parameters& nsec3_parameters() const { return nsec3_parameters_; }
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
  // node_flag of every node, in order.
  std::vector<uint8_t> find_flags();
  Status find_denial();
  void write_record(const NodeEntry& node, const std::vector<uint8_t>& references, uint8_t flags,
                    uint8_t* out);
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
  bool is_signed_ = false;
  bool has_plain_misses_ = true;
  size_t apex_depth_ = 0;
  std::vector<uint32_t> nsec_nodes_;  // the numbers of those with NSEC, in order
  name::Nsec3Parameters nsec3_parameters_;
};

}  // namespace merlon::snapshot
