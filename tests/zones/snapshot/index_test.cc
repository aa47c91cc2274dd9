// SPDX-License-Identifier: Apache-2.0
// What is built over a zone at load, against plain searches: the index of names, the records, and
// the table of apexes.
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "tests/support/seed.h"
#include "tests/support/snapshot_fixture.h"
#include "zones/snapshot/apex_table.h"
#include "zones/snapshot/loaded_zone.h"
#include "zones/snapshot/name_index.h"
#include "zones/snapshot/snapshot.h"
#include "zones/snapshot/zone_builder.h"
#include "zones/wire/wire.h"

namespace merlon::snapshot {
namespace {

using name::Name;

// `hash_mask`: which of the hash's bits vary; few make buckets run over.
void check_index(std::mt19937_64& random, size_t count, uint64_t hash_mask) {
  NameIndex index;
  index.reset(count);
  std::multimap<uint64_t, uint32_t> model;
  for (size_t i = 0; i < count; ++i) {
    const uint64_t hash = random() & hash_mask;
    index.insert(hash, static_cast<uint32_t>(i));
    model.emplace(hash, static_cast<uint32_t>(i));
  }
  for (const auto& [hash, number] : model) {
    ASSERT_EQ(index.find(hash, [&](uint32_t each) { return each == number; }), number);
    ASSERT_NE(index.candidate(hash), NameIndex::kNone);
  }
  for (int i = 0; i < 1000; ++i) {
    const uint64_t hash = random() & hash_mask;
    // All that are offered and none is taken: those of the hash are among them, each once.
    std::multiset<uint32_t> offered;
    ASSERT_EQ(index.find(hash,
                         [&](uint32_t each) {
                           offered.insert(each);
                           return false;
                         }),
              NameIndex::kNone);
    ASSERT_EQ(offered.size(), std::set<uint32_t>(offered.begin(), offered.end()).size());
    const auto [first, last] = model.equal_range(hash);
    for (auto at = first; at != last; ++at) {
      ASSERT_TRUE(offered.contains(at->second));
    }
    ASSERT_EQ(index.candidate(hash) == NameIndex::kNone, offered.empty());
  }
}

TEST(NameIndex, FindsWhatWasInsertedAndNothingElse) {
  std::mt19937_64 random(test::seed_for("NameIndex"));
  for (const size_t count :
       {size_t{0}, size_t{1}, size_t{4}, size_t{5}, size_t{100}, size_t{30000}}) {
    check_index(random, count, UINT64_MAX);
    check_index(random, count, 0xffff'0000'0000'ffff);  // the first buckets only
    check_index(random, count, 0x0003'0000'ffff'ffff);  // four tags
  }
  check_index(random, 300, 0);  // all in one place, and on from there
  check_index(random, 300, 0x0001'0000'0000'0000);
  check_index(random, 300, 0x0001'0000'8000'0000);
}

TEST(NameIndex, WalksOnFromTheLastBucketToTheFirst) {
  NameIndex index;
  index.reset(40);
  for (uint32_t i = 0; i < 40; ++i) {
    index.insert(0xffff'ffff, i);
  }
  for (uint32_t i = 0; i < 40; ++i) {
    EXPECT_EQ(index.find(0xffff'ffff, [&](uint32_t each) { return each == i; }), i);
  }
}

// The records hold what the segment says, for bodies of every size on both sides of what is copied
// into them, of one name and of many, of the zone's own and of another segment.
TEST(LoadedZone, RecordsAreWhatTheSegmentSays) {
  const tests::Fixture fixture = tests::make_fixture({.extra_names = 3000});
  size_t compared = 0;
  size_t copied = 0;
  for (const auto& zone : fixture.snapshot->zones()) {
    for (const NodeEntry& entry : zone->view().nodes()) {
      const Bytes name = zone->view().name_of(entry);
      const uint64_t hash = fixture.key.hash(name);
      const Node* node = zone->find(hash, name);
      ASSERT_NE(node, nullptr);
      EXPECT_TRUE(std::ranges::equal(node->name(), name));
      EXPECT_EQ(node->tier_mask, entry.tier_mask);
      const auto expected = zone->view().rrsets_of(entry);
      const auto rrsets = zone->rrsets_of(*node);
      ASSERT_EQ(rrsets.size(), expected.size());
      for (size_t i = 0; i < rrsets.size(); ++i) {
        const Body body = zone->body_of(expected[i]);
        EXPECT_EQ(rrsets[i].type, expected[i].type);
        EXPECT_TRUE(std::ranges::equal(rrsets[i].body.bytes(), body.bytes()));
        EXPECT_EQ(rrsets[i].body.answer_count, body.answer_count);
        EXPECT_EQ(rrsets[i].body.checksum, body.checksum);
        copied += rrsets[i].body.data != body.data ? 1u : 0u;
        EXPECT_TRUE(rrsets[i].body.data == body.data || body.size <= 64);
        ++compared;
      }
      const Node* candidate = zone->candidate(hash);
      ASSERT_NE(candidate, nullptr);
      EXPECT_TRUE(candidate == node || !LoadedZone::has_name(*candidate, name));
    }
  }
  EXPECT_GT(compared, 3000u);
  EXPECT_GE(copied, 3000u) << "the small bodies of n0 .. n2999";
  // A body of two names stays where it is.
  const auto& zone = *fixture.snapshot->zones()[0];
  const auto text_of = [&](const char* text) {
    const Name name = *Name::from_text(text);
    const auto rrsets = zone.find(fixture.key.hash(name.wire()), name.wire())->rrsets();
    return std::ranges::find(rrsets, wire::type::txt, &Rrset::type)->body.data;
  };
  EXPECT_EQ(text_of("text.merlon.internal."), text_of("both.merlon.internal."));
}

TEST(LoadedZone, FindsNoNameThatIsNotThere) {
  const tests::Fixture fixture = tests::make_fixture({.extra_names = 3000});
  const auto& zone = *fixture.snapshot->zones()[0];
  for (int i = 0; i < 10000; ++i) {
    const Name name = *Name::from_text(fmt::format("x{}.merlon.internal.", i));
    EXPECT_EQ(zone.find(fixture.key.hash(name.wire()), name.wire()), nullptr);
  }
  // The hash of one name with the bytes of another.
  const Name there = *Name::from_text("n1.merlon.internal.");
  const Name missing = *Name::from_text("n1.merlon.interna1.");
  EXPECT_EQ(zone.find(fixture.key.hash(there.wire()), missing.wire()), nullptr);
}

std::shared_ptr<const LoadedZone> make_zone(const Name& apex, uint32_t account,
                                            const IndexKey& key) {
  ZoneBuilder builder({.apex = apex, .serial = 1, .account = account, .tier_mask = 1});
  const std::vector<uint8_t> data(22);  // two root names and five integers
  builder.own().begin();
  builder.own().add({.section = BodiesBuilder::Section::authority,
                     .owner = BodiesBuilder::Owner::apex,
                     .type = wire::type::soa,
                     .ttl = 60,
                     .data = data});
  builder.set_negative_body(*builder.own().end());
  const auto bytes = builder.finish();
  EXPECT_TRUE(bytes.has_value());
  auto zone = LoadedZone::make(*Segment::from_bytes(*bytes), {}, key);
  EXPECT_TRUE(zone.has_value());
  return *zone;
}

// Few different labels, so that apexes nest and names fall below them; a long one now and then.
Name random_name(std::mt19937_64& random, size_t labels_max) {
  Name name;
  for (uint64_t i = random() % (labels_max + 1); i > 0; --i) {
    const std::string label = random() % 16 == 0 ? std::string(20 + random() % 30, 'l')
                                                 : std::string(1, "abc"[random() % 3]);
    if (auto longer = name.child(label)) {
      name = *longer;
    }
  }
  return name;
}

struct Labelled {
  explicit Labelled(const Name& from) : name(from) {
    for (size_t at = 0; name.wire()[at] != 0; at += size_t{name.wire()[at]} + 1) {
      offsets.push_back(static_cast<uint8_t>(at));
    }
  }
  LabelledName view() const { return {name.wire(), offsets.data(), offsets.size()}; }

  Name name;
  std::vector<uint8_t> offsets;
};

class NaiveApexes {
 public:
  explicit NaiveApexes(const std::vector<std::shared_ptr<const LoadedZone>>& zones) {
    for (const auto& zone : zones) {
      by_apex_[*Name::from_wire(zone->view().apex())] = zone.get();
    }
  }
  const LoadedZone* find(const Name& name, size_t depth_max) const {
    for (Name at = name;; at = at.parent()) {
      const auto found = by_apex_.find(at);
      if (found != by_apex_.end() && at.label_count() <= depth_max) {
        return found->second;
      }
      if (at.is_root()) {
        return nullptr;
      }
    }
  }
  const auto& all() const { return by_apex_; }

 private:
  std::map<Name, const LoadedZone*> by_apex_;
};

TEST(ApexTable, EqualsTheNaiveSearchForFewAndManyZones) {
  std::mt19937_64 random(test::seed_for("ApexTable"));
  const IndexKey key = IndexKey::random();
  for (int round = 0; round < 60; ++round) {
    std::set<Name> apexes;
    const size_t wanted = round % 3 == 0 ? 7 + random() % 3 : random() % 40;
    for (size_t i = 0; i < wanted * 4 && apexes.size() < wanted; ++i) {
      apexes.insert(random_name(random, 5));
    }
    std::vector<std::shared_ptr<const LoadedZone>> zones;
    for (const Name& apex : apexes) {
      zones.push_back(make_zone(apex, static_cast<uint32_t>(random() % 3), key));
    }
    std::shuffle(zones.begin(), zones.end(), random);
    const NaiveApexes naive(zones);
    ApexTable table;
    ASSERT_TRUE(table.build(zones, key).has_value());
    auto access = std::make_shared<LoadedAccess>();
    const auto snapshot = Snapshot::assemble(1, zones, access, key);
    ASSERT_TRUE(snapshot.has_value());
    for (int i = 0; i < 500; ++i) {
      const Labelled asked(random_name(random, 8));
      const size_t depth_max = random() % 9;
      ASSERT_EQ(table.find(asked.view(), depth_max), naive.find(asked.name, depth_max))
          << asked.name.to_text() << " with at most " << depth_max << " labels";
      const LoadedZone* zone =
          (*snapshot)->find_zone(asked.name.wire(), asked.offsets.data(), asked.offsets.size());
      ASSERT_EQ(zone, naive.find(asked.name, SIZE_MAX));
      if (zone != nullptr) {
        const size_t depth = Name::from_wire(zone->view().apex())->label_count();
        ASSERT_EQ((*snapshot)->find_zone_above(*zone, asked.name.wire(), asked.offsets.data(),
                                               asked.offsets.size()),
                  depth == 0 ? nullptr : naive.find(asked.name, depth - 1));
      }
    }
    for (const auto& [apex, zone] : naive.all()) {
      bool over = false;
      for (const auto& [below, other] : naive.all()) {
        over = over || (zone->view().info().account == 0 && other->view().info().account != 0 &&
                        below != apex && below.is_at_or_below(apex));
      }
      ASSERT_EQ((*snapshot)->is_over_accounts(*zone), over) << apex.to_text();
      ASSERT_EQ(table.find_exactly(apex.wire()), zone);
    }
  }
}

TEST(ApexTable, RefusesTwoZonesForOneApex) {
  const IndexKey key = IndexKey::random();
  std::vector<std::shared_ptr<const LoadedZone>> zones;
  for (int i = 0; i < 12; ++i) {
    zones.push_back(make_zone(*Name::from_text(fmt::format("z{}.example.", i)), 0, key));
    auto twice = zones;
    twice.push_back(make_zone(*Name::from_text("z0.example."), 7, key));
    ApexTable table;
    const auto built = table.build(twice, key);
    ASSERT_FALSE(built.has_value()) << i;
    EXPECT_EQ(built.error().message, "two zones for z0.example.");
  }
}

}  // namespace
}  // namespace merlon::snapshot
