// SPDX-License-Identifier: Apache-2.0
// Folding (ASCII A-Z to a-z, RFC 4343) and comparing bytes, 16 at a time. Names are 20 to 40 bytes
// as a rule, so what costs is not the bytes but loops whose length the processor cannot guess: up
// to 64 bytes go without one. Blocks overlap at the end, so nothing outside the given bytes is read
// or written. The vectors are the compiler's own, which every 64-bit processor has in hardware.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace merlon::name {

constexpr uint8_t fold(uint8_t c) {
  return static_cast<uint8_t>(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

// fold() of eight bytes at once. Bit 7 of each byte of the masks says: ASCII, at least 'A', above
// 'Z'.
constexpr uint64_t fold_word(uint64_t word) {
  constexpr uint64_t kEach = 0x0101010101010101;
  const uint64_t low = word & (0x7f * kEach);
  const uint64_t at_least_a = low + (0x80 - 'A') * kEach;
  const uint64_t above_z = low + (0x7f - 'Z') * kEach;
  const uint64_t upper = ~word & (at_least_a ^ above_z) & (0x80 * kEach);
  return word | (upper >> 2);
}

namespace detail {

using Block = uint8_t __attribute__((vector_size(16)));
using BlockWords = uint64_t __attribute__((vector_size(16)));
inline constexpr size_t kBlockSize = sizeof(Block);

inline Block load_block(const uint8_t* from) {
  Block block;
  std::memcpy(&block, from, sizeof block);
  return block;
}

inline Block fold_block(Block block) {
  const Block from_a = block - uint8_t{'A'};
  const Block case_bit = {0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20,
                          0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20};
  return block | (reinterpret_cast<Block>(from_a < uint8_t{26}) & case_bit);
}

inline void fold_one(const uint8_t* in, uint8_t* out) {
  const Block block = fold_block(load_block(in));
  std::memcpy(out, &block, sizeof block);
}

inline Block difference(const uint8_t* a, const uint8_t* b) {
  return load_block(a) ^ load_block(b);
}

inline bool is_zero(Block block) {
  const auto words = reinterpret_cast<BlockWords>(block);
  return (words[0] | words[1]) == 0;
}

template <class Word>
Word load_word(const uint8_t* from) {
  Word word;
  std::memcpy(&word, from, sizeof word);
  return word;
}

inline void fold_few(const uint8_t* in, size_t size, uint8_t* out) {
  constexpr size_t kStep = sizeof(uint64_t);
  if (size < kStep) {
    for (size_t i = 0; i < size; ++i) {
      out[i] = fold(in[i]);
    }
    return;
  }
  const uint64_t first = fold_word(load_word<uint64_t>(in));
  const uint64_t last = fold_word(load_word<uint64_t>(in + size - kStep));
  std::memcpy(out, &first, kStep);
  std::memcpy(out + size - kStep, &last, kStep);
}

}  // namespace detail

// out[0..size) = folded in[0..size).
inline void fold_bytes(const uint8_t* in, size_t size, uint8_t* out) {
  using detail::fold_one;
  using detail::kBlockSize;
  if (size < kBlockSize) {
    detail::fold_few(in, size, out);
    return;
  }
  const size_t last = size - kBlockSize;
  if (size > 4 * kBlockSize) {
    for (size_t at = 0; at < last; at += kBlockSize) {
      fold_one(in + at, out + at);
    }
  } else if (size > 2 * kBlockSize) {
    fold_one(in, out);
    fold_one(in + kBlockSize, out + kBlockSize);
    fold_one(in + last - kBlockSize, out + last - kBlockSize);
  } else {
    fold_one(in, out);
  }
  fold_one(in + last, out + last);
}

inline bool same_bytes(const uint8_t* a, const uint8_t* b, size_t size) {
  using detail::difference;
  using detail::kBlockSize;
  if (size >= kBlockSize) {
    const size_t last = size - kBlockSize;
    detail::Block all = difference(a, b) | difference(a + last, b + last);
    if (size > 2 * kBlockSize) {
      for (size_t at = kBlockSize; at < last; at += kBlockSize) {
        all |= difference(a + at, b + at);
      }
    }
    return detail::is_zero(all);
  }
  if (size >= 8) {
    using detail::load_word;
    return ((load_word<uint64_t>(a) ^ load_word<uint64_t>(b)) |
            (load_word<uint64_t>(a + size - 8) ^ load_word<uint64_t>(b + size - 8))) == 0;
  }
  for (size_t i = 0; i < size; ++i) {
    if (a[i] != b[i]) {
      return false;
    }
  }
  return true;
}

}  // namespace merlon::name
