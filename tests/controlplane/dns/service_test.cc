// SPDX-License-Identifier: Apache-2.0
// What others answer for the TCP server: whole messages, streams, what is looked up elsewhere.
#include "controlplane/dns/service.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

#include "tests/controlplane/dns/client.h"
#include "tests/controlplane/dns/fake_services.h"
#include "zones/wire/wire.h"

namespace merlon::tests {
namespace {

using dns::CloseReason;
using dns::Counter;

const QuerySpec kPlain{.name = "small.merlon.internal.", .id = 1};
constexpr Milliseconds kShort{150};

QuerySpec special_query(uint16_t type, uint16_t id) {
  return {.name = "merlon.internal.", .type = type, .id = id};
}

struct ServiceTest : testing::Test {
  dns::ServerOptions options() {
    dns::ServerOptions made = quick_options();
    made.services = {&special, &forwarder};
    made.write_stall_timeout = Milliseconds(1'500);
    return made;
  }

  FakeSpecial special;
  FakeForwarder forwarder;
};

TEST_F(ServiceTest, WholeAnswersComeInTheirTurn) {
  RunningServer running(options());
  Client client(running.v4());
  ASSERT_TRUE(client.send_raw(
      concatenate({framed(make_query(kPlain)), framed(make_query(special_query(kAskWhole, 2))),
                   framed(make_query(kPlain))})));
  EXPECT_EQ(client.receive(), expected_answer(*running.snapshot, make_query(kPlain)));
  EXPECT_EQ(client.receive(), FakeSpecial::whole_answer(2));
  EXPECT_EQ(client.receive(), expected_answer(*running.snapshot, make_query(kPlain)));
  const auto seen = special.clients();
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0].source, *address::parse_address("127.0.0.1"));
  EXPECT_NE(seen[0].source_port, 0);
  EXPECT_EQ(seen[0].transport, answer::Transport::tcp);
  EXPECT_EQ(seen[0].tls, dns::Tls::none);
}

TEST_F(ServiceTest, WhoMayNotAskReachesNoService) {
  RunningServer running(options());
  for (const std::string_view source : {"127.0.0.4", "127.0.0.77"}) {
    Client client(running.v4(), source);
    const auto reply = client.ask(special_query(kAskWhole, 2));
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(load_be16(reply->data() + 2) & wire::flag::rcode_mask, wire::rcode::refused);
  }
  Client told_nothing(running.v4(), "127.0.0.5");  // its access entry says empty
  EXPECT_TRUE(told_nothing.ask(special_query(kAskWhole, 2)).has_value());
  EXPECT_TRUE(special.clients().empty());
  EXPECT_EQ(forwarder.count(), 0u);
}

TEST_F(ServiceTest, WhatTheServiceDoesNotTakeIsAnsweredAsWithoutIt) {
  RunningServer with(options());
  RunningServer without;
  Client one(with.v4());
  Client two(without.v4());
  const QuerySpec update{.name = "merlon.internal.", .type = 6, .id = 4, .flags = 0x2800};
  EXPECT_EQ(one.ask(update), two.ask(update));
}

TEST_F(ServiceTest, AStreamArrivesWholeAndQueriesBehindItAfterIt) {
  RunningServer running(options());
  Client client(running.v4());
  ASSERT_TRUE(client.send_raw(
      concatenate({framed(make_query(special_query(kAskStream, 7))), framed(make_query(kPlain))})));
  for (size_t i = 0; i < FakeSpecial::kStreamMessages; ++i) {
    ASSERT_EQ(client.receive(), FakeSpecial::stream_message(7, i)) << i;
  }
  EXPECT_EQ(client.receive(), expected_answer(*running.snapshot, make_query(kPlain)));
  EXPECT_EQ(running.server->statistics().of(Counter::streams), 1u);
  EXPECT_EQ(special.streams_open(), 0);
}

TEST_F(ServiceTest, AStreamIsMadeAsItsClientTakesItAndDelaysNobody) {
  RunningServer running(options());
  Client deaf = Client::with_small_buffer(running.v4());
  ASSERT_TRUE(deaf.send_message(make_query(special_query(kAskEndless, 7))));
  while (special.pieces() < 3) {
    std::this_thread::sleep_for(Milliseconds(1));
  }
  Client other(running.v4());
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(other.ask(kPlain).has_value());
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
  // What the kernel queues and one piece, not what a stream could make meanwhile.
  const size_t pieces = special.pieces();
  std::this_thread::sleep_for(kShort);
  EXPECT_LE(special.pieces(), pieces + 8);
  EXPECT_LT(special.pieces(), 400u);
  // Who takes nothing loses his stream.
  EXPECT_TRUE(running.waits_for(CloseReason::write_stalled, 1));
  EXPECT_EQ(special.streams_open(), 0);
}

TEST_F(ServiceTest, AStreamWhoseClientGoesEnds) {
  RunningServer running(options());
  {
    Client client(running.v4());
    ASSERT_TRUE(client.send_message(make_query(special_query(kAskEndless, 7))));
    ASSERT_TRUE(client.receive().has_value());
  }
  EXPECT_TRUE(running.waits_for_open(0));
  EXPECT_EQ(special.streams_open(), 0);
}

TEST_F(ServiceTest, ManyStreamsShareTheServer) {
  RunningServer running(options());
  std::vector<Client> clients;
  for (uint16_t i = 0; i < 20; ++i) {
    clients.emplace_back(running.v4());
    ASSERT_TRUE(clients.back().send_message(make_query(special_query(kAskStream, i))));
  }
  for (uint16_t i = 0; i < 20; ++i) {
    for (size_t k = 0; k < FakeSpecial::kStreamMessages; ++k) {
      ASSERT_EQ(clients[i].receive(), FakeSpecial::stream_message(i, k));
    }
  }
}

TEST_F(ServiceTest, WhatIsLookedUpElsewhereComesOutOfOrder) {
  RunningServer running(options());
  Client client(running.v4());
  ASSERT_TRUE(client.send_raw(
      concatenate({framed(make_query(special_query(kAskForwarded, 5))), framed(make_query(kPlain)),
                   framed(make_query(special_query(kAskForwarded, 6)))})));
  EXPECT_EQ(client.receive(), expected_answer(*running.snapshot, make_query(kPlain)));
  ASSERT_TRUE(forwarder.waits_for(2));
  forwarder.finish(1, FakeSpecial::whole_answer(6));
  EXPECT_EQ(client.receive(), FakeSpecial::whole_answer(6));
  forwarder.finish(0, FakeSpecial::whole_answer(5));
  EXPECT_EQ(client.receive(), FakeSpecial::whole_answer(5));
  EXPECT_EQ(running.server->statistics().of(Counter::answers), 3u);
}

TEST_F(ServiceTest, AnAnswerAtOnceIsAnAnswer) {
  forwarder.answer_at_once(FakeSpecial::whole_answer(5));
  RunningServer running(options());
  Client client(running.v4());
  EXPECT_EQ(client.ask(special_query(kAskForwarded, 5)), FakeSpecial::whole_answer(5));
}

TEST_F(ServiceTest, OutstandingLookupsStopReadingAtThePipelinesSize) {
  dns::ServerOptions few = options();
  few.pipeline_max = 3;
  RunningServer running(few);
  Client client(running.v4());
  std::vector<Message> frames;
  for (uint16_t i = 0; i < 5; ++i) {
    frames.push_back(framed(make_query(special_query(kAskForwarded, i))));
  }
  ASSERT_TRUE(client.send_raw(concatenate(frames)));
  ASSERT_TRUE(forwarder.waits_for(3));
  std::this_thread::sleep_for(kShort);
  EXPECT_EQ(forwarder.count(), 3u);
  for (uint16_t i = 0; i < 5; ++i) {
    ASSERT_TRUE(forwarder.waits_for(i + 1u));
    forwarder.finish(i, FakeSpecial::whole_answer(i));
    EXPECT_EQ(client.receive(), FakeSpecial::whole_answer(i));
  }
}

TEST_F(ServiceTest, AConnectionThatWaitsForALookupIsNotIdle) {
  dns::ServerOptions quick = options();
  quick.idle_timeout = Milliseconds(100);
  RunningServer running(quick);
  Client client(running.v4());
  ASSERT_TRUE(client.send_message(make_query(special_query(kAskForwarded, 5))));
  ASSERT_TRUE(forwarder.waits_for(1));
  std::this_thread::sleep_for(Milliseconds(400));
  EXPECT_EQ(running.closes(CloseReason::idle), 0u);
  forwarder.finish(0, FakeSpecial::whole_answer(5));
  EXPECT_EQ(client.receive(), FakeSpecial::whole_answer(5));
  EXPECT_TRUE(running.waits_for(CloseReason::idle, 1));
}

TEST_F(ServiceTest, WhoClosesHisSideStillGetsWhatWasLookedUp) {
  RunningServer running(options());
  Client client(running.v4());
  ASSERT_TRUE(client.send_message(make_query(special_query(kAskForwarded, 5))));
  client.close_writing();
  ASSERT_TRUE(forwarder.waits_for(1));
  std::this_thread::sleep_for(Milliseconds(50));
  forwarder.finish(0, FakeSpecial::whole_answer(5));
  EXPECT_EQ(client.receive(), FakeSpecial::whole_answer(5));
  EXPECT_TRUE(client.sees_close());
}

TEST_F(ServiceTest, ALateAnswerGoesToNobodyElse) {
  RunningServer running(options());
  {
    Client gone(running.v4());
    ASSERT_TRUE(gone.send_message(make_query(special_query(kAskForwarded, 5))));
    ASSERT_TRUE(forwarder.waits_for(1));
    gone.reset();
  }
  ASSERT_TRUE(running.waits_for_open(0));
  Client next(running.v4());  // very likely with the same descriptor
  ASSERT_TRUE(next.ask(kPlain).has_value());
  forwarder.finish(0, FakeSpecial::whole_answer(5));
  EXPECT_EQ(next.ask(kPlain), expected_answer(*running.snapshot, make_query(kPlain)));
  EXPECT_EQ(running.server->statistics().of(Counter::answers_too_late), 1u);
}

TEST_F(ServiceTest, NoAnswerIsNoAnswer) {
  RunningServer running(options());
  Client client(running.v4());
  ASSERT_TRUE(client.send_message(make_query(special_query(kAskForwarded, 5))));
  ASSERT_TRUE(forwarder.waits_for(1));
  forwarder.finish(0, {});
  EXPECT_EQ(client.ask(kPlain), expected_answer(*running.snapshot, make_query(kPlain)));
}

TEST_F(ServiceTest, AnAnswerAfterTheServersEndHarmsNobody) {
  {
    RunningServer running(options());
    Client client(running.v4());
    ASSERT_TRUE(client.send_message(make_query(special_query(kAskForwarded, 5))));
    ASSERT_TRUE(forwarder.waits_for(1));
  }
  forwarder.finish(0, FakeSpecial::whole_answer(5));
  EXPECT_EQ(forwarder.count(), 1u);
}

TEST_F(ServiceTest, WithoutForwarderItIsServfail) {
  dns::ServerOptions alone = options();
  alone.services.forwarder = nullptr;
  RunningServer running(alone);
  Client client(running.v4());
  const auto reply = client.ask(special_query(kAskForwarded, 5));
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(load_be16(reply->data()), 5);
  EXPECT_EQ(load_be16(reply->data() + 2) & wire::flag::rcode_mask, wire::rcode::servfail);
}

}  // namespace
}  // namespace merlon::tests
