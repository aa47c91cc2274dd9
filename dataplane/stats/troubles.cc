// SPDX-License-Identifier: Apache-2.0
#include "dataplane/stats/troubles.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>

namespace merlon::stats {
namespace {

using answer::Outcome;

constexpr int kReadTriesMax = 64;

// What the words of a row are.
enum Word : size_t {
  kTruncated,
  kWouldFit,
  kLimited,
  kBadCookie,
  kLimitedLast,
  kOutside,
  kOutsideLast,
  kHidden,
  kHiddenLast,
  kMissedLast,
  kRefusedLast,
  kLast,  // of anything
  kTimes,
  kTimesEnd = kTimes + kTroubleTimeCount,
  kSpare = kTimesEnd,
  kEnd = kSpare + 2,
};

void bump(std::atomic<uint32_t>& number) {
  const uint32_t before = number.load(std::memory_order_relaxed);
  number.store(before == UINT32_MAX ? before : before + 1, std::memory_order_release);
}

void set(std::atomic<uint32_t>& number, uint32_t value) {
  number.store(value, std::memory_order_release);
}

}  // namespace

TroubleNumbers& TroubleNumbers::operator+=(const TroubleNumbers& other) {
  truncated += other.truncated;
  would_fit += other.would_fit;
  truncated_times.insert(truncated_times.end(), other.truncated_times.begin(),
                         other.truncated_times.end());
  std::ranges::sort(truncated_times, std::greater<>());
  limited += other.limited;
  badcookie += other.badcookie;
  limited_last = std::max(limited_last, other.limited_last);
  outside += other.outside;
  outside_last = std::max(outside_last, other.outside_last);
  hidden += other.hidden;
  hidden_last = std::max(hidden_last, other.hidden_last);
  if (other.missed_last > missed_last) {
    missed_last = other.missed_last;
    missed_name = other.missed_name;
  }
  if (other.refused_last > refused_last) {
    refused_last = other.refused_last;
    refused_name = other.refused_name;
  }
  return *this;
}

TroubleTable::TroubleTable(uint32_t slot_count)
    : mask_(std::bit_ceil(std::clamp(slot_count, 1u, kTroubleRowCount)) - 1),
      rows_(size_t{mask_} + 1) {
  static_assert(kEnd == kWordCount);
}

void TroubleTable::store_name(std::array<Number, kNameWords>& words, Bytes name) {
  std::array<uint8_t, kTroubleNameSize> bytes{};
  std::memcpy(bytes.data(), name.data(), std::min(name.size(), bytes.size()));
  for (size_t i = 0; i < kNameWords; ++i) {
    uint32_t word = 0;
    std::memcpy(&word, bytes.data() + 4 * i, 4);
    set(words[i], word);
  }
}

// Presentation form; "..." in place of what was not kept.
std::string TroubleTable::name_text(const std::array<uint32_t, kNameWords>& words) {
  std::array<uint8_t, kTroubleNameSize> bytes{};
  std::memcpy(bytes.data(), words.data(), bytes.size());
  std::string text;
  size_t at = 0;
  while (at < bytes.size() && bytes[at] != 0) {
    const size_t size = bytes[at];
    if (at + 1 + size >= bytes.size()) {
      return text + "...";
    }
    for (size_t i = at + 1; i <= at + size; ++i) {
      const uint8_t byte = bytes[i];
      const bool is_plain = byte > 0x20 && byte < 0x7f && byte != '.' && byte != '\\';
      text += is_plain ? static_cast<char>(byte) : '?';
    }
    text += '.';
    at += 1 + size;
  }
  return text;
}

void TroubleTable::note(uint32_t slot, const TroubleSeen& seen) {
  constexpr auto kRelaxed = std::memory_order_relaxed;
  Row& row = rows_[slot & mask_];
  const uint32_t owner = row.slot.load(kRelaxed);
  if (owner != slot && owner != 0 && seen.now_s - row.words[kLast].load(kRelaxed) < kTroubleKeepS) {
    return;
  }
  const uint32_t sequence = row.sequence.load(kRelaxed);
  row.sequence.store(sequence + 1, kRelaxed);
  if (owner != slot) {
    set(row.slot, slot);
    for (Number& word : row.words) {
      set(word, 0);
    }
  }
  set(row.words[kLast], seen.now_s);
  switch (seen.outcome) {
    case Outcome::truncated: {
      const uint32_t count = row.words[kTruncated].load(kRelaxed);
      set(row.words[kTimes + count % kTroubleTimeCount], seen.now_s);
      bump(row.words[kTruncated]);
      if (seen.would_fit) {
        bump(row.words[kWouldFit]);
      }
      break;
    }
    case Outcome::nxdomain:
      set(row.words[kMissedLast], seen.now_s);
      store_name(row.missed_name, seen.name);
      break;
    case Outcome::refused_not_ours:
      bump(row.words[seen.outside ? kOutside : kHidden]);
      set(row.words[seen.outside ? kOutsideLast : kHiddenLast], seen.now_s);
      set(row.words[kRefusedLast], seen.now_s);
      store_name(row.refused_name, seen.name);
      break;
    default:
      bump(row.words[kLimited]);
      set(row.words[kLimitedLast], seen.now_s);
      if (seen.outcome == Outcome::badcookie) {
        bump(row.words[kBadCookie]);
      }
      break;
  }
  row.sequence.store(sequence + 2, std::memory_order_release);
}

std::optional<TroubleNumbers> TroubleTable::read(uint32_t slot) const {
  const Row& row = rows_[slot & mask_];
  std::array<uint32_t, kWordCount> words{};
  std::array<uint32_t, kNameWords> missed{};
  std::array<uint32_t, kNameWords> refused{};
  const auto copy = [](const auto& from, auto& to) {
    for (size_t i = 0; i < to.size(); ++i) {
      to[i] = from[i].load(std::memory_order_acquire);
    }
  };
  bool is_whole = false;
  for (int i = 0; i < kReadTriesMax && !is_whole; ++i) {
    const uint32_t before = row.sequence.load(std::memory_order_acquire);
    if (row.slot.load(std::memory_order_acquire) != slot) {
      return std::nullopt;
    }
    copy(row.words, words);
    copy(row.missed_name, missed);
    copy(row.refused_name, refused);
    is_whole = before % 2 == 0 && row.sequence.load(std::memory_order_relaxed) == before;
  }
  if (words[kLast] == 0) {
    return std::nullopt;
  }
  TroubleNumbers numbers{.truncated = words[kTruncated],
                         .would_fit = words[kWouldFit],
                         .limited = words[kLimited],
                         .badcookie = words[kBadCookie],
                         .limited_last = words[kLimitedLast],
                         .outside = words[kOutside],
                         .outside_last = words[kOutsideLast],
                         .hidden = words[kHidden],
                         .hidden_last = words[kHiddenLast],
                         .missed_last = words[kMissedLast],
                         .refused_last = words[kRefusedLast]};
  for (size_t i = kTimes; i < kTimesEnd; ++i) {
    if (words[i] != 0) {
      numbers.truncated_times.push_back(words[i]);
    }
  }
  std::ranges::sort(numbers.truncated_times, std::greater<>());
  // Names that changed all the while are left out: the numbers are right one by one, a name is not.
  if (is_whole) {
    numbers.missed_name = words[kMissedLast] == 0 ? "" : name_text(missed);
    numbers.refused_name = words[kRefusedLast] == 0 ? "" : name_text(refused);
  }
  return numbers;
}

// Also lets the row's page come, so that no packet waits for the kernel.
void TroubleTable::clear(uint32_t slot) {
  Row& row = rows_[slot & mask_];
  const uint32_t owner = row.slot.load(std::memory_order_relaxed);
  if (owner == slot) {
    set(row.slot, 0);
    for (Number& word : row.words) {
      set(word, 0);
    }
  } else if (owner == 0) {
    set(row.slot, 0);
  }
}

}  // namespace merlon::stats
