// SPDX-License-Identifier: Apache-2.0
#include "dataplane/stats/top_sources.h"

#include <sys/random.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "zones/base/assert.h"

namespace merlon::stats {
namespace {

constexpr int kReadTriesMax = 64;

uint64_t high_of(const address::Address& address) {
  return static_cast<uint64_t>(address.bits >> 64);
}
uint64_t low_of(const address::Address& address) {
  return static_cast<uint64_t>(address.bits);
}

// The high half of the product folded onto the low one (as wyhash does): the key decides which
// addresses meet.
uint64_t mix(uint64_t a, uint64_t b) {
  const address::Bits6 product = address::Bits6{a} * b;
  return static_cast<uint64_t>(product >> 64) ^ static_cast<uint64_t>(product);
}

}  // namespace

TopSources::TopSources() : key_(0) {
  MERLON_ASSERT(::getrandom(&key_, sizeof key_, 0) == sizeof key_);
}

size_t TopSources::set_of(const address::Address& address) const {
  const uint64_t first = mix(high_of(address) ^ key_, 0x9e3779b97f4a7c15u ^ (key_ << 1 | 1));
  const uint64_t second =
      mix(low_of(address) ^ first ^ static_cast<uint64_t>(address.family), key_ | 1);
  return (second ^ second >> 32) % kSetCount;
}

void TopSources::record(const address::Address& address, uint64_t weight, uint32_t now_s) {
  constexpr auto kRelaxed = std::memory_order_relaxed;
  // A reader that sees any new field also sees the odd sequence number before it.
  constexpr auto kAfterSequence = std::memory_order_release;
  Slot* const set = &slots_[set_of(address) * kWays];
  const uint64_t high = high_of(address);
  const uint64_t low = low_of(address);
  const auto family = static_cast<uint8_t>(address.family);
  Slot* smallest = set;
  for (size_t i = 0; i < kWays; ++i) {
    Slot& slot = set[i];
    const uint64_t count = slot.count.load(kRelaxed);
    if (count != 0 && slot.low.load(kRelaxed) == low && slot.high.load(kRelaxed) == high &&
        slot.family.load(kRelaxed) == family) {
      // Address and error stay, so no reader can mix up anything.
      slot.count.store(count + weight, kRelaxed);
      slot.last_seen.store(now_s, kRelaxed);
      return;
    }
    if (count < smallest->count.load(kRelaxed)) {
      smallest = &slot;
    }
  }
  const uint64_t sequence = smallest->sequence.load(kRelaxed);
  const uint64_t before = smallest->count.load(kRelaxed);
  smallest->sequence.store(sequence + 1, kRelaxed);
  smallest->high.store(high, kAfterSequence);
  smallest->low.store(low, kAfterSequence);
  smallest->family.store(family, kAfterSequence);
  smallest->error.store(before, kAfterSequence);
  smallest->count.store(before + weight, kAfterSequence);
  smallest->last_seen.store(now_s, kAfterSequence);
  smallest->sequence.store(sequence + 2, std::memory_order_release);
}

bool TopSources::read(const Slot& slot, Entry& entry) {
  for (int i = 0; i < kReadTriesMax; ++i) {
    const uint64_t before = slot.sequence.load(std::memory_order_acquire);
    entry.address.bits = (address::Bits6{slot.high.load(std::memory_order_acquire)} << 64) |
                         slot.low.load(std::memory_order_acquire);
    entry.address.family =
        static_cast<address::Family>(slot.family.load(std::memory_order_acquire));
    entry.error = slot.error.load(std::memory_order_acquire);
    entry.count = slot.count.load(std::memory_order_acquire);
    entry.last_seen = slot.last_seen.load(std::memory_order_acquire);
    if (before % 2 == 0 && slot.sequence.load(std::memory_order_relaxed) == before) {
      return entry.count != 0;
    }
  }
  return false;
}

std::vector<TopSources::Entry> TopSources::entries() const {
  std::vector<Entry> found;
  Entry entry;
  for (const Slot& slot : slots_) {
    if (read(slot, entry)) {
      found.push_back(entry);
    }
  }
  return found;
}

std::vector<TopSources::Entry> TopSources::merged(std::vector<Entry> entries, size_t count_max) {
  std::map<std::tuple<address::Family, address::Bits6>, Entry> sums;
  for (const Entry& entry : entries) {
    Entry& sum = sums[{entry.address.family, entry.address.bits}];
    sum.address = entry.address;
    sum.count += entry.count;
    sum.error += entry.error;
    sum.last_seen = std::max(sum.last_seen, entry.last_seen);
  }
  entries.clear();
  for (const auto& [address, sum] : sums) {
    entries.push_back(sum);
  }
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return a.count > b.count; });
  entries.resize(std::min(entries.size(), count_max));
  return entries;
}

}  // namespace merlon::stats
