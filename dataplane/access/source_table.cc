// SPDX-License-Identifier: Apache-2.0
#include "dataplane/access/source_table.h"

#include <sys/mman.h>
#include <sys/random.h>

#include <algorithm>
#include <cerrno>

namespace merlon::access {
namespace {

using address::Bits6;

// Below this many prefixes a table with small pages takes less memory than one with huge pages, and
// its few lines stay in cache anyway.
constexpr size_t kHugePagesFrom = 4096;
// Six in ten slots of a length's table are taken.
constexpr uint64_t slots_for(uint64_t count) {
  return count + count * 2 / 3 + 1;
}
constexpr uint64_t kFilterBitsPerPrefix = 16;
constexpr uint64_t kFilterBitsMax = uint64_t{1} << 31;

// subject + 1 of each address of a /24, and how many runs of equal ones there are.
struct Expanded {
  std::array<uint32_t, 256> values;
  size_t run_count = 1;

  Expanded(uint32_t base, std::span<const snapshot::SourceEntry4> sources) {
    values.fill(base);
    // In segment order a prefix comes after those that hold it.
    for (const snapshot::SourceEntry4& source : sources) {
      std::fill_n(values.begin() + (source.address & 255), 1u << (32 - source.length),
                  source.subject + 1);
    }
    for (size_t i = 1; i < values.size(); ++i) {
      run_count += values[i] != values[i - 1] ? 1u : 0u;
    }
  }

