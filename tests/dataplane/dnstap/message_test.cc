// SPDX-License-Identifier: Apache-2.0
// Frames read back by a reader of protocol buffers that knows nothing of the writer.
#include "dataplane/dnstap/message.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <variant>

#include "zones/base/bytes.h"

namespace merlon::dnstap {
namespace {

using Value = std::variant<uint64_t, std::string>;
using Fields = std::multimap<unsigned, Value>;

uint64_t read_varint(std::string_view& text) {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 64 && !text.empty(); shift += 7) {
    const auto byte = static_cast<uint8_t>(text.front());
    text.remove_prefix(1);
    value |= uint64_t{byte & 0x7fu} << shift;
    if (byte < 0x80) {
      return value;
    }
  }
  ADD_FAILURE() << "varint does not end";
  return 0;
}

Fields read_fields(std::string_view text) {
  Fields fields;
  while (!text.empty()) {
    const uint64_t tag = read_varint(text);
    const auto number = static_cast<unsigned>(tag >> 3);
    if ((tag & 7) == 0) {
      fields.emplace(number, read_varint(text));
      continue;
    }
    const size_t size = (tag & 7) == 2 ? read_varint(text) : 4;
    if (((tag & 7) != 2 && (tag & 7) != 5) || size > text.size()) {
      ADD_FAILURE() << "tag " << tag;
      break;
    }
    if ((tag & 7) == 2) {
      fields.emplace(number, std::string(text.substr(0, size)));
    } else {
      uint64_t value = 0;
      for (size_t i = 4; i-- > 0;) {
        value = value << 8 | static_cast<uint8_t>(text[i]);
      }
      fields.emplace(number, value);
    }
    text.remove_prefix(size);
  }
  return fields;
}

uint64_t number(const Fields& fields, unsigned which) {
  EXPECT_EQ(fields.count(which), 1u) << which;
  return std::get<uint64_t>(fields.find(which)->second);
}
std::string text(const Fields& fields, unsigned which) {
  EXPECT_EQ(fields.count(which), 1u) << which;
  return std::get<std::string>(fields.find(which)->second);
}

std::unique_ptr<Sample> make_sample() {
  auto sample = std::make_unique<Sample>();
  sample->source = *address::parse_address("2001:db8::10");
  sample->destination = *address::parse_address("2001:db8::53");
  sample->has_destination = true;
  sample->source_port = 54321;
  sample->destination_port = 53;
  sample->query_time_ns = 1'790'000'000'123'456'789;
  sample->reply_time_ns = 1'790'000'001'000'000'005;
  sample->query_size = 300;  // a length of two bytes
  sample->query.fill('q');
  sample->reply_size = 40;
  sample->reply.fill('r');
  return sample;
}

Fields read_frame(const std::vector<uint8_t>& frame) {
  EXPECT_EQ(load_be32(frame.data()), frame.size() - 4);
  return read_fields({reinterpret_cast<const char*>(frame.data()) + 4, frame.size() - 4});
}

TEST(DnstapMessage, QueryHasEveryField) {
  std::vector<uint8_t> frame;
  append_frame(*make_sample(), Kind::auth_query, {"ns1.example", "merlon 1"}, frame);
  const Fields outer = read_frame(frame);
  EXPECT_EQ(text(outer, 1), "ns1.example");
  EXPECT_EQ(text(outer, 2), "merlon 1");
  EXPECT_EQ(number(outer, 15), 1u);
  EXPECT_EQ(outer.size(), 4u);
  const Fields message = read_fields(text(outer, 14));
  EXPECT_EQ(number(message, 1), 1u);  // AUTH_QUERY
  EXPECT_EQ(number(message, 2), 2u);  // INET6
  EXPECT_EQ(number(message, 3), 1u);  // UDP
  EXPECT_EQ(text(message, 4), std::string("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x10", 16));
  EXPECT_EQ(text(message, 5), std::string("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x53", 16));
  EXPECT_EQ(number(message, 6), 54321u);
  EXPECT_EQ(number(message, 7), 53u);
  EXPECT_EQ(number(message, 8), 1'790'000'000u);
  EXPECT_EQ(number(message, 9), 123'456'789u);
  EXPECT_EQ(text(message, 10), std::string(300, 'q'));
  EXPECT_EQ(message.size(), 10u);
}

TEST(DnstapMessage, ResponseHasBothTimesAndTheReply) {
  std::vector<uint8_t> frame;
  append_frame(*make_sample(), Kind::auth_response, {}, frame);
  const Fields outer = read_frame(frame);
  EXPECT_EQ(outer.size(), 2u) << "an empty identity is left out";
  const Fields message = read_fields(text(outer, 14));
  EXPECT_EQ(number(message, 1), 2u);  // AUTH_RESPONSE
  EXPECT_EQ(number(message, 8), 1'790'000'000u);
  EXPECT_EQ(number(message, 12), 1'790'000'001u);
  EXPECT_EQ(number(message, 13), 5u);
  EXPECT_EQ(text(message, 14), std::string(40, 'r'));
  EXPECT_EQ(message.count(10), 0u);
}

TEST(DnstapMessage, WhatTheEngineDoesNotKnowIsLeftOut) {
  auto sample = make_sample();
  sample->source = *address::parse_address("192.0.2.7");
  sample->has_destination = false;
  sample->source_port = 0;
  sample->destination_port = 0;
  std::vector<uint8_t> frame;
  append_frame(*sample, Kind::auth_query, {}, frame);
  const Fields message = read_fields(text(read_frame(frame), 14));
  EXPECT_EQ(number(message, 2), 1u);  // INET
  EXPECT_EQ(text(message, 4), std::string("\xc0\x00\x02\x07", 4));
  for (const unsigned absent : {5u, 6u, 7u}) {
    EXPECT_EQ(message.count(absent), 0u) << absent;
  }
}

TEST(DnstapMessage, FramesFollowEachOther) {
  std::vector<uint8_t> frames;
  append_frame(*make_sample(), Kind::auth_query, {}, frames);
  const size_t first = frames.size();
  append_frame(*make_sample(), Kind::auth_response, {}, frames);
  EXPECT_EQ(load_be32(frames.data()) + 4, first);
  EXPECT_EQ(load_be32(frames.data() + first) + 4, frames.size() - first);
}

}  // namespace
}  // namespace merlon::dnstap
