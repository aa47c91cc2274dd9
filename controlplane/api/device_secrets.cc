// SPDX-License-Identifier: Apache-2.0
#include "controlplane/api/device_secrets.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <array>
#include <vector>

#include "zones/base/bytes.h"

namespace merlon::api {
namespace {

constexpr size_t kTokenSize = 32;

}  // namespace

Result<std::string> random_base64(size_t size) {
  std::vector<uint8_t> bytes(size);
  if (RAND_bytes(bytes.data(), static_cast<int>(size)) != 1) {
    return fail(ErrorCode::internal, "OpenSSL has no random bytes to give");
  }
  std::vector<uint8_t> text(4 * ((size + 2) / 3) + 1);
  const int written = EVP_EncodeBlock(text.data(), bytes.data(), static_cast<int>(size));
  return std::string(text.begin(), text.begin() + written);
}

Result<std::string> random_token() {
  auto text = random_base64(kTokenSize);
  if (!text) {
    return text;
  }
  text->erase(text->find_last_not_of('=') + 1);
  for (char& c : *text) {
    c = c == '+' ? '-' : c == '/' ? '_' : c;
  }
  return text;
}

Result<std::string> digest_of_token(std::string_view token) {
  std::array<uint8_t, 32> digest{};
  unsigned size = 0;
  if (EVP_Digest(token.data(), token.size(), digest.data(), &size, EVP_sha256(), nullptr) != 1 ||
      size != digest.size()) {
    return fail(ErrorCode::internal, "OpenSSL cannot compute SHA-256");
  }
  return to_hex(digest);
}

}  // namespace merlon::api
