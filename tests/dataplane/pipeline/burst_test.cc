// SPDX-License-Identifier: Apache-2.0
// The burst pipeline against the reference: one query at a time through answer() and compose().
#include "dataplane/pipeline/burst.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "dataplane/io/memory_io.h"
#include "dataplane/pipeline/worker.h"
#include "tests/dataplane/live_support.h"
#include "tests/support/packet_rows.h"
#include "tests/support/seed.h"

namespace merlon::pipeline {
namespace {

using answer::Outcome;
using io::MemoryIo;
using stats::IoCounter;
using tests::make_query;
using tests::source;

constexpr std::string_view kSources[] = {
    "192.0.2.10",    "192.0.2.77",     "198.51.100.9",   "203.0.113.1",
    "203.0.113.2",   "203.0.113.3",    "203.0.113.4",    "203.0.113.5",
    "10.1.2.3",      "127.0.0.1",      "2001:db8:7::10", "2001:db8:7::11",
    "2001:db8:9::1", "2001:db8:bad::", "2001:db8::1",    "2001:db9::1",
};
constexpr std::string_view kNames[] = {
    "small.merlon.internal.",
    "SmAlL.mErLoN.InTeRnAl.",
    "tiny.merlon.internal.",
    "basic.merlon.internal.",
    "basic1.merlon.internal.",
    "v6.merlon.internal.",
    "premium.merlon.internal.",
    "both.merlon.internal.",
    "alias.merlon.internal.",
    "ent.merlon.internal.",
    "a.ent.merlon.internal.",
    "merlon.internal.",
    "nothing.merlon.internal.",
    "block.acme.merlon.internal.",
    "block.zeta.merlon.internal.",
    "nothing.acme.merlon.internal.",
    "zeta.merlon.internal.",
    "secret.ops.internal.",
    "any.wild.ops.internal.",
    "www.sub.ops.internal.",
    "secret.away.ops.internal.",
    "gone.away.ops.internal.",
    "example.com.",
    ".",
    "a.b.c.d.e.f.merlon.internal.",
};
constexpr uint16_t kTypes[] = {1, 1, 1, 2, 5, 6, 16, 28, 41, 250, 252, 255, 65280};

struct Packet {
  address::Address source;
  std::vector<uint8_t> message;
};

template <class Row>
const auto& pick(std::mt19937_64& random, const Row& row) {
  return row[random() % std::size(row)];
}

// Mostly queries that a resolver would send, a third of them bent out of shape.
Packet random_packet(std::mt19937_64& random) {
  tests::QuerySpec spec;
  spec.name = pick(random, kNames);
  spec.type = pick(random, kTypes);
  spec.qclass = random() % 16 == 0 ? 3 : 1;
  spec.id = static_cast<uint16_t>(random());
  spec.edns = random() % 2 == 0;
  spec.payload = static_cast<uint16_t>(random() % 5000);
  spec.dnssec_ok = random() % 4 == 0;
  spec.version = random() % 16 == 0 ? 1 : 0;
  if (random() % 8 == 0) {
    spec.options = {0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8};
  } else if (random() % 8 == 0) {
    spec.options = {0, 3, 0, 0};
  } else if (random() % 16 == 0) {
    spec.options = {0, 10, 0, 3, 1, 2, 3};
  }
  if (spec.qclass == 3 && random() % 2 == 0) {
    spec.name = "id.server.";
    spec.type = 16;
  }
  Packet packet{source(pick(random, kSources)), make_query(spec)};
  std::vector<uint8_t>& message = packet.message;
  switch (random() % 9) {
    case 0:
      message.resize(random() % (message.size() + 1));
      break;
    case 1:
      message[random() % message.size()] ^= static_cast<uint8_t>(1u << (random() % 8));
      break;
    case 2:
      message.resize(message.size() + random() % 8);
      break;
    default:
      break;
  }
  return packet;
}

struct Reference {
  std::vector<std::vector<uint8_t>> replies;
  std::map<Outcome, uint64_t> outcomes;
};

// What answer() and compose() make of one packet, in a buffer as large as MemoryIo's.
void answer_one(const snapshot::Snapshot& snapshot, const Packet& packet,
                const answer::Limits& limits, Reference& reference) {
  const uint32_t index = snapshot.access()->view.find(packet.source);
  const snapshot::Subject* subject =
      index == snapshot::kNoSubject ? nullptr : &snapshot.subject(index);
  std::vector<uint8_t> buffer(2048);
  std::copy(packet.message.begin(), packet.message.end(), buffer.begin());
  answer::Query query;
  std::vector<uint8_t> scratch(65535);
  answer::Reply reply = answer::answer(snapshot, packet.message, subject, limits, query, scratch);
  const size_t size = answer::compose(query, reply, limits, buffer, packet.message.size());
  ++reference.outcomes[reply.outcome];
  if (size != 0) {
    buffer.resize(size);
    reference.replies.push_back(std::move(buffer));
  }
}

class Burst : public testing::Test {
 protected:
  Burst() : fixture_(tests::make_fixture()), live_(1) { live_.replace(tests::make_live(fixture_)); }

