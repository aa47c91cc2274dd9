// SPDX-License-Identifier: Apache-2.0
#include "zones/answer/answer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/support/packet_rows.h"
#include "tests/support/snapshot_fixture.h"
#include "zones/address/address.h"
#include "zones/wire/wire.h"

namespace merlon::answer {
namespace {

using tests::Fixture;
using tests::PacketRow;
using Buffer = std::vector<uint8_t>;

const Fixture& fixture() {
  static const Fixture shared = tests::make_fixture();
  return shared;
}

struct Answered {
  Outcome outcome = Outcome::count_;
  Buffer reply;
};

Answered ask(const Buffer& query_bytes, const snapshot::Subject* subject, const Limits& limits,
             size_t room = wire::kMessageSizeMax) {
  Query query;
  Buffer scratch(wire::kMessageSizeMax);
  Reply reply = answer(*fixture().snapshot, query_bytes, subject, limits, query, scratch);
  Buffer buffer = query_bytes;
  buffer.resize(std::max(room, query_bytes.size()), 0xEE);
  const size_t size =
      compose(query, reply, limits, MutableBytes(buffer).first(room), query_bytes.size());
  buffer.resize(size);
  return {reply.outcome, buffer};
}

// The stages one by one, and the reply gathered from its parts.
Answered ask_in_stages(const Buffer& query_bytes, const snapshot::Subject* subject,
                       const Limits& limits) {
  Query query;
  Outcome outcome = Outcome::count_;
  Reply reply;
  Buffer scratch(wire::kMessageSizeMax);
  const Parse parse = parse_query(query_bytes, query, outcome);
  query.subject_flags = recursion_available(subject);
  if (parse == Parse::decided && (is_drop(outcome) || !settled_by_access(subject, reply))) {
    reply = is_drop(outcome) ? reply_without_lookup(outcome)
                             : reply_without_lookup(query, outcome, limits);
  } else if (parse == Parse::good) {
    Lookup lookup;
    find_zone(*fixture().snapshot, query, lookup);
    find_node(query, lookup);
    decide(query, lookup, subject, limits, scratch, reply);
  }
  Buffer head = query_bytes;
  head.resize(wire::kHeaderSize + 259 + 2048);
  std::array<uint8_t, kOptSizeMax> tail{};
  const Gathered gathered = compose_gathered(query, reply, limits, head, tail);
  head.resize(gathered.head_size);
  head.insert(head.end(), gathered.body.begin(), gathered.body.end());
  head.insert(head.end(), tail.begin(), tail.begin() + gathered.tail_size);
  return {reply.outcome, head};
}

// Walks the reply as a client would: counts hold, and nothing is left.
void expect_parses(const Buffer& reply) {
  wire::Reader reader(reply);
  reader.skip(4);
  std::array<unsigned, 4> counts;
  for (unsigned& count : counts) {
    count = reader.u16();
  }
  ASSERT_LE(counts[0], 1u);
  for (unsigned i = 0; i < counts[0]; ++i) {
    reader.name();
    reader.skip(4);
  }
  for (unsigned i = 0; i < counts[1] + counts[2] + counts[3]; ++i) {
    reader.name();
    reader.skip(8);
    reader.skip(reader.u16());
  }
  EXPECT_TRUE(reader.ok());
  EXPECT_EQ(reader.remaining(), 0u);
}

// With what the rows are asked.
struct AskedRow {
  PacketRow row;
  Limits limits;
};

std::vector<AskedRow> all_rows() {
  std::vector<AskedRow> asked;
  for (const PacketRow& row : tests::packet_rows()) {
    asked.push_back({row, {.transport = row.transport}});
  }
  for (const PacketRow& row : tests::identity_rows()) {
    asked.push_back({row, {.transport = row.transport, .identity = &tests::row_identity()}});
  }
  return asked;
}

TEST(Answer, EveryPacketRowGivesItsBytes) {
  for (const auto& [row, limits] : all_rows()) {
    SCOPED_TRACE(row.description);
    const snapshot::Subject* subject = fixture().subject(row.source);
    const Answered answered = ask(row.query, subject, limits, row.room);
    EXPECT_EQ(to_string(answered.outcome), to_string(row.outcome));
    EXPECT_EQ(to_hex(answered.reply), to_hex(tests::expected_reply(row)));
    if (!answered.reply.empty()) {
      expect_parses(answered.reply);
    }
    if (row.room == wire::kMessageSizeMax) {
      const Answered staged = ask_in_stages(row.query, subject, limits);
      EXPECT_EQ(to_string(staged.outcome), to_string(row.outcome));
      EXPECT_EQ(to_hex(staged.reply), to_hex(answered.reply));
    }
  }
}

TEST(Answer, EveryOutcomeHasARowANameAndAnExplanation) {
  // What takes more than one packet, or a slow path, is the burst pipeline's; its tests meet it.
  std::set<Outcome> seen{Outcome::limited_slip, Outcome::badcookie, Outcome::drop_rate_limited,
                         Outcome::relayed};
  for (const auto& [row, limits] : all_rows()) {
    seen.insert(ask(row.query, fixture().subject(row.source), limits, row.room).outcome);
  }
  std::set<std::string_view> names;
  for (size_t i = 0; i < kOutcomeCount; ++i) {
    const Outcome outcome{static_cast<uint8_t>(i)};
    EXPECT_TRUE(seen.contains(outcome)) << "no packet row ends in " << to_string(outcome);
    EXPECT_FALSE(explain(outcome).empty());
    EXPECT_EQ(is_reply(outcome) + is_drop(outcome) + (outcome == Outcome::relayed), 1);
    names.insert(to_string(outcome));
  }
  EXPECT_EQ(names.size(), kOutcomeCount);
}

TEST(Answer, RowsAreDescribedOnce) {
  std::set<std::string> descriptions;
  for (const auto& [row, limits] : all_rows()) {
    EXPECT_TRUE(descriptions.insert(row.description).second) << row.description;
  }
}

Buffer list_reply(const Buffer& query, size_t count, uint32_t (*address)(size_t)) {
  Buffer reply = query;
  reply[2] = 0x85;
  reply[6] = static_cast<uint8_t>(count >> 8);
  reply[7] = static_cast<uint8_t>(count);
  for (size_t i = 0; i < count; ++i) {
    const Buffer fixed = tests::from_hex_text("c00c 0001 0001 0000012c 0004");
    reply.insert(reply.end(), fixed.begin(), fixed.end());
    reply.resize(reply.size() + 4);
    address::store_network(address(i), reply.data() + reply.size() - 4);
  }
  return reply;
}

TEST(Answer, TcpCarries4000Records) {
  const Buffer query = tests::make_query({.name = "basic.merlon.internal."});
  const Limits tcp{.transport = Transport::tcp};
  const snapshot::Subject* subject = fixture().subject("192.0.2.10");
  const Answered answered = ask(query, subject, tcp);
  EXPECT_EQ(to_string(answered.outcome), "answered");
  EXPECT_EQ(answered.reply, list_reply(query, 4000, tests::basic_address));
  EXPECT_EQ(ask_in_stages(query, subject, tcp).reply, answered.reply);
  expect_parses(answered.reply);

  const Buffer with_edns = tests::make_query({.name = "basic.merlon.internal.", .edns = true});
  const Answered edns = ask(with_edns, subject, tcp);
  EXPECT_EQ(edns.reply.size(), answered.reply.size() + 11);
  expect_parses(edns.reply);
}

TEST(Answer, ReachesTheUdpLimitExactly) {
  const snapshot::Subject* subject = fixture().subject("192.0.2.10");
  const Answered plain =
      ask(tests::make_query({.name = "reaches-512-ok.merlon.internal."}), subject, {});
  EXPECT_EQ(to_string(plain.outcome), "answered");
  EXPECT_EQ(plain.reply.size(), 512u);
  for (const uint16_t payload : std::initializer_list<uint16_t>{1232, 4096, 65535}) {
    const Answered edns =
        ask(tests::make_query({.name = "fit.merlon.internal.", .edns = true, .payload = payload}),
            subject, {});
    EXPECT_EQ(to_string(edns.outcome), "answered") << payload;
    EXPECT_EQ(edns.reply.size(), 1232u);
    expect_parses(edns.reply);
  }
}

TEST(Answer, ServerLimitCapsAndIsAnnounced) {
  const snapshot::Subject* subject = fixture().subject("192.0.2.10");
  const Buffer query =
      tests::make_query({.name = "over.merlon.internal.", .edns = true, .payload = 4096});
  const Answered larger = ask(query, subject, {.udp_size_max = 4096});
  EXPECT_EQ(to_string(larger.outcome), "answered");
  EXPECT_EQ(larger.reply.size(), 1233u);
  EXPECT_EQ(load_be16(larger.reply.data() + larger.reply.size() - 8), 4096);
  EXPECT_EQ(to_string(ask(query, subject, {.udp_size_max = 1232}).outcome), "truncated");
}

TEST(Answer, RoomOfExactlyTheReplySuffices) {
  const Buffer query = tests::make_query({.name = "tiny.merlon.internal.", .edns = true});
  const snapshot::Subject* subject = fixture().subject("192.0.2.10");
  const size_t size = ask(query, subject, {}).reply.size();
  EXPECT_EQ(ask(query, subject, {}, size).reply.size(), size);
  EXPECT_EQ(to_string(ask(query, subject, {}, size - 1).outcome), "drop_no_room");
  EXPECT_TRUE(ask(query, subject, {}, size - 1).reply.empty());
}

TEST(Answer, GatheredBodyWithoutRoomIsDropped) {
  const Buffer query_bytes = tests::make_query({.name = "gone.merlon.internal."});
  Query query;
  Reply reply =
      answer(*fixture().snapshot, query_bytes, fixture().subject("192.0.2.10"), {}, query);
  Buffer head = query_bytes;
  std::array<uint8_t, kOptSizeMax> tail{};
  const Gathered gathered = compose_gathered(query, reply, {}, head, tail);
  EXPECT_EQ(to_string(reply.outcome), "drop_no_room");
  EXPECT_EQ(gathered.head_size + gathered.body.size() + gathered.tail_size, 0u);
}

// An account that exists and one that does not have names of one length, so the replies must be
// the same but for the question.
TEST(Answer, AnotherAccountsZoneLooksLikeNone) {
  for (const char* source : {"198.51.100.1", "203.0.113.1", "203.0.113.2", "203.0.113.3",
                             "10.0.0.1", "8.8.8.8", "2001:db8:9::1"}) {
    for (const std::string below : {"", "block.", "basic.", "gone.", "a.b.", "_x.block."}) {
      for (const uint16_t type : std::initializer_list<uint16_t>{1, 6, 16, 28, 252, 255}) {
        for (const Transport transport : {Transport::udp, Transport::tcp}) {
          SCOPED_TRACE(source + (" " + below) + std::to_string(type));
          const std::string real = below + "acme.merlon.internal.";
          const std::string none = below + "nope.merlon.internal.";
          const snapshot::Subject* subject = fixture().subject(source);
          const Limits limits{.transport = transport};
          const Answered a =
              ask(tests::make_query({.name = real, .type = type, .edns = true}), subject, limits);
          Answered b =
              ask(tests::make_query({.name = none, .type = type, .edns = true}), subject, limits);
          EXPECT_EQ(to_string(a.outcome), to_string(b.outcome));
          const std::string nope = "nope";
          const auto at = std::search(b.reply.begin(), b.reply.end(), nope.begin(), nope.end());
          ASSERT_NE(at, b.reply.end());
          std::copy_n("acme", 4, at);
          EXPECT_EQ(to_hex(a.reply), to_hex(b.reply));
          EXPECT_NE(to_string(a.outcome), "answered");
        }
      }
    }
  }
}

TEST(Answer, OwnerSeesItsZoneFromEverySource) {
  for (const char* source : {"192.0.2.10", "192.0.2.77", "127.0.0.1", "2001:db8:7::1", "::1"}) {
    const Answered answered = ask(tests::make_query({.name = "block.acme.merlon.internal."}),
                                  fixture().subject(source), {.transport = Transport::tcp});
    EXPECT_EQ(to_string(answered.outcome), "answered") << source;
    EXPECT_EQ(load_be16(answered.reply.data() + 6), 100) << source;
  }
}

TEST(Answer, EachAccountZoneAnswersMissingNamesItself) {
  const Answered answered = ask(tests::make_query({.name = "x.y.acme.merlon.internal."}),
                                fixture().subject("192.0.2.10"), {});
  EXPECT_EQ(to_string(answered.outcome), "nxdomain");
}

TEST(Answer, TierMasksPerName) {
  struct Row {
    const char* name;
    uint32_t tiers;  // that see it
  };
  const Row rows[] = {{"tiny", 15}, {"basic", 14}, {"premium", 12}, {"gone", 15}};
  for (const Row& row : rows) {
    const std::string name = std::string(row.name) + ".merlon.internal.";
    for (uint32_t tier = 1; tier <= 16; tier <<= 1) {
      const snapshot::Subject subject{50, 1, tier, snapshot::Verb::pass, {}, {}};
      const Outcome outcome = ask(tests::make_query({.name = name}), &subject, {}).outcome;
      EXPECT_EQ(outcome == Outcome::refused_not_ours, (row.tiers & tier) == 0)
          << name << " tier " << tier << ": " << to_string(outcome);
    }
  }
}

TEST(Answer, NothingBehindTheReplyIsTouched) {
  const Buffer query_bytes = tests::make_query({.name = "tiny.merlon.internal.", .edns = true});
  Query query;
  Reply reply =
      answer(*fixture().snapshot, query_bytes, fixture().subject("192.0.2.10"), {}, query);
  Buffer buffer = query_bytes;
  buffer.resize(512, 0xEE);
  const size_t size = compose(query, reply, {}, buffer, query_bytes.size());
  EXPECT_TRUE(std::all_of(buffer.begin() + static_cast<std::ptrdiff_t>(size), buffer.end(),
                          [](uint8_t byte) { return byte == 0xEE; }));
}

}  // namespace
}  // namespace merlon::answer
