// SPDX-License-Identifier: Apache-2.0
#include "controlplane/dnssec/digest.h"

#include <openssl/evp.h>

#include <memory>
#include <string>

#include "zones/base/assert.h"

namespace merlon::dnssec {
namespace {

// Algorithms are fetched once and contexts kept per thread: OpenSSL 3 spends more on finding SHA-1
// than on hashing a name with it.
template <class Out>
Out digest(const EVP_MD* method, std::initializer_list<Bytes> parts) {
  thread_local const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(
      EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  Out out;
  unsigned size = 0;
  bool good = EVP_DigestInit_ex2(context.get(), method, nullptr) == 1;
  for (const Bytes part : parts) {
    good = good && EVP_DigestUpdate(context.get(), part.data(), part.size()) == 1;
  }
  good = good && EVP_DigestFinal_ex(context.get(), out.data(), &size) == 1;
  MERLON_ASSERT(good && size == out.size());
  return out;
}

const EVP_MD* fetched(const char* name) {
  const EVP_MD* method = EVP_MD_fetch(nullptr, name, nullptr);
  MERLON_ASSERT(method != nullptr);
  return method;
}

}  // namespace

Sha1 sha1(std::initializer_list<Bytes> parts) {
  static const EVP_MD* const method = fetched("SHA1");
  return digest<Sha1>(method, parts);
}

Sha256 sha256(std::initializer_list<Bytes> parts) {
  static const EVP_MD* const method = fetched("SHA256");
  return digest<Sha256>(method, parts);
}

Sha384 sha384(std::initializer_list<Bytes> parts) {
  static const EVP_MD* const method = fetched("SHA384");
  return digest<Sha384>(method, parts);
}

std::string to_base64(Bytes bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), bytes.data(),
                                   static_cast<int>(bytes.size()));
  text.resize(static_cast<size_t>(size));
  return text;
}

std::string to_base32hex(Bytes bytes) {
  constexpr std::string_view kDigits = "0123456789abcdefghijklmnopqrstuv";
  std::string text;
  unsigned held = 0;
  int bits = 0;
  for (const uint8_t byte : bytes) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text.push_back(kDigits[(held >> bits) & 31]);
    }
  }
  if (bits > 0) {
    text.push_back(kDigits[(held << (5 - bits)) & 31]);
  }
  return text;
}

}  // namespace merlon::dnssec
