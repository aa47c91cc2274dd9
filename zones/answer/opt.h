// SPDX-License-Identifier: Apache-2.0
// The OPT record of a reply (RFC 6891): its size, known before the body is chosen, and its bytes.
// Options in the order NSID, COOKIE, TCP-KEEPALIVE, EDE; the record is the message's last.
#pragma once

#include <cstring>

#include "zones/answer/answer.h"
#include "zones/wire/wire.h"

namespace merlon::answer {

inline constexpr size_t kOptFixedSize = 11;
inline constexpr size_t kOptionHeadSize = 4;
inline constexpr size_t kCookieOptionSize = kOptionHeadSize + kClientCookieSize + kServerCookieSize;
inline constexpr size_t kEdeOptionSize = kOptionHeadSize + 2;
inline constexpr size_t kKeepaliveOptionSize = kOptionHeadSize + 2;
static_assert(kOptSizeMax == kOptFixedSize + kOptionHeadSize + Identity::kTextSizeMax +
                                 kCookieOptionSize + kKeepaliveOptionSize + kEdeOptionSize);
// Whatever is asked of whatever body fits a message.
static_assert(wire::kHeaderSize + 259 + snapshot::kBodySizeMax + kOptSizeMax <=
              wire::kMessageSizeMax);

// Strangers are told no more than that they are strangers, so that nothing is gained by asking in
// somebody else's name.
inline Bytes nsid_of(const Query& query, Outcome outcome, const Limits& limits) {
  if (!query.wants_nsid || limits.identity == nullptr || outcome == Outcome::refused_unregistered) {
    return {};
  }
  return limits.identity->nsid();
}

// Over UDP it means nothing (RFC 7828 section 3.3.2).
inline bool tells_keepalive(const Query& query, const Limits& limits) {
  return query.wants_keepalive && limits.transport == Transport::tcp && limits.keepalive != 0;
}

// The options' size. REQUIRES: query.has_edns.
[[gnu::always_inline]] inline size_t options_size(const Query& query, Outcome outcome,
                                                  const Limits& limits) {
  size_t size = query.server_cookie != nullptr ? kCookieOptionSize : 0;
  if (query.wants_nsid) [[unlikely]] {
    const size_t nsid_size = nsid_of(query, outcome, limits).size();
    size += nsid_size != 0 ? kOptionHeadSize + nsid_size : 0;
  }
  if (query.wants_keepalive) [[unlikely]] {
    size += tells_keepalive(query, limits) ? kKeepaliveOptionSize : 0;
  }
  return ede_of(outcome) != kNoEde ? size + kEdeOptionSize : size;
}

[[gnu::always_inline]] inline size_t opt_size(const Query& query, Outcome outcome,
                                              const Limits& limits) {
  return query.has_edns ? kOptFixedSize + options_size(query, outcome, limits) : 0;
}

inline uint8_t* write_option_head(uint8_t* out, uint16_t code, size_t size) {
  store_be16(out, code);
  store_be16(out + 2, static_cast<uint16_t>(size));
  return out + kOptionHeadSize;
}

// Writes opt_size() bytes, `size` of them.
[[gnu::always_inline]] inline void write_opt(const Query& query, Outcome outcome,
                                             const Limits& limits, size_t size, uint8_t* out) {
  if (size == 0) {
    return;
  }
  // Owner, type, class and the TTL's upper half as one store; the second overlaps the first.
  const uint32_t do_bit = query.dnssec_ok ? 0x8000 : 0;  // RFC 3225: DO is copied
  const uint32_t extended = rcode_of(outcome) >> 4;      // version 0 is below it
  const uint64_t head = (uint64_t{wire::type::opt} << 40) | (uint64_t{limits.udp_size_max} << 24) |
                        (uint64_t{extended} << 16) | (do_bit >> 8);
  store_be32(out, static_cast<uint32_t>(head >> 32));
  store_be32(out + 4, static_cast<uint32_t>(head));
  store_be32(out + 7, (do_bit << 16) | static_cast<uint32_t>(size - kOptFixedSize));
  if (size == kOptFixedSize) {
    return;
  }
  uint8_t* at = out + kOptFixedSize;
  const Bytes nsid = nsid_of(query, outcome, limits);
  if (!nsid.empty()) {
    at = write_option_head(at, wire::kOptionNsid, nsid.size());
    std::memcpy(at, nsid.data(), nsid.size());
    at += nsid.size();
  }
  if (query.server_cookie != nullptr) {
    at = write_option_head(at, wire::kOptionCookie, kClientCookieSize + kServerCookieSize);
    std::memcpy(at, query.cookie.data(), kClientCookieSize);
    std::memcpy(at + kClientCookieSize, query.server_cookie, kServerCookieSize);
    at += kClientCookieSize + kServerCookieSize;
  }
  if (tells_keepalive(query, limits)) {
    at = write_option_head(at, wire::kOptionKeepalive, 2);
    store_be16(at, limits.keepalive);
    at += 2;
  }
  if (ede_of(outcome) != kNoEde) {
    at = write_option_head(at, wire::kOptionEde, 2);
    store_be16(at, ede_of(outcome));
  }
}

}  // namespace merlon::answer
