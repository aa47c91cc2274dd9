// SPDX-License-Identifier: Apache-2.0
#include "dataplane/stats/subjects.h"

#include <algorithm>
#include <numeric>

namespace merlon::stats {
namespace {

using answer::Outcome;

uint64_t key_of(const snapshot::Subject& subject) {
  return uint64_t{subject.account} << 32 | subject.device;
}

// By rcode where the name does not say it, so that a new outcome is counted sensibly.
constexpr SubjectCounter classify(Outcome outcome) {
  switch (outcome) {
    case Outcome::nodata:
      return SubjectCounter::nodata;
    case Outcome::truncated:
    case Outcome::limited_slip:
      return SubjectCounter::truncated;
    case Outcome::badcookie:
      return SubjectCounter::dropped;
    case Outcome::relayed:
      return SubjectCounter::other;
    case Outcome::refused_by_verb:
      return SubjectCounter::refused_by_verb;
    default:
      break;
  }
  if (answer::is_drop(outcome)) {
    return SubjectCounter::dropped;
  }
  switch (answer::rcode_of(outcome)) {
    case 0:
      return SubjectCounter::answered;
    case 3:
      return SubjectCounter::nxdomain;
    case 5:
      return SubjectCounter::refused;
    default:
      return SubjectCounter::other;
  }
}

constexpr std::array<uint8_t, answer::kOutcomeCount> make_counter_table() {
  std::array<uint8_t, answer::kOutcomeCount> table{};
  for (size_t i = 0; i < table.size(); ++i) {
    table[i] = static_cast<uint8_t>(classify(static_cast<Outcome>(i)));
  }
  return table;
}

}  // namespace

constinit const std::array<uint8_t, answer::kOutcomeCount> SubjectTable::kCounterOf =
    make_counter_table();

std::string_view to_string(SubjectCounter counter) {
  switch (counter) {
#define MERLON_X(name, text) \
  case SubjectCounter::name: \
    return #name;
    MERLON_SUBJECT_COUNTERS(MERLON_X)
#undef MERLON_X
    case SubjectCounter::count_:
      break;
  }
  return "unknown";
}

SubjectCounter subject_counter_of(Outcome outcome) {
  return classify(outcome);
}

uint64_t SubjectNumbers::queries() const {
  return std::accumulate(counts.begin(), counts.end(), uint64_t{0});
}

SubjectNumbers& SubjectNumbers::operator+=(const SubjectNumbers& other) {
  for (size_t i = 0; i < counts.size(); ++i) {
    counts[i] += other.counts[i];
  }
  last_seen = std::max(last_seen, other.last_seen);
  last_useful = std::max(last_useful, other.last_useful);
  return *this;
}

SubjectNumbers SubjectTable::read(uint32_t slot) const {
  const Row& row = rows_[slot];
  SubjectNumbers numbers;
  for (size_t i = 0; i < kWideCount; ++i) {
    numbers.counts[i] = row.wide[i].load(std::memory_order_relaxed);
  }
  for (size_t i = 0; i < kNarrowCount; ++i) {
    numbers.counts[kWideCount + i] = row.narrow[i].load(std::memory_order_relaxed);
  }
  numbers.last_useful = row.last[1].load(std::memory_order_relaxed);
  numbers.last_seen = std::max(numbers.last_useful, row.last[0].load(std::memory_order_relaxed));
  return numbers;
}

void SubjectTable::clear(uint32_t slot) {
  Row& row = rows_[slot];
  for (auto& count : row.wide) {
    count.store(0, std::memory_order_relaxed);
  }
  for (auto& count : row.narrow) {
    count.store(0, std::memory_order_relaxed);
  }
  for (auto& time : row.last) {
    time.store(0, std::memory_order_relaxed);
  }
  troubles_.clear(slot);
}

SubjectRegistry::SubjectRegistry(std::vector<SubjectTable*> tables, uint32_t slot_count)
    : tables_(std::move(tables)), slot_count_(slot_count), entries_(1) {}

// The slot's rows are zero and their pages there, so no packet waits for the kernel.
uint32_t SubjectRegistry::take_slot() {
  uint32_t slot = kSharedSlot;
  if (!free_.empty()) {
    slot = free_.back();
    free_.pop_back();
  } else if (entries_.size() < slot_count_) {
    slot = static_cast<uint32_t>(entries_.size());
    entries_.emplace_back();
  } else {
    return kSharedSlot;
  }
  for (SubjectTable* table : tables_) {
    table->clear(slot);
  }
  return slot;
}

std::shared_ptr<const Slots> SubjectRegistry::assign(std::span<const snapshot::Subject> subjects) {
  auto slots = std::make_shared<Slots>();
  slots->reserve(subjects.size());
  const std::lock_guard lock(mutex_);
  ++assign_count_;
  without_slot_ = 0;
  for (const snapshot::Subject& subject : subjects) {
    const uint64_t key = key_of(subject);
    auto known = slot_of_.find(key);
    if (known == slot_of_.end()) {
      const uint32_t slot = take_slot();
      if (slot == kSharedSlot) {
        ++without_slot_;
        slots->push_back(kSharedSlot);
        continue;
      }
      known = slot_of_.emplace(key, slot).first;
    }
    entries_[known->second] = {.subject = subject, .named = assign_count_};
    slots->push_back(known->second);
  }
  return slots;
}

void SubjectRegistry::settle() {
  const std::lock_guard lock(mutex_);
  for (uint32_t slot = 1; slot < entries_.size(); ++slot) {
    Entry& entry = entries_[slot];
    if (entry.named == 0 || entry.named == assign_count_) {
      continue;
    }
    gone_ += read(slot);
    for (SubjectTable* table : tables_) {
      table->clear(slot);
    }
    slot_of_.erase(key_of(entry.subject));
    entry = {};
    free_.push_back(slot);
  }
}

SubjectNumbers SubjectRegistry::read(uint32_t slot) const {
  SubjectNumbers numbers;
  for (const SubjectTable* table : tables_) {
    numbers += table->read(slot);
  }
  return numbers;
}

std::optional<TroubleNumbers> SubjectRegistry::read_troubles(uint32_t slot) const {
  std::optional<TroubleNumbers> sum;
  for (const SubjectTable* table : tables_) {
    if (const auto own = table->troubles().read(slot)) {
      sum = sum ? * sum += *own : *own;
    }
  }
  return sum;
}

std::pair<uint64_t, uint64_t> SubjectRegistry::size() const {
  const std::lock_guard lock(mutex_);
  return {slot_of_.size(), without_slot_};
}

SubjectRegistry::Report SubjectRegistry::report(const Wanted& wanted) const {
  Report report;
  const std::lock_guard lock(mutex_);
  report.subject_count = slot_of_.size();
  report.without_slot = without_slot_;
  report.shared = read(kSharedSlot);
  report.gone = gone_;
  struct Ranked {
    uint64_t queries;
    uint32_t slot;
  };
  std::vector<Ranked> ranked;
  for (uint32_t slot = 1; slot < entries_.size(); ++slot) {
    const Entry& entry = entries_[slot];
    if (entry.named != 0 && (!wanted.account || *wanted.account == entry.subject.account)) {
      ranked.push_back({read(slot).queries(), slot});
    }
  }
  const size_t count = std::min(wanted.count_max, ranked.size());
  std::partial_sort(ranked.begin(), ranked.begin() + static_cast<std::ptrdiff_t>(count),
                    ranked.end(), [](const Ranked& a, const Ranked& b) {
                      return a.queries != b.queries ? a.queries > b.queries : a.slot < b.slot;
                    });
  for (size_t i = 0; i < count; ++i) {
    const uint32_t slot = ranked[i].slot;
    report.subjects.push_back({entries_[slot].subject, read(slot), read_troubles(slot)});
  }
  return report;
}

}  // namespace merlon::stats
