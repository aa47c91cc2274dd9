// SPDX-License-Identifier: Apache-2.0
#include "zones/name/hash.h"

#include <algorithm>

namespace merlon::name {
namespace {

constexpr uint8_t times_two(uint8_t x) {
  return static_cast<uint8_t>((x << 1) ^ ((x & 0x80) != 0 ? 0x1b : 0));
}

constexpr uint8_t rotate_left(uint8_t x, unsigned by) {
  return static_cast<uint8_t>((x << by) | (x >> (8 - by)));
}

// FIPS 197 section 5.1.1: the inverse in GF(2^8), then an affine map. p runs through the powers of
// 3 and q through those of its inverse.
constexpr std::array<uint8_t, 256> make_s_box() {
  std::array<uint8_t, 256> box{};
  uint8_t p = 1;
  uint8_t q = 1;
  do {
    p = static_cast<uint8_t>(p ^ times_two(p));
    q = static_cast<uint8_t>(q ^ (q << 1));
    q = static_cast<uint8_t>(q ^ (q << 2));
    q = static_cast<uint8_t>(q ^ (q << 4));
    q = static_cast<uint8_t>((q & 0x80) != 0 ? q ^ 0x09 : q);
    box[p] = static_cast<uint8_t>(q ^ rotate_left(q, 1) ^ rotate_left(q, 2) ^ rotate_left(q, 3) ^
                                  rotate_left(q, 4) ^ 0x63);
  } while (p != 1);
  box[0] = 0x63;
  return box;
}

constexpr std::array<uint8_t, 256> kSBox = make_s_box();
static_assert(kSBox[0x00] == 0x63 && kSBox[0x53] == 0xed && kSBox[0xff] == 0x16);

struct SoftwareAes {
  using Block = std::array<uint8_t, 16>;

  static Block load(const uint8_t* from) {
    Block block;
    std::memcpy(block.data(), from, block.size());
    return block;
  }
  static Block load_few(const uint8_t* from, size_t size) {
    Block block{};
    if (size >= 4) {
      const size_t half = size >= 8 ? 8 : 4;
      std::memcpy(block.data(), from, half);
      std::memcpy(block.data() + half, from + size - half, half);
    } else if (size > 0) {
      block[0] = from[0];
      block[1] = from[size / 2];
      block[2] = from[size - 1];
    }
    return block;
  }
  static Block of_length(size_t size) { return {static_cast<uint8_t>(size)}; }
  static Block exclusive_or(const Block& a, const Block& b) {
    Block out;
    std::ranges::transform(a, b, out.begin(),
                           [](uint8_t x, uint8_t y) { return static_cast<uint8_t>(x ^ y); });
    return out;
  }
  // SubBytes, ShiftRows, MixColumns, AddRoundKey. Bytes are in column order.
  static Block round(const Block& block, const Block& key) {
    Block out;
    for (size_t column = 0; column < 4; ++column) {
      std::array<uint8_t, 4> s;
      for (size_t row = 0; row < 4; ++row) {
        s[row] = kSBox[block[((column + row) % 4) * 4 + row]];
      }
      const auto all = static_cast<uint8_t>(s[0] ^ s[1] ^ s[2] ^ s[3]);
      for (size_t row = 0; row < 4; ++row) {
        const auto pair = static_cast<uint8_t>(s[row] ^ s[(row + 1) % 4]);
        const size_t at = column * 4 + row;
        out[at] = static_cast<uint8_t>(s[row] ^ all ^ times_two(pair) ^ key[at]);
      }
    }
    return out;
  }
  static uint64_t low(const Block& block) {
    uint64_t value = 0;
    for (size_t i = 8; i-- > 0;) {
      value = (value << 8) | block[i];
    }
    return value;
  }
};

uint64_t hash_in_software(const uint8_t* data, size_t size, const uint8_t* key) {
  return detail::NameHash<SoftwareAes>{key}(data, size);
}

}  // namespace

uint64_t detail::hash_dispatched(const uint8_t* data, size_t size, const uint8_t* key) {
#if defined(__x86_64__)
  static const auto chosen = __builtin_cpu_supports("aes") ? hash_hardware : hash_in_software;
  return chosen(data, size, key);
#else
  return hash_in_software(data, size, key);
#endif
}

uint64_t hash_reference(const HashKey& key, Bytes folded) {
  return hash_in_software(folded.data(), folded.size(), key.secret.data());
}

}  // namespace merlon::name
