// SPDX-License-Identifier: Apache-2.0
// The worker loop: the whole life of a packet, in order. The snapshot is read once per burst; the
// worker is quiescent while the engine waits.
#pragma once

#include <array>
#include <atomic>
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
  dnstap::Sampler* sampler = nullptr;  // when queries are to be sampled
};

// One turn: a burst, if there is one. Returns the number of packets.
template <io::PacketIo Io>
size_t run_burst(Io& engine, Worker& worker, std::span<io::Packet> packets, BurstState& state) {
  stats::StageTimer receiving(worker.counters.stages);
  const std::span<io::Packet> burst = packets.first(engine.receive(packets));
  if (burst.empty()) {
    return 0;
  }
  receiving.done(stats::Stage::receive, burst.size());
  if (worker.sampler != nullptr) {
    worker.sampler->before(burst);
  }
  const swap::Live* live = worker.live.enter(worker.index);
  if (live != nullptr) {
    answer_burst(*live, worker.limits, burst, state, worker.counters);
  } else {
    drop_burst(burst, worker.counters);
  }
  worker.live.leave(worker.index);  // replies are copies: nothing refers to the snapshot any more
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
template <io::PacketIo Io>
void run_worker(Io& engine, Worker& worker, const std::atomic<bool>& stop) {
  std::array<io::Packet, io::kBurstMax> packets;
  const auto state = std::make_unique<BurstState>();  // tidy: start-up only
  while (!stop.load(std::memory_order_relaxed)) {
    run_burst(engine, worker, packets, *state);
  }
}

}  // namespace merlon::pipeline
