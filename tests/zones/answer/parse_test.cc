// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <random>

#include "tests/support/packet_rows.h"
#include "tests/support/reference_query.h"
#include "zones/answer/query.h"

namespace merlon::answer {
namespace {

using Buffer = std::vector<uint8_t>;

TEST(ParseQuery, FillsWhatTheLookupNeeds) {
  const Buffer message = tests::make_query({.name = "Small.MERLON.internal.",
                                            .type = 28,
                                            .edns = true,
                                            .payload = 4000,
                                            .dnssec_ok = true});
  Query query;
  Outcome outcome = Outcome::count_;
  ASSERT_EQ(parse_query(message, query, outcome), Parse::good);
  EXPECT_EQ(query.flags, 0x0100);
  EXPECT_EQ(query.qtype, 28);
  EXPECT_EQ(query.qclass, 1);
  EXPECT_EQ(query.question_end, 12 + 23 + 4);
  EXPECT_EQ(query.label_count, 3);
  EXPECT_EQ(query.label_offsets[1], 6);
  EXPECT_EQ(query.label_offsets[2], 13);
  EXPECT_EQ(as_text(query.folded_qname()), std::string_view("\5small\6merlon\10internal\0", 23));
  EXPECT_TRUE(query.has_edns);
  EXPECT_TRUE(query.dnssec_ok);
  EXPECT_EQ(query.edns_payload_size, 4000);
}

TEST(ParseQuery, KeepsNothingOfTheQueryBefore) {
  Query query;
  Outcome outcome = Outcome::count_;
  const Buffer full = tests::make_query({.type = 28, .edns = true, .dnssec_ok = true});
  ASSERT_EQ(parse_query(full, query, outcome), Parse::good);
  ASSERT_EQ(parse_query(Bytes(full).first(5), query, outcome), Parse::decided);
  EXPECT_EQ(query.flags | query.qtype | query.qclass | query.question_end | query.qname_size, 0);
  EXPECT_FALSE(query.has_edns || query.dnssec_ok);
}

TEST(ParseQuery, OwnerOfARecordHasAtMost255Bytes) {
  for (const size_t last : {61u, 62u}) {
    Buffer message = tests::make_query({});
    message[11] = 1;
    for (const size_t size : {size_t{63}, size_t{63}, size_t{63}, size_t{last}}) {
      message.push_back(static_cast<uint8_t>(size));
      message.insert(message.end(), size, 'x');
    }
    message.push_back(0);
    message.resize(message.size() + 10);
    message[message.size() - 9] = 1;
    Query query;
    Outcome outcome = Outcome::count_;
    EXPECT_EQ(parse_query(message, query, outcome), last == 61 ? Parse::good : Parse::decided);
  }
}

void expect_agreement(const Buffer& message) {
  Query query;
  Outcome outcome = Outcome::count_;
  const Parse parse = parse_query(message, query, outcome);
  const std::string difference = tests::difference_from_reference(
      message, parse, parse == Parse::good ? Outcome::answered : outcome, query);
  ASSERT_EQ(difference, "") << to_hex(message);
}

TEST(ParseQuery, AgreesWithTheReferenceOnEveryPrefixOfEveryRow) {
  for (const tests::PacketRow& row : tests::packet_rows()) {
    for (size_t size = 0; size <= row.query.size(); ++size) {
      expect_agreement(
          Buffer(row.query.begin(), row.query.begin() + static_cast<std::ptrdiff_t>(size)));
    }
  }
}

TEST(ParseQuery, AgreesWithTheReferenceOnDamagedRows) {
  std::mt19937 random(20);
  for (const tests::PacketRow& row : tests::packet_rows()) {
    for (int round = 0; round < 300 && !row.query.empty(); ++round) {
      Buffer message = row.query;
      for (unsigned k = 0; k <= random() % 3; ++k) {
        message[random() % message.size()] = static_cast<uint8_t>(random());
      }
      expect_agreement(message);
    }
  }
}

}  // namespace
}  // namespace merlon::answer
