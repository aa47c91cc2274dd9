// SPDX-License-Identifier: Apache-2.0
// How fast a zone is signed from nothing.
#pragma once

#include <cstdint>
#include <string>

#include "zones/base/error.h"

namespace merlon::bench {

struct SignSize {
  unsigned names = 20'000;  // each with one address: as many RRsets and as many NSEC records
  unsigned threads = 2;
};

struct SignMeasured {
  uint64_t signatures = 0;
  double seconds = 0;
};

// ECDSA P-256, an empty cache, keys made in `folder`.
Result<SignMeasured> measure_signing(const std::string& folder, const SignSize& size);

}  // namespace merlon::bench
