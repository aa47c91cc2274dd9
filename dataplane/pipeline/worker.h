// SPDX-License-Identifier: Apache-2.0
// The worker loop: the whole life of a packet, in order. The snapshot is read once per burst; the
// worker is quiescent while the engine waits.
#pragma once

#include <time.h>

#include <array>
#include <atomic>
#include <concepts>
#include <memory>
#include <span>

#include "dataplane/dnstap/sampler.h"
#include "dataplane/io/packet_io.h"
#include "dataplane/pipeline/burst.h"
#include "dataplane/stats/counters.h"
#include "dataplane/swap/live.h"

namespace merlon::pipeline {

struct Worker {
  size_t index = 0;
  swap::LiveSlot& live;
  stats::WorkerCounters& counters;
  answer::Limits limits;
  Services services{};
  // When secrets may be replaced while the worker runs: what is in force; nullptr:
  // services.secrets. The former ones stay until every worker has been quiescent
  // (LiveSlot::synchronize).
  const std::atomic<const cookie::Secrets*>* secrets = nullptr;
  dnstap::Sampler* sampler = nullptr;  // when queries are to be sampled
};

// Coarse clocks are a few nanoseconds' reading and right to a few milliseconds, which is enough.
inline uint64_t read_clock_ms(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1'000'000;
}

inline BurstContext make_context(const Services& services) {
  BurstContext context{.services = services};
  if (services.secrets != nullptr) {
    context.unix_seconds = static_cast<uint32_t>(read_clock_ms(CLOCK_REALTIME_COARSE) / 1000);
  }
  if (services.limiter != nullptr) {
    context.milliseconds = static_cast<uint32_t>(read_clock_ms(CLOCK_MONOTONIC_COARSE));
  }
  return context;
}

// Where packets that are not answered here go. offer() says whether it took the message, of which
// it keeps a copy; it does not wait.
template <class T>
concept SlowPath = requires(T outlet, const io::Path& path, Bytes message) {
  { outlet.offer(path, message) } -> std::same_as<bool>;
};

// There is none.
struct NoSlowPath {
  static bool offer(const io::Path& /*path*/, Bytes /*message*/) { return false; }
};

template <class Io>
consteval bool wants_reply_sum() {
  if constexpr (requires { Io::kWantsReplySum; }) {
    return Io::kWantsReplySum;
  } else {
    return false;
  }
}

// Offers what answer_burst() left for the slow path, and answers what it does not take.
template <io::PathIo Io, SlowPath Outlet>
void relay_burst(Io& engine, Outlet& outlet, Worker& worker, std::span<io::Packet> burst,
                 BurstState& state, const BurstContext& context) {
  for (size_t i = 0; i < state.relay_count; ++i) {
    const io::Packet& packet = burst[state.relays[i].packet];
    if (outlet.offer(engine.path_of(packet), {packet.message, packet.size})) {
      worker.counters.add(answer::Outcome::relayed);
    } else {
      answer_unrelayed(state.relays[i], worker.limits, burst, state, worker.counters, context);
    }
  }
}

// One turn: a burst, if there is one. Returns the number of packets. `outlet` may be null.
template <io::PacketIo Io, SlowPath Outlet = NoSlowPath>
size_t run_burst(Io& engine, Worker& worker, std::span<io::Packet> packets, BurstState& state,
                 Outlet* outlet = nullptr) {
  stats::StageTimer receiving(worker.counters.stages);
  const std::span<io::Packet> burst = packets.first(engine.receive(packets));
  if (burst.empty()) {
    return 0;
  }
  BurstContext context = make_context(worker.services);
  context.has_slow_path = outlet != nullptr;
  context.wants_reply_sum = wants_reply_sum<Io>();
  receiving.done(stats::Stage::receive, burst.size());
  if (worker.sampler != nullptr) {
    worker.sampler->before(burst);
  }
  const swap::Live* live = worker.live.enter(worker.index);
  if (worker.secrets != nullptr) {
    context.services.secrets = worker.secrets->load();
  }
  if (live != nullptr) {
    answer_burst(*live, worker.limits, burst, state, worker.counters, context);
  } else {
    drop_burst(burst, worker.counters);
  }
  worker.live.leave(worker.index);  // replies are copies: nothing refers to the snapshot any more
  if constexpr (!std::same_as<Outlet, NoSlowPath>) {
    if (live != nullptr && state.relay_count != 0) {
      relay_burst(engine, *outlet, worker, burst, state, context);
    }
  }
  stats::StageTimer sending(worker.counters.stages);
  if (worker.sampler != nullptr) {
    worker.sampler->after(engine, burst);
    sending.done(stats::Stage::sample, burst.size());
  }
  engine.send(burst);
  sending.done(stats::Stage::send, burst.size());
  return burst.size();
}

// Until `stop`. Allocates its burst memory once, before the first packet.
template <io::PacketIo Io, SlowPath Outlet = NoSlowPath>
void run_worker(Io& engine, Worker& worker, const std::atomic<bool>& stop,
                Outlet* outlet = nullptr) {
  std::array<io::Packet, io::kBurstMax> packets;
  const auto state = std::make_unique<BurstState>();  // tidy: start-up only
  while (!stop.load(std::memory_order_relaxed)) {
    run_burst(engine, worker, packets, *state, outlet);
  }
}

}  // namespace merlon::pipeline
