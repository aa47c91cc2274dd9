// SPDX-License-Identifier: Apache-2.0
#include "dataplane/slowpath/outlet.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstring>

#include "zones/wire/wire.h"

namespace merlon::slowpath {

using stats::IoCounter;

Wake::Wake() : fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

Wake::~Wake() {
  if (fd_ >= 0) {
    ::close(fd_);
  }
}

void Wake::notify() {
  // Orders the caller's work before this look, as prepare() orders its mark before the sleeper's
  // look at the work: one of the two sees the other's.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (sleeping_.load(std::memory_order_relaxed) &&
      sleeping_.exchange(false, std::memory_order_relaxed)) {
    const uint64_t one = 1;
    // It fails only when the counter is full, and then the sleeper wakes up anyway.
    [[maybe_unused]] const ssize_t n = ::write(fd_, &one, sizeof one);
  }
}

void Wake::prepare() {
  sleeping_.store(true, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_seq_cst);
}

void Wake::finish() {
  sleeping_.store(false, std::memory_order_relaxed);
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t n = ::read(fd_, &count, sizeof count);
}

Outlet::Outlet(Admission& admission, Wake& wake, stats::WorkerCounters& counters)
    : admission_(admission),
      wake_(wake),
      counters_(counters),
      slots_(std::make_unique<Relayed[]>(kSlotCount)) {}

bool Outlet::offer(const io::Path& path, Bytes message) {
  const uint32_t written = written_.load(std::memory_order_relaxed);
  if (written - read_.load(std::memory_order_acquire) == kSlotCount) {
    counters_.add(IoCounter::slow_path_full);
    return false;
  }
  if (message.size() < wire::kHeaderSize || message.size() > kMessageSizeMax) {
    counters_.add(IoCounter::slow_path_refused);
    return false;
  }
  Relayed& slot = slots_[written % kSlotCount];
  const Admission::Verdict verdict = admission_.admit(path.source, slot.share);
  if (verdict != Admission::Verdict::admitted) {
    counters_.add(verdict == Admission::Verdict::full ? IoCounter::slow_path_full
                                                      : IoCounter::slow_path_refused);
    return false;
  }
  slot.path = path;
  slot.size = static_cast<uint16_t>(message.size());
  std::memcpy(slot.message.data(), message.data(), message.size());
  written_.store(written + 1, std::memory_order_release);
  wake_.notify();
  return true;
}

const Relayed* Outlet::front() const {
  const uint32_t at = read_.load(std::memory_order_relaxed);
  return at == written_.load(std::memory_order_acquire) ? nullptr : &slots_[at % kSlotCount];
}

void Outlet::pop() {
  read_.store(read_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
}

}  // namespace merlon::slowpath
