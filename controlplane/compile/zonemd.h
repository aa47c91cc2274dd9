// SPDX-License-Identifier: Apache-2.0
// The digest of a whole zone (RFC 8976: ZONEMD, scheme SIMPLE, SHA-384), with which whoever has a
// copy can prove that it is whole. The digest covers everything but the ZONEMD record itself and
// its signature, so the record is announced before a signer makes its denial chain, and settled
// after all else is signed. The same zone gives the same digest.
//
// Policy zones have none: Unbound and others take any record there for a trigger, one at the apex
// for a trigger of the root, and then have no answers for it.
#pragma once

#include <cstdint>

#include "zones/base/bytes.h"
#include "zones/base/error.h"
#include "zones/snapshot/zone_builder.h"

namespace merlon::compile {

// REQUIRES: the zone is arranged, has an SOA record and no ZONEMD.
void announce_zonemd(snapshot::ZoneBuilder& zone);
bool is_zonemd_announced(const snapshot::ZoneBuilder& zone);
// Puts the names in the data of a record of that type into lower case (RFC 4034 section 6.2).
// False: it does not parse.
using FoldNames = bool (*)(uint16_t type, MutableBytes data);
// nullptr: all names are so already, as in what we compile. REQUIRES: announced; all bodies can be
// read, and nothing comes after it but the signature of what it makes.
Status settle_zonemd(snapshot::ZoneBuilder& zone, FoldNames fold = nullptr);

}  // namespace merlon::compile
