// SPDX-License-Identifier: Apache-2.0
// How many connections are open, in all and per source. Shared by all workers, touched once when a
// connection is accepted and once when it closes. An IPv6 source is its /64: one host has them all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <unordered_map>

#include "zones/address/address.h"

namespace merlon::dns {

// Thread-safe.
class SourceTable {
 public:
  enum class Admission : uint8_t { admitted, total_full, source_full };

  SourceTable(size_t total_max, size_t per_source_max)
      : total_max_(total_max), per_source_max_(per_source_max) {}

  Admission admit(const address::Address& source) {
    const std::lock_guard lock(mutex_);
    if (total_ >= total_max_) {
      return Admission::total_full;
    }
    const auto [at, is_new] = counts_.try_emplace(key_of(source), 0u);
    if (at->second >= per_source_max_) {
      if (is_new) {
        counts_.erase(at);
      }
      return Admission::source_full;
    }
    ++at->second;
    ++total_;
    return Admission::admitted;
  }

  // REQUIRES: the source was admitted and not released since.
  void release(const address::Address& source) {
    const std::lock_guard lock(mutex_);
    const auto at = counts_.find(key_of(source));
    if (--at->second == 0) {
      counts_.erase(at);
    }
    --total_;
  }

 private:
  // The upper 64 bits of an IPv6 address. IPv4 addresses are below 2^32, where of IPv6 only ::/64
  // (the loopback address) is, which meets nobody but 0.0.0.0.
  static uint64_t key_of(const address::Address& source) {
    return source.family == address::Family::v4 ? static_cast<uint64_t>(source.bits)
                                                : static_cast<uint64_t>(source.bits >> 64);
  }

  const size_t total_max_;
  const size_t per_source_max_;
  std::mutex mutex_;
  size_t total_ = 0;
  std::unordered_map<uint64_t, unsigned> counts_;
};

}  // namespace merlon::dns
