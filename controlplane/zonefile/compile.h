// SPDX-License-Identifier: Apache-2.0
// A zone's RRsets to a zone segment. Equal RRsets of different names share one body; the serial is
// the SOA record's own. Deterministic: the same zone gives the same bytes.
#pragma once

#include <cstdint>
#include <vector>

#include "controlplane/compile/zone_signer.h"
#include "controlplane/zonefile/zone_data.h"
#include "zones/base/error.h"
#include "zones/snapshot/zone_builder.h"

namespace merlon::zonefile {

struct CompileOptions {
  uint32_t account = 0;  // who sees the zone: FORMAT.md, ZONE_INFO
  uint32_t tier_mask = 0;
  // Signs zones that it knows and that came without signatures of their own. May be nullptr.
  compile::ZoneSigner* signer = nullptr;
};

// The zone, arranged, not signed yet. Signatures that the zone came with are in it, NSEC3 records
// too. Errors: invalid_argument (an RRset that no message holds, a chain of NSEC3 that is broken)
// with the place and the RRset.
Status fill(const ZoneData& zone, snapshot::ZoneBuilder& builder);

// Errors: those of fill() and of the signer.
Result<std::vector<uint8_t>> compile(const ZoneData& zone, const CompileOptions& options);

}  // namespace merlon::zonefile
