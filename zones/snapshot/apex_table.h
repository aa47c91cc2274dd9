// SPDX-License-Identifier: Apache-2.0
// Which zone holds a name: the one with the longest apex that is a suffix of it. With a handful of
// zones their apexes are compared one after the other, longest first, and nothing is hashed; with
// more, one hash per number of labels that apexes have.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "zones/base/error.h"
#include "zones/snapshot/loaded_zone.h"

namespace merlon::snapshot {

class ApexTable {
 public:
  // Errors: corruption when two zones have one apex. The zones must outlive the table.
  Status build(std::span<const std::shared_ptr<const LoadedZone>> zones, const IndexKey& key);

  // Among the zones whose apex has at most depth_max labels; nullptr: none.
  const LoadedZone* find(const LabelledName& name, size_t depth_max) const {
    const size_t depth_limit = std::min(depth_max, name.label_count);
    if (slot_mask_ != 0) {
      return find_hashed(name, depth_limit);
    }
    for (const Entry& entry : entries_) {
      if (entry.depth <= depth_limit && entry.is(name.suffix(entry.depth))) {
        return entry.zone;
      }
    }
    return nullptr;
  }
  // The zone with exactly this apex.
  const LoadedZone* find_exactly(Bytes apex) const;

 private:
  static constexpr size_t kScannedMax = 8;
  static constexpr size_t kInlineSize = 46;

  // One line: what is compared first needs no other.
  struct alignas(64) Entry {
    const LoadedZone* zone = nullptr;  // nullptr: a free slot
    uint64_t hash = 0;
    uint8_t size = 0;
    uint8_t depth = 0;
    std::array<uint8_t, kInlineSize> apex{};  // when it is longer, the zone's is compared

    bool is(Bytes suffix) const {
      return size == suffix.size() &&
             name::same_bytes(size <= kInlineSize ? apex.data() : zone->view().apex().data(),
                              suffix.data(), suffix.size());
    }
  };
  static_assert(sizeof(Entry) == 64);

  const LoadedZone* find_hashed(Bytes apex) const;
  const LoadedZone* find_hashed(const LabelledName& name, size_t depth_limit) const;

  IndexKey key_;
  std::vector<Entry> entries_;   // scanned: by depth, longest first; else slots
  std::vector<uint8_t> depths_;  // in use, longest first
  uint64_t slot_mask_ = 0;       // 0: entries_ are scanned
};

}  // namespace merlon::snapshot
