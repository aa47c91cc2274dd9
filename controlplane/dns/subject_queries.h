// SPDX-License-Identifier: Apache-2.0
// How many queries each subject sent over TCP: beside the data plane's count of truncated answers
// it says who was told to come over TCP and never came. One worker adds, anybody reads; the lock is
// that worker's own and free but for the moments of a report. As many entries as there were
// subjects since the start.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "zones/snapshot/access.h"

namespace merlon::dns {

// By account and device.
using SubjectCounts = std::map<std::pair<uint32_t, uint32_t>, uint64_t>;

class SubjectQueries {
 public:
  void add(const snapshot::Subject& subject) {
    const std::lock_guard lock(mutex_);
    ++counts_[uint64_t{subject.account} << 32 | subject.device];
  }
  void add_into(SubjectCounts& sum) const {
    const std::lock_guard lock(mutex_);
    for (const auto& [key, count] : counts_) {
      sum[{static_cast<uint32_t>(key >> 32), static_cast<uint32_t>(key)}] += count;
    }
  }

 private:
  mutable std::mutex mutex_;
  std::unordered_map<uint64_t, uint64_t> counts_;
};

}  // namespace merlon::dns
