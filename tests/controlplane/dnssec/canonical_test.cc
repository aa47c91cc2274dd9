// SPDX-License-Identifier: Apache-2.0
#include "controlplane/dnssec/canonical.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/controlplane/dnssec/signer_fixture.h"

namespace merlon::dnssec {
namespace {

const name::Name kApex = name_of("internal.");  // 10 bytes

std::vector<uint8_t> record(uint16_t type, std::vector<uint8_t> data, uint32_t ttl = 60) {
  std::vector<uint8_t> bytes(12);
  store_be16(bytes.data(), 0xC00C);
  store_be16(bytes.data() + 2, type);
  store_be16(bytes.data() + 4, 1);
  store_be32(bytes.data() + 6, ttl);
  store_be16(bytes.data() + 10, static_cast<uint16_t>(data.size()));
  bytes.insert(bytes.end(), data.begin(), data.end());
  return bytes;
}

std::vector<uint8_t> body_of(uint16_t type, const std::vector<std::vector<uint8_t>>& all) {
  std::vector<uint8_t> body;
  for (const auto& data : all) {
    const auto one = record(type, data);
    body.insert(body.end(), one.begin(), one.end());
  }
  return body;
}

Result<CanonicalRrset> canonical(std::string_view owner, uint16_t type, Bytes body) {
  const name::Name name = name_of(owner);
  return canonical_rrset({.owner = name.wire(), .apex = kApex.wire(), .type = type, .body = body});
}

TEST(Canonical, RecordsAreSortedAndDuplicatesGo) {
  const auto rrset = canonical("x.", 1, body_of(1, {{9, 0, 0, 1}, {1, 2, 3, 4}, {9, 0, 0, 1}}));
  ASSERT_TRUE(rrset.has_value());
  std::vector<uint8_t> wanted;
  for (const std::vector<uint8_t>& data :
       {std::vector<uint8_t>{1, 2, 3, 4}, std::vector<uint8_t>{9, 0, 0, 1}}) {
    wanted.insert(wanted.end(), {1, 'x', 0, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4});
    wanted.insert(wanted.end(), data.begin(), data.end());
  }
  EXPECT_EQ(rrset->bytes, wanted);
  EXPECT_EQ(rrset->ttl, 60u);
}

TEST(Canonical, WildcardAndRootDoNotCountAsLabels) {
  EXPECT_EQ(canonical("*.a.b.", 1, body_of(1, {{1, 2, 3, 4}}))->labels, 2);
  EXPECT_EQ(canonical("a.b.c.", 1, body_of(1, {{1, 2, 3, 4}}))->labels, 3);
  EXPECT_EQ(canonical(".", 1, body_of(1, {{1, 2, 3, 4}}))->labels, 0);
}

TEST(Canonical, NamesInDataAreFoldedWhereTheRfcSaysSo) {
  struct Row {
    uint16_t type;
    std::vector<uint8_t> data;
    std::vector<uint8_t> wanted;
  };
  const Row rows[] = {
      {2, {1, 'A', 0}, {1, 'a', 0}},                                                   // NS
      {15, {'A', 'B', 1, 'C', 0}, {'A', 'B', 1, 'c', 0}},                              // MX
      {33, {0, 'A', 0, 'B', 0, 'C', 1, 'D', 0}, {0, 'A', 0, 'B', 0, 'C', 1, 'd', 0}},  // SRV
      {35,
       {0, 'A', 0, 'B', 1, 'U', 1, 'S', 0, 1, 'R', 0},
       {0, 'A', 0, 'B', 1, 'U', 1, 'S', 0, 1, 'r', 0}},  // NAPTR
      {38,
       {64, 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 1, 'I', 0},
       {64, 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 1, 'i', 0}},  // A6
      {16, {1, 'A'}, {1, 'A'}},                                   // TXT
      {47, {1, 'A', 0, 0, 1, 0x40}, {1, 'A', 0, 0, 1, 0x40}},     // NSEC (RFC 6840 section 5.1)
      {65280, {1, 'A', 0}, {1, 'A', 0}},                          // unknown
  };
  for (const Row& row : rows) {
    std::vector<uint8_t> data = row.data;
    EXPECT_TRUE(fold_names_in_data(row.type, data)) << row.type;
    EXPECT_EQ(data, row.wanted) << row.type;
  }
}

TEST(Canonical, DataThatIsNotOfItsTypeIsRefused) {
  for (const auto& [type, data] : {std::pair<uint16_t, std::vector<uint8_t>>{2, {5, 'a'}},
                                   {15, {0}},
                                   {33, {0, 0, 0, 0, 0, 0, 64}},
                                   {35, {0, 0, 0, 0, 9}},
                                   {6, {0}}}) {
    EXPECT_FALSE(canonical("x.", type, body_of(type, {data})).has_value()) << type;
  }
  std::vector<uint8_t> cut = body_of(1, {{1, 2, 3, 4}});
  cut.pop_back();
  EXPECT_FALSE(canonical("x.", 1, cut).has_value());
  EXPECT_FALSE(canonical("x.", 28, body_of(1, {{1, 2, 3, 4}})).has_value());
}

TEST(Canonical, WhatValidatorsRefuseIsRefusedWithTheNumberThatFits) {
  // Unbound says "rrset too big" to one more.
  EXPECT_EQ(signed_records_max(16, 10, 4), 2183u);
  const name::Name owner = name_of("basic.internal.");
  ASSERT_EQ(owner.size(), 16u);
  std::vector<std::vector<uint8_t>> addresses;
  for (int i = 0; i < 2183; ++i) {
    addresses.push_back({10, 0, static_cast<uint8_t>(i >> 8), static_cast<uint8_t>(i)});
  }
  EXPECT_TRUE(canonical("basic.internal.", 1, body_of(1, addresses)).has_value());
  addresses.push_back({11, 0, 0, 0});
  const auto refused = canonical("basic.internal.", 1, body_of(1, addresses));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::unsupported);
  EXPECT_THAT(refused.error().message, testing::HasSubstr("put at most 2183 records"));
}

}  // namespace
}  // namespace merlon::dnssec
