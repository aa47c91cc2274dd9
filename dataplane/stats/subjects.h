// SPDX-License-Identifier: Apache-2.0
// What each subject (account and device) asked and was told. A subject's index changes from one
// snapshot to the next, so numbers are kept by slot: the registry gives every subject a slot when a
// snapshot is loaded and keeps it as long as the subject is there. Each worker has a table of its
// own, a cache line a slot, written without locks; who wants numbers adds the tables up.
//
// A slot whose subject is gone is used again only after no worker can write to it any more
// (quiescence) and its numbers were added to those of all that are gone. Slot 0 belongs to nobody:
// unregistered sources, and subjects beyond the last slot.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "dataplane/stats/lazy_array.h"
#include "dataplane/stats/troubles.h"
#include "zones/answer/outcome.h"
#include "zones/base/huge_allocator.h"
#include "zones/snapshot/access.h"

namespace merlon::stats {

inline constexpr uint32_t kSlotCount = 1u << 20;
inline constexpr uint32_t kSharedSlot = 0;

// What outcomes come to for a subject.
#define MERLON_SUBJECT_COUNTERS(X)                                               \
  X(answered, "records of the asked type")                                       \
  X(nodata, "the name exists without the asked type")                            \
  X(nxdomain, "the name does not exist")                                         \
  X(truncated, "TC set: come over TCP")                                          \
  X(refused_by_verb, "refused because the access entry says so")                 \
  X(refused, "refused for the name or the class")                                \
  X(dropped, "ignored or rate limited: nothing, or only a new cookie, was sent") \
  X(other, "another error (FORMERR, NOTIMP, BADVERS, ...), or handed to the slow path")

enum class SubjectCounter : uint8_t {
#define MERLON_X(name, text) name,
  MERLON_SUBJECT_COUNTERS(MERLON_X)
#undef MERLON_X
      count_
};
inline constexpr size_t kSubjectCounterCount = static_cast<size_t>(SubjectCounter::count_);
std::string_view to_string(SubjectCounter counter);
SubjectCounter subject_counter_of(answer::Outcome outcome);

struct SubjectNumbers {
  std::array<uint64_t, kSubjectCounterCount> counts{};
  uint32_t last_seen = 0;    // Unix seconds; 0: never
  uint32_t last_useful = 0;  // the last that concerned a name that there is

  uint64_t of(SubjectCounter counter) const { return counts[static_cast<size_t>(counter)]; }
  uint64_t queries() const;
  SubjectNumbers& operator+=(const SubjectNumbers& other);
  bool operator==(const SubjectNumbers&) const = default;
};

// One worker's. Only that worker calls count(); clear() only while no worker knows the slot.
class SubjectTable {
 public:
  explicit SubjectTable(uint32_t slot_count = kSlotCount)
      : rows_(slot_count), troubles_(slot_count) {}

  void prefetch(uint32_t slot) const { __builtin_prefetch(&rows_[slot], 1); }
  void count(uint32_t slot, answer::Outcome outcome, uint32_t now_s) {
    Row& row = rows_[slot];
    const uint8_t at = kCounterOf[static_cast<size_t>(outcome)];
    if (at < kWideCount) [[likely]] {
      row.wide[at].store(row.wide[at].load(std::memory_order_relaxed) + 1,
                         std::memory_order_relaxed);
    } else if (const uint32_t many = row.narrow[at - kWideCount].load(std::memory_order_relaxed);
               many != UINT32_MAX) {
      row.narrow[at - kWideCount].store(many + 1, std::memory_order_relaxed);
    }
    row.last[kUsefulMask >> at & 1].store(now_s, std::memory_order_relaxed);
  }
  TroubleTable& troubles() { return troubles_; }
  const TroubleTable& troubles() const { return troubles_; }
  SubjectNumbers read(uint32_t slot) const;
  void clear(uint32_t slot);
  uint32_t slot_count() const { return static_cast<uint32_t>(rows_.size()); }

 private:
  static constexpr size_t kNarrowCount = 2;
  static constexpr size_t kWideCount = kSubjectCounterCount - kNarrowCount;
  // Of the counters, those of names that there are.
  static constexpr uint32_t kUsefulMask = 1u << static_cast<unsigned>(SubjectCounter::answered) |
                                          1u << static_cast<unsigned>(SubjectCounter::nodata) |
                                          1u << static_cast<unsigned>(SubjectCounter::truncated);
  static const std::array<uint8_t, answer::kOutcomeCount> kCounterOf;

  // One cache line: a packet touches nothing else of this table. The last counters are narrow and
  // stop at their largest value, which makes room for the times.
  struct alignas(64) Row {
    std::array<std::atomic<uint64_t>, kWideCount> wide;
    std::array<std::atomic<uint32_t>, kNarrowCount> narrow;
    std::array<std::atomic<uint32_t>, 2> last;  // of what was not useful, of what was
  };
  static_assert(sizeof(Row) == 64);

  LazyArray<Row> rows_;
  TroubleTable troubles_;
};

// Slots of a snapshot's subjects, by their index.
using Slots = HugeVector<uint32_t>;

struct SubjectReport {
  snapshot::Subject subject{};
  SubjectNumbers numbers;
  std::optional<TroubleNumbers> troubles{};
};

// Used by control threads, never by workers. Thread-safe.
class SubjectRegistry {
 public:
  // The tables outlive the registry and have at least slot_count slots.
  explicit SubjectRegistry(std::vector<SubjectTable*> tables, uint32_t slot_count = kSlotCount);

  // The slots for a snapshot that is about to be served.
  std::shared_ptr<const Slots> assign(std::span<const snapshot::Subject> subjects);
  // After every worker has let go of what was served before the last assign(): folds away the
  // numbers of the subjects that it did not name and frees their slots.
  void settle();

  struct Wanted {
    std::optional<uint32_t> account;
    size_t count_max = SIZE_MAX;
  };
  struct Report {
    std::vector<SubjectReport> subjects;  // those with most queries first
    uint64_t subject_count = 0;           // that have a slot, in all
    uint64_t without_slot = 0;            // counted in `shared`
    SubjectNumbers shared;                // unregistered sources and those without a slot
    SubjectNumbers gone;                  // subjects that are no more
  };
  Report report(const Wanted& wanted) const;
  // How many subjects there are and how many of them had no slot.
  std::pair<uint64_t, uint64_t> size() const;

 private:
  struct Entry {
    snapshot::Subject subject{};
    uint64_t named = 0;  // the assign() that named it last; 0: the slot is free
  };
  uint32_t take_slot();
  SubjectNumbers read(uint32_t slot) const;
  std::optional<TroubleNumbers> read_troubles(uint32_t slot) const;

  const std::vector<SubjectTable*> tables_;
  const uint32_t slot_count_;
  mutable std::mutex mutex_;  // everything below
  std::unordered_map<uint64_t, uint32_t> slot_of_;
  std::vector<Entry> entries_;  // by slot; [0] is nobody
  std::vector<uint32_t> free_;
  uint64_t assign_count_ = 0;
  uint64_t without_slot_ = 0;
  SubjectNumbers gone_;
};

}  // namespace merlon::stats
