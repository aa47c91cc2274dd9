// SPDX-License-Identifier: Apache-2.0
// A burst of queries in, replies in place out: every stage runs over the whole burst and prefetches
// what the next one reads, so the cache misses of 64 packets overlap instead of adding up.
//
//   parse, identify (source -> subject), admit (what needs no lookup), cookies, limit, look up,
//   decide, compose
#pragma once

#include <array>
#include <span>

#include "dataplane/io/packet_io.h"
#include "dataplane/ratelimit/ratelimit.h"
#include "dataplane/stats/counters.h"
#include "dataplane/swap/live.h"
#include "zones/answer/answer.h"
#include "zones/cookie/cookie.h"

namespace merlon::pipeline {

// What a worker answers with besides snapshot and limits; what is absent is not done. Fixed while
// the worker runs, and outlives it.
struct Services {
  const cookie::Secrets* secrets = nullptr;
  ratelimit::Limiter* limiter = nullptr;
  bool limit_dry_run = false;  // what would be limited is counted and answered
};

struct BurstContext {
  Services services{};
  uint32_t unix_seconds = 0;     // modulo 2^32; read when there are secrets
  uint32_t milliseconds = 0;     // of a steady clock, modulo 2^32; read when there is a limiter
  bool has_slow_path = false;    // packets for it are left to it: BurstState::relays
  bool wants_reply_sum = false;  // the engine builds UDP headers itself: Packet::reply_sum is set
};

// A packet that the slow path is to be offered.
struct Relay {
  uint8_t packet = 0;                                          // its place in the burst
  answer::Outcome otherwise = answer::Outcome::notimp_opcode;  // what it gets if not taken
};

// For an assembled answer of a packet: at least the udp_size_max that can be configured.
inline constexpr size_t kScratchSize = 2048;

// One worker's memory for a burst; allocated once.
struct BurstState {
  std::array<answer::Query, io::kBurstMax> queries;
  std::array<answer::Lookup, io::kBurstMax> lookups;
  std::array<answer::Reply, io::kBurstMax> replies;
  // What is decided so far; count_: nothing yet.
  std::array<answer::Outcome, io::kBurstMax> outcomes;
  std::array<const snapshot::Subject*, io::kBurstMax> subjects;
  std::array<uint32_t, io::kBurstMax> slots;  // where the subject's numbers are
  // Positions of the packets that go on to the next stage.
  std::array<uint8_t, io::kBurstMax> pending;
  std::array<Relay, io::kBurstMax> relays;
  size_t relay_count = 0;
  std::array<cookie::Check, io::kBurstMax> checks;
  std::array<uint8_t, io::kBurstMax> check_packets;  // whose
  std::array<ratelimit::Probe, io::kBurstMax> probes;
  // Touched only for answers that are more than one body.
  std::array<std::array<uint8_t, kScratchSize>, io::kBurstMax> scratch;
  ratelimit::Slip slip;  // goes on from burst to burst
};

// Sets reply_size of every packet (0: none) and counts one outcome for each, except for those in
// state.relays, which the caller offers to the slow path and then counts as relayed or hands to
// answer_unrelayed(). REQUIRES: burst.size() <= io::kBurstMax.
void answer_burst(const swap::Live& live, const answer::Limits& limits, std::span<io::Packet> burst,
                  BurstState& state, stats::WorkerCounters& counters,
                  const BurstContext& context = {});

// The slow path did not take it: the reply that it gets without one.
void answer_unrelayed(const Relay& relay, const answer::Limits& limits, std::span<io::Packet> burst,
                      BurstState& state, stats::WorkerCounters& counters,
                      const BurstContext& context = {});

// Before anything is loaded: every packet is dropped and counted as drop_no_snapshot.
void drop_burst(std::span<io::Packet> burst, stats::WorkerCounters& counters);

}  // namespace merlon::pipeline
