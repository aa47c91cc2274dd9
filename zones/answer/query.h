// SPDX-License-Identifier: Apache-2.0
// The query parser of the packet path: one pass over the message, no allocation, trusting nothing
// but the message's length. It is fuzzed against a second parser written with wire::Reader.
#pragma once

#include <array>
#include <cstdint>

#include "zones/answer/outcome.h"
#include "zones/base/bytes.h"
#include "zones/name/name.h"

namespace merlon::answer {

inline constexpr size_t kClientCookieSize = 8;
// What is kept of a query's server cookie, and what one of ours has (RFC 9018).
inline constexpr size_t kServerCookieSize = 16;

// Ordered so that a query with a short name touches two cache lines.
struct alignas(64) Query {
  uint16_t flags = 0;  // as received
  uint16_t qtype = 0;
  uint16_t qclass = 0;
  // Where the question ends in the message; 0 when there is no usable question to repeat.
  uint16_t question_end = 0;
  uint16_t edns_payload_size = 0;
  uint8_t qname_size = 0;
  uint8_t label_count = 0;  // root excluded
  bool has_edns = false;
  bool dnssec_ok = false;
  bool wants_nsid = false;
  bool wants_keepalive = false;  // an empty TCP-KEEPALIVE; one that is not empty is passed over
  // As received: 0 (none), 8 (client cookie only) or 16 to 40.
  uint8_t cookie_size = 0;
  // Set by who checks cookies, between parsing and deciding, when cookie_size != 0: whether the
  // cookie proves the source, and the server cookie to send back (kServerCookieSize bytes; nullptr:
  // no COOKIE option).
  bool cookie_valid = false;
  // RA, when who asks may have names of others looked up; set by who knows, before deciding.
  uint16_t subject_flags = 0;
  const uint8_t* server_cookie = nullptr;
  // Client cookie, then up to kServerCookieSize bytes of the server's; only
  // min(cookie_size, size()) bytes are set. A copy: the reply is composed over the message.
  std::array<uint8_t, kClientCookieSize + kServerCookieSize> cookie;
  std::array<uint8_t, name::kLabelCountMax + 1> label_offsets;
  // Folded; only qname_size bytes are set.
  alignas(64) std::array<uint8_t, name::kWireSizeMax> qname;

  Bytes folded_qname() const { return {qname.data(), qname_size}; }
};

enum class Parse : uint8_t {
  good,     // look it up
  decided,  // `outcome` says what to reply or why to drop
};

// Fills what could be parsed, also on failure, so that a reply can repeat the question.
Parse parse_query(Bytes message, Query& query, Outcome& outcome);

}  // namespace merlon::answer
