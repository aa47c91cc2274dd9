// SPDX-License-Identifier: Apache-2.0
#include "zones/name/nsec3.h"

#include <gtest/gtest.h>

#include <string>

#include "zones/name/name.h"

namespace merlon::name {
namespace {

std::string sha1_hex(std::string_view text) {
  return to_hex(sha1(as_bytes(text)));
}

// FIPS 180-4's examples (from its companion page), and the blocks' edges.
TEST(Sha1, GivesTheStandardsDigests) {
  EXPECT_EQ(sha1_hex("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(sha1_hex(""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
  EXPECT_EQ(sha1_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
  EXPECT_EQ(sha1_hex("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmno"
                     "ijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu"),
            "a49b2446a02c645bf419f995b67091253a04a259");
  EXPECT_EQ(sha1_hex(std::string(1'000'000, 'a')), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
}

TEST(Sha1, SuffixIsAsIfItWereInOnePiece) {
  const std::string text(150, 'x');
  for (size_t at = 0; at <= text.size(); ++at) {
    EXPECT_EQ(sha1(as_bytes(text.substr(0, at)), as_bytes(text.substr(at))), sha1(as_bytes(text)));
  }
}

// RFC 5155 appendix A.
TEST(Nsec3Hash, GivesTheHashesOfTheRfc) {
  constexpr std::array<uint8_t, 4> kSalt = {0xaa, 0xbb, 0xcc, 0xdd};
  const auto label_of = [&](std::string_view text) {
    const Name name = *Name::from_text(text);
    std::array<uint8_t, kNsec3LabelSize> label;
    write_nsec3_label(nsec3_hash(name.wire(), {.iterations = 12, .salt = kSalt}), label);
    EXPECT_EQ(label[0], 32);
    return std::string(as_text(Bytes(label).subspan(1)));
  };
  EXPECT_EQ(label_of("example."), "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom");
  EXPECT_EQ(label_of("a.example."), "35mthgpgcu1qg68fab165klnsnk3dpvl");
  EXPECT_EQ(label_of("ns1.example."), "2t7b4g4vsa5smi47k61mv5bv1a22bojr");
  EXPECT_EQ(label_of("*.w.example."), "r53bq7cc2uvmubfu5ocmm6pers9tk9en");
  EXPECT_EQ(label_of("xx.example."), "t644ebqk9bibcna874givr6joj62mlhv");
}

}  // namespace
}  // namespace merlon::name
