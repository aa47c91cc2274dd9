// SPDX-License-Identifier: Apache-2.0
#include "dataplane/dpdk/idle.h"

#include <rte_cycles.h>
#include <rte_epoll.h>
#include <rte_ethdev.h>
#include <rte_pause.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>

namespace merlon::dpdk {
namespace {

// Long enough to bridge the gaps between bursts, short beside what waking costs.
constexpr uint64_t kSpinUs = 50;
constexpr unsigned long kTimerSlackNs = 1000;

}  // namespace

Doorbell::Doorbell() : fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

Doorbell::~Doorbell() {
  ::close(fd_);
}

void Doorbell::awake() {
  asleep_.store(false, std::memory_order_release);
  eventfd_t count = 0;
  ::eventfd_read(fd_, &count);
}

void Doorbell::wake() {
  ::eventfd_write(fd_, 1);
}

void Idle::open(dataplane::Idle policy, const Sources& sources, Doorbell& doorbell) {
  policy_ = policy;
  doorbell_ = &doorbell;
  ::prctl(PR_SET_TIMERSLACK, kTimerSlackNs, 0, 0, 0);
  if (policy_ == dataplane::Idle::sleep && sources.complete && !watch(sources, doorbell.fd())) {
    close();
  }
}

void Idle::close() {
  if (epoll_ >= 0) {
    ::close(epoll_);
    epoll_ = -1;
  }
  interrupts_.clear();
}

// Descriptors are watched with the data 0, 1, ..: nobody asks which of them it was.
bool Idle::watch(const Sources& sources, int doorbell) {
  // Receive interrupts bring their own format of event, which only rte_epoll_wait() understands;
  // it cannot be mixed with others.
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  std::vector<int> watched = sources.descriptors;
  watched.push_back(doorbell);
  for (const InterruptQueue& source : sources.interrupts) {
    const int fd = ::rte_eth_dev_rx_intr_ctl_q_get_fd(source.port, source.queue);
    if (fd < 0) {
      return false;
    }
    watched.push_back(fd);
    interrupts_.push_back(source);
  }
  for (const int fd : watched) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) {
      return false;
    }
  }
  return true;
}

bool Idle::spun_out() {
  const uint64_t now = ::rte_rdtsc();
  if (empty_turns_ == 2) {
    rest_at_ = now + kSpinUs * ::rte_get_tsc_hz() / 1'000'000;
    doze_us_ = 1;
  }
  if (now < rest_at_) {
    ::rte_pause();
    return false;
  }
  return true;
}

void Idle::arm() {
  doorbell_->announce();
  for (const InterruptQueue& source : interrupts_) {
    ::rte_eth_dev_rx_intr_enable(source.port, source.queue);
  }
}

void Idle::wait() {
  std::array<epoll_event, 8> events{};
  const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), kWaitMs);
  for (int i = 0; i < count && !interrupts_.empty(); ++i) {
    // An interrupt's eventfd stays readable until it is read. A TAP's descriptor is the TAP: the
    // driver reads it, and says so by not having interrupts to enable.
    for (const InterruptQueue& source : interrupts_) {
      if (::rte_eth_dev_rx_intr_ctl_q_get_fd(source.port, source.queue) ==
              events[static_cast<size_t>(i)].data.fd &&
          ::rte_eth_dev_rx_intr_disable(source.port, source.queue) == 0) {
        eventfd_t ignored = 0;
        ::eventfd_read(events[static_cast<size_t>(i)].data.fd, &ignored);
      }
    }
  }
  disarm();
}

void Idle::disarm() {
  for (const InterruptQueue& source : interrupts_) {
    ::rte_eth_dev_rx_intr_disable(source.port, source.queue);
  }
  doorbell_->awake();
  empty_turns_ = 0;  // woken: what woke us is the first of more, probably
}

void Idle::doze() {
  const timespec time{.tv_sec = 0, .tv_nsec = static_cast<long>(doze_us_) * 1000};
  ::nanosleep(&time, nullptr);
  doze_us_ = std::min(doze_us_ * 2, kDozeMaxUs);
}

}  // namespace merlon::dpdk
