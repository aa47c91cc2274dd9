// SPDX-License-Identifier: Apache-2.0
#include "zones/address/address.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <array>
#include <cstring>

namespace merlon::address {
namespace {

constexpr std::string_view kDigits = "0123456789";
constexpr Bits6 kMappedPrefix = Bits6{0xffff} << 32;  // ::ffff:0:0/96

// A decimal number of at most three digits; no sign, no blank.
std::optional<unsigned> parse_small(std::string_view text) {
  if (text.empty() || text.size() > 3 ||
      text.find_first_not_of(kDigits) != std::string_view::npos) {
    return std::nullopt;
  }
  unsigned value = 0;
  for (const char c : text) {
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  return value;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) {
    text.remove_prefix(1);
  }
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) {
    text.remove_suffix(1);
  }
  return text;
}

Parsed<Bits6> parse_v6(std::string_view text) {
  std::array<char, INET6_ADDRSTRLEN + 1> buffer{};
  if (text.size() >= buffer.size()) {
    return std::unexpected(Fault::not_an_address);
  }
  std::memcpy(buffer.data(), text.data(), text.size());
  std::array<uint8_t, 16> bytes{};
  // An embedded NUL would end the C string early and hide what follows it.
  if (text.find('\0') != std::string_view::npos ||
      inet_pton(AF_INET6, buffer.data(), bytes.data()) != 1) {
    return std::unexpected(Fault::not_an_address);
  }
  return load_network_v6(bytes.data());
}

Parsed<uint8_t> parse_length(std::string_view text, int width) {
  const auto value = parse_small(text);
  if (!value || *value > static_cast<unsigned>(width) || (text.size() > 1 && text[0] == '0')) {
    return std::unexpected(Fault::bad_prefix_length);
  }
  return static_cast<uint8_t>(*value);
}

Parsed<uint8_t> parse_netmask(std::string_view text) {
  const auto mask = parse_v4(text);
  if (!mask) {
    return std::unexpected(Fault::bad_netmask);
  }
  const Bits4 inverted = ~*mask;
  if ((inverted & (inverted + 1)) != 0) {
    return std::unexpected(Fault::bad_netmask);
  }
  return static_cast<uint8_t>(__builtin_popcount(*mask));
}

AnyRange to_range(const AnyPrefix& prefix) {
  if (prefix.family == Family::v4) {
    const auto range = prefix.v4().range();
    return {Family::v4, range.first, range.last};
  }
  const auto range = prefix.v6().range();
  return {Family::v6, range.first, range.last};
}

template <class Bits>
std::string range_to_text(const Range<Bits>& range, std::string (*one)(Bits)) {
  int count = 0;
  Prefix<Bits> only;
  for_each_prefix(range, [&](Prefix<Bits> prefix) {
    ++count;
    only = prefix;
  });
  if (count != 1) {
    return fmt::format("{}-{}", one(range.first), one(range.last));
  }
  return only.length == kWidth<Bits> ? one(only.bits)
                                     : fmt::format("{}/{}", one(only.bits), only.length);
}

}  // namespace

std::string_view to_string(Fault fault) {
  switch (fault) {
#define MERLON_X(name, text) \
  case Fault::name:          \
    return #name;
    MERLON_ADDRESS_FAULTS(MERLON_X)
#undef MERLON_X
  }
  return "not_an_address";
}

std::string_view explain(Fault fault) {
  switch (fault) {
#define MERLON_X(name, text) \
  case Fault::name:          \
    return text;
    MERLON_ADDRESS_FAULTS(MERLON_X)
#undef MERLON_X
  }
  return "is not an IP address";
}

Parsed<Bits4> parse_v4(std::string_view text) {
  // One pass: three facts per octet (value, digits, leading zero). The faults matter: a list with
  // "061" is a list whose author meant something, and we do not guess what.
  Bits4 bits = 0;
  unsigned octets = 0;
  size_t at = 0;
  Fault fault = Fault::not_an_address;
  bool faulty = false;
  while (true) {
    unsigned value = 0;
    size_t digits = 0;
    const bool zero_first = at < text.size() && text[at] == '0';
    while (at < text.size() && text[at] >= '0' && text[at] <= '9' && digits < 4) {
      value = value * 10 + static_cast<unsigned>(text[at] - '0');
      ++digits;
      ++at;
    }
    if (digits == 0 || digits == 4) {
      return std::unexpected(Fault::not_an_address);
    }
    if (!faulty && digits > 1 && zero_first) {
      fault = Fault::leading_zero;
      faulty = true;
    } else if (!faulty && value > 255) {
      fault = Fault::octet_too_large;
      faulty = true;
    }
    bits = (bits << 8) | (value & 0xff);
    ++octets;
    if (at == text.size()) {
      break;
    }
    if (text[at] != '.' || octets == 4) {
      return std::unexpected(Fault::not_an_address);
    }
    ++at;
  }
  if (octets != 4) {
    return std::unexpected(Fault::not_an_address);
  }
  if (faulty) {
    return std::unexpected(fault);
  }
  return bits;
}

Parsed<Address> parse_address(std::string_view text) {
  if (text.find(':') == std::string_view::npos) {
    const auto bits = parse_v4(text);
    if (!bits) {
      return std::unexpected(bits.error());
    }
    return Address::v4(*bits);
  }
  const auto bits = parse_v6(text);
  if (!bits) {
    return std::unexpected(bits.error());
  }
  if ((*bits >> 32) == (kMappedPrefix >> 32)) {
    return Address::v4(static_cast<Bits4>(*bits));
  }
  return Address::v6(*bits);
}

