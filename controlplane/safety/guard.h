// SPDX-License-Identifier: Apache-2.0
// The guard's memory: content is compared with what the feed sent before. What differs beyond
// belief is doubted: the last good copy stays in force until a person accepts it or the source
// mends it. Content that is only old, or the same as another feed's from the start, is noted.
// What the guard remembers of a feed is kept in the store as JSON (Store::set_note). Pure
// functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/safety/net.h"
#include "controlplane/store/model.h"
#include "zones/base/error.h"

namespace merlon::safety {

// Feeds smaller than this change by leaps without anything being wrong.
inline constexpr uint64_t kJudgedFrom = 100;
inline constexpr uint64_t kShrinkFactor = 4;
inline constexpr uint64_t kGrowthFactor = 5;
inline constexpr uint64_t kGrowthMin = 1000;

// Quarantined content, kept in a file until it is accepted or replaced.
struct Held {
  int64_t at = 0;
  std::string reason{};
  std::string etag{};
  std::string last_modified{};
  bool operator==(const Held&) const = default;
};

struct Memory {
  uint64_t set_hash = 0;     // of the content in force; 0: none yet
  std::string shape{};       // of a table: its delimiter, columns and header
  int64_t usual_gap_s = 0;   // between changes, the largest of the last ones; 0: not known
  uint64_t quarantines = 0;  // in a row or not, since the feed was added
  std::string same_as{};     // a feed that lists exactly the same
  std::optional<Held> held{};
  Findings findings{};   // what the net takes out of the content in force
  int64_t found_at = 0;  // the last time that it took out anything
  bool operator==(const Memory&) const = default;
};
std::string encode_memory(const Memory& memory);
Result<Memory> decode_memory(std::string_view text);  // corruption

uint64_t hash_of(const store::FeedSet& set);  // never 0
// Of the first lines of a table in text, e.g. ", 7 first_seen,ip,port"; "" when it is none.
std::string shape_of(std::string_view text);

struct Candidate {
  const store::FeedDefinition& definition;
  const store::FeedState& before;  // of the content in force
  const Memory& memory;
  std::string format{};  // a declaration
  std::string shape{};
  uint64_t entries = 0;  // prefixes and domains
  uint64_t lines = 0;
  uint64_t rejected = 0;
  uint64_t set_hash = 0;
  std::string same_as{};  // another feed with content in force of this hash
};
// Why it is not believed; "" when it is.
std::string doubt(const Candidate& candidate);

// "" or since when its content is what it is, when that is far longer than is usual for it: five
// times the longest time that passed between its changes, forty intervals, and a week.
std::string staleness(const store::FeedRecord& record, const Memory& memory, int64_t now);
// The feed's content changed at `now`.
void note_change(const store::FeedState& before, int64_t now, Memory& memory);

}  // namespace merlon::safety
