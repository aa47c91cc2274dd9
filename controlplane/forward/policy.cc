// SPDX-License-Identifier: Apache-2.0
#include "controlplane/forward/policy.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "zones/wire/wire.h"

namespace merlon::forward {
namespace {

using snapshot::LabelledName;
using snapshot::LoadedZone;
using snapshot::Node;

constexpr std::string_view kRpzLabel = "rpz";
constexpr size_t kGenerationsMax = 2;  // queries of the one before may still come
constexpr size_t kLabelsOfZone = 3;    // <policy>.rpz.<account> in front of the suffix
constexpr size_t kDataAt = 12;         // of a record whose owner is 0xC00C

std::vector<std::string_view> labels_of(Bytes wire) {
  std::vector<std::string_view> labels;
  for (size_t at = 0; wire[at] != 0; at += wire[at] + 1u) {
    labels.push_back(as_text(wire.subspan(at + 1, wire[at])));
  }
  return labels;
}

// A folded name with the places of its labels.
struct Labelled {
  std::array<uint8_t, name::kWireSizeMax> bytes{};
  std::array<uint8_t, name::kLabelCountMax + 1> offsets{};
  size_t size = 0;
  size_t count = 0;

  LabelledName view() const { return {Bytes(bytes).first(size), offsets.data(), count}; }
};

// `name` below `apex`; what does not fit in front is left out, and *cut says so.
Labelled join(Bytes name, Bytes apex, bool* cut) {
  while (name.size() - 1 + apex.size() > name::kWireSizeMax) {
    name = name.subspan(name[0] + 1u);
    *cut = true;
  }
  Labelled out;
  out.size = name.size() - 1 + apex.size();
  std::memcpy(out.bytes.data(), name.data(), name.size() - 1);
  std::memcpy(out.bytes.data() + name.size() - 1, apex.data(), apex.size());
  size_t at = 0;
  for (; out.bytes[at] != 0; at += out.bytes[at] + 1u) {
    out.offsets[out.count++] = static_cast<uint8_t>(at);
  }
  out.offsets[out.count] = static_cast<uint8_t>(at);
  return out;
}

const snapshot::Rrset* find_type(const Node& node, uint16_t type) {
  const auto rrsets = node.rrsets();
  const auto found = std::ranges::find(rrsets, type, &snapshot::Rrset::type);
  return found == rrsets.end() ? nullptr : &*found;
}

Bytes first_data(const snapshot::Body& body) {
  if (body.size < kDataAt) {
    return {};
  }
  return body.bytes().subspan(kDataAt, load_be16(body.data + kDataAt - 2));
}

PolicyAction action_of_target(const name::Name& target) {
  struct Special {
    std::string_view text;
    PolicyAction action;
  };
  static constexpr Special kSpecial[] = {{".", PolicyAction::nxdomain},
                                         {"*.", PolicyAction::nodata},
                                         {"rpz-passthru.", PolicyAction::passthru},
                                         {"rpz-drop.", PolicyAction::drop},
                                         {"rpz-tcp-only.", PolicyAction::tcp_only}};
  const std::string text = target.folded().to_text();
  for (const Special& each : kSpecial) {
    if (text == each.text) {
      return each.action;
    }
  }
  return PolicyAction::garden;
}

// What a node of a policy zone says of a name.
Match read_node(const LoadedZone& zone, const Node* node, const name::Name& name) {
  Match match{.zone = &zone, .node = node};
  if (node == nullptr || node->rrset_count == 0 || (node->flags & snapshot::node_flag::apex) != 0) {
    return {};
  }
  const snapshot::Rrset* alias = find_type(*node, wire::type::cname);
  if (alias == nullptr) {
    match.action = PolicyAction::data;
    return match;
  }
  const auto target = name::Name::from_wire(first_data(alias->body));
  if (!target) {
    return {};
  }
  match.ttl_s = load_be32(alias->body.data + 6);
  match.action = action_of_target(*target);
  if (match.action != PolicyAction::garden) {
    return match;
  }
  match.garden = *target;
  if (*target == name) {
    match.action = PolicyAction::passthru;  // as it was written before there was rpz-passthru
  } else if (target->wire()[0] == 1 && target->wire()[1] == '*') {
    bool cut = false;
    const name::Name parent = target->parent();
    const Labelled joined = join(name.folded().wire(), parent.wire(), &cut);
    const auto made = name::Name::from_wire(joined.view().name);
    match.garden = made ? *made : parent;
  }
  return match;
}

Match match_in(const snapshot::Snapshot& snapshot, const LoadedZone& zone, const name::Name& name) {
  bool cut = false;
  const name::Name folded = name.folded();
  const Labelled owner = join(folded.wire(), zone.view().apex(), &cut);
  const LabelledName labelled = owner.view();
  const Node* exact = zone.find(snapshot.key().hash(labelled.name), labelled.name);
  if (exact != nullptr && !cut) {
    return read_node(zone, exact, name);
  }
  // The wildcard below the nearest name that is there (RFC 4592).
  const size_t depth = exact != nullptr ? labelled.label_count
                                        : zone.closest_encloser(snapshot.key(), labelled).depth;
  const Bytes suffix = labelled.suffix(depth);
  std::array<uint8_t, name::kWireSizeMax> wildcard = {1, '*'};
  if (suffix.size() + 2 > wildcard.size()) {
    return {};
  }
  std::memcpy(wildcard.data() + 2, suffix.data(), suffix.size());
  const Bytes wanted = Bytes(wildcard).first(suffix.size() + 2);
  return read_node(zone, zone.find(snapshot.key().hash(wanted), wanted), name);
}

}  // namespace

std::string_view to_string(PolicyAction action) {
  constexpr std::string_view kNames[kPolicyActionCount] = {
      "none", "passthru", "drop", "tcp_only", "nxdomain", "nodata", "garden", "data"};
  return kNames[static_cast<size_t>(action)];
}

const PolicyIndex::Generation& PolicyIndex::generation_of(const dns::SnapshotPointer& snapshot) {
  const auto known = std::ranges::find_if(
      generations_, [&](const auto& each) { return each->snapshot == snapshot; });
  if (known != generations_.end()) {
    return **known;
  }
  auto made = std::make_unique<Generation>();
  made->snapshot = snapshot;
  const size_t label_count = suffix_.label_count() + kLabelsOfZone;
  for (const auto& zone : snapshot->zones()) {
    const uint32_t account = zone->view().info().account;
    const auto apex = name::Name::from_wire(zone->view().apex());
    if (account == 0 || !apex || apex->label_count() != label_count ||
        !apex->is_at_or_below(suffix_)) {
      continue;
    }
    const auto labels = labels_of(zone->view().apex());
    if (labels[1] == kRpzLabel) {
      made->by_account[account].push_back({std::string(labels[0]), zone});
    }
  }
  for (auto& [account, zones] : made->by_account) {
    std::ranges::sort(zones, {}, &PolicyZone::name);
  }
  std::erase_if(triggers_, [](const auto& each) { return each.second.zone.expired(); });
  if (generations_.size() == kGenerationsMax) {
    generations_.erase(generations_.begin());
  }
  generations_.push_back(std::move(made));
  return *generations_.back();
}

std::vector<const PolicyZone*> PolicyIndex::zones_for(const dns::SnapshotPointer& snapshot,
                                                      const snapshot::Subject& subject,
                                                      const DevicePolicies* devices) {
  const Generation& generation = generation_of(snapshot);
  const auto found = generation.by_account.find(subject.account);
  if (found == generation.by_account.end()) {
    return {};
  }
  std::vector<const PolicyZone*> all;
  for (const PolicyZone& zone : found->second) {
    all.push_back(&zone);
  }
  if (devices == nullptr) {
    return all;
  }
  const auto chosen = devices->by_device.find(subject.device);
  if (chosen == devices->by_device.end() || chosen->second.empty()) {
    return all;
  }
  const auto one = std::ranges::find(
      all, chosen->second, [](const PolicyZone* zone) { return std::string_view(zone->name); });
  // A policy that is not there protects nobody: then all of them do.
  return one == all.end() ? all : std::vector{*one};
}

Match PolicyIndex::match_name(const dns::SnapshotPointer& snapshot,
                              const std::vector<const PolicyZone*>& zones,
                              const name::Name& name) const {
  for (const PolicyZone* zone : zones) {
    Match match = match_in(*snapshot, *zone->zone, name);
    if (match.action != PolicyAction::none) {
      return match;
    }
  }
  return {};
}

const AddressTriggers& PolicyIndex::triggers_of(const PolicyZone& zone,
                                                const snapshot::IndexKey& key) {
  Triggers& triggers = triggers_[zone.zone.get()];
  if (triggers.table == nullptr || triggers.zone.lock() != zone.zone) {
    triggers.zone = zone.zone;
    triggers.table = std::make_unique<AddressTriggers>(*zone.zone, key);
  }
  return *triggers.table;
}

Match PolicyIndex::match_address(const dns::SnapshotPointer& snapshot,
                                 const std::vector<const PolicyZone*>& zones,
                                 const name::Name& name, const address::Address& address) {
  for (const PolicyZone* zone : zones) {
    const Node* node = triggers_of(*zone, snapshot->key()).find(address);
    Match match = node == nullptr ? Match{} : read_node(*zone->zone, node, name);
    if (match.action != PolicyAction::none) {
      return match;
    }
  }
  return {};
}

void add_policy_soa(const LoadedZone& zone, Records& out) {
  const snapshot::Rrset* soa = find_type(zone.apex_node(), wire::type::soa);
  if (soa != nullptr) {
    out.add({.section = Section::additional,
             .owner = zone.view().apex(),
             .type = wire::type::soa,
             .ttl = load_be32(soa->body.data + 6),
             .data = first_data(soa->body)});
  }
}

bool add_local_data(const Match& match, const name::Name& owner, uint16_t type, Records& out) {
  const snapshot::Rrset* rrset = find_type(*match.node, type);
  if (rrset == nullptr) {
    return false;
  }
  const Bytes records = rrset->body.bytes();
  for (size_t at = 0; at + kDataAt <= records.size();) {
    const size_t size = load_be16(records.data() + at + kDataAt - 2);
    out.add({.section = Section::answer,
             .owner = owner.wire(),
             .type = type,
             .ttl = load_be32(records.data() + at + 6),
             .data = records.subspan(at + kDataAt, size)});
    at += kDataAt + size;
  }
  return true;
}

}  // namespace merlon::forward
