// SPDX-License-Identifier: Apache-2.0
// Stable chunks: how the addresses of a list are spread over its names, so that one address more or
// less changes one name, two on a split, merge or move between neighbours. A chunk is a range of
// addresses with a number (0 is the list's first name, k its k-th continuation); they behave as the
// leaves of a B-tree. Numbers stay: a chunk that is merged away leaves its number free for the next
// split, and until then its name carries the test address alone.
//
// Whatever is moved is moved between a chunk that the update changes anyway and a neighbour. A full
// chunk first shares with a neighbour that has room, and is split when there is none. Two that fit
// in one become one. When the list as a whole gets loose (kLoose), neighbours that do not fit in
// one are packed: one is filled, the other is what the next edit beside it can merge. So a list of
// many chunks stays filled above 60 %; one of few may have one chunk more than the fewest that
// could hold it, because two names must not change for an edit under a third.
// Pure values; the same history gives the same plan.
#pragma once

#include <cstdint>
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
  uint32_t capacity = 0;            // addresses per chunk when it was made
  std::vector<Chunk<Bits>> chunks;  // ascending; the first begins at 0
  uint32_t number_end = 0;          // numbers below it have a name, in use or empty
  bool operator==(const ChunkPlan&) const = default;
};

// The plan for a list that holds `addresses` now, near to the one `before` (empty: none; another
// capacity: made anew, but no name goes away). A set that is and was empty has an empty plan.
// REQUIRES: capacity > 0, fewer than 2^32 addresses.
template <class Bits>
ChunkPlan<Bits> update_chunks(const ChunkPlan<Bits>& before,
                              const address::RangeSet<Bits>& addresses, uint32_t capacity);

extern template ChunkPlan<address::Bits4> update_chunks(const ChunkPlan<address::Bits4>&,
                                                        const address::RangeSet4&, uint32_t);
extern template ChunkPlan<address::Bits6> update_chunks(const ChunkPlan<address::Bits6>&,
                                                        const address::RangeSet6&, uint32_t);

}  // namespace merlon::compile
