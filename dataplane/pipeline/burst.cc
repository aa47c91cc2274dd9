// SPDX-License-Identifier: Apache-2.0
#include "dataplane/pipeline/burst.h"

#include <time.h>

#include "zones/base/assert.h"

namespace merlon::pipeline {
namespace {

using answer::Outcome;
using io::Packet;
using stats::Stage;

constexpr uint32_t kCacheLineSize = 64;

void prefetch_sources(const swap::Live& live, std::span<Packet> burst) {
  for (const Packet& packet : burst) {
    live.sources->prefetch(packet.source);
    __builtin_prefetch(packet.message);
  }
}

// Messages -> queries. What needs no lookup is decided here.
void parse(std::span<Packet> burst, BurstState& state) {
  for (size_t i = 0; i < burst.size(); ++i) {
    const Bytes message{burst[i].message, burst[i].size};
    const answer::Parse parsed = answer::parse_query(message, state.queries[i], state.outcomes[i]);
    if (parsed == answer::Parse::good) {
      state.outcomes[i] = Outcome::count_;  // undecided
    }
  }
}

// Sources -> subjects.
void identify(const swap::Live& live, std::span<Packet> burst, BurstState& state) {
  for (size_t i = 0; i < burst.size(); ++i) {
    const uint32_t index = live.sources->find(burst[i].source);
    state.subjects[i] = index == snapshot::kNoSubject ? nullptr : &live.snapshot->subject(index);
    __builtin_prefetch(state.subjects[i]);
  }
}

// Subjects -> where their numbers are: two loads that wait for each other, so each in its own
// stage.
void prefetch_slots(const swap::Live& live, std::span<Packet> burst, const BurstState& state) {
  if (live.slots == nullptr) {
    return;
  }
  const snapshot::Subject* first = live.snapshot->access()->view.subjects().data();
  for (size_t i = 0; i < burst.size(); ++i) {
    if (state.subjects[i] != nullptr) {
      __builtin_prefetch(live.slots->data() + (state.subjects[i] - first));
    }
  }
}

void prefetch_numbers(const swap::Live& live, std::span<Packet> burst, BurstState& state,
                      const stats::WorkerCounters& counters) {
  if (live.slots == nullptr) {
    std::fill_n(state.slots.begin(), burst.size(), stats::kSharedSlot);
    return;
  }
  const snapshot::Subject* first = live.snapshot->access()->view.subjects().data();
  for (size_t i = 0; i < burst.size(); ++i) {
    const snapshot::Subject* subject = state.subjects[i];
    state.slots[i] = subject == nullptr ? stats::kSharedSlot : live.slots->data()[subject - first];
    counters.subjects.prefetch(state.slots[i]);
  }
}

// Returns how many packets need a lookup.
size_t admit(std::span<Packet> burst, BurstState& state) {
  size_t pending = 0;
  for (size_t i = 0; i < burst.size(); ++i) {
    const Outcome outcome = state.outcomes[i];
    if (outcome != Outcome::count_ && answer::is_drop(outcome)) {
      state.replies[i] = answer::reply_without_lookup(outcome);
      continue;
    }
    if (answer::settled_by_access(state.subjects[i], state.replies[i])) {
      continue;
    }
    if (outcome != Outcome::count_) {
      state.replies[i] = answer::reply_without_lookup(outcome);
      continue;
    }
    state.pending[pending++] = static_cast<uint8_t>(i);
  }
  return pending;
}

void look_up(const swap::Live& live, std::span<const uint8_t> pending, BurstState& state) {
  for (const uint8_t i : pending) {
    answer::find_zone(*live.snapshot, state.queries[i], state.lookups[i]);
  }
  for (const uint8_t i : pending) {
    answer::find_node(state.queries[i], state.lookups[i]);
  }
}

void decide(std::span<const uint8_t> pending, const answer::Limits& limits, BurstState& state) {
  for (const uint8_t i : pending) {
    state.replies[i] =
        answer::decide(state.queries[i], state.lookups[i], state.subjects[i], limits);
    const snapshot::Body& body = state.replies[i].body;
    __builtin_prefetch(body.data);
    if (body.size > kCacheLineSize) {
      __builtin_prefetch(body.data + kCacheLineSize);  // the hardware sees the pattern from here on
    }
  }
}

void compose(std::span<Packet> burst, const answer::Limits& limits, BurstState& state,
             stats::WorkerCounters& counters) {
  for (size_t i = 0; i < burst.size(); ++i) {
    const MutableBytes buffer{burst[i].message, burst[i].capacity};
    const size_t size =
        answer::compose(state.queries[i], state.replies[i], limits, buffer, burst[i].size);
    burst[i].reply_size = static_cast<uint32_t>(size);
    counters.add(state.replies[i].outcome);
  }
}

// Of many unknown sources in a burst only some are looked at, evenly spread from a place that moves
// on, each for several.
void observe_unknown(std::span<const uint8_t> unknown, std::span<Packet> burst, uint32_t now_s,
                     stats::WorkerCounters& counters) {
  constexpr size_t kUpdatesMax = stats::TopSources::kUpdatesPerBurst;
  const size_t step = (unknown.size() + kUpdatesMax - 1) / kUpdatesMax;
  size_t at = step == 1 ? 0 : counters.get(stats::IoCounter::bursts) % step;
  for (; at < unknown.size(); at += step) {
    counters.unknown.record(burst[unknown[at]].source, step, now_s);
  }
}

// Who asked what, after the replies are made.
void observe(std::span<Packet> burst, BurstState& state, stats::WorkerCounters& counters) {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &now);  // no system call
  const auto now_s = static_cast<uint32_t>(now.tv_sec);
  size_t unknown_count = 0;
  for (size_t i = 0; i < burst.size(); ++i) {
    const Outcome outcome = state.replies[i].outcome;
    counters.subjects.count(state.slots[i], outcome, now_s);
    state.pending[unknown_count] = static_cast<uint8_t>(i);
    unknown_count += outcome == Outcome::refused_unregistered ? 1 : 0;
  }
  if (unknown_count != 0) {
    observe_unknown({state.pending.data(), unknown_count}, burst, now_s, counters);
  }
}

}  // namespace

void answer_burst(const swap::Live& live, const answer::Limits& limits, std::span<Packet> burst,
                  BurstState& state, stats::WorkerCounters& counters) {
  MERLON_DASSERT(burst.size() <= io::kBurstMax);
  const size_t size = burst.size();
  stats::StageTimer timer(counters.stages);
  prefetch_sources(live, burst);
  timer.done(Stage::prefetch, size);
  parse(burst, state);
  timer.done(Stage::parse, size);
  identify(live, burst, state);
  prefetch_slots(live, burst, state);
  timer.done(Stage::identify, size);
  const size_t pending_count = admit(burst, state);
  const std::span<const uint8_t> pending{state.pending.data(), pending_count};
  prefetch_numbers(live, burst, state, counters);
  timer.done(Stage::admit, size);
  look_up(live, pending, state);
  timer.done(Stage::look_up, pending_count);
  decide(pending, limits, state);
  timer.done(Stage::decide, pending_count);
  compose(burst, limits, state, counters);
  timer.done(Stage::compose, size);
  observe(burst, state, counters);
  timer.done(Stage::observe, size);
  counters.add(stats::IoCounter::bursts);
}

void drop_burst(std::span<Packet> burst, stats::WorkerCounters& counters) {
  for (Packet& packet : burst) {
    packet.reply_size = 0;
  }
  counters.add(stats::IoCounter::drop_no_snapshot, burst.size());
}

}  // namespace merlon::pipeline
