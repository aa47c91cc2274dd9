// SPDX-License-Identifier: Apache-2.0
// What the load clients for DNS over TCP share: their query, and latencies in few bytes.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <string>
#include <vector>

#include "zones/base/error.h"

namespace merlon::bench {

struct QueryOptions {
  std::string name{};
  std::string type = "A";
  bool edns = false;
};

// With its length in front and id 0. Errors: invalid_argument.
Result<std::vector<uint8_t>> make_framed_query(const QueryOptions& options);

// Latencies in microseconds, 32 steps per power of two.
class Histogram {
 public:
  void add(uint64_t us) {
    ++counts_[slot_of(us)];
    ++total_;
  }
  // The upper end of the step that holds this part of all values.
  uint64_t quantile(double part) const {
    const uint64_t wanted = static_cast<uint64_t>(part * static_cast<double>(total_));
    uint64_t seen = 0;
    for (size_t slot = 0; slot < counts_.size(); ++slot) {
      seen += counts_[slot];
      if (seen > wanted) {
        return end_of(slot);
      }
    }
    return 0;
  }

 private:
  static constexpr size_t kSteps = 32;
  static size_t slot_of(uint64_t us) {
    if (us < kSteps) {
      return us;
    }
    const auto shift = static_cast<size_t>(std::bit_width(us)) - 6;  // keeps the top six bits
    return std::min(kSlots - 1, (shift + 1) * kSteps + ((us >> shift) - kSteps));
  }
  static uint64_t end_of(size_t slot) {
    if (slot < 2 * kSteps) {
      return slot;
    }
    const size_t shift = slot / kSteps - 1;
    return ((slot % kSteps + kSteps + 1) << shift) - 1;
  }

  static constexpr size_t kSlots = 30 * kSteps;
  std::array<uint64_t, kSlots> counts_{};
  uint64_t total_ = 0;
};

}  // namespace merlon::bench
