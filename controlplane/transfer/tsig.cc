// SPDX-License-Identifier: Apache-2.0
#include "controlplane/transfer/tsig.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <algorithm>
#include <array>

#include "zones/base/assert.h"
#include "zones/wire/wire.h"

namespace merlon::transfer {
namespace {

constexpr size_t kMacSizeMin = 10;  // RFC 8945 section 5.2.2.1
constexpr size_t kArcountAt = 10;
constexpr int64_t kSweepEveryS = 60;

struct FreeMac {
  void operator()(EVP_MAC_CTX* context) const { EVP_MAC_CTX_free(context); }
};

EVP_MAC* hmac() {
  static EVP_MAC* const mac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  MERLON_ASSERT(mac != nullptr);
  return mac;
}

class Hmac {
 public:
  explicit Hmac(const Key& key) : context_(EVP_MAC_CTX_new(hmac())) {
    const char* digest = key.algorithm == Algorithm::hmac_sha256 ? "SHA256" : "SHA512";
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, const_cast<char*>(digest), 0),
        OSSL_PARAM_construct_end()};
    MERLON_ASSERT(context_ != nullptr && EVP_MAC_init(context_.get(), key.secret.data(),
                                                      key.secret.size(), parameters) == 1);
  }
  void add(Bytes bytes) {
    MERLON_ASSERT(EVP_MAC_update(context_.get(), bytes.data(), bytes.size()) == 1);
  }
  std::vector<uint8_t> finish() {
    std::vector<uint8_t> mac(EVP_MAX_MD_SIZE);
    size_t size = 0;
    MERLON_ASSERT(EVP_MAC_final(context_.get(), mac.data(), &size, mac.size()) == 1);
    mac.resize(size);
    return mac;
  }

 private:
  std::unique_ptr<EVP_MAC_CTX, FreeMac> context_;
};

void put_u16(std::vector<uint8_t>& out, unsigned value) {
  out.push_back(static_cast<uint8_t>(value >> 8));
  out.push_back(static_cast<uint8_t>(value));
}

void put_u48(std::vector<uint8_t>& out, uint64_t value) {
  for (int shift = 40; shift >= 0; shift -= 8) {
    out.push_back(static_cast<uint8_t>(value >> shift));
  }
}

void put_bytes(std::vector<uint8_t>& out, Bytes bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

struct Fields {
  const name::Name& key;
  const name::Name& algorithm;
  uint64_t time = 0;
  uint16_t fudge = 0;
  uint16_t error = 0;
  Bytes other{};
};

// RFC 8945 section 4.3.3, or 5.3.1 for the messages behind the first.
std::vector<uint8_t> variables_of(const Fields& fields, bool timers_only) {
  std::vector<uint8_t> out;
  if (!timers_only) {
    put_bytes(out, fields.key.folded().wire());
    put_u16(out, kClassAny);
    put_u16(out, 0);  // TTL
    put_u16(out, 0);
    put_bytes(out, fields.algorithm.folded().wire());
  }
  put_u48(out, fields.time);
  put_u16(out, fields.fudge);
  if (!timers_only) {
    put_u16(out, fields.error);
    put_u16(out, static_cast<unsigned>(fields.other.size()));
    put_bytes(out, fields.other);
  }
  return out;
}

void append_record(std::vector<uint8_t>& out, size_t start, const Fields& fields, Bytes mac,
                   uint16_t original_id) {
  put_bytes(out, fields.key.wire());
  put_u16(out, wire::type::tsig);
  put_u16(out, kClassAny);
  put_u16(out, 0);
  put_u16(out, 0);
  put_u16(out, static_cast<unsigned>(fields.algorithm.size() + 6 + 2 + 2 + mac.size() + 2 + 2 + 2 +
                                     fields.other.size()));
  put_bytes(out, fields.algorithm.wire());
  put_u48(out, fields.time);
  put_u16(out, fields.fudge);
  put_u16(out, static_cast<unsigned>(mac.size()));
  put_bytes(out, mac);
  put_u16(out, original_id);
  put_u16(out, fields.error);
  put_u16(out, static_cast<unsigned>(fields.other.size()));
  put_bytes(out, fields.other);
  uint8_t* arcount = out.data() + start + kArcountAt;
  store_be16(arcount, static_cast<uint16_t>(load_be16(arcount) + 1));
}

std::vector<uint8_t> mac_of_request(Bytes message, const TsigRecord& tsig, const Key& key) {
  std::array<uint8_t, wire::kHeaderSize> header;
  std::copy_n(message.begin(), header.size(), header.begin());
  store_be16(header.data(), tsig.original_id);
  store_be16(&header[kArcountAt], static_cast<uint16_t>(load_be16(&header[kArcountAt]) - 1));
  Hmac digest(key);
  digest.add(header);
  digest.add(message.subspan(header.size(), tsig.offset - header.size()));
  digest.add(variables_of({.key = tsig.key,
                           .algorithm = tsig.algorithm,
                           .time = tsig.time,
                           .fudge = tsig.fudge,
                           .error = tsig.error,
                           .other = tsig.other},
                          false));
  return digest.finish();
}

bool is_in_time(const TsigRecord& tsig, int64_t now) {
  const int64_t off = static_cast<int64_t>(tsig.time) - now;
  const int64_t allowed = std::min(tsig.fudge, kFudgeMax);
  return -allowed <= off && off <= allowed;
}

uint64_t short_of(Bytes mac) {
  uint64_t value = 0;
  std::memcpy(&value, mac.data(), std::min(mac.size(), sizeof value));
  return value;
}

}  // namespace

