// SPDX-License-Identifier: Apache-2.0
// The intervals of one source's word on one indicator: opened, closed, and kept few. A break
// shorter than merge_gap_s is none; what is long past is kept coarser, then forgotten; what still
// is more than intervals_max loses its shortest breaks. Pure functions.
#pragma once

#include <cstdint>
#include <vector>

#include "controlplane/store/codec.h"

namespace merlon::store {

struct HistoryOptions {
  uint32_t merge_gap_s = 15 * 60;
  uint32_t coarse_after_s = 90 * 86400;     // intervals that ended this long ago ...
  uint32_t coarse_gap_s = 86400;            // ... are one when the break between them is shorter
  uint32_t keep_s = uint32_t{730} * 86400;  // an interval is remembered this long after its end
  uint32_t intervals_max = 64;              // of one source on one indicator
};

// The source lists it from `now` on. REQUIRES: not sighting.listed.
void open_interval(Sighting& sighting, uint32_t now, const HistoryOptions& options);
// It does not, since `when`. REQUIRES: sighting.listed.
void close_interval(Sighting& sighting, uint32_t when);
// When the source listed it first, as far as is remembered.
uint32_t first_seen_of(const Sighting& sighting);
// Makes old history smaller; what has nothing left goes. False: it is as it was.
bool compact(std::vector<Sighting>& sightings, uint32_t now, const HistoryOptions& options);

}  // namespace merlon::store
