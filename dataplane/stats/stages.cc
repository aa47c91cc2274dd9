// SPDX-License-Identifier: Apache-2.0
#include "dataplane/stats/stages.h"

#include <algorithm>
#include <cmath>

namespace merlon::stats {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

void bump(std::atomic<uint64_t>& value, uint64_t count) {
  value.store(value.load(kRelaxed) + count, kRelaxed);
}

// The shortest of several tries: one that was interrupted in the middle is longer.
double measure_ticks_per_ns() {
#if defined(__x86_64__)
  using Clock = std::chrono::steady_clock;
  constexpr auto kTry = std::chrono::milliseconds(2);
  double best = 0;
  double least_doubt = INFINITY;
  for (int i = 0; i < 5; ++i) {
    const uint64_t tick_before = ticks();
    const auto start = Clock::now();
    const uint64_t tick_start = ticks();
    while (Clock::now() - start < kTry) {
    }
    const uint64_t tick_middle = ticks();
    const auto end = Clock::now();
    const uint64_t tick_end = ticks();
    // The clock was read somewhere between two readings of the counter.
    const double doubt = static_cast<double>((tick_start - tick_before) + (tick_end - tick_middle));
    if (doubt < least_doubt) {
      least_doubt = doubt;
      const double ns = std::chrono::duration<double, std::nano>(end - start).count();
      const double first = (static_cast<double>(tick_before) + static_cast<double>(tick_start)) / 2;
      const double last = (static_cast<double>(tick_middle) + static_cast<double>(tick_end)) / 2;
      best = (last - first) / ns;
    }
  }
  return best;
#else
  return 1.0;
#endif
}

}  // namespace

std::string_view to_string(Stage stage) {
  switch (stage) {
#define MERLON_X(name, text) \
  case Stage::name:          \
    return #name;
    MERLON_STAGES(MERLON_X)
#undef MERLON_X
    case Stage::count_:
      break;
  }
  return "unknown";
}

double ticks_per_ns() {
  static const double measured = measure_ticks_per_ns();
  return measured;
}

void StageNumbers::add(const StageNumbers& other) {
  for (size_t i = 0; i < packets.size(); ++i) {
    packets[i] += other.packets[i];
  }
  packet_count += other.packet_count;
  tick_sum += other.tick_sum;
  max = std::max(max, other.max);
}

uint64_t StageNumbers::quantile(double part) const {
  const auto wanted = std::max(
      uint64_t{1}, static_cast<uint64_t>(std::ceil(part * static_cast<double>(packet_count))));
  uint64_t seen = 0;
  for (size_t i = 0; i < packets.size(); ++i) {
    seen += packets[i];
    if (seen >= wanted) {
      return std::min(LogLinear::upper_edge(i), max);
    }
  }
  return max;
}

bool StageProfile::still_active(uint64_t until) {
  if (ticks() >= until) {
    // Unless somebody has started another run meanwhile.
    until_.compare_exchange_strong(until, 0);
    return false;
  }
  const uint64_t wanted = wanted_run_.load(std::memory_order_acquire);
  if (run_.load(kRelaxed) != wanted) {
    for (size_t i = 0; i < kStageCount; ++i) {
      for (auto& bucket : stages_[i].packets) {
        bucket.store(0, kRelaxed);
      }
      stages_[i].tick_sum.store(0, kRelaxed);
      stages_[i].max.store(0, kRelaxed);
    }
    run_.store(wanted, std::memory_order_release);
  }
  return true;
}

void StageProfile::record(Stage stage, uint64_t elapsed_ticks, size_t packet_count) {
  if (packet_count == 0) {
    return;
  }
  Histogram& histogram = stages_[static_cast<size_t>(stage)];
  const uint64_t value = (elapsed_ticks << kFractionBits) / packet_count;
  bump(histogram.packets[LogLinear::bucket_of(value)], packet_count);
  bump(histogram.tick_sum, elapsed_ticks);
  if (value > histogram.max.load(kRelaxed)) {
    histogram.max.store(value, kRelaxed);
  }
}

void StageProfile::start(uint64_t until_tick) {
  wanted_run_.store(wanted_run_.load(kRelaxed) + 1, std::memory_order_release);
  until_.store(until_tick, std::memory_order_release);
}

StageNumbers StageProfile::numbers(Stage stage) const {
  StageNumbers numbers;
  if (run_.load(std::memory_order_acquire) != wanted_run_.load(kRelaxed)) {
    return numbers;  // the worker had no burst since the run was started
  }
  const Histogram& histogram = stages_[static_cast<size_t>(stage)];
  for (size_t i = 0; i < LogLinear::kBucketCount; ++i) {
    numbers.packets[i] = histogram.packets[i].load(kRelaxed);
    numbers.packet_count += numbers.packets[i];
  }
  numbers.tick_sum = histogram.tick_sum.load(kRelaxed);
  numbers.max = histogram.max.load(kRelaxed);
  return numbers;
}

}  // namespace merlon::stats
