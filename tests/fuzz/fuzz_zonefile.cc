// SPDX-License-Identifier: Apache-2.0
// Zone files from anybody: what is refused says where, what is taken compiles to a segment that
// reads back, or says which RRset does not fit.
#include "controlplane/zonefile/compile.h"
#include "controlplane/zonefile/zone_file.h"
#include "zones/base/assert.h"

using namespace merlon;  // NOLINT(google-build-using-namespace): one short file

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto apex = name::Name::from_text("fuzz.example.");
  const auto zone = zonefile::read_zone_text(as_text(Bytes(data, size)), "z", {.apex = *apex});
  if (!zone) {
    MERLON_ASSERT(zone.error().code == ErrorCode::invalid_argument);
    MERLON_ASSERT(zone.error().message.starts_with("z:"));
    return 0;
  }
  for (const zonefile::ZoneData::Rrset& rrset : zone->rrsets()) {
    MERLON_ASSERT(rrset.count != 0 && name::Name::from_wire(zone->owner_of(rrset)).has_value());
  }
  const auto bytes = zonefile::compile(*zone, {.tier_mask = 1});
  MERLON_ASSERT(bytes.has_value() || bytes.error().code == ErrorCode::invalid_argument);
  return 0;
}
