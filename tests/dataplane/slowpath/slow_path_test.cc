// SPDX-License-Identifier: Apache-2.0
#include "dataplane/slowpath/slow_path.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <random>
#include <thread>

#include "dataplane/slowpath/table.h"
#include "tests/dataplane/slowpath/control_plane.h"
#include "tests/support/seed.h"
#include "tests/support/snapshot_fixture.h"
#include "zones/wire/wire.h"

namespace merlon::slowpath {
namespace {

using namespace std::chrono_literals;
using stats::IoCounter;
using tests::Buffer;
using tests::Clients;
using tests::FakeControlPlane;

bool comes_true(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + 20s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) {
      return false;
    }
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

// A query, and an answer to it that ends in `text`.
Buffer query(uint16_t id = 0x1234) {
  return tests::make_query({.id = id, .edns = true});
}
Buffer answer_to(Buffer message, std::string_view text) {
  message[2] |= 0x80;
  message.insert(message.end(), text.begin(), text.end());
  return message;
}

class SlowPathTest : public testing::Test {
 protected:
  void start(Options options = {}, size_t workers = 1) {
    options.socket = socket_;
    counters_ = std::vector<stats::WorkerCounters>(workers);
    auto started = SlowPath::start(options, counters_);
    ASSERT_TRUE(started.has_value()) << started.error().message;
    path_ = std::move(*started);
    for (size_t i = 0; i < workers; ++i) {
      path_->attach(i, clients_);
    }
  }
  bool offer(uint32_t client, Bytes message, std::string_view source = "192.0.2.10") {
    return path_->outlet(0).offer(Clients::path(client, source), message);
  }
  bool offer(uint32_t client) { return offer(client, query()); }
  uint64_t count(IoCounter counter, size_t worker = 0) const {
    return counters_[worker].get(counter);
  }
  // The one reply that a client got.
  Buffer reply_of(uint32_t client) {
    EXPECT_TRUE(comes_true([&] { return !clients_.of(client).empty(); })) << client;
    const auto replies = clients_.of(client);
    EXPECT_EQ(replies.size(), 1u) << client;
    return replies.empty() ? Buffer{} : replies.front();
  }
  // Until the slow path takes queries. The one that shows it is answered.
  void wait_until_open(FakeControlPlane& control, uint32_t client) {
    ASSERT_TRUE(comes_true([&] { return offer(client); }));
    const auto taken = control.receive();
    ASSERT_TRUE(taken.has_value());
    control.answer(*taken, answer_to(taken->message, "open"));
    reply_of(client);
  }

