// SPDX-License-Identifier: Apache-2.0
#include "controlplane/coordinator/due.h"

#include <algorithm>

namespace merlon::coordinator {
namespace {

constexpr int64_t kRetryMinS = 60;
constexpr int64_t kRetryMaxS = 4 * 3600;

}  // namespace

int64_t next_attempt(const store::FeedRecord& record, int64_t now) {
  const store::FeedState& state = record.state;
  const int64_t interval = record.definition.interval_s;
  if (state.last_attempt == 0 || state.last_attempt > now) {
    return 0;
  }
  if (state.health == store::FeedHealth::good) {
    return state.last_attempt + interval;
  }
  const int64_t bad_for = state.last_good == 0 ? interval : state.last_attempt - state.last_good;
  return state.last_attempt + std::clamp(bad_for / 2, kRetryMinS, std::max(interval, kRetryMaxS));
}

}  // namespace merlon::coordinator
