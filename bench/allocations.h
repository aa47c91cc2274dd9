// SPDX-License-Identifier: Apache-2.0
// Counts the heap allocations of a benchmark's loop; the packet path must report 0.
#pragma once

#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdint>

namespace merlon::bench {

uint64_t allocation_count();  // of the whole process so far

// Reports allocations per operation when it goes out of scope, in hundredths rounded down, because
// the framework itself allocates once a run. An operation is what SetItemsProcessed counts; without
// it, an iteration.
class AllocationCounter {
 public:
  explicit AllocationCounter(benchmark::State& state)
      : state_(state), before_(allocation_count()) {}
  ~AllocationCounter() {
    const auto operations = static_cast<double>(
        state_.items_processed() != 0 ? state_.items_processed() : state_.iterations());
    state_.counters["allocations/op"] =
        std::floor(static_cast<double>(allocation_count() - before_) / operations * 100) / 100;
  }
  AllocationCounter(const AllocationCounter&) = delete;
  AllocationCounter& operator=(const AllocationCounter&) = delete;

 private:
  benchmark::State& state_;
  uint64_t before_;
};

}  // namespace merlon::bench
