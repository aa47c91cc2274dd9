// SPDX-License-Identifier: Apache-2.0
// Zone segments (FORMAT.md, "Zone"): the names of one apex and, per name and type, which body
// answers.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "zones/base/error.h"
#include "zones/name/name.h"
#include "zones/snapshot/bodies.h"
#include "zones/snapshot/segment.h"

namespace merlon::snapshot {

// How a zone proves that something does not exist (RFC 4034, 5155). Anything but `none`: it is
// signed.
enum class Denial : uint8_t { none = 0, nsec = 1, nsec3 = 2 };

// "No body", where a body is optional.
inline constexpr uint32_t kNoBody = UINT32_MAX;

struct ZoneInfo {
  uint32_t serial;
  uint32_t account;
  uint32_t tier_mask;
  uint32_t negative_body;
  uint32_t node_count;
  Denial denial;
  std::array<uint8_t, 3> reserved0;
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

inline constexpr size_t kNsec3HashSize = 20;  // SHA-1, the only one there is (RFC 5155 section 11)

// One NSEC3 record. Its owner is the base32hex of the hash (RFC 4648 section 7) below the apex;
// such names are not nodes. Both bodies have the owner 0xC00C.
struct Nsec3Entry {
  std::array<uint8_t, kNsec3HashSize> hash;
  uint32_t body;       // the NSEC3 record
  uint32_t signature;  // its RRSIG records
  uint32_t reserved;
};
static_assert(sizeof(Nsec3Entry) == 32);

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
  bool is_signed() const { return info_->denial != Denial::none; }
  // The number in own_bodies() of the RRSIG records that cover an RRset, given by its place in
  // rrsets(); kNoBody: it is not signed.
  uint32_t signature_of(size_t rrset) const {
    return signatures_.empty() ? kNoBody : signatures_[rrset];
  }
  // Ascending by hash; empty unless denial is nsec3.
  std::span<const Nsec3Entry> nsec3() const { return nsec3_; }

 private:
  static Status check_nodes(const Segment& segment, const ZoneView& view);
  // "" or what is wrong with the name of node i, whose place is known to be good.
  std::string_view name_fault(size_t i) const;
  Status check_rrsets(const Segment& segment, size_t i) const;
  Status check_denial(const Segment& segment) const;

  const ZoneInfo* info_ = nullptr;
  std::span<const ContentHash> dependencies_;
  Bytes names_;
  std::span<const NodeEntry> nodes_;
  std::span<const RrsetEntry> rrsets_;
  std::span<const uint32_t> signatures_;
  std::span<const Nsec3Entry> nsec3_;
  BodiesView own_bodies_;
};

}  // namespace merlon::snapshot
