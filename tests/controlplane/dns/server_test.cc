// SPDX-License-Identifier: Apache-2.0
// What clients get: real sockets on loopback, answers compared with the answer logic's byte for
// byte.
#include "controlplane/dns/server.h"

#include <dirent.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <ctime>
#include <thread>

#include "tests/controlplane/dns/client.h"
#include "tests/support/text_zone.h"
#include "zones/cookie/cookie.h"
#include "zones/wire/wire.h"

namespace merlon::tests {
namespace {

using dns::CloseReason;
using dns::Counter;

constexpr size_t kHeaderSize = 12;

uint16_t rcode_of(const Message& message) {
  return load_be16(message.data() + 2) & wire::flag::rcode_mask;
}
uint16_t answer_count_of(const Message& message) {
  return load_be16(message.data() + 6);
}

size_t open_descriptor_count() {
  size_t count = 0;
  DIR* directory = opendir("/proc/self/fd");
  while (directory != nullptr && readdir(directory) != nullptr) {
    ++count;
  }
  closedir(directory);
  return count;
}

const QuerySpec kBasic{.name = "basic.merlon.internal.", .id = 0x4242, .edns = true};

TEST(DnsServer, FourThousandRecordsArriveComplete) {
  RunningServer running;
  for (const std::string& address : {running.v4(), running.v6()}) {
    Client client(address);
    const auto reply = client.ask(kBasic);
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(answer_count_of(*reply), 4000);
    EXPECT_GT(reply->size(), 64'000u);
    EXPECT_EQ(*reply, expected_answer(*running.snapshot, make_query(kBasic)));
  }
}

// Small and large ones that were put together in the worker's memory wait for a client that reads
// late, while the worker puts together the next ones there.
TEST(DnsServer, AssembledAnswersKeepTheirBytesWhileTheyWait) {
  std::string text = "@ SOA ns h 1 3600 600 86400 60\n@ NS ns\n*.wild CNAME list3\n";
  for (int list = 0; list < 8; ++list) {
    for (int i = 0; i < 200 * list + 1; ++i) {
      text += fmt::format("list{} A 10.{}.{}.{}\n", list, list, i / 256, i % 256);
    }
  }
  const tests::TextSnapshot made = tests::make_text_snapshot(
      {{.apex = "example.test.", .text = text, .signing = tests::Signing::nsec}});
  RunningServer running(quick_options(), made.snapshot);
  Client client = Client::with_small_buffer(running.v4());
  std::vector<Message> queries;
  std::vector<Message> sent;
  for (int i = 0; i < 64; ++i) {
    const std::string name = i % 9 == 8 ? fmt::format("x{}.wild.example.test.", i)
                                        : fmt::format("list{}.example.test.", i % 9);
    queries.push_back(make_query({.name = name, .edns = true, .dnssec_ok = true}));
    sent.push_back(framed(queries.back()));
  }
  ASSERT_TRUE(client.send_raw(concatenate(sent)));
  for (const Message& query : queries) {
    const auto reply = client.receive();
    ASSERT_TRUE(reply.has_value());
    ASSERT_EQ(*reply, expected_answer(*running.snapshot, query));
  }
}

TEST(DnsServer, EveryKindOfAnswerIsTheLogicsOwn) {
  RunningServer running(quick_options(), loopback_snapshot({}, "patched.test."));
  Client client(running.v4());
  const std::vector<QuerySpec> specs = {
      {.name = "small.merlon.internal."},
      {.name = "SmAlL.merlon.INTERNAL.", .edns = true},
      {.name = "small.merlon.internal.", .type = wire::type::aaaa},
      {.name = "nothing.merlon.internal.", .edns = true, .dnssec_ok = true},
      {.name = "block.acme.merlon.internal."},
      {.name = "block.zeta.merlon.internal.", .edns = true},
      {.name = "basic1.merlon.internal."},
      {.name = "v6.merlon.internal.", .type = wire::type::aaaa},
      {.name = "patched.test.", .edns = true},
      {.name = "none.patched.test.", .edns = true},
      {.name = "example.org."},
      {.name = "small.merlon.internal.", .qclass = 3},
      {.name = "small.merlon.internal.", .edns = true, .version = 1}};
  for (const QuerySpec& spec : specs) {
    const auto reply = client.ask(spec);
    ASSERT_TRUE(reply.has_value()) << spec.name;
    EXPECT_EQ(*reply, expected_answer(*running.snapshot, make_query(spec))) << spec.name;
  }
  EXPECT_EQ(running.server->statistics().of(Counter::answers), specs.size());
}

// What the logic leaves to special.h, pipelined between ordinary questions.
TEST(DnsServer, TransfersAndOtherOpcodesGetTheirOwnAnswers) {
  RunningServer running;
  Client client(running.v4());
  const QuerySpec plain{.name = "small.merlon.internal.", .id = 1};
  const QuerySpec special[] = {
      {.name = "merlon.internal.", .type = 252, .id = 2, .edns = true},
      {.name = "merlon.internal.", .type = wire::type::soa, .id = 3, .flags = 0x2000},
      {.name = "merlon.internal.", .type = wire::type::soa, .id = 4, .flags = 0x2800},
      {.name = "merlon.internal.", .type = 251, .id = 5}};
  std::vector<Message> frames;
  for (const QuerySpec& spec : special) {
    frames.push_back(framed(make_query(spec)));
    frames.push_back(framed(make_query(plain)));
  }
  ASSERT_TRUE(client.send_raw(concatenate(frames)));
  constexpr uint16_t kRcodes[] = {wire::rcode::notimp, wire::rcode::notauth, wire::rcode::notimp,
                                  wire::rcode::formerr};
  for (size_t i = 0; i < std::size(kRcodes); ++i) {
    const auto reply = client.receive();
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(load_be16(reply->data()), 2 + i);
    EXPECT_EQ(rcode_of(*reply), kRcodes[i]);
    const auto next = client.receive();
    ASSERT_TRUE(next.has_value());
    EXPECT_EQ(*next, expected_answer(*running.snapshot, make_query(plain)));
  }
  const dns::Statistics statistics = running.server->statistics();
  EXPECT_EQ(statistics.of(answer::Outcome::notimp_type), 1u);
  EXPECT_EQ(statistics.of(answer::Outcome::notimp_opcode), 2u);
  EXPECT_EQ(statistics.of(Counter::answers), 8u);
}

TEST(DnsServer, LargeBodyWithPlacesToPatchIsPatched) {
  RunningServer running(quick_options(), loopback_snapshot({}, "patched.test."));
  Client client(running.v4());
  // Pipelined, so that it also waits behind and in front of others.
  const Message query = make_query({.name = "none.patched.test.", .edns = true});
  const Message frame = framed(query);
  ASSERT_TRUE(client.send_raw(concatenate({framed(make_query(kBasic)), frame, frame})));
  ASSERT_TRUE(client.receive().has_value());
  for (int i = 0; i < 2; ++i) {
    const auto reply = client.receive();
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(*reply, expected_answer(*running.snapshot, query));
    EXPECT_EQ(load_be16(reply->data() + 8), kPatchedRecords);
    // The first record's owner points to the apex, five bytes (4none) into the question's name.
    const size_t authority_at = query.size() - 11;
    EXPECT_EQ(load_be16(reply->data() + authority_at), 0xC000 + kHeaderSize + 5);
  }
}

TEST(DnsServer, PipelinedQueriesAreAnsweredInOrder) {
  RunningServer running;
  Client client(running.v4());
  std::vector<Message> queries;
  for (uint16_t i = 0; i < 1000; ++i) {
    const bool large = i % 100 == 50;
    queries.push_back(
        make_query({.name = large ? "basic.merlon.internal." : "small.merlon.internal.", .id = i}));
  }
  std::vector<Message> frames;
  for (const Message& query : queries) {
    frames.push_back(framed(query));
  }
  ASSERT_TRUE(client.send_raw(concatenate(frames)));
  for (const Message& query : queries) {
    const auto reply = client.receive();
    ASSERT_TRUE(reply.has_value());
    ASSERT_EQ(*reply, expected_answer(*running.snapshot, query));
  }
  // Many answers leave in one write.
  EXPECT_LT(running.server->statistics().of(Counter::writes), 500u);
}

TEST(DnsServer, QueryMayComeByteByByte) {
  RunningServer running;
  Client client(running.v4());
  const Message query = make_query(kBasic);
  for (const uint8_t byte : framed(query)) {
    ASSERT_TRUE(client.send_raw(Bytes(&byte, 1)));
    std::this_thread::sleep_for(Milliseconds(1));
  }
  EXPECT_EQ(client.receive(), expected_answer(*running.snapshot, query));
}

TEST(DnsServer, FramesMaySplitAnywhere) {
  RunningServer running;
  const Message query = make_query({.name = "small.merlon.internal."});
  const Message two = concatenate({framed(query), framed(query)});
  const Message answer = expected_answer(*running.snapshot, query);
  for (size_t split = 1; split < two.size(); ++split) {
    Client client(running.v4());
    ASSERT_TRUE(client.send_raw(Bytes(two).first(split)));
    std::this_thread::sleep_for(Milliseconds(1));
    ASSERT_TRUE(client.send_raw(Bytes(two).subspan(split)));
    EXPECT_EQ(client.receive(), answer) << split;
    EXPECT_EQ(client.receive(), answer) << split;
  }
}

TEST(DnsServer, LargestQueryIsAnswered) {
  RunningServer running;
  Client client(running.v4());
  // EDNS options fill the message: 65,535 - header - question - OPT.
  QuerySpec spec{.name = "small.merlon.internal.", .edns = true};
  const size_t option_size = 65535 - make_query(spec).size();
  spec.options.resize(option_size);
  store_be16(spec.options.data(), 65001);
  store_be16(spec.options.data() + 2, static_cast<uint16_t>(option_size - 4));
  const Message query = make_query(spec);
  ASSERT_EQ(query.size(), 65535u);
  ASSERT_TRUE(client.send_message(query));
  const auto reply = client.receive();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(*reply, expected_answer(*running.snapshot, query));
  EXPECT_EQ(answer_count_of(*reply), 4);
}

TEST(DnsServer, HalfClosedClientStillGetsItsAnswers) {
  RunningServer running;
  for (int i = 0; i < 20; ++i) {
    Client client(running.v4());
    ASSERT_TRUE(client.send_message(make_query(kBasic)));
    ASSERT_TRUE(client.send_message(make_query({.name = "small.merlon.internal."})));
    client.close_writing();
    const auto first = client.receive();
    const auto second = client.receive();
    ASSERT_TRUE(first.has_value() && second.has_value());
    EXPECT_EQ(answer_count_of(*first), 4000);
    EXPECT_EQ(answer_count_of(*second), 4);
    EXPECT_TRUE(client.sees_close());
  }
  EXPECT_TRUE(running.waits_for(CloseReason::client_closed, 20));
}

TEST(DnsServer, SourceAndAccountDecideWhatIsAnswered) {
  RunningServer running;
  const QuerySpec own{.name = "block.acme.merlon.internal.", .edns = true};
  struct Row {
    std::string_view source;
    uint16_t rcode;
    uint16_t answers;
  };
  for (const Row& row :
       {Row{"127.0.0.1", wire::rcode::noerror, 100}, Row{"127.0.0.2", wire::rcode::refused, 0},
        Row{"127.0.0.4", wire::rcode::refused, 0}, Row{"127.0.0.5", wire::rcode::noerror, 0},
        Row{"127.0.0.9", wire::rcode::refused, 0}}) {
    Client client(running.v4(), row.source);
    const auto reply = client.ask(own);
    ASSERT_TRUE(reply.has_value()) << row.source;
    EXPECT_EQ(rcode_of(*reply), row.rcode) << row.source;
    EXPECT_EQ(answer_count_of(*reply), row.answers) << row.source;
    EXPECT_EQ(*reply, expected_answer(*running.snapshot, make_query(own), row.source));
  }
  const dns::Statistics statistics = running.server->statistics();
  EXPECT_EQ(statistics.of(answer::Outcome::refused_unregistered), 1u);
  EXPECT_EQ(statistics.of(answer::Outcome::refused_by_verb), 1u);
  EXPECT_EQ(statistics.of(answer::Outcome::refused_not_ours), 1u);
}

TEST(DnsServer, UnregisteredSourceIsToldProhibited) {
  RunningServer running;
  Client client(running.v4(), "127.0.0.2");
  const auto reply = client.ask({.name = "small.merlon.internal.", .edns = true});
  ASSERT_TRUE(reply.has_value());
  const std::array<uint8_t, 6> ede{0, 15, 0, 2, 0, 18};  // RFC 8914, Prohibited
  EXPECT_TRUE(std::equal(ede.begin(), ede.end(), reply->end() - 6));
}

TEST(DnsServer, SaysWhoItIs) {
  dns::ServerOptions options = quick_options();
  options.identity = answer::Identity("ns1", "m2");
  RunningServer running(options);
  Client client(running.v4());
  const auto name = client.ask({.name = "id.server.", .type = 16, .qclass = 3});
  ASSERT_TRUE(name.has_value());
  EXPECT_EQ(rcode_of(*name), wire::rcode::noerror);
  EXPECT_EQ(as_text(Bytes(*name).last(4)), "\3ns1");
  const auto nsid =
      client.ask({.name = "small.merlon.internal.", .edns = true, .options = {0, 3, 0, 0}});
  ASSERT_TRUE(nsid.has_value());
  EXPECT_EQ(to_hex(Bytes(*nsid).last(9)), "0007000300036e7331");
  EXPECT_EQ(running.server->statistics().of(answer::Outcome::answered_chaos), 1u);
}

TEST(DnsServer, GivesCookiesThatAreGoodOverUdp) {
  dns::ServerOptions options = quick_options();
  options.cookie_secrets = cookie::Secrets{};
  RunningServer running(options);
  for (const std::string& address : {running.v4(), running.v6()}) {
    const bool v4 = address == running.v4();
    Client client(address);
    // A body that is copied, and one that is sent from where it lies.
    for (const char* name : {"small.merlon.internal.", "basic.merlon.internal."}) {
      const auto reply = client.ask(
          {.name = name, .edns = true, .options = {0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8}});
      ASSERT_TRUE(reply.has_value());
      const Bytes tail = Bytes(*reply).last(30);
      EXPECT_EQ(to_hex(tail.first(14)), "001c000a00180102030405060708");
      cookie::Check check{.client = {1, 2, 3, 4, 5, 6, 7, 8},
                          .server = {},
                          .server_size = cookie::kServerSize,
                          .source = *address::parse_address(v4 ? "127.0.0.1" : "::1")};
      std::copy_n(tail.begin() + 14, cookie::kServerSize, check.server.begin());
      cookie::check_burst(*options.cookie_secrets, static_cast<uint32_t>(std::time(nullptr)),
                          {&check, 1});
      EXPECT_EQ(check.state, cookie::State::valid) << address << " " << name;
    }
    const auto none = client.ask({.name = "small.merlon.internal.", .edns = true});
    EXPECT_EQ(to_hex(Bytes(*none).last(2)), "0000");
  }
}

TEST(DnsServer, IgnoredSourceIsClosed) {
  RunningServer running;
  Client client(running.v4(), "127.0.0.3");
  EXPECT_TRUE(client.sees_close());
  EXPECT_TRUE(running.waits_for(CloseReason::ignored_source, 1));
}

TEST(DnsServer, AccessChangesApplyToOpenConnections) {
  RunningServer running;
  Client client(running.v4(), "127.0.0.2");
  const QuerySpec spec{.name = "small.merlon.internal."};
  EXPECT_EQ(rcode_of(*client.ask(spec)), wire::rcode::refused);
  running.slot.set(make_fixture().snapshot);  // registers all of 127.0.0.0/8
  EXPECT_EQ(rcode_of(*client.ask(spec)), wire::rcode::noerror);
}

TEST(DnsServer, SnapshotMayChangeWhileAnswersAreInFlight) {
  RunningServer running;
  std::weak_ptr<const snapshot::Snapshot> old = running.snapshot;
  const Message query = make_query(kBasic);
  const Message old_answer = expected_answer(*running.snapshot, query);
  Client client = Client::with_small_buffer(running.v4());
  constexpr int kQueries = 40;
  for (int i = 0; i < kQueries; ++i) {
    ASSERT_TRUE(client.send_message(query));
  }
  // Not all fits into the kernel: the server waits with answers of the old snapshot.
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (running.server->statistics().of(Counter::pauses) == 0) {
    ASSERT_LT(std::chrono::steady_clock::now(), end);
    std::this_thread::sleep_for(Milliseconds(1));
  }
  const uint64_t queued_before = running.server->statistics().of(Counter::answers);
  ASSERT_LT(queued_before, static_cast<uint64_t>(kQueries));
  running.snapshot = loopback_snapshot({.serial = 2, .basic_count = 2000});
  const Message new_answer = expected_answer(*running.snapshot, query);
  running.slot.set(running.snapshot);
  std::this_thread::sleep_for(Milliseconds(20));
  EXPECT_FALSE(old.expired());
  for (uint64_t i = 0; i < kQueries; ++i) {
    const auto reply = client.receive();
    ASSERT_TRUE(reply.has_value());
    ASSERT_EQ(*reply, i < queued_before ? old_answer : new_answer) << i;
  }
  while (!old.expired()) {
    ASSERT_LT(std::chrono::steady_clock::now(), end);
    std::this_thread::sleep_for(Milliseconds(1));
  }
}

TEST(DnsServer, ReplacedSnapshotIsFreedWhenNobodyAsks) {
  RunningServer running;
  Client client(running.v4());
  ASSERT_TRUE(client.ask(kBasic).has_value());
  std::weak_ptr<const snapshot::Snapshot> old = running.snapshot;
  running.snapshot.reset();
  running.slot.set(loopback_snapshot({.serial = 2, .basic_count = 10}));
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!old.expired()) {
    ASSERT_LT(std::chrono::steady_clock::now(), end);
    std::this_thread::sleep_for(Milliseconds(5));
  }
}

TEST(DnsServer, WithoutSnapshotClientsAreClosed) {
  RunningServer running(quick_options(), nullptr);
  Client early(running.v4());
  EXPECT_TRUE(early.sees_close());
  EXPECT_TRUE(running.waits_for(CloseReason::no_snapshot, 1));
  running.slot.set(loopback_snapshot());
  std::optional<Message> reply;
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!reply && std::chrono::steady_clock::now() < end) {
    reply = Client(running.v4()).ask(kBasic);
  }
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(answer_count_of(*reply), 4000);
}

TEST(DnsServer, SeveralThreadsShareThePort) {
  dns::ServerOptions options = quick_options();
  options.threads = 3;
  RunningServer running(options);
  std::vector<std::thread> clients;
  std::atomic<int> right{0};
  const Message query = make_query(kBasic);
  const Message answer = expected_answer(*running.snapshot, query);
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back([&, i] {
      for (int j = 0; j < 10; ++j) {
        Client client(i % 2 == 0 ? running.v4() : running.v6());
        right += client.ask(kBasic) == answer ? 1 : 0;
      }
    });
  }
  for (std::thread& client : clients) {
    client.join();
  }
  EXPECT_EQ(right, 40);
}

