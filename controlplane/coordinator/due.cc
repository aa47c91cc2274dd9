// SPDX-License-Identifier: Apache-2.0
#include "controlplane/coordinator/due.h"

#include <algorithm>

namespace merlon::coordinator {
namespace {

constexpr int64_t kRetryMinS = 60;
constexpr int64_t kRetryMaxS = 4 * 3600;
constexpr int64_t kJitterMaxS = 600;
constexpr uint64_t kQuickMs = 5000;

// The same for the same feed and attempt, so that everybody who asks hears the same time.
int64_t jitter(const store::FeedRecord& record) {
  const int64_t room = std::min(record.definition.interval_s / int64_t{20}, kJitterMaxS);
  uint64_t hash = 0xcbf29ce484222325 ^ static_cast<uint64_t>(record.state.last_attempt);  // FNV-1a
  for (const char c : record.definition.id) {
    hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  }
  return static_cast<int64_t>((hash >> 16) % static_cast<uint64_t>(room + 1));
}

}  // namespace

int64_t next_attempt(const store::FeedRecord& record, int64_t now) {
  const store::FeedState& state = record.state;
  const int64_t interval = record.definition.interval_s;
  if (state.last_attempt == 0 || state.last_attempt > now) {
    return 0;
  }
  if (state.health == store::FeedHealth::good) {
    return std::max(state.last_attempt + interval + jitter(record), state.not_before);
  }
  const int64_t bad_for = state.last_good == 0 ? interval : state.last_attempt - state.last_good;
  const int64_t retry =
      std::clamp(bad_for / 2, std::min(kRetryMinS, interval), std::max(interval, kRetryMaxS));
  return std::max(state.last_attempt + retry, state.not_before);
}

fetch::Lane lane_of(const store::FeedRecord& record) {
  const store::FeedState& state = record.state;
  const bool quick = state.health == store::FeedHealth::good && state.last_duration_ms < kQuickMs;
  return quick || record.definition.url.starts_with("file://") ? fetch::Lane::quick
                                                               : fetch::Lane::slow;
}

}  // namespace merlon::coordinator
