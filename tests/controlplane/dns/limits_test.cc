// SPDX-License-Identifier: Apache-2.0
// What clients may not do: every timeout, limit and malformed frame ends in its named reason, and
// nobody else notices.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <time.h>

#include <array>
#include <thread>

#include "controlplane/dns/server.h"
#include "tests/controlplane/dns/client.h"
#include "zones/wire/wire.h"

namespace merlon::tests {
namespace {

using dns::CloseReason;
using dns::Counter;
using Clock = std::chrono::steady_clock;

const QuerySpec kSmall{.name = "small.merlon.internal."};
const QuerySpec kBasic{.name = "basic.merlon.internal."};

Milliseconds since(Clock::time_point start) {
  return std::chrono::duration_cast<Milliseconds>(Clock::now() - start);
}

TEST(DnsServerLimits, IdleConnectionIsClosed) {
  dns::ServerOptions options = quick_options();
  options.idle_timeout = Milliseconds(300);
  RunningServer running(options);
  const auto start = Clock::now();
  Client fresh(running.v4());
  Client used(running.v4());
  ASSERT_TRUE(used.ask(kSmall).has_value());
  EXPECT_TRUE(fresh.sees_close());
  EXPECT_GE(since(start), Milliseconds(290));
  EXPECT_TRUE(used.sees_close());
  EXPECT_LT(since(start), Milliseconds(2000));
  EXPECT_EQ(running.closes(CloseReason::idle), 2u);
}

TEST(DnsServerLimits, ActiveConnectionIsNotIdle) {
  dns::ServerOptions options = quick_options();
  options.idle_timeout = Milliseconds(400);
  RunningServer running(options);
  Client client(running.v4());
  for (int i = 0; i < 8; ++i) {
    std::this_thread::sleep_for(Milliseconds(100));
    ASSERT_TRUE(client.ask(kSmall).has_value()) << i;
  }
}

TEST(DnsServerLimits, DrippingClientIsClosedAtTheMessageTimeout) {
  dns::ServerOptions options = quick_options();
  options.message_timeout = Milliseconds(400);
  RunningServer running(options);
  Client client(running.v4());
  ASSERT_TRUE(client.ask(kSmall).has_value());
  const Message frame = framed(make_query(kBasic));
  const auto start = Clock::now();
  bool closed = false;
  for (size_t i = 0; i < frame.size() && !closed; ++i) {
    client.send_raw(Bytes(frame).subspan(i, 1));
    closed = client.sees_close(Milliseconds(40));
  }
  EXPECT_TRUE(closed);
  EXPECT_GE(since(start), Milliseconds(390));
  EXPECT_LT(since(start), Milliseconds(1200));
  EXPECT_EQ(running.closes(CloseReason::message_timeout), 1u);
}

TEST(DnsServerLimits, DripAfterWholeQueriesIsClosedToo) {
  dns::ServerOptions options = quick_options();
  options.message_timeout = Milliseconds(300);
  RunningServer running(options);
  Client client(running.v4());
  const Message frame = framed(make_query(kSmall));
  ASSERT_TRUE(client.send_raw(concatenate({frame, frame, {0}})));
  EXPECT_TRUE(client.receive().has_value());
  EXPECT_TRUE(client.receive().has_value());
  EXPECT_TRUE(client.sees_close(Milliseconds(3000)));
  EXPECT_EQ(running.closes(CloseReason::message_timeout), 1u);
}

TEST(DnsServerLimits, ClientThatNeverReadsDelaysNobodyAndIsClosed) {
  dns::ServerOptions options = quick_options();
  options.write_stall_timeout = Milliseconds(600);
  RunningServer running(options);
  const Message frame = framed(make_query(kBasic));
  std::vector<Client> deaf;
  for (int i = 0; i < 20; ++i) {
    deaf.push_back(Client::with_small_buffer(running.v4()));
    for (int j = 0; j < 300; ++j) {
      ASSERT_TRUE(deaf.back().send_raw(frame));
    }
  }
  const auto start = Clock::now();
  Milliseconds slowest{0};
  while (since(start) < Milliseconds(300)) {
    const auto asked = Clock::now();
    Client client(running.v4());
    ASSERT_TRUE(client.ask(kBasic).has_value());
    slowest = std::max(slowest, since(asked));
  }
  EXPECT_LT(slowest, Milliseconds(100));
  // 300 answers each were asked for; what waits is bounded by unsent_bytes_max.
  const uint64_t per_client = running.server->statistics().of(Counter::answers) / 20;
  EXPECT_GE(running.server->statistics().of(Counter::pauses), 20u);
  EXPECT_TRUE(running.waits_for(CloseReason::write_stalled, 20));
  EXPECT_GT(per_client, 0u);
  EXPECT_LT(since(start), Milliseconds(3000));
}

TEST(DnsServerLimits, ReadingStopsWhileAnswersWait) {
  RunningServer running;
  Client client = Client::with_small_buffer(running.v4());
  const Message frame = framed(make_query(kBasic));
  for (int i = 0; i < 300; ++i) {
    ASSERT_TRUE(client.send_raw(frame));
  }
  std::this_thread::sleep_for(Milliseconds(300));
  // 1 MiB here, and in the kernel what it may keep unsent and what the client's window takes.
  const dns::Statistics waiting = running.server->statistics();
  EXPECT_LT(waiting.of(Counter::answers), 40u);
  EXPECT_LT(waiting.of(Counter::bytes_sent), uint64_t{1} << 20);
  // The client begins to read: everything comes.
  const Message answer = expected_answer(*running.snapshot, make_query(kBasic));
  for (int i = 0; i < 300; ++i) {
    ASSERT_EQ(client.receive(), answer) << i;
  }
}

TEST(DnsServerLimits, SlowReaderThatMakesProgressIsKept) {
  dns::ServerOptions options = quick_options();
  options.write_stall_timeout = Milliseconds(500);
  options.idle_timeout = Milliseconds(300);
  RunningServer running(options);
  Client client = Client::with_small_buffer(running.v4());
  const Message answer = expected_answer(*running.snapshot, make_query(kBasic));
  for (int i = 0; i < 12; ++i) {
    ASSERT_TRUE(client.send_message(make_query(kBasic)));
  }
  for (int i = 0; i < 12; ++i) {
    std::this_thread::sleep_for(Milliseconds(100));
    ASSERT_EQ(client.receive(), answer) << i;
  }
}

TEST(DnsServerLimits, WhoTakesWhatTheKernelHoldsIsNotIdle) {
  dns::ServerOptions options = quick_options();
  options.idle_timeout = Milliseconds(400);
  RunningServer running(options);
  Client client = Client::with_small_buffer(running.v4());
  const Message answer = expected_answer(*running.snapshot, make_query(kBasic));
  constexpr int kAnswers = 3;  // the kernel takes all of them at once
  for (int i = 0; i < kAnswers; ++i) {
    ASSERT_TRUE(client.send_message(make_query(kBasic)));
  }
  for (int i = 0; i < kAnswers; ++i) {
    std::this_thread::sleep_for(Milliseconds(300));
    ASSERT_EQ(client.receive(), answer) << i;
  }
  EXPECT_EQ(client.ask(kBasic), answer);
  EXPECT_TRUE(running.waits_for(CloseReason::idle, 1));  // now it is
}

TEST(DnsServerLimits, WhoLeavesItInTheKernelIsReset) {
  dns::ServerOptions options = quick_options();
  options.idle_timeout = Milliseconds(300);
  options.write_stall_timeout = Milliseconds(8000);
  RunningServer running(options);
  Client client = Client::with_small_buffer(running.v4());
  ASSERT_TRUE(client.send_message(make_query(kBasic)));
  const auto start = Clock::now();
  EXPECT_TRUE(running.waits_for(CloseReason::write_stalled, 1));
  EXPECT_LT(since(start), Milliseconds(4000));
}

TEST(DnsServerLimits, MalformedFramesCloseWithTheirReason) {
  RunningServer running;
  Message response = make_query(kSmall);
  response[2] |= 0x80;
  struct Row {
    Message bytes;
    CloseReason reason;
  };
  for (const Row& row :
       {Row{{0, 0}, CloseReason::frame_empty}, Row{{0, 3, 1, 2, 3}, CloseReason::frame_too_short},
        Row{framed(Bytes(response).first(11)), CloseReason::frame_too_short},
        Row{framed(response), CloseReason::not_a_query}}) {
    Client client(running.v4());
    // Queries in front of it are answered.
    ASSERT_TRUE(client.send_raw(concatenate({framed(make_query(kSmall)), row.bytes})));
    EXPECT_TRUE(client.receive().has_value()) << to_string(row.reason);
    EXPECT_TRUE(client.sees_close()) << to_string(row.reason);
  }
  EXPECT_EQ(running.closes(CloseReason::frame_empty), 1u);
  EXPECT_EQ(running.closes(CloseReason::frame_too_short), 2u);
  EXPECT_EQ(running.closes(CloseReason::not_a_query), 1u);
}

TEST(DnsServerLimits, MalformedQuestionIsAnsweredNotClosed) {
  RunningServer running;
  Client client(running.v4());
  Message query = make_query(kSmall);
  query[12] = 0xC0;  // a pointer where the first name begins
  ASSERT_TRUE(client.send_message(query));
  const auto reply = client.receive();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(load_be16(reply->data() + 2) & wire::flag::rcode_mask, wire::rcode::formerr);
  EXPECT_TRUE(client.ask(kSmall).has_value());
}

TEST(DnsServerLimits, LengthLargerThanWhatCameThenClose) {
  RunningServer running;
  Client client(running.v4());
  ASSERT_TRUE(client.send_raw(std::array<uint8_t, 6>{0xFF, 0xFF, 1, 2, 3, 4}));
  client.close_writing();
  EXPECT_TRUE(client.sees_close());
  EXPECT_TRUE(running.waits_for(CloseReason::client_closed_mid_message, 1));
}

TEST(DnsServerLimits, ResetIsCounted) {
  RunningServer running;
  {
    Client client = Client::with_small_buffer(running.v4());
    for (int i = 0; i < 100; ++i) {
      ASSERT_TRUE(client.send_message(make_query(kBasic)));
    }
    ASSERT_TRUE(client.receive().has_value());
  }  // closes with unread answers: a reset
  EXPECT_TRUE(running.waits_for(CloseReason::client_reset, 1));
}

TEST(DnsServerLimits, SourceBeyondItsLimitIsClosedAndCounted) {
  dns::ServerOptions options = quick_options();
  options.connections_per_source_max = 3;
  RunningServer running(options);
  std::vector<Client> held;
  for (int i = 0; i < 3; ++i) {
    held.emplace_back(running.v4());
    ASSERT_TRUE(held.back().ask(kSmall).has_value());
  }
  Client fourth(running.v4());
  EXPECT_TRUE(fourth.sees_close());
  EXPECT_EQ(running.closes(CloseReason::limit_source), 1u);
  // Another source and the other family are not concerned.
  EXPECT_TRUE(Client(running.v4(), "127.0.0.9").ask(kSmall).has_value());
  EXPECT_TRUE(Client(running.v6()).ask(kSmall).has_value());
  held.pop_back();
  ASSERT_TRUE(running.waits_for(CloseReason::client_closed, 3));
  EXPECT_TRUE(Client(running.v4()).ask(kSmall).has_value());
}

TEST(DnsServerLimits, ConnectionsBeyondTheTotalAreClosedAndCounted) {
  dns::ServerOptions options = quick_options();
  options.connections_max = 5;
  options.threads = 2;
  RunningServer running(options);
  std::vector<Client> held;
  for (int i = 0; i < 5; ++i) {
    held.emplace_back(i % 2 == 0 ? running.v4() : running.v6());
    ASSERT_TRUE(held.back().ask(kSmall).has_value());
  }
  Client sixth(running.v4(), "127.0.0.9");
  EXPECT_TRUE(sixth.sees_close());
  EXPECT_EQ(running.closes(CloseReason::limit_total), 1u);
  EXPECT_TRUE(held.front().ask(kSmall).has_value());
}

TEST(DnsServerLimits, HalfSentQueriesOfAllClientsAreBounded) {
  dns::ServerOptions options = quick_options();
  options.input_bytes_max = size_t{1} << 20;
  RunningServer running(options);
  Message half(60'000);
  store_be16(half.data(), 65535);
  std::vector<Client> clients;
  for (int i = 0; i < 40; ++i) {
    clients.emplace_back(running.v4());
    clients.back().send_raw(half);
  }
  EXPECT_TRUE(running.waits_for(CloseReason::limit_input, 22));
  EXPECT_TRUE(running.waits_for_open(17));
  EXPECT_TRUE(Client(running.v4()).ask(kSmall).has_value());
}

double thread_cpu_of_process_s() {
  timespec used{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
}

TEST(DnsServerLimits, WithoutDescriptorsItWaitsInsteadOfSpinning) {
  RunningServer running;
  ASSERT_TRUE(Client(running.v4()).ask(kSmall).has_value());
  Client waiting(running.v4());  // keeps one open for the end
  ASSERT_TRUE(waiting.ask(kSmall).has_value());
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  std::vector<dns::Fd> fill;
  const rlimit low{.rlim_cur = 64, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
  while (true) {
    dns::Fd fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!fd.valid()) {
      break;
    }
    fill.push_back(std::move(fd));
  }
  ASSERT_GT(fill.size(), 2u);
  fill.pop_back();
  Client late(running.v4());  // takes the last descriptor: the server has none to accept with
  ASSERT_TRUE(late.send_message(make_query(kSmall)));
  const double cpu_before = thread_cpu_of_process_s();
  std::this_thread::sleep_for(Milliseconds(600));
  const double cpu_used = thread_cpu_of_process_s() - cpu_before;
  const uint64_t errors = running.server->statistics().of(Counter::accept_errors);
  EXPECT_GE(errors, 1u);
  EXPECT_LE(errors, 20u);
  EXPECT_LT(cpu_used, 0.2);
  EXPECT_TRUE(waiting.ask(kSmall).has_value());  // the open ones are served meanwhile
  fill.clear();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_TRUE(late.receive().has_value());
}

}  // namespace
}  // namespace merlon::tests
