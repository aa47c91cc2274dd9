// SPDX-License-Identifier: Apache-2.0
// The canonical form of an RRset (RFC 4034 section 6), which is what a signature covers.
#pragma once

#include <cstdint>
#include <vector>

#include "controlplane/dnssec/digest.h"
#include "zones/base/bytes.h"
#include "zones/base/error.h"

namespace merlon::dnssec {

// Validators build what is signed, the head of the RRSIG and the canonical form, in a buffer of a
// message's size (Unbound: "rrset too big"), so what exceeds it is bogus to the world, whoever
// signed it.
inline constexpr size_t kSignedSizeMax = 65535;
inline constexpr size_t kRrsigFixedSize = 18;  // before the signer's name

// How many records of `data_size` bytes a signed name of that wire length can have: each takes 14
// bytes beside the owner for A, 26 for AAAA.
constexpr size_t signed_records_max(size_t owner_size, size_t apex_size, size_t data_size) {
  return (kSignedSizeMax - kRrsigFixedSize - apex_size) / (owner_size + 10 + data_size);
}

struct RrsetSource {
  Bytes owner;  // folded wire name
  Bytes apex;   // folded wire name: the signer's
  uint16_t type = 0;
  Bytes body;  // records with the owner 0xC00C, all of `type`
};

struct CanonicalRrset {
  std::vector<uint8_t> bytes;  // the records, sorted, no two alike
  Sha256 digest{};             // of `bytes`
  uint16_t type = 0;
  uint8_t labels = 0;  // as an RRSIG counts them: without the root and a leading "*"
  uint32_t ttl = 0;    // of the first record; all have one (RFC 2181 section 5.2)
};

// Errors: corruption (not records of that type), unsupported (larger than what validators take).
Result<CanonicalRrset> canonical_rrset(const RrsetSource& source);

// Record data with the names in it in lower case where RFC 4034 section 6.2 and RFC 6840 section
// 5.1 say so, in place. False: it does not parse as that type.
bool fold_names_in_data(uint16_t type, MutableBytes data);

}  // namespace merlon::dnssec
