// SPDX-License-Identifier: Apache-2.0
// Deadlines of many connections at constant cost. Most deadlines move into the future with every
// query, so an entry stays where it is and is looked at when its slot comes: the owner then says
// whether it is due or when to look again. Only a deadline that comes nearer is moved.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace merlon::dns {

struct TimerNode {
  TimerNode* previous = nullptr;  // nullptr: not in a wheel
  TimerNode* next = nullptr;
  uint64_t look_at_tick = 0;
};

// Not thread-safe. Entries must be removed before they are destroyed.
class TimerWheel {
 public:
  static constexpr uint64_t kTickMs = 25;
  static constexpr uint64_t kSlots = 512;  // 12.8 s; what is due later is looked at in between

  TimerWheel() {
    for (TimerNode& head : heads_) {
      head.previous = head.next = &head;
    }
  }
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  bool empty() const { return count_ == 0; }

  // Looks at the entry no later than one tick after `when_ms`.
  void schedule(TimerNode& node, uint64_t now_ms, uint64_t when_ms) {
    if (count_ == 0) {
      done_tick_ = now_ms / kTickMs;
    }
    uint64_t tick = when_ms / kTickMs + 1;
    const uint64_t first = done_tick_ + 1;
    const uint64_t last = done_tick_ + kSlots - 1;
    tick = tick < first ? first : tick > last ? last : tick;
    if (node.previous != nullptr) {
      if (node.look_at_tick <= tick) {
        return;
      }
      remove(node);
    }
    node.look_at_tick = tick;
    TimerNode& head = heads_[tick % kSlots];
    node.previous = head.previous;
    node.next = &head;
    head.previous->next = &node;
    head.previous = &node;
    ++count_;
  }

  void remove(TimerNode& node) {
    if (node.previous == nullptr) {
      return;
    }
    node.previous->next = node.next;
    node.next->previous = node.previous;
    node.previous = node.next = nullptr;
    --count_;
  }

  // Takes out every entry whose slot has come and hands it to look(TimerNode&), which may schedule
  // it again or remove others.
  template <class Look>
  void advance(uint64_t now_ms, Look&& look) {
    const uint64_t now_tick = now_ms / kTickMs;
    if (now_tick > done_tick_ + kSlots) {
      done_tick_ = now_tick - kSlots;  // a long sleep: every slot once
    }
    while (done_tick_ < now_tick) {
      ++done_tick_;
      TimerNode& head = heads_[done_tick_ % kSlots];
      while (head.next != &head) {
        TimerNode& node = *head.next;
        remove(node);
        look(node);
      }
    }
  }

 private:
  std::array<TimerNode, kSlots> heads_;
  uint64_t done_tick_ = 0;
  size_t count_ = 0;
};

}  // namespace merlon::dns
