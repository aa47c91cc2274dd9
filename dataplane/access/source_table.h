// SPDX-License-Identifier: Apache-2.0
// Source address -> subject, longest prefix wins, built off the packet cores from an access
// segment.
//
// IPv4 is a DIR-24-8 table (Gupta, Lin, McKeown 1998; DPDK rte_lpm): one read for prefixes up to
// /24, two for longer ones. Its 64 MiB are reserved, not touched: pages that no prefix needs stay
// unmapped, so a table of a few devices costs a few pages. What a /24 with longer prefixes holds is
// stored as runs of equal addresses: 16 bytes for up to three runs (one device), a cache line for
// up to twelve, a full table of 1 KiB beyond. A million single addresses take 16 MiB, not 1 GiB.
//
// IPv6 is one hash table per prefix length in use, longest first, each behind a filter of 16 bits
// per prefix, so that lengths that do not match are passed over without reading their table.
//
// Over a burst: prefetch for all, probe for all, find for all; each fetches what the next one
// reads. Immutable after build; may be used from any thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "zones/address/address.h"
#include "zones/base/error.h"
#include "zones/base/huge_allocator.h"
#include "zones/base/prefetch.h"
#include "zones/snapshot/access.h"

namespace merlon::access {

class SourceTable {
 public:
  // How far a search has come: IPv4, the entry of the first level; IPv6, the length and the hash of
  // the address cut to it.
  struct Probe {
    uint64_t hash;
    uint32_t entry;
  };

  // Errors: io (no address space), invalid_argument (more prefixes than the table can number).
  static Result<std::unique_ptr<SourceTable>> build(const snapshot::AccessView& view);
  ~SourceTable();
  SourceTable(const SourceTable&) = delete;
  SourceTable& operator=(const SourceTable&) = delete;

  // snapshot::kNoSubject when no prefix holds the address.
  uint32_t find(const address::Address& source) const {
    if (source.family == address::Family::v4) {
      const auto bits = static_cast<address::Bits4>(source.bits);
      return find4(bits, probe4(bits));
    }
    return find6(source.bits, probe6(source.bits));
  }

  // The same in steps. Whoever has many addresses does well to sort them by family before: a branch
  // on it in each step would be a guess.
  void prefetch4(address::Bits4 address) const { prefetch_line(&first_[address >> 8]); }
  Probe probe4(address::Bits4 address) const {
    const uint32_t entry = first_[address >> 8];
    prefetch_line(&few_[few_of(entry)]);
    if (entry >> kKindShift == kSome) [[unlikely]] {
      prefetch_line(&some_[entry & kNumberMask]);
    }
    return {.hash = 0, .entry = entry};
  }
  // `probe`: what probe4() said of this address.
  uint32_t find4(address::Bits4 address, const Probe& probe) const {
    // Entries hold subject + 1, so an untouched (zero) entry turns into kNoSubject by wrapping.
    return value4(probe.entry, static_cast<uint8_t>(address)) - 1;
  }
  void prefetch6(address::Bits6 address) const;
  Probe probe6(address::Bits6 address) const;
  uint32_t find6(address::Bits6 address, const Probe& probe) const;
  // What was allocated; the first level counts whole, though only touched pages are there.
  size_t size_bytes() const;

 private:
  static constexpr size_t kFirstCount = size_t{1} << 24;
  // The upper two bits of an entry: subject + 1, or where the runs of its /24 are.
  static constexpr uint32_t kKindShift = 30;
  static constexpr uint32_t kNumberMask = (uint32_t{1} << kKindShift) - 1;
  enum Kind : uint32_t { kSubject = 0, kFew = 1, kSome = 2, kMany = 3 };

  // kCount runs of addresses in a /24: run i starts at starts[i - 1], the first at 0. Runs that do
  // not exist repeat the last value.
  template <size_t kCount, size_t kStartBytes>
  struct Runs {
    std::array<uint8_t, kStartBytes> starts;
    std::array<uint32_t, kCount> values;

    uint32_t at(uint8_t low) const {
      size_t run = 0;
      for (size_t i = 0; i + 1 < kCount; ++i) {
        run += low >= starts[i] ? 1u : 0u;
      }
      return values[run];
    }
  };
  using Few = Runs<3, 4>;
  struct alignas(64) Some : Runs<12, 16> {};
  using Many = std::array<uint32_t, 256>;
  static_assert(sizeof(Few) == 16 && sizeof(Some) == 64);

  struct alignas(32) Slot6 {
    address::Bits6 bits = 0;
    uint32_t subject_plus_one = 0;  // 0: free
  };
  struct Length6 {
    address::Bits6 mask = 0;
    uint64_t slot_count = 0;
    uint64_t filter_bits = 0;
    HugeVector<Slot6> slots;
    HugeVector<uint64_t> filter;

    uint64_t slot_of(uint64_t hash) const {
      return (uint64_t{static_cast<uint32_t>(hash)} * slot_count) >> 32;
    }
    uint64_t filter_bit_of(uint64_t hash) const { return ((hash >> 32) * filter_bits) >> 32; }
    bool may_hold(uint64_t hash) const {
      const uint64_t bit = filter_bit_of(hash);
      return ((filter[bit / 64] >> (bit % 64)) & 1) != 0;
    }
    uint32_t find(uint64_t hash, address::Bits6 bits) const;  // subject + 1, 0: none
    void insert(uint64_t hash, address::Bits6 bits, uint32_t subject);
  };

  SourceTable() = default;
  // The entry's runs when it is of that kind, else the first, which are nobody's.
  static uint32_t few_of(uint32_t entry) {
    return entry >> kKindShift == kFew ? entry & kNumberMask : 0;
  }
  // Which of the two common kinds an entry is cannot be guessed, so neither is branched on.
  uint32_t value4(uint32_t entry, uint8_t low) const {
    const uint32_t kind = entry >> kKindShift;
    const uint32_t few = few_[few_of(entry)].at(low);
    if (kind > kFew) [[unlikely]] {
      const uint32_t number = entry & kNumberMask;
      return kind == kSome ? some_[number].at(low) : many_[number][low];
    }
    const uint32_t is_few = 0 - kind;  // all bits
    return (few & is_few) | (entry & ~is_few);
  }
  uint64_t mix(address::Bits6 bits) const;
  Status build4(std::span<const snapshot::SourceEntry4> sources);
  // `sources`: the prefixes longer than /24 of one /24. Returns its entry.
  Result<uint32_t> add_group(std::span<const snapshot::SourceEntry4> sources);
  void build6(std::span<const snapshot::SourceEntry6> sources);

  std::array<uint64_t, 3> secret_{};
  uint32_t* first_ = nullptr;
  HugeVector<Few> few_;
  HugeVector<Some> some_;
  HugeVector<Many> many_;
  std::vector<Length6> lengths6_;  // tidy: start-up only
};

}  // namespace merlon::access
