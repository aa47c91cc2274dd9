// SPDX-License-Identifier: Apache-2.0
// Hash -> number, for the names of one zone: buckets of one cache line with ten places, each a tag
// of 16 bits from the hash and a number of 32. One line decides almost every lookup; the tags of a
// bucket are compared at once. A bucket that is full hands what follows to its neighbour and says
// so. A name that has moved costs its lookup two misses one after the other, so the load is chosen
// to move one in six hundred.
//
// Whoever uses it compares what the number stands for: a tag is no proof. Not changed after it was
// built; readable from any thread.
#pragma once

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "zones/base/huge_allocator.h"
#include "zones/base/prefetch.h"

namespace merlon::snapshot {

class NameIndex {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  // Makes room for `count` insertions; what was there is gone.
  void reset(size_t count);
  // REQUIRES: number != kNone; no more insertions than reset() was told.
  void insert(uint64_t hash, uint32_t number);

  void prefetch(uint64_t hash) const { prefetch_line(&buckets_[place(hash)]); }
  // The first number that may be the one, kNone when there is none.
  uint32_t candidate(uint64_t hash) const {
    return find(hash, [](uint32_t) { return true; });
  }
  // The number for which is(number) holds among those inserted with this hash, or kNone.
  template <class Is>
  uint32_t find(uint64_t hash, Is&& is) const {
    const uint16_t tag = tag_of(hash);
    for (size_t at = place(hash);; at = at + 1 == bucket_count_ ? 0 : at + 1) {
      const Bucket& bucket = buckets_[at];
      for (unsigned matches = matches_of(bucket, tag); matches != 0; matches &= matches - 1) {
        const uint32_t number = bucket.numbers[static_cast<unsigned>(std::countr_zero(matches))];
        if (is(number)) {
          return number;
        }
      }
      if (bucket.is_full == 0) {
        return kNone;  // more places than numbers, so the walk ends
      }
    }
  }
  size_t size_bytes() const { return bucket_count_ * sizeof(Bucket); }

 private:
  static constexpr size_t kPlaces = 10;

  struct alignas(64) Bucket {
    std::array<uint16_t, kPlaces> tags;
    std::array<uint32_t, kPlaces> numbers;
    uint16_t used;
    uint16_t is_full;  // and was full when another number came
  };
  static_assert(sizeof(Bucket) == 64);

  size_t place(uint64_t hash) const {
    return static_cast<size_t>((uint64_t{static_cast<uint32_t>(hash)} * bucket_count_) >> 32);
  }
  static uint16_t tag_of(uint64_t hash) { return static_cast<uint16_t>(hash >> 48); }
  // Bit i: place i is used and has this tag.
  static unsigned matches_of(const Bucket& bucket, uint16_t tag) {
    const unsigned used = (1u << bucket.used) - 1;
#if defined(__SSE2__)
    // The second vector is two tags and what lies behind them.
    const auto* tags = reinterpret_cast<const __m128i*>(&bucket);
    const __m128i wanted = _mm_set1_epi16(static_cast<int16_t>(tag));
    const __m128i same = _mm_packs_epi16(_mm_cmpeq_epi16(_mm_load_si128(tags), wanted),
                                         _mm_cmpeq_epi16(_mm_load_si128(tags + 1), wanted));
    return static_cast<unsigned>(_mm_movemask_epi8(same)) & used;
#else
    unsigned matches = 0;
    for (size_t i = 0; i < kPlaces; ++i) {
      matches |= (bucket.tags[i] == tag ? 1u : 0u) << i;
    }
    return matches & used;
#endif
  }

  const Bucket* buckets_ = nullptr;
  uint64_t bucket_count_ = 0;
  HugeVector<Bucket> memory_;
};

}  // namespace merlon::snapshot
