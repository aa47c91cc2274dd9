// SPDX-License-Identifier: Apache-2.0
// Who asks most: heavy hitters of a stream of addresses in fixed memory and bounded time.
//
// Space-Saving (Metwally, Agrawal, El Abbadi 2005), in sets of eight: an address belongs to one set
// by a keyed hash; one that is not there takes the place of the set's smallest count and inherits
// that count as its possible error. So within a set that was given n in all, whatever was given
// more than n / 8 is there, and  count - error <= true weight <= count.  An update looks at eight
// entries, whatever the traffic. The key is the process's secret: nobody can choose addresses that
// meet in one set.
//
// One worker writes, anybody reads: each entry has a sequence number that is odd while it changes.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <vector>

#include "zones/address/address.h"

namespace merlon::stats {

class TopSources {
 public:
  static constexpr size_t kSetCount = 32;
  static constexpr size_t kWays = 8;
  // At most so many updates a burst: of a flood only a sample is looked at, with more weight each.
  static constexpr size_t kUpdatesPerBurst = 8;

  struct Entry {
    address::Address address;
    uint64_t count = 0;
    uint64_t error = 0;      // how much of `count` may be others'
    uint32_t last_seen = 0;  // Unix seconds
  };

  TopSources();  // with a random key
  explicit TopSources(uint64_t key) : key_(key) {}

  // The owner's.
  void record(const address::Address& address, uint64_t weight, uint32_t now_s);

  // Anybody's: the entries in no order. An entry that changes all the while is left out.
  std::vector<Entry> entries() const;
  // Same addresses added up, most first, at most count_max.
  static std::vector<Entry> merged(std::vector<Entry> entries, size_t count_max);

 private:
  struct Slot {
    std::atomic<uint64_t> sequence{0};
    std::atomic<uint64_t> high{0};
    std::atomic<uint64_t> low{0};
    std::atomic<uint64_t> count{0};  // 0: free
    std::atomic<uint64_t> error{0};
    std::atomic<uint32_t> last_seen{0};
    std::atomic<uint8_t> family{0};
  };

  size_t set_of(const address::Address& address) const;
  static bool read(const Slot& slot, Entry& entry);

  uint64_t key_;
  std::array<Slot, kSetCount * kWays> slots_;
};

}  // namespace merlon::stats
