// SPDX-License-Identifier: Apache-2.0
#include "controlplane/policy/protected_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace merlon::policy {
namespace {

using address::Address;
using address::Bits4;
using address::Bits6;
using address::Family;

Address at(const char* text) {
  const auto parsed = address::parse_address(text);
  EXPECT_TRUE(parsed.has_value()) << text;
  return parsed.value_or(Address{});
}

// Membership by asking every entry, without the range algebra.
bool naive_protected(const Address& address) {
  const auto entries = protected_entries();
  return std::any_of(entries.begin(), entries.end(), [&](const ProtectedEntry& entry) {
    return prefix_of(entry).contains(address);
  });
}

// First and last address of every entry and the ones just outside.
std::vector<Address> edges() {
  std::vector<Address> all{Address::v4(0), Address::v4(~Bits4{0}), Address::v6(0),
                           Address::v6(~Bits6{0})};
  for (const ProtectedEntry& entry : protected_entries()) {
    const address::AnyPrefix prefix = prefix_of(entry);
    if (prefix.family == Family::v4) {
      const auto range = prefix.v4().range();
      for (const Bits4 bits : {range.first - 1, range.first, range.last, range.last + 1}) {
        all.push_back(Address::v4(bits));
      }
    } else {
      const auto range = prefix.v6().range();
      for (const Bits6 bits : {range.first - 1, range.first, range.last, range.last + 1}) {
        all.push_back(Address::v6(bits));
      }
    }
  }
  return all;
}

TEST(ProtectedSet, EveryEntryIsAPrefixWithoutHostBitsAndHasAReason) {
  for (const ProtectedEntry& entry : protected_entries()) {
    prefix_of(entry);  // asserts
    EXPECT_FALSE(entry.reason.empty()) << entry.prefix;
  }
}

TEST(ProtectedSet, NoEntryIsThereTwice) {
  const auto entries = protected_entries();
  for (size_t i = 0; i < entries.size(); ++i) {
    for (size_t k = 0; k < i; ++k) {
      EXPECT_FALSE(prefix_of(entries[i]) == prefix_of(entries[k])) << entries[i].prefix;
    }
  }
}

TEST(ProtectedSet, UnionAgreesWithTheTableAtEveryEdge) {
  for (const Address& address : edges()) {
    const bool expected = naive_protected(address);
    EXPECT_EQ(protected_addresses().contains(address), expected) << address::to_text(address);
    EXPECT_EQ(!protected_by(address).empty(), expected) << address::to_text(address);
  }
}

TEST(ProtectedSet, SubtractionIsExactAtEveryEdge) {
  address::IpSet everything;
  everything.v4 = address::RangeSet4::from_unsorted({{0, ~Bits4{0}}});
  everything.v6 = address::RangeSet6::from_unsorted({{0, ~Bits6{0}}});
  const address::IpSet rest = everything.minus(protected_addresses());
  for (const Address& address : edges()) {
    EXPECT_EQ(rest.contains(address), !naive_protected(address)) << address::to_text(address);
  }
  EXPECT_TRUE(rest.intersected(protected_addresses()).empty());
  EXPECT_EQ(rest.united(protected_addresses()), everything);
}

TEST(ProtectedSet, ListedNetworkKeepsItsNeighboursOfAResolver) {
  address::IpSet listed;
  listed.v4 = address::RangeSet4::from_unsorted({{0x08080800, 0x080808ff}});
  const address::IpSet rest = listed.minus(protected_addresses());
  EXPECT_TRUE(rest.v4.address_count() == 255);
  EXPECT_FALSE(rest.contains(at("8.8.8.8")));
  EXPECT_TRUE(rest.contains(at("8.8.8.7")));
  EXPECT_TRUE(rest.contains(at("8.8.8.9")));
}

TEST(ProtectedSet, SaysWhichEntryAndWhy) {
  EXPECT_EQ(protected_by(at("10.1.2.3")), "10.0.0.0/8: private use, RFC 1918");
  EXPECT_EQ(protected_by(at("9.9.9.9")), "9.9.9.9: public resolver, Quad9");
  EXPECT_EQ(protected_by(at("198.41.0.4")), "198.41.0.4: root name server a");
  EXPECT_EQ(protected_by(at("2001:db8::1")), "2001:db8::/32: documentation, RFC 3849");
  EXPECT_EQ(protected_by(Address::v6((Bits6{0xffff} << 32) | 0x01020304)),
            "::ffff:0:0/96: IPv4-mapped addresses, RFC 4291");
  EXPECT_EQ(protected_by(at("203.0.114.1")), "");
  EXPECT_EQ(protected_by(at("2a00:1450:4001::1")), "");
}

TEST(ProtectedSet, NarrowestOfSeveralEntriesIsNamed) {
  EXPECT_EQ(protected_by(at("2001:2::1")), "2001:2::/48: benchmarking, RFC 5180");
  EXPECT_EQ(protected_by(at("2001:2:1::1")), "2001:2::/31: IETF protocol assignments, RFC 2928");
}

TEST(ProtectedSet, CoversTheAgreedSpaceAndHosts) {
  for (const char* text : {"0.1.2.3",
                           "100.64.0.1",
                           "127.0.0.1",
                           "169.254.1.1",
                           "172.16.0.1",
                           "172.31.255.255",
                           "192.0.0.1",
                           "192.0.2.1",
                           "192.88.99.1",
                           "192.168.1.1",
                           "198.18.0.1",
                           "198.19.255.255",
                           "198.51.100.1",
                           "203.0.113.1",
                           "224.0.0.1",
                           "239.255.255.255",
                           "240.0.0.1",
                           "255.255.255.255",
                           "::",
                           "::1",
                           "64:ff9b::1",
                           "100::1",
                           "2001:1::1",
                           "2001:10::1",
                           "2001:1ff::1",
                           "2001:db8::1",
                           "fc00::1",
                           "fdff::1",
                           "fe80::1",
                           "ff02::1",
                           "8.8.8.8",
                           "8.8.4.4",
                           "1.1.1.1",
                           "1.0.0.1",
                           "149.112.112.112",
                           "208.67.222.222",
                           "208.67.220.220",
                           "2001:4860:4860::8888",
                           "2606:4700:4700::1111",
                           "2620:fe::fe",
                           "2620:119:35::35",
                           "193.0.14.129",
                           "2001:7fd::1"}) {
    EXPECT_NE(protected_by(at(text)), "") << text;
  }
  for (const char* text : {"172.15.255.255", "172.32.0.0", "100.63.255.255", "100.128.0.0",
                           "198.17.255.255", "198.20.0.0", "223.255.255.255", "2001::1", "2002::1",
                           "2001:200::", "1.1.1.2", "193.0.14.130"}) {
    EXPECT_EQ(protected_by(at(text)), "") << text;
  }
}

std::string within(const char* text) {
  return protected_within(address::parse_range(text).value());
}

TEST(ProtectedWithin, NamesTheWidestEntryThatARangeMeets) {
  EXPECT_EQ(within("10.1.2.3"), "10.0.0.0/8: private use, RFC 1918");
  EXPECT_EQ(within("9.255.255.255-10.0.0.0"), "10.0.0.0/8: private use, RFC 1918");
  EXPECT_EQ(within("8.8.8.0/24"), "8.8.8.8: public resolver, Google");
  EXPECT_THAT(within("0.0.0.0/0"), testing::HasSubstr("224.0.0.0/4"));
  EXPECT_THAT(within("192.0.0.0/16"), testing::HasSubstr("/24: "));
  EXPECT_THAT(within("2001:db8::/64"), testing::HasSubstr("2001:db8::/32: documentation"));
  EXPECT_THAT(within("::/0"), testing::HasSubstr("fc00::/7"));
  for (const char* text : {"8.8.8.0-8.8.8.7", "8.8.8.9-8.8.8.255", "11.0.0.0/8", "2a00::/16"}) {
    EXPECT_EQ(within(text), "") << text;
  }
}

TEST(ProtectedWithin, SaysSomethingExactlyForRangesThatMeetTheSet) {
  for (const address::Range<address::Bits4>& range : protected_addresses().v4.ranges()) {
    const auto says = [](address::Bits4 first, address::Bits4 last) {
      return !protected_within({address::Family::v4, first, last}).empty();
    };
    EXPECT_TRUE(says(range.first, range.first));
    EXPECT_TRUE(says(range.last, range.last));
    if (range.first != 0) {
      EXPECT_FALSE(says(range.first - 1, range.first - 1));
      EXPECT_TRUE(says(range.first - 1, range.first));
    }
    if (range.last != address::kAllOnes<address::Bits4>) {
      EXPECT_FALSE(says(range.last + 1, range.last + 1));
    }
  }
}

}  // namespace
}  // namespace merlon::policy
