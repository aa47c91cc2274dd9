// SPDX-License-Identifier: Apache-2.0
#include "controlplane/dns/special.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/controlplane/dns/special_queries.h"
#include "tests/support/snapshot_fixture.h"

namespace merlon::tests {
namespace {

using answer::Outcome;
using answer::Transport;

constexpr uint16_t kFlagsNotify = 4 << 11;
constexpr uint16_t kFlagsUpdate = 5 << 11;

class SpecialTest : public testing::Test {
 protected:
  dns::SpecialReply ask(const SpecialMessage& message, Transport transport = Transport::udp,
                        std::string_view source = "192.0.2.10") {
    SpecialMessage room(dns::kSpecialReplySizeMax);
    answer::Outcome outcome = Outcome::answered;
    answer::parse_query(message, parsed_, outcome);
    parsed_.server_cookie = parsed_.cookie_size == 0 ? nullptr : kServerCookie.data();
    const dns::SpecialReply reply = dns::answer_special({.snapshot = *fixture_.snapshot,
                                                         .message = message,
                                                         .parsed = parsed_,
                                                         .subject = fixture_.subject(source),
                                                         .limits = {.transport = transport}},
                                                        room);
    reply_.assign(room.begin(), room.begin() + static_cast<std::ptrdiff_t>(reply.size));
    return reply;
  }
  uint16_t rcode() const { return load_be16(reply_.data() + 2) & wire::flag::rcode_mask; }
  uint16_t opcode_bits() const { return load_be16(reply_.data() + 2) & wire::flag::opcode_mask; }

