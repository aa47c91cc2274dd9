// SPDX-License-Identifier: Apache-2.0
#include "controlplane/store/history.h"

#include <algorithm>

namespace merlon::store {
namespace {

uint32_t before(uint32_t now, uint32_t span) {
  return now > span ? now - span : 0;
}

// The shortest breaks between earlier intervals, and to the latest one, are taken for none.
void limit_count(Sighting& sighting, size_t count_max) {
  std::vector<StoredInterval>& earlier = sighting.earlier;
  while (earlier.size() + 1 > std::max<size_t>(count_max, 1)) {
    size_t shortest = 0;
    uint32_t shortest_gap = UINT32_MAX;
    for (size_t i = 0; i < earlier.size(); ++i) {
      const uint32_t next = i + 1 < earlier.size() ? earlier[i + 1].from : sighting.first_seen;
      if (next - earlier[i].until < shortest_gap) {
        shortest = i;
        shortest_gap = next - earlier[i].until;
      }
    }
    if (shortest + 1 < earlier.size()) {
      earlier[shortest + 1].from = earlier[shortest].from;
    } else {
      sighting.first_seen = earlier[shortest].from;
    }
    earlier.erase(earlier.begin() + static_cast<ptrdiff_t>(shortest));
  }
}

bool merge_old(Sighting& sighting, uint32_t old_until, uint32_t gap) {
  std::vector<StoredInterval>& earlier = sighting.earlier;
  bool merged = false;
  for (size_t i = 1; i < earlier.size();) {
    if (earlier[i].until <= old_until && earlier[i].from - earlier[i - 1].until < gap) {
      earlier[i].from = earlier[i - 1].from;
      earlier.erase(earlier.begin() + static_cast<ptrdiff_t>(i - 1));
      merged = true;
    } else {
      ++i;
    }
  }
  return merged;
}

}  // namespace

void open_interval(Sighting& sighting, uint32_t now, const HistoryOptions& options) {
  sighting.listed = true;
  const uint32_t ended = sighting.last_seen;
  sighting.last_seen = 0;
  if (now <= ended || now - ended < options.merge_gap_s) {  // a clock may have gone back
    return;
  }
  sighting.earlier.push_back({.from = sighting.first_seen, .until = ended});
  sighting.first_seen = now;
  limit_count(sighting, options.intervals_max);
}

void close_interval(Sighting& sighting, uint32_t when) {
  sighting.listed = false;
  sighting.last_seen = std::max(when, sighting.first_seen);
}

uint32_t first_seen_of(const Sighting& sighting) {
  return sighting.earlier.empty() ? sighting.first_seen : sighting.earlier.front().from;
}

bool compact(std::vector<Sighting>& sightings, uint32_t now, const HistoryOptions& options) {
  const uint32_t forgotten = before(now, options.keep_s);
  bool changed = false;
  for (Sighting& sighting : sightings) {
    const size_t count = sighting.earlier.size();
    std::erase_if(sighting.earlier,
                  [&](const StoredInterval& interval) { return interval.until < forgotten; });
    changed = changed || sighting.earlier.size() != count;
    changed =
        merge_old(sighting, before(now, options.coarse_after_s), options.coarse_gap_s) || changed;
  }
  const size_t gone = std::erase_if(sightings, [&](const Sighting& sighting) {
    return !sighting.listed && sighting.last_seen < forgotten;
  });
  return changed || gone != 0;
}

}  // namespace merlon::store
