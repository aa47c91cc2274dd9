// SPDX-License-Identifier: Apache-2.0
#include "controlplane/fetch/destination.h"

#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>
#include <vector>

namespace merlon::fetch {
namespace {

using address::Address;
using address::AnyPrefix;
using address::Bits4;
using address::Bits6;
using address::Family;

// What is not public of the IPv4 space (IANA's special-purpose registry), and metadata services
// that live at public addresses.
constexpr std::string_view kRefused4[] = {
    "0.0.0.0/8",      "10.0.0.0/8",     "100.64.0.0/10", "127.0.0.0/8",
    "169.254.0.0/16", "172.16.0.0/12",  "192.0.0.0/24",  "192.0.2.0/24",
    "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24",
    "203.0.113.0/24", "224.0.0.0/4",    "240.0.0.0/4",   "168.63.129.16"};  // Azure's
// Of IPv6 only this is public, without what follows.
constexpr std::string_view kGlobal6 = "2000::/3";
constexpr std::string_view kRefused6[] = {"2001:2::/48", "2001:10::/28", "2001:db8::/32",
                                          "3fff::/20"};
// Prefixes with an IPv4 address inside: where its lowest bit is, counted from the right.
struct Carrier {
  std::string_view prefix;
  int shift;
  Bits4 flip;  // Teredo writes the address with its bits turned over
};
constexpr Carrier kCarriers[] = {
    {"::ffff:0:0:0/96", 0, 0},                   // translated, RFC 2765
    {"64:ff9b::/96", 0, 0},                      // NAT64
    {"2002::/16", 80, 0},                        // 6to4
    {"2001::/32", 0, address::kAllOnes<Bits4>},  // Teredo
};

AnyPrefix prefix_of(std::string_view text) {
  return address::parse_prefix(text).value();
}

bool is_public4(Bits4 bits) {
  static const std::vector<AnyPrefix> kPrefixes = [] {
    std::vector<AnyPrefix> prefixes;
    for (const std::string_view text : kRefused4) {
      prefixes.push_back(prefix_of(text));
    }
    return prefixes;
  }();
  const Address address = Address::v4(bits);
  return std::none_of(kPrefixes.begin(), kPrefixes.end(),
                      [&](const AnyPrefix& prefix) { return prefix.contains(address); });
}

bool is_public6(const Address& address) {
  for (const Carrier& carrier : kCarriers) {
    if (prefix_of(carrier.prefix).contains(address)) {
      return is_public4(static_cast<Bits4>(address.bits >> carrier.shift) ^ carrier.flip);
    }
  }
  return prefix_of(kGlobal6).contains(address) &&
         std::none_of(std::begin(kRefused6), std::end(kRefused6),
                      [&](std::string_view text) { return prefix_of(text).contains(address); });
}

// nullopt: neither IPv4 nor IPv6.
std::optional<Address> address_of(const sockaddr& socket_address) {
  if (socket_address.sa_family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, &socket_address, sizeof in);
    return Address::v4(ntohl(in.sin_addr.s_addr));
  }
  if (socket_address.sa_family == AF_INET6) {
    sockaddr_in6 in{};
    std::memcpy(&in, &socket_address, sizeof in);
    Bits6 bits = 0;
    for (const uint8_t byte : in.sin6_addr.s6_addr) {
      bits = bits << 8 | byte;
    }
    if (bits >> 32 == 0xffff) {  // mapped: it is the IPv4 address
      return Address::v4(static_cast<Bits4>(bits));
    }
    return Address::v6(bits);
  }
  return std::nullopt;
}

}  // namespace

bool is_public(const Address& address) {
  return address.family == Family::v4 ? is_public4(static_cast<Bits4>(address.bits))
                                      : is_public6(address);
}

bool is_public(const sockaddr& socket_address) {
  const auto address = address_of(socket_address);
  return address && is_public(*address);
}

std::string to_text(const sockaddr& socket_address) {
  const auto address = address_of(socket_address);
  return address ? address::to_text(*address) : "an address of an unknown family";
}

}  // namespace merlon::fetch
