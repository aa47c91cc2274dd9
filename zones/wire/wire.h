// SPDX-License-Identifier: Apache-2.0
// DNS message constants (RFC 1035, 5001, 6891, 7873, 8914) and cursors that cannot leave their
// buffer: after the first failure a reader returns zeros and moves nothing, a writer writes
// nothing, and one ok() at the end tells. Reading and writing are separate types.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "zones/base/bytes.h"
#include "zones/name/name.h"

namespace merlon::wire {

inline constexpr size_t kHeaderSize = 12;
inline constexpr size_t kMessageSizeMax = 65535;
inline constexpr size_t kUdpSizeWithoutEdns = 512;
inline constexpr int kPointerHopsMax = 16;
inline constexpr uint16_t kOwnerIsQname = 0xC00C;  // compression pointer to the question's name

struct Header {
  Be16 id;
  Be16 flags;
  Be16 question_count;
  Be16 answer_count;
  Be16 authority_count;
  Be16 additional_count;
};
static_assert(sizeof(Header) == kHeaderSize && alignof(Header) == 1);

namespace flag {
inline constexpr uint16_t qr = 0x8000;
inline constexpr uint16_t opcode_mask = 0x7800;
inline constexpr uint16_t aa = 0x0400;
inline constexpr uint16_t tc = 0x0200;
inline constexpr uint16_t rd = 0x0100;
inline constexpr uint16_t ra = 0x0080;
inline constexpr uint16_t ad = 0x0020;
inline constexpr uint16_t cd = 0x0010;
inline constexpr uint16_t rcode_mask = 0x000f;
}  // namespace flag

namespace rcode {
inline constexpr uint16_t noerror = 0;
inline constexpr uint16_t formerr = 1;
inline constexpr uint16_t servfail = 2;
inline constexpr uint16_t nxdomain = 3;
inline constexpr uint16_t notimp = 4;
inline constexpr uint16_t refused = 5;
inline constexpr uint16_t notauth = 9;
inline constexpr uint16_t badvers = 16;
inline constexpr uint16_t badcookie = 23;
}  // namespace rcode

namespace type {
inline constexpr uint16_t a = 1;
inline constexpr uint16_t ns = 2;
inline constexpr uint16_t cname = 5;
inline constexpr uint16_t soa = 6;
inline constexpr uint16_t ptr = 12;
inline constexpr uint16_t mx = 15;
inline constexpr uint16_t txt = 16;
inline constexpr uint16_t aaaa = 28;
inline constexpr uint16_t srv = 33;
inline constexpr uint16_t dname = 39;
inline constexpr uint16_t opt = 41;
inline constexpr uint16_t apl = 42;
inline constexpr uint16_t ds = 43;
inline constexpr uint16_t rrsig = 46;
inline constexpr uint16_t nsec = 47;
inline constexpr uint16_t dnskey = 48;
inline constexpr uint16_t nsec3 = 50;
inline constexpr uint16_t nsec3param = 51;
inline constexpr uint16_t cds = 59;
inline constexpr uint16_t cdnskey = 60;
inline constexpr uint16_t zonemd = 63;
inline constexpr uint16_t tkey = 249;
inline constexpr uint16_t tsig = 250;
inline constexpr uint16_t any = 255;
}  // namespace type

// A type of which a zone can hold records: not 0, OPT or one of the query and meta types 128-255
// (RFC 6895 section 3.1).
constexpr bool is_data_type(uint16_t type) {
  return type != 0 && type != type::opt && (type < 128 || type > 255);
}

inline constexpr uint16_t kClassIn = 1;
inline constexpr uint16_t kClassChaos = 3;
inline constexpr uint16_t kOptionNsid = 3;  // RFC 5001
inline constexpr uint16_t kOptionKeepalive = 11;
inline constexpr uint16_t kOptionCookie = 10;  // RFC 7873
inline constexpr uint16_t kOptionEde = 15;     // RFC 8914
inline constexpr uint16_t kEdeProhibited = 18;
inline constexpr uint16_t kEdeNotAuthoritative = 20;
inline constexpr uint16_t kEdeNotSupported = 21;

// "A", "TXT", or "TYPE65280" (RFC 3597).
std::string type_to_text(uint16_t type);

class Reader {
 public:
  explicit Reader(Bytes bytes) : bytes_(bytes) {}

  uint8_t u8();
  uint16_t u16();
  uint32_t u32();
  Bytes bytes(size_t count);  // empty after failure
  void skip(size_t count);
  // A name that may use compression; pointers must point backwards, at most kPointerHopsMax of
  // them. Returns the root after failure.
  name::Name name();

  bool ok() const { return ok_; }
  size_t offset() const { return at_; }
  size_t remaining() const { return bytes_.size() - at_; }
  void fail() { ok_ = false; }

 private:
  bool take(size_t count);

  Bytes bytes_;
  size_t at_ = 0;
  bool ok_ = true;
};

class Writer {
 public:
  explicit Writer(MutableBytes room) : room_(room) {}

  void u8(uint8_t value);
  void u16(uint16_t value);
  void u32(uint32_t value);
  void bytes(Bytes bytes);
  void name(const name::Name& name) { bytes(name.wire()); }
  // Overwrites two bytes written before. REQUIRES: at + 2 <= size().
  void patch_u16(size_t at, uint16_t value);

  bool ok() const { return ok_; }
  size_t size() const { return at_; }
  Bytes written() const { return {room_.data(), at_}; }

 private:
  bool take(size_t count);

  MutableBytes room_;
  size_t at_ = 0;
  bool ok_ = true;
};

// The one's complement sum of 16-bit big-endian words (RFC 1071), folded to 16 bits, not inverted.
// An odd last byte counts as the high byte of a word.
uint16_t checksum_partial(Bytes bytes);

}  // namespace merlon::wire