Parsed<AnyPrefix> parse_prefix(std::string_view text, bool* host_bits_set) {
  const size_t slash = text.find('/');
  const auto address = parse_address(text.substr(0, slash));
  if (!address) {
    return std::unexpected(address.error());
  }
  // ::ffff:a.b.c.d/n counts n from the IPv6 side.
  const bool mapped = address->family == Family::v4 && text.find(':') < slash;
  const int width = address->family == Family::v4 ? 32 : 128;
  AnyPrefix prefix{address->family, static_cast<uint8_t>(width), address->bits};
  if (slash != std::string_view::npos) {
    const std::string_view tail = text.substr(slash + 1);
    Parsed<uint8_t> length = std::unexpected(Fault::bad_prefix_length);
    if (mapped) {
      length = parse_length(tail, 128);
      if (length && *length < 96) {
        return std::unexpected(Fault::bad_prefix_length);
      }
      if (length) {
        length = static_cast<uint8_t>(*length - 96);
      }
    } else if (width == 32 && tail.find('.') != std::string_view::npos) {
      length = parse_netmask(tail);
    } else {
      length = parse_length(tail, width);
    }
    if (!length) {
      return std::unexpected(length.error());
    }
    prefix.length = *length;
  }
  const Bits6 mask =
      width == 32 ? Bits6{host_mask<Bits4>(prefix.length)} : host_mask<Bits6>(prefix.length);
  if (host_bits_set != nullptr) {
    *host_bits_set = (prefix.bits & mask) != 0;
  }
  prefix.bits &= ~mask;
  return prefix;
}

Parsed<AnyRange> parse_range(std::string_view text, bool* host_bits_set) {
  const size_t dash = text.find('-');
  if (dash == std::string_view::npos) {
    const auto prefix = parse_prefix(text, host_bits_set);
    if (!prefix) {
      return std::unexpected(prefix.error());
    }
    return to_range(*prefix);
  }
  if (host_bits_set != nullptr) {
    *host_bits_set = false;
  }
  const auto first = parse_address(trim(text.substr(0, dash)));
  if (!first) {
    return std::unexpected(first.error());
  }
  const auto last = parse_address(trim(text.substr(dash + 1)));
  if (!last) {
    return std::unexpected(last.error());
  }
  if (first->family != last->family) {
    return std::unexpected(Fault::families_differ);
  }
  if (last->bits < first->bits) {
    return std::unexpected(Fault::range_reversed);
  }
  return AnyRange{first->family, first->bits, last->bits};
}

bool AnyPrefix::contains(const Address& address) const {
  if (address.family != family) {
    return false;
  }
  if (family == Family::v4) {
    const auto range = v4().range();
    return address.bits >= range.first && address.bits <= range.last;
  }
  const auto range = v6().range();
  return address.bits >= range.first && address.bits <= range.last;
}

void store_network(Bits4 bits, uint8_t* out) {
  for (int i = 0; i < 4; ++i) {
    out[i] = static_cast<uint8_t>(bits >> (24 - 8 * i));
  }
}

void store_network(Bits6 bits, uint8_t* out) {
  for (int i = 0; i < 16; ++i) {
    out[i] = static_cast<uint8_t>(bits >> (120 - 8 * i));
  }
}

Bits4 load_network_v4(const uint8_t* in) {
  Bits4 bits = 0;
  for (int i = 0; i < 4; ++i) {
    bits = (bits << 8) | in[i];
  }
  return bits;
}

Bits6 load_network_v6(const uint8_t* in) {
  Bits6 bits = 0;
  for (int i = 0; i < 16; ++i) {
    bits = (bits << 8) | in[i];
  }
  return bits;
}

std::string to_text_v4(Bits4 bits) {
  return fmt::format("{}.{}.{}.{}", bits >> 24, (bits >> 16) & 255, (bits >> 8) & 255, bits & 255);
}

std::string to_text_v6(Bits6 bits) {
  // inet_ntop writes ::1:0 as ::0.1.0.0, taking it for an IPv4-compatible address, a form that RFC
  // 4291 gave up; RFC 5952 keeps dotted quads for prefixes that are known to hold them.
  if ((bits >> 32) == 0 && (bits >> 16) != 0) {
    return fmt::format("::{:x}:{:x}", static_cast<unsigned>(bits >> 16),
                       static_cast<unsigned>(bits & 0xffff));
  }
  std::array<uint8_t, 16> bytes{};
  store_network(bits, bytes.data());
  std::array<char, INET6_ADDRSTRLEN> text{};
  return inet_ntop(AF_INET6, bytes.data(), text.data(), text.size());
}

std::string to_text(const Address& address) {
  return address.family == Family::v4 ? to_text_v4(static_cast<Bits4>(address.bits))
                                      : to_text_v6(address.bits);
}

std::string to_text(const AnyPrefix& prefix) {
  const int width = prefix.family == Family::v4 ? 32 : 128;
  const std::string text = to_text(Address{prefix.family, prefix.bits});
  return prefix.length == width ? text : fmt::format("{}/{}", text, prefix.length);
}

std::string to_text(const Range<Bits4>& range) {
  return range_to_text<Bits4>(range, &to_text_v4);
}
std::string to_text(const Range<Bits6>& range) {
  return range_to_text<Bits6>(range, &to_text_v6);
}

}  // namespace merlon::address
