// SPDX-License-Identifier: Apache-2.0
// What the compiler needs of whoever signs zones: controlplane/dnssec implements it.
#pragma once

#include <cstdint>

#include "zones/base/error.h"
#include "zones/name/name.h"
#include "zones/snapshot/zone_builder.h"

namespace merlon::compile {

class ZoneSigner {
 public:
  virtual ~ZoneSigner() = default;

  // Whether the zone is to be signed at all.
  virtual bool signs(const name::Name& apex) const = 0;
  // Adds to an arranged zone what makes it a signed one, and settles a ZONEMD that was announced
  // (zonemd.h): DNSKEY (CDS, CDNSKEY), NSEC or NSEC3 and
  // NSEC3PARAM, and signatures over everything authoritative. The same RRsets get the same
  // signatures until these are to be renewed. Thread-safe for different zones. Errors:
  // unavailable-like codes with zone, key and what to do when keys are missing, unreadable or
  // expired: then nothing may be published.
  virtual Status sign(snapshot::ZoneBuilder& zone) = 0;
  // When the zone is to be compiled again, be it unchanged; Unix seconds.
  virtual int64_t due_at(const name::Name&) const { return INT64_MAX; }
  // What was signed since the last call is in service.
  virtual Status published() { return {}; }
};

// Lost keys and a wrong clock are nobody's input: whoever compiles stops, and publishes nothing.
inline Error signing_failed(Error error) {
  if (error.code == ErrorCode::conflict || error.code == ErrorCode::invalid_argument) {
    error.code = ErrorCode::busy;
  }
  return error;
}

}  // namespace merlon::compile
