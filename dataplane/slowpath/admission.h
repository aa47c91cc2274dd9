// SPDX-License-Identifier: Apache-2.0
// How many relayed queries are open, in all and per source, so that one device cannot take the slow
// path from the others. Asked by workers before they relay, told by the slow path when a query is
// over: a worker knows at once whether it must answer itself. Two atomic additions for a relayed
// packet, nothing for any other.
//
// A source is an IPv4 address or an IPv6 /64. It has its count in one of kShareCount counters, by a
// hash that is this process's secret; who shares a counter with others has the less room.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "zones/address/address.h"

namespace merlon::slowpath {

class Admission {
 public:
  enum class Verdict : uint8_t { admitted, closed, full, share_full };
  static constexpr size_t kShareCount = 4096;

  // `secret` is random and the same for nobody else.
  Admission(uint32_t total_max, uint32_t share_max, uint64_t secret)
      : total_max_(total_max), share_max_(share_max), secret_(secret) {}

  // Any worker. When admitted, `share` is what release() wants back.
  Verdict admit(const address::Address& source, uint16_t& share);
  void release(uint16_t share);
  // While closed (nobody is there to answer), nothing is admitted. It starts closed.
  void open() { open_.store(true, std::memory_order_relaxed); }
  void close() { open_.store(false, std::memory_order_relaxed); }
  uint32_t total() const { return total_.load(std::memory_order_relaxed); }

 private:
  uint16_t share_of(const address::Address& source) const;

  const uint32_t total_max_;
  const uint32_t share_max_;
  const uint64_t secret_;
  std::atomic<bool> open_{false};
  std::atomic<uint32_t> total_{0};
  std::array<std::atomic<uint32_t>, kShareCount> shares_{};
};

}  // namespace merlon::slowpath