  template <class Out>
  Out runs() const {
    Out out;
    out.starts.fill(255);
    size_t run = 0;
    out.values.fill(values[0]);
    for (size_t i = 1; i < values.size(); ++i) {
      if (values[i] != values[i - 1]) {
        out.starts[run++] = static_cast<uint8_t>(i);
        std::fill(out.values.begin() + static_cast<std::ptrdiff_t>(run), out.values.end(),
                  values[i]);
      }
    }
    return out;
  }
};

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
  if (auto built = table->build4(view.sources4()); !built) {
    return std::unexpected(built.error());
  }
  table->build6(view.sources6());
  return table;
}

SourceTable::~SourceTable() {
  if (first_ != nullptr) {
    ::munmap(first_, kFirstCount * sizeof(uint32_t));
  }
}

// One pass: in segment order (by address, then length) a prefix comes after those that hold it, so
// it overwrites them, and what is longer than /24 within one /24 comes together.
Status SourceTable::build4(std::span<const snapshot::SourceEntry4> sources) {
  few_.push_back({});  // nobody's: see few_of()
  for (size_t i = 0; i < sources.size();) {
    const snapshot::SourceEntry4& source = sources[i];
    if (source.subject >= kNumberMask) {
      return fail(ErrorCode::invalid_argument, "source table: subject number {} is too large",
                  source.subject);
    }
    const size_t first = source.address >> 8;
    if (source.length <= 24) {
      std::fill_n(first_ + first, size_t{1} << (24 - source.length), source.subject + 1);
      ++i;
      continue;
    }
    const size_t from = i;
    while (i < sources.size() && sources[i].address >> 8 == first) {
      if (sources[i].subject >= kNumberMask) {
        return fail(ErrorCode::invalid_argument, "source table: subject number {} is too large",
                    sources[i].subject);
      }
      ++i;
    }
    const auto entry = add_group(sources.subspan(from, i - from));
    if (!entry) {
      return std::unexpected(entry.error());
    }
    first_[first] = *entry;
  }
  return {};
}

Result<uint32_t> SourceTable::add_group(std::span<const snapshot::SourceEntry4> sources) {
  const Expanded expanded(first_[sources.front().address >> 8], sources);
  uint32_t kind = kMany;
  size_t number = many_.size();
  if (expanded.run_count <= std::tuple_size_v<decltype(Few::values)>) {
    kind = kFew;
    number = few_.size();
    few_.push_back(expanded.runs<Few>());
  } else if (expanded.run_count <= std::tuple_size_v<decltype(Some::values)>) {
    kind = kSome;
    number = some_.size();
    some_.push_back(expanded.runs<Some>());
  } else {
    many_.push_back(expanded.values);
  }
  if (number > kNumberMask) {
    return fail(ErrorCode::invalid_argument, "source table: too many prefixes longer than /24");
  }
  return (kind << kKindShift) | static_cast<uint32_t>(number);
}

void SourceTable::build6(std::span<const snapshot::SourceEntry6> sources) {
  std::array<size_t, 129> counts{};
  for (const snapshot::SourceEntry6& entry : sources) {
    ++counts[entry.length];
  }
  std::array<size_t, 129> place{};
  for (size_t length = 129; length-- > 0;) {
    if (counts[length] == 0) {
      continue;
    }
    place[length] = lengths6_.size();
    Length6& one = lengths6_.emplace_back();
    one.mask = ~address::host_mask<Bits6>(static_cast<int>(length));
    one.slot_count = slots_for(counts[length]);
    one.slots.resize(one.slot_count);
    one.filter_bits = std::min(counts[length] * kFilterBitsPerPrefix, kFilterBitsMax);
    one.filter.resize(one.filter_bits / 64 + 1);
  }
  for (const snapshot::SourceEntry6& entry : sources) {
    const Bits6 bits = entry.prefix().bits;
    lengths6_[place[entry.length]].insert(mix(bits), bits, entry.subject);
  }
}

void SourceTable::Length6::insert(uint64_t hash, Bits6 bits, uint32_t subject) {
  const uint64_t bit = filter_bit_of(hash);
  filter[bit / 64] |= uint64_t{1} << (bit % 64);
  uint64_t at = slot_of(hash);
  while (slots[at].subject_plus_one != 0) {
    at = at + 1 == slot_count ? 0 : at + 1;
  }
  slots[at] = {bits, subject + 1};
}

uint32_t SourceTable::Length6::find(uint64_t hash, Bits6 bits) const {
  // Free slots end the walk.
  for (uint64_t at = slot_of(hash); slots[at].subject_plus_one != 0;
       at = at + 1 == slot_count ? 0 : at + 1) {
    if (slots[at].bits == bits) {
      return slots[at].subject_plus_one;
    }
  }
  return 0;
}

void SourceTable::prefetch6(Bits6 address) const {
  for (const Length6& one : lengths6_) {
    prefetch_line(&one.filter[one.filter_bit_of(mix(address & one.mask)) / 64]);
  }
}

SourceTable::Probe SourceTable::probe6(Bits6 address) const {
  for (uint32_t i = 0; i < lengths6_.size(); ++i) {
    const Length6& one = lengths6_[i];
    const uint64_t hash = mix(address & one.mask);
    if (one.may_hold(hash)) {
      prefetch_line(&one.slots[one.slot_of(hash)]);
      return {.hash = hash, .entry = i};
    }
  }
  return {.hash = 0, .entry = static_cast<uint32_t>(lengths6_.size())};
}

uint32_t SourceTable::find6(Bits6 address, const Probe& probe) const {
  uint64_t hash = probe.hash;
  for (uint32_t i = probe.entry; i < lengths6_.size(); ++i) {
    const Length6& one = lengths6_[i];
    const Bits6 bits = address & one.mask;
    hash = i == probe.entry ? hash : mix(bits);
    if (one.may_hold(hash)) {
      if (const uint32_t found = one.find(hash, bits); found != 0) {
        return found - 1;
      }
    }
  }
  return snapshot::kNoSubject;
}

size_t SourceTable::size_bytes() const {
  size_t size = kFirstCount * sizeof(uint32_t) + few_.capacity() * sizeof(Few) +
                some_.capacity() * sizeof(Some) + many_.capacity() * sizeof(Many);
  for (const Length6& one : lengths6_) {
    size += one.slots.capacity() * sizeof(Slot6) + one.filter.capacity() * sizeof(uint64_t);
  }
  return size;
}

}  // namespace merlon::access
