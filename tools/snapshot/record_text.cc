// SPDX-License-Identifier: Apache-2.0
#include "tools/snapshot/record_text.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>
#include <optional>

#include "zones/address/address.h"
#include "zones/name/name.h"
#include "zones/wire/wire.h"

namespace merlon::tools::snapshot {
namespace {

namespace type = wire::type;

std::string base64(Bytes bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    uint32_t group = uint32_t{bytes[i]} << 16;
    group |= count > 1 ? uint32_t{bytes[i + 1]} << 8 : 0;
    group |= count > 2 ? uint32_t{bytes[i + 2]} : 0;
    for (size_t digit = 0; digit < 4; ++digit) {
      text.push_back(digit <= count ? kDigits[(group >> (18 - 6 * digit)) & 63] : '=');
    }
  }
  return text;
}

// Reads what it is asked for; the caller looks at `reader` at the end.
class Texts {
 public:
  explicit Texts(Bytes data) : reader_(data) {}

  bool is_whole() const { return reader_.ok() && reader_.remaining() == 0; }
  std::string name() { return reader_.name().to_text(); }
  unsigned u8() { return reader_.u8(); }
  unsigned u16() { return reader_.u16(); }
  uint32_t u32() { return reader_.u32(); }
  std::string type() { return wire::type_to_text(reader_.u16()); }
  Bytes rest() { return reader_.bytes(reader_.remaining()); }
  Bytes counted() { return reader_.bytes(reader_.u8()); }

  std::string time() {
    const time_t seconds = reader_.u32();
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    return fmt::format("{:%Y%m%d%H%M%S}", parts);
  }

  std::string strings() {
    std::string text;
    while (reader_.ok() && reader_.remaining() > 0) {
      text += text.empty() ? "\"" : " \"";
      for (const uint8_t byte : counted()) {
        if (byte == '"' || byte == '\\') {
          text += fmt::format("\\{:c}", byte);
        } else {
          text += byte >= 0x20 && byte < 0x7f ? std::string(1, static_cast<char>(byte))
                                              : fmt::format("\\{:03}", byte);
        }
      }
      text += '"';
    }
    return text;
  }

  std::string types() {
    std::string text;
    while (reader_.ok() && reader_.remaining() > 0) {
      const unsigned window = reader_.u8();
      const Bytes bits = counted();
      for (unsigned i = 0; i < bits.size() * 8; ++i) {
        if ((bits[i / 8] & (0x80 >> (i % 8))) != 0) {
          text += " " + wire::type_to_text(static_cast<uint16_t>(window << 8 | i));
        }
      }
    }
    return text;
  }

  std::string prefixes() {
    std::string text;
    while (reader_.ok() && reader_.remaining() > 0) {
      const uint16_t family = reader_.u16();
      const unsigned length = reader_.u8();
      const unsigned negated_and_size = reader_.u8();
      const Bytes part = reader_.bytes(negated_and_size & 0x7f);
      uint8_t address[16] = {};
      if (part.size() > (family == 1 ? 4u : 16u) || family == 0 || family > 2) {
        reader_.fail();
        return "";
      }
      std::ranges::copy(part, address);
      text += fmt::format("{}{}{}:{}/{}", text.empty() ? "" : " ",
                          (negated_and_size & 0x80) != 0 ? "!" : "", family,
                          family == 1 ? address::to_text_v4(address::load_network_v4(address))
                                      : address::to_text_v6(address::load_network_v6(address)),
                          length);
    }
    return text;
  }

 private:
  wire::Reader reader_;
};

std::string rrsig_text(Texts& in) {
  std::string text = in.type();
  text += fmt::format(" {}", in.u8());
  text += fmt::format(" {}", in.u8());
  text += fmt::format(" {}", in.u32());
  text += fmt::format(" {}", in.time());
  text += fmt::format(" {}", in.time());
  text += fmt::format(" {}", in.u16());
  text += fmt::format(" {}", in.name());
  return text + " " + base64(in.rest());
}

// `count` numbers of 16 bits, then a name.
std::string numbers_and_name(Texts& in, int count) {
  std::string text;
  for (int i = 0; i < count; ++i) {
    text += fmt::format("{} ", in.u16());
  }
  return text + in.name();
}

// 16 bits, 8, 8.
std::string key_numbers(Texts& in) {
  std::string text = fmt::format("{}", in.u16());
  text += fmt::format(" {}", in.u8());
  text += fmt::format(" {} ", in.u8());
  return text;
}

std::string nsec3_head(Texts& in) {
  std::string text = fmt::format("{}", in.u8());
  text += fmt::format(" {}", in.u8());
  text += fmt::format(" {} ", in.u16());
  const Bytes salt = in.counted();
  return text + (salt.empty() ? "-" : to_hex(salt));
}

std::string soa_text(Texts& in) {
  std::string text = in.name();
  text += " " + in.name();
  for (int i = 0; i < 5; ++i) {
    text += fmt::format(" {}", in.u32());
  }
  return text;
}

std::optional<std::string> own_form(uint16_t rrtype, Texts& in) {
  switch (rrtype) {
    case type::ns:
    case type::cname:
    case type::dname:
    case type::ptr:
      return in.name();
    case type::soa:
      return soa_text(in);
    case type::mx:
      return numbers_and_name(in, 1);
    case type::srv:
      return numbers_and_name(in, 3);
    case type::txt:
      return in.strings();
    case type::apl:
      return in.prefixes();
    case type::ds:
    case type::cds: {
      const std::string numbers = key_numbers(in);
      return numbers + to_hex(in.rest());
    }
    case type::dnskey:
    case type::cdnskey: {
      const std::string numbers = key_numbers(in);
      return numbers + base64(in.rest());
    }
    case type::rrsig:
      return rrsig_text(in);
    case type::nsec: {
      const std::string next = in.name();
      return next + in.types();
    }
    case type::nsec3: {
      std::string text = nsec3_head(in);
      text += " " + base32hex(in.counted());
      return text + in.types();
    }
    case type::nsec3param:
      return nsec3_head(in);
    default:
      return std::nullopt;
  }
}

}  // namespace

std::string base32hex(Bytes bytes) {
  constexpr std::string_view kDigits = "0123456789abcdefghijklmnopqrstuv";
  std::string text;
  unsigned held = 0;
  int bits = 0;
  for (const uint8_t byte : bytes) {
    held = (held << 8 | byte) & 0xffff;
    for (bits += 8; bits >= 5; bits -= 5) {
      text.push_back(kDigits[(held >> (bits - 5)) & 31]);
    }
  }
  if (bits > 0) {
    text.push_back(kDigits[(held << (5 - bits)) & 31]);
  }
  return text;
}

std::string zone_file_data(uint16_t rrtype, Bytes data) {
  if (rrtype == type::a && data.size() == 4) {
    return address::to_text_v4(address::load_network_v4(data.data()));
  }
  if (rrtype == type::aaaa && data.size() == 16) {
    return address::to_text_v6(address::load_network_v6(data.data()));
  }
  Texts in(data);
  if (const auto text = own_form(rrtype, in); text && in.is_whole()) {
    return *text;
  }
  return fmt::format("\\# {} {}", data.size(), to_hex(data));
}

}  // namespace merlon::tools::snapshot
