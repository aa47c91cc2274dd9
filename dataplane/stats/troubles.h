// SPDX-License-Identifier: Apache-2.0
// What went wrong for a subject, for who has to find out why: when answers were cut off, what was
// limited, which names were asked in vain. Touched only by packets that are in trouble, so the
// plain case costs one look into a table of constants. Rows are shared by slots that are equal
// modulo the number of rows: up to kTroubleRowCount subjects have one each, beyond that a row
// belongs to whom it was given last, and is given on after a quiet hour.
//
// One worker writes, anybody reads: each row has a sequence number that is odd while it changes.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/stats/lazy_array.h"
#include "zones/answer/outcome.h"
#include "zones/base/bytes.h"

namespace merlon::stats {

inline constexpr uint32_t kTroubleRowCount = 1u << 16;
inline constexpr uint32_t kTroubleKeepS = 3600;
inline constexpr size_t kTroubleTimeCount = 4;
inline constexpr size_t kTroubleNameSize = 56;  // what is kept of a name in wire form

// Which outcomes are looked at here.
constexpr bool is_trouble(answer::Outcome outcome) {
  using answer::Outcome;
  return outcome == Outcome::truncated || outcome == Outcome::nxdomain ||
         outcome == Outcome::refused_not_ours || outcome == Outcome::limited_slip ||
         outcome == Outcome::badcookie || outcome == Outcome::drop_rate_limited;
}

// One packet's.
struct TroubleSeen {
  answer::Outcome outcome = answer::Outcome::truncated;
  // Truncated, although the answer would have had room, had the client only said that it takes more
  // than 512 bytes.
  bool would_fit = false;
  bool outside = false;  // refused, and in no zone of ours: somebody is wanted who looks it up
  Bytes name{};          // in wire form, folded
  uint32_t now_s = 0;
};

// Times are Unix seconds, 0 never.
struct TroubleNumbers {
  uint32_t truncated = 0;                   // not those of the rate limit
  uint32_t would_fit = 0;                   // of these
  std::vector<uint32_t> truncated_times{};  // the last ones, newest first
  uint32_t limited = 0;
  uint32_t badcookie = 0;  // of these: had a cookie, and it is not ours
  uint32_t limited_last = 0;
  uint32_t outside = 0;
  uint32_t outside_last = 0;
  uint32_t hidden = 0;  // refused inside our zones
  uint32_t hidden_last = 0;
  uint32_t missed_last = 0;    // NXDOMAIN
  std::string missed_name{};   // the last name of these; "": none
  std::string refused_name{};  // the last one of outside or hidden
  uint32_t refused_last = 0;

  TroubleNumbers& operator+=(const TroubleNumbers& other);
};

// One worker's. Only that worker calls note(); clear() only while no worker knows the slot.
class TroubleTable {
 public:
  explicit TroubleTable(uint32_t slot_count);

  void prefetch(uint32_t slot) const { __builtin_prefetch(&rows_[slot & mask_], 1); }
  void note(uint32_t slot, const TroubleSeen& seen);
  // nullopt: nothing, or nothing any more.
  std::optional<TroubleNumbers> read(uint32_t slot) const;
  void clear(uint32_t slot);

 private:
  using Number = std::atomic<uint32_t>;
  // The words' meaning: troubles.cc.
  static constexpr size_t kWordCount = 18;
  static constexpr size_t kNameWords = kTroubleNameSize / 4;
  struct alignas(64) Row {
    Number sequence;
    Number slot;  // whose it is; 0: nobody's
    std::array<Number, kWordCount> words;
    std::array<Number, kNameWords> missed_name;
    std::array<Number, kNameWords> refused_name;
  };
  static_assert(sizeof(Row) == 192);

  static void store_name(std::array<Number, kNameWords>& words, Bytes name);
  static std::string name_text(const std::array<uint32_t, kNameWords>& words);

  uint32_t mask_;
  LazyArray<Row> rows_;
};

}  // namespace merlon::stats
