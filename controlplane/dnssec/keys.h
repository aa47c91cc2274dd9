// SPDX-License-Identifier: Apache-2.0
// Private keys (by OpenSSL, whose types stay in keys.cc) and what is made of the public half:
// DNSKEY, DS and their text for a customer's trust anchor.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "zones/base/bytes.h"
#include "zones/base/error.h"
#include "zones/name/name.h"

namespace merlon::dnssec {

// RFC 8624: the two that every validator knows or will, with signatures of 64 bytes.
enum class Algorithm : uint8_t { ecdsa_p256 = 13, ed25519 = 15 };
std::string_view to_string(Algorithm algorithm);
Result<Algorithm> parse_algorithm(std::string_view text);  // "ecdsa-p256", "ed25519"

// A key-signing key signs the DNSKEY RRset and is what a DS names; a zone-signing key signs the
// rest; a combined one does both.
enum class Role : uint8_t { ksk, zsk, csk };
std::string_view to_string(Role role);
Result<Role> parse_role(std::string_view text);
// Flags of the DNSKEY: ZONE, and SEP for what a trust anchor may name (RFC 4034 section 2.1.1).
constexpr uint16_t flags_of(Role role) {
  return role == Role::zsk ? 256 : 257;
}

inline constexpr size_t kSignatureSize = 64;
using Signature = std::array<uint8_t, kSignatureSize>;

// Movable; safe to read from any thread.
class PrivateKey {
 public:
  static Result<PrivateKey> generate(Algorithm algorithm);
  // PKCS#8 in PEM. Errors: corruption; unsupported for other algorithms.
  static Result<PrivateKey> from_pem(std::string_view pem);
  Result<std::string> to_pem() const;

  Algorithm algorithm() const { return algorithm_; }
  // As a DNSKEY holds it (RFC 6605 section 4, RFC 8080 section 3).
  Bytes public_key() const { return public_key_; }

 private:
  struct Deleter {
    void operator()(void* pkey) const;
  };
  friend class KeySigner;
  Status read_public_key();

  std::unique_ptr<void, Deleter> pkey_;
  Algorithm algorithm_ = Algorithm::ecdsa_p256;
  std::vector<uint8_t> public_key_;
};

// What one thread needs to sign with a key, which must outlive it. Not thread-safe.
class KeySigner {
 public:
  explicit KeySigner(const PrivateKey& key);
  KeySigner(KeySigner&& other) noexcept;
  ~KeySigner();

  Result<Signature> sign(Bytes data);

 private:
  struct Context;
  const PrivateKey* key_;
  std::unique_ptr<Context> context_;
};

std::vector<uint8_t> dnskey_rdata(uint16_t flags, Algorithm algorithm, Bytes public_key);
uint16_t key_tag(Bytes dnskey_rdata);  // RFC 4034 appendix B

enum class DigestType : uint8_t { sha256 = 2, sha384 = 4 };
std::vector<uint8_t> ds_rdata(const name::Name& owner, Bytes dnskey_rdata, DigestType digest);

// One line of a zone file each, without TTL: what goes into a trust anchor file or to the parent.
std::string ds_text(const name::Name& owner, Bytes ds_rdata);
std::string dnskey_text(const name::Name& owner, Bytes dnskey_rdata);

}  // namespace merlon::dnssec
