// SPDX-License-Identifier: Apache-2.0
// Tables of what is an address, a prefix or a range, and what is refused and why.
#include "zones/address/address.h"

#include <gtest/gtest.h>

#include <array>
#include <ostream>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/support/seed.h"

namespace merlon::address {

void PrintTo(Fault fault, std::ostream* out) {
  *out << to_string(fault);
}

namespace {

using namespace std::string_view_literals;

constexpr Bits6 kMax6 = kAllOnes<Bits6>;

struct Refusal {
  std::string_view text;
  Fault fault;
};

std::string said(const AnyRange& range) {
  return range.family == Family::v4 ? to_text(range.v4()) : to_text(range.v6());
}

TEST(ParseV4, TakesFourDecimalOctets) {
  EXPECT_EQ(parse_v4("0.0.0.0"), 0U);
  EXPECT_EQ(parse_v4("255.255.255.255"), 0xffffffffU);
  EXPECT_EQ(parse_v4("192.0.2.1"), 0xc0000201U);
  EXPECT_EQ(parse_v4("1.20.100.0"), 0x01146400U);
}

TEST(ParseV4, RefusesEverythingElseWithItsReason) {
  constexpr auto kTable = std::to_array<Refusal>({
      {"109.230.155.061", Fault::leading_zero},
      {"00.0.0.0", Fault::leading_zero},
      {"1.2.03.4", Fault::leading_zero},
      {"010.256.0.1", Fault::leading_zero},
      {"256.0.0.1", Fault::octet_too_large},
      {"1.2.3.999", Fault::octet_too_large},
      {"1.2.3.1000", Fault::not_an_address},
      {"1.2.3.0004", Fault::not_an_address},
      {"4294967296.0.0.0", Fault::not_an_address},
      {"061.1.1", Fault::not_an_address},
      {"", Fault::not_an_address},
      {".", Fault::not_an_address},
      {"...", Fault::not_an_address},
      {"1", Fault::not_an_address},
      {"16909060", Fault::not_an_address},
      {"1.2.3", Fault::not_an_address},
      {"1.2.3.", Fault::not_an_address},
      {".1.2.3", Fault::not_an_address},
      {"1..2.3", Fault::not_an_address},
      {"1.2.3.4.", Fault::not_an_address},
      {"1.2.3.4.5", Fault::not_an_address},
      {"0x1.2.3.4", Fault::not_an_address},
      {"+1.2.3.4", Fault::not_an_address},
      {"-1.2.3.4", Fault::not_an_address},
      {" 1.2.3.4", Fault::not_an_address},
      {"1.2.3.4 ", Fault::not_an_address},
      {"1.2.3.4\n", Fault::not_an_address},
      {"1.2.3.4\0"sv, Fault::not_an_address},
      {"1.2.3.4\0.5"sv, Fault::not_an_address},
      {"1.2.3\0.4"sv, Fault::not_an_address},
      {"1,2,3,4", Fault::not_an_address},
      {"1.2.3.4:53", Fault::not_an_address},
      {"\xd9\xa1.2.3.4", Fault::not_an_address},
      {"example.com", Fault::not_an_address},
  });
  for (const Refusal& row : kTable) {
    const auto parsed = parse_v4(row.text);
    ASSERT_FALSE(parsed) << row.text;
    EXPECT_EQ(parsed.error(), row.fault) << row.text;
  }
}

TEST(ParseAddress, TakesBothFamiliesAndUnwrapsMappedOnes) {
  EXPECT_EQ(parse_address("192.0.2.1"), Address::v4(0xc0000201));
  EXPECT_EQ(parse_address("::"), Address::v6(0));
  EXPECT_EQ(parse_address("::1"), Address::v6(1));
  EXPECT_EQ(parse_address("2001:DB8::A"), Address::v6((Bits6{0x20010db8} << 96) | 10));
  EXPECT_EQ(parse_address("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), Address::v6(kMax6));
  EXPECT_EQ(parse_address("0001:0002:0003:0004:0005:0006:255.255.255.255").value().family,
            Family::v6);
  EXPECT_EQ(parse_address("::ffff:192.0.2.1"), Address::v4(0xc0000201));
  EXPECT_EQ(parse_address("::FFFF:c000:201"), Address::v4(0xc0000201));
  EXPECT_EQ(parse_address("0:0:0:0:0:ffff:0:0"), Address::v4(0));
  // Neighbours of the mapped prefix are IPv6.
  EXPECT_EQ(parse_address("::192.0.2.1"), Address::v6(0xc0000201));
  EXPECT_EQ(parse_address("::fffe:c000:201").value().family, Family::v6);
  EXPECT_EQ(parse_address("::1:0:0").value().family, Family::v6);
  EXPECT_EQ(parse_address("1::ffff:192.0.2.1").value().family, Family::v6);
}

TEST(ParseAddress, RefusesWhatIsNotOneAddress) {
  for (const std::string_view text :
       {":"sv,
        ":::"sv,
        "1:2:3:4:5:6:7"sv,
        "1:2:3:4:5:6:7:8:9"sv,
        "1::2::3"sv,
        "12345::"sv,
        "0000a::"sv,
        "g::"sv,
        "[::1]"sv,
        "::1%eth0"sv,
        "fe80::1%1"sv,
        "::1 "sv,
        " ::1"sv,
        "::1\0"sv,
        "::1\0::2"sv,
        "::\0001"sv,
        "::ffff:109.230.155.061"sv,
        "::ffff:1.2.3.256"sv,
        "::ffff:1.2.3"sv,
        "1.2.3.4::"sv,
        "1:2:3:4:5:6:7::8:9"sv,
        "::1/128"sv,
        "1.2.3.4/32"sv,
        "http://1.2.3.4"sv,
        "0000:0000:0000:0000:0000:0000:255.255.255.255:"sv,
        "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000"sv}) {
    EXPECT_EQ(parse_address(text), std::unexpected(Fault::not_an_address)) << text;
  }
}

struct PrefixRow {
  std::string_view text;
  std::string_view canonical;
  bool host_bits;
};

TEST(ParsePrefix, ClearsHostBitsAndReportsThem) {
  constexpr auto kTable = std::to_array<PrefixRow>({
      {"192.0.2.1", "192.0.2.1", false},
      {"192.0.2.1/32", "192.0.2.1", false},
      {"192.0.2.0/24", "192.0.2.0/24", false},
      {"192.0.2.1/24", "192.0.2.0/24", true},
      {"192.0.2.1/31", "192.0.2.0/31", true},
      {"0.0.0.0/0", "0.0.0.0/0", false},
      {"255.255.255.255/0", "0.0.0.0/0", true},
      {"128.0.0.0/1", "128.0.0.0/1", false},
      {"10.0.0.0/255.0.0.0", "10.0.0.0/8", false},
      {"10.1.0.0/255.0.0.0", "10.0.0.0/8", true},
      {"10.0.0.0/0.0.0.0", "0.0.0.0/0", true},
      {"10.0.0.1/255.255.255.255", "10.0.0.1", false},
      {"10.0.0.0/255.255.255.254", "10.0.0.0/31", false},
      {"::/0", "::/0", false},
      {"::1/0", "::/0", true},
      {"2001:db8::/32", "2001:db8::/32", false},
      {"2001:db8::1/32", "2001:db8::/32", true},
      {"2001:db8::1/128", "2001:db8::1", false},
      {"8000::/1", "8000::/1", false},
      {"::ffff:192.0.2.0/120", "192.0.2.0/24", false},
      {"::ffff:192.0.2.9/120", "192.0.2.0/24", true},
      {"::ffff:192.0.2.9/128", "192.0.2.9", false},
      {"::ffff:0:0/96", "0.0.0.0/0", false},
      {"::ffff:192.0.2.9", "192.0.2.9", false},
  });
  for (const PrefixRow& row : kTable) {
    bool host_bits = !row.host_bits;
    const auto prefix = parse_prefix(row.text, &host_bits);
    ASSERT_TRUE(prefix) << row.text;
    EXPECT_EQ(to_text(*prefix), row.canonical) << row.text;
    EXPECT_EQ(host_bits, row.host_bits) << row.text;
    EXPECT_EQ(parse_prefix(row.text), prefix) << "without the flag: " << row.text;
  }
}

TEST(ParsePrefix, RefusesWithItsReason) {
  constexpr auto kTable = std::to_array<Refusal>({
      {"10.0.0.0/", Fault::bad_prefix_length},
      {"10.0.0.0/33", Fault::bad_prefix_length},
      {"10.0.0.0/128", Fault::bad_prefix_length},
      {"10.0.0.0/08", Fault::bad_prefix_length},
      {"10.0.0.0/00", Fault::bad_prefix_length},
      {"10.0.0.0/-1", Fault::bad_prefix_length},
      {"10.0.0.0/+8", Fault::bad_prefix_length},
      {"10.0.0.0/8 ", Fault::bad_prefix_length},
      {"10.0.0.0/ 8", Fault::bad_prefix_length},
      {"10.0.0.0/8/8", Fault::bad_prefix_length},
      {"10.0.0.0/8\0"sv, Fault::bad_prefix_length},
      {"10.0.0.0/4294967304", Fault::bad_prefix_length},
      {"10.0.0.0/x", Fault::bad_prefix_length},
      {"10.0.0.0/255.0.255.0", Fault::bad_netmask},
      {"10.0.0.0/0.255.255.255", Fault::bad_netmask},
      {"10.0.0.0/0.0.0.255", Fault::bad_netmask},
      {"10.0.0.0/255.255.255", Fault::bad_netmask},
      {"10.0.0.0/255.255.255.00", Fault::bad_netmask},
      {"::/129", Fault::bad_prefix_length},
      {"::/999", Fault::bad_prefix_length},
      {"::/1000", Fault::bad_prefix_length},
      {"::/255.255.0.0", Fault::bad_prefix_length},
      {"::ffff:1.2.3.4/24", Fault::bad_prefix_length},
      {"::ffff:1.2.3.4/95", Fault::bad_prefix_length},
      {"::ffff:1.2.3.4/129", Fault::bad_prefix_length},
      {"::ffff:1.2.3.4/255.255.255.0", Fault::bad_prefix_length},
      {"/24", Fault::not_an_address},
      {"10.0.0/24", Fault::not_an_address},
      {"10/8", Fault::not_an_address},
      {"010.0.0.0/8", Fault::leading_zero},
      {"300.0.0.0/8", Fault::octet_too_large},
      {"", Fault::not_an_address},
  });
  for (const Refusal& row : kTable) {
    const auto parsed = parse_prefix(row.text);
    ASSERT_FALSE(parsed) << row.text;
    EXPECT_EQ(parsed.error(), row.fault) << row.text;
  }
}

TEST(ParseRange, TakesRangesPrefixesAndAddresses) {
  struct Row {
    std::string_view text;
    std::string_view canonical;
  };
  constexpr auto kTable = std::to_array<Row>({
      {"192.0.2.1", "192.0.2.1"},
      {"192.0.2.7/24", "192.0.2.0/24"},
      {"192.0.2.1-192.0.2.1", "192.0.2.1"},
      {"192.0.2.0-192.0.2.255", "192.0.2.0/24"},
      {"192.0.2.1 - 192.0.2.9", "192.0.2.1-192.0.2.9"},
      {" 192.0.2.1\t-\t192.0.2.9 ", "192.0.2.1-192.0.2.9"},
      {"0.0.0.0-255.255.255.255", "0.0.0.0/0"},
      {"::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::/0"},
      {"2001:db8::1-2001:db8::2", "2001:db8::1-2001:db8::2"},
      {"::ffff:192.0.2.1-192.0.2.2", "192.0.2.1-192.0.2.2"},
  });
  for (const Row& row : kTable) {
    const auto range = parse_range(row.text);
    ASSERT_TRUE(range) << row.text;
    EXPECT_EQ(said(*range), row.canonical) << row.text;
    EXPECT_EQ(parse_range(row.canonical), range) << row.text;
  }
}

TEST(ParseRange, RefusesWithItsReason) {
  constexpr auto kTable = std::to_array<Refusal>({
      {"192.0.2.9-192.0.2.1", Fault::range_reversed},
      {"::2-::1", Fault::range_reversed},
      {"192.0.2.1-::1", Fault::families_differ},
      {"::1-192.0.2.1", Fault::families_differ},
      {"-", Fault::not_an_address},
      {"192.0.2.1-", Fault::not_an_address},
      {"-192.0.2.1", Fault::not_an_address},
      {"192.0.2.1-9", Fault::not_an_address},
      {"192.0.2.1-192.0.2.2-192.0.2.3", Fault::not_an_address},
      {"192.0.2.0/24-192.0.3.0/24", Fault::not_an_address},
      {"192.0.2.1-192.0.2.09", Fault::leading_zero},
      {"192.0.2.1-192.0.2.256", Fault::octet_too_large},
      {"evil-host.example", Fault::not_an_address},
  });
  for (const Refusal& row : kTable) {
    const auto parsed = parse_range(row.text);
    ASSERT_FALSE(parsed) << row.text;
    EXPECT_EQ(parsed.error(), row.fault) << row.text;
  }
}

TEST(ParseRange, RangeHasNoHostBits) {
  bool host_bits = true;
  EXPECT_TRUE(parse_range("192.0.2.1-192.0.2.9", &host_bits));
  EXPECT_FALSE(host_bits);
  EXPECT_TRUE(parse_range("192.0.2.1/24", &host_bits));
  EXPECT_TRUE(host_bits);
}

TEST(Fault, EachHasANameAndAnExplanationOfItsOwn) {
  std::set<std::string_view> names;
  std::set<std::string_view> explanations;
  size_t count = 0;
#define MERLON_X(name, text)                 \
  names.insert(to_string(Fault::name));      \
  explanations.insert(explain(Fault::name)); \
  EXPECT_EQ(to_string(Fault::name), #name);  \
  ++count;
  MERLON_ADDRESS_FAULTS(MERLON_X)
#undef MERLON_X
  EXPECT_EQ(names.size(), count);
  EXPECT_EQ(explanations.size(), count);
}

TEST(ToText, WritesIpv6AsRfc5952Says) {
  struct Row {
    std::string_view text;
    std::string_view canonical;
  };
  constexpr auto kTable = std::to_array<Row>({
      {"2001:0DB8:0000:0000:0000:0000:0000:0001", "2001:db8::1"},
      {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},     // the first of two equal runs
      {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},           // the longer run
      {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},  // one group is not shortened
      {"1:0:0:0:0:0:0:0", "1::"},
      {"0:0:0:0:0:0:0:0", "::"},
      {"0:0:0:0:0:0:0:1", "::1"},
      {"0:0:0:0:0:0:1:0", "::1:0"},
      {"0:0:0:0:0:0:c000:201", "::c000:201"},
      {"0:0:0:0:0:0:ffff:ffff", "::ffff:ffff"},
      {"0:0:0:0:0:0:0:ffff", "::ffff"},
      {"0:0:0:0:0:1:0:0", "::1:0:0"},
      {"64:ff9b::192.0.2.1", "64:ff9b::c000:201"},
      {"abcd:ef01:2345:6789:abcd:ef01:2345:6789", "abcd:ef01:2345:6789:abcd:ef01:2345:6789"},
  });
  for (const Row& row : kTable) {
    EXPECT_EQ(to_text(parse_address(row.text).value()), row.canonical) << row.text;
  }
  EXPECT_EQ(to_text_v6(Bits6{0xffff} << 32 | 0xc0000201), "::ffff:192.0.2.1");
}

TEST(ToText, RandomAddressesComeBack) {
  std::mt19937_64 random(test::seed_for("ToText"));
  for (int i = 0; i < 20'000; ++i) {
    Bits6 bits = 0;
    for (int group = 0; group < 8; ++group) {
      bits = (bits << 16) | (random() % 3 == 0 ? random() & 0xffff : 0);
    }
    const Bits4 small = static_cast<Bits4>(random());
    ASSERT_EQ(parse_v4(to_text_v4(small)), small);
    if ((bits >> 32) != 0xffff) {
      ASSERT_EQ(parse_address(to_text_v6(bits)), Address::v6(bits)) << to_text_v6(bits);
    }
  }
}

TEST(NetworkOrder, MostSignificantByteComesFirstAndComesBack) {
  std::array<uint8_t, 16> bytes{};
  store_network(Bits4{0xc0000201}, bytes.data());
  EXPECT_EQ(bytes[0], 192);
  EXPECT_EQ(bytes[3], 1);
  EXPECT_EQ(load_network_v4(bytes.data()), 0xc0000201U);
  const Bits6 bits = (Bits6{0x20010db800000000} << 64) | 0x1122334455667788;
  store_network(bits, bytes.data());
  EXPECT_EQ(bytes[0], 0x20);
  EXPECT_EQ(bytes[15], 0x88);
  EXPECT_TRUE(load_network_v6(bytes.data()) == bits);
}

TEST(AnyPrefix, ContainsItsEdgesAndNothingOfTheOtherFamily) {
  const AnyPrefix prefix = parse_prefix("192.0.2.0/25").value();
  EXPECT_TRUE(prefix.contains(parse_address("192.0.2.0").value()));
  EXPECT_TRUE(prefix.contains(parse_address("192.0.2.127").value()));
  EXPECT_FALSE(prefix.contains(parse_address("192.0.2.128").value()));
  EXPECT_FALSE(prefix.contains(parse_address("192.0.1.255").value()));
  EXPECT_FALSE(prefix.contains(Address::v6(0xc0000201)));
  EXPECT_TRUE(parse_prefix("0.0.0.0/0").value().contains(Address::v4(0xffffffff)));
  EXPECT_FALSE(parse_prefix("0.0.0.0/0").value().contains(Address::v6(1)));
  EXPECT_TRUE(parse_prefix("::/0").value().contains(Address::v6(kMax6)));
  EXPECT_FALSE(parse_prefix("2001:db8::/32").value().contains(Address::v6(0)));
}

template <class Bits>
class Cover : public testing::Test {
 protected:
  static constexpr Bits kMax = kAllOnes<Bits>;

  // The prefixes of a range; checks that they join without gap and that none is too small.
  static std::vector<Prefix<Bits>> cover(Range<Bits> range) {
    std::vector<Prefix<Bits>> prefixes;
    for_each_prefix(range, [&](Prefix<Bits> prefix) { prefixes.push_back(prefix); });
    Bits next = range.first;
    for (size_t i = 0; i < prefixes.size(); ++i) {
      const Range<Bits> covered = prefixes[i].range();
      EXPECT_TRUE(covered.first == next);
      EXPECT_TRUE((prefixes[i].bits & host_mask<Bits>(prefixes[i].length)) == 0);
      next = static_cast<Bits>(covered.last + 1);
      if (i > 0 && prefixes[i].length == prefixes[i - 1].length) {
        // Two halves of one larger prefix would not be the fewest.
        const Bits parent = host_mask<Bits>(prefixes[i].length - 1);
        EXPECT_FALSE((prefixes[i].bits | parent) == (prefixes[i - 1].bits | parent));
      }
    }
    EXPECT_TRUE(prefixes.back().range().last == range.last);
    return prefixes;
  }
};

using Widths = testing::Types<Bits4, Bits6>;
TYPED_TEST_SUITE(Cover, Widths);

TYPED_TEST(Cover, WholeSpaceIsOnePrefixOfLengthZero) {
  const auto prefixes = this->cover({0, this->kMax});
  ASSERT_EQ(prefixes.size(), 1U);
  EXPECT_EQ(prefixes[0].length, 0);
}

TYPED_TEST(Cover, OneAddressAtEitherEndIsOneFullPrefix) {
  for (const TypeParam at : {TypeParam{0}, TypeParam{1}, this->kMax}) {
    const auto prefixes = this->cover({at, at});
    ASSERT_EQ(prefixes.size(), 1U);
    EXPECT_EQ(prefixes[0].length, kWidth<TypeParam>);
    EXPECT_TRUE(prefixes[0].bits == at);
  }
}

TYPED_TEST(Cover, AllButTheEndsIsTheLongestList) {
  const auto prefixes = this->cover({1, static_cast<TypeParam>(this->kMax - 1)});
  EXPECT_EQ(prefixes.size(), static_cast<size_t>(2 * kWidth<TypeParam> - 2));
  EXPECT_EQ(this->cover({1, this->kMax}).size(), static_cast<size_t>(kWidth<TypeParam>));
  EXPECT_EQ(this->cover({0, static_cast<TypeParam>(this->kMax - 1)}).size(),
            static_cast<size_t>(kWidth<TypeParam>));
}

TYPED_TEST(Cover, UnalignedRangeSplitsAtTheAlignment) {
  const auto prefixes = this->cover({5, 17});  // 5, 6-7, 8-15, 16-17
  ASSERT_EQ(prefixes.size(), 4U);
  EXPECT_TRUE(prefixes[0].bits == 5 && prefixes[0].length == kWidth<TypeParam>);
  EXPECT_TRUE(prefixes[1].bits == 6 && prefixes[1].length == kWidth<TypeParam> - 1);
  EXPECT_TRUE(prefixes[2].bits == 8 && prefixes[2].length == kWidth<TypeParam> - 3);
  EXPECT_TRUE(prefixes[3].bits == 16 && prefixes[3].length == kWidth<TypeParam> - 1);
}

TYPED_TEST(Cover, EveryRangeOfASmallUniverseIsCoveredExactly) {
  for (const TypeParam base : {TypeParam{0}, static_cast<TypeParam>(this->kMax - 63)}) {
    for (unsigned first = 0; first < 64; ++first) {
      for (unsigned last = first; last < 64; ++last) {
        this->cover({static_cast<TypeParam>(base + first), static_cast<TypeParam>(base + last)});
      }
    }
  }
}

}  // namespace
}  // namespace merlon::address
