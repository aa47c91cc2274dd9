// SPDX-License-Identifier: Apache-2.0
#include "zones/name/nsec3.h"

namespace merlon::name {

Sha1Digest nsec3_hash(Bytes folded_name, const Nsec3Parameters& parameters) {
  Sha1Digest digest = sha1(folded_name, parameters.salt);
  for (unsigned i = 0; i < parameters.iterations; ++i) {  // at most 65,535
    digest = sha1(digest, parameters.salt);
  }
  return digest;
}

void write_nsec3_label(std::span<const uint8_t, kSha1Size> hash,
                       std::span<uint8_t, kNsec3LabelSize> out) {
  constexpr char kDigits[] = "0123456789abcdefghijklmnopqrstuv";
  out[0] = static_cast<uint8_t>(kNsec3LabelSize - 1);
  size_t at = 1;
  unsigned bits = 0;
  unsigned bit_count = 0;
  for (const uint8_t byte : hash) {
    bits = (bits << 8) | byte;
    bit_count += 8;
    while (bit_count >= 5) {
      bit_count -= 5;
      out[at++] = static_cast<uint8_t>(kDigits[(bits >> bit_count) & 31]);
    }
  }
}

}  // namespace merlon::name
