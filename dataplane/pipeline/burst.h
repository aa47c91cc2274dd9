// SPDX-License-Identifier: Apache-2.0
// A burst of queries in, replies in place out: every stage runs over the whole burst and prefetches
// what the next one reads, so the cache misses of 64 packets overlap instead of adding up.
#pragma once

#include <array>
#include <span>

#include "dataplane/io/packet_io.h"
#include "dataplane/stats/counters.h"
#include "dataplane/swap/live.h"
#include "zones/answer/answer.h"

namespace merlon::pipeline {

// One worker's memory for a burst; allocated once.
struct BurstState {
  std::array<answer::Query, io::kBurstMax> queries;
  std::array<answer::Lookup, io::kBurstMax> lookups;
  std::array<answer::Reply, io::kBurstMax> replies;
  std::array<answer::Outcome, io::kBurstMax> outcomes;
  std::array<const snapshot::Subject*, io::kBurstMax> subjects;
  std::array<uint32_t, io::kBurstMax> slots;  // where the subject's numbers are
  // Positions of the packets that go on to the next stage.
  std::array<uint8_t, io::kBurstMax> pending;
};

// Sets reply_size of every packet (0: drop) and counts one outcome for each.
// REQUIRES: burst.size() <= io::kBurstMax.
void answer_burst(const swap::Live& live, const answer::Limits& limits, std::span<io::Packet> burst,
                  BurstState& state, stats::WorkerCounters& counters);

// Before anything is loaded: every packet is dropped and counted as drop_no_snapshot.
void drop_burst(std::span<io::Packet> burst, stats::WorkerCounters& counters);

}  // namespace merlon::pipeline
