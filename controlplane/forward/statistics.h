// SPDX-License-Identifier: Apache-2.0
// What the forwarder counts. One list: enum, name, explanation.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "controlplane/forward/upstream.h"

namespace merlon::forward {

#define MERLON_FORWARD_COUNTERS(X)                                                         \
  X(queries, "queries of clients")                                                         \
  X(cache_hits, "answered from the cache")                                                 \
  X(joined, "equal to a question that was open already")                                   \
  X(local, "special-use names, answered here")                                             \
  X(no_upstream, "REFUSED: no upstream is configured")                                     \
  X(limited, "SERVFAIL: outstanding_max queries were waiting")                             \
  X(limited_source, "SERVFAIL: the source had outstanding_per_source_max queries waiting") \
  X(servfail, "SERVFAIL: no upstream had an answer")                                       \
  X(stale, "answered with what had expired")                                               \
  X(prefetches, "popular answers that were asked again ahead of time")                     \
  X(retries, "questions that were asked again of an upstream")                             \
  X(over_stream, "answers too large or in other letters, asked again over TCP")            \
  X(wrong_answers, "messages with a question other than ours: spoofed, or of a liar")      \
  X(strays, "messages with an id that is not open")                                        \
  X(malformed, "answers that cannot be believed")                                          \
  X(policy_passthru, "names that a policy lets pass")                                      \
  X(policy_drop, "queries that a policy leaves unanswered")                                \
  X(policy_tcp_only, "queries that a policy sends to TCP")                                 \
  X(policy_nxdomain, "blocked: NXDOMAIN")                                                  \
  X(policy_nodata, "blocked: no data")                                                     \
  X(policy_garden, "led to the policy's garden")                                           \
  X(policy_data, "answered with the policy's own records")                                 \
  X(policy_by_alias, "of these, those for a name that an alias led to")                    \
  X(policy_by_address, "of these, those for an address in the answer")

enum class Counter : uint8_t {
#define MERLON_X(name, text) name,
  MERLON_FORWARD_COUNTERS(MERLON_X)
#undef MERLON_X
      count_
};
inline constexpr size_t kCounterCount = static_cast<size_t>(Counter::count_);
std::string_view to_string(Counter counter);
std::string_view explain(Counter counter);

class Counters {
 public:
  void add(Counter counter) {
    numbers_[static_cast<size_t>(counter)].fetch_add(1, std::memory_order_relaxed);
  }
  uint64_t get(Counter counter) const {
    return numbers_[static_cast<size_t>(counter)].load(std::memory_order_relaxed);
  }

 private:
  std::array<std::atomic<uint64_t>, kCounterCount> numbers_{};
};

// The forwarder at one moment.
struct Report {
  std::vector<UpstreamStatus> upstreams{};
  uint64_t outstanding = 0;
  uint64_t cache_entries = 0;
  uint64_t cache_bytes = 0;
  uint64_t cache_bytes_max = 0;
  uint64_t cache_evicted = 0;
  std::vector<std::pair<std::string, uint64_t>> counters{};  // by name, every one

  std::string to_json() const;
};

}  // namespace merlon::forward
