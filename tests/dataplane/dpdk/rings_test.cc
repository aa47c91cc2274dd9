// SPDX-License-Identifier: Apache-2.0
// What passes between threads: late replies, and the bell that wakes a sleeper.
#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <thread>

#include "dataplane/dpdk/idle.h"
#include "dataplane/dpdk/late_ring.h"

namespace merlon::dpdk {
namespace {

TEST(LateRing, HandsOverInOrderWhileBothSidesRun) {
  const auto ring = std::make_unique<LateRing>();
  constexpr uint32_t kTotal = 200'000;
  std::thread writer([&] {
    for (uint32_t i = 0; i < kTotal;) {
      LateRing::Slot* slot = ring->claim();
      if (slot == nullptr) {
        std::this_thread::yield();
        continue;
      }
      slot->size = static_cast<uint16_t>(i);
      std::memcpy(slot->frame.data(), &i, sizeof i);
      ring->publish();
      ++i;
    }
  });
  uint32_t wrong = 0;
  for (uint32_t i = 0; i < kTotal;) {
    if (ring->empty()) {
      std::this_thread::yield();
      continue;
    }
    uint32_t number = 0;
    std::memcpy(&number, ring->front().frame.data(), sizeof number);
    wrong += number == i && ring->front().size == static_cast<uint16_t>(i) ? 0u : 1u;
    ring->pop();
    ++i;
  }
  writer.join();
  EXPECT_EQ(wrong, 0u);
  EXPECT_TRUE(ring->empty());
}

TEST(Doorbell, WakesASleeperAndNobodyElse) {
  Doorbell bell;
  pollfd polled{.fd = bell.fd(), .events = POLLIN, .revents = 0};
  bell.ring();
  EXPECT_EQ(::poll(&polled, 1, 0), 0) << "rung while nobody slept";
  bell.announce();
  bell.ring();
  bell.ring();
  EXPECT_EQ(::poll(&polled, 1, 1000), 1);
  bell.awake();
  EXPECT_EQ(::poll(&polled, 1, 0), 0);
}

TEST(Doorbell, NoRingIsLost) {
  Doorbell bell;
  std::atomic<uint32_t> posted{0};
  constexpr uint32_t kTotal = 20'000;
  std::thread ringer([&] {
    for (uint32_t i = 0; i < kTotal; ++i) {
      posted.fetch_add(1, std::memory_order_release);
      bell.ring();
    }
  });
  uint32_t seen = 0;
  int timeouts = 0;
  while (seen < kTotal) {
    const uint32_t now = posted.load(std::memory_order_acquire);
    if (now != seen) {
      seen = now;
      continue;
    }
    bell.announce();
    if (posted.load(std::memory_order_acquire) == seen) {
      pollfd polled{.fd = bell.fd(), .events = POLLIN, .revents = 0};
      timeouts += ::poll(&polled, 1, 20'000) == 1 ? 0 : 1;
    }
    bell.awake();
  }
  ringer.join();
  EXPECT_EQ(timeouts, 0);
}

}  // namespace
}  // namespace merlon::dpdk
