// SPDX-License-Identifier: Apache-2.0
// Zone segments (FORMAT.md, "Zone"): the names of one apex and, per name and type, which body
// answers.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "zones/base/error.h"
#include "zones/name/name.h"
#include "zones/snapshot/bodies.h"
#include "zones/snapshot/segment.h"

namespace merlon::snapshot {

struct ZoneInfo {
  uint32_t serial;
  uint32_t account;
  uint32_t tier_mask;
  uint32_t negative_body;
  uint32_t node_count;
  uint32_t reserved0;
  uint8_t apex_size;
  std::array<uint8_t, 255> apex;
  uint64_t reserved1;
};
static_assert(sizeof(ZoneInfo) == 288 && std::has_unique_object_representations_v<ZoneInfo>);

struct NodeEntry {
  uint32_t name_offset;
  uint32_t rrset_first;
  uint16_t rrset_count;
  uint8_t name_size;
  uint8_t reserved;
  uint32_t tier_mask;
};
static_assert(sizeof(NodeEntry) == 16 && std::has_unique_object_representations_v<NodeEntry>);

struct RrsetEntry {
  uint16_t type;
  uint16_t dependency;
  uint32_t body;
};
static_assert(sizeof(RrsetEntry) == 8 && std::has_unique_object_representations_v<RrsetEntry>);

class ZoneView {
 public:
  // Checks everything that can be checked without the bodies segments it depends on. Errors:
  // corruption with section and offset.
  static Result<ZoneView> open(const Segment& segment);
  // Checks the references into the dependencies, given in DEPENDENCIES order.
  Status check_references(const Segment& segment, std::span<const BodiesView* const> bodies) const;

  const ZoneInfo& info() const { return *info_; }
  Bytes apex() const { return {info_->apex.data(), info_->apex_size}; }
  std::span<const ContentHash> dependencies() const { return dependencies_; }
  std::span<const NodeEntry> nodes() const { return nodes_; }
  std::span<const RrsetEntry> rrsets() const { return rrsets_; }
  Bytes name_of(const NodeEntry& node) const {
    return {names_.data() + node.name_offset, node.name_size};
  }
  std::span<const RrsetEntry> rrsets_of(const NodeEntry& node) const {
    return rrsets_.subspan(node.rrset_first, node.rrset_count);
  }
  const BodiesView& own_bodies() const { return own_bodies_; }

 private:
  static Status check_nodes(const Segment& segment, const ZoneView& view);
  // "" or what is wrong with the name of node i, whose place is known to be good.
  std::string_view name_fault(size_t i) const;
  Status check_rrsets(const Segment& segment, size_t i) const;

  const ZoneInfo* info_ = nullptr;
  std::span<const ContentHash> dependencies_;
  Bytes names_;
  std::span<const NodeEntry> nodes_;
  std::span<const RrsetEntry> rrsets_;
  BodiesView own_bodies_;
};

struct ZoneSettings {
  name::Name apex;
  uint32_t serial = 0;
  uint32_t account = 0;    // 0: by tier_mask
  uint32_t tier_mask = 0;  // bit per tier
};

class ZoneBuilder {
 public:
  explicit ZoneBuilder(const ZoneSettings& settings);

  // The builder of the zone's own bodies (SOA, TXT, negative answers, small lists).
  BodiesBuilder& own() { return own_; }
  // The number to give add() for bodies of another segment; the same hash gives the same number.
  uint16_t depend_on(const ContentHash& bodies_segment);
  void set_negative_body(uint32_t own_body) { negative_body_ = own_body; }
  // tier_mask 0: as the zone. Errors: invalid_argument when the name is outside the apex.
  Status add_node(const name::Name& name, uint32_t tier_mask);
  // Adds the node when missing. Errors: invalid_argument, conflict (type given twice).
  Status add_rrset(const name::Name& name, uint16_t type, uint16_t dependency, uint32_t body);
  // The finished segment, verified by reading it back. Errors: internal when that fails.
  Result<std::vector<uint8_t>> finish();

 private:
  struct Node {
    uint32_t tier_mask = 0;
    std::map<uint16_t, RrsetEntry> rrsets;
  };
  Node& node(const name::Name& name);

  ZoneSettings settings_;
  BodiesBuilder own_;
  std::vector<ContentHash> dependencies_;
  std::map<name::Name, Node> nodes_;  // canonical order
  uint32_t negative_body_ = 0;
};

}  // namespace merlon::snapshot
