// SPDX-License-Identifier: Apache-2.0
// What feeds are worth beside each other.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "controlplane/api/safety.h"

namespace merlon::api {

// Sizes: IPv4 addresses, IPv6 ranges and domains. Times are medians of a sample, in seconds.
struct FeedValue {
  std::string feed{};
  uint64_t size = 0;
  uint64_t unique = 0;          // what no other of these feeds lists
  uint64_t sampled_shared = 0;  // sampled entries that another feed has listed as well
  uint64_t sampled_first = 0;   // of them: this feed was (among) the first
  int64_t lead_s = 0;           // before the earliest other; behind it when negative
  int64_t age_s = 0;            // of what it lists
  int64_t retention_s = 0;      // how long what it withdrew had been listed
  uint64_t sampled_withdrawn = 0;
  FeedSafety safety{};
};

struct FeedsReport {
  std::vector<FeedValue> feeds{};
  std::vector<std::vector<uint64_t>> shared{};  // [i][j]: what feeds i and j both list
};

}  // namespace merlon::api
