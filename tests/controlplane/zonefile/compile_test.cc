// SPDX-License-Identifier: Apache-2.0
// Zone segments made of zone files.
#include "controlplane/zonefile/compile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "tests/controlplane/zonefile/zones.h"
#include "zones/snapshot/zone.h"
#include "zones/wire/wire.h"

namespace merlon::zonefile {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

struct Made {
  std::vector<uint8_t> bytes;
  snapshot::Segment segment;
  snapshot::ZoneView view;

  const snapshot::NodeEntry* node(std::string_view name) const {
    const name::Name folded = name_of(name).folded();
    for (const snapshot::NodeEntry& node : view.nodes()) {
      if (std::ranges::equal(view.name_of(node), folded.wire())) {
        return &node;
      }
    }
    return nullptr;
  }
  // The place in rrsets(); SIZE_MAX when there is none.
  size_t rrset(std::string_view name, uint16_t type) const {
    const snapshot::NodeEntry* at = node(name);
    for (size_t i = 0; at != nullptr && i < at->rrset_count; ++i) {
      if (view.rrsets()[at->rrset_first + i].type == type) {
        return at->rrset_first + i;
      }
    }
    return SIZE_MAX;
  }
};

Made make(const ZoneData& zone, const CompileOptions& options = {.tier_mask = 1}) {
  auto bytes = compile(zone, options);
  EXPECT_TRUE(bytes.has_value()) << bytes.error().message;
  auto segment = snapshot::Segment::from_bytes(*bytes);
  const auto view = snapshot::ZoneView::open(*segment);
  EXPECT_TRUE(view.has_value()) << view.error().message;
  snapshot::ZoneView seen = *view;
  return {std::move(*bytes), std::move(*segment), std::move(seen)};
}

TEST(ZoneCompile, SampleHasItsNodesAndRrsets) {
  const auto zone = read_zone_file("tests/samples/zones/shapes.example.zone",
                                   {.apex = name_of("shapes.example.")});
  ASSERT_TRUE(zone.has_value());
  const Made made = make(*zone, {.account = 7});
  EXPECT_EQ(made.view.info().serial, 2026010101u);
  EXPECT_EQ(made.view.info().account, 7u);
  EXPECT_EQ(made.view.info().tier_mask, 0u);
  ASSERT_NE(made.node("b.ent.shapes.example."), nullptr);
  EXPECT_EQ(made.node("b.ent.shapes.example.")->rrset_count, 0);
  EXPECT_EQ(made.node("mail.shapes.example.")->rrset_count, 2);
  EXPECT_NE(made.rrset("*.wild.shapes.example.", wire::type::a), SIZE_MAX);
  EXPECT_NE(made.rrset("hidden.sub.shapes.example.", wire::type::a), SIZE_MAX);
}

TEST(ZoneCompile, SameZoneSameBytesInAnyOrder) {
  const auto a = read("b A 192.0.2.1\na A 192.0.2.2\na A 192.0.2.3\n");
  const auto b = read("a A 192.0.2.2\na A 192.0.2.3\nb A 192.0.2.1\n");
  ASSERT_TRUE(a.has_value() && b.has_value());
  EXPECT_EQ(make(*a).bytes, make(*b).bytes);
}

TEST(ZoneCompile, EqualRrsetsShareABody) {
  const auto zone = read("a A 192.0.2.1\nb A 192.0.2.1\nc 5 A 192.0.2.1\nd A 192.0.2.2\n");
  ASSERT_TRUE(zone.has_value());
  const Made made = make(*zone);
  const auto body = [&](std::string_view name) {
    return made.view.rrsets()[made.rrset(name, wire::type::a)].body;
  };
  EXPECT_EQ(body("a.example."), body("b.example."));
  EXPECT_NE(body("a.example."), body("c.example."));
  EXPECT_NE(body("a.example."), body("d.example."));
  EXPECT_EQ(made.view.own_bodies().size(), 6u);  // NS, SOA, three of addresses, negative
}

TEST(ZoneCompile, NegativeAnswersLiveAsLongAsTheMinimumAndTheSoa) {
  const auto zone = read("", "@ 200 SOA ns host 1 1 1 1 300\n@ NS ns\n");
  const auto other = read("", "@ 200 SOA ns host 1 1 1 1 100\n@ NS ns\n");
  ASSERT_TRUE(zone.has_value() && other.has_value());
  const auto ttl = [](const Made& made) {
    const snapshot::Body body = made.view.own_bodies().body(made.view.info().negative_body);
    EXPECT_EQ(body.authority_count, 1);
    EXPECT_EQ(body.pointer_count, 1);
    return load_be32(body.data + 6);
  };
  EXPECT_EQ(ttl(make(*zone)), 200u);
  EXPECT_EQ(ttl(make(*other)), 100u);
}

TEST(ZoneCompile, RrsetThatNoMessageHoldsIsNamed) {
  std::string rest;
  for (int i = 0; i < 4200; ++i) {
    rest += fmt::format("big A 192.0.{}.{}\n", i / 250, i % 250 + 1);
  }
  const auto zone = read(rest);
  ASSERT_TRUE(zone.has_value());
  const auto bytes = compile(*zone, {});
  ASSERT_FALSE(bytes.has_value());
  EXPECT_EQ(bytes.error().message,
            "z:5: big.example. A: 4200 records are more than the 65072 bytes that a message holds");
}

constexpr std::string_view kSignedSoa =
    "@ RRSIG SOA 13 1 3600 20400101000000 20200101000000 1 example. AAAA\n";

TEST(ZoneCompile, SignaturesGoWithTheirRrsets) {
  const auto zone = read(std::string(kSignedSoa) +
                         "@ NSEC a.example. NS SOA RRSIG NSEC\n"
                         "a A 192.0.2.1\n"
                         "a RRSIG A 13 2 3600 20400101000000 20200101000000 1 example. AAAA\n"
                         "a RRSIG A 13 2 3600 20400101000000 20200101000000 2 example. BBBB\n"
                         "b A 192.0.2.2\n");
  ASSERT_TRUE(zone.has_value()) << zone.error().message;
  const Made made = make(*zone);
  EXPECT_EQ(made.view.info().denial, snapshot::Denial::nsec);
  const uint32_t signature = made.view.signature_of(made.rrset("a.example.", wire::type::a));
  ASSERT_NE(signature, snapshot::kNoBody);
  EXPECT_EQ(made.view.own_bodies().body(signature).answer_count, 2);
  EXPECT_EQ(made.view.signature_of(made.rrset("b.example.", wire::type::a)), snapshot::kNoBody);
  EXPECT_NE(made.rrset("example.", wire::type::nsec), SIZE_MAX);
}

constexpr std::string_view kHash = "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom";  // RFC 5155 appendix A

TEST(ZoneCompile, Nsec3RecordsAreEntriesNotNames) {
  const auto zone = read(fmt::format(
      "{0}@ NSEC3PARAM 1 0 12 aabbccdd\n"
      "{1} NSEC3 1 1 12 aabbccdd 2t7b4g4vsa5smi47k61mv5bv1a22bojr NS SOA NSEC3PARAM RRSIG\n"
      "{1} RRSIG NSEC3 13 2 3600 20400101000000 20200101000000 1 example. AAAA\n"
      "2t7b4g4vsa5smi47k61mv5bv1a22bojr NSEC3 1 0 5 - {1} A\n",  // of another chain
      kSignedSoa, kHash));
  ASSERT_TRUE(zone.has_value()) << zone.error().message;
  const Made made = make(*zone);
  EXPECT_EQ(made.view.info().denial, snapshot::Denial::nsec3);
  ASSERT_EQ(made.view.nsec3().size(), 1u);
  EXPECT_EQ(to_hex(made.view.nsec3()[0].hash), "065368abeed7ec6e9feba96b8c8bc3e8b791f716");
  EXPECT_EQ(made.node(std::string(kHash) + ".example."), nullptr);
}

TEST(ZoneCompile, BrokenChainsOfNsec3AreRefused) {
  const std::string head(std::string(kSignedSoa) + "@ NSEC3PARAM 1 0 0 -\n");
  const auto unsigned_one =
      read(head + std::string(kHash) + " NSEC3 1 0 0 - " + std::string(kHash) + " A\n");
  ASSERT_TRUE(unsigned_one.has_value()) << unsigned_one.error().message;
  EXPECT_EQ(compile(*unsigned_one, {}).error().message,
            "z:7: 0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example. NSEC3: not signed");
  const auto no_hash = read(head + "a NSEC3 1 0 0 - " + std::string(kHash) + " A\n");
  ASSERT_TRUE(no_hash.has_value());
  EXPECT_EQ(compile(*no_hash, {}).error().message,
            "z:7: a.example. NSEC3: the owner is no hash below the apex");
}

class FakeSigner final : public compile::ZoneSigner {
 public:
  bool signs(const name::Name& apex) const override { return apex == name_of("example."); }
  Status sign(snapshot::ZoneBuilder& zone) override {
    nodes = zone.node_count();
    return result;
  }
  size_t nodes = 0;
  Status result;
};

TEST(ZoneCompile, SignerGetsTheArrangedZoneUnlessItIsSigned) {
  const auto zone = read("a.b A 192.0.2.1\n");
  const auto already = read(kSignedSoa);
  ASSERT_TRUE(zone.has_value() && already.has_value());
  FakeSigner signer;
  ASSERT_TRUE(zonefile::compile(*already, {.signer = &signer}).has_value());
  EXPECT_EQ(signer.nodes, 0u);
  ASSERT_TRUE(zonefile::compile(*zone, {.signer = &signer}).has_value());
  EXPECT_EQ(signer.nodes, 3u);
  signer.result = fail(ErrorCode::not_found, "no key");
  const auto refused = zonefile::compile(*zone, {.signer = &signer});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().message, "sign zone example.: no key");
}

