// SPDX-License-Identifier: Apache-2.0
// A worker's way to the slow path: a ring with one writer (the worker) and one reader (the slow
// path's thread). offer() copies the query and its path and returns; it allocates nothing, locks
// nothing, and makes a system call only when the slow path sleeps: one write to an eventfd wakes it
// for all that is offered until it sleeps again. Relayed queries are rare.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "dataplane/io/packet_io.h"
#include "dataplane/slowpath/admission.h"
#include "dataplane/stats/counters.h"
#include "zones/base/bytes.h"

namespace merlon::slowpath {

// No engine receives more.
inline constexpr size_t kMessageSizeMax = 2304;

// Wakes one sleeper. The sleeper calls prepare(), looks once more whether there is work, and sleeps
// on fd() only when there is none; so no work that was offered before goes unseen.
class Wake {
 public:
  Wake();
  ~Wake();
  Wake(const Wake&) = delete;
  Wake& operator=(const Wake&) = delete;

  bool valid() const { return fd_ >= 0; }
  int fd() const { return fd_; }
  void notify();   // any thread, after its work is visible
  void prepare();  // the sleeper
  void finish();   // the sleeper, awake again

 private:
  int fd_ = -1;
  std::atomic<bool> sleeping_{false};
};

struct Relayed {
  io::Path path;
  uint16_t share = 0;  // for Admission::release()
  uint16_t size = 0;
  std::array<uint8_t, kMessageSizeMax> message;

  Bytes bytes() const { return {message.data(), size}; }
};

class Outlet {
 public:
  static constexpr uint32_t kSlotCount = 256;  // a power of two

  // All three outlive it.
  Outlet(Admission& admission, Wake& wake, stats::WorkerCounters& counters);

  // The worker. True: the query is the slow path's now, and it will be answered. False: it is not
  // (counted as slow_path_full or slow_path_refused), and the worker answers it by itself.
  bool offer(const io::Path& path, Bytes message);

  // The slow path. nullptr: there is nothing; else it stays until pop().
  const Relayed* front() const;
  void pop();
  // What becomes of the relayed queries is counted there.
  stats::WorkerCounters& counters() { return counters_; }

 private:
  Admission& admission_;
  Wake& wake_;
  stats::WorkerCounters& counters_;
  std::unique_ptr<Relayed[]> slots_;
  alignas(64) std::atomic<uint32_t> written_{0};
  alignas(64) std::atomic<uint32_t> read_{0};
};

}  // namespace merlon::slowpath
