// SPDX-License-Identifier: Apache-2.0
// The built-in never-block net: address space that no list may carry whatever a feed says.
// Private, documentation, multicast and loopback space (RFC 6890 and the IANA special-purpose
// registries after it), the root name servers, and the public resolvers so many hosts depend on
// that blocking one is an outage. Subtraction is exact (RangeSet::minus): a listed 8.8.8.0/24
// keeps its other 255 addresses.
// Teredo (2001::/32) and 6to4 (2002::/16) are globally reachable in RFC 6890 and stay listable; the
// rest of 2001::/23 is protected. All functions are thread-safe.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "zones/address/address.h"
#include "zones/address/range_set.h"

namespace merlon::policy {

struct ProtectedEntry {
  std::string_view prefix;  // as shown to people, e.g. "10.0.0.0/8" or "8.8.8.8"
  std::string_view reason;  // e.g. "private use, RFC 1918"
};

std::span<const ProtectedEntry> protected_entries();

// The prefix of an entry. REQUIRES: `entry` is one of protected_entries().
address::AnyPrefix prefix_of(const ProtectedEntry& entry);

// The union of all entries.
const address::IpSet& protected_addresses();

// The narrowest entry that covers the address, "10.0.0.0/8: private use, RFC 1918"; else "".
std::string protected_by(const address::Address& address);

// The widest protected entry that the range meets, with the reason; "" when it meets none.
std::string protected_within(const address::AnyRange& range);

}  // namespace merlon::policy
