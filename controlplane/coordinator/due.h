// SPDX-License-Identifier: Apache-2.0
// When a feed is asked again.
#pragma once

#include <cstdint>

#include "controlplane/fetch/work_queue.h"
#include "controlplane/store/model.h"

namespace merlon::coordinator {

// Unix seconds; 0 for a feed that was never asked. A good feed: after its interval and up to a
// twentieth of it more, so that feeds that were defined together do not stay together. A bad one:
// after half the time that it has been bad for, so ever more seldom (a minute to four hours, or to
// its interval when that is longer), and not before its server said (Retry-After); since that time
// is in the store, a restart does not forget it. An attempt in the future was made under a wrong
// clock and does not count.
int64_t next_attempt(const store::FeedRecord& record, int64_t now);

// Whether it was quick last time; files always are.
fetch::Lane lane_of(const store::FeedRecord& record);

}  // namespace merlon::coordinator
