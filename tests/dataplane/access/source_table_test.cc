// SPDX-License-Identifier: Apache-2.0
// The data plane's table against AccessView::find, which searches the sorted prefixes.
#include "dataplane/access/source_table.h"

#include <gtest/gtest.h>

#include <chrono>
#include <random>
#include <set>
#include <tuple>

#include "tests/support/seed.h"

namespace merlon::access {
namespace {

using address::Address;
using address::AnyPrefix;
using address::Bits4;
using address::Bits6;
using address::Family;

class Table {
 public:
  explicit Table(const std::vector<AnyPrefix>& prefixes) {
    snapshot::AccessBuilder builder;
    std::set<std::tuple<Family, uint8_t, Bits6>> seen;
    uint32_t number = 0;
    for (const AnyPrefix& prefix : prefixes) {
      const uint32_t subject = builder.add_subject({++number, number, 1, {}, {}, {}});
      if (seen.emplace(prefix.family, prefix.length, prefix.bits).second) {
        builder.add_source(prefix, subject);
      }
    }
    if (number == 0) {
      builder.add_subject({1, 1, 1, {}, {}, {}});
    }
    auto bytes = builder.finish();
    EXPECT_TRUE(bytes.has_value());
    segment_ = std::move(*snapshot::Segment::from_bytes(*bytes));
    view_ = *snapshot::AccessView::open(segment_);
    const auto start = std::chrono::steady_clock::now();
    auto table = SourceTable::build(view_);
    build_time_ = std::chrono::steady_clock::now() - start;
    EXPECT_TRUE(table.has_value());
    table_ = std::move(*table);
  }

  void check(const Address& source) const {
    const uint32_t expected = view_.find(source);
    ASSERT_EQ(table_->find(source), expected) << address::to_text(source);
    if (source.family == Family::v4) {
      const auto bits = static_cast<Bits4>(source.bits);
      table_->prefetch4(bits);
      ASSERT_EQ(table_->find4(bits, table_->probe4(bits)), expected);
    } else {
      table_->prefetch6(source.bits);
      ASSERT_EQ(table_->find6(source.bits, table_->probe6(source.bits)), expected);
    }
  }
  // First and last address of the prefix and their neighbours outside.
  void check_edges(const AnyPrefix& prefix) const {
    const Bits6 mask = prefix.family == Family::v4 ? Bits6{address::host_mask<Bits4>(prefix.length)}
                                                   : address::host_mask<Bits6>(prefix.length);
    const Bits6 whole = prefix.family == Family::v4 ? Bits6{UINT32_MAX} : address::kAllOnes<Bits6>;
    for (const Bits6 bits : {prefix.bits, prefix.bits | mask, prefix.bits - 1,
                             (prefix.bits | mask) + 1, prefix.bits | (mask >> 1)}) {
      check({prefix.family, bits & whole});
    }
  }
  uint32_t find(std::string_view source) const {
    return table_->find(*address::parse_address(source));
  }
  size_t size_bytes() const { return table_->size_bytes(); }
  double build_ms() const { return std::chrono::duration<double, std::milli>(build_time_).count(); }

