// SPDX-License-Identifier: Apache-2.0
// The owner names of address triggers in policy zones (draft-vixie-dns-rpz section 4.1.2).
#pragma once

#include <string>

#include "controlplane/domains/domain_set.h"
#include "zones/address/address.h"
#include "zones/address/range_set.h"

namespace merlon::compile {

// The key (controlplane/domains) of the owner below the apex: 192.0.2.0/24 is
// "24.0.2.0.192.rpz-ip", 2001:db8::/32 is "32.zz.db8.2001.rpz-ip". Servers find only the one
// spelling that they make themselves: lower-case hexadecimal, the longest run of two or more zero
// groups as zz, of equal ones that with the more significant bits. REQUIRES: prefix.length > 0; an
// IPv6 prefix is not within ::ffff:0:0/96.
std::string rpz_ip_key(address::Prefix<address::Bits4> prefix);
std::string rpz_ip_key(address::Prefix<address::Bits6> prefix);

struct RpzPrefixes {
  domains::DomainSet keys;
  uint64_t v4_count = 0;
  uint64_t v6_count = 0;
};
// The fewest prefixes for the addresses. The whole space is two of length 1: there is no trigger of
// length 0. IPv4 addresses in IPv6 form are left out: servers read them as IPv4.
RpzPrefixes rpz_ip_keys(const address::IpSet& addresses);

}  // namespace merlon::compile
