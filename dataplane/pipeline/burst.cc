// SPDX-License-Identifier: Apache-2.0
#include "dataplane/pipeline/burst.h"

#include <time.h>

#include <algorithm>
#include <cstring>

#include "zones/answer/visible.h"
#include "zones/base/assert.h"
#include "zones/base/prefetch.h"

namespace merlon::pipeline {
namespace {

static_assert(io::kBurstMax <= cookie::kBurstMax);
static_assert(answer::kClientCookieSize == cookie::kClientSize &&
              answer::kServerCookieSize == cookie::kServerSize);

using answer::Outcome;
using io::Packet;
using stats::Stage;

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

// Whether something would be sent.
bool gets_reply(Outcome so_far) {
  return so_far == Outcome::count_ || !answer::is_drop(so_far);
}

// What is decided without a lookup gets its reply here; the slow path's part gets none yet. Returns
// how many packets need a lookup.
size_t admit(const answer::Limits& limits, const BurstContext& context, size_t count,
             BurstState& state) {
  size_t pending = 0;
  for (size_t i = 0; i < count; ++i) {
    answer::Reply& reply = state.replies[i];
    const Outcome parsed = state.outcomes[i];
    const snapshot::Subject* subject = state.subjects[i];
    state.queries[i].subject_flags = answer::recursion_available(subject);
    if (!gets_reply(parsed)) {
      reply = answer::reply_without_lookup(parsed);
    } else if (answer::settled_by_access(subject, reply)) {
      state.outcomes[i] = reply.outcome;
    } else if (parsed == Outcome::count_) {
      state.pending[pending++] = static_cast<uint8_t>(i);
    } else if (context.has_slow_path && answer::is_for_slow_path(parsed) &&
               subject->verb == snapshot::Verb::pass) {
      reply = answer::reply_without_lookup(Outcome::relayed);
      state.relays[state.relay_count++] = {static_cast<uint8_t>(i), parsed};
    } else {
      reply = answer::reply_without_lookup(state.queries[i], parsed, limits);
    }
  }
  return pending;
}

// Says of every query with a cookie whether it proves the source, and which cookie goes back.
void check_cookies(const BurstContext& context, std::span<const Packet> burst, BurstState& state) {
  size_t count = 0;
  for (size_t i = 0; i < burst.size(); ++i) {
    const answer::Query& query = state.queries[i];
    if (query.cookie_size == 0 || !gets_reply(state.outcomes[i])) {
      continue;
    }
    cookie::Check& check = state.checks[count];
    std::memcpy(check.client.data(), query.cookie.data(), cookie::kClientSize);
    std::memcpy(check.server.data(), query.cookie.data() + cookie::kClientSize,
                cookie::kServerSize);
    check.server_size = static_cast<uint8_t>(query.cookie_size - cookie::kClientSize);
    check.source = burst[i].source;
    state.check_packets[count++] = static_cast<uint8_t>(i);
  }
  if (count == 0) {
    return;
  }
  cookie::check_burst(*context.services.secrets, context.unix_seconds,
                      std::span(state.checks).first(count));
  for (size_t k = 0; k < count; ++k) {
    answer::Query& query = state.queries[state.check_packets[k]];
    query.cookie_valid = state.checks[k].state == cookie::State::valid;
    query.server_cookie = state.checks[k].answer.data();
  }
}

// What is over the limit gets a small reply or none in place of its answer, whatever that would be.
// A valid cookie proves that the source is no victim's. Returns how many packets still need a
// lookup.
size_t limit(const BurstContext& context, size_t count, size_t pending_count, BurstState& state,
             stats::WorkerCounters& counters) {
  bool limited_any = false;
  for (size_t i = 0; i < count; ++i) {
    const answer::Query& query = state.queries[i];
    if (query.cookie_valid || !gets_reply(state.outcomes[i])) {
      continue;
    }
    const ratelimit::Verdict verdict =
        context.services.limiter->check(state.probes[i], context.milliseconds, state.slip);
    if (verdict == ratelimit::Verdict::pass) {
      continue;
    }
    if (context.services.limit_dry_run) {
      counters.add(stats::IoCounter::rate_limit_would_limit);
      continue;
    }
    limited_any = true;
    state.outcomes[i] = verdict == ratelimit::Verdict::drop ? Outcome::drop_rate_limited
                        : query.server_cookie != nullptr    ? Outcome::badcookie
                                                            : Outcome::limited_slip;
    state.replies[i] = answer::reply_without_lookup(state.outcomes[i]);
  }
  if (!limited_any) {
    return pending_count;
  }
  const auto is_limited = [&state](size_t i) {
    const Outcome outcome = state.outcomes[i];
    return outcome == Outcome::drop_rate_limited || outcome == Outcome::badcookie ||
           outcome == Outcome::limited_slip;
  };
  state.relay_count = static_cast<size_t>(
      std::remove_if(state.relays.begin(), state.relays.begin() + state.relay_count,
                     [&](const Relay& relay) { return is_limited(relay.packet); }) -
      state.relays.begin());
  return static_cast<size_t>(
      std::remove_if(state.pending.begin(), state.pending.begin() + pending_count, is_limited) -
      state.pending.begin());
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

// Nothing is written to packets yet, so what turns out to be another's name is still whole when the
// slow path is offered it.
void decide(std::span<const uint8_t> pending, const answer::Limits& limits,
            const BurstContext& context, BurstState& state) {
  for (const uint8_t i : pending) {
    answer::decide(state.queries[i], state.lookups[i], state.subjects[i], limits, state.scratch[i],
                   state.replies[i]);
    if (state.replies[i].outcome == Outcome::forwarded && context.has_slow_path) [[unlikely]] {
      state.replies[i].outcome = Outcome::relayed;
      state.relays[state.relay_count++] = {i, Outcome::forwarded};
      continue;
    }
    // Both ends: a short body may lie across two lines. Of a long one the hardware sees the
    // pattern.
    const snapshot::Body& body = state.replies[i].body;
    __builtin_prefetch(body.data);
    __builtin_prefetch(body.data + std::min(body.size, kCacheLineSize));
  }
}

void compose_one(const answer::Limits& limits, const BurstContext& context,
                 const answer::Query& query, answer::Reply& reply, Packet& packet,
                 stats::WorkerCounters& counters) {
  const MutableBytes buffer{packet.message, packet.capacity};
  const size_t size = answer::compose(query, reply, limits, buffer, packet.size);
  packet.reply_size = static_cast<uint32_t>(size);
  if (context.wants_reply_sum) {
    packet.reply_sum = answer::sum_of_reply(query, reply, buffer.first(size));
  }
  counters.add(reply.outcome);
}

void compose(std::span<Packet> burst, const answer::Limits& limits, const BurstContext& context,
             BurstState& state, stats::WorkerCounters& counters) {
  for (size_t i = 0; i < burst.size(); ++i) {
    if (state.replies[i].outcome == Outcome::relayed) [[unlikely]] {
      burst[i].reply_size = 0;  // counted when its fate is known
      continue;
    }
    compose_one(limits, context, state.queries[i], state.replies[i], burst[i], counters);
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

// Truncated for want of EDNS alone.
bool would_fit(const answer::Query& query, const answer::Lookup& lookup,
               const answer::Limits& limits) {
  constexpr uint32_t kWithoutEdns = 512;
  constexpr uint32_t kOptRecord = 11;
  if ((query.has_edns && query.edns_payload_size > kWithoutEdns) || lookup.node == nullptr) {
    return false;
  }
  const snapshot::Rrset* rrset =
      answer::find_rrset(lookup.zone->rrsets_of(*lookup.node), query.qtype);
  return rrset != nullptr &&
         query.question_end + rrset->body.size + kOptRecord <= limits.udp_size_max;
}

// What went wrong for whom: of these packets only.
void observe_troubles(std::span<const uint8_t> troubled, const answer::Limits& limits,
                      const BurstState& state, uint32_t now_s, stats::WorkerCounters& counters) {
  stats::TroubleTable& troubles = counters.subjects.troubles();
  for (const uint8_t i : troubled) {
    troubles.prefetch(state.slots[i]);
  }
  for (const uint8_t i : troubled) {
    const Outcome outcome = state.replies[i].outcome;
    const answer::Query& query = state.queries[i];
    const answer::Lookup& lookup = state.lookups[i];  // there was one, for these two outcomes
    troubles.note(state.slots[i],
                  {.outcome = outcome,
                   .would_fit = outcome == Outcome::truncated && would_fit(query, lookup, limits),
                   .outside = outcome == Outcome::refused_not_ours && lookup.zone == nullptr,
                   .name = query.folded_qname(),
                   .now_s = now_s});
  }
}

constexpr std::array<bool, answer::kOutcomeCount> kIsTrouble = [] {
  std::array<bool, answer::kOutcomeCount> table{};
  for (size_t i = 0; i < table.size(); ++i) {
    table[i] = stats::is_trouble(static_cast<Outcome>(i));
  }
  return table;
}();

// Who asked what, after the replies are made.
void observe(std::span<Packet> burst, const answer::Limits& limits, BurstState& state,
             stats::WorkerCounters& counters) {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &now);  // no system call
  const auto now_s = static_cast<uint32_t>(now.tv_sec);
  size_t unknown_count = 0;
  std::array<uint8_t, io::kBurstMax> troubled;
  size_t troubled_count = 0;
  for (size_t i = 0; i < burst.size(); ++i) {
    const Outcome outcome = state.replies[i].outcome;
    counters.subjects.count(state.slots[i], outcome, now_s);
    troubled[troubled_count] = static_cast<uint8_t>(i);
    const bool is_trouble =
        kIsTrouble[static_cast<size_t>(outcome)] && state.slots[i] != stats::kSharedSlot;
    troubled_count += is_trouble ? 1 : 0;
    state.pending[unknown_count] = static_cast<uint8_t>(i);
    unknown_count += outcome == Outcome::refused_unregistered ? 1 : 0;
  }
  if (troubled_count != 0) {
    observe_troubles({troubled.data(), troubled_count}, limits, state, now_s, counters);
  }
  if (unknown_count != 0) {
    observe_unknown({state.pending.data(), unknown_count}, burst, now_s, counters);
  }
}

}  // namespace

void answer_burst(const swap::Live& live, const answer::Limits& limits, std::span<Packet> burst,
                  BurstState& state, stats::WorkerCounters& counters, const BurstContext& context) {
  MERLON_DASSERT(burst.size() <= io::kBurstMax);
  const size_t size = burst.size();
  stats::StageTimer timer(counters.stages);
  state.relay_count = 0;
  Families families;
  prefetch_sources(live, burst, families);
  if (context.services.limiter != nullptr) {
    for (size_t i = 0; i < burst.size(); ++i) {
      state.probes[i] = context.services.limiter->probe(burst[i].source);
    }
  }
  timer.done(Stage::prefetch, size);
  parse(burst, state);
  timer.done(Stage::parse, size);
  identify(live, burst, families, state);
  prefetch_slots(live, burst, state);
  timer.done(Stage::identify, size);
  size_t pending_count = admit(limits, context, burst.size(), state);
  prefetch_numbers(live, burst, state, counters);
  timer.done(Stage::admit, size);
  if (context.services.secrets != nullptr) {
    check_cookies(context, burst, state);
    timer.done(Stage::cookies, size);
  }
  if (context.services.limiter != nullptr) {
    pending_count = limit(context, burst.size(), pending_count, state, counters);
    timer.done(Stage::limit, size);
  }
  const std::span<const uint8_t> pending{state.pending.data(), pending_count};
  look_up(live, pending, state);
  timer.done(Stage::look_up, pending_count);
  decide(pending, limits, context, state);
  timer.done(Stage::decide, pending_count);
  compose(burst, limits, context, state, counters);
  timer.done(Stage::compose, size);
  observe(burst, limits, state, counters);
  timer.done(Stage::observe, size);
  counters.add(stats::IoCounter::bursts);
}

void answer_unrelayed(const Relay& relay, const answer::Limits& limits, std::span<Packet> burst,
                      BurstState& state, stats::WorkerCounters& counters,
                      const BurstContext& context) {
  const size_t i = relay.packet;
  state.replies[i] = answer::reply_without_lookup(state.queries[i], relay.otherwise, limits);
  compose_one(limits, context, state.queries[i], state.replies[i], burst[i], counters);
}

void drop_burst(std::span<Packet> burst, stats::WorkerCounters& counters) {
  for (Packet& packet : burst) {
    packet.reply_size = 0;
  }
  counters.add(stats::IoCounter::drop_no_snapshot, burst.size());
}

}  // namespace merlon::pipeline
