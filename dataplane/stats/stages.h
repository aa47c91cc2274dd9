// SPDX-License-Identifier: Apache-2.0
// What a packet costs stage by stage, measured in the running data plane when somebody asks. Off,
// each stage of a burst pays one predictable branch. On, the time stamp counter is read after each
// stage, and the stage's ticks per packet of the burst go into a log-linear histogram: sixteen
// buckets to each power of two, so a value is off by at most a sixteenth.
//
// The worker writes its histograms, anybody reads. To start a run the control thread only asks;
// the worker empties its own histograms at its next burst and stops by itself when time is up.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstdint>
#include <string_view>
#include <vector>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#include "dataplane/stats/lazy_array.h"

namespace merlon::stats {

#define MERLON_STAGES(X)                                           \
  X(receive, "the engine's receive, with its waiting for packets") \
  X(prefetch, "messages and source table asked for")               \
  X(parse, "messages to queries")                                  \
  X(identify, "sources to subjects")                               \
  X(admit, "what the access entry alone settles")                  \
  X(cookies, "cookies checked and made")                           \
  X(limit, "sources over their rate")                              \
  X(look_up, "names to zones to nodes")                            \
  X(decide, "who may see what, how large it may be")               \
  X(compose, "the reply in place of the query")                    \
  X(observe, "counters of subjects and unknown sources")           \
  X(sample, "copies for dnstap")                                   \
  X(send, "the engine's send")

enum class Stage : uint8_t {
#define MERLON_X(name, text) name,
  MERLON_STAGES(MERLON_X)
#undef MERLON_X
      count_
};
inline constexpr size_t kStageCount = static_cast<size_t>(Stage::count_);
std::string_view to_string(Stage stage);

// A clock that costs next to nothing to read; ticks_per_ns() says what a tick is.
inline uint64_t ticks() {
#if defined(__x86_64__)
  return __rdtsc();
#else
  return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
#endif
}
// Measured against the steady clock once, which takes some milliseconds.
double ticks_per_ns();

// Values up to 2^48 in buckets that are at most 1/16 of the value wide.
struct LogLinear {
  static constexpr unsigned kSubBits = 4;
  static constexpr unsigned kBitsMax = 48;
  static constexpr size_t kBucketCount = (kBitsMax - kSubBits + 1) << kSubBits;

  static constexpr size_t bucket_of(uint64_t value) {
    constexpr uint64_t kLargest = (uint64_t{1} << kBitsMax) - 1;
    const uint64_t held = value < kLargest ? value : kLargest;
    if (held < (1u << kSubBits)) {
      return static_cast<size_t>(held);
    }
    const auto shift = static_cast<unsigned>(std::bit_width(held)) - kSubBits - 1;
    return (size_t{shift} << kSubBits) + static_cast<size_t>(held >> shift);
  }
  // The largest value of a bucket.
  static constexpr uint64_t upper_edge(size_t bucket) {
    if (bucket < (2u << kSubBits)) {
      return bucket;
    }
    const size_t shift = (bucket >> kSubBits) - 1;
    return (((bucket & ((1u << kSubBits) - 1)) + (1u << kSubBits) + 1) << shift) - 1;
  }
};

// Values of one stage at one moment: ticks per packet, in sixteenths.
struct StageNumbers {
  std::vector<uint64_t> packets = std::vector<uint64_t>(LogLinear::kBucketCount);
  uint64_t packet_count = 0;
  uint64_t tick_sum = 0;
  uint64_t max = 0;

  void add(const StageNumbers& other);
  // Ticks per packet, in sixteenths, that this part (0 to 1) of the packets did not exceed.
  uint64_t quantile(double part) const;
};

class StageProfile {
 public:
  static constexpr unsigned kFractionBits = 4;

  StageProfile() : stages_(kStageCount) {}

  // The worker's: whether to measure now.
  bool active() {
    const uint64_t until = until_.load(std::memory_order_relaxed);
    return until != 0 && still_active(until);
  }
  void record(Stage stage, uint64_t elapsed_ticks, size_t packet_count);

  // The control thread's: measure from the next burst on, until this tick.
  void start(uint64_t until_tick);
  StageNumbers numbers(Stage stage) const;

 private:
  struct Histogram {
    std::array<std::atomic<uint64_t>, LogLinear::kBucketCount> packets;
    std::atomic<uint64_t> tick_sum;
    std::atomic<uint64_t> max;
  };
  bool still_active(uint64_t until);

  std::atomic<uint64_t> until_{0};  // 0: off
  std::atomic<uint64_t> wanted_run_{0};
  std::atomic<uint64_t> run_{0};  // what the histograms are of
  LazyArray<Histogram> stages_;
};

// Goes from stage to stage of a burst.
class StageTimer {
 public:
  explicit StageTimer(StageProfile& profile) : profile_(profile), active_(profile.active()) {
    if (active_) [[unlikely]] {
      last_ = ticks();
    }
  }
  void done(Stage stage, size_t packet_count) {
    if (active_) [[unlikely]] {
      const uint64_t now = ticks();
      // A thread that moved to a core whose counter is behind measures nothing, not a century.
      profile_.record(stage, now > last_ ? now - last_ : 0, packet_count);
      last_ = now;
    }
  }

 private:
  StageProfile& profile_;
  uint64_t last_ = 0;
  const bool active_;
};

}  // namespace merlon::stats
