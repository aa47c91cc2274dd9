// SPDX-License-Identifier: Apache-2.0
#include "controlplane/dnssec/keys.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <algorithm>
#include <optional>

#include "controlplane/dnssec/digest.h"
#include "zones/base/assert.h"

namespace merlon::dnssec {
namespace {

constexpr size_t kCoordinateSize = 32;
constexpr uint8_t kUncompressedPoint = 4;
constexpr uint8_t kProtocol = 3;  // RFC 4034 section 2.1.2

template <auto kFree>
struct Free {
  template <class T>
  void operator()(T* object) const {
    kFree(object);
  }
};
using PkeyContext = std::unique_ptr<EVP_PKEY_CTX, Free<EVP_PKEY_CTX_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, Free<EVP_MD_CTX_free>>;
using Bio = std::unique_ptr<BIO, Free<BIO_free_all>>;
using EcSignature = std::unique_ptr<ECDSA_SIG, Free<ECDSA_SIG_free>>;

std::unexpected<Error> openssl_failed(std::string_view what) {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  char text[256] = "no reason given";
  if (code != 0) {
    ERR_error_string_n(code, text, sizeof text);
  }
  return fail(ErrorCode::internal, "{}: {}", what, text);
}

EVP_PKEY* as_pkey(void* pointer) {
  return static_cast<EVP_PKEY*>(pointer);
}

// A prompt on the terminal would hang a service: an encrypted key is one that cannot be read.
int refuse_password(char*, int, int, void*) {
  return -1;
}

}  // namespace

std::string_view to_string(Algorithm algorithm) {
  return algorithm == Algorithm::ed25519 ? "ed25519" : "ecdsa-p256";
}

Result<Algorithm> parse_algorithm(std::string_view text) {
  for (const Algorithm algorithm : {Algorithm::ecdsa_p256, Algorithm::ed25519}) {
    if (text == to_string(algorithm)) {
      return algorithm;
    }
  }
  return fail(ErrorCode::invalid_argument,
              "\"{}\" is no algorithm that Merlon signs with; there are ecdsa-p256 and ed25519",
              text);
}

std::string_view to_string(Role role) {
  return role == Role::ksk ? "ksk" : role == Role::zsk ? "zsk" : "csk";
}

Result<Role> parse_role(std::string_view text) {
  for (const Role role : {Role::ksk, Role::zsk, Role::csk}) {
    if (text == to_string(role)) {
      return role;
    }
  }
  return fail(ErrorCode::invalid_argument, "\"{}\" is no role; there are ksk, zsk and csk", text);
}

void PrivateKey::Deleter::operator()(void* pkey) const {
  EVP_PKEY_free(as_pkey(pkey));
}

Result<PrivateKey> PrivateKey::generate(Algorithm algorithm) {
  PrivateKey key;
  key.algorithm_ = algorithm;
  key.pkey_.reset(algorithm == Algorithm::ed25519
                      ? EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")
                      : EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"));
  if (key.pkey_ == nullptr) {
    return openssl_failed("generate a key");
  }
  if (auto done = key.read_public_key(); !done) {
    return std::unexpected(done.error());
  }
  return key;
}

Result<PrivateKey> PrivateKey::from_pem(std::string_view pem) {
  const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  PrivateKey key;
  key.pkey_.reset(PEM_read_bio_PrivateKey(bio.get(), nullptr, &refuse_password, nullptr));
  if (key.pkey_ == nullptr) {
    return fail(ErrorCode::corruption, "no private key in PEM form: {}",
                openssl_failed("read").error().message);
  }
  const int kind = EVP_PKEY_get_base_id(as_pkey(key.pkey_.get()));
  if (kind != EVP_PKEY_ED25519 && kind != EVP_PKEY_EC) {
    return fail(ErrorCode::unsupported, "a key that is neither Ed25519 nor ECDSA");
  }
  key.algorithm_ = kind == EVP_PKEY_ED25519 ? Algorithm::ed25519 : Algorithm::ecdsa_p256;
  if (auto done = key.read_public_key(); !done) {
    return std::unexpected(done.error());
  }
  return key;
}

Status PrivateKey::read_public_key() {
  EVP_PKEY* const pkey = as_pkey(pkey_.get());
  uint8_t raw[1 + 2 * kCoordinateSize];
  size_t size = sizeof raw;
  if (algorithm_ == Algorithm::ed25519) {
    if (EVP_PKEY_get_raw_public_key(pkey, raw, &size) != 1) {
      return openssl_failed("public key");
    }
    public_key_.assign(raw, raw + size);
    return {};
  }
  char group[64] = "";
  if (EVP_PKEY_get_group_name(pkey, group, sizeof group, nullptr) != 1 ||
      std::string_view(group) != "prime256v1") {
    ERR_clear_error();
    return fail(ErrorCode::unsupported, "an ECDSA key on curve \"{}\", not P-256", group);
  }
  if (EVP_PKEY_get_octet_string_param(pkey, OSSL_PKEY_PARAM_PUB_KEY, raw, sizeof raw, &size) != 1 ||
      size != sizeof raw || raw[0] != kUncompressedPoint) {
    return openssl_failed("public key");
  }
  public_key_.assign(raw + 1, raw + size);
  return {};
}

Result<std::string> PrivateKey::to_pem() const {
  const Bio bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_PKCS8PrivateKey(bio.get(), as_pkey(pkey_.get()), nullptr, nullptr, 0, nullptr,
                                    nullptr) != 1) {
    return openssl_failed("write a private key");
  }
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<size_t>(size));
}