  // All queued packets, in bursts of at most `size`.
  void run(MemoryIo& engine, size_t size) {
    while (!engine.drained()) {
      run_burst(engine, worker_, std::span(packets_).first(size), *state_);
    }
  }
  std::vector<uint8_t> ask(std::string_view from, const tests::QuerySpec& spec) {
    MemoryIo engine;
    engine.queue(source(from), make_query(spec));
    run(engine, 1);
    return engine.replies().empty() ? std::vector<uint8_t>{} : engine.replies()[0].bytes;
  }

  tests::Fixture fixture_;
  swap::LiveSlot live_;
  stats::WorkerCounters counters_;
  Worker worker_{.index = 0, .live = live_, .counters = counters_, .limits = {}};
  std::array<io::Packet, io::kBurstMax> packets_;
  std::unique_ptr<BurstState> state_ = std::make_unique<BurstState>();
};

TEST_F(Burst, EqualsOneQueryAtATimeByteForByte) {
  std::mt19937_64 random(test::seed_for("Burst"));
  Reference reference;
  uint64_t total = 0;
  uint64_t bursts = 0;
  for (int round = 0; round < 1500; ++round) {
    const size_t size = 1 + random() % io::kBurstMax;
    worker_.limits.udp_size_max = static_cast<uint16_t>(512 + random() % 941);
    worker_.limits.identity = random() % 2 == 0 ? &tests::row_identity() : nullptr;
    MemoryIo engine;
    Reference expected;
    for (size_t i = 0; i < size; ++i) {
      const Packet packet = random_packet(random);
      engine.queue(packet.source, packet.message);
      answer_one(*fixture_.snapshot, packet, worker_.limits, expected);
    }
    run(engine, size);
    ASSERT_EQ(engine.replies().size(), expected.replies.size()) << "round " << round;
    for (size_t i = 0; i < expected.replies.size(); ++i) {
      ASSERT_EQ(engine.replies()[i].bytes, expected.replies[i])
          << "round " << round << " reply " << i;
    }
    ASSERT_EQ(engine.dropped(), size - expected.replies.size());
    for (const auto& [outcome, count] : expected.outcomes) {
      reference.outcomes[outcome] += count;
    }
    total += size;
    ++bursts;
  }
  uint64_t counted = 0;
  for (size_t i = 0; i < answer::kOutcomeCount; ++i) {
    const auto outcome = static_cast<Outcome>(i);
    EXPECT_EQ(counters_.get(outcome), reference.outcomes[outcome]) << answer::to_string(outcome);
    counted += counters_.get(outcome);
  }
  EXPECT_EQ(counted, total);
  EXPECT_EQ(counters_.get(IoCounter::bursts), bursts);
  EXPECT_EQ(counters_.get(IoCounter::drop_no_snapshot), 0u);
}

TEST_F(Burst, RandomPacketsMeetMostOutcomes) {
  std::mt19937_64 random(4711);
  worker_.limits.identity = &tests::row_identity();
  MemoryIo engine;
  for (int i = 0; i < 20000; ++i) {
    const Packet packet = random_packet(random);
    engine.queue(packet.source, packet.message);
  }
  run(engine, io::kBurstMax);
  for (const Outcome outcome : {Outcome::answered,
                                Outcome::answered_chaos,
                                Outcome::nodata,
                                Outcome::nxdomain,
                                Outcome::referral,
                                Outcome::truncated,
                                Outcome::refused_unregistered,
                                Outcome::refused_by_verb,
                                Outcome::refused_not_ours,
                                Outcome::refused_class,
                                Outcome::formerr_question_count,
                                Outcome::formerr_record_count,
                                Outcome::formerr_name,
                                Outcome::formerr_question_short,
                                Outcome::formerr_record,
                                Outcome::formerr_trailing,
                                Outcome::formerr_opt,
                                Outcome::formerr_cookie,
                                Outcome::notimp_opcode,
                                Outcome::notimp_type,
                                Outcome::badvers,
                                Outcome::drop_too_short,
                                Outcome::drop_not_a_query,
                                Outcome::drop_ignored_source}) {
    EXPECT_GT(counters_.get(outcome), 0u) << answer::to_string(outcome);
  }
}

TEST_F(Burst, ReplyThatDoesNotFitItsBufferIsDroppedAndCounted) {
  const std::vector<uint8_t> query =
      make_query({.name = "block.acme.merlon.internal.", .edns = true, .payload = 4096});
  std::vector<uint8_t> buffer = query;
  buffer.resize(query.size() + 8);  // room for the query, not for 100 addresses
  worker_.limits.udp_size_max = 4096;
  packets_[0] = {.message = buffer.data(),
                 .size = static_cast<uint32_t>(query.size()),
                 .capacity = static_cast<uint32_t>(buffer.size()),
                 .reply_size = 77,
                 .handle = 0,
                 .source = source("192.0.2.10")};
  const swap::Live* live = live_.enter(0);
  answer_burst(*live, worker_.limits, std::span(packets_).first(1), *state_, counters_);
  live_.leave(0);
  EXPECT_EQ(packets_[0].reply_size, 0u);
  EXPECT_EQ(counters_.get(Outcome::drop_no_room), 1u);
  EXPECT_TRUE(std::equal(query.begin(), query.end(), buffer.begin()));
}

TEST(BurstWithoutSnapshot, DropsEverythingAndSaysSo) {
  swap::LiveSlot live(1);
  stats::WorkerCounters counters;
  Worker worker{.index = 0, .live = live, .counters = counters, .limits = {}};
  std::array<io::Packet, io::kBurstMax> packets;
  const auto state = std::make_unique<BurstState>();
  MemoryIo engine;
  for (int i = 0; i < 70; ++i) {
    engine.queue(source("192.0.2.10"), make_query({}));
  }
  EXPECT_EQ(run_burst(engine, worker, packets, *state), io::kBurstMax);
  EXPECT_EQ(run_burst(engine, worker, packets, *state), 6u);
  EXPECT_EQ(run_burst(engine, worker, packets, *state), 0u);
  EXPECT_TRUE(engine.replies().empty());
  EXPECT_EQ(engine.dropped(), 70u);
  EXPECT_EQ(counters.get(IoCounter::drop_no_snapshot), 70u);
  for (size_t i = 0; i < answer::kOutcomeCount; ++i) {
    EXPECT_EQ(counters.get(static_cast<Outcome>(i)), 0u);
  }
}

// The names have equal sizes, so replies can be compared after the question's bytes are made equal.
std::vector<uint8_t> without_name(std::vector<uint8_t> reply, size_t name_size) {
  std::fill_n(reply.begin() + 12, name_size, uint8_t{0});
  return reply;
}

struct HiddenRow {
  std::string_view description;
  std::string_view from;
  std::string_view hidden;
  std::string_view missing;
};
constexpr HiddenRow kHiddenRows[] = {
    {"a name in another account's zone", "192.0.2.10", "block.zeta.merlon.internal.",
     "blocc.zeta.merlon.internal."},
    {"the same over IPv6", "2001:db8:9::1", "block.acme.merlon.internal.",
     "blocc.acme.merlon.internal."},
    {"a zone of another tier", "192.0.2.10", "secret.ops.internal.", "secret.opz.internal."},
    {"the community asks for an account's name", "203.0.113.1", "basic.acme.merlon.internal.",
     "basik.acme.merlon.internal."},
    {"a stranger asks for a name that everybody has", "203.0.113.5", "small.merlon.internal.",
     "smoll.merlon.internal."},
};

TEST_F(Burst, WhatIsHiddenGetsExactlyTheBytesOfWhatIsNotThere) {
  for (const HiddenRow& row : kHiddenRows) {
    for (const uint16_t type : {uint16_t{1}, uint16_t{6}, uint16_t{16}, uint16_t{255}}) {
      for (const bool edns : {false, true}) {
        const auto hidden = ask(row.from, {.name = row.hidden, .type = type, .edns = edns});
        const auto missing = ask(row.from, {.name = row.missing, .type = type, .edns = edns});
        const size_t name_size = row.hidden.size() + 1;
        ASSERT_GT(hidden.size(), 12 + name_size) << row.description;
        EXPECT_EQ(without_name(hidden, name_size), without_name(missing, name_size))
            << row.description << ", type " << type;
        EXPECT_EQ(hidden[3] & 15, 5) << row.description;
      }
    }
  }
  // And the owner does see it.
  EXPECT_EQ(ask("198.51.100.9", {.name = "block.zeta.merlon.internal."})[7], 3);
}

TEST_F(Burst, APacketLeavesNoTraceInTheNextOfItsPlace) {
  const tests::QuerySpec plain{.name = "tiny.merlon.internal."};
  const auto alone = ask("192.0.2.10", plain);
  for (const std::string_view before : kNames) {
    ask("203.0.113.4", {.name = before, .edns = true, .dnssec_ok = true});
    ask("192.0.2.10", {.name = before, .type = 255, .edns = true, .dnssec_ok = true});
    EXPECT_EQ(ask("192.0.2.10", plain), alone) << before;
  }
}

}  // namespace
}  // namespace merlon::pipeline
