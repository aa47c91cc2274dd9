// SPDX-License-Identifier: Apache-2.0
// rpz-ip triggers as ranges: their owners are read once per zone.
#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <span>

#include "controlplane/forward/policy.h"

namespace merlon::forward {
namespace {

using address::AnyPrefix;
using address::Family;

constexpr std::string_view kTriggerLabel = "rpz-ip";
constexpr std::string_view kZeros = "zz";
constexpr size_t kGroups = 8;

std::optional<uint32_t> number(std::string_view text, int base, uint32_t most) {
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || end != text.data() + text.size() || value > most) {
    return std::nullopt;
  }
  return value;
}

// Length, then the parts of the address, the least first.
std::optional<AnyPrefix> read_v4(std::span<const std::string_view> labels) {
  const auto length = number(labels[0], 10, 32);
  address::Bits4 bits = 0;
  for (size_t i = 1; i < 5; ++i) {
    const auto octet = number(labels[i], 10, 255);
    if (!octet) {
      return std::nullopt;
    }
    bits |= *octet << (8 * (i - 1));
  }
  if (!length || (bits & address::host_mask<address::Bits4>(static_cast<int>(*length))) != 0) {
    return std::nullopt;
  }
  return AnyPrefix{Family::v4, static_cast<uint8_t>(*length), bits};
}

std::optional<AnyPrefix> read_v6(std::span<const std::string_view> labels) {
  const auto length = number(labels[0], 10, 128);
  const auto groups = labels.subspan(1);
  address::Bits6 bits = 0;
  size_t at = 0;
  for (const std::string_view label : groups) {
    if (label == kZeros) {
      if (groups.size() > kGroups) {
        return std::nullopt;
      }
      at += kGroups + 1 - groups.size();  // as many as are missing
      continue;
    }
    const auto group = number(label, 16, 0xffff);
    if (!group || at >= kGroups) {
      return std::nullopt;
    }
    bits |= address::Bits6{*group} << (16 * at++);
  }
  if (!length || at != kGroups ||
      (bits & address::host_mask<address::Bits6>(static_cast<int>(*length))) != 0) {
    return std::nullopt;
  }
  return AnyPrefix{Family::v6, static_cast<uint8_t>(*length), bits};
}

// Of the owner's labels in front of rpz-ip; nullopt: it is no trigger.
std::optional<AnyPrefix> read_trigger(Bytes owner, size_t label_count) {
  std::array<std::string_view, kGroups + 1> labels;
  if (label_count < 3 || label_count > labels.size()) {
    return std::nullopt;
  }
  size_t at = 0;
  for (size_t i = 0; i < label_count; ++i) {
    labels[i] = as_text(owner.subspan(at + 1, owner[at]));
    at += owner[at] + 1u;
  }
  const std::span<const std::string_view> used(labels.data(), label_count);
  const bool has_zeros = std::ranges::find(used, kZeros) != used.end();
  return label_count == 5 && !has_zeros ? read_v4(used) : read_v6(used);
}

size_t count_labels(Bytes wire) {
  size_t count = 0;
  for (size_t at = 0; wire[at] != 0; at += wire[at] + 1u) {
    ++count;
  }
  return count;
}

bool ends_with(Bytes name, Bytes suffix) {
  return name.size() >= suffix.size() && std::ranges::equal(name.last(suffix.size()), suffix);
}

}  // namespace

AddressTriggers::AddressTriggers(const snapshot::LoadedZone& zone, const snapshot::IndexKey& key) {
  const auto apex = name::Name::from_wire(zone.view().apex());
  const auto top = apex ? apex->child(kTriggerLabel) : apex;
  if (!top) {
    return;
  }
  const Bytes top_wire = top->wire();
  const size_t top_labels = top->label_count();
  const auto nodes = zone.view().nodes();
  // Canonical order: what is below a name follows it.
  const auto first = std::ranges::lower_bound(
      nodes, top_wire, [&](Bytes a, Bytes b) { return name::compare_canonical(a, b) < 0; },
      [&](const snapshot::NodeEntry& node) { return zone.view().name_of(node); });
  for (auto node = first; node != nodes.end(); ++node) {
    const Bytes owner = zone.view().name_of(*node);
    if (!ends_with(owner, top_wire)) {
      break;
    }
    const auto prefix = read_trigger(owner, count_labels(owner) - top_labels);
    if (node->rrset_count == 0 || !prefix) {
      continue;
    }
    const snapshot::Node* loaded = zone.find(key.hash(owner), owner);
    if (prefix->family == Family::v4) {
      v4_.push_back({.range = prefix->v4().range(), .node = loaded});
    } else {
      v6_.push_back({.range = prefix->v6().range(), .node = loaded});
    }
  }
  arrange(v4_);
  arrange(v6_);
}

template <class Bits>
void AddressTriggers::arrange(Table<Bits>& table) {
  std::ranges::sort(table, [](const Entry<Bits>& a, const Entry<Bits>& b) {
    return a.range.first != b.range.first ? a.range.first < b.range.first
                                          : a.range.last > b.range.last;
  });
  std::vector<uint32_t> around;
  for (uint32_t i = 0; i < table.size(); ++i) {
    while (!around.empty() && table[around.back()].range.last < table[i].range.first) {
      around.pop_back();
    }
    table[i].parent = around.empty() ? UINT32_MAX : around.back();
    around.push_back(i);
  }
}

template <class Bits>
const snapshot::Node* AddressTriggers::find_in(const Table<Bits>& table, Bits bits) {
  const auto behind = std::ranges::upper_bound(
      table, bits, {}, [](const Entry<Bits>& entry) { return entry.range.first; });
  if (behind == table.begin()) {
    return nullptr;
  }
  auto at = static_cast<uint32_t>(behind - table.begin() - 1);
  while (at != UINT32_MAX && table[at].range.last < bits) {
    at = table[at].parent;
  }
  return at == UINT32_MAX ? nullptr : table[at].node;
}

const snapshot::Node* AddressTriggers::find(const address::Address& address) const {
  if (address.family == Family::v4) {
    return find_in(v4_, static_cast<address::Bits4>(address.bits));
  }
  return find_in(v6_, address.bits);
}

}  // namespace merlon::forward