TEST(ZoneCompile, TenThousandSmallZonesAndOneLargeTakeSeconds) {
  std::string rest;
  for (int i = 0; i < 20; ++i) {
    rest += fmt::format("host{0} A 192.0.2.{0}\n", i);
  }
  auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 2000; ++i) {
    const auto zone = read(rest);
    ASSERT_TRUE(zone.has_value());
    ASSERT_TRUE(compile(*zone, {}).has_value());
  }
  const std::chrono::duration<double> small = std::chrono::steady_clock::now() - start;
  rest.clear();
  for (int i = 0; i < 200'000; ++i) {
    rest += fmt::format("n{} A 10.{}.{}.{}\n", i * 7919 % 200'000, i >> 16, i >> 8 & 255, i & 255);
  }
  start = std::chrono::steady_clock::now();
  const auto zone = read(rest);
  ASSERT_TRUE(zone.has_value());
  const std::chrono::duration<double> parsed = std::chrono::steady_clock::now() - start;
  ASSERT_TRUE(compile(*zone, {}).has_value());
  const std::chrono::duration<double> large = std::chrono::steady_clock::now() - start;
  fmt::print("a zone of 22 records: {:.3f} ms; one of 200,002: {:.2f} s, {:.2f} s of it reading\n",
             small.count() / 2, large.count(), parsed.count());
  EXPECT_LT(small.count(), 60.0);  // in any build; the numbers above are what counts
  EXPECT_LT(large.count(), 60.0);
}

}  // namespace
}  // namespace merlon::zonefile
