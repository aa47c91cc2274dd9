// SPDX-License-Identifier: Apache-2.0
// Cookies, the rate limit, the slow path and the reply's sum, as a burst meets them.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "dataplane/io/memory_io.h"
#include "dataplane/pipeline/worker.h"
#include "tests/dataplane/live_support.h"
#include "tests/support/packet_rows.h"
#include "tests/support/seed.h"
#include "zones/wire/wire.h"

namespace merlon::pipeline {
namespace {

using answer::Outcome;
using stats::IoCounter;
using tests::make_query;
using tests::source;
using Buffer = std::vector<uint8_t>;

constexpr uint32_t kNow = 1'790'000'000;
constexpr ptrdiff_t kCookieSize = 24;
const Buffer kClientCookie = tests::from_hex_text("c1c2c3c4c5c6c7c8");

Buffer cookie_option(const Buffer& cookie) {
  Buffer option = {0, 10, 0, static_cast<uint8_t>(cookie.size())};
  option.insert(option.end(), cookie.begin(), cookie.end());
  return option;
}

Buffer query_with_cookie(const Buffer& cookie, std::string_view name = "tiny.merlon.internal.") {
  return make_query({.name = name, .edns = true, .options = cookie_option(cookie)});
}

// The client and server cookie of a reply; empty when there is none.
Buffer cookie_of(const Buffer& reply) {
  const Buffer head = tests::from_hex_text("000a 0018");
  const auto at = std::search(reply.begin(), reply.end(), head.begin(), head.end());
  return at == reply.end() ? Buffer{} : Buffer(at + 4, at + 4 + kCookieSize);
}

// Keeps what it is offered, up to a capacity.
struct FakeOutlet {
  struct Offered {
    address::Address source;
    Buffer message;
  };
  size_t capacity = SIZE_MAX;
  std::vector<Offered> taken;

  bool offer(const io::Path& path, Bytes message) {
    if (taken.size() == capacity) {
      return false;
    }
    taken.push_back({path.source, {message.begin(), message.end()}});
    return true;
  }
};

class ServicesTest : public testing::Test {
 protected:
  ServicesTest() : fixture_(tests::make_fixture()), live_(1) {
    live_.replace(tests::make_live(fixture_));
    for (size_t i = 0; i < secrets_.active.size(); ++i) {
      secrets_.active[i] = static_cast<uint8_t>(i);
    }
    context_.unix_seconds = kNow;
  }
  void limit(uint32_t per_second, uint32_t slip = 2) {
    limiter_ = ratelimit::Limiter::make(
        {.per_second = per_second, .slip = slip, .fine_lines = 1024, .coarse_lines = 1024});
    context_.services.limiter = limiter_.get();
  }
  // One message through a burst of its own.
  Buffer ask(std::string_view from, const Buffer& message) {
    Buffer buffer = message;
    buffer.resize(2048);
    io::Packet packet{.message = buffer.data(),
                      .size = static_cast<uint32_t>(message.size()),
                      .capacity = 2048,
                      .source = source(from)};
    answer_burst(*live_.enter(0), worker_.limits, {&packet, 1}, *state_, counters_, context_);
    live_.leave(0);
    buffer.resize(packet.reply_size);
    return buffer;
  }
  template <class Outlet>
  void run(io::MemoryIo& engine, Outlet& outlet) {
    while (!engine.drained()) {
      run_burst(engine, worker_, packets_, *state_, &outlet);
    }
  }
  uint64_t count(Outcome outcome) const { return counters_.get(outcome); }
  uint64_t count_all() const {
    uint64_t sum = 0;
    for (size_t i = 0; i < answer::kOutcomeCount; ++i) {
      sum += counters_.get(static_cast<Outcome>(i));
    }
    return sum;
  }

