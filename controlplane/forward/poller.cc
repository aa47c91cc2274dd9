// SPDX-License-Identifier: Apache-2.0
#include "controlplane/forward/poller.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace merlon::forward {
namespace {

constexpr uint64_t kWake = UINT64_MAX;

uint64_t token_of(uint32_t slot, uint32_t generation) {
  return (uint64_t{generation} << 32) | slot;
}

}  // namespace

Status Poller::open() {
  epoll_ = dns::Fd(epoll_create1(EPOLL_CLOEXEC));
  wake_ = dns::Fd(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kWake;
  if (!epoll_.valid() || !wake_.valid() ||
      epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event) != 0) {
    return fail_errno("forwarder: epoll", errno);
  }
  return {};
}

bool Poller::watch(int fd, uint32_t events, Watcher& watcher, uint32_t& slot) {
  if (free_.empty()) {
    free_.push_back(static_cast<uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  slot = free_.back();
  epoll_event event{};
  event.events = events;
  event.data.u64 = token_of(slot, slots_[slot].generation);
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    return false;
  }
  free_.pop_back();
  slots_[slot].watcher = &watcher;
  return true;
}

void Poller::change(int fd, uint32_t events, uint32_t slot) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = token_of(slot, slots_[slot].generation);
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

void Poller::unwatch(int fd, uint32_t slot) {
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  slots_[slot].watcher = nullptr;
  ++slots_[slot].generation;
  free_.push_back(slot);
}

void Poller::run_once(int wait_ms) {
  std::array<epoll_event, 256> events;
  const int count =
      epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), wait_ms);
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<size_t>(i)];
    if (event.data.u64 == kWake) {
      uint64_t times = 0;
      [[maybe_unused]] const ssize_t n = read(wake_.get(), &times, sizeof times);
      continue;
    }
    const auto slot = static_cast<uint32_t>(event.data.u64);
    const auto generation = static_cast<uint32_t>(event.data.u64 >> 32);
    if (slots_[slot].generation == generation && slots_[slot].watcher != nullptr) {
      slots_[slot].watcher->on_ready(event.events);
    }
  }
}

void Poller::wake() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = write(wake_.get(), &one, sizeof one);
}

}  // namespace merlon::forward
