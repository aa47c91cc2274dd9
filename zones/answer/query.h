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

struct Query {
  uint16_t flags = 0;  // as received
  uint16_t qtype = 0;
  uint16_t qclass = 0;
  // Where the question ends in the message; 0 when there is no usable question to repeat.
  uint16_t question_end = 0;
  uint8_t qname_size = 0;
  uint8_t label_count = 0;  // root excluded
  bool has_edns = false;
  bool dnssec_ok = false;
  uint16_t edns_payload_size = 0;
  // Folded; only qname_size bytes are set.
  std::array<uint8_t, name::kWireSizeMax> qname;
  std::array<uint8_t, name::kLabelCountMax + 1> label_offsets;

  Bytes folded_qname() const { return {qname.data(), qname_size}; }
};

enum class Parse : uint8_t {
  good,     // look it up
  decided,  // `outcome` says what to reply or why to drop
};

// Fills what could be parsed, also on failure, so that a reply can repeat the question.
Parse parse_query(Bytes message, Query& query, Outcome& outcome);

}  // namespace merlon::answer
