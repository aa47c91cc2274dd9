// SPDX-License-Identifier: Apache-2.0
#include "zones/snapshot/zone.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "zones/base/assert.h"
#include "zones/wire/wire.h"

namespace merlon::snapshot {
namespace {

bool is_folded(Bytes name) {
  return std::none_of(name.begin(), name.end(), [](uint8_t c) { return c >= 'A' && c <= 'Z'; });
}

// Label boundaries matter: "xa.b" does not end with the name "a.b".
bool ends_with_name(Bytes name, Bytes suffix) {
  size_t at = 0;
  while (at < name.size()) {
    if (name.size() - at == suffix.size()) {
      return std::equal(suffix.begin(), suffix.end(),
                        name.begin() + static_cast<std::ptrdiff_t>(at));
    }
    at += size_t{name[at]} + 1;
  }
  return false;
}

Status check_info(const Segment& segment, const ZoneInfo& info, uint64_t node_count) {
  const auto apex = name::Name::from_wire({info.apex.data(), info.apex_size});
  if (!apex || !is_folded(apex->wire())) {
    return damaged(segment, SectionKind::zone_info, 24, "apex is not a folded name");
  }
  const auto tail = info.apex.begin() + info.apex_size;
  if (std::any_of(tail, info.apex.end(), [](uint8_t byte) { return byte != 0; }) ||
      std::ranges::any_of(info.reserved0, [](uint8_t byte) { return byte != 0; }) ||
      info.reserved1 != 0) {
    return damaged(segment, SectionKind::zone_info, 0, "reserved bytes are not zero");
  }
  if (info.node_count != node_count || node_count == 0) {
    return damaged(segment, SectionKind::zone_info, 16, "says {} nodes, there are {}",
                   info.node_count, node_count);
  }
  if (info.denial > Denial::nsec3) {
    return damaged(segment, SectionKind::zone_info, 20, "unknown kind of denial {}",
                   static_cast<unsigned>(info.denial));
  }
  return {};
}

// An optional section.
template <class T>
Result<std::span<const T>> table_or_empty(const Segment& segment, SectionKind kind) {
  return segment.has(kind) ? segment.table<T>(kind) : std::span<const T>();
}

}  // namespace

Result<ZoneView> ZoneView::open(const Segment& segment) {
  auto bodies = BodiesView::open(segment);
  if (!bodies) {
    return std::unexpected(bodies.error());
  }
  const auto info = segment.table<ZoneInfo>(SectionKind::zone_info);
  const auto dependencies = segment.table<ContentHash>(SectionKind::dependencies);
  const auto names = segment.table<uint8_t>(SectionKind::names);
  const auto nodes = segment.table<NodeEntry>(SectionKind::nodes);
  const auto rrsets = segment.table<RrsetEntry>(SectionKind::rrsets);
  const auto signatures = table_or_empty<uint32_t>(segment, SectionKind::signatures);
  const auto nsec3 = table_or_empty<Nsec3Entry>(segment, SectionKind::nsec3);
  for (const Error* error :
       {info ? nullptr : &info.error(), dependencies ? nullptr : &dependencies.error(),
        names ? nullptr : &names.error(), nodes ? nullptr : &nodes.error(),
        rrsets ? nullptr : &rrsets.error(), signatures ? nullptr : &signatures.error(),
        nsec3 ? nullptr : &nsec3.error()}) {
    if (error != nullptr) {
      return std::unexpected(*error);
    }
  }
  if (info->size() != 1) {
    return damaged(segment, SectionKind::zone_info, 0, "holds {} zones", info->size());
  }
  if (auto good = check_info(segment, (*info)[0], nodes->size()); !good) {
    return std::unexpected(good.error());
  }
  if (dependencies->size() > UINT16_MAX) {
    return damaged(segment, SectionKind::dependencies, 0, "{} dependencies", dependencies->size());
  }
  ZoneView view;
  view.info_ = info->data();
  view.dependencies_ = *dependencies;
  view.names_ = *names;
  view.nodes_ = *nodes;
  view.rrsets_ = *rrsets;
  view.signatures_ = *signatures;
  view.nsec3_ = *nsec3;
  view.own_bodies_ = *bodies;
  if (auto good = check_nodes(segment, view); !good) {
    return std::unexpected(good.error());
  }
  const uint32_t negative = view.info().negative_body;
  if (negative >= bodies->size() || bodies->body(negative).answer_count != 0 ||
      bodies->body(negative).authority_count == 0 || bodies->body(negative).additional_count != 0) {
    return damaged(segment, SectionKind::zone_info, 12, "body {} is no negative answer", negative);
  }
  if (auto good = view.check_denial(segment); !good) {
    return std::unexpected(good.error());
  }
  return view;
}

Status ZoneView::check_nodes(const Segment& segment, const ZoneView& view) {
  uint64_t name_end = 0;
  uint64_t rrset_end = 0;
  for (size_t i = 0; i < view.nodes_.size(); ++i) {
    const NodeEntry& node = view.nodes_[i];
    const uint64_t at = i * sizeof(NodeEntry);
    if (node.name_offset != name_end || node.name_size > view.names_.size() - name_end ||
        node.reserved != 0) {
      return damaged(segment, SectionKind::nodes, at, "name of node {} is out of place", i);
    }
    if (const auto fault = view.name_fault(i); !fault.empty()) {
      return damaged(segment, SectionKind::names, name_end, "node {} {}", i, fault);
    }
    if (node.rrset_first != rrset_end || node.rrset_count > view.rrsets_.size() - rrset_end) {
      return damaged(segment, SectionKind::nodes, at, "RRsets of node {} are out of place", i);
    }
    if (auto good = view.check_rrsets(segment, i); !good) {
      return good;
    }
    name_end += node.name_size;
    rrset_end += node.rrset_count;
  }
  if (name_end != view.names_.size()) {
    return damaged(segment, SectionKind::names, name_end, "bytes that no node owns");
  }
  if (rrset_end != view.rrsets_.size()) {
    return damaged(segment, SectionKind::rrsets, rrset_end * sizeof(RrsetEntry),
                   "RRsets that no node owns");
  }
  return {};
}

std::string_view ZoneView::name_fault(size_t i) const {
  const Bytes name = name_of(nodes_[i]);
  if (!name::Name::from_wire(name) || !is_folded(name)) {
    return "has no folded name";
  }
  if (i == 0) {
    return std::ranges::equal(name, apex()) ? "" : "is not the apex";
  }
  if (name.size() <= apex().size() || !ends_with_name(name, apex())) {
    return "is outside the zone";
  }
  const Bytes before = name_of(nodes_[i - 1]);
  if (name::compare_canonical(before, name) >= 0) {
    return "is not in canonical order";
  }
  // In canonical order an existing parent is an ancestor of, or equal to, the node before.
  if (!ends_with_name(before, name.subspan(size_t{name[0]} + 1))) {
    return "has no parent";
  }
  return "";
}

Status ZoneView::check_rrsets(const Segment& segment, size_t i) const {
  int type_before = -1;
  uint64_t at = uint64_t{nodes_[i].rrset_first} * sizeof(RrsetEntry);
  for (const RrsetEntry& rrset : rrsets_of(nodes_[i])) {
    if (rrset.type <= type_before || !wire::is_data_type(rrset.type) ||
        rrset.type == wire::type::rrsig || rrset.dependency > dependencies_.size()) {
      return damaged(segment, SectionKind::rrsets, at, "node {} has a bad RRset of type {}", i,
                     rrset.type);
    }
    if (rrset.dependency == 0 &&
        (rrset.body >= own_bodies_.size() || own_bodies_.answer_type(rrset.body) != rrset.type)) {
      return damaged(segment, SectionKind::rrsets, at, "body {} does not answer type {}",
                     rrset.body, rrset.type);
    }
    type_before = rrset.type;
    at += sizeof(RrsetEntry);
  }
  return {};
}

Status ZoneView::check_denial(const Segment& segment) const {
  const auto is_signature = [this](uint32_t body) {
    return body < own_bodies_.size() && own_bodies_.answer_type(body) == wire::type::rrsig;
  };
  if (signatures_.size() != (is_signed() ? rrsets_.size() : 0)) {
    return damaged(segment, SectionKind::zone_info, 20, "{} signatures for {} RRsets",
                   signatures_.size(), rrsets_.size());
  }
  for (size_t i = 0; i < signatures_.size(); ++i) {
    if (signatures_[i] != kNoBody && !is_signature(signatures_[i])) {
      return damaged(segment, SectionKind::signatures, i * sizeof(uint32_t),
                     "body {} holds no signatures", signatures_[i]);
    }
  }
  if (nsec3_.empty() != (info_->denial != Denial::nsec3)) {
    return damaged(segment, SectionKind::zone_info, 20, "{} NSEC3 records", nsec3_.size());
  }
  for (size_t i = 0; i < nsec3_.size(); ++i) {
    const Nsec3Entry& entry = nsec3_[i];
    const uint64_t at = i * sizeof(Nsec3Entry);
    if (i > 0 && nsec3_[i - 1].hash >= entry.hash) {
      return damaged(segment, SectionKind::nsec3, at, "entry {} is not in order", i);
    }
    if (entry.body >= own_bodies_.size() ||
        own_bodies_.answer_type(entry.body) != wire::type::nsec3 ||
        !is_signature(entry.signature) || entry.reserved != 0) {
      return damaged(segment, SectionKind::nsec3, at, "entry {} has no signed NSEC3 record", i);
    }
  }
  return {};
}

Status ZoneView::check_references(const Segment& segment,
                                  std::span<const BodiesView* const> bodies) const {
  MERLON_ASSERT(bodies.size() == dependencies_.size());
  for (size_t i = 0; i < rrsets_.size(); ++i) {
    const RrsetEntry& rrset = rrsets_[i];
    if (rrset.dependency == 0) {
      continue;
    }
    const BodiesView& target = *bodies[rrset.dependency - 1u];
    if (rrset.body >= target.size() || target.answer_type(rrset.body) != rrset.type) {
      return damaged(segment, SectionKind::rrsets, i * sizeof(RrsetEntry),
                     "body {} of segment {} does not answer type {}", rrset.body,
                     dependencies_[rrset.dependency - 1u].to_text(), rrset.type);
    }
  }
  return {};
}

}  // namespace merlon::snapshot
