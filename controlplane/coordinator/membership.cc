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

bool apl_body_holds(Bytes body, const Address& address) {
  wire::Reader reader(body);
  while (reader.ok() && reader.remaining() != 0) {
    reader.skip(kRecordHeadSize - 2);
    wire::Reader items(reader.bytes(reader.u16()));
    while (items.ok() && items.remaining() != 0) {
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
      if (items.ok() && prefix.contains(address)) {
        return true;
      }
    }
  }
  return false;
}

}  // namespace

std::vector<std::string> names_that_carry(const snapshot::Snapshot& snapshot,
                                          const Address& address) {
  std::array<uint8_t, 16> network{};
  const bool v4 = address.family == Family::v4;
  if (v4) {
    address::store_network(static_cast<address::Bits4>(address.bits), network.data());
  } else {
    address::store_network(address.bits, network.data());
  }
  const Bytes wanted{network.data(), v4 ? size_t{4} : size_t{16}};
  const uint16_t type = v4 ? wire::type::a : wire::type::aaaa;
  std::vector<std::string> names;
  for (const auto& zone : snapshot.zones()) {
    for (const snapshot::NodeEntry& node : zone->view().nodes()) {
      bool holds = false;
      for (const snapshot::RrsetEntry& rrset : zone->view().rrsets_of(node)) {
        const Bytes body = zone->body_of(rrset).bytes();
        holds = holds || (rrset.type == type && address_body_holds(body, wanted)) ||
                (rrset.type == wire::type::apl && apl_body_holds(body, address));
      }
      if (holds) {
        const auto name = name::Name::from_wire(zone->view().name_of(node));
        names.push_back(name ? name->to_text() : std::string());
      }
    }
  }
  return names;
}

}  // namespace merlon::coordinator
