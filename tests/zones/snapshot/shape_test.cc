// SPDX-License-Identifier: Apache-2.0
// What is computed when a zone is loaded: what each name is, and the way to what proves denials.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "tests/support/text_zone.h"
#include "zones/snapshot/zone_builder.h"
#include "zones/wire/wire.h"

namespace merlon::snapshot {
namespace {

using name::Name;
using tests::Signing;
using tests::TextSnapshot;

constexpr std::string_view kText = R"(@ SOA ns hostmaster 1 3600 600 86400 60
@ NS ns
@ DNAME elsewhere.
)";
constexpr std::string_view kShapes = R"(@ SOA ns hostmaster 1 3600 600 86400 60
@ NS ns
ns A 192.0.2.1
alias CNAME ns
*.wild A 192.0.2.2
cut NS ns.cut
cut DNAME ns
ns.cut A 192.0.2.3
sub.cut NS ns.cut
red DNAME ns
a.b.ent TXT "ent"
)";

TextSnapshot load(std::string_view text, Signing signing = Signing::none) {
  return tests::make_text_snapshot(
      {{.apex = "example.test.", .text = std::string(text), .signing = signing}});
}

const Node* find(const TextSnapshot& made, std::string_view text) {
  const Name name = *Name::from_text(text);
  return made.snapshot->zones()[0]->find(made.key.hash(name.wire()), name.wire());
}

struct Labelled {
  Name name;
  std::array<uint8_t, name::kLabelCountMax + 1> offsets{};

  explicit Labelled(std::string_view text) : name(*Name::from_text(text)) {
    size_t at = 0;
    for (size_t i = 0; i <= name.label_count(); ++i) {
      offsets[i] = static_cast<uint8_t>(at);
      at += name.wire()[at] + size_t{1};
    }
  }
  LabelledName get() const { return {name.wire(), offsets.data(), name.label_count()}; }
};

TEST(LoadedZone, NamesAreFlaggedForWhatTheyAre) {
  using namespace node_flag;  // NOLINT(google-build-using-namespace): its names, one function
  const TextSnapshot made = load(kShapes);
  EXPECT_FALSE(made.snapshot->zones()[0]->has_plain_misses());
  for (const auto& [name, flags] : {std::pair<const char*, unsigned>{"example.test.", apex},
                                    {"ns.example.test.", 0},
                                    {"alias.example.test.", cname},
                                    {"wild.example.test.", wildcard_parent},
                                    {"*.wild.example.test.", 0},
                                    {"cut.example.test.", cut},
                                    {"ns.cut.example.test.", occluded},
                                    {"sub.cut.example.test.", occluded},
                                    {"red.example.test.", dname},
                                    {"ent.example.test.", 0},
                                    {"b.ent.example.test.", 0}}) {
    EXPECT_EQ(find(made, name)->flags, flags) << name;
  }
  const TextSnapshot at_apex = load(kText);
  EXPECT_EQ(at_apex.snapshot->zones()[0]->apex_node().flags, apex | dname);
  EXPECT_FALSE(at_apex.snapshot->zones()[0]->has_plain_misses());
  EXPECT_TRUE(load("@ SOA ns h 1 1 1 1 1\nc CNAME a.b\na.b A 192.0.2.1\n")
                  .snapshot->zones()[0]
                  ->has_plain_misses());
}

TEST(LoadedZone, ClosestEncloserIsTheDeepestAncestorThereIs) {
  const TextSnapshot made = load(kShapes);
  const LoadedZone& zone = *made.snapshot->zones()[0];
  for (const auto& [name, encloser] :
       {std::pair{"x.example.test.", "example.test."},
        {"x.y.z.example.test.", "example.test."},
        {"x.ns.example.test.", "ns.example.test."},
        {"x.ent.example.test.", "ent.example.test."},
        {"x.b.ent.example.test.", "b.ent.example.test."},
        {"1.2.3.4.5.6.a.b.ent.example.test.", "a.b.ent.example.test."}}) {
    const Labelled labelled(name);
    const Encloser found = zone.closest_encloser(made.key, labelled.get());
    EXPECT_EQ(found.node, find(made, encloser)) << name;
    EXPECT_EQ(found.depth, Name::from_text(encloser)->label_count()) << name;
  }
}

TEST(LoadedZone, FindsTheNsecBeforeAName) {
  const TextSnapshot made = load(kShapes, Signing::nsec);
  const LoadedZone& zone = *made.snapshot->zones()[0];
  for (const auto& [name, owner] :
       {std::pair{"example.test.", "example.test."},
        {"ns.example.test.", "ns.example.test."},
        {"0.example.test.", "example.test."},
        {"ent.example.test.", "cut.example.test."},  // neither glue nor ENTs have one
        {"zz.example.test.", "*.wild.example.test."}}) {
    const uint32_t number = zone.nsec_at_or_before(Name::from_text(name)->wire());
    ASSERT_NE(number, kNoBody);
    EXPECT_EQ(Name::from_wire(zone.view().name_of(zone.view().nodes()[number]))->to_text(), owner)
        << name;
  }
}

