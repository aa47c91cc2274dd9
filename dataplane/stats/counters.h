// SPDX-License-Identifier: Apache-2.0
// Per-worker counters. One worker writes its own, anybody reads: relaxed atomics without locked
// instructions, each worker's on cache lines of its own.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>

#include "dataplane/stats/stages.h"
#include "dataplane/stats/subjects.h"
#include "dataplane/stats/top_sources.h"
#include "zones/answer/outcome.h"

namespace merlon::stats {

// What the engines count besides the outcomes of answer/outcome.h. The drops are packets that the
// answer logic never saw, or replies that never left.
#define MERLON_IO_COUNTERS(X)                                                       \
  X(rx_packets, "messages received")                                                \
  X(rx_bytes, "bytes of messages received")                                         \
  X(tx_packets, "replies handed to the kernel or the port")                         \
  X(tx_bytes, "bytes of replies")                                                   \
  X(bursts, "bursts answered")                                                      \
  X(drop_no_snapshot, "nothing was loaded yet")                                     \
  X(drop_source_port_zero, "a reply to port 0 goes nowhere")                        \
  X(drop_receive_truncated, "message larger than the receive buffer")               \
  X(drop_receive_malformed, "the kernel's receive record was unusable")             \
  X(drop_send_failed, "the kernel refused the reply")                               \
  X(rate_limit_would_limit, "over the rate limit, answered all the same (dry run)") \
  X(receive_errors, "the kernel ended or failed a receive; it was armed again")     \
  X(buffers_exhausted, "all receive buffers were in use for a moment")

enum class IoCounter : uint8_t {
#define MERLON_X(name, text) name,
  MERLON_IO_COUNTERS(MERLON_X)
#undef MERLON_X
      count_
};
inline constexpr size_t kIoCounterCount = static_cast<size_t>(IoCounter::count_);
std::string_view to_string(IoCounter counter);

struct alignas(64) WorkerCounters {
  std::array<std::atomic<uint64_t>, answer::kOutcomeCount> outcomes{};
  std::array<std::atomic<uint64_t>, kIoCounterCount> io{};
  SubjectTable subjects;
  TopSources unknown;  // sources that belong to no device
  StageProfile stages;

  // Only the worker that owns the counters calls these.
  void add(answer::Outcome outcome, uint64_t count = 1) {
    bump(outcomes[static_cast<size_t>(outcome)], count);
  }
  void add(IoCounter counter, uint64_t count = 1) { bump(io[static_cast<size_t>(counter)], count); }
  uint64_t get(answer::Outcome outcome) const {
    return outcomes[static_cast<size_t>(outcome)].load(std::memory_order_relaxed);
  }
  uint64_t get(IoCounter counter) const {
    return io[static_cast<size_t>(counter)].load(std::memory_order_relaxed);
  }

 private:
  static void bump(std::atomic<uint64_t>& value, uint64_t count) {
    value.store(value.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
  }
};

}  // namespace merlon::stats
