// SPDX-License-Identifier: Apache-2.0
#include "dataplane/frame/frame.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/support/frame_rows.h"
#include "tests/support/reference_frame.h"
#include "zones/base/checksum.h"

namespace merlon::frame {
namespace {

using tests::build_frame;
using tests::FrameRow;
using tests::FrameSpec;
using tests::ip;
using Buffer = std::vector<uint8_t>;

struct Read {
  Verdict verdict = Verdict::not_ours;
  Layout layout;
  address::Address source;
};

Read read(Bytes frame, const Filter& filter = tests::frame_filter(), Checked checked = {}) {
  Read out;
  out.verdict = parse(frame, filter, checked, out.layout, out.source);
  return out;
}

TEST(Frame, OddFramesGetTheVerdictOfTheirRow) {
  std::set<Drop> met;
  for (const FrameRow& row : tests::frame_rows()) {
    const Read got = read(row.frame);
    EXPECT_EQ(got.verdict, row.verdict) << row.name << ", drop " << to_string(got.layout.drop);
    if (row.verdict == Verdict::drop) {
      EXPECT_EQ(to_string(got.layout.drop), to_string(row.drop)) << row.name;
      met.insert(row.drop);
    }
    EXPECT_EQ(tests::difference_from_reference(row.frame, tests::frame_filter()), "") << row.name;
  }
  EXPECT_EQ(met.size(), kDropCount) << "every reason has its row";
}

TEST(Frame, RowsHaveNamesOfTheirOwn) {
  std::set<std::string> names;
  for (const FrameRow& row : tests::frame_rows()) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
  }
  EXPECT_GT(names.size(), 250u);
}

TEST(Frame, DropsHaveNamesAndExplanations) {
  EXPECT_EQ(to_string(Drop::truncated), "truncated");
  EXPECT_EQ(to_string(Drop::source_address), "source_address");
  EXPECT_EQ(explain(Drop::ip_checksum), "IPv4 header checksum wrong");
  for (size_t i = 0; i < kDropCount; ++i) {
    EXPECT_FALSE(explain(static_cast<Drop>(i)).empty());
  }
}

TEST(Frame, LayoutNamesThePlaces) {
  const Buffer frame = build_frame({.tags = {{0x8100, 5}}, .options = {1, 1, 1, 0}});
  const Read got = read(frame);
  ASSERT_EQ(got.verdict, Verdict::query);
  EXPECT_EQ(got.layout.ip, 18);
  EXPECT_EQ(got.layout.udp, 42);
  EXPECT_EQ(got.layout.message, 50);
  EXPECT_EQ(got.layout.message_size, 40);
  EXPECT_EQ(got.layout.source_port, tests::kClientPort);
  EXPECT_FALSE(got.layout.is_v6);
  EXPECT_TRUE(got.layout.has_options);
  EXPECT_EQ(to_text(got.source), tests::kClient4);
  const Read v6 = read(build_frame({.is_v6 = true}));
  ASSERT_EQ(v6.verdict, Verdict::query);
  EXPECT_EQ(v6.layout.message, 62);
  EXPECT_TRUE(v6.layout.is_v6);
  EXPECT_FALSE(v6.layout.has_options);
  EXPECT_EQ(to_text(v6.source), tests::kClient6);
}

// Every shorter frame: never a query, nothing read behind its end (the copy is of exact size).
TEST(Frame, CutAnywhereIsNoQuery) {
  for (const FrameSpec& spec :
       {FrameSpec{}, FrameSpec{.is_v6 = true}, FrameSpec{.tags = {{0x88a8, 1}, {0x8100, 2}}},
        FrameSpec{.options = Buffer(40, 1)}}) {
    const Buffer whole = build_frame(spec);
    ASSERT_EQ(read(whole).verdict, Verdict::query);
    for (size_t size = 0; size < whole.size(); ++size) {
      const Buffer cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
      const Read got = read(cut);
      EXPECT_NE(got.verdict, Verdict::query) << size;
      if (got.verdict == Verdict::drop) {
        EXPECT_EQ(got.layout.drop, Drop::truncated) << size;
      }
    }
  }
}

TEST(Frame, AnyBitThatFlipsInThePacketIsSeen) {
  for (const bool is_v6 : {false, true}) {
    const Buffer whole = build_frame({.is_v6 = is_v6});
    // IPv6 has no checksum over its class, flow label and hop limit.
    for (size_t at = is_v6 ? 22 : 14; at < whole.size(); ++at) {
      for (unsigned bit = 0; bit < 8; ++bit) {
        Buffer frame = whole;
        frame[at] ^= static_cast<uint8_t>(1U << bit);
        EXPECT_NE(read(frame).verdict, Verdict::query) << at << " bit " << bit;
      }
    }
  }
}

TEST(Frame, WithoutAddressesAnyUnicastDestinationIsOurs) {
  const Filter any{.port = 53};
  for (const std::string_view to : {"192.0.2.54", "203.0.113.1", "240.0.0.1"}) {
    EXPECT_EQ(read(build_frame({.destination = ip(to)}), any).verdict, Verdict::query) << to;
  }
  for (const std::string_view to :
       {"0.0.0.0", "127.0.0.1", "224.0.0.1", "239.1.1.1", "255.255.255.255"}) {
    EXPECT_EQ(read(build_frame({.destination = ip(to)}), any).verdict, Verdict::not_ours) << to;
  }
  EXPECT_EQ(read(build_frame({.is_v6 = true, .destination = ip("2001:db8::9")}), any).verdict,
            Verdict::query);
  for (const std::string_view to : {"::", "::1", "ff02::1"}) {
    const Buffer frame = build_frame({.is_v6 = true, .destination = ip(to)});
    EXPECT_EQ(read(frame, any).verdict, Verdict::not_ours) << to;
  }
  const address::Address mapped = address::Address::v6((address::Bits6{0xffff} << 32) | 1);
  EXPECT_EQ(read(build_frame({.is_v6 = true, .destination = mapped}), any).verdict,
            Verdict::not_ours);
  EXPECT_EQ(read(build_frame({.to = {2, 9, 9, 9, 9, 9}}), any).verdict, Verdict::query);
  EXPECT_EQ(read(build_frame({.to = {3, 9, 9, 9, 9, 9}}), any).verdict, Verdict::not_ours);
}

// A reply would go to the server itself (the LAND attack), whatever it answers for.
TEST(Frame, SourceEqualToTheDestinationIsDropped) {
  const Filter any{.port = 53};
  for (const bool is_v6 : {false, true}) {
    const address::Address same = ip(is_v6 ? "2001:db8:5::5" : "203.0.113.5");
    const Read got = read(build_frame({.is_v6 = is_v6, .source = same, .destination = same}), any);
    EXPECT_EQ(got.verdict, Verdict::drop);
    EXPECT_EQ(got.layout.drop, Drop::source_address);
  }
}

TEST(Frame, FamiliesOfTheFilterAreKeptApart) {
  // ::c000:235 has the number of 192.0.2.53.
  const Filter filter{.port = 53, .addresses = {address::Address::v6(0xc0000235)}};
  EXPECT_EQ(read(build_frame({}), filter).verdict, Verdict::not_ours);
}

TEST(Frame, WhatThePortCheckedIsNotCheckedAgain) {
  const Buffer bad_ip = build_frame({.ip_checksum_flip = 1});
  const Buffer bad_udp = build_frame({.udp_checksum_flip = 1});
  const Filter filter = tests::frame_filter();
  EXPECT_EQ(read(bad_ip, filter, {.ip = true}).verdict, Verdict::query);
  EXPECT_EQ(read(bad_ip, filter, {.udp = true}).layout.drop, Drop::ip_checksum);
  EXPECT_EQ(read(bad_udp, filter, {.udp = true}).verdict, Verdict::query);
  EXPECT_EQ(read(bad_udp, filter, {.ip = true}).layout.drop, Drop::udp_checksum);
  // No port says of IPv6 without a checksum that it is good; even then it is not.
  const Buffer none = build_frame({.is_v6 = true, .udp_checksum = 0});
  EXPECT_EQ(read(none, filter, {.ip = true, .udp = true}).layout.drop, Drop::udp_checksum);
}

// ---- replies

uint16_t message_sum(Bytes message) {
  return tests::slow_sum(message);
}

struct Turned {
  Buffer frame;  // all of it
  Reply reply;
  Bytes bytes() const { return Bytes(frame).subspan(reply.offset, reply.size); }
};

Turned turn(const Buffer& query, Bytes message, Checksums checksums = Checksums::here) {
  const Read got = read(query);
  EXPECT_EQ(got.verdict, Verdict::query);
  Turned turned{query, {}};
  turned.frame.resize(got.layout.message + message.size());
  std::ranges::copy(message, turned.frame.begin() + got.layout.message);
  turned.reply =
      turn_around(turned.frame, got.layout, message.size(), message_sum(message), checksums);
  return turned;
}

TEST(TurnAround, Ipv4ByteByByte) {
  const Buffer message = {0xab, 0xcd, 0xef};
  const Turned turned = turn(build_frame({.hop_limit = 3}), message);
  const Buffer expected = {
      0x02, 0,    0,    0,    0,   0x01, 0x02, 0,    0,  0,  0,    0x53, 0x08, 0x00,  // Ethernet
      0x45, 0,    0,    31,   0,   0,    0x40, 0,    64, 17, 0x4e, 0x5e,              // IPv4
      192,  0,    2,    53,   198, 51,   100,  7,                                     //
      0,    53,   0x9c, 0x40, 0,   11,   0xdc, 0x23,                                  // UDP
      0xab, 0xcd, 0xef};
  EXPECT_EQ(turned.reply.offset, 0);
  EXPECT_EQ(to_hex(turned.bytes()), to_hex(expected));
}

TEST(TurnAround, RepliesToEveryRowAreReadByTheAsker) {
  const Buffer messages[] = {{}, {1}, {0xff, 0xff}, Buffer(1232, 0x5a), Buffer(333, 0xff)};
  for (const FrameRow& row : tests::frame_rows()) {
    if (row.verdict != Verdict::query) {
      continue;
    }
    const tests::ReferenceFrame query = tests::reference_parse(row.frame, tests::frame_filter());
    for (const Buffer& message : messages) {
      const Turned turned = turn(row.frame, message);
      EXPECT_EQ(tests::reply_fault(row.frame, query, message, turned.bytes()), "") << row.name;
    }
  }
}

TEST(TurnAround, OptionsAreLeftOutAndTagsKept) {
  const Buffer query =
      build_frame({.tags = {{0x88a8, 0x6064}, {0x8100, 7}}, .options = Buffer(40, 1)});
  const Buffer message(100, 7);
  const Turned turned = turn(query, message);
  EXPECT_EQ(turned.reply.offset, 40);
  EXPECT_EQ(turned.reply.size, 22 + 20 + 8 + 100);
  EXPECT_EQ(to_hex(turned.bytes().subspan(12, 10)), "88a86064810000070800");
}

// RFC 768: what computes to 0 is sent as ones.
TEST(TurnAround, ChecksumZeroIsSentAsOnes) {
  for (const bool is_v6 : {false, true}) {
    const Buffer query = build_frame({.is_v6 = is_v6});
    Buffer message(64, 0x11);
    store_be16(message.data() + 10, 0);
    const size_t at = (is_v6 ? 54 : 34) + 6;
    const uint16_t checksum = load_be16(turn(query, message).bytes().data() + at);
    store_be16(message.data() + 10, checksum);
    EXPECT_EQ(load_be16(turn(query, message).bytes().data() + at), 0xffff);
  }
}

// Ones' complement has two zeros; a caller may bring either.
TEST(TurnAround, BothZerosOfTheMessageSumGiveTheSameReply) {
  const Buffer query = build_frame({});
  const Read got = read(query);
  Buffer one = query;
  Buffer other = query;
  turn_around(one, got.layout, 0, 0, Checksums::here);
  turn_around(other, got.layout, 0, 0xffff, Checksums::here);
  EXPECT_EQ(to_hex(one), to_hex(other));
}

// What transmit offload does: sums what is there, the pseudo header's sum included, and inverts it.
TEST(TurnAround, PortsThatComputeChecksumsArriveAtTheSame) {
  for (const FrameRow& row : tests::frame_rows()) {
    if (row.verdict != Verdict::query) {
      continue;
    }
    const Buffer message(77, 0xc3);
    const Turned here = turn(row.frame, message);
    const Turned port = turn(row.frame, message, Checksums::port);
    Buffer sent(port.bytes().begin(), port.bytes().end());
    const Read got = read(row.frame);
    const size_t udp = got.layout.udp - size_t{port.reply.offset};
    const auto udp_sum = static_cast<uint16_t>(~tests::slow_sum(Bytes(sent).subspan(udp)));
    store_be16(sent.data() + udp + 6, udp_sum == 0 ? 0xffff : udp_sum);
    if (!got.layout.is_v6) {
      EXPECT_EQ(load_be16(sent.data() + got.layout.ip + 10), 0) << row.name;
      store_be16(sent.data() + got.layout.ip + 10,
                 static_cast<uint16_t>(~tests::slow_sum(Bytes(sent).subspan(got.layout.ip, 20))));
    }
    EXPECT_EQ(to_hex(sent), to_hex(here.bytes())) << row.name;
  }
}

TEST(BuildReply, EqualsTheReplyInPlace) {
  const Buffer message(200, 0x3c);
  for (const FrameRow& row : tests::frame_rows()) {
    if (row.verdict != Verdict::query) {
      continue;
    }
    const Turned turned = turn(row.frame, message);
    const Read got = read(row.frame);
    const Bytes headers = Bytes(row.frame).first(got.layout.message);
    Buffer out(turned.reply.size);
    EXPECT_EQ(build_reply(headers, got.layout, message, out), turned.reply.size) << row.name;
    EXPECT_EQ(to_hex(out), to_hex(turned.bytes())) << row.name;
    out.pop_back();
    EXPECT_EQ(build_reply(headers, got.layout, message, out), 0u) << row.name;
  }
}

TEST(BuildReply, AnIpPacketHolds65535BytesAtMost) {
  for (const bool is_v6 : {false, true}) {
    const Buffer query = build_frame({.is_v6 = is_v6});
    const Read got = read(query);
    Buffer out(70000);
    Buffer message(is_v6 ? 65527 : 65507, 0x77);
    const size_t size = build_reply(query, got.layout, message, out);
    EXPECT_EQ(size, got.layout.message + message.size());
    const tests::ReferenceFrame sent = tests::reference_parse(query, tests::frame_filter());
    EXPECT_EQ(tests::reply_fault(query, sent, message, Bytes(out).first(size)), "");
    message.push_back(0);
    EXPECT_EQ(build_reply(query, got.layout, message, out), 0u);
  }
}

}  // namespace
}  // namespace merlon::frame
