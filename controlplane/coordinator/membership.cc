// SPDX-License-Identifier: Apache-2.0
#include "controlplane/coordinator/membership.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "zones/wire/wire.h"

namespace merlon::coordinator {
namespace {

using address::Address;
using address::Bits6;
using address::Family;

constexpr size_t kRecordHeadSize = 12;  // pointer, type, class, TTL, data length

// Address records all have one size and ascend, so this is a binary search.
bool address_body_holds(Bytes body, Bytes wanted) {
  const size_t record_size = kRecordHeadSize + wanted.size();
  size_t low = 0;
  size_t high = body.size() / record_size;
  while (low < high) {
    const size_t middle = (low + high) / 2;
    const int order = std::memcmp(body.data() + middle * record_size + kRecordHeadSize,
                                  wanted.data(), wanted.size());
    if (order == 0) {
      return true;
    }
    if (order < 0) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return false;
}

address::AnyPrefix take_apl_item(wire::Reader& items) {
  const uint16_t family = items.u16();
  address::AnyPrefix prefix;
  prefix.family = family == 1 ? Family::v4 : Family::v6;
  prefix.length = items.u8();
  const Bytes part = items.bytes(items.u8() & 0x7fu);
  const size_t width = family == 1 ? 4 : 16;
  std::array<uint8_t, 16> network{};
  std::copy_n(part.begin(), std::min(part.size(), width), network.begin());
  prefix.bits = family == 1 ? Bits6{address::load_network_v4(network.data())}
                            : address::load_network_v6(network.data());
  return prefix;
}

// Addresses that are asked for, sorted by family and number, with their places in what was given.
struct Asked {
  Address address;
  std::array<uint8_t, 16> network{};
  size_t place = 0;

  Bytes wire() const {
    return {network.data(), address.family == Family::v4 ? size_t{4} : size_t{16}};
  }
};

bool is_before(const Asked& a, const Asked& b) {
  return a.address.family != b.address.family ? a.address.family < b.address.family
                                              : a.address.bits < b.address.bits;
}

std::vector<Asked> sorted(std::span<const Address> addresses) {
  std::vector<Asked> all(addresses.size());
  for (size_t i = 0; i < addresses.size(); ++i) {
    all[i].address = addresses[i];
    all[i].place = i;
    if (addresses[i].family == Family::v4) {
      address::store_network(static_cast<address::Bits4>(addresses[i].bits), all[i].network.data());
    } else {
      address::store_network(addresses[i].bits, all[i].network.data());
    }
  }
  std::ranges::sort(all, is_before);
  return all;
}

// Each item of the body finds the addresses that it covers: the longer side is walked once.
void mark_apl(Bytes body, const std::vector<Asked>& asked, std::vector<bool>& held) {
  wire::Reader reader(body);
  while (reader.ok() && reader.remaining() != 0) {
    reader.skip(kRecordHeadSize - 2);
    wire::Reader items(reader.bytes(reader.u16()));
    while (items.ok() && items.remaining() != 0) {
      const address::AnyPrefix prefix = take_apl_item(items);
      if (!items.ok()) {
        return;
      }
      const Asked first{.address = {prefix.family, prefix.bits}};
      for (auto at = std::ranges::lower_bound(asked, first, is_before);
           at != asked.end() && prefix.contains(at->address); ++at) {
        held[at->place] = true;
      }
    }
  }
}

bool is_in(const Scope& scope, const snapshot::LoadedZone& zone) {
  const uint32_t account = zone.view().info().account;
  return !scope || account == 0 || account == *scope;
}

// "rpz" is the second label of a policy zone's apex.
bool is_policy_zone(Bytes apex) {
  const size_t second = apex.empty() ? 0 : apex[0] + size_t{1};
  constexpr std::string_view kLabel = "\3rpz";
  return second < apex.size() && as_text(apex.subspan(second)).starts_with(kLabel);
}

// nullptr: no rule.
const snapshot::Rrset* rule_of(const snapshot::LoadedZone& zone, const snapshot::IndexKey& key,
                               const Result<name::Name>& name) {
  if (!name) {
    return nullptr;
  }
  const name::Name folded = name->folded();
  const auto* node = zone.find(key.hash(folded.wire()), folded.wire());
  return node == nullptr || node->rrsets().empty() ? nullptr : &node->rrsets().front();
}

Result<name::Name> below(const name::Name& name, const name::Name& apex, std::string_view label) {
  std::string text(label);
  text += name.is_root() ? "" : name.to_text();
  return name::Name::from_text(text + apex.to_text());
}

bool lets_through(const snapshot::Rrset& rrset) {
  constexpr std::string_view kTarget = "\14rpz-passthru";
  const Bytes body = rrset.body.bytes();
  return rrset.type == wire::type::cname && body.size() > kRecordHeadSize &&
         as_text(body.subspan(kRecordHeadSize)).starts_with(kTarget);
}

}  // namespace

std::vector<std::vector<std::string>> names_that_carry(const snapshot::Snapshot& snapshot,
                                                       std::span<const Address> addresses,
                                                       const Scope& scope) {
  const std::vector<Asked> asked = sorted(addresses);
  std::vector<std::vector<std::string>> names(addresses.size());
  std::vector<bool> held(addresses.size());
  for (const auto& zone : snapshot.zones()) {
    if (!is_in(scope, *zone)) {
      continue;
    }
    for (const snapshot::NodeEntry& node : zone->view().nodes()) {
      held.assign(addresses.size(), false);
      for (const snapshot::RrsetEntry& rrset : zone->view().rrsets_of(node)) {
        const Bytes body = zone->body_of(rrset).bytes();
        if (rrset.type == wire::type::apl) {
          mark_apl(body, asked, held);
        }
        for (const Asked& one : asked) {
          const uint16_t type = one.address.family == Family::v4 ? wire::type::a : wire::type::aaaa;
          if (rrset.type == type && !held[one.place] && address_body_holds(body, one.wire())) {
            held[one.place] = true;
          }
        }
      }
      for (size_t i = 0; i < held.size(); ++i) {
        if (held[i]) {
          const auto name = name::Name::from_wire(zone->view().name_of(node));
          names[i].push_back(name ? name->to_text() : std::string());
        }
      }
    }
  }
  return names;
}

std::vector<std::string> names_that_carry(const snapshot::Snapshot& snapshot,
                                          const Address& address, const Scope& scope) {
  return names_that_carry(snapshot, std::span(&address, 1), scope).front();
}

PolicyZones policy_zones_of(const snapshot::Snapshot& snapshot, const name::Name& domain,
                            const Scope& scope) {
  PolicyZones zones;
  for (const auto& zone : snapshot.zones()) {
    const auto apex = name::Name::from_wire(zone->view().apex());
    if (!apex || !is_in(scope, *zone) || !is_policy_zone(zone->view().apex())) {
      continue;
    }
    const snapshot::Rrset* rule = rule_of(*zone, snapshot.key(), below(domain, *apex, ""));
    for (name::Name above = domain; rule == nullptr && !above.is_root();) {
      above = above.parent();
      rule = rule_of(*zone, snapshot.key(), below(above, *apex, "*."));
    }
    if (rule != nullptr) {
      (lets_through(*rule) ? zones.passing : zones.blocking).push_back(apex->to_text());
    }
  }
  return zones;
}

}  // namespace merlon::coordinator