struct KeySigner::Context {
  PkeyContext ecdsa;      // takes a SHA-256 digest
  DigestContext ed25519;  // takes the message
};

KeySigner::KeySigner(const PrivateKey& key) : key_(&key), context_(std::make_unique<Context>()) {
  EVP_PKEY* const pkey = as_pkey(key.pkey_.get());
  if (key.algorithm() == Algorithm::ed25519) {
    context_->ed25519.reset(EVP_MD_CTX_new());
    return;
  }
  context_->ecdsa.reset(EVP_PKEY_CTX_new_from_pkey(nullptr, pkey, nullptr));
  if (context_->ecdsa && EVP_PKEY_sign_init(context_->ecdsa.get()) != 1) {
    context_->ecdsa.reset();
  }
}

KeySigner::KeySigner(KeySigner&& other) noexcept = default;
KeySigner::~KeySigner() = default;

Result<Signature> KeySigner::sign(Bytes data) {
  Signature out;
  if (key_->algorithm() == Algorithm::ed25519) {
    EVP_MD_CTX* const context = context_->ed25519.get();
    size_t size = out.size();
    if (context == nullptr ||
        EVP_DigestSignInit(context, nullptr, nullptr, nullptr, as_pkey(key_->pkey_.get())) != 1 ||
        EVP_DigestSign(context, out.data(), &size, data.data(), data.size()) != 1 ||
        size != out.size()) {
      return openssl_failed("sign with Ed25519");
    }
    return out;
  }
  const Sha256 digest = sha256({data});
  uint8_t der[80];
  size_t size = sizeof der;
  if (context_->ecdsa == nullptr ||
      EVP_PKEY_sign(context_->ecdsa.get(), der, &size, digest.data(), digest.size()) != 1) {
    return openssl_failed("sign with ECDSA");
  }
  // DNS holds r and s side by side (RFC 6605 section 4), OpenSSL gives ASN.1.
  const uint8_t* at = der;
  const EcSignature parsed(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(size)));
  constexpr int kHalf = kCoordinateSize;
  if (parsed == nullptr || BN_bn2binpad(ECDSA_SIG_get0_r(parsed.get()), out.data(), kHalf) < 0 ||
      BN_bn2binpad(ECDSA_SIG_get0_s(parsed.get()), out.data() + kHalf, kHalf) < 0) {
    return openssl_failed("read an ECDSA signature");
  }
  return out;
}

std::vector<uint8_t> dnskey_rdata(uint16_t flags, Algorithm algorithm, Bytes public_key) {
  std::vector<uint8_t> rdata{static_cast<uint8_t>(flags >> 8), static_cast<uint8_t>(flags),
                             kProtocol, static_cast<uint8_t>(algorithm)};
  rdata.insert(rdata.end(), public_key.begin(), public_key.end());
  return rdata;
}

uint16_t key_tag(Bytes dnskey_rdata) {
  uint32_t sum = 0;
  for (size_t i = 0; i < dnskey_rdata.size(); ++i) {
    sum += i % 2 == 0 ? uint32_t{dnskey_rdata[i]} << 8 : dnskey_rdata[i];
  }
  return static_cast<uint16_t>(sum + (sum >> 16));
}

std::vector<uint8_t> ds_rdata(const name::Name& owner, Bytes dnskey_rdata, DigestType digest) {
  MERLON_ASSERT(dnskey_rdata.size() > 4);
  const uint16_t tag = key_tag(dnskey_rdata);
  std::vector<uint8_t> rdata{static_cast<uint8_t>(tag >> 8), static_cast<uint8_t>(tag),
                             dnskey_rdata[3], static_cast<uint8_t>(digest)};
  const name::Name folded = owner.folded();
  if (digest == DigestType::sha384) {
    std::ranges::copy(sha384({folded.wire(), dnskey_rdata}), std::back_inserter(rdata));
  } else {
    std::ranges::copy(sha256({folded.wire(), dnskey_rdata}), std::back_inserter(rdata));
  }
  return rdata;
}

std::string ds_text(const name::Name& owner, Bytes ds_rdata) {
  return fmt::format("{} IN DS {} {} {} {}", owner.to_text(), load_be16(ds_rdata.data()),
                     ds_rdata[2], ds_rdata[3], to_hex(ds_rdata.subspan(4)));
}

std::string dnskey_text(const name::Name& owner, Bytes dnskey_rdata) {
  return fmt::format("{} IN DNSKEY {} {} {} {}", owner.to_text(), load_be16(dnskey_rdata.data()),
                     dnskey_rdata[2], dnskey_rdata[3], to_base64(dnskey_rdata.subspan(4)));
}

}  // namespace merlon::dnssec
