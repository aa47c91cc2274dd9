// SPDX-License-Identifier: Apache-2.0
// A keyed 64-bit hash of folded wire names, made of AES rounds, which processors have in hardware:
//
//   each block of 16 bytes:  t[i] = R2(R1(block[i] ^ k[i]))      R: one AES encryption round
//   together:                h = low 64 bits of R5(R4(R3(length ^ k[16] ^ t[0] ^ t[1] ..)))
//
// All k and round keys are secret, so that nobody can prepare names that collide: who does not know
// them meets a given difference between two names with a chance below 2^-28, and cannot see whether
// he did. It is no signature; whoever uses it compares whole names afterwards. Blocks do not wait
// for each other: 24 bytes take as long as 200 would, were it not for loading them.
//
// The last block ends where the name ends and overlaps the one before it, so nothing outside the
// name is read; with the length absorbed, different names of one length have different blocks. The
// wire form is not stable between versions: nothing that is stored may depend on a hash.
//
// hash_reference() computes the same with tables and bytes. It is what processors without AES
// instructions use, and what the tests hold the other against.
#pragma once

#if defined(__AES__)
#include <immintrin.h>
#endif

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "zones/base/bytes.h"

namespace merlon::name {

// k[0..15] of the blocks, k[16] of the length, and the keys of the rounds R1..R5 (R2 adds none).
inline constexpr size_t kHashKeyBlocks = 21;

struct alignas(16) HashKey {
  std::array<uint8_t, kHashKeyBlocks * 16> secret{};

  bool operator==(const HashKey&) const = default;
};

namespace detail {

inline constexpr size_t kHashBlock = 16;
inline constexpr size_t kLengthKey = 16;
inline constexpr size_t kRoundKeys = 17;

// Aes: Block, load(from 16 bytes), load_few(from fewer), of_length(n), exclusive_or, round, low.
template <class Aes>
struct NameHash {
  using Block = typename Aes::Block;
  const uint8_t* key;

  Block key_block(size_t i) const { return Aes::load(key + i * kHashBlock); }
  Block mixed(Block block, size_t i) const {
    const Block first = Aes::round(Aes::exclusive_or(block, key_block(i)), key_block(kRoundKeys));
    return Aes::round(first, Aes::of_length(0));
  }
  Block mixed_at(const uint8_t* data, size_t i) const { return mixed(Aes::load(data), i); }

  // Up to 64 bytes without a loop: its length would be a guess that fails.
  Block blocks_of(const uint8_t* data, size_t size) const {
    if (size < kHashBlock) {
      return mixed(Aes::load_few(data, size), 0);
    }
    const uint8_t* last = data + size - kHashBlock;
    Block sum = Aes::exclusive_or(mixed_at(data, 0), mixed_at(last, 1));
    if (size <= 2 * kHashBlock) {
      return sum;
    }
    const Block middle =
        Aes::exclusive_or(mixed_at(data + kHashBlock, 2), mixed_at(last - kHashBlock, 3));
    sum = Aes::exclusive_or(sum, middle);
    size_t i = 4;
    for (const uint8_t* at = data + 2 * kHashBlock; at + kHashBlock < last; at += kHashBlock) {
      sum = Aes::exclusive_or(sum, mixed_at(at, i++));  // at most 255 bytes: i stays below 16
    }
    return sum;
  }

  uint64_t operator()(const uint8_t* data, size_t size) const {
    Block sum = Aes::exclusive_or(blocks_of(data, size), key_block(kLengthKey));
    sum = Aes::exclusive_or(sum, Aes::of_length(size));
    sum = Aes::round(sum, key_block(kRoundKeys + 1));
    sum = Aes::round(sum, key_block(kRoundKeys + 2));
    return Aes::low(Aes::round(sum, key_block(kRoundKeys + 3)));
  }
};

#if defined(__AES__)
struct HardwareAes {
  using Block = __m128i;

  static Block load(const uint8_t* from) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  }
  static Block load_few(const uint8_t* from, size_t size) {
    const auto word = []<class Word>(const uint8_t* at, Word value) {
      std::memcpy(&value, at, sizeof value);
      return static_cast<int64_t>(value);
    };
    if (size >= 8) {
      return _mm_set_epi64x(word(from + size - 8, uint64_t{}), word(from, uint64_t{}));
    }
    if (size >= 4) {
      return _mm_set_epi64x(0, word(from, uint32_t{}) | word(from + size - 4, uint32_t{}) << 32);
    }
    if (size == 0) {
      return _mm_setzero_si128();
    }
    return _mm_set_epi64x(0, from[0] | from[size / 2] << 8 | from[size - 1] << 16);
  }
  static Block of_length(size_t size) { return _mm_set_epi64x(0, static_cast<int64_t>(size)); }
  static Block exclusive_or(Block a, Block b) { return _mm_xor_si128(a, b); }
  static Block round(Block block, Block key) { return _mm_aesenc_si128(block, key); }
  static uint64_t low(Block block) { return static_cast<uint64_t>(_mm_cvtsi128_si64(block)); }
};
#endif

// Which of the two this processor runs is found once.
uint64_t hash_dispatched(const uint8_t* data, size_t size, const uint8_t* key);
// REQUIRES: a processor with AES instructions. Only where the build does not require them anyway.
uint64_t hash_hardware(const uint8_t* data, size_t size, const uint8_t* key);

}  // namespace detail

// REQUIRES: folded.size() <= 255.
inline uint64_t hash_folded(const HashKey& key, Bytes folded) {
#if defined(__AES__)
  return detail::NameHash<detail::HardwareAes>{key.secret.data()}(folded.data(), folded.size());
#else
  return detail::hash_dispatched(folded.data(), folded.size(), key.secret.data());
#endif
}

uint64_t hash_reference(const HashKey& key, Bytes folded);

}  // namespace merlon::name
