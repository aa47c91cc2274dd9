// SPDX-License-Identifier: Apache-2.0
// Signs one arranged zone with given keys: DNSKEY, CDS, CDNSKEY, the denial chain, signatures.
#pragma once

#include <cstdint>
#include <vector>

#include "controlplane/dnssec/cache.h"
#include "controlplane/dnssec/rollover.h"
#include "controlplane/dnssec/sign.h"
#include "zones/base/error.h"
#include "zones/snapshot/zone_builder.h"

namespace merlon::dnssec {

struct ZoneSigning {
  std::vector<SigningKey> zone_keys{};           // sign everything but the DNSKEY RRset
  std::vector<SigningKey> key_keys{};            // sign the DNSKEY RRset, and what CDS says
  std::vector<std::vector<uint8_t>> dnskeys{};   // rdata, to be shown
  std::vector<std::vector<uint8_t>> cds{};       // rdata; empty: none
  std::vector<std::vector<uint8_t>> cdnskeys{};  // rdata
  snapshot::Denial denial = snapshot::Denial::nsec;
  uint32_t dnskey_ttl_s = 3600;
  SignatureTimes times{};
  unsigned thread_count = 1;
  int64_t now = 0;
};

struct ZoneSigned {
  uint64_t made = 0;             // signatures
  uint64_t reused = 0;           // from the cache
  int64_t renew_at = INT64_MAX;  // when the first of them is to be renewed
  uint32_t ttl_max_s = 0;        // of everything but the DNSKEY RRset
};

// Errors: invalid_argument (no SOA; DNSSEC records without signatures), unsupported (an RRset too
// large for validators), corruption, internal.
Result<ZoneSigned> sign_zone(snapshot::ZoneBuilder& zone, const ZoneSigning& signing,
                             SignatureCache& cache);

}  // namespace merlon::dnssec