  tests::TemporaryDirectory folder_;
  std::string socket_ = folder_.path() + "/slow.sock";
  std::vector<stats::WorkerCounters> counters_;
  Clients clients_;
  std::unique_ptr<SlowPath> path_;  // ends first
};

TEST_F(SlowPathTest, QueryGoesWithItsAddressesAndTheAnswerComesBack) {
  FakeControlPlane control(socket_);
  start();
  for (const std::string_view source : {"192.0.2.10", "2001:db8::10"}) {
    const uint32_t client = source == "192.0.2.10" ? 1 : 2;
    ASSERT_TRUE(offer(client, query(), source));
    const auto taken = control.receive();
    ASSERT_TRUE(taken.has_value());
    EXPECT_EQ(taken->message, query());
    const io::Path path = Clients::path(client, source);
    EXPECT_EQ(taken->header.source, path.source);
    EXPECT_EQ(taken->header.destination, path.destination);
    EXPECT_EQ(taken->header.source_port, path.source_port);
    EXPECT_EQ(taken->header.destination_port, path.destination_port);
    const Buffer answer = answer_to(query(), "here");
    control.answer(*taken, answer);
    EXPECT_EQ(reply_of(client), answer);
  }
  EXPECT_EQ(count(IoCounter::slow_path_replies), 2u);
  EXPECT_TRUE(comes_true([&] { return path_->outstanding() == 0; }));
}

TEST_F(SlowPathTest, AnswersFindTheirAskersInWhateverOrderTheyCome) {
  FakeControlPlane control(socket_);
  start({.outstanding_max = 512, .outstanding_per_source_max = 512});
  std::mt19937 random(test::seed_for("slow path"));
  uint32_t client = 0;
  for (int round = 0; round < 20; ++round) {
    std::vector<FakeControlPlane::Query> taken;
    const uint32_t first = client;
    for (int i = 0; i < 200; ++i) {
      ASSERT_TRUE(offer(client++));  // all with one id and one source address
    }
    for (int i = 0; i < 200; ++i) {
      auto next = control.receive();
      ASSERT_TRUE(next.has_value());
      taken.push_back(std::move(*next));
    }
    std::ranges::shuffle(taken, random);
    for (const auto& one : taken) {
      control.answer(one, answer_to(one.message, std::to_string(one.header.source_port)));
    }
    for (uint32_t i = first; i < client; ++i) {
      ASSERT_EQ(reply_of(i), answer_to(query(), std::to_string(Clients::path(i).source_port)));
    }
  }
  EXPECT_EQ(count(IoCounter::slow_path_replies), 4000u);
  EXPECT_EQ(count(IoCounter::slow_path_unmatched), 0u);
}

// Workers that offer as fast as they can while the answers come in another order.
TEST_F(SlowPathTest, ManyWorkersAtOnceMixNothingUp) {
  constexpr uint32_t kPerWorker = 3000;
  FakeControlPlane control(socket_);
  start({.outstanding_max = 300, .outstanding_per_source_max = 300, .patience = 60s}, 3);
  std::atomic<bool> done{false};
  std::thread answering([&] {
    std::mt19937 random(test::seed_for("slow path"));
    std::vector<FakeControlPlane::Query> held;
    while (!done.load()) {
      if (auto next = control.receive(held.empty() ? 20 : 0)) {
        held.push_back(std::move(*next));
        if (held.size() < 50) {
          continue;
        }
      }
      std::ranges::shuffle(held, random);
      for (const auto& one : held) {
        const auto& port = one.header.source_port;
        control.answer(one, answer_to(one.message, std::to_string(port)));
      }
      held.clear();
    }
  });
  std::vector<std::thread> workers;
  for (uint32_t worker = 0; worker < 3; ++worker) {
    workers.emplace_back([&, worker] {
      for (uint32_t i = 0; i < kPerWorker; ++i) {
        const io::Path path = Clients::path(worker * 10'000 + i);
        while (!path_->outlet(worker).offer(path, query())) {
          std::this_thread::yield();
        }
      }
    });
  }
  for (std::thread& worker : workers) {
    worker.join();
  }
  EXPECT_TRUE(comes_true([&] { return clients_.count() == 3 * kPerWorker; })) << clients_.count();
  done.store(true);
  answering.join();
  for (uint32_t worker = 0; worker < 3; ++worker) {
    for (uint32_t i = 0; i < kPerWorker; ++i) {
      const uint32_t client = worker * 10'000 + i;
      ASSERT_EQ(reply_of(client),
                answer_to(query(), std::to_string(Clients::path(client).source_port)));
    }
    EXPECT_EQ(count(IoCounter::slow_path_replies, worker), kPerWorker);
  }
  EXPECT_EQ(path_->outstanding(), 0u);
}

TEST_F(SlowPathTest, WithoutAControlPlaneNothingIsTakenUntilItComes) {
  start();
  for (uint32_t i = 0; i < 100; ++i) {
    ASSERT_FALSE(offer(i));
  }
  EXPECT_EQ(count(IoCounter::slow_path_refused), 100u);
  FakeControlPlane control(socket_);
  wait_until_open(control, 1000);
  EXPECT_EQ(clients_.count(), 1u);
}

TEST_F(SlowPathTest, WhoWaitsWhenTheControlPlaneGoesGetsServfailAtOnce) {
  start({.patience = 60s});
  {
    FakeControlPlane control(socket_);
    wait_until_open(control, 1000);
    for (uint32_t i = 0; i < 20; ++i) {
      ASSERT_TRUE(offer(i));
      ASSERT_TRUE(control.receive().has_value());
    }
  }
  for (uint32_t i = 0; i < 20; ++i) {
    const Buffer reply = reply_of(i);
    ASSERT_GE(reply.size(), wire::kHeaderSize);
    EXPECT_EQ(load_be16(reply.data()), 0x1234);
    EXPECT_EQ(load_be16(reply.data() + 2), wire::flag::qr | wire::flag::rd | wire::rcode::servfail);
    EXPECT_EQ(to_hex(Bytes(reply).subspan(4, 8)), "0001000000000000");
    const Buffer asked = tests::make_query({});  // the question, and no OPT
    EXPECT_EQ(reply.size(), asked.size());
    EXPECT_TRUE(std::equal(reply.begin() + 12, reply.end(), asked.begin() + 12));
  }
  EXPECT_EQ(count(IoCounter::slow_path_lost), 20u);
  EXPECT_FALSE(offer(2000));
  EXPECT_EQ(path_->outstanding(), 0u);
  FakeControlPlane again(socket_);
  wait_until_open(again, 3000);
}

TEST_F(SlowPathTest, WhatIsNotAnsweredInTimeGetsServfailAndItsAnswerFindsNobody) {
  FakeControlPlane control(socket_);
  start({.patience = 300ms});
  ASSERT_TRUE(offer(1));
  const auto late = control.receive();
  ASSERT_TRUE(late.has_value());
  // Others are answered meanwhile, so the control plane is not stuck.
  uint32_t other = 100;
  ASSERT_TRUE(comes_true([&] {
    EXPECT_TRUE(offer(++other));
    const auto taken = control.receive();
    control.answer(*taken, answer_to(query(), "other"));
    EXPECT_EQ(reply_of(other), answer_to(query(), "other"));
    return !clients_.of(1).empty();
  }));
  EXPECT_EQ(load_be16(reply_of(1).data() + 2) & wire::flag::rcode_mask, wire::rcode::servfail);
  EXPECT_EQ(count(IoCounter::slow_path_expired), 1u);
  ASSERT_TRUE(offer(2));  // takes the place in the table
  const auto next = control.receive();
  control.answer(*late, answer_to(query(), "late"));
  EXPECT_TRUE(comes_true([&] { return count(IoCounter::slow_path_unmatched) == 1; }));
  EXPECT_TRUE(clients_.of(2).empty());
  control.answer(*next, answer_to(query(), "next"));
  EXPECT_EQ(reply_of(2), answer_to(query(), "next"));
  EXPECT_EQ(clients_.of(1).size(), 1u);
}

TEST_F(SlowPathTest, AStuckControlPlaneIsGivenUpAndTriedAgain) {
  FakeControlPlane control(socket_);
  start({.patience = 100ms});
  ASSERT_TRUE(offer(1));
  reply_of(1);  // nobody even took it
  EXPECT_EQ(count(IoCounter::slow_path_expired), 1u);
  ASSERT_TRUE(comes_true([&] { return !offer(2); }));
  EXPECT_GE(count(IoCounter::slow_path_refused), 1u);
  // It wakes up: connections that were given up are there, and then one that is not.
  ASSERT_TRUE(comes_true([&] {
    offer(3);
    if (const auto taken = control.receive(20)) {
      control.answer(*taken, answer_to(taken->message, ""));
    }
    return count(IoCounter::slow_path_replies) > 0;
  }));
}

TEST_F(SlowPathTest, StrangeAnswersAreCountedAndReachNobody) {
  FakeControlPlane control(socket_);
  start({.patience = 60s});
  ASSERT_TRUE(offer(1));
  const auto taken = control.receive();
  ASSERT_TRUE(taken.has_value());
  Buffer other_id = answer_to(query(), "x");
  other_id[0] ^= 1;
  control.answer(*taken, other_id);
  control.answer(*taken, query());  // QR is not set
  control.answer(*taken, Buffer(11, 0xff));
  auto stranger = *taken;
  stranger.id[9] ^= 1;  // another number
  control.answer(stranger, answer_to(query(), "x"));
  stranger = *taken;
  stranger.id[0] = 0xff;  // a place that is none
  control.answer(stranger, answer_to(query(), "x"));
  stranger = *taken;
  stranger.id.push_back(0);
  control.answer(stranger, answer_to(query(), "x"));
  control.send_raw(answer_to(query(), "no header"));
  control.answer(*taken, Buffer(6000, 0x80));  // larger than any UDP answer
  EXPECT_TRUE(comes_true([&] { return count(IoCounter::slow_path_unmatched) == 8; }))
      << count(IoCounter::slow_path_unmatched);
  EXPECT_EQ(clients_.count(), 0u);
  control.answer(*taken, answer_to(query(), "right"));
  EXPECT_EQ(reply_of(1), answer_to(query(), "right"));
  control.answer(*taken, answer_to(query(), "twice"));
  EXPECT_TRUE(comes_true([&] { return count(IoCounter::slow_path_unmatched) == 9; }));
  EXPECT_EQ(clients_.of(1).size(), 1u);
}

TEST_F(SlowPathTest, AnAnswerOfNoBytesEndsTheWaitInSilence) {
  FakeControlPlane control(socket_);
  start({.patience = 60s});
  ASSERT_TRUE(offer(1));
  const auto taken = control.receive();
  ASSERT_TRUE(taken.has_value());
  control.answer(*taken, {});
  EXPECT_TRUE(comes_true([&] { return path_->outstanding() == 0; }));
  EXPECT_EQ(clients_.count(), 0u);
  EXPECT_EQ(count(IoCounter::slow_path_replies), 0u);
}

TEST_F(SlowPathTest, OneSourceCannotTakeItAll) {
  FakeControlPlane control(socket_);
  start({.patience = 60s});
  ASSERT_TRUE(control.accepted());
  for (uint32_t i = 0; i < 64; ++i) {
    ASSERT_TRUE(offer(i, query(), "192.0.2.1"));
    ASSERT_TRUE(offer(1000 + i, query(), fmt::format("2001:db8:0:1::{:x}", i + 1)));
  }
  EXPECT_FALSE(offer(64, query(), "192.0.2.1"));
  EXPECT_FALSE(offer(1064, query(), "2001:db8:0:1:ffff::1"));  // the same /64
  EXPECT_EQ(count(IoCounter::slow_path_refused), 2u);
  // Of ten others one may share its counter with them, with a chance of 1 in 200.
  int taken = 0;
  for (uint32_t i = 0; i < 10; ++i) {
    taken += offer(2000 + i, query(), fmt::format("198.51.100.{}", i)) ? 1 : 0;
  }
  EXPECT_GE(taken, 8);
  // Answered, they have room again.
  for (uint32_t i = 0; i < 128; ++i) {
    const auto next = control.receive();
    ASSERT_TRUE(next.has_value());
    control.answer(*next, answer_to(next->message, ""));
  }
  EXPECT_TRUE(comes_true([&] { return offer(64, query(), "192.0.2.1"); }));
}

TEST_F(SlowPathTest, AFullTableSaysSoAtOnce) {
  FakeControlPlane control(socket_);
  start({.outstanding_max = 32, .outstanding_per_source_max = 64, .patience = 60s});
  for (uint32_t i = 0; i < 32; ++i) {
    ASSERT_TRUE(offer(i));
  }
  EXPECT_FALSE(offer(32));
  EXPECT_EQ(count(IoCounter::slow_path_full), 1u);
  EXPECT_EQ(path_->outstanding(), 32u);
}

TEST_F(SlowPathTest, MessagesWithoutAHeaderOrTooLargeAreNotTaken) {
  FakeControlPlane control(socket_);
  start();
  EXPECT_FALSE(offer(1, Buffer(11)));
  EXPECT_FALSE(offer(1, Buffer(kMessageSizeMax + 1)));
  EXPECT_EQ(count(IoCounter::slow_path_refused), 2u);
  Buffer largest(kMessageSizeMax, 7);
  ASSERT_TRUE(offer(1, largest));
  const auto taken = control.receive();
  ASSERT_TRUE(taken.has_value());
  EXPECT_EQ(taken->message, largest);
}

TEST_F(SlowPathTest, AnEngineThatIsGoneGetsNothing) {
  FakeControlPlane control(socket_);
  start({.patience = 60s});
  ASSERT_TRUE(offer(1));
  const auto taken = control.receive();
  path_->detach(0);
  control.answer(*taken, answer_to(query(), "late"));
  EXPECT_TRUE(comes_true([&] { return count(IoCounter::drop_slow_path_send) == 1; }));
  EXPECT_EQ(clients_.count(), 0u);
}

TEST_F(SlowPathTest, EndsWithQueriesOpen) {
  FakeControlPlane control(socket_);
  start({.patience = 60s});
  ASSERT_TRUE(offer(1));
  path_.reset();
  EXPECT_EQ(clients_.count(), 0u);
}

TEST_F(SlowPathTest, APathTooLongIsAnErrorAndSaysWhatToDo) {
  std::vector<stats::WorkerCounters> counters(1);
  for (const std::string& socket : {std::string(), std::string(200, 'x')}) {
    const auto started = SlowPath::start({.socket = socket}, counters);
    ASSERT_FALSE(started.has_value());
    EXPECT_EQ(started.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(started.error().message.find("choose a shorter one"), std::string::npos);
  }
}

TEST(Outlet, AFullRingSaysSo) {
  Admission admission(100'000, 100'000, 1);
  admission.open();
  Wake wake;
  stats::WorkerCounters counters;
  Outlet outlet(admission, wake, counters);
  for (uint32_t i = 0; i < Outlet::kSlotCount; ++i) {
    ASSERT_TRUE(outlet.offer(Clients::path(i), query()));
  }
  EXPECT_FALSE(outlet.offer(Clients::path(0), query()));
  EXPECT_EQ(counters.get(IoCounter::slow_path_full), 1u);
  EXPECT_EQ(admission.total(), Outlet::kSlotCount);
  for (uint32_t i = 0; i < Outlet::kSlotCount; ++i) {
    ASSERT_NE(outlet.front(), nullptr);
    EXPECT_EQ(outlet.front()->path.source_port, Clients::path(i).source_port);
    outlet.pop();
  }
  EXPECT_EQ(outlet.front(), nullptr);
  EXPECT_TRUE(outlet.offer(Clients::path(0), query()));
}

TEST(Servfail, RepeatsTheQuestionOnlyWhenItIsOne) {
  std::array<uint8_t, Entry::kHeadSizeMax> out;
  Buffer message = tests::make_query({.flags = 0x2910});  // UPDATE, RD, CD
  EXPECT_EQ(make_servfail(message, out), message.size());
  EXPECT_EQ(load_be16(out.data() + 2), 0xa912);
  const auto bare = [&](size_t size) {
    EXPECT_EQ(make_servfail(Bytes(message).first(size), out), wire::kHeaderSize);
    EXPECT_EQ(load_be16(out.data() + 4), 0);
  };
  bare(message.size() - 1);
  bare(wire::kHeaderSize);
  store_be16(message.data() + 4, 2);
  bare(message.size());
  store_be16(message.data() + 4, 1);
  message[12] = 0xc0;  // a pointer into the header
  bare(message.size());
}

}  // namespace
}  // namespace merlon::slowpath