 private:
  snapshot::Segment segment_;
  snapshot::AccessView view_;
  std::unique_ptr<SourceTable> table_;
  std::chrono::steady_clock::duration build_time_{};
};

AnyPrefix prefix(std::string_view text) {
  return *address::parse_prefix(text);
}

Bits6 random_bits6(std::mt19937_64& random) {
  return (Bits6{random()} << 64) | random();
}

// `spread` bits of the address vary, so that small spreads nest and collide.
AnyPrefix random_prefix(std::mt19937_64& random, Family family, int spread) {
  if (family == Family::v4) {
    const auto length = static_cast<uint8_t>(random() % 33);
    const Bits4 keep = address::kAllOnes<Bits4> << (32 - spread);
    const Bits4 low = static_cast<Bits4>(random()) & 0xff;
    const Bits4 bits = (static_cast<Bits4>(random()) & (spread == 32 ? ~Bits4{0} : keep)) | low;
    return {family, length, bits & ~address::host_mask<Bits4>(length)};
  }
  const auto length = static_cast<uint8_t>(random() % 129);
  const Bits6 bits = (Bits6{0x20010db8} << 96) |
                     (random_bits6(random) & address::host_mask<Bits6>(128 - spread)) << 32;
  return {family, length, bits & ~address::host_mask<Bits6>(length)};
}

TEST(SourceTable, LongestPrefixWins) {
  const Table table({prefix("10.0.0.0/8"), prefix("10.1.0.0/16"), prefix("10.1.2.0/24"),
                     prefix("10.1.2.128/25"), prefix("10.1.2.129/32"), prefix("2001:db8::/32"),
                     prefix("2001:db8:1::/48"), prefix("2001:db8:1::1/128")});
  EXPECT_EQ(table.find("10.9.9.9"), 0u);
  EXPECT_EQ(table.find("10.1.9.9"), 1u);
  EXPECT_EQ(table.find("10.1.2.127"), 2u);
  EXPECT_EQ(table.find("10.1.2.128"), 3u);
  EXPECT_EQ(table.find("10.1.2.129"), 4u);
  EXPECT_EQ(table.find("11.0.0.0"), snapshot::kNoSubject);
  EXPECT_EQ(table.find("2001:db8:2::"), 5u);
  EXPECT_EQ(table.find("2001:db8:1::2"), 6u);
  EXPECT_EQ(table.find("2001:db8:1::1"), 7u);
  EXPECT_EQ(table.find("::"), snapshot::kNoSubject);
}

TEST(SourceTable, EmptyTableKnowsNobody) {
  const Table table({});
  EXPECT_EQ(table.find("0.0.0.0"), snapshot::kNoSubject);
  EXPECT_EQ(table.find("255.255.255.255"), snapshot::kNoSubject);
  EXPECT_EQ(table.find("::1"), snapshot::kNoSubject);
}

TEST(SourceTable, WholeFamilyPrefixesReachBothEnds) {
  const Table table({prefix("0.0.0.0/0"), prefix("::/0"), prefix("255.255.255.255/32"),
                     prefix("0.0.0.0/32"), prefix("ffff::/16")});
  EXPECT_EQ(table.find("1.2.3.4"), 0u);
  EXPECT_EQ(table.find("255.255.255.254"), 0u);
  EXPECT_EQ(table.find("255.255.255.255"), 2u);
  EXPECT_EQ(table.find("0.0.0.0"), 3u);
  EXPECT_EQ(table.find("::"), 1u);
  EXPECT_EQ(table.find("ffff::1"), 4u);
}

TEST(SourceTable, EveryLengthOnItsEdges) {
  std::vector<AnyPrefix> prefixes;
  for (uint8_t length = 0; length <= 32; ++length) {
    const Bits4 bits = 0xC0A8B7B5;
    prefixes.push_back({Family::v4, length, bits & ~address::host_mask<Bits4>(length)});
  }
  for (uint8_t length = 0; length <= 128; ++length) {
    const Bits6 bits = (Bits6{0x20010db8a5a5a5a5} << 64) | 0x5a5a5a5a5a5a5a5b;
    prefixes.push_back({Family::v6, length, bits & ~address::host_mask<Bits6>(length)});
  }
  const Table table(prefixes);
  for (const AnyPrefix& each : prefixes) {
    table.check_edges(each);
  }
}

TEST(SourceTable, EqualsTheReferenceOnRandomNestedTables) {
  std::mt19937_64 random(test::seed_for("SourceTable"));
  for (int round = 0; round < 60; ++round) {
    const int spread = 8 + static_cast<int>(random() % 25);
    std::vector<AnyPrefix> prefixes;
    for (uint64_t i = random() % 400; i > 0; --i) {
      prefixes.push_back(
          random_prefix(random, random() % 2 == 0 ? Family::v4 : Family::v6, spread));
    }
    const Table table(prefixes);
    for (const AnyPrefix& each : prefixes) {
      table.check_edges(each);
    }
    for (int i = 0; i < 500; ++i) {
      table.check(Address::v4(static_cast<Bits4>(random())));
      table.check(Address::v6(random_bits6(random)));
    }
    if (HasFatalFailure()) {
      return;
    }
  }
}

TEST(SourceTable, TwoHundredThousandPrefixes) {
  std::mt19937_64 random(test::seed_for("SourceTable"));
  std::vector<AnyPrefix> prefixes;
  for (int i = 0; i < 150000; ++i) {
    AnyPrefix each = random_prefix(random, Family::v4, 32);
    if (each.length < 12) {
      each = {Family::v4, 32, static_cast<Bits4>(random())};
    }
    prefixes.push_back(each);
  }
  for (int i = 0; i < 50000; ++i) {
    prefixes.push_back(random_prefix(random, Family::v6, 60));
  }
  const Table table(prefixes);
  std::printf("SourceTable: %zu prefixes built in %.1f ms\n", prefixes.size(), table.build_ms());
  for (size_t i = 0; i < prefixes.size(); i += 7) {
    table.check_edges(prefixes[i]);
    if (HasFatalFailure()) {
      return;
    }
  }
  for (int i = 0; i < 100000; ++i) {
    table.check(Address::v4(static_cast<Bits4>(random())));
  }
}

// As many prefixes as the table is made for, most of them longer than /24 and on their own; some
// nest, and some fill their /24. Every kind of group is there.
TEST(SourceTable, AMillionPrefixesSampled) {
  std::mt19937_64 random(test::seed_for("SourceTable"));
  std::vector<AnyPrefix> prefixes;
  for (int i = 0; i < 700000; ++i) {
    const uint64_t kind = random() % 100;
    if (kind < 55) {
      prefixes.push_back({Family::v4, 32, static_cast<Bits4>(random())});
    } else if (kind < 60) {
      const Bits4 crowded = 0x0A000000 | (static_cast<Bits4>(random()) & 0x1fff);
      const auto length = static_cast<uint8_t>(25 + random() % 8);
      prefixes.push_back({Family::v4, length, crowded & ~address::host_mask<Bits4>(length)});
    } else {
      AnyPrefix each = random_prefix(random, Family::v4, 32);
      each.length = std::max<uint8_t>(each.length, 10);
      prefixes.push_back(each);
      prefixes.back().bits &= ~Bits6{address::host_mask<Bits4>(each.length)};
    }
  }
  constexpr std::array<uint8_t, 6> kLengths{32, 44, 48, 56, 64, 128};
  for (int i = 0; i < 350000; ++i) {
    const uint8_t length = kLengths[random() % kLengths.size()];
    const Bits6 bits = (Bits6{0x2000 | (random() & 0xff)} << 112) |
                       (random_bits6(random) & address::host_mask<Bits6>(16));
    prefixes.push_back({Family::v6, length, bits & ~address::host_mask<Bits6>(length)});
  }
  const Table table(prefixes);
  std::printf("SourceTable: %zu prefixes built in %.1f ms, %zu MiB\n", prefixes.size(),
              table.build_ms(), table.size_bytes() >> 20);
  EXPECT_LT(table.size_bytes(), size_t{256} << 20);
  for (int i = 0; i < 60000 && !HasFatalFailure(); ++i) {
    table.check_edges(prefixes[random() % prefixes.size()]);
    table.check(Address::v4(static_cast<Bits4>(random())));
    table.check(Address::v6(random_bits6(random)));
  }
}

// 1, 2, .. 256 addresses of one /24, from one run to the most there can be.
TEST(SourceTable, EveryNumberOfRunsInAGroup) {
  std::mt19937_64 random(test::seed_for("SourceTable"));
  for (const bool inside : {false, true}) {
    for (size_t count = 1; count <= 256; count += count < 20 ? 1 : 17) {
      std::vector<AnyPrefix> prefixes;
      if (inside) {
        prefixes.push_back(prefix("192.0.2.0/23"));
      }
      for (size_t i = 0; i < count; ++i) {
        prefixes.push_back({Family::v4, 32, 0xC0000200 + (random() & 255)});
      }
      const Table table(prefixes);
      for (Bits4 low = 0; low < 512; ++low) {
        table.check(Address::v4(0xC0000180 + low));
      }
    }
  }
}

// A customer that knew the hash could make all of these fall on one place. The secret is new for
// every table, so the time to look them up is that of any others.
TEST(SourceTable, RegularIpv6PrefixesSpread) {
  std::vector<AnyPrefix> prefixes;
  for (uint64_t i = 0; i < 20000; ++i) {
    prefixes.push_back({Family::v6, 128, (Bits6{0x20010db800000000} << 64) | (i << 40)});
  }
  const Table table(prefixes);
  const auto start = std::chrono::steady_clock::now();
  for (const AnyPrefix& each : prefixes) {
    ASSERT_NE(table.find(address::to_text_v6(each.bits)), snapshot::kNoSubject);
  }
  // Colliding, 20,000 look-ups walk 200 million places.
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(200));
}

}  // namespace
}  // namespace merlon::access
