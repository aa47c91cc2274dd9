// SPDX-License-Identifier: Apache-2.0
// A request as far as transfers need it: question, the client's serial, EDNS, TSIG.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "zones/base/bytes.h"
#include "zones/name/name.h"

namespace merlon::transfer {

inline constexpr uint16_t kTypeIxfr = 251;
inline constexpr uint16_t kTypeAxfr = 252;
inline constexpr uint16_t kClassAny = 255;
inline constexpr unsigned kOpcodeQuery = 0;
inline constexpr unsigned kOpcodeNotify = 4;
inline constexpr unsigned kOpcodeShift = 11;

// RFC 8945 section 4.2. The views are into the message.
struct TsigRecord {
  size_t offset = 0;  // where the record begins in the message
  name::Name key;     // as it was sent
  name::Name algorithm;
  uint64_t time = 0;  // Unix seconds, 48 bits
  uint16_t fudge = 0;
  Bytes mac;
  uint16_t original_id = 0;
  uint16_t error = 0;
  Bytes other;
};

struct Message {
  uint16_t id = 0;
  uint16_t flags = 0;
  size_t question_end = 0;  // 0: not one whole, uncompressed question
  name::Name qname;
  uint16_t qtype = 0;
  uint16_t qclass = 0;
  uint16_t authority_count = 0;
  std::optional<uint32_t> client_serial;  // of an SOA of qname in the authority section
  bool has_edns = false;
  uint8_t edns_version = 0;
  uint16_t edns_payload_size = 0;
  bool dnssec_ok = false;
  std::optional<TsigRecord> tsig;  // the last record, if it is one

  unsigned opcode() const { return (flags & 0x7800u) >> kOpcodeShift; }
  bool is_transfer() const {
    return opcode() == kOpcodeQuery && (qtype == kTypeAxfr || qtype == kTypeIxfr);
  }
};

// False when the message is malformed, TSIG that is not the last record included.
bool read_message(Bytes message, Message& out);

// The message as it was before it was signed. REQUIRES: `read` is of it, with TSIG.
std::vector<uint8_t> without_tsig(Bytes message, const Message& read);

}  // namespace merlon::transfer
