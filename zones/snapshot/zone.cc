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
      info.reserved0 != 0 || info.reserved1 != 0) {
    return damaged(segment, SectionKind::zone_info, 0, "reserved bytes are not zero");
  }
  if (info.node_count != node_count || node_count == 0) {
    return damaged(segment, SectionKind::zone_info, 16, "says {} nodes, there are {}",
                   info.node_count, node_count);
  }
  return {};
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
  for (const Error* error :
       {info ? nullptr : &info.error(), dependencies ? nullptr : &dependencies.error(),
        names ? nullptr : &names.error(), nodes ? nullptr : &nodes.error(),
        rrsets ? nullptr : &rrsets.error()}) {
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
  view.own_bodies_ = *bodies;
  if (auto good = check_nodes(segment, view); !good) {
    return std::unexpected(good.error());
  }
  const uint32_t negative = view.info().negative_body;
  if (negative >= bodies->size() || bodies->body(negative).answer_count != 0 ||
      bodies->body(negative).authority_count == 0 || bodies->body(negative).additional_count != 0) {
    return damaged(segment, SectionKind::zone_info, 12, "body {} is no negative answer", negative);
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
        rrset.dependency > dependencies_.size()) {
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

ZoneBuilder::ZoneBuilder(const ZoneSettings& settings) : settings_(settings) {
  settings_.apex = settings_.apex.folded();
  nodes_[settings_.apex];
}

uint16_t ZoneBuilder::depend_on(const ContentHash& bodies_segment) {
  const auto at = std::find(dependencies_.begin(), dependencies_.end(), bodies_segment);
  if (at != dependencies_.end()) {
    return static_cast<uint16_t>(at - dependencies_.begin() + 1);
  }
  MERLON_ASSERT(dependencies_.size() < UINT16_MAX);
  dependencies_.push_back(bodies_segment);
  return static_cast<uint16_t>(dependencies_.size());
}

ZoneBuilder::Node& ZoneBuilder::node(const name::Name& name) {
  const name::Name folded = name.folded();
  for (name::Name up = folded; up != settings_.apex; up = up.parent()) {
    nodes_[up];  // empty non-terminals on the way exist too (RFC 4592 section 2.2.2)
  }
  return nodes_[folded];
}

Status ZoneBuilder::add_node(const name::Name& name, uint32_t tier_mask) {
  if (!name.is_at_or_below(settings_.apex)) {
    return fail(ErrorCode::invalid_argument, "{} is not in zone {}", name.to_text(),
                settings_.apex.to_text());
  }
  node(name).tier_mask = tier_mask;
  return {};
}

Status ZoneBuilder::add_rrset(const name::Name& name, uint16_t type, uint16_t dependency,
                              uint32_t body) {
  if (!name.is_at_or_below(settings_.apex)) {
    return fail(ErrorCode::invalid_argument, "{} is not in zone {}", name.to_text(),
                settings_.apex.to_text());
  }
  if (!wire::is_data_type(type)) {
    return fail(ErrorCode::invalid_argument, "{}: type {} is not one that a zone holds",
                name.to_text(), type);
  }
  if (!node(name).rrsets.emplace(type, RrsetEntry{type, dependency, body}).second) {
    return fail(ErrorCode::conflict, "{} has type {} twice", name.to_text(), type);
  }
  return {};
}

Result<std::vector<uint8_t>> ZoneBuilder::finish() {
  std::vector<uint8_t> names;
  std::vector<NodeEntry> nodes;
  std::vector<RrsetEntry> rrsets;
  for (const auto& [name, node] : nodes_) {
    nodes.push_back({static_cast<uint32_t>(names.size()), static_cast<uint32_t>(rrsets.size()),
                     static_cast<uint16_t>(node.rrsets.size()), static_cast<uint8_t>(name.size()),
                     0, node.tier_mask});
    names.insert(names.end(), name.wire().begin(), name.wire().end());
    for (const auto& [type, rrset] : node.rrsets) {
      rrsets.push_back(rrset);
    }
  }
  ZoneInfo info{};
  info.serial = settings_.serial;
  info.account = settings_.account;
  info.tier_mask = settings_.tier_mask;
  info.negative_body = negative_body_;
  info.node_count = static_cast<uint32_t>(nodes.size());
  info.apex_size = static_cast<uint8_t>(settings_.apex.size());
  std::copy(settings_.apex.wire().begin(), settings_.apex.wire().end(), info.apex.begin());

  SegmentBuilder builder(SegmentKind::zone);
  own_.write_sections(builder);
  builder.add_table(SectionKind::zone_info, std::vector<ZoneInfo>{info});
  builder.add_table(SectionKind::dependencies, dependencies_);
  builder.add(SectionKind::names, std::move(names));
  builder.add_table(SectionKind::nodes, nodes);
  builder.add_table(SectionKind::rrsets, rrsets);
  std::vector<uint8_t> file = builder.finish();
  const auto segment = Segment::from_bytes(file);
  if (!segment) {
    return fail(ErrorCode::internal, "zone {} does not read back: {}", settings_.apex.to_text(),
                segment.error().message);
  }
  if (const auto view = ZoneView::open(*segment); !view) {
    return fail(ErrorCode::internal, "zone {} does not read back: {}", settings_.apex.to_text(),
                view.error().message);
  }
  return file;
}

}  // namespace merlon::snapshot
