// SPDX-License-Identifier: Apache-2.0
// IPv4 and IPv6 addresses, prefixes and ranges as plain numbers in host order, most significant
// bit first on the wire. The set algebra (range_set.h) is written once over the width of the
// number: Bits4 or Bits6. Parsing is strict: dotted quads have four decimal octets without
// leading zeros (109.230.155.061 is refused as ambiguous, never read as octal), and an
// IPv4-mapped IPv6 address (::ffff:a.b.c.d) is the IPv4 address it stands for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

namespace merlon::address {

using Bits4 = uint32_t;
__extension__ typedef unsigned __int128 Bits6;

template <class Bits>
inline constexpr int kWidth = static_cast<int>(sizeof(Bits) * 8);
template <class Bits>
inline constexpr Bits kAllOnes = static_cast<Bits>(~Bits{0});

enum class Family : uint8_t { v4 = 4, v6 = 6 };

// Why a text is not an address, prefix or range. One list gives enum, name and explanation.
#define MERLON_ADDRESS_FAULTS(X)                                                            \
  X(not_an_address, "is not an IP address, prefix or range")                                \
  X(leading_zero, "has an octet with a leading zero, which may be octal or decimal")        \
  X(octet_too_large, "has an octet above 255")                                              \
  X(bad_prefix_length, "has a prefix length that is not a number within the address width") \
  X(bad_netmask, "has a netmask that is not a run of ones followed by zeros")               \
  X(range_reversed, "is a range whose end is below its start")                              \
  X(families_differ, "is a range with one IPv4 and one IPv6 end")

enum class Fault : uint8_t {
#define MERLON_X(name, text) name,
  MERLON_ADDRESS_FAULTS(MERLON_X)
#undef MERLON_X
};
std::string_view to_string(Fault fault);  // the enumerator's name
std::string_view explain(Fault fault);    // a predicate: "<text> is not an IP address"

template <class T>
using Parsed = std::expected<T, Fault>;

struct Address {
  Family family = Family::v4;
  Bits6 bits = 0;  // an IPv4 address sits in the low 32 bits

  static Address v4(Bits4 bits) { return {Family::v4, bits}; }
  static Address v6(Bits6 bits) { return {Family::v6, bits}; }
  bool operator==(const Address&) const = default;
};

template <class Bits>
struct Range {
  Bits first = 0;
  Bits last = 0;  // inclusive, so that the whole space has a value
  bool operator==(const Range&) const = default;
};

template <class Bits>
constexpr Bits host_mask(int length) {
  return length == 0
             ? kAllOnes<Bits>
             : static_cast<Bits>(
                   length >= kWidth<Bits> ? Bits{0} : static_cast<Bits>(kAllOnes<Bits> >> length));
}

// A CIDR prefix; the host bits are zero.
template <class Bits>
struct Prefix {
  Bits bits = 0;
  uint8_t length = 0;

  constexpr Range<Bits> range() const {
    return {bits, static_cast<Bits>(bits | host_mask<Bits>(length))};
  }
  bool operator==(const Prefix&) const = default;
};

// A prefix of either family.
struct AnyPrefix {
  Family family = Family::v4;
  uint8_t length = 0;
  Bits6 bits = 0;

  Prefix<Bits4> v4() const { return {static_cast<Bits4>(bits), length}; }
  Prefix<Bits6> v6() const { return {bits, length}; }
  bool contains(const Address& address) const;
  bool operator==(const AnyPrefix&) const = default;
};

// A range of either family.
struct AnyRange {
  Family family = Family::v4;
  Bits6 first = 0;
  Bits6 last = 0;

  Range<Bits4> v4() const { return {static_cast<Bits4>(first), static_cast<Bits4>(last)}; }
  Range<Bits6> v6() const { return {first, last}; }
  bool operator==(const AnyRange&) const = default;
};

Parsed<Bits4> parse_v4(std::string_view text);
Parsed<Address> parse_address(std::string_view text);
// "a.b.c.d/n", "a.b.c.d/m.m.m.m", "v6/n" or a bare address (full length). Host bits are cleared;
// *host_bits_set (when given) says whether there were any.
Parsed<AnyPrefix> parse_prefix(std::string_view text, bool* host_bits_set = nullptr);
// A prefix or address as above, or "first-last" with optional blanks around the dash.
Parsed<AnyRange> parse_range(std::string_view text, bool* host_bits_set = nullptr);

std::string to_text(const Address& address);   // RFC 5952 for IPv6
std::string to_text(const AnyPrefix& prefix);  // "192.0.2.1" or "192.0.2.0/24"
std::string to_text_v4(Bits4 bits);
std::string to_text_v6(Bits6 bits);
std::string to_text(const Range<Bits4>& range);  // an address, a prefix, or "first-last"
std::string to_text(const Range<Bits6>& range);

// Network byte order, 4 or 16 bytes.
void store_network(Bits4 bits, uint8_t* out);
void store_network(Bits6 bits, uint8_t* out);
Bits4 load_network_v4(const uint8_t* in);
Bits6 load_network_v6(const uint8_t* in);

// Calls use(Prefix<Bits>) for the fewest prefixes that cover exactly this range, in order.
template <class Bits, class Use>
void for_each_prefix(Range<Bits> range, Use&& use) {
  Bits at = range.first;
  while (true) {
    int length = kWidth<Bits>;
    while (length > 0) {  // at most kWidth steps: widen while aligned and inside
      const Bits mask = host_mask<Bits>(length - 1);
      if ((at & mask) != 0 || (at | mask) > range.last) {
        break;
      }
      --length;
    }
    use(Prefix<Bits>{at, static_cast<uint8_t>(length)});
    const Bits end = static_cast<Bits>(at | host_mask<Bits>(length));
    if (end >= range.last) {
      return;
    }
    at = static_cast<Bits>(end + 1);
  }
}

}  // namespace merlon::address
