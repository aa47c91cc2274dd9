// SPDX-License-Identifier: Apache-2.0
// The Internet's ones' complement sum (RFC 1071), eight bytes at a time. Sums are kept in memory
// order: RFC 1071 section 2 (B) allows that, because swapping all bytes only swaps the result's.
// A sum of 64 bits holds its carries in itself (end-around), so that sums can be added at will;
// fold() makes the 16 bits of a checksum field, still in memory order and not inverted. A sum is
// zero only when every byte is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "zones/base/bytes.h"

namespace merlon::checksum {

// A 16-bit value of a header, given in host order.
constexpr uint64_t word(uint16_t value) {
  return __builtin_bswap16(value);
}

constexpr uint64_t add(uint64_t a, uint64_t b) {
  const uint64_t sum = a + b;
  return sum + (sum < a ? 1 : 0);
}

// Adding a number to itself with its halves swapped leaves their end-around sum in the upper half.
constexpr uint16_t fold(uint64_t sum) {
  const auto half = static_cast<uint32_t>((sum + ((sum >> 32) | (sum << 32))) >> 32);
  return static_cast<uint16_t>((half + ((half >> 16) | (half << 16))) >> 16);
}

inline uint64_t load64(const uint8_t* at) {
  uint64_t value;
  std::memcpy(&value, at, sizeof value);
  return value;
}
inline uint64_t load32(const uint8_t* at) {
  uint32_t value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

// Fewer than eight bytes.
inline uint64_t sum_short(const uint8_t* at, size_t size) {
  uint64_t sum = 0;
  if ((size & 4) != 0) {
    sum = load32(at);
    at += 4;
  }
  if ((size & 2) != 0) {
    uint16_t value;
    std::memcpy(&value, at, sizeof value);
    sum += value;
    at += 2;
  }
  return (size & 1) != 0 ? sum + *at : sum;
}

// The bytes as if they began at an even address; an odd last byte is followed by a zero.
inline uint64_t sum(const uint8_t* data, size_t size) {
  if (size < 8) {
    return sum_short(data, size);
  }
  uint64_t low = 0;
  uint64_t carries = 0;
  const uint8_t* const end = data + size;
  const uint8_t* at = data;
  for (size_t left = size / 8; left > 0; --left, at += 8) {
    const uint64_t value = load64(at);
    low += value;
    carries += low < value ? 1 : 0;
  }
  // The last eight bytes again, less those that were summed already. Two shifts, as one by 64 (of
  // a size that is a multiple of eight) would be undefined.
  const uint64_t rest = (load64(end - 8) >> 1) >> (63 - 8 * (size & 7));
  return add(add(low, rest), carries);
}

inline uint64_t sum(Bytes bytes) {
  return sum(bytes.data(), bytes.size());
}

}  // namespace merlon::checksum
