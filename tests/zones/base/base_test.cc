// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cerrno>
#include <set>
#include <vector>

#include "zones/base/assert.h"
#include "zones/base/bytes.h"
#include "zones/base/error.h"

namespace merlon {
namespace {

using Octets = std::vector<uint8_t>;

template <class Integer>
Octets octets_of(const Integer& integer) {
  return {integer.bytes.begin(), integer.bytes.end()};
}

TEST(FixedInteger, BigEndianPutsTheHighByteFirst) {
  EXPECT_EQ(octets_of(Be16(0x1234)), (Octets{0x12, 0x34}));
  EXPECT_EQ(octets_of(Be32(0x12345678)), (Octets{0x12, 0x34, 0x56, 0x78}));
}

TEST(FixedInteger, LittleEndianPutsTheLowByteFirst) {
  EXPECT_EQ(octets_of(Le16(0x1234)), (Octets{0x34, 0x12}));
  EXPECT_EQ(octets_of(Le32(0x12345678)), (Octets{0x78, 0x56, 0x34, 0x12}));
  EXPECT_EQ(octets_of(Le64(0x0102030405060708)), (Octets{8, 7, 6, 5, 4, 3, 2, 1}));
}

TEST(FixedInteger, GivesBackEveryValueItWasMadeFrom) {
  for (uint32_t value = 0; value <= 0xffff; ++value) {
    ASSERT_EQ(uint16_t{Be16(static_cast<uint16_t>(value))}, value);
    ASSERT_EQ(uint16_t{Le16(static_cast<uint16_t>(value))}, value);
  }
  for (const uint64_t value : {uint64_t{0}, uint64_t{1}, uint64_t{0x8000000000000000},
                               uint64_t{0xffffffffffffffff}, uint64_t{0x00ff00ff00ff00ff}}) {
    EXPECT_EQ(uint64_t{Le64(value)}, value);
    EXPECT_EQ(uint32_t{Le32(static_cast<uint32_t>(value))}, static_cast<uint32_t>(value));
    EXPECT_EQ(uint32_t{Be32(static_cast<uint32_t>(value))}, static_cast<uint32_t>(value));
  }
}

TEST(Bytes, LoadAndStoreUseNetworkOrderAtAnyAlignment) {
  Octets buffer(12, 0);
  for (size_t at = 0; at < 8; ++at) {
    store_be32(buffer.data() + at, 0xa1b2c3d4);
    EXPECT_EQ(buffer[at], 0xa1);
    EXPECT_EQ(buffer[at + 3], 0xd4);
    EXPECT_EQ(load_be32(buffer.data() + at), 0xa1b2c3d4);
    store_be16(buffer.data() + at, 0x0102);
    EXPECT_EQ(buffer[at], 0x01);
    EXPECT_EQ(load_be16(buffer.data() + at), 0x0102);
  }
}

TEST(Hex, TextIsLowerCaseAndComesBack) {
  Octets all(256);
  for (size_t i = 0; i < all.size(); ++i) {
    all[i] = static_cast<uint8_t>(i);
  }
  const std::string text = to_hex(all);
  EXPECT_EQ(text.substr(0, 6), "000102");
  EXPECT_EQ(text.substr(508), "feff");
  Octets back(256);
  EXPECT_TRUE(from_hex(text, back));
  EXPECT_EQ(back, all);
  EXPECT_EQ(to_hex({}), "");
}

TEST(Hex, ReadsBothCasesAndNothingElse) {
  Octets out(2);
  EXPECT_TRUE(from_hex("aBCd", out));
  EXPECT_EQ(out, (Octets{0xab, 0xcd}));
  for (const char* text : {"", "abc", "abcde", "abcdef", "ab g", "0x12", "ab-1", "abc/",
                           "abc:", "abc@", "abcG", "abc`", "abcg"}) {
    EXPECT_FALSE(from_hex(text, out)) << text;
  }
}

TEST(Text, ViewsOfBytesAndTextShareTheMemory) {
  const std::string text("a\0b", 3);
  EXPECT_EQ(as_bytes(text).size(), 3U);
  EXPECT_EQ(as_text(as_bytes(text)).data(), text.data());
}

TEST(Error, EachCodeHasANameOfItsOwn) {
  std::set<std::string_view> names;
  const std::vector<ErrorCode> codes = {ErrorCode::not_found,  ErrorCode::invalid_argument,
                                        ErrorCode::corruption, ErrorCode::io,
                                        ErrorCode::busy,       ErrorCode::unsupported,
                                        ErrorCode::conflict,   ErrorCode::internal};
  for (const ErrorCode code : codes) {
    names.insert(to_string(code));
  }
  EXPECT_EQ(names.size(), codes.size());
  EXPECT_EQ(to_string(ErrorCode::corruption), "corruption");
}

TEST(Error, ContextGrowsOnTheLeftAndTheCodeStays) {
  const std::unexpected<Error> inner = fail(ErrorCode::corruption, "checksum of {} differs", "A");
  const Error outer = in("load generation 41", inner.error().in("segment 9f2c")).error();
  EXPECT_EQ(outer.message, "load generation 41: segment 9f2c: checksum of A differs");
  EXPECT_EQ(outer.code, ErrorCode::corruption);
}

TEST(Error, ErrnoGivesNotFoundOrIo) {
  const Error missing = fail_errno("open /x", ENOENT).error();
  EXPECT_EQ(missing.code, ErrorCode::not_found);
  EXPECT_EQ(missing.message, "open /x: No such file or directory");
  EXPECT_EQ(fail_errno("write /x", ENOSPC).error().code, ErrorCode::io);
}

TEST(AssertDeathTest, FailureNamesTheExpressionAndThePlace) {
  EXPECT_DEATH(MERLON_ASSERT(1 + 1 == 3), "base_test\\.cc:[0-9]+: assertion failed: 1 \\+ 1 == 3");
}

TEST(Assert, EvaluatesItsExpressionOnce) {
  int calls = 0;
  MERLON_ASSERT(++calls == 1);
  EXPECT_EQ(calls, 1);
}

TEST(Assert, ReleaseBuildsDoNotEvaluateTheDebugForm) {
  int calls = 0;
  MERLON_DASSERT(++calls == 1);
#ifdef MERLON_DEBUG_CHECKS
  EXPECT_EQ(calls, 1);
#else
  EXPECT_EQ(calls, 0);
#endif
}

}  // namespace
}  // namespace merlon
