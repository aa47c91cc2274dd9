// SPDX-License-Identifier: Apache-2.0
// Hashed owner names (RFC 5155 section 5) and how they are written (RFC 4648 section 7).
#pragma once

#include <cstdint>
#include <span>

#include "zones/base/bytes.h"
#include "zones/name/sha1.h"

namespace merlon::name {

struct Nsec3Parameters {
  uint16_t iterations = 0;  // beyond the first
  Bytes salt{};
};

// REQUIRES: a folded, uncompressed name. Takes iterations + 1 digests.
Sha1Digest nsec3_hash(Bytes folded_name, const Nsec3Parameters& parameters);

// The first label of an NSEC3 record's owner: its length, then the hash in base32hex.
inline constexpr size_t kNsec3LabelSize = 1 + kSha1Size * 8 / 5;
void write_nsec3_label(std::span<const uint8_t, kSha1Size> hash,
                       std::span<uint8_t, kNsec3LabelSize> out);

}  // namespace merlon::name
