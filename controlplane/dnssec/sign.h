// SPDX-License-Identifier: Apache-2.0
// RRSIG records (RFC 4034 section 3) and when they are to be made anew.
#pragma once

#include <cstdint>
#include <vector>

#include "controlplane/dnssec/canonical.h"
#include "controlplane/dnssec/keys.h"
#include "zones/base/error.h"
#include "zones/name/name.h"

namespace merlon::dnssec {

struct SignatureTimes {
  int64_t validity_s = 14 * 86400;
  int64_t inception_back_s = 3600;  // for validators whose clocks are behind

  // A signature is renewed when less than this is left of it.
  int64_t renew_before_s() const { return validity_s / 4; }
};

struct Validity {
  uint32_t inception = 0;
  uint32_t expiration = 0;
};

// From `now` until up to a quarter of the validity earlier than the policy says, by the first bytes
// of `spread`, so that what was signed in one second does not come due in one second.
Validity validity_from(int64_t now, const SignatureTimes& times, Bytes spread);

// What signs, as an RRSIG names it.
struct SigningKey {
  const PrivateKey* key = nullptr;
  std::vector<uint8_t> dnskey;  // rdata
  uint16_t tag = 0;
};

// The data of an RRSIG record up to the signature, which is also the first part of what is signed.
std::vector<uint8_t> rrsig_head(const CanonicalRrset& rrset, const name::Name& apex,
                                const SigningKey& key, const Validity& validity);
// The whole data of an RRSIG record. `signer` is of key.key.
Result<std::vector<uint8_t>> make_rrsig(const CanonicalRrset& rrset, const name::Name& apex,
                                        const SigningKey& key, const Validity& validity,
                                        KeySigner& signer);

// REQUIRES: at least the head of an RRSIG.
Validity validity_of(Bytes rrsig);

// Under which name a signature is cached: the same RRset, key and zone give the same.
Sha256 cache_key(const CanonicalRrset& rrset, const name::Name& apex, const SigningKey& key);

// Whether a cached RRSIG is what make_rrsig() would make, apart from its times, and has enough time
// left. Bytes that are damaged are not.
bool is_reusable(Bytes rrsig, const CanonicalRrset& rrset, const name::Name& apex,
                 const SigningKey& key, const SignatureTimes& times, int64_t now);

}  // namespace merlon::dnssec
