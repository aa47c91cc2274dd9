// SPDX-License-Identifier: Apache-2.0
#include "controlplane/forward/random.h"

#include <sys/random.h>

#include <cerrno>

#include "zones/base/assert.h"

namespace merlon::forward {

void Random::refill() {
  size_t filled = 0;
  while (filled < block_.size()) {
    const ssize_t n = getrandom(block_.data() + filled, block_.size() - filled, 0);
    MERLON_ASSERT(n > 0 || errno == EINTR);
    filled += n > 0 ? static_cast<size_t>(n) : 0;
  }
  at_ = 0;
}

}  // namespace merlon::forward