TEST(LoadedZone, FindsTheNsec3OfAHash) {
  const TextSnapshot made = load(kShapes, Signing::nsec3);
  const LoadedZone& zone = *made.snapshot->zones()[0];
  EXPECT_EQ(zone.nsec3_parameters().iterations, 1);
  EXPECT_EQ(to_hex(zone.nsec3_parameters().salt), "abcd");
  const auto entries = zone.view().nsec3();
  for (uint32_t i = 0; i < entries.size(); ++i) {
    name::Sha1Digest hash = entries[i].hash;
    EXPECT_EQ(zone.nsec3_at_or_before(hash), i);
    ++hash.back();
    EXPECT_EQ(zone.nsec3_at_or_before(hash), i);
  }
  // The last one's range goes round.
  EXPECT_EQ(zone.nsec3_at_or_before({}), entries.size() - 1);
  // Every name that is signed has one, by the same hash that ldns made.
  for (const char* name : {"example.test.", "ns.example.test.", "ent.example.test.",
                           "*.wild.example.test.", "cut.example.test."}) {
    const auto hash = name::nsec3_hash(Name::from_text(name)->wire(), zone.nsec3_parameters());
    EXPECT_EQ(entries[zone.nsec3_at_or_before(hash)].hash, hash) << name;
  }
}

TEST(LoadedZone, SignaturesAreThoseOfTheRrset) {
  const TextSnapshot made = load(kShapes, Signing::nsec);
  const LoadedZone& zone = *made.snapshot->zones()[0];
  const Node* node = find(made, "ns.example.test.");
  ASSERT_EQ(node->rrset_count, 2);
  for (const Rrset& rrset : node->rrsets()) {
    const Body signature = zone.signature_of(*node, rrset);
    ASSERT_NE(signature.size, 0u);
    EXPECT_EQ(load_be16(signature.data + 2), wire::type::rrsig);
    EXPECT_EQ(load_be16(signature.data + 12), rrset.type);  // the type that it covers
  }
  const Node* glue = find(made, "ns.cut.example.test.");
  EXPECT_EQ(zone.signature_of(*glue, glue->rrsets()[0]).size, 0u);
}

// Iterations and salt are the apex' NSEC3PARAM: without it nothing could be denied.
TEST(LoadedZone, Nsec3WithoutParametersIsRefused) {
  const Name apex = *Name::from_text("example.test.");
  const auto make = [&](std::vector<uint8_t> parameters) {
    ZoneBuilder builder({.apex = apex, .serial = 1, .account = 0, .tier_mask = 1});
    const auto add_body = [&](uint16_t type, Bytes data, BodiesBuilder::Section section) {
      builder.own().begin();
      builder.own().add({.section = section, .type = type, .ttl = 60, .data = data});
      return *builder.own().end();
    };
    const std::vector<uint8_t> data(22);
    builder.set_negative_body(add_body(wire::type::soa, data, BodiesBuilder::Section::authority));
    if (!parameters.empty()) {
      EXPECT_TRUE(builder
                      .add_rrset(apex, wire::type::nsec3param, 0,
                                 add_body(wire::type::nsec3param, parameters,
                                          BodiesBuilder::Section::answer))
                      .has_value());
    }
    EXPECT_TRUE(builder.arrange().has_value());
    builder.add_nsec3({{},
                       add_body(wire::type::nsec3, data, BodiesBuilder::Section::answer),
                       add_body(wire::type::rrsig, data, BodiesBuilder::Section::answer),
                       0});
    builder.set_denial(Denial::nsec3);
    const IndexKey key = tests::fixed_index_key();
    return LoadedZone::make(*Segment::from_bytes(*builder.finish()), {}, key);
  };
  EXPECT_TRUE(make({1, 0, 0, 5, 1, 0xaa}).has_value());
  for (const std::vector<uint8_t>& bad : {std::vector<uint8_t>{},
                                          {1, 0, 0, 5},
                                          {2, 0, 0, 5, 0},
                                          {1, 0, 0, 5, 2, 0xaa},
                                          {1, 0, 0, 5, 0, 0xaa}}) {
    const auto made = make(bad);
    ASSERT_FALSE(made.has_value());
    EXPECT_NE(made.error().message.find("NSEC3PARAM"), std::string::npos) << made.error().message;
  }
}

}  // namespace
}  // namespace merlon::snapshot
