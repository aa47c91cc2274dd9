// SPDX-License-Identifier: Apache-2.0
// Builds a zone segment. Names and RRsets may be added in any order; arrange() puts them in
// canonical order with the empty non-terminals between them (RFC 4592 section 2.2.2), and then a
// signer can walk the zone and add to it; finish() makes the bytes. Names are kept packed, so that
// a zone of a million names takes about 100 bytes each besides its bodies. Not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "zones/base/error.h"
#include "zones/name/name.h"
#include "zones/snapshot/bodies.h"
#include "zones/snapshot/zone.h"

namespace merlon::snapshot {

struct ZoneSettings {
  name::Name apex;
  uint32_t serial = 0;
  uint32_t account = 0;    // 0: by tier_mask
  uint32_t tier_mask = 0;  // bit per tier
};

class ZoneBuilder {
 public:
  struct Rrset {
    uint16_t type = 0;
    uint16_t dependency = 0;  // 0: own(); k: what the k-th depend_on() named
    uint32_t body = 0;
    uint32_t signature = kNoBody;  // in own(): the RRSIG records that cover it
  };

  explicit ZoneBuilder(const ZoneSettings& settings);

  const ZoneSettings& settings() const { return settings_; }
  // The builder of the zone's own bodies (SOA, TXT, negative answers, signatures, small lists).
  BodiesBuilder& own() { return own_; }
  const BodiesBuilder& own() const { return own_; }
  // The number to give add_rrset() for bodies of another segment; the same hash gives the same
  // number. Who signs reads the bodies through `view`, which must then outlive the builder.
  uint16_t depend_on(const ContentHash& bodies_segment, const BodiesView* view = nullptr);
  // Authority records only: what answers NODATA and NXDOMAIN when the client wants no DNSSEC.
  void set_negative_body(uint32_t own_body) { negative_body_ = own_body; }

  // tier_mask 0: as the zone. Errors: invalid_argument when the name is outside the apex.
  Status add_node(const name::Name& name, uint32_t tier_mask);
  // Adds the node when missing. Errors: invalid_argument. A type given twice is found by arrange().
  Status add_rrset(const name::Name& name, uint16_t type, uint16_t dependency, uint32_t body);
  // RRSIG records that came with the zone (it was signed elsewhere): the own body with those that
  // cover `type`. Errors: invalid_argument.
  Status add_signature(const name::Name& name, uint16_t type, uint32_t own_body);

  // Puts nodes into canonical order. What is added by name later is out of order until it is called
  // again. Errors: conflict (a type twice at a name, a signature twice), invalid_argument (a
  // signature of what is not there).
  Status arrange();

  // The zone as arranged; node 0 is the apex. REQUIRES: arranged, and node < node_count().
  size_t node_count() const { return nodes_.size(); }
  Bytes name_of(size_t node) const;  // folded wire form
  uint32_t tier_mask_of(size_t node) const { return nodes_[node].tier_mask; }
  std::span<const Rrset> rrsets_of(size_t node) const { return nodes_[node].rrsets; }  // by type
  const Rrset* find(size_t node, uint16_t type) const;
  std::optional<size_t> find_node(Bytes folded_name) const;
  // The records of an RRset, owners 0xC00C. REQUIRES: its segment was named with a view.
  Bytes body_of(const Rrset& rrset) const;

  // What a signer adds. REQUIRES: arranged; `body`s are in own().
  void set_denial(Denial denial) { denial_ = denial; }
  void set_signature(size_t node, uint16_t type, uint32_t body);  // REQUIRES: has that type
  void add_rrset_at(size_t node, uint16_t type, uint32_t body);   // REQUIRES: has not that type
  void add_nsec3(const Nsec3Entry& entry) { nsec3_.push_back(entry); }
  std::span<const Nsec3Entry> nsec3() const { return nsec3_; }
  // For an RRset that was added with kNoBody, because its data depends on all others.
  void set_body(size_t node, uint16_t type, uint32_t body);  // REQUIRES: has that type

  // The finished segment, verified by reading it back; arranges first when need be. Errors: those
  // of arrange(); internal when it does not read back.
  Result<std::vector<uint8_t>> finish();

 private:
  struct Node {
    uint32_t name_offset = 0;
    uint8_t name_size = 0;
    uint32_t tier_mask = 0;
    std::vector<Rrset> rrsets;
  };
  struct GivenSignature {
    name::Name name;
    uint16_t type;
    uint32_t body;
  };

  Node& node_for(const name::Name& name);
  void append_node(Bytes folded_name);
  Status merge_equal_names();
  Status attach_signatures();
  void add_empty_non_terminals();

  ZoneSettings settings_;
  BodiesBuilder own_;
  std::vector<ContentHash> dependencies_;
  std::vector<const BodiesView*> views_;  // of the dependencies; nullptr: not given
  std::unordered_map<ContentHash, uint16_t, ContentHashHasher> dependency_numbers_;
  std::vector<uint8_t> names_;
  std::vector<Node> nodes_;
  std::vector<GivenSignature> given_signatures_;
  std::vector<Nsec3Entry> nsec3_;
  Denial denial_ = Denial::none;
  uint32_t negative_body_ = 0;
  bool arranged_ = false;
};

}  // namespace merlon::snapshot
