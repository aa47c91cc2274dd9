// SPDX-License-Identifier: Apache-2.0
#include "controlplane/policy/protected_set.h"

#include <fmt/format.h>

#include <array>
#include <vector>

#include "zones/base/assert.h"

namespace merlon::policy {
namespace {

// parse_prefix() reads this one as IPv4 (that is what a mapped address stands for), but here the
// IPv6 space itself is meant.
constexpr std::string_view kMappedText = "::ffff:0:0/96";
constexpr address::AnyPrefix kMappedPrefix{address::Family::v6, 96, address::Bits6{0xffff} << 32};

constexpr auto kEntries = std::to_array<ProtectedEntry>({
    {"0.0.0.0/8", "this network, RFC 1122"},
    {"10.0.0.0/8", "private use, RFC 1918"},
    {"100.64.0.0/10", "shared space of carrier-grade NAT, RFC 6598"},
    {"127.0.0.0/8", "loopback, RFC 1122"},
    {"169.254.0.0/16", "link-local, RFC 3927"},
    {"172.16.0.0/12", "private use, RFC 1918"},
    {"192.0.0.0/24", "IETF protocol assignments, RFC 6890"},
    {"192.0.2.0/24", "documentation, RFC 5737"},
    {"192.31.196.0/24", "AS112 sink for reverse names, RFC 7535"},
    {"192.88.99.0/24", "6to4 relay anycast, RFC 7526"},
    {"192.168.0.0/16", "private use, RFC 1918"},
    {"192.175.48.0/24", "AS112 sink for reverse names, RFC 7534"},
    {"198.18.0.0/15", "benchmarking, RFC 2544"},
    {"198.51.100.0/24", "documentation, RFC 5737"},
    {"203.0.113.0/24", "documentation, RFC 5737"},
    {"224.0.0.0/4", "multicast, RFC 5771"},
    {"240.0.0.0/4", "reserved and broadcast, RFC 1112 and RFC 8190"},

    {"::/128", "unspecified address, RFC 4291"},
    {"::1/128", "loopback, RFC 4291"},
    {kMappedText, "IPv4-mapped addresses, RFC 4291"},
    {"64:ff9b::/96", "IPv4/IPv6 translation, RFC 6052"},
    {"64:ff9b:1::/48", "IPv4/IPv6 translation inside a network, RFC 8215"},
    {"100::/64", "discard-only, RFC 6666"},
    {"2001:1::/32", "IETF protocol assignments, RFC 2928"},
    {"2001:2::/48", "benchmarking, RFC 5180"},
    {"2001:2::/31", "IETF protocol assignments, RFC 2928"},
    {"2001:4::/30", "IETF protocol assignments, RFC 2928"},
    {"2001:4:112::/48", "AS112 sink for reverse names, RFC 7535"},
    {"2001:8::/29", "IETF protocol assignments, RFC 2928"},
    {"2001:10::/28", "ORCHID, RFC 4843"},
    {"2001:20::/28", "ORCHIDv2, RFC 7343"},
    {"2001:20::/27", "IETF protocol assignments, RFC 2928"},
    {"2001:40::/26", "IETF protocol assignments, RFC 2928"},
    {"2001:80::/25", "IETF protocol assignments, RFC 2928"},
    {"2001:100::/24", "IETF protocol assignments, RFC 2928"},
    {"2001:db8::/32", "documentation, RFC 3849"},
    {"2620:4f:8000::/48", "AS112 sink for reverse names, RFC 7534"},
    {"3fff::/20", "documentation, RFC 9637"},
    {"fc00::/7", "unique local, RFC 4193"},
    {"fe80::/10", "link-local, RFC 4291"},
    {"fec0::/10", "site-local (deprecated), RFC 3879"},
    {"ff00::/8", "multicast, RFC 4291"},

    {"198.41.0.4", "root name server a"},
    {"2001:503:ba3e::2:30", "root name server a"},
    {"170.247.170.2", "root name server b"},
    {"2801:1b8:10::b", "root name server b"},
    {"192.33.4.12", "root name server c"},
    {"2001:500:2::c", "root name server c"},
    {"199.7.91.13", "root name server d"},
    {"2001:500:2d::d", "root name server d"},
    {"192.203.230.10", "root name server e"},
    {"2001:500:a8::e", "root name server e"},
    {"192.5.5.241", "root name server f"},
    {"2001:500:2f::f", "root name server f"},
    {"192.112.36.4", "root name server g"},
    {"2001:500:12::d0d", "root name server g"},
    {"198.97.190.53", "root name server h"},
    {"2001:500:1::53", "root name server h"},
    {"192.36.148.17", "root name server i"},
    {"2001:7fe::53", "root name server i"},
    {"192.58.128.30", "root name server j"},
    {"2001:503:c27::2:30", "root name server j"},
    {"193.0.14.129", "root name server k"},
    {"2001:7fd::1", "root name server k"},
    {"199.7.83.42", "root name server l"},
    {"2001:500:9f::42", "root name server l"},
    {"202.12.27.33", "root name server m"},
    {"2001:dc3::35", "root name server m"},

    {"8.8.8.8", "public resolver, Google"},
    {"8.8.4.4", "public resolver, Google"},
    {"2001:4860:4860::8888", "public resolver, Google"},
    {"2001:4860:4860::8844", "public resolver, Google"},
    {"1.1.1.1", "public resolver, Cloudflare"},
    {"1.0.0.1", "public resolver, Cloudflare"},
    {"2606:4700:4700::1111", "public resolver, Cloudflare"},
    {"2606:4700:4700::1001", "public resolver, Cloudflare"},
    {"9.9.9.9", "public resolver, Quad9"},
    {"149.112.112.112", "public resolver, Quad9"},
    {"2620:fe::fe", "public resolver, Quad9"},
    {"2620:fe::9", "public resolver, Quad9"},
    {"208.67.222.222", "public resolver, OpenDNS"},
    {"208.67.220.220", "public resolver, OpenDNS"},
    {"2620:119:35::35", "public resolver, OpenDNS"},
    {"2620:119:53::53", "public resolver, OpenDNS"},
});

address::IpSet build_set() {
  std::vector<address::Range<address::Bits4>> v4;
  std::vector<address::Range<address::Bits6>> v6;
  for (const ProtectedEntry& entry : kEntries) {
    const address::AnyPrefix prefix = prefix_of(entry);
    if (prefix.family == address::Family::v4) {
      v4.push_back(prefix.v4().range());
    } else {
      v6.push_back(prefix.v6().range());
    }
  }
  return {address::RangeSet4::from_unsorted(std::move(v4)),
          address::RangeSet6::from_unsorted(std::move(v6))};
}

}  // namespace

std::span<const ProtectedEntry> protected_entries() {
  return kEntries;
}

address::AnyPrefix prefix_of(const ProtectedEntry& entry) {
  if (entry.prefix == kMappedText) {
    return kMappedPrefix;
  }
  bool host_bits_set = false;
  const auto prefix = address::parse_prefix(entry.prefix, &host_bits_set);
  MERLON_ASSERT(prefix.has_value() && !host_bits_set);
  return *prefix;
}

const address::IpSet& protected_addresses() {
  static const address::IpSet set = build_set();
  return set;
}

std::string protected_by(const address::Address& address) {
  if (!protected_addresses().contains(address)) {
    return "";
  }
  const ProtectedEntry* narrowest = nullptr;
  int narrowest_length = -1;
  for (const ProtectedEntry& entry : kEntries) {
    const address::AnyPrefix prefix = prefix_of(entry);
    if (prefix.contains(address) && prefix.length > narrowest_length) {
      narrowest = &entry;
      narrowest_length = prefix.length;
    }
  }
  MERLON_ASSERT(narrowest != nullptr);
  return fmt::format("{}: {}", narrowest->prefix, narrowest->reason);
}

std::string protected_within(const address::AnyRange& range) {
  const bool v4 = range.family == address::Family::v4;
  if (v4 ? !protected_addresses().v4.overlaps(range.v4())
         : !protected_addresses().v6.overlaps(range.v6())) {
    return "";
  }
  const ProtectedEntry* widest = nullptr;
  int widest_length = address::kWidth<address::Bits6> + 1;
  for (const ProtectedEntry& entry : kEntries) {
    const address::AnyPrefix prefix = prefix_of(entry);
    if (prefix.family != range.family || prefix.length >= widest_length) {
      continue;
    }
    const address::Bits6 last = v4 ? prefix.v4().range().last : prefix.v6().range().last;
    if (prefix.bits <= range.last && range.first <= last) {
      widest = &entry;
      widest_length = prefix.length;
    }
  }
  MERLON_ASSERT(widest != nullptr);
  return fmt::format("{}: {}", widest->prefix, widest->reason);
}

}  // namespace merlon::policy