  tests::Fixture fixture_;
  swap::LiveSlot live_;
  stats::WorkerCounters counters_;
  cookie::Secrets secrets_;
  std::unique_ptr<ratelimit::Limiter> limiter_;
  BurstContext context_;
  Worker worker_{.index = 0, .live = live_, .counters = counters_, .limits = {}, .services = {}};
  std::array<io::Packet, io::kBurstMax> packets_;
  std::unique_ptr<BurstState> state_ = std::make_unique<BurstState>();
};

TEST_F(ServicesTest, WithoutSecretsCookiesAreIgnored) {
  const Buffer reply = ask("192.0.2.10", query_with_cookie(kClientCookie));
  EXPECT_EQ(cookie_of(reply), Buffer{});
  EXPECT_EQ(count(Outcome::answered), 1u);
}

TEST_F(ServicesTest, ClientCookieGetsAServerCookieThatIsThenValid) {
  context_.services.secrets = &secrets_;
  for (const char* from : {"192.0.2.10", "2001:db8:7::1", "8.8.8.8"}) {
    const Buffer cookie = cookie_of(ask(from, query_with_cookie(kClientCookie)));
    ASSERT_EQ(cookie.size(), 24u) << from;
    EXPECT_TRUE(std::equal(kClientCookie.begin(), kClientCookie.end(), cookie.begin()));
    EXPECT_FALSE(state_->queries[0].cookie_valid);
    EXPECT_EQ(cookie_of(ask(from, query_with_cookie(cookie))), cookie) << from;
    EXPECT_TRUE(state_->queries[0].cookie_valid);
    // Another source's, or a changed one, is not.
    EXPECT_NE(cookie_of(ask("192.0.2.11", query_with_cookie(cookie))), cookie);
    EXPECT_FALSE(state_->queries[0].cookie_valid);
  }
}

TEST_F(ServicesTest, NoCookieGetsNone) {
  context_.services.secrets = &secrets_;
  EXPECT_EQ(cookie_of(ask("192.0.2.10", make_query({.edns = true}))), Buffer{});
  EXPECT_EQ(cookie_of(ask("192.0.2.10", make_query({}))), Buffer{});
  const Buffer malformed = ask("192.0.2.10", query_with_cookie({1, 2, 3}));
  EXPECT_EQ(cookie_of(malformed), Buffer{});
  EXPECT_EQ(count(Outcome::formerr_cookie), 1u);
}

TEST_F(ServicesTest, CookiesOfABurstGoToTheirOwners) {
  context_.services.secrets = &secrets_;
  std::array<Buffer, io::kBurstMax> buffers;
  for (size_t i = 0; i < packets_.size(); ++i) {
    Buffer client = kClientCookie;
    client[7] = static_cast<uint8_t>(i);
    buffers[i] = i % 3 == 0 ? make_query({.edns = true}) : query_with_cookie(client);
    const auto size = static_cast<uint32_t>(buffers[i].size());
    buffers[i].resize(2048);
    packets_[i] = {.message = buffers[i].data(),
                   .size = size,
                   .capacity = 2048,
                   .source = source(i % 2 == 0 ? "192.0.2.10" : "2001:db8:7::1")};
  }
  answer_burst(*live_.enter(0), worker_.limits, packets_, *state_, counters_, context_);
  live_.leave(0);
  for (size_t i = 0; i < packets_.size(); ++i) {
    buffers[i].resize(packets_[i].reply_size);
    const Buffer cookie = cookie_of(buffers[i]);
    ASSERT_EQ(cookie.empty(), i % 3 == 0) << i;
    if (!cookie.empty()) {
      EXPECT_EQ(cookie[7], i);
      const char* from = i % 2 == 0 ? "192.0.2.10" : "2001:db8:7::1";
      EXPECT_EQ(cookie_of(ask(from, query_with_cookie(cookie))), cookie) << i;
      EXPECT_TRUE(state_->queries[0].cookie_valid) << i;
    }
  }
}

TEST_F(ServicesTest, OverTheLimitEveryOtherAnswerSlips) {
  limit(10);
  const Buffer query = make_query({.name = "tiny.merlon.internal.", .edns = true});
  size_t empty = 0;
  for (int i = 0; i < 50; ++i) {
    const Buffer reply = ask("192.0.2.10", query);
    empty += reply.empty() ? 1u : 0u;
    if (i >= 10 && !reply.empty()) {
      EXPECT_EQ(to_hex(Bytes(reply).first(12)), "123483000001000000000001");
      EXPECT_EQ(reply.size(), query.size());
    }
  }
  EXPECT_EQ(count(Outcome::answered), 10u);
  EXPECT_EQ(count(Outcome::limited_slip), 20u);
  EXPECT_EQ(count(Outcome::drop_rate_limited), 20u);
  EXPECT_EQ(empty, 20u);
  EXPECT_EQ(count_all(), 50u);
  // Another network has its own.
  EXPECT_FALSE(ask("10.1.2.3", query).empty());
  EXPECT_EQ(count(Outcome::answered), 11u);
}

TEST_F(ServicesTest, RefusalsAndErrorsAreLimitedToo) {
  limit(5, 0);
  for (int i = 0; i < 20; ++i) {
    ask("8.8.8.8", make_query({}));
    ask("192.0.2.10", make_query({.type = 252}));
    ask("203.0.113.4", make_query({}));
  }
  EXPECT_EQ(count(Outcome::refused_unregistered), 5u);
  EXPECT_EQ(count(Outcome::notimp_type), 5u);
  EXPECT_EQ(count(Outcome::drop_rate_limited), 30u);
  EXPECT_EQ(count(Outcome::drop_ignored_source), 20u);  // nothing would have been sent
}

TEST_F(ServicesTest, ClientWithACookieIsToldToAskAgainAndThenIsNotLimited) {
  context_.services.secrets = &secrets_;
  limit(10, 1);  // every limited answer slips
  Buffer cookie;
  for (int i = 0; i < 20; ++i) {
    cookie = cookie_of(ask("192.0.2.10", query_with_cookie(kClientCookie)));
    ASSERT_EQ(cookie.size(), 24u) << i;
  }
  EXPECT_EQ(count(Outcome::answered), 10u);
  EXPECT_EQ(count(Outcome::badcookie), 10u);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(cookie_of(ask("192.0.2.10", query_with_cookie(cookie))), cookie);
  }
  EXPECT_EQ(count(Outcome::answered), 110u);
  // A forged one proves nothing.
  cookie.back() ^= 1;
  ask("192.0.2.10", query_with_cookie(cookie));
  EXPECT_EQ(count(Outcome::badcookie), 11u);
}

TEST_F(ServicesTest, DryRunCountsAndAnswers) {
  limit(10);
  context_.services.limit_dry_run = true;
  for (int i = 0; i < 50; ++i) {
    EXPECT_FALSE(ask("192.0.2.10", make_query({})).empty());
  }
  EXPECT_EQ(count(Outcome::answered), 50u);
  EXPECT_EQ(counters_.get(IoCounter::rate_limit_would_limit), 40u);
}

TEST_F(ServicesTest, WorkerReadsTheClockForWhatNeedsIt) {
  EXPECT_EQ(make_context({}).unix_seconds, 0u);
  const auto before = static_cast<uint32_t>(read_clock_ms(CLOCK_REALTIME_COARSE) / 1000);
  limit(10);
  const BurstContext context =
      make_context({.secrets = &secrets_, .limiter = limiter_.get(), .limit_dry_run = false});
  EXPECT_LE(context.unix_seconds - before, 10u);
  EXPECT_GT(before, 1'700'000'000u);
  worker_.services = context.services;
  io::MemoryIo engine;
  for (int i = 0; i < 64; ++i) {
    engine.queue(source("192.0.2.10"), query_with_cookie(kClientCookie));
  }
  run_burst(engine, worker_, packets_, *state_);
  EXPECT_EQ(count(Outcome::answered), 10u);
  EXPECT_EQ(count(Outcome::badcookie), 27u);
  EXPECT_EQ(count(Outcome::drop_rate_limited), 27u);
}

// ---- slow path

const Buffer kNotify = [] {
  Buffer message = make_query({.name = "tiny.merlon.internal.", .type = 6});
  message[2] = 0x24;
  return message;
}();

TEST_F(ServicesTest, SlowPathGetsWhatIsForItUntouched) {
  const Buffer axfr = make_query({.name = "merlon.internal.", .type = 252, .edns = true});
  io::MemoryIo engine;
  engine.queue(source("192.0.2.10"), make_query({}));
  engine.queue(source("192.0.2.10"), axfr);
  engine.queue(source("2001:db8:7::1"), kNotify);
  engine.queue(source("203.0.113.3"), axfr);  // verb empty
  engine.queue(source("203.0.113.2"), axfr);  // verb refuse
  engine.queue(source("203.0.113.4"), axfr);  // verb ignore
  engine.queue(source("8.8.8.8"), axfr);      // not registered
  FakeOutlet outlet;
  run(engine, outlet);
  ASSERT_EQ(outlet.taken.size(), 2u);
  EXPECT_EQ(outlet.taken[0].source, source("192.0.2.10"));
  EXPECT_EQ(outlet.taken[0].message, axfr);
  EXPECT_EQ(outlet.taken[1].source, source("2001:db8:7::1"));
  EXPECT_EQ(outlet.taken[1].message, kNotify);
  EXPECT_EQ(engine.replies().size(), 4u);
  EXPECT_EQ(engine.dropped(), 3u);  // two of them are on their way
  EXPECT_EQ(count(Outcome::relayed), 2u);
  EXPECT_EQ(count(Outcome::notimp_type), 1u);
  EXPECT_EQ(count_all(), 7u);
}

TEST_F(ServicesTest, ANameOfOthersIsRelayedWholeForWhoMayHaveItLookedUp) {
  const Buffer query = make_query({.name = "WWW.example.com.", .edns = true, .dnssec_ok = true});
  const Buffer ours = make_query({.name = "gone.merlon.internal."});
  context_.services.secrets = worker_.services.secrets = &secrets_;
  io::MemoryIo engine;
  for (const char* from : {"192.0.2.53", "192.0.2.10", "2001:db8:9::53", "203.0.113.6",
                           "203.0.113.7", "203.0.113.4", "8.8.8.8"}) {
    engine.queue(source(from), query);
    engine.queue(source(from), ours);
  }
  FakeOutlet outlet;
  run(engine, outlet);
  ASSERT_EQ(outlet.taken.size(), 2u);
  EXPECT_EQ(outlet.taken[0].source, source("192.0.2.53"));
  EXPECT_EQ(outlet.taken[0].message, query);
  EXPECT_EQ(outlet.taken[1].source, source("2001:db8:9::53"));
  EXPECT_EQ(outlet.taken[1].message, query);
  EXPECT_EQ(count(Outcome::relayed), 2u);
  EXPECT_EQ(count(Outcome::forwarded), 0u);
  EXPECT_EQ(count_all(), 14u);
}

TEST_F(ServicesTest, ANameOfOthersWithoutASlowPathIsServfail) {
  const Buffer reply = ask("192.0.2.53", make_query({.name = "www.example.com."}));
  ASSERT_GE(reply.size(), 12u);
  EXPECT_EQ(reply[3], 0x82);  // RA, SERVFAIL
  EXPECT_EQ(count(Outcome::forwarded), 1u);
}

TEST_F(ServicesTest, NamesOfOthersOverTheLimitAreNotRelayed) {
  limit(10, 0);
  worker_.services = context_.services;
  io::MemoryIo engine;
  for (int i = 0; i < 64; ++i) {
    engine.queue(source("192.0.2.53"), make_query({.name = "www.example.com."}));
  }
  FakeOutlet outlet;
  run(engine, outlet);
  EXPECT_EQ(outlet.taken.size(), 10u);
  EXPECT_EQ(count(Outcome::drop_rate_limited), 54u);
}

TEST_F(ServicesTest, WhatTheSlowPathDoesNotTakeIsAnsweredAsWithoutOne) {
  std::vector<tests::PacketRow> rows;
  for (tests::PacketRow& row : tests::packet_rows()) {
    if (answer::is_for_slow_path(row.outcome)) {
      rows.push_back(std::move(row));
    }
  }
  ASSERT_GE(rows.size(), 6u);
  // What is known before the lookup is offered before what takes one.
  std::ranges::stable_partition(
      rows, [](const tests::PacketRow& row) { return row.outcome != Outcome::forwarded; });
  io::MemoryIo engine;
  for (const tests::PacketRow& row : rows) {
    engine.queue(source(row.source), row.query);
  }
  FakeOutlet outlet{.capacity = 1, .taken = {}};
  run(engine, outlet);
  ASSERT_EQ(engine.replies().size(), rows.size() - 1);
  for (size_t i = 1; i < rows.size(); ++i) {
    EXPECT_EQ(to_hex(engine.replies()[i - 1].bytes), to_hex(tests::expected_reply(rows[i])))
        << rows[i].description;
  }
  EXPECT_EQ(count(Outcome::relayed), 1u);
  EXPECT_EQ(count_all(), rows.size());
}

TEST_F(ServicesTest, WhatIsOverTheLimitIsNotRelayed) {
  limit(10, 0);
  worker_.services = context_.services;
  io::MemoryIo engine;
  for (int i = 0; i < 64; ++i) {
    engine.queue(source("192.0.2.10"), kNotify);
  }
  FakeOutlet outlet;
  run(engine, outlet);
  EXPECT_EQ(outlet.taken.size(), 10u);
  EXPECT_EQ(count(Outcome::relayed), 10u);
  EXPECT_EQ(count(Outcome::drop_rate_limited), 54u);
}

// ---- the reply's sum

// An engine that builds its own UDP headers.
struct SummedIo {
  static constexpr bool kWantsReplySum = true;
  io::MemoryIo memory;
  size_t checked = 0;

  size_t receive(std::span<io::Packet> burst) { return memory.receive(burst); }
  void send(std::span<io::Packet> burst) {
    for (const io::Packet& packet : burst) {
      if (packet.reply_size != 0) {
        EXPECT_EQ(packet.reply_sum, wire::checksum_partial({packet.message, packet.reply_size}));
        ++checked;
      }
    }
    memory.send(burst);
  }
  io::Path path_of(const io::Packet& packet) const { return memory.path_of(packet); }
};

TEST_F(ServicesTest, EveryReplyHasItsSumForEnginesThatNeedIt) {
  SummedIo engine;
  size_t expected = 0;
  for (const auto& rows : {tests::packet_rows(), tests::identity_rows()}) {
    for (const tests::PacketRow& row : rows) {
      engine.memory.queue(source(row.source), row.query);
      expected += answer::is_reply(row.outcome) ? 1u : 0u;
    }
  }
  engine.memory.queue(source("192.0.2.10"),
                      make_query({.name = "fit.merlon.internal.", .edns = true}));
  worker_.limits.identity = &tests::row_identity();
  worker_.services.secrets = &secrets_;
  FakeOutlet outlet{.capacity = 0, .taken = {}};
  while (!engine.memory.drained()) {
    run_burst(engine, worker_, packets_, *state_, &outlet);
  }
  EXPECT_GE(engine.checked, expected);
}

// Everything at once: each packet ends in one outcome and at most one reply.
TEST_F(ServicesTest, EveryPacketEndsInOneOutcomeWithAllServices) {
  std::mt19937_64 random(test::seed_for("ServicesTest"));
  std::vector<tests::PacketRow> rows = tests::packet_rows();
  limit(20);
  worker_.services = {.secrets = &secrets_, .limiter = limiter_.get(), .limit_dry_run = false};
  worker_.limits.identity = &tests::row_identity();
  io::MemoryIo engine;
  FakeOutlet outlet{.capacity = 40, .taken = {}};
  constexpr size_t kPackets = 20000;
  for (size_t i = 0; i < kPackets; ++i) {
    const tests::PacketRow& row = rows[random() % rows.size()];
    address::Address from = source(row.source);
    from.bits += random() % 2 == 0 ? 0 : random() % 200;
    engine.queue(from, row.query);
  }
  run(engine, outlet);
  EXPECT_EQ(count_all(), kPackets);
  uint64_t replies = 0;
  for (size_t i = 0; i < answer::kOutcomeCount; ++i) {
    const auto outcome = static_cast<Outcome>(i);
    replies += answer::is_reply(outcome) ? counters_.get(outcome) : 0;
  }
  EXPECT_EQ(engine.replies().size(), replies);
  EXPECT_EQ(count(Outcome::relayed), outlet.taken.size());
  for (const Outcome outcome : {Outcome::answered, Outcome::limited_slip, Outcome::badcookie,
                                Outcome::drop_rate_limited, Outcome::relayed}) {
    EXPECT_GT(count(outcome), 0u) << answer::to_string(outcome);
  }
}

}  // namespace
}  // namespace merlon::pipeline
