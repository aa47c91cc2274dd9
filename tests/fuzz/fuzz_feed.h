// SPDX-License-Identifier: Apache-2.0
// What all feed fuzzers assert: whatever the bytes, every line is counted once and the set is
// normalised and believable.
#pragma once

#include <cstdio>

#include "controlplane/feeds/parse.h"
#include "tests/controlplane/feeds/feed_checks.h"
#include "zones/base/assert.h"

namespace merlon::feeds {

inline void fuzz_parse(Bytes content, Format format) {
  const Result<ParsedFeed> feed = parse(content, format);
  if (!feed) {
    MERLON_ASSERT(feed.error().code == ErrorCode::invalid_argument);
    return;
  }
  const std::string fault = fault_of(*feed);
  if (!fault.empty()) {
    std::fprintf(stderr, "%s: %s\n", to_string(format).data(), fault.c_str());
  }
  MERLON_ASSERT(fault.empty());
}

}  // namespace merlon::feeds
