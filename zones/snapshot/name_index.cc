// SPDX-License-Identifier: Apache-2.0
#include "zones/snapshot/name_index.h"

#include <algorithm>

#include "zones/base/assert.h"

namespace merlon::snapshot {
namespace {

// 4.25 numbers for ten places: 15 bytes a name.
constexpr uint64_t kPerFourBuckets = 17;

}  // namespace

void NameIndex::reset(size_t count) {
  MERLON_ASSERT(count < kNone);
  bucket_count_ =
      std::max<uint64_t>(1, (uint64_t{count} * 4 + kPerFourBuckets - 1) / kPerFourBuckets);
  memory_.assign(bucket_count_, Bucket{});
  buckets_ = memory_.data();
}

void NameIndex::insert(uint64_t hash, uint32_t number) {
  size_t at = place(hash);
  while (memory_[at].used == kPlaces) {
    memory_[at].is_full = 1;
    at = at + 1 == bucket_count_ ? 0 : at + 1;
  }
  Bucket& bucket = memory_[at];
  bucket.tags[bucket.used] = tag_of(hash);
  bucket.numbers[bucket.used] = number;
  ++bucket.used;
}

}  // namespace merlon::snapshot
