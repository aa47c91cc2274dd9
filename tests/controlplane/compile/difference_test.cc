// SPDX-License-Identifier: Apache-2.0
#include "controlplane/compile/difference.h"

#include <gmock/gmock.h>
#include <xxhash.h>

#include <fstream>
#include <random>

#include "tests/controlplane/compile/zones.h"
#include "tests/support/seed.h"

namespace merlon::compile {
namespace {

using snapshot::BodiesBuilder;
using testing::HasSubstr;

constexpr std::string_view kApex = "zone.merlon.internal.";

// What a random zone holds: per owner and type the TTL and the data of its records, and of some the
// data of a signature; and NSEC3 records by hash.
struct Model {
  struct Rrset {
    uint32_t ttl = 300;
    std::set<std::vector<uint8_t>> data;
    std::vector<uint8_t> signature;
    bool shared = false;  // its body is in a segment of its own
    bool operator==(const Rrset&) const = default;
  };
  std::map<std::pair<std::string, uint16_t>, Rrset> rrsets;
  std::map<std::array<uint8_t, snapshot::kNsec3HashSize>, std::vector<uint8_t>> nsec3;
  uint32_t serial = 1;
};

std::vector<uint8_t> random_bytes(std::mt19937_64& random, size_t size) {
  std::vector<uint8_t> bytes(size);
  for (uint8_t& byte : bytes) {
    byte = static_cast<uint8_t>(random() % 4);
  }
  return bytes;
}

void edit(Model& model, std::mt19937_64& random) {
  static constexpr const char* kOwners[] = {"", "a.", "b.", "a.b.", "c.b.", "x.y.z.", "*.b.", "-."};
  static constexpr uint16_t kTypes[] = {wire::type::a, wire::type::txt, wire::type::cname, 65280};
  if (random() % 4 == 0) {
    std::array<uint8_t, snapshot::kNsec3HashSize> hash{};
    hash[0] = static_cast<uint8_t>(random() % 5 * 40);
    if (random() % 2 == 0) {
      model.nsec3.erase(hash);
    } else {
      model.nsec3[hash] = random_bytes(random, 1 + random() % 2);
    }
    return;
  }
  const std::string owner = kOwners[random() % std::size(kOwners)] + std::string(kApex);
  const uint16_t type = kTypes[random() % std::size(kTypes)];
  const auto at = std::pair(owner, type);
  switch (random() % 5) {
    case 0:
      model.rrsets.erase(at);
      return;
    case 1:
      if (model.rrsets.contains(at)) {
        model.rrsets[at].ttl = random() % 2 == 0 ? 300 : 900;
      }
      return;
    case 2:
      if (model.rrsets.contains(at)) {
        std::vector<uint8_t>& signature = model.rrsets[at].signature;
        signature = random_bytes(random, random() % 3);
        if (!signature.empty()) {  // begins with the type covered, as real ones do
          signature.insert(signature.begin(),
                           {static_cast<uint8_t>(type >> 8), static_cast<uint8_t>(type)});
        }
      }
      return;
    default: {
      Model::Rrset& rrset = model.rrsets[at];
      rrset.shared = random() % 2 == 0;
      rrset.data.insert(type == wire::type::a ? random_bytes(random, 4)
                                              : random_bytes(random, random() % 3));
    }
  }
}

Status add_rrset(snapshot::ZoneBuilder& zone, BodiesBuilder& shared, uint16_t dependency,
                 const std::pair<std::string, uint16_t>& at, const Model::Rrset& rrset) {
  BodiesBuilder& bodies = rrset.shared ? shared : zone.own();
  bodies.begin();
  for (const auto& data : rrset.data) {
    bodies.add({.type = at.second, .ttl = rrset.ttl, .data = data});
  }
  const name::Name owner = name_of(at.first);
  const auto added =
      zone.add_rrset(owner, at.second, rrset.shared ? dependency : uint16_t{0}, *bodies.end());
  if (!added || rrset.signature.empty()) {
    return added;
  }
  zone.own().begin();
  zone.own().add({.type = wire::type::rrsig, .ttl = rrset.ttl, .data = rrset.signature});
  return zone.add_signature(owner, at.second, *zone.own().end());
}

std::unique_ptr<LoadedTestZone> build(const Model& model) {
  BodiesBuilder shared;
  // The hash that the builder is told stands for a segment that is made below.
  snapshot::ZoneBuilder zone({.apex = name_of(kApex), .serial = model.serial});
  const uint16_t dependency = zone.depend_on(snapshot::ContentHash::of(as_bytes("shared")));
  Model whole = model;
  whole.rrsets[{std::string(kApex), wire::type::soa}].data = {soa_of_serial(model.serial)};
  for (const auto& [at, rrset] : whole.rrsets) {
    EXPECT_TRUE(add_rrset(zone, shared, dependency, at, rrset).has_value());
  }
  zone.own().begin();
  zone.own().add({.section = BodiesBuilder::Section::authority,
                  .owner = BodiesBuilder::Owner::apex,
                  .type = wire::type::soa,
                  .ttl = 60,
                  .data = soa_of_serial(model.serial)});
  zone.set_negative_body(*zone.own().end());
  zone.set_denial(model.nsec3.empty() ? snapshot::Denial::nsec : snapshot::Denial::nsec3);
  EXPECT_TRUE(zone.arrange().has_value());
  for (const auto& [hash, data] : model.nsec3) {
    snapshot::Nsec3Entry entry{.hash = hash, .body = 0, .signature = 0, .reserved = 0};
    zone.own().begin();
    zone.own().add({.type = wire::type::nsec3, .ttl = 60, .data = data});
    entry.body = *zone.own().end();
    zone.own().begin();
    zone.own().add({.type = wire::type::rrsig, .ttl = 60, .data = data});
    entry.signature = *zone.own().end();
    zone.add_nsec3(entry);
  }
  const auto bytes = zone.finish();
  EXPECT_TRUE(bytes.has_value()) << (bytes ? "" : bytes.error().message);
  auto loaded = load_zone(*bytes);
  loaded->bodies_segments.push_back(snapshot::Segment::from_bytes(shared.finish()).value());
  loaded->bodies_views.push_back(std::make_unique<snapshot::BodiesView>(
      snapshot::BodiesView::open(loaded->bodies_segments.back()).value()));
  loaded->bodies.push_back(loaded->bodies_views.back().get());
  return loaded;
}

std::string base32hex(Bytes bytes) {
  std::string bits;
  for (const uint8_t byte : bytes) {
    for (int bit = 7; bit >= 0; --bit) {
      bits += (byte >> bit & 1) != 0 ? '1' : '0';
    }
  }
  std::string text;
  for (size_t at = 0; at < bits.size(); at += 5) {
    text += "0123456789abcdefghijklmnopqrstuv"[std::stoul(bits.substr(at, 5), nullptr, 2)];
  }
  return text;
}

// The records that the model means, without looking at a segment.
std::set<PlainRecord> records_of(const Model& model) {
  std::set<PlainRecord> records;
  for (const auto& [at, rrset] : model.rrsets) {
    for (const auto& data : rrset.data) {
      records.emplace(at.first, at.second, rrset.ttl, data);
    }
    if (!rrset.signature.empty()) {
      records.emplace(at.first, wire::type::rrsig, rrset.ttl, rrset.signature);
    }
  }
  for (const auto& [hash, data] : model.nsec3) {
    const std::string owner = base32hex(hash) + "." + std::string(kApex);
    records.emplace(owner, wire::type::nsec3, 60, data);
    records.emplace(owner, wire::type::rrsig, 60, data);
  }
  records.emplace(std::string(kApex), wire::type::soa, 300, soa_of_serial(model.serial));
  return records;
}

std::set<PlainRecord> plain(const RecordList& list) {
  std::set<PlainRecord> records;
  for (const RecordView record : list) {
    const auto owner = name::Name::from_wire(record.owner()).value().to_text();
    EXPECT_TRUE(records
                    .emplace(owner, record.type(), record.ttl(),
                             std::vector<uint8_t>(record.data().begin(), record.data().end()))
                    .second);
  }
  return records;
}

bool is_canonical(const RecordList& list) {
  const auto views = list.views();
  return std::ranges::adjacent_find(views, [](const RecordView& a, const RecordView& b) {
           return compare(a, b) >= 0;
         }) == views.end();
}

TEST(Records, AreThoseOfTheZoneInCanonicalOrder) {
  std::mt19937_64 random(test::seed_for("AreThoseOfTheZone"));
  for (int round = 0; round < 100; ++round) {
    Model model;
    for (size_t i = random() % 60; i > 0; --i) {
      edit(model, random);
    }
    const auto zone = build(model);
    const RecordList list = records_of(zone->content());
    EXPECT_EQ(plain(list), records_of(model));
    EXPECT_TRUE(is_canonical(list));
  }
}

TEST(Difference, TurnsOneZoneIntoTheOther) {
  std::mt19937_64 random(test::seed_for("TurnsOneZoneIntoTheOther"));
  Model model;
  auto before = build(model);
  for (int round = 0; round < 300; ++round) {
    ++model.serial;
    for (size_t i = random() % 12; i > 0; --i) {
      edit(model, random);
    }
    auto after = build(model);
    const auto made = diff(before->content(), after->content());
    ASSERT_TRUE(made.has_value()) << made.error().message;
    EXPECT_EQ(made->serial_from, model.serial - 1);
    EXPECT_EQ(made->serial_to, model.serial);
    EXPECT_TRUE(is_canonical(made->removed) && is_canonical(made->added));
    const RecordList old_records = records_of(before->content());
    const RecordList new_records = records_of(after->content());
    // The smallest there is: nothing goes that stays, nothing comes that was there.
    for (const auto& [list, in, out] : {std::tuple(&made->removed, &old_records, &new_records),
                                        std::tuple(&made->added, &new_records, &old_records)}) {
      const auto inside = plain(*in);
      const auto outside = plain(*out);
      for (const PlainRecord& record : plain(*list)) {
        EXPECT_TRUE(inside.contains(record) && !outside.contains(record));
      }
    }
    const auto applied = apply(old_records, *made);
    ASSERT_TRUE(applied.has_value()) << applied.error().message;
    EXPECT_TRUE(*applied == new_records);
    const auto decoded = decode_difference(encode(*made));
    ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
    EXPECT_TRUE(*decoded == *made);
    before = std::move(after);
  }
}

TEST(Difference, OfEqualZonesIsTheSoaAlone) {
  Model model;
  model.rrsets[{"a." + std::string(kApex), wire::type::a}].data = {{1, 2, 3, 4}};
  const auto before = build(model);
  ++model.serial;
  const auto made = diff(before->content(), build(model)->content()).value();
  EXPECT_TRUE(made.removed.empty() && made.added.empty());
  EXPECT_EQ(made.soa_from.size(), 1u);
  EXPECT_FALSE(made.soa_from == made.soa_to);
}

TEST(Difference, RefusesToBeAppliedToAnotherZone) {
  Model model;
  const auto at = std::pair("a." + std::string(kApex), uint16_t{wire::type::a});
  model.rrsets[at].data = {{1, 2, 3, 4}};
  const auto first = build(model);
  ++model.serial;
  model.rrsets[at].data = {{1, 2, 3, 5}};
  const auto second = build(model);
  const auto made = diff(first->content(), second->content()).value();
  const auto again = apply(records_of(second->content()), made);
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().code, ErrorCode::conflict);
  Difference grown = made;
  grown.removed = {};
  grown.added = {};
  for (const RecordView record : made.removed) {
    grown.added.add(record);
  }
  const auto twice = apply(records_of(first->content()), grown);
  ASSERT_FALSE(twice.has_value());
  EXPECT_THAT(twice.error().message, HasSubstr("already"));
}

TEST(Difference, RefusesZonesOfTwoApexes) {
  const auto one = build({});
  snapshot::ZoneBuilder builder({.apex = name_of("other."), .serial = 1});
  builder.own().begin();
  builder.own().add({.type = wire::type::soa, .ttl = 300, .data = soa_of_serial(1)});
  ASSERT_TRUE(
      builder.add_rrset(name_of("other."), wire::type::soa, 0, *builder.own().end()).has_value());
  builder.own().begin();
  builder.own().add({.section = BodiesBuilder::Section::authority,
                     .owner = BodiesBuilder::Owner::apex,
                     .type = wire::type::soa,
                     .data = soa_of_serial(1)});
  builder.set_negative_body(*builder.own().end());
  const auto other = load_zone(builder.finish().value());
  const auto made = diff(one->content(), other->content());
  ASSERT_FALSE(made.has_value());
  EXPECT_EQ(made.error().code, ErrorCode::invalid_argument);
}

TEST(DifferenceEncoding, RefusesEveryDamage) {
  Model model;
  const auto before = build(model);
  ++model.serial;
  std::mt19937_64 random(4711);
  for (int i = 0; i < 60; ++i) {
    edit(model, random);
  }
  const auto bytes = encode(diff(before->content(), build(model)->content()).value());
  for (size_t at = 0; at < bytes.size(); ++at) {
    auto damaged = bytes;
    damaged[at] ^= 0x20;
    EXPECT_FALSE(decode_difference(damaged).has_value()) << at;
    EXPECT_FALSE(decode_difference(Bytes(bytes).first(at)).has_value()) << at;
  }
}

// The form is kept on disk: bytes that were written by hand are read for ever.
TEST(DifferenceEncoding, ReadsBytesWrittenByHand) {
  std::ifstream in("tests/fuzz/corpus/fuzz_difference/gone_and_come", std::ios::binary);
  std::vector<uint8_t> bytes{std::istreambuf_iterator<char>(in), {}};
  const Le64 checksum = XXH3_64bits(bytes.data(), bytes.size());
  bytes.insert(bytes.end(), checksum.bytes.begin(), checksum.bytes.end());
  const auto read = decode_difference(bytes);
  ASSERT_TRUE(read.has_value()) << read.error().message;
  EXPECT_EQ(read->apex, name_of("zone.internal"));
  EXPECT_EQ(read->serial_from, 7u);
  EXPECT_EQ(read->serial_to, 9u);
  const std::vector<uint8_t> root = {0};
  EXPECT_EQ(plain(read->removed),
            (std::set<PlainRecord>{{"a.zone.internal.", wire::type::cname, 300, root},
                                   {"*.a.zone.internal.", wire::type::cname, 300, root}}));
  EXPECT_EQ(plain(read->added),
            (std::set<PlainRecord>{{"b.zone.internal.", wire::type::cname, 300, root}}));
}

TEST(DifferenceEncoding, OfANameCostsLittleMoreThanTheName) {
  Difference difference;
  difference.apex = name_of("policy.rpz.customer.merlon.internal");
  difference.soa_from.add(difference.apex.wire(), wire::type::soa, 300, soa_of_serial(1));
  difference.soa_to.add(difference.apex.wire(), wire::type::soa, 300, soa_of_serial(2));
  size_t text_size = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::string text = fmt::format("host{:04}.example.com", i);
    text_size += text.size();
    for (const std::string_view front : {"", "*."}) {
      const auto name = name_of(fmt::format("{}{}.{}", front, text, difference.apex.to_text()));
      difference.added.add(name.wire(), wire::type::cname, 300, std::vector<uint8_t>{0});
    }
  }
  const auto bytes = encode(difference);
  EXPECT_LT(bytes.size(), text_size + 1000);
  EXPECT_GT(difference.added.bytes().size(), 5 * bytes.size());
}

}  // namespace
}  // namespace merlon::compile
