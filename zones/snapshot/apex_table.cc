// SPDX-License-Identifier: Apache-2.0
#include "zones/snapshot/apex_table.h"

#include <algorithm>
#include <bit>
#include <functional>

namespace merlon::snapshot {

Status ApexTable::build(std::span<const std::shared_ptr<const LoadedZone>> zones,
                        const IndexKey& key) {
  key_ = key;
  std::vector<Entry> made;
  for (const auto& zone : zones) {
    const Bytes apex = zone->view().apex();
    Entry entry;
    entry.zone = zone.get();
    entry.hash = key.hash(apex);
    entry.size = static_cast<uint8_t>(apex.size());
    for (size_t at = 0; apex[at] != 0; at += size_t{apex[at]} + 1) {
      ++entry.depth;
    }
    std::copy_n(apex.begin(), std::min(apex.size(), kInlineSize), entry.apex.begin());
    made.push_back(entry);
    depths_.push_back(entry.depth);
  }
  std::ranges::sort(depths_, std::greater<>());
  depths_.erase(std::unique(depths_.begin(), depths_.end()), depths_.end());
  if (made.size() <= kScannedMax) {
    for (const Entry& entry : made) {
      entries_.insert(
          std::ranges::upper_bound(entries_, entry.depth, std::greater<>(), &Entry::depth), entry);
    }
  } else {
    entries_.resize(std::bit_ceil(made.size() * 2));  // a free slot ends each walk
    slot_mask_ = entries_.size() - 1;
    for (const Entry& entry : made) {
      uint64_t at = entry.hash & slot_mask_;
      while (entries_[at].zone != nullptr) {
        at = (at + 1) & slot_mask_;
      }
      entries_[at] = entry;
    }
  }
  for (const auto& zone : zones) {
    if (find_exactly(zone->view().apex()) != zone.get()) {
      return fail(ErrorCode::corruption, "two zones for {}",
                  name::Name::from_wire(zone->view().apex())->to_text());
    }
  }
  return {};
}

const LoadedZone* ApexTable::find_hashed(Bytes apex) const {
  const uint64_t hash = key_.hash(apex);
  for (uint64_t at = hash & slot_mask_; entries_[at].zone != nullptr; at = (at + 1) & slot_mask_) {
    if (entries_[at].hash == hash && entries_[at].is(apex)) {
      return entries_[at].zone;
    }
  }
  return nullptr;
}

const LoadedZone* ApexTable::find_exactly(Bytes apex) const {
  if (slot_mask_ != 0) {
    return find_hashed(apex);
  }
  const auto at =
      std::ranges::find_if(entries_, [&](const Entry& entry) { return entry.is(apex); });
  return at == entries_.end() ? nullptr : at->zone;
}

const LoadedZone* ApexTable::find_hashed(const LabelledName& name, size_t depth_limit) const {
  for (const uint8_t depth : depths_) {
    if (depth > depth_limit) {
      continue;
    }
    if (const LoadedZone* zone = find_hashed(name.suffix(depth)); zone != nullptr) {
      return zone;
    }
  }
  return nullptr;
}

}  // namespace merlon::snapshot
