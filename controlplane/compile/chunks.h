// SPDX-License-Identifier: Apache-2.0
// Stable chunks: how the addresses of a list are spread over its names, so that one address more or
// less changes one name, two on a split, merge or move between neighbours. A chunk is a range of
// addresses with a number (0 is the list's first name, k its k-th continuation); they behave as the
// leaves of a B-tree. Numbers stay: a chunk that is merged away leaves its number free for the next
// split, and until then its name carries the test address alone. Fill, over all chunks of a list of
// several, stays above 60 %. Pure values.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "zones/address/address.h"
#include "zones/address/range_set.h"

namespace merlon::compile {

template <class Bits>
struct Chunk {
  Bits first = 0;       // its range begins here and ends before the next chunk's first
  uint32_t number = 0;  // of the name
  uint32_t count = 0;   // addresses in it at the last update
  bool operator==(const Chunk&) const = default;
};

template <class Bits>
struct ChunkPlan {
  uint32_t capacity = 0;             // addresses per chunk when it was made
  std::vector<Chunk<Bits>> chunks;   // ascending; the first begins at 0
  uint32_t number_end = 0;           // numbers below it have a name, in use or empty
  bool operator==(const ChunkPlan&) const = default;
};

// The plan for a list that holds `addresses` now, near to the one `before` (empty: none; another
// capacity: made anew).
template <class Bits>
ChunkPlan<Bits> update_chunks(const ChunkPlan<Bits>& before,
                              const address::RangeSet<Bits>& addresses, uint32_t capacity);

}  // namespace merlon::compile