  Fixture fixture_ = make_fixture({.serial = 100});
  static constexpr std::array<uint8_t, 16> kServerCookie = {'o', 'u', 'r', 's'};
  answer::Query parsed_;
  SpecialMessage reply_;
};

TEST_F(SpecialTest, SignedQueryGetsBadKeyToTheLastByte) {
  SpecialMessage query = make_query({.name = "small.merlon.internal.", .id = 0xabcd});
  append_tsig(query);
  EXPECT_EQ(ask(query).outcome, Outcome::notauth_tsig);
  SpecialMessage expected = make_query({.name = "small.merlon.internal.", .id = 0xabcd});
  store_be16(expected.data() + 2, 0x8109);  // QR, RD, NOTAUTH
  store_be16(expected.data() + 10, 1);
  append_name(expected, "Key.Example.");  // as it was written
  append_u16(expected, 250);
  append_u16(expected, 255);
  append_u32(expected, 0);
  append_u16(expected, 13 + 6 + 2 + 2 + 2 + 2 + 2);
  append_name(expected, "hmac-sha256.");
  const Bytes time = as_bytes({kTsigTime.data(), 6});
  expected.insert(expected.end(), time.begin(), time.end());
  append_u16(expected, 300);     // fudge
  append_u16(expected, 0);       // no MAC
  append_u16(expected, 0xabcd);  // original id
  append_u16(expected, 17);      // BADKEY
  append_u16(expected, 0);
  EXPECT_EQ(to_hex(reply_), to_hex(expected));
}

TEST_F(SpecialTest, SignedQueryWithEdnsGetsOptBeforeTsig) {
  SpecialMessage query = make_query({.edns = true, .dnssec_ok = true});
  append_tsig(query);
  ASSERT_EQ(ask(query).outcome, Outcome::notauth_tsig);
  EXPECT_EQ(load_be16(reply_.data() + 10), 2);
  wire::Reader reader(reply_);
  reader.skip(make_query({}).size());
  EXPECT_TRUE(reader.name().is_root());
  EXPECT_EQ(reader.u16(), wire::type::opt);
  EXPECT_EQ(reader.u16(), 1232);
  EXPECT_EQ(reader.u32(), 0x8000u);  // version 0, DO
  reader.skip(reader.u16());
  reader.name();
  EXPECT_EQ(reader.u16(), wire::type::tsig);
  EXPECT_TRUE(reader.ok());
}

TEST_F(SpecialTest, SignedMessagesOfEveryKindGetBadKey) {
  for (const QuerySpec& spec :
       {QuerySpec{.type = kTypeAxfr}, QuerySpec{.flags = kFlagsUpdate},
        QuerySpec{.type = wire::type::soa, .flags = kFlagsNotify}, QuerySpec{.flags = 0x1000}}) {
    EXPECT_EQ(ask(signed_query(spec)).outcome, Outcome::notauth_tsig);
    EXPECT_EQ(opcode_bits(), spec.flags & wire::flag::opcode_mask);
    EXPECT_EQ(rcode(), wire::rcode::notauth);
  }
}

TEST_F(SpecialTest, TsigThatIsNotTheLastRecordOrMalformedIsAFormatError) {
  SpecialMessage two = signed_query({});
  append_tsig(two);
  EXPECT_EQ(ask(two).outcome, Outcome::formerr_record);
  SpecialMessage before_opt = signed_query({});
  append_record(before_opt, ".", wire::type::opt, 1232, {});
  store_be16(before_opt.data() + 10, 2);
  EXPECT_EQ(ask(before_opt).outcome, Outcome::formerr_record);
  SpecialMessage wrong_class = make_query({});
  append_record(wrong_class, "key.", wire::type::tsig, 1, SpecialMessage(30));
  store_be16(wrong_class.data() + 10, 1);
  EXPECT_EQ(ask(wrong_class).outcome, Outcome::formerr_record);
  const SpecialMessage good = signed_query({});
  for (size_t size = wire::kHeaderSize; size < good.size(); ++size) {
    const SpecialMessage cut(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size));
    ASSERT_EQ(ask(cut).outcome, Outcome::formerr_record) << size;
    ASSERT_EQ(rcode(), wire::rcode::formerr);
  }
  SpecialMessage longer = good;
  longer.push_back(0);
  EXPECT_EQ(ask(longer).outcome, Outcome::formerr_record);
}

TEST_F(SpecialTest, BadKeyThatDoesNotFitUdpSendsTheClientToTcp) {
  const std::string label(60, 'k');
  const std::string key = label + "." + label + "." + label + "." + label + ".";
  SpecialMessage query = make_query({.name = key});
  append_tsig(query, key);
  EXPECT_EQ(ask(query).outcome, Outcome::truncated);
  EXPECT_EQ(load_be16(reply_.data() + 2), wire::flag::qr | wire::flag::tc | wire::flag::rd);
  EXPECT_EQ(load_be16(reply_.data() + 10), 0);
  EXPECT_EQ(reply_.size(), make_query({.name = key}).size());
  EXPECT_EQ(ask(query, Transport::tcp).outcome, Outcome::notauth_tsig);
  EXPECT_GT(reply_.size(), 512u);
}

TEST_F(SpecialTest, NotifyGetsNotAuthWhetherTheZoneExistsOrNot) {
  for (const std::string_view zone :
       {"merlon.internal.", "zeta.merlon.internal.", "nothing.example."}) {
    const SpecialMessage query =
        make_query({.name = zone, .type = wire::type::soa, .flags = kFlagsNotify | wire::flag::aa});
    EXPECT_EQ(ask(query).outcome, Outcome::notimp_opcode);
    SpecialMessage expected = query;
    store_be16(expected.data() + 2, wire::flag::qr | kFlagsNotify | wire::rcode::notauth);
    EXPECT_EQ(to_hex(reply_), to_hex(expected));
  }
  EXPECT_EQ(ask(make_query({.type = wire::type::a, .flags = kFlagsNotify})).outcome,
            Outcome::formerr_question_count);
}

TEST_F(SpecialTest, UpdateAndOtherOpcodesGetNotImp) {
  for (uint16_t opcode = 1; opcode < 16; ++opcode) {
    if (opcode == 4) {
      continue;
    }
    const uint16_t flags = static_cast<uint16_t>(opcode << 11);
    EXPECT_EQ(ask(make_query({.type = wire::type::soa, .flags = flags})).outcome,
              Outcome::notimp_opcode);
    EXPECT_EQ(opcode_bits(), flags);
    EXPECT_EQ(rcode(), wire::rcode::notimp);
  }
  // A stateful operation (RFC 8490) is no question and no record behind a header of its own.
  SpecialMessage stateful(wire::kHeaderSize + 5, 0xff);
  std::fill_n(stateful.begin() + 4, 8, uint8_t{0});
  store_be16(stateful.data() + 2, 6 << 11);
  EXPECT_EQ(ask(stateful).outcome, Outcome::notimp_opcode);
  EXPECT_EQ(reply_.size(), wire::kHeaderSize);
}

TEST_F(SpecialTest, TransfersAndOtherMetaTypesGetNotImp) {
  for (const uint16_t type : {uint16_t{249}, uint16_t{252}, uint16_t{253}, uint16_t{254}}) {
    const SpecialMessage query = make_query({.name = "merlon.internal.", .type = type});
    EXPECT_EQ(ask(query).outcome, Outcome::notimp_type) << type;
    EXPECT_EQ(rcode(), wire::rcode::notimp);
    EXPECT_TRUE(std::equal(query.begin() + 12, query.end(), reply_.begin() + 12));
  }
}

TEST_F(SpecialTest, UnknownEdnsVersionGetsBadVers) {
  SpecialMessage query = make_query({.type = kTypeAxfr, .edns = true, .version = 1});
  EXPECT_EQ(ask(query).outcome, Outcome::badvers);
  EXPECT_EQ(rcode(), 0);
  EXPECT_EQ(reply_[make_query({}).size() + 5], 1);  // 16 >> 4, in OPT
}

TEST_F(SpecialTest, IxfrOverUdpIsTheSoaInForce) {
  for (const uint32_t serial : {0u, 99u, 100u, 101u}) {
    ASSERT_EQ(ask(ixfr_query("merlon.internal.", serial)).outcome, Outcome::answered);
    const SpecialMessage as_soa = make_query({.name = "merlon.internal.", .type = wire::type::soa});
    answer::Query parsed;
    answer::Reply reply =
        answer::answer(*fixture_.snapshot, as_soa, fixture_.subject("192.0.2.10"), {}, parsed);
    SpecialMessage expected(4096);
    std::ranges::copy(as_soa, expected.begin());
    expected.resize(answer::compose(parsed, reply, {}, expected, as_soa.size()));
    store_be16(expected.data() + as_soa.size() - 4, kTypeIxfr);
    EXPECT_EQ(to_hex(reply_), to_hex(expected)) << serial;
    EXPECT_EQ(load_be16(reply_.data() + 6), 1);
    EXPECT_EQ(load_be16(reply_.data() + 8), 0);
  }
}

TEST_F(SpecialTest, IxfrShowsNobodyAZoneThatIsNotHis) {
  // Account 7 may see its own zone and the shared one, nobody else's.
  EXPECT_EQ(ask(ixfr_query("acme.merlon.internal.", 0)).outcome, Outcome::answered);
  EXPECT_EQ(ask(ixfr_query("zeta.merlon.internal.", 0)).outcome, Outcome::refused_not_ours);
  const SpecialMessage hidden = reply_;
  // The same bytes as for a zone of this length that does not exist, but for the question.
  EXPECT_EQ(ask(ixfr_query("none.merlon.internal.", 0)).outcome, Outcome::refused_not_ours);
  ASSERT_EQ(hidden.size(), reply_.size());
  EXPECT_TRUE(std::equal(hidden.begin(), hidden.begin() + 12, reply_.begin()));
  EXPECT_EQ(ask(ixfr_query("zeta.merlon.internal.", 0), Transport::tcp).outcome,
            Outcome::refused_not_ours);
  EXPECT_EQ(ask(ixfr_query("ops.internal.", 0)).outcome, Outcome::refused_not_ours);
  EXPECT_EQ(ask(ixfr_query("small.merlon.internal.", 0)).outcome, Outcome::refused_not_ours);
  EXPECT_EQ(ask(ixfr_query("alias.merlon.internal.", 0)).outcome, Outcome::refused_not_ours);
  EXPECT_EQ(ask(ixfr_query("example.org.", 0)).outcome, Outcome::refused_not_ours);
  // "empty" sees nothing, so no serial either.
  EXPECT_EQ(ask(ixfr_query("merlon.internal.", 0), Transport::udp, "203.0.113.3").outcome,
            Outcome::refused_not_ours);
}

TEST_F(SpecialTest, IxfrOverTcpTellsWhoIsUpToDateAndNobodyElse) {
  EXPECT_EQ(ask(ixfr_query("merlon.internal.", 99), Transport::tcp).outcome, Outcome::notimp_type);
  EXPECT_EQ(ask(ixfr_query("merlon.internal.", 100), Transport::tcp).outcome, Outcome::answered);
  EXPECT_EQ(ask(ixfr_query("merlon.internal.", 101), Transport::tcp).outcome, Outcome::answered);
  // RFC 1982: half a circle ahead is behind.
  EXPECT_EQ(ask(ixfr_query("merlon.internal.", 100 + 0x80000001), Transport::tcp).outcome,
            Outcome::notimp_type);
}

TEST_F(SpecialTest, IxfrWithoutTheClientsVersionIsAFormatError) {
  EXPECT_EQ(ask(make_query({.name = "merlon.internal.", .type = kTypeIxfr})).outcome,
            Outcome::formerr_record_count);
  SpecialMessage other = ixfr_query("merlon.internal.", 1);
  other[make_query({.name = "merlon.internal."}).size() + 1] ^= 1;  // another owner
  EXPECT_EQ(ask(other).outcome, Outcome::formerr_record_count);
  SpecialMessage chaos = ixfr_query("merlon.internal.", 1);
  store_be16(chaos.data() + make_query({.name = "merlon.internal."}).size() - 2, 3);
  EXPECT_EQ(ask(chaos).outcome, Outcome::refused_class);
}

TEST_F(SpecialTest, IxfrWithEdnsGetsOpt) {
  SpecialMessage query = ixfr_query("merlon.internal.", 1);
  append_record(query, ".", wire::type::opt, 1232, {});
  store_be16(query.data() + 10, 1);
  ASSERT_EQ(ask(query).outcome, Outcome::answered);
  EXPECT_EQ(load_be16(reply_.data() + 10), 1);
}

TEST_F(SpecialTest, CookiesAreAnswered) {
  const std::vector<uint8_t> cookie = {0, 10, 0, 8, 'c', 'l', 'i', 'e', 'n', 't', '0', '1'};
  const std::string sent = to_hex(as_bytes("client01")) + to_hex(kServerCookie);
  SpecialMessage ixfr = ixfr_query("merlon.internal.", 1);
  append_record(ixfr, ".", wire::type::opt, 1232, cookie);
  store_be16(ixfr.data() + 10, 1);
  SpecialMessage with_tsig = make_query({.edns = true, .options = cookie});
  append_tsig(with_tsig);
  const SpecialMessage axfr =
      make_query({.name = "merlon.internal.", .type = kTypeAxfr, .edns = true, .options = cookie});
  for (const SpecialMessage& query : {ixfr, with_tsig, axfr}) {
    ask(query);
    EXPECT_NE(to_hex(reply_).find("000a0018" + sent), std::string::npos) << to_hex(reply_);
  }
}

TEST_F(SpecialTest, ABareReplyRepeatsTheQuestion) {
  SpecialMessage room(dns::kSpecialReplySizeMax);
  const SpecialMessage query = make_query({.edns = true});
  const size_t size = dns::write_bare_reply(query, wire::rcode::servfail, room);
  EXPECT_EQ(size, make_query({}).size());
  EXPECT_EQ(load_be16(room.data() + 2), wire::flag::qr | wire::flag::rd | wire::rcode::servfail);
  EXPECT_EQ(dns::write_bare_reply(Bytes(query).first(13), wire::rcode::servfail, room),
            wire::kHeaderSize);
}

}  // namespace
}  // namespace merlon::tests
