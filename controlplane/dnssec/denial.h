// SPDX-License-Identifier: Apache-2.0
// What proves that a name or type does not exist: NSEC (RFC 4034 section 4) and NSEC3 (RFC 5155)
// record data.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "controlplane/dnssec/digest.h"
#include "zones/base/bytes.h"
#include "zones/snapshot/zone_builder.h"

namespace merlon::dnssec {

// What a signer thinks of a name of the zone.
enum class Standing : uint8_t {
  authoritative,
  cut,       // NS below the apex: only DS and NSEC are signed here
  occluded,  // below a cut or a DNAME: glue, or not visible at all
};
// By node. REQUIRES: arranged.
std::vector<Standing> standings_of(const snapshot::ZoneBuilder& zone);

// RFC 4034 section 4.1.2. `types` need not be sorted.
std::vector<uint8_t> type_bitmap(std::span<const uint16_t> types);

std::vector<uint8_t> nsec_rdata(Bytes next_name, std::span<const uint16_t> types);

// SHA-1, no additional iterations, no salt, no opt-out (RFC 9276 section 3.1).
Sha1 nsec3_hash(Bytes folded_name);
std::vector<uint8_t> nsec3_rdata(const Sha1& next, std::span<const uint16_t> types);
std::vector<uint8_t> nsec3param_rdata();

}  // namespace merlon::dnssec
