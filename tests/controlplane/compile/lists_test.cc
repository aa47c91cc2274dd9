// SPDX-License-Identifier: Apache-2.0
// What a compiled list says, read back from its bytes.
#include <gmock/gmock.h>

#include <random>

#include "controlplane/compile/list_bodies.h"
#include "tests/controlplane/compile/compiled.h"
#include "tests/support/seed.h"

namespace merlon::compile {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsSupersetOf;

Result<Compiled> compile_one(const ListInput& input, const Settings& made = settings()) {
  return compile({.lists = {input}, .devices = {}}, made, {.next = 7});
}

address::IpSet test_addresses(const Settings& made, bool v6) {
  address::IpSet set = ips({address::to_text_v4(made.test_address4)});
  return v6 ? set.united(ips({address::to_text_v6(made.test_address6)})) : set;
}

// Evenly, with room in each name for what comes.
TEST(CompiledList, SplitsAt4000AddressesUnderNumberedNames) {
  const struct {
    const char* range;  // the test address is one more, in every name
    std::vector<size_t> counts;
  } rows[] = {
      {"20.0.0.0-20.0.15.157", {3999}},
      {"20.0.0.0-20.0.15.158", {4000}},
      {"20.0.0.0-20.0.15.159", {2001, 2001}},        // 4000 of the list
      {"20.0.0.0-20.0.27.255", {3585, 3585}},        // 7168: below nine tenths of two names
      {"20.0.0.0-20.0.28.255", {2475, 2476, 2476}},  // 7424: above
  };
  for (const auto& row : rows) {
    const auto compiled = compile_one(list("x", ips({row.range}))).value();
    const Decoded decoded = decode(Loaded(compiled), compiled.lists[0]);
    EXPECT_EQ(decoded.a_counts, row.counts) << row.range;
    EXPECT_EQ(compiled.name_count, row.counts.size());
    for (size_t i = 0; i < row.counts.size(); ++i) {
      EXPECT_EQ(compiled.lists[0].names[i],
                "x" + (i == 0 ? "" : std::to_string(i)) + ".merlon.internal.");
    }
  }
}

TEST(CompiledList, SplitsAt2300Ipv6AddressesIndependentlyOfIpv4) {
  const auto compiled = compile_one(list("x", ips({"2600::-2600::11f7", "20.0.0.1"}))).value();
  const Decoded decoded = decode(Loaded(compiled), compiled.lists[0]);
  EXPECT_THAT(decoded.aaaa_counts, ElementsAre(1534, 1534, 1535));  // 4600 and test addresses
  EXPECT_THAT(decoded.a_counts, ElementsAre(2, 1, 1));
}

TEST(CompiledList, HoldsTestAddressesAndIpv6OneOnlyBesideIpv6) {
  for (const bool v6 : {false, true}) {
    const auto compiled = compile_one(list("x", v6 ? ips({"2600::1"}) : ips({"20.0.0.1"}))).value();
    const Decoded decoded = decode(Loaded(compiled), compiled.lists[0]);
    EXPECT_EQ(decoded.in_records.minus(compiled.lists.empty() ? address::IpSet{}
                                                              : test_addresses(settings(), v6)),
              v6 ? ips({"2600::1"}) : ips({"20.0.0.1"}));
  }
  const auto empty = compile_one(list("x", {})).value();
  EXPECT_EQ(decode(Loaded(empty), empty.lists[0]).in_records, ips({"192.0.2.1"}));
}

TEST(CompiledList, TestAddressIsARecordInsideAWidePrefixToo) {
  Settings made = settings();
  made.test_address4 = address::parse_v4("20.7.7.7").value();
  const auto compiled = compile_one(list("x", {}, ips({"20.0.0.0/8"})), made).value();
  const Decoded decoded = decode(Loaded(compiled), compiled.lists[0]);
  EXPECT_EQ(decoded.in_records, ips({"20.7.7.7"}));
  EXPECT_EQ(decoded.in_apl, ips({"20.0.0.0/8"}));
  EXPECT_EQ(decoded.apl_items, 1u);
  EXPECT_EQ(compiled.lists[0].prefix_only_count, 1u);
}

// Narrow prefixes side by side merge into what looks wide, and stay address records.
TEST(CompiledList, MergedNeighboursStayAddressRecords) {
  const auto compiled = compile_one(list("x", ips({"20.0.0.0/24", "20.0.1.0/24"}))).value();
  EXPECT_EQ(compiled.lists[0].address4_count, 513u);
  EXPECT_EQ(compiled.lists[0].prefix_only_count, 0u);
}

TEST(CompiledList, AplBytesAreThoseOfRfc3123) {
  const auto compiled =
      compile_one(list("x", ips({"20.0.0.5", "2600:0:0:1::/128"}),
                       ips({"10.0.0.0/8", "172.16.0.0/12", "0.0.0.0/7", "2001:db8:1200::/40"})))
          .value();
  const auto records = Loaded(compiled).records("x.merlon.internal.", wire::type::apl);
  ASSERT_EQ(records.size(), 1u);
  const std::vector<uint8_t> expected = {
      0, 1, 7,   0,                        // 0.0.0.0/7: no address byte at all
      0, 1, 8,   1,  10,                   // 10.0.0.0/8
      0, 1, 32,  4,  20,   0,    0,    5,  // 20.0.0.5
      0, 1, 12,  2,  172,  16,             // 172.16.0.0/12
      0, 1, 32,  4,  192,  0,    2,    1,  // the test address
      0, 2, 128, 16, 0x20, 0x01, 0x0d, 0xb8, 0,    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,  // 2001:db8::1
      0, 2, 40,  5,  0x20, 0x01, 0x0d, 0xb8, 0x12,           // 2001:db8:1200::/40
      0, 2, 128, 8,  0x26, 0,    0,    0,    0,    0, 0, 1,  // 2600:0:0:1::
  };
  EXPECT_EQ(records[0], expected);
}

TEST(CompiledList, AplIsSplitBeforeAMessageIsFull) {
  std::vector<address::Range<address::Bits4>> every_second;
  for (uint32_t i = 0; i < 20'000; ++i) {
    every_second.push_back({0x14000001 + 2 * i, 0x14000001 + 2 * i});
  }
  const address::IpSet set{address::RangeSet4::from_normal(every_second), {}};
  const auto compiled = compile_one(list("x", set)).value();
  const Loaded loaded(compiled);
  size_t apl_names = 0;
  for (const std::string& name : compiled.lists[0].names) {
    apl_names += loaded.records(name, wire::type::apl).size();
  }
  EXPECT_EQ(apl_names, 5u);  // 20,001 items, at most 5,000 a record, room in each
  EXPECT_EQ(decode(loaded, compiled.lists[0]).in_apl, set.united(ips({"192.0.2.1"})));
}

TEST(CompiledList, TextCountsWhatTheOtherRecordsHold) {
  const auto compiled = compile_one(list("x", ips({"20.0.0.0/19", "2600::/120"}),
                                         ips({"21.0.0.0/16", "22.0.0.0/15", "2601::/32"})))
                            .value();
  const Loaded loaded(compiled);
  const Decoded decoded = decode(loaded, compiled.lists[0]);
  const auto texts = loaded.texts("x.merlon.internal.");
  EXPECT_THAT(texts, IsSupersetOf({"merlon=1", "serial=7", "names=3", "ipv4=8193", "ipv6=257",
                                   "prefixes-only-in-apl=3", "changed=2026-01-02T03:04:05Z"}));
  EXPECT_EQ(decoded.in_records.v4.address_count(), 8193u);
  EXPECT_EQ(decoded.in_records.v6.address_count(), 257u);
  EXPECT_THAT(texts,
              Contains("digest=" + hash_of(compiled, snapshot::SegmentKind::bodies).substr(0, 32)));
  EXPECT_TRUE(loaded.texts("x1.merlon.internal.").empty());
}

std::vector<std::string> index_of(const Loaded& loaded, const std::string& name) {
  std::vector<std::string> names;
  for (const auto& data : loaded.records(name, wire::type::ptr)) {
    names.push_back(name::Name::from_wire(data).value().to_text());
  }
  return names;
}

TEST(CompiledList, IndexNamesEveryChunk) {
  const auto compiled = compile_one(list("x", ips({"20.0.0.0/17"}))).value();
  ASSERT_EQ(compiled.lists[0].names.size(), 10u);
  EXPECT_EQ(index_of(Loaded(compiled), "x.merlon.internal."), compiled.lists[0].names);
}

// What one message cannot name is still there, and TXT says how many names there are.
TEST(CompiledList, IndexOfVeryManyChunksNamesAsManyAsFit) {
  Settings made = settings();
  made.addresses4_per_name = 2;
  const auto compiled = compile_one(list("x", ips({"20.0.0.0/20"})), made).value();
  const CompiledList& x = compiled.lists[0];
  ASSERT_EQ(x.names.size(), 4096u);
  const Loaded loaded(compiled);
  const auto index = index_of(loaded, "x.merlon.internal.");
  EXPECT_GT(index.size(), 1500u);
  EXPECT_LT(index.size(), 4096u);
  EXPECT_TRUE(std::equal(index.begin(), index.end(), x.names.begin()));
  EXPECT_THAT(loaded.texts("x.merlon.internal."), Contains("names=4096"));
  EXPECT_EQ(decode(loaded, x).a_counts.back(), 2u);
}

TEST(CompiledList, NothingIsLostAndNothingAddedForRandomSets) {
  const uint64_t seed = test::seed_for("compiled lists");
  std::mt19937_64 random(seed);
  for (int round = 0; round < 60; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    const auto random_set = [&](int count, int shortest4, int shortest6) {
      std::vector<std::string> texts;
      for (int i = 0; i < count; ++i) {
        const auto length4 = static_cast<uint8_t>(shortest4 + static_cast<int>(random() % 9));
        const auto bits4 = static_cast<address::Bits4>(0x14000000 | (random() & 0x3ffff)) &
                           ~address::host_mask<address::Bits4>(length4);
        texts.push_back(address::to_text_v4(bits4) + "/" + std::to_string(length4));
        if (random() % 3 == 0) {
          const auto length6 = static_cast<uint8_t>(shortest6 + static_cast<int>(random() % 5));
          const auto bits6 = ((address::Bits6{0x26000000} << 96) | (random() & 0xffff)) &
                             ~address::host_mask<address::Bits6>(length6);
          texts.push_back(address::to_text_v6(bits6) + "/" + std::to_string(length6));
        }
      }
      return ips(texts);
    };
    const address::IpSet narrow = random_set(static_cast<int>(random() % 60), 24, 124);
    const address::IpSet wide = random_set(static_cast<int>(random() % 6), 15, 100);
    Settings made = settings();
    made.addresses4_per_name = 2 + static_cast<uint32_t>(random() % 3999);
    made.addresses6_per_name = 2 + static_cast<uint32_t>(random() % 2299);
    if (random() % 2 == 0) {  // in the midst of what is listed
      made.test_address4 = 0x14000000 | static_cast<uint32_t>(random() & 0x3ffff);
    }
    const ListInput input = list("x", narrow, wide);
    const auto compiled = compile_one(input, made);
    ASSERT_TRUE(compiled.has_value()) << compiled.error().message;
    const Decoded decoded = decode(Loaded(*compiled), compiled->lists[0]);
    const auto test = test_addresses(made, !input.content->addresses.v6.empty());
    EXPECT_EQ(decoded.in_records, narrow.united(test));
    EXPECT_EQ(decoded.in_apl, narrow.united(wide).united(test));
    uint64_t apl_only = 0;
    const auto count = [&](auto prefix, auto& set) {
      apl_only += set.overlaps(prefix.range()) ? 1u : 0u;
    };
    const address::IpSet left = decoded.in_apl.minus(decoded.in_records);
    decoded.in_apl.v4.for_each_prefix([&](auto prefix) { count(prefix, left.v4); });
    decoded.in_apl.v6.for_each_prefix([&](auto prefix) { count(prefix, left.v6); });
    EXPECT_EQ(compiled->lists[0].prefix_only_count, apl_only);
  }
}

}  // namespace
}  // namespace merlon::compile
