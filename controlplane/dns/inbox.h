// SPDX-License-Identifier: Apache-2.0
// What other threads have for a thread that waits in epoll or poll: they put it in and ring, it
// takes all at once. Shared by who takes and who gives, so that giving is harmless when the taker
// is gone.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

#include "controlplane/dns/socket.h"

namespace merlon::dns {

// Thread-safe.
template <class Item>
class Inbox {
 public:
  Inbox() : bell_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

  // False when the system had no descriptor for it (errno says why).
  bool valid() const { return bell_.valid(); }
  // Readable when there is something.
  int fd() const { return bell_.get(); }

  void put(Item item) {
    bool was_empty = false;
    {
      const std::lock_guard lock(mutex_);
      if (closed_) {
        return;
      }
      was_empty = items_.empty();
      items_.push_back(std::move(item));
    }
    if (was_empty) {
      const uint64_t one = 1;
      // It fails only when the counter is full, and then the bell rings anyway.
      [[maybe_unused]] const ssize_t n = write(bell_.get(), &one, sizeof one);
    }
  }

  std::vector<Item> take() {
    uint64_t rung = 0;
    [[maybe_unused]] const ssize_t n = read(bell_.get(), &rung, sizeof rung);
    const std::lock_guard lock(mutex_);
    return std::exchange(items_, {});
  }

  // Nobody will take any more.
  void close() {
    std::vector<Item> rest;
    const std::lock_guard lock(mutex_);
    closed_ = true;
    rest.swap(items_);
  }

 private:
  Fd bell_;
  std::mutex mutex_;
  std::vector<Item> items_;
  bool closed_ = false;
};

}  // namespace merlon::dns
