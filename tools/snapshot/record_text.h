// SPDX-License-Identifier: Apache-2.0
// Record data as a zone file holds it (RFC 1035 section 5, 3123, 4034, 5155).
#pragma once

#include <cstdint>
#include <string>

#include "zones/base/bytes.h"

namespace merlon::tools::snapshot {

// A, AAAA, NS, CNAME, DNAME, PTR, SOA, MX, SRV, TXT, APL, DS, CDS, DNSKEY, CDNSKEY, RRSIG, NSEC,
// NSEC3 and NSEC3PARAM in their own form; other types, and data that is not of its type, as bytes
// (RFC 3597 section 5).
std::string zone_file_data(uint16_t type, Bytes data);

std::string base32hex(Bytes bytes);

}  // namespace merlon::tools::snapshot
