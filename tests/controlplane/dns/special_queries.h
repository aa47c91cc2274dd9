// SPDX-License-Identifier: Apache-2.0
// Messages that the answer logic leaves to dns::answer_special().
#pragma once

#include <string_view>
#include <vector>

#include "tests/support/snapshot_fixture.h"
#include "zones/wire/wire.h"

namespace merlon::tests {

using SpecialMessage = std::vector<uint8_t>;

inline constexpr uint16_t kTypeIxfr = 251;
inline constexpr uint16_t kTypeAxfr = 252;

inline void append_u16(SpecialMessage& out, unsigned value) {
  out.push_back(static_cast<uint8_t>(value >> 8));
  out.push_back(static_cast<uint8_t>(value));
}
inline void append_u32(SpecialMessage& out, uint32_t value) {
  append_u16(out, value >> 16);
  append_u16(out, value & 0xffff);
}
inline void append_name(SpecialMessage& out, std::string_view text) {
  const name::Name name = *name::Name::from_text(text);
  out.insert(out.end(), name.wire().begin(), name.wire().end());
}
// Owner, fixed part, data.
inline void append_record(SpecialMessage& out, std::string_view owner, unsigned type,
                          unsigned rclass, const SpecialMessage& data) {
  append_name(out, owner);
  append_u16(out, type);
  append_u16(out, rclass);
  append_u32(out, 0);
  append_u16(out, static_cast<unsigned>(data.size()));
  out.insert(out.end(), data.begin(), data.end());
}

inline constexpr std::string_view kTsigTime = "\x00\x00\x65\x43\x21\x00";

// A TSIG record as a client signs with.
inline void append_tsig(SpecialMessage& message, std::string_view key = "Key.Example.",
                        std::string_view algorithm = "hmac-sha256.") {
  SpecialMessage data;
  append_name(data, algorithm);
  const Bytes time = as_bytes({kTsigTime.data(), 6});
  data.insert(data.end(), time.begin(), time.end());
  append_u16(data, 300);
  append_u16(data, 32);
  data.resize(data.size() + 32, 0xaa);
  append_u16(data, 0x1234);
  append_u16(data, 0);
  append_u16(data, 0);
  append_record(message, key, wire::type::tsig, 255, data);
  store_be16(message.data() + 10, static_cast<uint16_t>(load_be16(message.data() + 10) + 1));
}
inline SpecialMessage signed_query(const QuerySpec& spec) {
  SpecialMessage message = make_query(spec);
  append_tsig(message);
  return message;
}

// IXFR from a serial (RFC 1995 section 3). Without EDNS: the SOA stands last.
inline SpecialMessage ixfr_query(std::string_view zone, uint32_t serial, uint16_t id = 0x1234) {
  SpecialMessage message = make_query({.name = zone, .type = kTypeIxfr, .id = id});
  SpecialMessage soa;
  append_name(soa, "ns.invalid.");
  append_name(soa, "hostmaster.invalid.");
  for (const uint32_t value : {serial, 1u, 1u, 1u, 1u}) {
    append_u32(soa, value);
  }
  append_record(message, zone, wire::type::soa, wire::kClassIn, soa);
  store_be16(message.data() + 8, 1);
  return message;
}

}  // namespace merlon::tests
