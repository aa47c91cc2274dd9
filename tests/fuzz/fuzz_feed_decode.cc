// SPDX-License-Identifier: Apache-2.0
// Archives and character sets: within the limits, or refused with a reason.
#include <algorithm>

#include "controlplane/feeds/decode.h"
#include "zones/base/assert.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace merlon;
  const feeds::DecodeLimits limits{.size_max_bytes = 1 << 20};
  const Result<feeds::Decoded> decoded = feeds::decode({data, size}, limits);
  if (!decoded) {
    MERLON_ASSERT(!decoded.error().message.empty());
    return 0;
  }
  MERLON_ASSERT(decoded->text().size() <= std::max<size_t>(size, limits.size_max_bytes));
  return 0;
}
