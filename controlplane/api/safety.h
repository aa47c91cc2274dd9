// SPDX-License-Identifier: Apache-2.0
// What the safety net and the guard know of a feed.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace merlon::api {

// An entry of a feed that no list carries, or not whole.
struct TakenOut {
  std::string entry{};
  std::string protected_by{};  // the prefix, range or name that protects it
  std::string why{};
};

struct FeedSafety {
  std::string feed{};
  int trust = 100;  // 0..100, see controlplane/safety/net.h
  // Of the content in force.
  uint64_t taken_out4 = 0;
  uint64_t taken_out6 = 0;
  uint64_t taken_out_domains = 0;
  std::vector<std::pair<std::string, uint64_t>> by_reason{};
  std::vector<TakenOut> examples{};  // the first
  int64_t taken_out_at = 0;          // the last time that anything was
  std::string stale{};               // "": its content changes as it used to
  std::string same_as{};             // a feed that lists exactly the same; "": none
  uint64_t quarantines = 0;          // since it was added
  int64_t held_at = 0;               // content in quarantine that can be accepted; 0: none
  std::string held_reason{};
};

}  // namespace merlon::api
