// SPDX-License-Identifier: Apache-2.0
// Per-worker counters. One worker writes its own, anybody reads: relaxed atomics without locked
// instructions, each worker's on cache lines of its own. What becomes of relayed queries the slow
// path's thread counts, and no worker does: each counter has one writer.
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

// What becomes of the packets that are offered to the slow path. The first two the worker counts,
// the others the slow path's thread; slow_path_unmatched with worker 0, whoever asked.
#define MERLON_SLOW_PATH_COUNTERS(X)                                             \
  X(slow_path_full, "not relayed: the slow path had no room")                    \
  X(slow_path_refused, "not relayed: no slow path, or the source has its share") \
  X(slow_path_replies, "the control plane's answers handed to the kernel")       \
  X(slow_path_expired, "relayed, not answered in time: SERVFAIL")                \
  X(slow_path_lost, "relayed when the control plane went away: SERVFAIL")        \
  X(slow_path_unmatched, "an answer of the control plane that nobody waits for") \
  X(drop_slow_path_send, "the kernel or the port refused a late reply")

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
  X(buffers_exhausted, "all receive buffers were in use for a moment")              \
  X(drop_not_ours, "frames that are no queries to us, and no exception path")       \
  X(drop_frame_truncated, "frame ends before the length that its IP says")          \
  X(drop_frame_ip_header, "IP header impossible")                                   \
  X(drop_frame_ip_checksum, "IPv4 header checksum wrong")                           \
  X(drop_frame_ip_options, "IPv4 options malformed, or a source route")             \
  X(drop_frame_udp_length, "UDP length impossible")                                 \
  X(drop_frame_udp_checksum, "UDP checksum wrong, or none on IPv6")                 \
  X(drop_frame_source_address, "source address is no host's, or our own")           \
  X(to_kernel, "frames handed to the exception path")                               \
  X(drop_to_kernel, "frames that the exception path had no room for")               \
  X(from_kernel, "frames of the kernel sent on a port")                             \
  X(drop_from_kernel, "frames of the kernel that a port did not take")              \
  X(late_replies, "replies sent after their burst")                                 \
  MERLON_SLOW_PATH_COUNTERS(X)

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

  // Only the one writer of the counter calls these.
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