std::optional<Algorithm> algorithm_of(std::string_view text) {
  if (text == "hmac-sha256") {
    return Algorithm::hmac_sha256;
  }
  return text == "hmac-sha512" ? std::optional(Algorithm::hmac_sha512) : std::nullopt;
}

const name::Name& name_of(Algorithm algorithm) {
  static const name::Name kNames[] = {*name::Name::from_text("hmac-sha256."),
                                      *name::Name::from_text("hmac-sha512.")};
  return kNames[static_cast<size_t>(algorithm)];
}

size_t mac_size_of(Algorithm algorithm) {
  return algorithm == Algorithm::hmac_sha256 ? 32 : 64;
}

std::string_view to_string(Fault fault) {
  switch (fault) {
    case Fault::none:
      return "";
    case Fault::malformed:
      return "FORMERR";
    case Fault::bad_sig:
      return "BADSIG";
    case Fault::bad_key:
      return "BADKEY";
    case Fault::bad_time:
      return "BADTIME";
    case Fault::bad_trunc:
      return "BADTRUNC";
  }
  return "";
}

Fault verify_request(Bytes message, const TsigRecord& tsig, const Key& key, int64_t now) {
  if (tsig.algorithm != name_of(key.algorithm)) {
    return Fault::bad_key;
  }
  const size_t whole = mac_size_of(key.algorithm);
  if (tsig.mac.size() > whole || tsig.mac.size() < std::max(kMacSizeMin, whole / 2)) {
    return Fault::malformed;
  }
  const std::vector<uint8_t> mac = mac_of_request(message, tsig, key);
  if (CRYPTO_memcmp(mac.data(), tsig.mac.data(), tsig.mac.size()) != 0) {
    return Fault::bad_sig;
  }
  if (!is_in_time(tsig, now)) {
    return Fault::bad_time;
  }
  return tsig.mac.size() < whole ? Fault::bad_trunc : Fault::none;
}

Signer::Signer(KeyPointer key, const TsigRecord& request)
    : key_(std::move(key)),
      mac_(request.mac.begin(), request.mac.end()),
      request_time_(request.time),
      request_fudge_(request.fudge) {}

Signer::Signer(KeyPointer key) : key_(std::move(key)) {}

size_t Signer::size() const {
  return key_->name.size() + 10 + name_of(key_->algorithm).size() + 16 +
         mac_size_of(key_->algorithm);
}

void Signer::append(std::vector<uint8_t>& bytes, size_t start, const Variables& variables) {
  const Fields fields{.key = key_->name,
                      .algorithm = name_of(key_->algorithm),
                      .time = variables.time,
                      .fudge = variables.fudge,
                      .error = static_cast<uint16_t>(variables.fault),
                      .other = variables.other};
  Hmac digest(*key_);
  if (!mac_.empty()) {  // a request has none before it
    std::array<uint8_t, 2> size;
    store_be16(size.data(), static_cast<uint16_t>(mac_.size()));
    digest.add(size);
    digest.add(mac_);
  }
  digest.add(Bytes(bytes).subspan(start));
  digest.add(variables_of(fields, !first_));
  mac_ = digest.finish();
  first_ = false;
  append_record(bytes, start, fields, mac_, load_be16(bytes.data() + start));
}

void Signer::sign(std::vector<uint8_t>& bytes, size_t start, int64_t now) {
  append(bytes, start, {.time = static_cast<uint64_t>(now)});
}

void Signer::sign_fault(std::vector<uint8_t>& bytes, Fault fault, int64_t now) {
  std::vector<uint8_t> time;
  put_u48(time, static_cast<uint64_t>(now));
  const bool is_time = fault == Fault::bad_time;
  append(bytes, 0,
         {.time = is_time ? request_time_ : static_cast<uint64_t>(now),
          .fudge = is_time ? request_fudge_ : kFudge,
          .fault = fault,
          .other = is_time ? Bytes(time) : Bytes()});
}

void append_unsigned_fault(std::vector<uint8_t>& message, const TsigRecord& request, Fault fault) {
  append_record(message, 0,
                {.key = request.key,
                 .algorithm = request.algorithm,
                 .time = request.time,
                 .fudge = request.fudge,
                 .error = static_cast<uint16_t>(fault)},
                {}, load_be16(message.data()));
}

bool ReplayWindow::admit(const Key& key, const TsigRecord& tsig, int64_t now) {
  const uint64_t mac = short_of(tsig.mac);
  const std::lock_guard lock(mutex_);
  const auto forget_old = [now](Seen& seen) {
    while (!seen.by_end.empty() &&
           (seen.by_end.front().first < now || seen.by_end.size() > kPerKeyMax)) {
      seen.macs.erase(seen.by_end.front().second);
      seen.by_end.pop_front();
    }
  };
  if (now - swept_ >= kSweepEveryS) {
    swept_ = now;
    for (auto& [name, seen] : keys_) {
      forget_old(seen);
    }
    std::erase_if(keys_, [](const auto& one) { return one.second.macs.empty(); });
  }
  Seen& seen = keys_[key.name];
  if (!seen.macs.insert(mac).second) {
    return false;
  }
  seen.by_end.emplace_back(now + 2 * int64_t{kFudgeMax}, mac);
  forget_old(seen);
  return true;
}

}  // namespace merlon::transfer
