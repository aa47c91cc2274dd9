// SPDX-License-Identifier: Apache-2.0
// Quiescent-state based reclamation (McKenney; liburcu's qsbr flavour): a worker says when it holds
// no reference; the writer swaps a pointer and frees the old object only when every worker has
// said so since.
//
// A worker is online while it may hold references and offline while it waits in the kernel, so an
// idle worker never holds up a swap. Everything is sequentially consistent: two stores and two
// loads a burst are nothing beside the burst, and the proof stays short:
//   writer: pointer = new; epoch += 1; wait until every worker is offline or has seen the epoch
//   worker: seen = epoch (online); read pointer; ...; seen = offline
// A worker found offline stores `seen` after the writer looked, so it reads the new pointer; one
// that has seen the new epoch went online after the swap, so it reads the new pointer too.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

namespace merlon::swap {

class Quiescence {
 public:
  explicit Quiescence(size_t worker_count) : workers_(worker_count) {}

  // Worker side; each index belongs to one thread.
  void online(size_t worker) { workers_[worker].seen.store(epoch_.load()); }
  void offline(size_t worker) { workers_[worker].seen.store(kOffline); }

  // Writer side: returns when no worker can hold a reference obtained before the call. One writer
  // at a time.
  void wait_for_all();

 private:
  static constexpr uint64_t kOffline = 0;
  struct alignas(64) Worker {
    std::atomic<uint64_t> seen{kOffline};
  };
  std::atomic<uint64_t> epoch_{1};
  std::vector<Worker> workers_;
};

}  // namespace merlon::swap
