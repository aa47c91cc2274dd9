// SPDX-License-Identifier: Apache-2.0
// One thread's epoll. Who watches a descriptor may stop watching, or go away, while events are
// handled: what was reported for it before that is then for nobody. Not thread-safe but for wake().
#pragma once

#include <sys/epoll.h>

#include <cstdint>
#include <vector>

#include "controlplane/dns/socket.h"
#include "zones/base/error.h"

namespace merlon::forward {

class Watcher {
 public:
  virtual ~Watcher() = default;
  virtual void on_ready(uint32_t events) = 0;
};

class Poller {
 public:
  // Errors: io.
  Status open();
  // False: the system refused. `watcher` outlives unwatch(). Level-triggered.
  bool watch(int fd, uint32_t events, Watcher& watcher, uint32_t& slot);
  void change(int fd, uint32_t events, uint32_t slot);
  void unwatch(int fd, uint32_t slot);
  // Waits at most so long (-1: until something happens) and tells the watchers.
  void run_once(int wait_ms);
  void wake();  // from any thread

 private:
  struct Slot {
    Watcher* watcher = nullptr;
    uint32_t generation = 0;
  };

  dns::Fd epoll_;
  dns::Fd wake_;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
};

}  // namespace merlon::forward
