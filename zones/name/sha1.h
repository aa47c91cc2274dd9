// SPDX-License-Identifier: Apache-2.0
// SHA-1 (FIPS 180-4), for nothing but the hashed names of NSEC3 (RFC 5155 section 5), which knows
// no other algorithm. The packet path links no cryptographic library; what it hashes is public and
// short, so neither constant time nor speed on long input is asked of this.
#pragma once

#include <array>
#include <cstdint>

#include "zones/base/bytes.h"

namespace merlon::name {

inline constexpr size_t kSha1Size = 20;
using Sha1Digest = std::array<uint8_t, kSha1Size>;

Sha1Digest sha1(Bytes data);
// The digest of `data` with `suffix` behind it.
Sha1Digest sha1(Bytes data, Bytes suffix);

}  // namespace merlon::name
