// SPDX-License-Identifier: Apache-2.0
// Whole frames from one thread to one worker: a ring of fixed slots, one writer, one reader, no
// lock. An empty ring costs the reader one load of a line that nobody writes.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "zones/base/bytes.h"

namespace merlon::dpdk {

class LateRing {
 public:
  // As many as the slow path has queries open: a worker that gets no processor for a while finds
  // all of their replies, and none was refused.
  static constexpr size_t kSlotCount = 1024;
  static constexpr size_t kFrameMax = 1536;

  struct Slot {
    uint16_t size = 0;
    uint16_t port = 0;  // the worker's port number, not DPDK's
    std::array<uint8_t, kFrameMax> frame;
  };

  // The writer: a slot to fill, nullptr when the ring is full; publish() hands it over.
  Slot* claim() {
    const size_t at = written_.load(std::memory_order_relaxed);
    return at - read_.load(std::memory_order_acquire) == kSlotCount ? nullptr
                                                                    : &slots_[at % kSlotCount];
  }
  void publish() {
    written_.store(written_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }

  // The reader.
  bool empty() const { return written_.load(std::memory_order_acquire) == next_; }
  // REQUIRES: !empty().
  const Slot& front() const { return slots_[next_ % kSlotCount]; }
  void pop() { read_.store(++next_, std::memory_order_release); }

 private:
  alignas(64) std::atomic<size_t> written_{0};
  alignas(64) std::atomic<size_t> read_{0};
  alignas(64) size_t next_ = 0;  // the reader's copy of read_
  std::array<Slot, kSlotCount> slots_;
};

}  // namespace merlon::dpdk
