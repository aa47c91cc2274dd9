// SPDX-License-Identifier: Apache-2.0
// The forwarder against upstreams that answer, lie, spoof, truncate and keep silent.
#include "controlplane/forward/forwarder.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/controlplane/forward/rig.h"

namespace merlon::forward {
namespace {

using tests::FakeUpstream;
using Messages = FakeUpstream::Messages;
using Over = FakeUpstream::Over;

TEST(Forwarder, AnswersWithTheClientsIdAndLetters) {
  FakeUpstream upstream(say_a({192, 0, 2, 5}));
  Rig rig({&upstream});
  const Got got = rig.ask({.name = "WwW.ExAmPlE.", .id = 0x4242});
  EXPECT_EQ(got.parsed.flags, 0x8180);
  EXPECT_EQ(got.answer(), std::vector<std::string>{"www.example. A 192.0.2.5"});
  EXPECT_EQ(as_text(Bytes(got.message).subspan(13, 3)), "WwW");
  EXPECT_EQ(got.ede, UINT16_MAX);
}

TEST(Forwarder, SecondQuestionIsAnsweredFromTheCache) {
  FakeUpstream upstream(say_a({192, 0, 2, 5}));
  Rig rig({&upstream});
  rig.ask({});
  const Got got = rig.ask({.name = "WWW.example."});
  EXPECT_EQ(got.answer().size(), 1u);
  EXPECT_EQ(upstream.query_count(), 1u);
  EXPECT_EQ(rig.count("cache_hits"), 1u);
  rig.ask({.dnssec_ok = true});  // another question
  EXPECT_EQ(upstream.query_count(), 2u);
}

TEST(Forwarder, QueriesAreUnpredictable) {
  FakeUpstream upstream(say_a({192, 0, 2, 5}));
  Rig rig({&upstream});
  for (int i = 0; i < 60; ++i) {
    rig.ask({.name = "host" + std::to_string(i) + ".some.long.domain.example."});
  }
  const auto ports = upstream.ports();
  EXPECT_GT(std::set<uint16_t>(ports.begin(), ports.end()).size(), 25u);
  std::set<uint16_t> ids;
  size_t upper = 0;
  for (const auto& query : upstream.queries()) {
    ids.insert(load_be16(query.data()));
    upper += static_cast<size_t>(std::count_if(query.begin() + 13, query.end() - 20,
                                               [](uint8_t c) { return c >= 'A' && c <= 'Z'; }));
  }
  EXPECT_GT(ids.size(), 55u);
  EXPECT_GT(upper, 300u);  // of about 1500 letters
}

TEST(Forwarder, EqualQuestionsAreAskedOnce) {
  FakeUpstream upstream([](Bytes query, Over over) {
    std::this_thread::sleep_for(std::chrono::milliseconds(80));
    return say_a({192, 0, 2, 5})(query, over);
  });
  Rig rig({&upstream});
  std::vector<std::future<std::vector<uint8_t>>> waiting;
  for (int i = 0; i < 50; ++i) {
    waiting.push_back(rig.start({}));
  }
  for (auto& each : waiting) {
    EXPECT_FALSE(each.get().empty());
  }
  EXPECT_EQ(upstream.query_count(), 1u);
  EXPECT_EQ(rig.count("joined") + rig.count("cache_hits"), 49u);
}

TEST(Forwarder, SpoofedAnswersAreNotTaken) {
  FakeUpstream upstream([](Bytes query, Over over) {
    Messages messages;
    const auto bad = say_a({6, 6, 6, 6})(query, over).front();
    for (int i = 1; i <= 5; ++i) {  // wrong id
      messages.push_back(bad);
      messages.back()[1] = static_cast<uint8_t>(messages.back()[1] + i);
    }
    messages.push_back(bad);  // another name
    messages.back()[13] ^= 1;
    messages.push_back(bad);  // another type
    messages.back()[bad.size() > 40 ? 12 + 13 + 1 : 0] ^= 2;
    messages.push_back(bad);  // a question, not an answer
    messages.back()[2] &= 0x7f;
    messages.emplace_back(3, uint8_t{0});
    messages.push_back(say_a({192, 0, 2, 5})(query, over).front());
    return messages;
  });
  Rig rig({&upstream});
  EXPECT_EQ(rig.ask({}).answer(), std::vector<std::string>{"www.example. A 192.0.2.5"});
  EXPECT_GE(rig.count("strays"), 5u);
  EXPECT_GE(rig.count("wrong_answers"), 2u);
}

TEST(Forwarder, OtherLettersAreAskedAgainOverTcp) {
  FakeUpstream upstream([](Bytes query, Over over) {
    auto message = say_a({over == Over::tcp ? uint8_t{192} : uint8_t{6}, 0, 2, 5})(query, over);
    if (over == Over::udp) {
      for (size_t i = 13; i < 24; ++i) {  // folded: as an attacker who cannot see the query
        if (message[0][i] >= 'A' && message[0][i] <= 'Z') {
          message[0][i] = static_cast<uint8_t>(message[0][i] | 0x20);
        }
      }
    }
    return message;
  });
  Rig rig({&upstream});
  EXPECT_EQ(rig.ask({.name = "abcdefghijkl.example."}).answer(),
            std::vector<std::string>{"abcdefghijkl.example. A 192.0.2.5"});
  EXPECT_EQ(rig.count("over_stream"), 1u);
}

TEST(Forwarder, TruncatedAnswersAreFetchedOverTcpAndFitTheClient) {
  FakeUpstream upstream([](Bytes query, Over over) {
    if (over == Over::udp) {
      return Messages{tests::make_fake_reply(query, {.flags = 0x8380})};
    }
    tests::FakeReply reply;
    for (uint8_t i = 0; i < 200; ++i) {
      reply.records.push_back({tests::question_name(query), 1, {203, 0, 113, i}});
    }
    return Messages{tests::make_fake_reply(query, reply)};
  });
  Rig rig({&upstream});
  const Got over_udp = rig.ask({});
  EXPECT_TRUE(over_udp.parsed.truncated());
  EXPECT_TRUE(over_udp.parsed.answer.empty());
  const Got over_tcp = rig.ask({.transport = answer::Transport::tcp});
  EXPECT_EQ(over_tcp.parsed.answer.size(), 200u);
  EXPECT_LT(over_tcp.message.size(), 200u * 17 + 60);  // owners are compressed
}

TEST(Forwarder, RecordsThatDoNotBelongToTheQuestionAreLeftOut) {
  FakeUpstream upstream([](Bytes query, Over) {
    const std::string name = tests::question_name(query);
    return Messages{tests::make_fake_reply(
        query, {.records = {{name, 5, tests::wire_name("target.example.")},
                            {"bank.example.", 1, {6, 6, 6, 6}},
                            {"target.example.", 1, {192, 0, 2, 9}},
                            {"example.", 2, tests::wire_name("ns.evil.example."), 300, 1},
                            {"bank.example.", 1, {6, 6, 6, 6}, 300, 2}}})};
  });
  Rig rig({&upstream});
  const Got got = rig.ask({});
  EXPECT_EQ(got.answer(), (std::vector<std::string>{"www.example. CNAME target.example.",
                                                    "target.example. A 192.0.2.9"}));
  EXPECT_TRUE(got.parsed.authority.empty());
  EXPECT_TRUE(got.parsed.additional.empty());
  rig.ask({.name = "bank.example."});
  EXPECT_EQ(upstream.count_of("bank.example."), 1u);  // nothing of it was kept
}

TEST(Forwarder, GarbageFromOneUpstreamIsAnsweredByTheNext) {
  FakeUpstream liar([](Bytes query, Over over) {
    auto message = say_a({6, 6, 6, 6})(query, over);
    message[0].resize(message[0].size() - 3);
    return message;
  });
  FakeUpstream looper([](Bytes query, Over) {
    const std::string name = tests::question_name(query);
    return Messages{
        tests::make_fake_reply(query, {.records = {{name, 5, tests::wire_name("x.example.")},
                                                   {"x.example.", 5, tests::wire_name(name)}}})};
  });
  FakeUpstream honest(say_a({192, 0, 2, 5}));
  Rig rig({&liar, &looper, &honest});
  for (int i = 0; i < 5; ++i) {
    const std::string name = "h" + std::to_string(i) + ".example.";
    EXPECT_EQ(rig.ask({.name = name}).answer(), std::vector<std::string>{name + " A 192.0.2.5"});
  }
}

TEST(Forwarder, ASilentUpstreamGoesDownAndComesBack) {
  FakeUpstream first(silence);
  FakeUpstream second(say_a({192, 0, 2, 5}));
  Rig rig({&first, &second}, {.failures_to_down = 2, .probe_every = Options::Milliseconds(100)});
  // Once it was slow it is chosen seldom: how many questions that takes depends on the machine.
  const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  for (int i = 0;
       std::chrono::steady_clock::now() < patience && rig.forwarder().report().upstreams[0].is_up;
       ++i) {
    EXPECT_EQ(rig.ask({.name = "h" + std::to_string(i) + ".example."}).answer().size(), 1u);
  }
  ASSERT_FALSE(rig.forwarder().report().upstreams[0].is_up);
  EXPECT_EQ(rig.forwarder().report().upstreams[0].went_down, 1u);
  first.set_handler([](Bytes query, Over) {
    return Messages{tests::make_fake_reply(query, {.records = {tests::fake_soa(".")}})};
  });
  for (int i = 0; i < 100 && !rig.forwarder().report().upstreams[0].is_up; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  EXPECT_TRUE(rig.forwarder().report().upstreams[0].is_up);
}

TEST(Forwarder, ServfailWhenNobodyAnswers) {
  FakeUpstream upstream(silence);
  Rig rig({&upstream}, {.timeout = Options::Milliseconds(300)});
  const Got got = rig.ask({});
  EXPECT_EQ(got.parsed.rcode(), 2);
  EXPECT_EQ(got.ede, kEdeNetworkError);
  EXPECT_EQ(rig.count("servfail"), 1u);
}

TEST(Forwarder, WithoutUpstreamsEverythingIsRefused) {
  Rig rig({});
  EXPECT_EQ(rig.ask({}).parsed.rcode(), 5);
}

TEST(Forwarder, ExpiredAnswersAreGivenWhenNobodyAnswers) {
  FakeUpstream upstream(say_a({192, 0, 2, 5}, 1));
  Rig rig({&upstream},
          {.timeout = Options::Milliseconds(900), .stale_after = Options::Milliseconds(150)});
  rig.ask({});
  upstream.set_handler(silence);
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  const auto before = std::chrono::steady_clock::now();
  const Got got = rig.ask({});
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::milliseconds(700));
  EXPECT_EQ(got.answer(), std::vector<std::string>{"www.example. A 192.0.2.5"});
  EXPECT_EQ(got.parsed.answer[0].ttl, 30u);
  EXPECT_EQ(got.ede, kEdeStaleAnswer);
}

TEST(Forwarder, NegativeAnswersAreKeptForTheirMinimum) {
  FakeUpstream upstream([](Bytes query, Over) {
    return Messages{
        tests::make_fake_reply(query, {.flags = 0x8183, .records = {tests::fake_soa("example.")}})};
  });
  Rig rig({&upstream});
  for (int i = 0; i < 3; ++i) {
    const Got got = rig.ask({});
    EXPECT_EQ(got.parsed.rcode(), 3);
    ASSERT_EQ(got.parsed.authority.size(), 1u);
    EXPECT_LE(got.parsed.authority[0].ttl, 60u);
  }
  EXPECT_EQ(upstream.query_count(), 1u);
}

TEST(Forwarder, WhatWaitsIsBounded) {
  FakeUpstream upstream(silence);
  Rig rig({&upstream}, {.outstanding_max = 20,
                        .outstanding_per_source_max = 5,
                        .timeout = Options::Milliseconds(600)});
  std::vector<std::future<std::vector<uint8_t>>> waiting;
  for (uint32_t i = 0; i < 40; ++i) {
    waiting.push_back(
        rig.start({.name = "h" + std::to_string(i) + ".example.", .source = 0x0A000000 + i % 3}));
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  for (auto& each : waiting) {
    EXPECT_EQ(each.get()[3] & 15, 2);
  }
  EXPECT_EQ(rig.count("limited_source"), 25u);
  upstream.set_handler(say_a({192, 0, 2, 5}));
  EXPECT_EQ(rig.ask({.name = "after.example."}).answer().size(), 1u);
  EXPECT_EQ(rig.forwarder().report().outstanding, 0u);
}

TEST(Forwarder, StopsWithQueriesThatWait) {
  FakeUpstream upstream(silence);
  Rig rig({&upstream});
  auto waiting = rig.start({});
  rig.stop();
  EXPECT_TRUE(waiting.get().empty());
}

TEST(Forwarder, PrivateNamesStayHere) {
  FakeUpstream upstream(say_a({6, 6, 6, 6}));
  Rig rig({&upstream});
  EXPECT_EQ(rig.ask({.name = "localhost."}).answer(),
            std::vector<std::string>{"localhost. A 127.0.0.1"});
  EXPECT_EQ(rig.ask({.name = "1.2.3.10.in-addr.arpa.", .type = 12}).parsed.rcode(), 3);
  EXPECT_EQ(rig.ask({.name = "printer.local."}).parsed.rcode(), 3);
  EXPECT_EQ(upstream.query_count(), 0u);
}

}  // namespace
}  // namespace merlon::forward
