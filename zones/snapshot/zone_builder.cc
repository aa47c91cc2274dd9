// SPDX-License-Identifier: Apache-2.0
#include "zones/snapshot/zone_builder.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "zones/base/assert.h"
#include "zones/wire/wire.h"

namespace merlon::snapshot {
namespace {

Status outside(const name::Name& name, const name::Name& apex) {
  return fail(ErrorCode::invalid_argument, "{} is not in zone {}", name.to_text(), apex.to_text());
}

std::string text_of(Bytes wire) {
  const auto name = name::Name::from_wire(wire);
  return name ? name->to_text() : to_hex(wire);
}

}  // namespace

ZoneBuilder::ZoneBuilder(const ZoneSettings& settings) : settings_(settings) {
  settings_.apex = settings_.apex.folded();
  append_node(settings_.apex.wire());
}

uint16_t ZoneBuilder::depend_on(const ContentHash& bodies_segment, const BodiesView* view) {
  const auto [at, added] = dependency_numbers_.try_emplace(
      bodies_segment, static_cast<uint16_t>(dependencies_.size() + 1));
  if (added) {
    MERLON_ASSERT(dependencies_.size() < UINT16_MAX);
    dependencies_.push_back(bodies_segment);
    views_.push_back(view);
  } else if (views_[at->second - 1u] == nullptr) {
    views_[at->second - 1u] = view;
  }
  return at->second;
}

Bytes ZoneBuilder::name_of(size_t node) const {
  return {names_.data() + nodes_[node].name_offset, nodes_[node].name_size};
}

void ZoneBuilder::append_node(Bytes folded_name) {
  Node node;
  node.name_offset = static_cast<uint32_t>(names_.size());
  node.name_size = static_cast<uint8_t>(folded_name.size());
  names_.insert(names_.end(), folded_name.begin(), folded_name.end());
  nodes_.push_back(std::move(node));
  arranged_ = false;
}

// What is added one after the other is mostly of one name.
ZoneBuilder::Node& ZoneBuilder::node_for(const name::Name& name) {
  const name::Name folded = name.folded();
  if (std::ranges::equal(name_of(nodes_.size() - 1), folded.wire())) {
    return nodes_.back();
  }
  append_node(folded.wire());
  return nodes_.back();
}

Status ZoneBuilder::add_node(const name::Name& name, uint32_t tier_mask) {
  if (!name.is_at_or_below(settings_.apex)) {
    return outside(name, settings_.apex);
  }
  node_for(name).tier_mask = tier_mask;
  return {};
}

Status ZoneBuilder::add_rrset(const name::Name& name, uint16_t type, uint16_t dependency,
                              uint32_t body) {
  if (!name.is_at_or_below(settings_.apex)) {
    return outside(name, settings_.apex);
  }
  if (!wire::is_data_type(type) || type == wire::type::rrsig) {
    return fail(ErrorCode::invalid_argument, "{}: type {} is not one that a zone holds",
                name.to_text(), type);
  }
  MERLON_ASSERT(dependency <= dependencies_.size());
  node_for(name).rrsets.push_back({.type = type, .dependency = dependency, .body = body});
  arranged_ = false;
  return {};
}

Status ZoneBuilder::add_signature(const name::Name& name, uint16_t type, uint32_t own_body) {
  if (!name.is_at_or_below(settings_.apex)) {
    return outside(name, settings_.apex);
  }
  given_signatures_.push_back({name.folded(), type, own_body});
  arranged_ = false;
  return {};
}

Status ZoneBuilder::arrange() {
  if (arranged_) {
    return {};
  }
  // Indexes are sorted, not nodes, and stably: the first tier mask given stands first.
  const auto sort_nodes = [this] {
    std::vector<uint32_t> order(nodes_.size());
    std::iota(order.begin(), order.end(), 0u);
    const auto before = [this](uint32_t a, uint32_t b) {
      return name::compare_canonical(name_of(a), name_of(b)) < 0;
    };
    if (std::ranges::is_sorted(order, before)) {
      return;
    }
    std::ranges::stable_sort(order, before);
    std::vector<Node> sorted;
    sorted.reserve(nodes_.size());
    for (const uint32_t at : order) {
      sorted.push_back(std::move(nodes_[at]));
    }
    nodes_ = std::move(sorted);
  };
  sort_nodes();
  if (auto merged = merge_equal_names(); !merged) {
    return merged;
  }
  const size_t named = nodes_.size();
  add_empty_non_terminals();
  if (nodes_.size() != named) {
    sort_nodes();
  }
  arranged_ = true;
  return attach_signatures();
}

Status ZoneBuilder::merge_equal_names() {
  size_t kept = 0;
  for (size_t i = 1; i < nodes_.size(); ++i) {
    if (!std::ranges::equal(name_of(kept), name_of(i))) {
      ++kept;
      if (kept != i) {
        nodes_[kept] = std::move(nodes_[i]);
      }
      continue;
    }
    Node& into = nodes_[kept];
    into.rrsets.insert(into.rrsets.end(), nodes_[i].rrsets.begin(), nodes_[i].rrsets.end());
    into.tier_mask = into.tier_mask != 0 ? into.tier_mask : nodes_[i].tier_mask;
  }
  nodes_.resize(kept + 1);
  for (size_t i = 0; i < nodes_.size(); ++i) {
    std::vector<Rrset>& rrsets = nodes_[i].rrsets;
    std::ranges::stable_sort(rrsets, {}, &Rrset::type);
    const auto twice = std::ranges::adjacent_find(rrsets, {}, &Rrset::type);
    if (twice != rrsets.end()) {
      return fail(ErrorCode::conflict, "{} has type {} twice", text_of(name_of(i)),
                  wire::type_to_text(twice->type));
    }
  }
  return {};
}

// REQUIRES: in canonical order, no name twice. An existing parent is then an ancestor of, or equal
// to, the node before.
void ZoneBuilder::add_empty_non_terminals() {
  const size_t count = nodes_.size();
  name::Name before = settings_.apex;
  for (size_t i = 1; i < count; ++i) {
    const auto name = name::Name::from_wire(name_of(i));
    MERLON_ASSERT(name.has_value());
    for (name::Name up = name->parent(); !before.is_at_or_below(up); up = up.parent()) {
      append_node(up.wire());
    }
    before = *name;
  }
}

Status ZoneBuilder::attach_signatures() {
  for (const GivenSignature& given : given_signatures_) {
    const auto node = find_node(given.name.wire());
    const Rrset* rrset = node ? find(*node, given.type) : nullptr;
    if (rrset == nullptr) {
      return fail(ErrorCode::invalid_argument, "{} has a signature of type {}, which is not there",
                  given.name.to_text(), wire::type_to_text(given.type));
    }
    if (rrset->signature != kNoBody && rrset->signature != given.body) {
      return fail(ErrorCode::conflict, "{} has two signatures of type {}", given.name.to_text(),
                  wire::type_to_text(given.type));
    }
    set_signature(*node, given.type, given.body);
  }
  return {};
}

const ZoneBuilder::Rrset* ZoneBuilder::find(size_t node, uint16_t type) const {
  const std::vector<Rrset>& rrsets = nodes_[node].rrsets;
  const auto at = std::ranges::lower_bound(rrsets, type, {}, &Rrset::type);
  return at != rrsets.end() && at->type == type ? &*at : nullptr;
}

std::optional<size_t> ZoneBuilder::find_node(Bytes folded_name) const {
  MERLON_ASSERT(arranged_);
  const auto at = std::partition_point(nodes_.begin(), nodes_.end(), [&](const Node& node) {
    return name::compare_canonical({names_.data() + node.name_offset, node.name_size},
                                   folded_name) < 0;
  });
  const auto index = static_cast<size_t>(at - nodes_.begin());
  if (at == nodes_.end() || !std::ranges::equal(name_of(index), folded_name)) {
    return std::nullopt;
  }
  return index;
}

Bytes ZoneBuilder::body_of(const Rrset& rrset) const {
  if (rrset.dependency == 0) {
    return own_.bytes_of(rrset.body);
  }
  const BodiesView* view = views_[rrset.dependency - 1u];
  MERLON_ASSERT(view != nullptr && rrset.body < view->size());
  return view->body(rrset.body).bytes();
}

void ZoneBuilder::set_signature(size_t node, uint16_t type, uint32_t body) {
  MERLON_ASSERT(arranged_);
  const auto at = std::ranges::lower_bound(nodes_[node].rrsets, type, {}, &Rrset::type);
  MERLON_ASSERT(at != nodes_[node].rrsets.end() && at->type == type);
  at->signature = body;
}

void ZoneBuilder::set_body(size_t node, uint16_t type, uint32_t body) {
  MERLON_ASSERT(arranged_);
  const auto at = std::ranges::lower_bound(nodes_[node].rrsets, type, {}, &Rrset::type);
  MERLON_ASSERT(at != nodes_[node].rrsets.end() && at->type == type && at->dependency == 0);
  at->body = body;
}

void ZoneBuilder::add_rrset_at(size_t node, uint16_t type, uint32_t body) {
  MERLON_ASSERT(arranged_);
  std::vector<Rrset>& rrsets = nodes_[node].rrsets;
  const auto at = std::ranges::lower_bound(rrsets, type, {}, &Rrset::type);
  MERLON_ASSERT(at == rrsets.end() || at->type != type);
  rrsets.insert(at, {.type = type, .body = body});
}

Result<std::vector<uint8_t>> ZoneBuilder::finish() {
  if (auto arranged = arrange(); !arranged) {
    return in(fmt::format("zone {}", settings_.apex.to_text()), arranged.error());
  }
  std::vector<uint8_t> names;
  std::vector<NodeEntry> nodes;
  std::vector<RrsetEntry> rrsets;
  std::vector<uint32_t> signatures;
  names.reserve(names_.size());
  nodes.reserve(nodes_.size());
  for (size_t i = 0; i < nodes_.size(); ++i) {
    const Node& node = nodes_[i];
    const Bytes name = name_of(i);
    nodes.push_back({static_cast<uint32_t>(names.size()), static_cast<uint32_t>(rrsets.size()),
                     static_cast<uint16_t>(node.rrsets.size()), node.name_size, 0, node.tier_mask});
    names.insert(names.end(), name.begin(), name.end());
    for (const Rrset& rrset : node.rrsets) {
      rrsets.push_back({rrset.type, rrset.dependency, rrset.body});
      signatures.push_back(rrset.signature);
    }
  }
  ZoneInfo info{};
  info.serial = settings_.serial;
  info.account = settings_.account;
  info.tier_mask = settings_.tier_mask;
  info.negative_body = negative_body_;
  info.node_count = static_cast<uint32_t>(nodes.size());
  info.denial = denial_;
  info.apex_size = static_cast<uint8_t>(settings_.apex.size());
  std::ranges::copy(settings_.apex.wire(), info.apex.begin());

  SegmentBuilder builder(SegmentKind::zone);
  own_.write_sections(builder);
  builder.add_table(SectionKind::zone_info, std::vector<ZoneInfo>{info});
  builder.add_table(SectionKind::dependencies, dependencies_);
  builder.add(SectionKind::names, std::move(names));
  builder.add_table(SectionKind::nodes, nodes);
  builder.add_table(SectionKind::rrsets, rrsets);
  if (denial_ != Denial::none) {
    builder.add_table(SectionKind::signatures, signatures);
  }
  if (denial_ == Denial::nsec3) {
    std::ranges::sort(nsec3_, {}, &Nsec3Entry::hash);
    builder.add_table(SectionKind::nsec3, nsec3_);
  }
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
