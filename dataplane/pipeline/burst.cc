// SPDX-License-Identifier: Apache-2.0
#include "dataplane/pipeline/burst.h"

#include "zones/base/assert.h"
#include "zones/base/prefetch.h"

namespace merlon::pipeline {
namespace {

using answer::Outcome;
using io::Packet;

constexpr uint32_t kCacheLineSize = 64;

// The positions of a burst's packets by the family of their source.
struct Families {
  std::array<uint8_t, io::kBurstMax> v4;
  std::array<uint8_t, io::kBurstMax> v6;
  size_t v4_count = 0;
  size_t v6_count = 0;

  std::span<const uint8_t> with_v4() const { return std::span(v4).first(v4_count); }
  std::span<const uint8_t> with_v6() const { return std::span(v6).first(v6_count); }
};

address::Bits4 source4(const Packet& packet) {
  return static_cast<address::Bits4>(packet.source.bits);
}

void prefetch_sources(const swap::Live& live, std::span<Packet> burst, Families& families) {
  const access::SourceTable& sources = *live.sources;
  for (size_t i = 0; i < burst.size(); ++i) {
    // Both lists are written to, and one of them grows: nothing to guess.
    const size_t is_v4 = burst[i].source.family == address::Family::v4 ? 1 : 0;
    families.v4[families.v4_count] = static_cast<uint8_t>(i);
    families.v6[families.v6_count] = static_cast<uint8_t>(i);
    families.v4_count += is_v4;
    families.v6_count += 1 - is_v4;
    prefetch_line(burst[i].message);
  }
  for (const uint8_t i : families.with_v4()) {
    sources.prefetch4(source4(burst[i]));
  }
  for (const uint8_t i : families.with_v6()) {
    sources.prefetch6(burst[i].source.bits);
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
void identify(const swap::Live& live, std::span<Packet> burst, const Families& families,
              BurstState& state) {
  const access::SourceTable& sources = *live.sources;
  std::array<access::SourceTable::Probe, io::kBurstMax> probes;
  for (const uint8_t i : families.with_v4()) {
    probes[i] = sources.probe4(source4(burst[i]));
  }
  for (const uint8_t i : families.with_v6()) {
    probes[i] = sources.probe6(burst[i].source.bits);
  }
  const auto set_subject = [&](uint8_t i, uint32_t index) {
    state.subjects[i] = index == snapshot::kNoSubject ? nullptr : &live.snapshot->subject(index);
    prefetch_line(state.subjects[i]);
  };
  for (const uint8_t i : families.with_v4()) {
    set_subject(i, sources.find4(source4(burst[i]), probes[i]));
  }
  for (const uint8_t i : families.with_v6()) {
    set_subject(i, sources.find6(burst[i].source.bits, probes[i]));
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
  std::array<const snapshot::Node*, io::kBurstMax> candidates;
  for (const uint8_t i : pending) {
    candidates[i] = answer::find_candidate(state.lookups[i]);
  }
  for (const uint8_t i : pending) {
    answer::find_node(state.queries[i], state.lookups[i], candidates[i]);
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

}  // namespace

void answer_burst(const swap::Live& live, const answer::Limits& limits, std::span<Packet> burst,
                  BurstState& state, stats::WorkerCounters& counters) {
  MERLON_DASSERT(burst.size() <= io::kBurstMax);
  Families families;
  prefetch_sources(live, burst, families);
  parse(burst, state);
  identify(live, burst, families, state);
  const size_t pending_count = admit(burst, state);
  const std::span<const uint8_t> pending{state.pending.data(), pending_count};
  look_up(live, pending, state);
  decide(pending, limits, state);
  compose(burst, limits, state, counters);
  counters.add(stats::IoCounter::bursts);
}

void drop_burst(std::span<Packet> burst, stats::WorkerCounters& counters) {
  for (Packet& packet : burst) {
    packet.reply_size = 0;
  }
  counters.add(stats::IoCounter::drop_no_snapshot, burst.size());
}

}  // namespace merlon::pipeline
