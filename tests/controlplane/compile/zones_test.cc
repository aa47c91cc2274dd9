// SPDX-License-Identifier: Apache-2.0
// Zones one by one: what stays when little changes, limits, accounts, signers and what is
// remembered.
#include <gmock/gmock.h>

#include <random>
#include <set>

#include "controlplane/compile/list_bodies.h"
#include "tests/controlplane/compile/compiled.h"
#include "tests/support/seed.h"

namespace merlon::compile {
namespace {

using snapshot::SegmentKind;
using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;

address::IpSet scattered(uint32_t count, uint32_t step = 700) {
  std::vector<address::Range<address::Bits4>> ranges;
  for (uint32_t i = 0; i < count; ++i) {
    ranges.push_back({0x14000000 + i * step, 0x14000000 + i * step});
  }
  return {address::RangeSet4::from_normal(std::move(ranges)), {}};
}

Compiled compiled_of(const std::vector<ListInput>& lists, const Serials& serials = {.next = 100},
                     const Settings& made = settings()) {
  auto compiled = compile({.lists = lists, .devices = {}}, made, serials);
  EXPECT_TRUE(compiled.has_value()) << (compiled ? "" : compiled.error().message);
  return compiled.value_or(Compiled{});
}

std::set<std::string> bodies_of(const Compiled& compiled) {
  std::set<std::string> hashes;
  for (const CompiledSegment& segment : compiled.segments) {
    if (segment.listed.kind == SegmentKind::bodies) {
      hashes.insert(segment.listed.hash.to_text());
    }
  }
  return hashes;
}

// All records of one type, by name.
std::map<std::string, std::vector<std::vector<uint8_t>>> all_records(const Compiled& compiled,
                                                                     uint16_t type) {
  const Loaded loaded(compiled);
  std::map<std::string, std::vector<std::vector<uint8_t>>> all;
  for (size_t i = 0; i < 100; ++i) {
    const std::string name = "x" + (i == 0 ? "" : std::to_string(i)) + ".merlon.internal.";
    if (auto records = loaded.records(name, type); !records.empty()) {
      all[name] = std::move(records);
    }
  }
  return all;
}

size_t count_changed(const Compiled& before, const Compiled& after, uint16_t type) {
  const auto one = all_records(before, type);
  const auto two = all_records(after, type);
  size_t changed = 0;
  for (const auto& [name, records] : two) {
    const auto at = one.find(name);
    changed += at == one.end() || at->second != records ? 1u : 0u;
  }
  for (const auto& [name, records] : one) {
    changed += two.contains(name) ? 0u : 1u;
  }
  return changed;
}

TEST(CompiledZone, OneAddressMoreChangesOneNameAndOneOfManySegments) {
  const address::IpSet set = scattered(400'000);
  const Compiled before = compiled_of({list("x", set)});
  ASSERT_GT(bodies_of(before).size(), 1u);
  const Compiled after = compiled_of({list("x", set.united(ips({"20.3.0.1"})))},
                                     {.before = before.memory, .next = 200});
  EXPECT_EQ(after.memory.serial, 200u);
  EXPECT_EQ(count_changed(before, after, wire::type::a), 1u);
  EXPECT_EQ(count_changed(before, after, wire::type::apl), 1u);
  EXPECT_EQ(count_changed(before, after, wire::type::ptr), 0u);
  std::set<std::string> fresh = bodies_of(after);
  for (const std::string& hash : bodies_of(before)) {
    fresh.erase(hash);
  }
  EXPECT_EQ(fresh.size(), 1u);
}

TEST(CompiledZone, EmptyNamesStayWithTheTestAddressAlone) {
  const Compiled before = compiled_of({list("x", scattered(12'000))});
  const size_t names = before.lists[0].names.size();
  ASSERT_GT(names, 3u);
  const Compiled after =
      compiled_of({list("x", scattered(100))}, {.before = before.memory, .next = 200});
  EXPECT_EQ(after.lists[0].names, std::vector<std::string>({"x.merlon.internal."}));
  const Loaded loaded(after);
  for (size_t i = 1; i < names; ++i) {
    const auto records =
        loaded.records("x" + std::to_string(i) + ".merlon.internal.", wire::type::a);
    ASSERT_EQ(records.size(), 1u);
    EXPECT_EQ(records[0], (std::vector<uint8_t>{192, 0, 2, 1}));
  }
  EXPECT_EQ(loaded.records("x.merlon.internal.", wire::type::ptr).size(), 1u);
  EXPECT_THAT(loaded.texts("x.merlon.internal."), Contains("names=1"));
}

TEST(CompiledZone, AllIsTheSameWithTheSameMemoryAndInput) {
  const std::vector<ListInput> lists = {list("x", scattered(9'000), ips({"40.0.0.0/8"})),
                                        list("y", ips({"2600::/120"}))};
  const Compiled first = compiled_of(lists);
  for (const ZoneMemory& memory :
       {first.memory, ZoneMemory::decode(first.memory.encode()).value()}) {
    const Compiled second = compiled_of(lists, {.before = memory, .next = 300});
    EXPECT_EQ(second.memory, first.memory);
    ASSERT_EQ(second.segments.size(), first.segments.size());
    for (size_t i = 0; i < first.segments.size(); ++i) {
      EXPECT_TRUE(std::ranges::equal(second.segments[i].content(), first.segments[i].content()));
    }
  }
}

// Who takes segments while they are made gets each of them; the zone is the same.
TEST(CompiledZone, ThreadsMakeTheSameBytesAndHandOverEverySegment) {
  const Settings made = settings();
  const ZoneInput input{.apex = made.suffix,
                        .account = 0,
                        .lists = {list("x", scattered(300'000)), list("y", scattered(300'000)),
                                  list("z", ips({"20.0.0.0/24", "2600::/124"}))}};
  const auto alone = compile_zone(input, {.settings = made, .next_serial = 1}, {}).value();
  std::mutex mutex;
  std::set<std::string> stored;
  const auto together = compile_zone(input,
                                     {.settings = made,
                                      .next_serial = 1,
                                      .threads = 3,
                                      .store =
                                          [&](const CompiledSegment& segment) {
                                            const std::lock_guard lock(mutex);
                                            stored.insert(segment.listed.hash.to_text());
                                            return Status();
                                          }},
                                     {})
                            .value();
  ASSERT_EQ(together.segments.size(), alone.segments.size());
  ASSERT_GT(alone.segments.size(), 2u);
  for (size_t i = 0; i < alone.segments.size(); ++i) {
    EXPECT_TRUE(std::ranges::equal(together.segments[i].content(), alone.segments[i].content()));
    EXPECT_EQ(stored.contains(alone.segments[i].listed.hash.to_text()),
              alone.segments[i].listed.kind == SegmentKind::bodies);
  }
}

TEST(CompiledZone, WhatCannotBeStoredEndsTheCompile) {
  const Settings made = settings();
  const ZoneInput input{.apex = made.suffix, .account = 0, .lists = {list("x", scattered(10))}};
  const auto compiled = compile_zone(
      input,
      {.settings = made,
       .next_serial = 1,
       .threads = 2,
       .store = [](const CompiledSegment&) -> Status { return fail(ErrorCode::io, "disk full"); }},
      {});
  ASSERT_FALSE(compiled.has_value());
  EXPECT_EQ(compiled.error().code, ErrorCode::io);
  EXPECT_THAT(compiled.error().message, testing::HasSubstr("disk full"));
}

// A lost cache keeps serial and hash, which the snapshot tells: the serial stays when it can.
TEST(CompiledZone, WithoutTheChunksTheSerialIsKeptWhenTheBytesAreTheSame) {
  const std::vector<ListInput> lists = {list("x", scattered(9'000))};
  const Compiled first = compiled_of(lists);
  ZoneMemory memory;
  memory.serial = first.memory.serial;
  memory.hash = first.memory.hash;
  EXPECT_EQ(compiled_of(lists, {.before = memory, .next = 300}).memory.serial, 100u);
}

TEST(CompiledZone, SerialsOnlyGoForward) {
  const Compiled first = compiled_of({list("x", scattered(10))}, {.next = 100});
  const Compiled behind =
      compiled_of({list("x", scattered(11))}, {.before = first.memory, .next = 50});
  EXPECT_EQ(behind.memory.serial, 101u);
  EXPECT_EQ(Loaded(behind).serial(), 101u);
  ZoneMemory late = first.memory;
  late.serial = UINT32_MAX - 1;
  EXPECT_EQ(compiled_of({list("x", scattered(11))}, {.before = late, .next = 5}).memory.serial, 5u);
}

TEST(CompiledZone, TheSmallestOfTheLimitsHolds) {
  const struct {
    uint32_t profile, given, names;
  } rows[] = {{4000, 4000, 1}, {100, 4000, 12}, {4000, 256, 5}, {32, 48, 38}};
  for (const auto& row : rows) {
    ListInput input = list("x", scattered(1'000));
    input.addresses4_per_name = row.profile;
    Settings made = settings();
    made.addresses4_per_name = row.given;
    const Compiled compiled = compiled_of({input}, {.next = 1}, made);
    EXPECT_EQ(compiled.lists[0].names.size(), row.names);
    for (const size_t count : decode(Loaded(compiled), compiled.lists[0]).a_counts) {
      EXPECT_LE(count, std::min(row.profile, row.given));
    }
  }
}

TEST(CompiledZone, NoRoomForAnAddressIsAnError) {
  for (const uint32_t limit : {0u, 1u}) {
    ListInput input = list("x", ips({"20.0.0.1"}));
    input.addresses4_per_name = limit;
    const auto compiled = compile({.lists = {input}, .devices = {}}, settings(), {.next = 1});
    ASSERT_FALSE(compiled.has_value());
    EXPECT_EQ(compiled.error().code, ErrorCode::invalid_argument);
    EXPECT_THAT(compiled.error().message, AllOf(HasSubstr("list x"), HasSubstr("merlon.internal")));
  }
}

TEST(CompiledZone, TwoListsThatNeedOneNameAreAConflict) {
  const auto two = compile(
      {.lists = {list("x", scattered(9'000)), list("x1", ips({"20.0.0.1"}))}, .devices = {}},
      settings(), {.next = 1});
  ASSERT_FALSE(two.has_value());
  EXPECT_EQ(two.error().code, ErrorCode::conflict);
  EXPECT_THAT(two.error().message, AllOf(HasSubstr("x1.merlon.internal."), HasSubstr("list x ")));
  const auto twice =
      compile({.lists = {list("x", {}), list("x", {})}, .devices = {}}, settings(), {.next = 1});
  ASSERT_FALSE(twice.has_value());
  EXPECT_EQ(twice.error().code, ErrorCode::conflict);
}

TEST(CompiledZone, ListsCannotTakeTheNamesOfServerAndMailbox) {
  for (const char* label : {"ns1", "hostmaster"}) {
    const auto compiled =
        compile({.lists = {list(label, {})}, .devices = {}}, settings(), {.next = 1});
    ASSERT_FALSE(compiled.has_value()) << label;
    EXPECT_EQ(compiled.error().code, ErrorCode::invalid_argument);
  }
}

TEST(CompiledZone, AnAccountsZoneIsItsOwnAndSharesBodies) {
  const Settings made = settings();
  const auto apex = made.suffix.child("acme").value();
  const ZoneInput shared{.apex = made.suffix, .account = 0, .lists = {list("x", scattered(50))}};
  ListInput mine = list("edge", scattered(50));
  mine.tier_mask = 0;
  const ZoneInput account{.apex = apex, .account = 7, .lists = {mine}};
  const auto one = compile_zone(shared, {.settings = made, .next_serial = 1}, {}).value();
  const auto two = compile_zone(account, {.settings = made, .next_serial = 1}, {}).value();
  EXPECT_EQ(one.segments[0].listed, two.segments[0].listed);
  EXPECT_EQ(two.segments[1].listed.apex, apex);
  EXPECT_EQ(two.lists[0].names, std::vector<std::string>({"edge.acme.merlon.internal."}));
  const auto segment = snapshot::Segment::from_bytes(two.segments[1].bytes).value();
  const auto view = snapshot::ZoneView::open(segment).value();
  EXPECT_EQ(view.info().account, 7u);
}

// Looks at what a signer is given, and puts a record where one can see it.
class LookingSigner final : public ZoneSigner {
 public:
  bool signs(const name::Name& apex) const override { return apex == signed_apex; }
  Status sign(snapshot::ZoneBuilder& zone) override {
    ++calls;
    if (fault) {
      return fail(ErrorCode::not_found, "the key of {} is missing", signed_apex.to_text());
    }
    names = zone.node_count();
    for (size_t node = 0; node < zone.node_count(); ++node) {
      for (const auto& rrset : zone.rrsets_of(node)) {
        size_t records = 0;
        wire::Reader reader(zone.body_of(rrset));
        while (reader.ok() && reader.remaining() != 0) {
          reader.skip(10);
          reader.bytes(reader.u16());
          ++records;
        }
        EXPECT_TRUE(reader.ok());
        const size_t data = rrset.type == wire::type::a ? 4 : 16;
        if (rrset.type == wire::type::a || rrset.type == wire::type::aaaa) {
          canonical_max =
              std::max(canonical_max, records * (zone.name_of(node).size() + 10 + data));
        }
      }
    }
    zone.own().begin();
    zone.own().add({.type = wire::type::txt, .ttl = 60, .data = mark});
    const auto body = zone.own().end();
    EXPECT_TRUE(body.has_value());
    zone.add_rrset_at(0, wire::type::txt, *body);
    return {};
  }

  name::Name signed_apex = settings().suffix;
  std::vector<uint8_t> mark = {1, 'k'};
  bool fault = false;
  int calls = 0;
  size_t names = 0;
  size_t canonical_max = 0;
};

TEST(SignedZone, RrsetsFitTheBufferOfValidators) {
  Settings made = settings();
  LookingSigner signer;
  const auto v6 = ips({"2600::/116"});
  const ZoneInput input{.apex = made.suffix,
                        .account = 0,
                        .lists = {list("basic", scattered(60'000)), list("six", v6),
                                  list(std::string(59, 'l'), scattered(9'000))}};
  const auto compiled =
      compile_zone(input, {.settings = made, .next_serial = 1, .signer = &signer}, {});
  ASSERT_TRUE(compiled.has_value()) << compiled.error().message;
  EXPECT_LE(signer.canonical_max + 18 + made.suffix.size(), 65535u);
  EXPECT_GT(signer.canonical_max, 45'000u) << "names hold much less than they could";
  EXPECT_EQ(signer.calls, 1);
  EXPECT_GT(signer.names, 40u);
}

TEST(SignedZone, PtrRecordsFitTheBufferToo) {
  Settings made = settings();
  made.addresses4_per_name = 3;
  LookingSigner signer;
  const ZoneInput input{.apex = made.suffix, .account = 0, .lists = {list("x", scattered(6'000))}};
  auto compiled =
      compile_zone(input, {.settings = made, .next_serial = 1, .signer = &signer}, {}).value();
  compiled.segments.push_back(compile_access({}).value());
  const Loaded loaded(Compiled{std::move(compiled.segments), {}, 0, {}});
  size_t canonical = 18 + made.suffix.size();
  const auto records = loaded.records("x.merlon.internal.", wire::type::ptr);
  for (const auto& data : records) {
    canonical += 2 + made.suffix.size() + 10 + data.size();
  }
  EXPECT_LE(canonical, 65535u);
  EXPECT_GT(records.size(), 1000u);
}

TEST(SignedZone, NewSignaturesGetANewSerialAndTheSameOnesDoNot) {
  const Settings made = settings();
  LookingSigner signer;
  const ZoneInput input{.apex = made.suffix, .account = 0, .lists = {list("x", scattered(10))}};
  const auto first =
      compile_zone(input, {.settings = made, .next_serial = 1, .signer = &signer}, {}).value();
  const auto same =
      compile_zone(input, {.settings = made, .next_serial = 2, .signer = &signer}, first.memory)
          .value();
  EXPECT_EQ(same.memory, first.memory);
  signer.mark[1] = 'l';
  const auto renewed =
      compile_zone(input, {.settings = made, .next_serial = 3, .signer = &signer}, first.memory)
          .value();
  EXPECT_EQ(renewed.memory.serial, 3u);
  EXPECT_EQ(renewed.memory.lists, first.memory.lists);
}

TEST(SignedZone, TheSignersFaultIsTheZones) {
  const Settings made = settings();
  LookingSigner signer;
  signer.fault = true;
  const ZoneInput input{.apex = made.suffix, .account = 0, .lists = {}};
  const auto compiled =
      compile_zone(input, {.settings = made, .next_serial = 1, .signer = &signer}, {});
  ASSERT_FALSE(compiled.has_value());
  EXPECT_EQ(compiled.error().code, ErrorCode::not_found);
  EXPECT_THAT(compiled.error().message,
              AllOf(HasSubstr("zone merlon.internal."), HasSubstr("key")));
}

TEST(SignedZone, AZoneThatIsNotToBeSignedIsNot) {
  Settings made = settings();
  LookingSigner signer;
  signer.signed_apex = made.suffix.child("other").value();
  const ZoneInput input{.apex = made.suffix, .account = 0, .lists = {list("x", scattered(4'000))}};
  const auto compiled =
      compile_zone(input, {.settings = made, .next_serial = 1, .signer = &signer}, {}).value();
  EXPECT_EQ(signer.calls, 0);
  EXPECT_EQ(compiled.lists[0].names.size(), 2u);
}

TEST(ZoneMemory, DamageAnywhereIsCorruption) {
  const std::string bytes =
      compiled_of({list("x", scattered(20'000)), list("y", ips({"2600::/115"}))}).memory.encode();
  EXPECT_TRUE(ZoneMemory::decode(bytes).has_value());
  std::mt19937_64 random(test::seed_for("zone memory"));
  for (int i = 0; i < 2'000; ++i) {
    std::string damaged = bytes;
    const size_t at = random() % damaged.size();
    switch (random() % 3) {
      case 0:
        damaged[at] = static_cast<char>(damaged[at] ^ static_cast<char>(1 + random() % 255));
        break;
      case 1:
        damaged.resize(at);
        break;
      default:
        damaged.insert(at, 1 + random() % 9, static_cast<char>(random()));
    }
    const auto decoded = ZoneMemory::decode(damaged);
    ASSERT_TRUE(damaged == bytes || !decoded.has_value());
    if (!decoded) {
      EXPECT_EQ(decoded.error().code, ErrorCode::corruption);
    }
  }
}

// With a checksum that is right the fields must still make sense.
TEST(ZoneMemory, NonsenseWithAGoodChecksumIsCorruptionOrHarmless) {
  std::string bytes = compiled_of({list("x", scattered(20'000))}).memory.encode();
  bytes.resize(bytes.size() - 8);
  std::mt19937_64 random(test::seed_for("zone memory, sealed"));
  size_t refused = 0;
  for (int i = 0; i < 3'000; ++i) {
    std::string damaged = bytes;
    damaged[4 + random() % (damaged.size() - 4)] = static_cast<char>(random());
    const auto hash = snapshot::ContentHash::of(as_bytes(damaged));
    damaged.append(reinterpret_cast<const char*>(hash.bytes.data()), 8);
    const auto decoded = ZoneMemory::decode(damaged);
    refused += decoded ? 0u : 1u;
    if (decoded) {  // whatever it says, the zone compiled with it is right
      const auto compiled = i % 50 == 0
                                ? compile({.lists = {list("x", scattered(3'000))}, .devices = {}},
                                          settings(), {.before = *decoded, .next = 9})
                                : Result<Compiled>(Compiled{});
      ASSERT_TRUE(compiled.has_value());
      if (i % 50 == 0) {
        EXPECT_EQ(compiled->lists[0].address4_count, 3'001u);
      }
    }
  }
  EXPECT_GT(refused, 100u);
}

}  // namespace
}  // namespace merlon::compile
