// SPDX-License-Identifier: Apache-2.0
#include "controlplane/dnssec/sign.h"

#include <algorithm>
#include <cstring>

namespace merlon::dnssec {
namespace {

constexpr size_t kFixedHead = 18;
constexpr size_t kTimesAt = 8;
constexpr size_t kTimesSize = 8;

}  // namespace

Validity validity_from(int64_t now, const SignatureTimes& times, Bytes spread) {
  uint64_t number = 0;
  for (size_t i = 0; i < std::min<size_t>(8, spread.size()); ++i) {
    number = number << 8 | spread[i];
  }
  const auto room = static_cast<uint64_t>(std::max<int64_t>(times.validity_s / 4, 1));
  const auto earlier = static_cast<int64_t>(number % room);
  return {.inception = static_cast<uint32_t>(now - times.inception_back_s),
          .expiration = static_cast<uint32_t>(now + times.validity_s - earlier)};
}

std::vector<uint8_t> rrsig_head(const CanonicalRrset& rrset, const name::Name& apex,
                                const SigningKey& key, const Validity& validity) {
  std::vector<uint8_t> head(kFixedHead);
  store_be16(head.data(), rrset.type);
  head[2] = static_cast<uint8_t>(key.key->algorithm());
  head[3] = rrset.labels;
  store_be32(head.data() + 4, rrset.ttl);
  store_be32(head.data() + kTimesAt, validity.expiration);
  store_be32(head.data() + kTimesAt + 4, validity.inception);
  store_be16(head.data() + 16, key.tag);
  const Bytes signer = apex.wire();
  head.insert(head.end(), signer.begin(), signer.end());
  return head;
}

Result<std::vector<uint8_t>> make_rrsig(const CanonicalRrset& rrset, const name::Name& apex,
                                        const SigningKey& key, const Validity& validity,
                                        KeySigner& signer) {
  std::vector<uint8_t> head = rrsig_head(rrset, apex, key, validity);
  std::vector<uint8_t> data;
  data.reserve(head.size() + rrset.bytes.size());
  data.insert(data.end(), head.begin(), head.end());
  data.insert(data.end(), rrset.bytes.begin(), rrset.bytes.end());
  const auto signature = signer.sign(data);
  if (!signature) {
    return std::unexpected(signature.error());
  }
  head.insert(head.end(), signature->begin(), signature->end());
  return head;
}

Validity validity_of(Bytes rrsig) {
  return {.inception = load_be32(rrsig.data() + kTimesAt + 4),
          .expiration = load_be32(rrsig.data() + kTimesAt)};
}

Sha256 cache_key(const CanonicalRrset& rrset, const name::Name& apex, const SigningKey& key) {
  return sha256({rrset.digest, apex.wire(), key.dnskey});
}

bool is_reusable(Bytes rrsig, const CanonicalRrset& rrset, const name::Name& apex,
                 const SigningKey& key, const SignatureTimes& times, int64_t now) {
  const std::vector<uint8_t> head = rrsig_head(rrset, apex, key, {});
  if (rrsig.size() != head.size() + kSignatureSize ||
      !std::ranges::equal(rrsig.first(kTimesAt), Bytes(head).first(kTimesAt)) ||
      !std::ranges::equal(rrsig.subspan(kTimesAt + kTimesSize, head.size() - kTimesAt - kTimesSize),
                          Bytes(head).subspan(kTimesAt + kTimesSize))) {
    return false;
  }
  // Serial number arithmetic (RFC 4034 section 3.1.5).
  const Validity validity = validity_of(rrsig);
  const auto now32 = static_cast<uint32_t>(now);
  const auto left = static_cast<int32_t>(validity.expiration - now32);
  const auto age = static_cast<int32_t>(now32 - validity.inception);
  return age >= 0 && left >= times.renew_before_s() && left <= times.validity_s;
}

}  // namespace merlon::dnssec
