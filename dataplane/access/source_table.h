// SPDX-License-Identifier: Apache-2.0
// Source address -> subject, longest prefix wins, built off the packet cores from an access
// segment.
//
// IPv4 is a DIR-24-8 table (Gupta, Lin, McKeown 1998; DPDK rte_lpm): one read for prefixes up to
// /24, two for longer ones. Its 64 MiB are reserved, not touched: pages that no prefix needs stay
// unmapped, so a table of a few devices costs a few pages. IPv6 is one hash table per prefix length
// in use, longest first. Immutable after build; find() may be called from any thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "zones/address/address.h"
#include "zones/base/error.h"
#include "zones/base/huge_allocator.h"
#include "zones/snapshot/access.h"

namespace merlon::access {

class SourceTable {
 public:
  // Errors: io (no address space), invalid_argument (more prefixes than the table can number).
  static Result<std::unique_ptr<SourceTable>> build(const snapshot::AccessView& view);
  ~SourceTable();
  SourceTable(const SourceTable&) = delete;
  SourceTable& operator=(const SourceTable&) = delete;

  void prefetch(const address::Address& source) const {
    if (source.family == address::Family::v4) {
      __builtin_prefetch(&first_[static_cast<uint32_t>(source.bits) >> 8]);
    }
  }
  // snapshot::kNoSubject when no prefix holds the address.
  uint32_t find(const address::Address& source) const {
    return source.family == address::Family::v4 ? find4(static_cast<uint32_t>(source.bits))
                                                : find6(source.bits);
  }

 private:
  static constexpr uint32_t kGroupFlag = 0x8000'0000;  // the entry is a group of 256, not a subject
  static constexpr size_t kFirstCount = size_t{1} << 24;

  struct Slot6 {
    address::Bits6 bits = 0;
    uint32_t subject_plus_one = 0;  // 0: free
  };
  struct Length6 {
    address::Bits6 mask = 0;
    uint64_t slot_mask = 0;
    HugeVector<Slot6> slots;
  };

  SourceTable() = default;
  uint32_t find4(uint32_t address) const {
    // Entries hold subject + 1, so an untouched (zero) entry turns into kNoSubject by wrapping.
    const uint32_t entry = first_[address >> 8];
    if ((entry & kGroupFlag) == 0) {
      return entry - 1;
    }
    return second_[(entry & ~kGroupFlag) * size_t{256} + (address & 255)] - 1;
  }
  uint64_t mix(address::Bits6 bits) const;
  uint32_t find6(address::Bits6 address) const;
  Status insert4(const snapshot::SourceEntry4& entry);
  void build6(const snapshot::AccessView& view);

  std::array<uint64_t, 3> secret_{};
  uint32_t* first_ = nullptr;
  HugeVector<uint32_t> second_;
  std::vector<Length6> lengths6_;  // tidy: start-up only
};

}  // namespace merlon::access
