// SPDX-License-Identifier: Apache-2.0
// What goes into replies besides records: cookies, the reply's sum, and how large replies may get.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/support/packet_rows.h"
#include "tests/support/seed.h"
#include "tests/support/snapshot_fixture.h"
#include "zones/answer/answer.h"
#include "zones/wire/wire.h"

namespace merlon::answer {
namespace {

using Buffer = std::vector<uint8_t>;

constexpr std::array<uint8_t, kServerCookieSize> kServerCookie = {
    1, 0, 0, 0, 0x5c, 0, 0, 1, 0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7};
constexpr std::string_view kServerCookieHex = "010000005c000001a0a1a2a3a4a5a6a7";

const tests::Fixture& fixture() {
  static const tests::Fixture shared = tests::make_fixture();
  return shared;
}

struct Composed {
  Query query;
  Reply reply;
  Buffer message;
  Buffer scratch = Buffer(wire::kMessageSizeMax);
};

// As who checks cookies does it: the server's goes back with every client's.
Composed ask(const Buffer& message, const snapshot::Subject* subject, const Limits& limits) {
  Composed composed;
  Query& query = composed.query;
  Outcome outcome{};
  const Parse parse = parse_query(message, query, outcome);
  query.server_cookie = query.cookie_size != 0 ? kServerCookie.data() : nullptr;
  if (parse == Parse::decided && is_drop(outcome)) {
    composed.reply = reply_without_lookup(outcome);
  } else if (!settled_by_access(subject, composed.reply)) {
    if (parse == Parse::decided) {
      composed.reply = reply_without_lookup(query, outcome, limits);
    } else {
      Lookup lookup;
      find_zone(*fixture().snapshot, query, lookup);
      find_node(query, lookup);
      decide(query, lookup, subject, limits, composed.scratch, composed.reply);
    }
  }
  composed.message = message;
  composed.message.resize(wire::kMessageSizeMax);
  composed.message.resize(compose(query, composed.reply, limits, composed.message, message.size()));
  return composed;
}

std::string options_of(const Buffer& reply, size_t size) {
  return to_hex(Bytes(reply).last(size + 2));
}

Buffer query_with_options(std::string_view name, std::string_view options) {
  return tests::make_query({.name = name, .edns = true, .options = tests::from_hex_text(options)});
}

TEST(Compose, CookieGoesBackWithTheClientsPart) {
  const snapshot::Subject* subject = fixture().subject("192.0.2.10");
  const Composed answered =
      ask(query_with_options("tiny.merlon.internal.", "000a 0008 c1c2c3c4c5c6c7c8"), subject, {});
  EXPECT_EQ(to_string(answered.reply.outcome), "answered");
  EXPECT_EQ(options_of(answered.message, 28),
            "001c000a0018c1c2c3c4c5c6c7c8" + std::string(kServerCookieHex));
  const Composed none = ask(tests::make_query({.edns = true}), subject, {});
  EXPECT_EQ(options_of(none.message, 0), "0000");
}

TEST(Compose, OptionsStandInTheirOrder) {
  const Limits limits{.identity = &tests::row_identity()};
  const Composed refused =
      ask(query_with_options("www.example.com.", "000a 0008 c1c2c3c4c5c6c7c8 0003 0000"),
          fixture().subject("192.0.2.10"), limits);
  EXPECT_EQ(options_of(refused.message, 7 + 28 + 6),
            "002900030003"
            "6e7331"
            "000a0018c1c2c3c4c5c6c7c8" +
                std::string(kServerCookieHex) + "000f00020014");
}

TEST(Compose, BadCookieIsAnExtendedRcodeAndCarriesTheNewCookie) {
  const Buffer message = query_with_options("tiny.merlon.internal.", "000a 0008 c1c2c3c4c5c6c7c8");
  Composed composed = ask(message, fixture().subject("192.0.2.10"), {});
  Reply reply = reply_without_lookup(Outcome::badcookie);
  Buffer buffer = message;
  buffer.resize(512);
  buffer.resize(compose(composed.query, reply, {}, buffer, message.size()));
  // 23 is 1 in the OPT record and 7 in the header.
  EXPECT_EQ(to_hex(Bytes(buffer).first(12)), "123481070001000000000001");
  EXPECT_EQ(to_hex(Bytes(buffer).subspan(composed.query.question_end)),
            "00002904d001000000001c000a0018c1c2c3c4c5c6c7c8" + std::string(kServerCookieHex));
}

TEST(Compose, SlipIsAnEmptyTruncatedAnswer) {
  const Buffer message = tests::make_query({.name = "tiny.merlon.internal."});
  Composed composed = ask(message, fixture().subject("192.0.2.10"), {});
  Reply reply = reply_without_lookup(Outcome::limited_slip);
  Buffer buffer = message;
  EXPECT_EQ(compose(composed.query, reply, {}, buffer, message.size()), message.size());
  EXPECT_EQ(to_hex(Bytes(buffer).first(12)), "123483000001000000000000");
}

TEST(Compose, WhatIsRelayedOrDroppedGetsNoReply) {
  const Buffer message = tests::make_query({});
  Composed composed = ask(message, fixture().subject("192.0.2.10"), {});
  for (const Outcome outcome : {Outcome::relayed, Outcome::drop_rate_limited}) {
    Reply reply = reply_without_lookup(outcome);
    Buffer buffer = message;
    EXPECT_EQ(compose(composed.query, reply, {}, buffer, message.size()), 0u);
    EXPECT_EQ(buffer, message);
    EXPECT_EQ(reply.outcome, outcome);
  }
}

// A cookie takes its 28 bytes of what the client allows.
TEST(Compose, CookieCountsForTruncation) {
  const snapshot::Subject* subject = fixture().subject("192.0.2.10");
  for (const uint16_t payload : std::initializer_list<uint16_t>{1260, 1259}) {
    const Composed composed =
        ask(tests::make_query({.name = "fit.merlon.internal.",
                               .edns = true,
                               .payload = payload,
                               .options = tests::from_hex_text("000a 0008 c1c2c3c4c5c6c7c8")}),
            subject, {.udp_size_max = 1400});
    EXPECT_EQ(to_string(composed.reply.outcome), payload == 1260 ? "answered" : "truncated");
    EXPECT_EQ(composed.message.size(), payload == 1260 ? 1260u : 12 + 21 + 4 + 11 + 28);
  }
}

TEST(Identity, LongestTexts) {
  const std::string name(Identity::kTextSizeMax, 'n');
  const std::string version(Identity::kTextSizeMax, 'v');
  const Identity identity(name, version);
  const Limits limits{.identity = &identity};
  const Limits over_tcp{
      .transport = answer::Transport::tcp, .identity = &identity, .keepalive = 100};
  const snapshot::Subject* subject = fixture().subject("192.0.2.10");
  const Composed all =
      ask(query_with_options("www.example.com.", "0003 0000 000b 0000 000a 0008 c1c2c3c4c5c6c7c8"),
          subject, over_tcp);
  EXPECT_EQ(all.message.size() - all.query.question_end, kOptSizeMax);
  const Composed chaos =
      ask(tests::make_query({.name = "version.bind.", .type = 16, .qclass = 3}), subject, limits);
  EXPECT_EQ(as_text(Bytes(chaos.message).last(64)), version);
  EXPECT_EQ(load_be16(chaos.message.data() + chaos.query.question_end + 10), 65);
}

TEST(Identity, EachTextMayBeMissing) {
  const snapshot::Subject* subject = fixture().subject("192.0.2.10");
  const Identity only_name("ns1", "");
  const Identity only_version("", "m2");
  const auto outcome = [&](const char* name, const Identity& identity) {
    return std::string(to_string(ask(tests::make_query({.name = name, .type = 16, .qclass = 3}),
                                     subject, {.identity = &identity})
                                     .reply.outcome));
  };
  EXPECT_EQ(outcome("id.server.", only_name), "answered_chaos");
  EXPECT_EQ(outcome("version.bind.", only_name), "refused_class");
  EXPECT_EQ(outcome("hostname.bind.", only_version), "refused_class");
  EXPECT_EQ(outcome("version.server.", only_version), "answered_chaos");
  const Composed nsid = ask(query_with_options("tiny.merlon.internal.", "0003 0000"), subject,
                            {.identity = &only_version});
  EXPECT_EQ(options_of(nsid.message, 0), "0000");
}

// RFC 1071 as it is written.
uint16_t plain_sum(Bytes bytes) {
  uint64_t sum = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    sum += uint64_t{bytes[i]} << (i % 2 == 0 ? 8 : 0);
  }
  while (sum > 0xffff) {
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return static_cast<uint16_t>(sum);
}

std::vector<std::pair<tests::PacketRow, Limits>> all_rows() {
  std::vector<std::pair<tests::PacketRow, Limits>> rows;
  for (const tests::PacketRow& row : tests::packet_rows()) {
    rows.push_back({row, {.transport = row.transport}});
  }
  for (const tests::PacketRow& row : tests::identity_rows()) {
    rows.push_back({row, {.transport = row.transport, .identity = &tests::row_identity()}});
  }
  return rows;
}

TEST(SumOfReply, IsThePlainSumOfEveryRow) {
  size_t walked = 0;
  for (auto& [row, limits] : all_rows()) {
    for (const Transport transport : {Transport::udp, Transport::tcp}) {
      limits.transport = transport;
      const Composed composed = ask(row.query, fixture().subject(row.source), limits);
      EXPECT_EQ(sum_of_reply(composed.query, composed.reply, composed.message),
                plain_sum(composed.message))
          << row.description;
      walked += composed.message.empty() ? 0u : 1u;
    }
  }
  EXPECT_GT(walked, 100u);
}

TEST(SumOfReply, IsThePlainSumWithRandomBodies) {
  std::mt19937_64 random(test::seed_for("SumOfReply"));
  Buffer buffer(wire::kMessageSizeMax);
  for (int round = 0; round < 3000; ++round) {
    const std::string name = std::string(1 + random() % 63, 'x') + ".merlon.internal.";
    const Buffer message = random() % 2 == 0
                               ? tests::make_query({.name = name})
                               : query_with_options(name, "000a 0008 c1c2c3c4c5c6c7c8");
    Query query;
    Outcome outcome{};
    ASSERT_EQ(parse_query(message, query, outcome), Parse::good);
    query.server_cookie = query.cookie_size != 0 ? kServerCookie.data() : nullptr;
    Buffer body(random() % 3000);
    std::ranges::generate(body, [&] { return static_cast<uint8_t>(random()); });
    std::vector<uint16_t> pointers;
    for (size_t at = random() % 200; at + 2 <= body.size(); at += 2 + random() % 500) {
      pointers.push_back(static_cast<uint16_t>(at));
      body[at] = body[at + 1] = 0;
    }
    Reply reply = reply_without_lookup(Outcome::answered);
    reply.pointer = static_cast<uint16_t>(random());
    reply.body = {.data = body.data(),
                  .pointers = pointers.data(),
                  .size = static_cast<uint32_t>(body.size()),
                  .answer_count = static_cast<uint16_t>(random()),
                  .authority_count = static_cast<uint16_t>(random()),
                  .additional_count = 0,
                  .pointer_count = static_cast<uint16_t>(pointers.size()),
                  .checksum = plain_sum(body)};
    std::ranges::copy(message, buffer.begin());
    const size_t size = compose(query, reply, {}, buffer, message.size());
    const Bytes composed = Bytes(buffer).first(size);
    ASSERT_EQ(size, query.question_end + body.size() + (query.has_edns ? 11u + 28u : 0u));
    // The body itself, places patched.
    for (const uint16_t at : pointers) {
      store_be16(body.data() + at, reply.pointer);
    }
    ASSERT_TRUE(std::ranges::equal(composed.subspan(query.question_end, body.size()), body));
    ASSERT_EQ(sum_of_reply(query, reply, composed), plain_sum(composed)) << body.size();
  }
}

// The documented bounds of answer.h, over every row and every prefix of every row.
TEST(Amplification, StrangersGainAtMostAFewBytes) {
  double most = 0;
  for (const auto& [row, limits] : all_rows()) {
    for (size_t size = 0; size <= row.query.size(); ++size) {
      const Buffer query(row.query.begin(), row.query.begin() + static_cast<ptrdiff_t>(size));
      Limits udp = limits;
      udp.transport = Transport::udp;
      udp.identity = &tests::row_identity();
      const Composed composed = ask(query, nullptr, udp);
      ASSERT_LE(composed.message.size(), query.size() + kStrangerGain) << row.description;
      if (size != 0) {
        most = std::max(most,
                        static_cast<double>(composed.message.size()) / static_cast<double>(size));
      }
    }
  }
  EXPECT_LT(most, 1.6);
  EXPECT_GT(most, 1.2);  // the rows do come near the bound
}

TEST(Amplification, RegisteredSourcesGetNoMoreThanTheLimits) {
  double most = 0;
  auto rows = all_rows();
  rows.push_back({{.description = "the largest answer over UDP",
                   .query = tests::make_query({.name = "fit.merlon.internal.", .edns = true}),
                   .reply = {}},
                  {}});
  for (const auto& [row, limits] : rows) {
    for (const char* source : {"192.0.2.10", "198.51.100.1", "203.0.113.1", "10.0.0.1"}) {
      Limits udp = limits;
      udp.transport = Transport::udp;
      const Composed composed = ask(row.query, fixture().subject(source), udp);
      ASSERT_LE(composed.message.size(), composed.query.has_edns ? udp.udp_size_max : 512u)
          << row.description;
      if (!composed.message.empty()) {
        most = std::max(most, static_cast<double>(composed.message.size()) /
                                  static_cast<double>(row.query.size()));
      }
    }
  }
  EXPECT_LE(most, 1232.0 / 28);
  EXPECT_GT(most, 10);
}

}  // namespace
}  // namespace merlon::answer
