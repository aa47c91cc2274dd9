// SPDX-License-Identifier: Apache-2.0
// What a worker does when nothing comes: it spins for a moment (the next burst is likely near), and
// then gives its core away: it sleeps on file descriptors where all of its ports have them (AF_XDP
// sockets, receive interrupts), else in steps that grow to kDozeMax. The first packet ends it.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "dataplane/settings/settings.h"
#include "zones/base/error.h"

namespace merlon::dpdk {

// Wakes a sleeping thread, and costs its ringer no system call while it is awake. The sleeper says
// announce(), looks once more for work, and only then waits for fd(); the ringer makes its work
// visible and then rings. Both exchange the same flag, so whoever comes second sees the other.
class Doorbell {
 public:
  Doorbell();
  ~Doorbell();
  Doorbell(const Doorbell&) = delete;
  Doorbell& operator=(const Doorbell&) = delete;

  int fd() const { return fd_; }
  void announce() { asleep_.exchange(true, std::memory_order_acq_rel); }
  void awake();
  void ring() {
    if (asleep_.exchange(false, std::memory_order_acq_rel)) {
      wake();
    }
  }

 private:
  void wake();

  int fd_;
  alignas(64) std::atomic<bool> asleep_{false};
};

class Idle {
 public:
  // Longest wait for descriptors: `stop` is looked at so often.
  static constexpr int kWaitMs = 100;
  static constexpr uint32_t kDozeMaxUs = 200;

  struct InterruptQueue {
    uint16_t port = 0;
    uint16_t queue = 0;
  };
  struct Sources {
    std::vector<int> descriptors;            // readable when there are packets
    std::vector<InterruptQueue> interrupts;  // queues with receive interrupts
    bool complete = false;                   // all ports have one of both
  };

  // On the thread that will wait. Falls back to dozing when the kernel or a driver refuses.
  void open(dataplane::Idle policy, const Sources& sources, Doorbell& doorbell);
  void close();

  void busy() { empty_turns_ = 0; }
  // After an empty turn: whether it is time to rest.
  bool tired() { return policy_ == dataplane::Idle::sleep && ++empty_turns_ >= 2 && spun_out(); }
  bool waits_on_descriptors() const { return epoll_ >= 0; }

  // Arms what wakes us; then the caller looks once more, and calls wait() or only disarm().
  void arm();
  void wait();
  void disarm();
  // For ports without descriptors.
  void doze();

 private:
  bool spun_out();
  bool watch(const Sources& sources, int doorbell);

  dataplane::Idle policy_ = dataplane::Idle::poll;
  uint64_t empty_turns_ = 0;
  uint64_t rest_at_ = 0;  // the cycle counter's value when spinning ends
  uint32_t doze_us_ = 1;
  int epoll_ = -1;
  Doorbell* doorbell_ = nullptr;
  std::vector<InterruptQueue> interrupts_;
};

}  // namespace merlon::dpdk
