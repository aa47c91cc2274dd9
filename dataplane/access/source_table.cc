// SPDX-License-Identifier: Apache-2.0
#include "dataplane/access/source_table.h"

#include <sys/mman.h>
#include <sys/random.h>

#include <algorithm>
#include <bit>
#include <cerrno>

namespace merlon::access {
namespace {

using address::Bits6;

// Below this many prefixes a table with small pages takes less memory than one with huge pages, and
// its few lines stay in cache anyway.
constexpr size_t kHugePagesFrom = 4096;

}  // namespace

// Customers register prefixes themselves, so without a secret one of them could register many that
// collide and make every other customer's packets walk them (the multiply-and-fold of wyhash).
uint64_t SourceTable::mix(Bits6 bits) const {
  const Bits6 product = Bits6{static_cast<uint64_t>(bits >> 64) ^ secret_[0]} *
                        (static_cast<uint64_t>(bits) ^ secret_[1]);
  const uint64_t folded = static_cast<uint64_t>(product >> 64) ^ static_cast<uint64_t>(product);
  const Bits6 again = Bits6{folded ^ secret_[2]} * 0x9E3779B97F4A7C15u;
  return static_cast<uint64_t>(again >> 64) ^ static_cast<uint64_t>(again);
}

Result<std::unique_ptr<SourceTable>> SourceTable::build(const snapshot::AccessView& view) {
  std::unique_ptr<SourceTable> table(new SourceTable);  // tidy: start-up only
  void* memory = ::mmap(nullptr, kFirstCount * sizeof(uint32_t), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    return fail_errno("reserve 64 MiB for the source table", errno);
  }
  table->first_ = static_cast<uint32_t*>(memory);
  if (view.sources4().size() >= kHugePagesFrom) {
    ::madvise(memory, kFirstCount * sizeof(uint32_t), MADV_HUGEPAGE);  // a wish
  }
  if (::getrandom(table->secret_.data(), sizeof table->secret_, 0) != sizeof table->secret_) {
    return fail_errno("read random bytes for the source table", errno);
  }
  // Shorter prefixes first, so that longer ones overwrite them.
  for (unsigned length = 0; length <= 32; ++length) {
    for (const snapshot::SourceEntry4& entry : view.sources4()) {
      if (entry.length != length) {
        continue;
      }
      if (auto inserted = table->insert4(entry); !inserted) {
        return std::unexpected(inserted.error());
      }
    }
  }
  table->build6(view);
  return table;
}

SourceTable::~SourceTable() {
  if (first_ != nullptr) {
    ::munmap(first_, kFirstCount * sizeof(uint32_t));
  }
}

Status SourceTable::insert4(const snapshot::SourceEntry4& entry) {
  const uint32_t value = entry.subject + 1;
  if ((value & kGroupFlag) != 0) {
    return fail(ErrorCode::invalid_argument, "source table: subject number {} is too large",
                entry.subject);
  }
  const size_t first = entry.address >> 8;
  if (entry.length <= 24) {
    // No group can exist yet: lengths come in ascending order.
    std::fill_n(first_ + first, size_t{1} << (24 - entry.length), value);
    return {};
  }
  uint32_t group = first_[first] & ~kGroupFlag;
  if ((first_[first] & kGroupFlag) == 0) {
    group = static_cast<uint32_t>(second_.size() / 256);
    if ((group & kGroupFlag) != 0) {
      return fail(ErrorCode::invalid_argument, "source table: too many prefixes longer than /24");
    }
    second_.insert(second_.end(), 256, first_[first]);
    first_[first] = group | kGroupFlag;
  }
  const size_t at = group * size_t{256} + (entry.address & 255);
  std::fill_n(second_.begin() + static_cast<std::ptrdiff_t>(at), size_t{1} << (32 - entry.length),
              value);
  return {};
}

void SourceTable::build6(const snapshot::AccessView& view) {
  std::array<size_t, 129> counts{};
  for (const snapshot::SourceEntry6& entry : view.sources6()) {
    ++counts[entry.length];
  }
  std::array<size_t, 129> place{};
  for (size_t length = 129; length-- > 0;) {
    if (counts[length] == 0) {
      continue;
    }
    place[length] = lengths6_.size();
    Length6 one;
    one.mask = ~address::host_mask<Bits6>(static_cast<int>(length));
    one.slots.resize(std::bit_ceil(counts[length] * 2));
    one.slot_mask = one.slots.size() - 1;
    lengths6_.push_back(std::move(one));
  }
  for (const snapshot::SourceEntry6& entry : view.sources6()) {
    Length6& one = lengths6_[place[entry.length]];
    const Bits6 bits = entry.prefix().bits;
    uint64_t at = mix(bits) & one.slot_mask;
    while (one.slots[at].subject_plus_one != 0) {
      at = (at + 1) & one.slot_mask;
    }
    one.slots[at] = {bits, entry.subject + 1};
  }
}

uint32_t SourceTable::find6(Bits6 address) const {
  for (const Length6& one : lengths6_) {
    const Bits6 bits = address & one.mask;
    for (uint64_t at = mix(bits) & one.slot_mask; one.slots[at].subject_plus_one != 0;
         at = (at + 1) & one.slot_mask) {
      if (one.slots[at].bits == bits) {
        return one.slots[at].subject_plus_one - 1;
      }
    }
  }
  return snapshot::kNoSubject;
}

}  // namespace merlon::access
