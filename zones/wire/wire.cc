// SPDX-License-Identifier: Apache-2.0
#include "zones/wire/wire.h"

#include <fmt/format.h>

#include <array>
#include <cstring>

#include "zones/base/assert.h"
#include "zones/base/checksum.h"

namespace merlon::wire {

std::string type_to_text(uint16_t type) {
  switch (type) {
    case type::a:
      return "A";
    case type::ns:
      return "NS";
    case type::cname:
      return "CNAME";
    case type::soa:
      return "SOA";
    case type::ptr:
      return "PTR";
    case type::mx:
      return "MX";
    case type::txt:
      return "TXT";
    case type::aaaa:
      return "AAAA";
    case type::srv:
      return "SRV";
    case type::dname:
      return "DNAME";
    case type::opt:
      return "OPT";
    case type::apl:
      return "APL";
    case type::ds:
      return "DS";
    case type::rrsig:
      return "RRSIG";
    case type::nsec:
      return "NSEC";
    case type::dnskey:
      return "DNSKEY";
    case type::nsec3:
      return "NSEC3";
    case type::nsec3param:
      return "NSEC3PARAM";
    case type::cds:
      return "CDS";
    case type::cdnskey:
      return "CDNSKEY";
    case type::zonemd:
      return "ZONEMD";
    case type::any:
      return "ANY";
    default:
      return fmt::format("TYPE{}", type);
  }
}

bool Reader::take(size_t count) {
  if (ok_ && count <= bytes_.size() - at_) {
    at_ += count;
    return true;
  }
  ok_ = false;
  return false;
}

uint8_t Reader::u8() {
  return take(1) ? bytes_[at_ - 1] : uint8_t{0};
}
uint16_t Reader::u16() {
  return take(2) ? load_be16(bytes_.data() + at_ - 2) : uint16_t{0};
}
uint32_t Reader::u32() {
  return take(4) ? load_be32(bytes_.data() + at_ - 4) : uint32_t{0};
}
void Reader::skip(size_t count) {
  take(count);
}

Bytes Reader::bytes(size_t count) {
  return take(count) ? bytes_.subspan(at_ - count, count) : Bytes{};
}

name::Name Reader::name() {
  std::array<uint8_t, name::kWireSizeMax> wire;
  size_t size = 0;
  size_t at = at_;
  size_t behind = 0;    // where reading goes on; 0 until known
  size_t lowest = at_;  // pointers must go below every place visited, so a loop cannot close
  for (int hops = 0; ok_;) {
    if (at >= bytes_.size()) {
      break;
    }
    const size_t length = bytes_[at];
    if ((length & 0xC0) == 0xC0) {
      if (at + 1 >= bytes_.size() || ++hops > kPointerHopsMax) {
        break;
      }
      const size_t target = ((length & 0x3F) << 8) | bytes_[at + 1];
      if (behind == 0) {
        behind = at + 2;
      }
      if (target >= lowest) {
        break;
      }
      lowest = target;
      at = target;
      continue;
    }
    if (length > name::kLabelSizeMax || length + 1 > bytes_.size() - at ||
        length + 1 > wire.size() - size) {
      break;
    }
    std::memcpy(wire.data() + size, bytes_.data() + at, length + 1);
    size += length + 1;
    at += length + 1;
    if (length == 0) {
      auto name = name::Name::from_wire({wire.data(), size});
      MERLON_ASSERT(name.has_value());
      at_ = behind == 0 ? at : behind;
      return *name;
    }
  }
  ok_ = false;
  return {};
}

bool Writer::take(size_t count) {
  if (ok_ && count <= room_.size() - at_) {
    at_ += count;
    return true;
  }
  ok_ = false;
  return false;
}

void Writer::u8(uint8_t value) {
  if (take(1)) {
    room_[at_ - 1] = value;
  }
}

void Writer::u16(uint16_t value) {
  if (take(2)) {
    store_be16(room_.data() + at_ - 2, value);
  }
}

void Writer::u32(uint32_t value) {
  if (take(4)) {
    store_be32(room_.data() + at_ - 4, value);
  }
}

void Writer::bytes(Bytes bytes) {
  if (take(bytes.size()) && !bytes.empty()) {
    std::memcpy(room_.data() + at_ - bytes.size(), bytes.data(), bytes.size());
  }
}

void Writer::patch_u16(size_t at, uint16_t value) {
  if (ok_) {
    MERLON_ASSERT(at_ >= 2 && at <= at_ - 2);
    store_be16(room_.data() + at, value);
  }
}

uint16_t checksum_partial(Bytes bytes) {
  return __builtin_bswap16(checksum::fold(checksum::sum(bytes)));
}

}  // namespace merlon::wire
