// SPDX-License-Identifier: Apache-2.0
#include "controlplane/dnssec/keys.h"

#include <gtest/gtest.h>

#include "tests/controlplane/dnssec/signer_fixture.h"

namespace merlon::dnssec {
namespace {

std::vector<uint8_t> unhex(std::string_view text) {
  std::vector<uint8_t> bytes(text.size() / 2);
  EXPECT_TRUE(from_hex(text, bytes));
  return bytes;
}

constexpr std::string_view kEcdsaKey =
    "1a88c88615d437fbb8bf9e1942a1929f28562706ae6c2bd399e7b1bfb6d1e9e7"
    "5b92b4aa42917ae1c61b701ef035c3fe7be3009cbafe5a2f71316c902dcf0d00";
constexpr std::string_view kEd25519Key =
    "974d96a22d224bc01adb915091477d44ccd91c9a41a11430010117d52c59240e";

// RFC 6605 section 6.1.
TEST(Keys, TagAndDsOfEcdsaAreThoseOfTheRfc) {
  const auto dnskey = dnskey_rdata(257, Algorithm::ecdsa_p256, unhex(kEcdsaKey));
  EXPECT_EQ(key_tag(dnskey), 55648);
  EXPECT_EQ(ds_text(name_of("example.net."),
                    ds_rdata(name_of("Example.NET."), dnskey, DigestType::sha256)),
            "example.net. IN DS 55648 13 2 "
            "b4c8c1fe2e7477127b27115656ad6256f424625bf5c1e2770ce6d6e37df61d17");
  EXPECT_TRUE(
      ds_text(name_of("example.net."),
              ds_rdata(name_of("example.net."), dnskey, DigestType::sha384))
          .starts_with("example.net. IN DS 55648 13 4 3be4b980b34443e569255f4a347d4c8e8e18de75"));
  EXPECT_EQ(dnskey_text(name_of("example.net."), dnskey),
            "example.net. IN DNSKEY 257 3 13 GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64c"
            "Ybc"
            "B7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==");
}

// RFC 8080 section 6.1.
TEST(Keys, TagAndDsOfEd25519AreThoseOfTheRfc) {
  const auto dnskey = dnskey_rdata(257, Algorithm::ed25519, unhex(kEd25519Key));
  EXPECT_EQ(key_tag(dnskey), 3613);
  EXPECT_EQ(ds_text(name_of("example.com."),
                    ds_rdata(name_of("example.com."), dnskey, DigestType::sha256)),
            "example.com. IN DS 3613 15 2 "
            "3aa5ab37efce57f737fc1627013fee07bdf241bd10f3b1964ab55c78e79a304b");
}

TEST(Keys, PemKeepsTheKey) {
  for (const Algorithm algorithm : {Algorithm::ecdsa_p256, Algorithm::ed25519}) {
    const auto key = PrivateKey::generate(algorithm);
    ASSERT_TRUE(key.has_value());
    const auto pem = key->to_pem();
    ASSERT_TRUE(pem.has_value());
    EXPECT_TRUE(pem->starts_with("-----BEGIN PRIVATE KEY-----"));  // PKCS#8
    const auto again = PrivateKey::from_pem(*pem);
    ASSERT_TRUE(again.has_value()) << again.error().message;
    EXPECT_EQ(again->algorithm(), algorithm);
    EXPECT_TRUE(std::ranges::equal(again->public_key(), key->public_key()));
  }
}

TEST(Keys, TextThatIsNoKeyIsRefused) {
  const auto refused = PrivateKey::from_pem("-----BEGIN PRIVATE KEY-----\nAAAA\n");
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::corruption);
}

}  // namespace
}  // namespace merlon::dnssec