TEST(DnsServer, StopsWithConnectionsOpenAndLeaksNoDescriptor) {
  loopback_snapshot();  // opens what libraries open once
  const size_t before = open_descriptor_count();
  {
    dns::ServerOptions options = quick_options();
    options.threads = 2;
    RunningServer running(options);
    std::vector<Client> clients;
    for (int i = 0; i < 50; ++i) {
      clients.emplace_back(i % 2 == 0 ? running.v4() : running.v6());
      if (i % 5 == 0) {
        ASSERT_TRUE(clients.back().send_message(make_query(kBasic)));  // never read
      } else if (i % 5 == 1) {
        ASSERT_TRUE(clients.back().send_raw(std::array<uint8_t, 3>{0, 40, 1}));
      }
    }
    for (int i = 0; i < 30; ++i) {
      Client(running.v4()).ask(kBasic);  // closed by the client
    }
    ASSERT_TRUE(running.waits_for_open(50));
    const auto start = std::chrono::steady_clock::now();
    running.server.reset();
    EXPECT_LT(std::chrono::steady_clock::now() - start, Milliseconds(1000));
    for (Client& client : clients) {
      EXPECT_TRUE(client.drain().has_value());
    }
  }
  EXPECT_EQ(open_descriptor_count(), before);
}

TEST(DnsServer, StartSaysWhatIsWrong) {
  const dns::SnapshotSlot slot;
  RunningServer running;
  dns::ServerOptions options = quick_options();
  options.listen = {running.v4()};
  for (const unsigned threads : {1u, 2u}) {
    options.threads = threads;
    const auto taken = dns::Server::start(options, slot);
    ASSERT_FALSE(taken.has_value());
    EXPECT_EQ(taken.error().code, ErrorCode::io);
    EXPECT_NE(taken.error().message.find(running.v4()), std::string::npos);
  }
  const auto rejects = [&slot](dns::ServerOptions wrong) {
    const auto started = dns::Server::start(wrong, slot);
    return !started && started.error().code == ErrorCode::invalid_argument;
  };
  EXPECT_TRUE(rejects({.listen = {}}));
  EXPECT_TRUE(rejects({.listen = {"localhost:53"}}));
  EXPECT_TRUE(rejects({.listen = {"127.0.0.1:0"}, .threads = 0}));
  EXPECT_TRUE(rejects({.listen = {"127.0.0.1:0"}, .idle_timeout = Milliseconds(0)}));
  EXPECT_TRUE(rejects({.listen = {"127.0.0.1:0"}, .pipeline_max = 0}));
  EXPECT_TRUE(rejects({.listen = {"127.0.0.1:0"}, .input_bytes_max = 10}));
}

}  // namespace
}  // namespace merlon::tests
