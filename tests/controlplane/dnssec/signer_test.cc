// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <thread>

#include "controlplane/dnssec/denial.h"
#include "tests/controlplane/dnssec/signer_fixture.h"
#include "zones/wire/wire.h"

namespace merlon::dnssec {
namespace {

using testing::HasSubstr;

constexpr int64_t kDay = 86400;

class Signing : public testing::Test {
 protected:
  SignerOptions options() { return signer_options(folder_.path() + "/keys", clock_); }
  std::unique_ptr<Signer> open(std::unique_ptr<SignatureCache> cache = nullptr) {
    auto signer = Signer::open(
        options(), cache ? std::move(cache) : open_cache(folder_.path() + "/signatures"));
    EXPECT_TRUE(signer.has_value()) << signer.error().message;
    return std::move(*signer);
  }
  static std::vector<uint8_t> signed_bytes(Signer& signer, const ListZoneOptions& list = {}) {
    ListZone zone = make_list_zone(list);
    const auto done = signer.sign(*zone.builder);
    EXPECT_TRUE(done.has_value()) << done.error().message;
    auto bytes = zone.builder->finish();
    EXPECT_TRUE(bytes.has_value()) << bytes.error().message;
    return bytes.value_or(std::vector<uint8_t>{});
  }
  static std::string refusal(Signer& signer, const ListZoneOptions& list = {}) {
    ListZone zone = make_list_zone(list);
    const auto done = signer.sign(*zone.builder);
    EXPECT_FALSE(done.has_value());
    return done ? "" : done.error().message;
  }

  tests::TemporaryDirectory folder_;
  TestClock clock_;
};

TEST_F(Signing, UnchangedInputGivesTheSameBytesAlsoAfterARestart) {
  const auto first = signed_bytes(*open());
  clock_.pass(kDay / 2);
  const auto signer = open();
  EXPECT_EQ(signed_bytes(*signer), first);
  EXPECT_EQ(signer->counters().made, 0u);
  EXPECT_GT(signer->counters().reused, 20u);
}

TEST_F(Signing, NumberOfThreadsChangesNothing) {
  SignerOptions many = options();
  many.policy.algorithm = Algorithm::ed25519;  // whose signatures do not differ from run to run
  auto one = Signer::open(many, memory_cache());
  const auto first = signed_bytes(**one, {.extra_names = 1000});
  many.thread_count = 4;
  auto four = Signer::open(many, memory_cache());
  EXPECT_EQ(signed_bytes(**four, {.extra_names = 1000}), first);
}

TEST_F(Signing, OnlyWhatChangedIsSignedAnew) {
  const auto signer = open();
  signed_bytes(*signer);
  const uint64_t before = signer->counters().made;
  signed_bytes(*signer, {.serial = 2});  // the SOA
  EXPECT_EQ(signer->counters().made, before + 1);
  signed_bytes(*signer, {.serial = 3, .address_count = 301});  // SOA and list
  EXPECT_EQ(signer->counters().made, before + 3);
}

TEST_F(Signing, SignaturesAreRenewedInTimeAndNotAllAtOnce) {
  const auto signer = open(memory_cache());
  signed_bytes(*signer, {.extra_names = 200});
  const uint64_t all = signer->counters().made;
  const int64_t begin = clock_.wall;
  int days_with_renewals = 0;
  uint64_t most = 0;
  while (clock_.wall < begin + 12 * kDay) {
    clock_.pass(kDay / 2);
    const uint64_t before = signer->counters().made;
    signed_bytes(*signer, {.extra_names = 200});
    const uint64_t renewed = signer->counters().made - before;
    days_with_renewals += renewed > 0 ? 1 : 0;
    most = std::max(most, renewed);
    EXPECT_GT(signer->next_due(), clock_.wall);
    if (clock_.wall - begin < 6 * kDay) {
      EXPECT_EQ(renewed, 0u);
    }
  }
  EXPECT_GE(signer->counters().made, 2 * all);
  EXPECT_GE(days_with_renewals, 6);
  EXPECT_LT(most, all / 3);
}

TEST_F(Signing, NothingIsEverServedNearItsEnd) {
  const auto signer = open(memory_cache());
  for (int i = 0; i < 60; ++i) {
    ListZone zone = make_list_zone();
    ASSERT_TRUE(signer->sign(*zone.builder).has_value());
    for (size_t node = 0; node < zone.builder->node_count(); ++node) {
      for (const auto& rrset : zone.builder->rrsets_of(node)) {
        if (rrset.signature != snapshot::kNoBody) {
          const Bytes body = zone.builder->own().bytes_of(rrset.signature);
          const Validity validity = validity_of(body.subspan(12));
          EXPECT_LE(validity.inception, clock_.wall - 3600);
          EXPECT_GE(validity.expiration, clock_.wall + 14 * kDay / 4);
          EXPECT_LE(validity.expiration, clock_.wall + 14 * kDay);
        }
      }
    }
    clock_.pass(kDay * 2 / 3);
  }
}

TEST_F(Signing, ChainSkipsGlueCutsAreCoveredEmptyNamesAreNot) {
  const auto signer = open();
  ListZone zone = make_list_zone();
  ASSERT_TRUE(signer->sign(*zone.builder).has_value());
  const auto has = [&](std::string_view label, uint16_t type) {
    const auto node =
        zone.builder->find_node(name_of(std::string(label) + "acme.merlon.internal.").wire());
    return node && zone.builder->find(*node, type) != nullptr;
  };
  const auto is_signed = [&](std::string_view label, uint16_t type) {
    const auto node =
        zone.builder->find_node(name_of(std::string(label) + "acme.merlon.internal.").wire());
    return zone.builder->find(*node, type)->signature != snapshot::kNoBody;
  };
  namespace type = wire::type;
  for (const char* label : {"", "list.", "a.b.ent.", "*.wild.", "sub.", "plain."}) {
    EXPECT_TRUE(has(label, type::nsec) && is_signed(label, type::nsec)) << label;
  }
  for (const char* label : {"ent.", "b.ent.", "wild.", "ns.sub."}) {
    EXPECT_FALSE(has(label, type::nsec)) << label;
  }
  EXPECT_TRUE(is_signed("sub.", type::ds));
  EXPECT_FALSE(is_signed("sub.", type::ns));
  EXPECT_FALSE(is_signed("plain.", type::ns));
  EXPECT_FALSE(is_signed("ns.sub.", type::a));
  EXPECT_TRUE(is_signed("", type::ns));
  EXPECT_TRUE(is_signed("", type::dnskey));
  EXPECT_TRUE(is_signed("", type::cds));
  EXPECT_TRUE(is_signed("", type::cdnskey));
}

TEST_F(Signing, SharedZoneHasNsec3OfEveryNameEmptyOnesIncluded) {
  const auto signer = open();
  ListZone zone = make_list_zone({.apex = "merlon.internal.", .account = 0});
  ASSERT_TRUE(signer->sign(*zone.builder).has_value());
  const size_t names = zone.builder->node_count();
  EXPECT_EQ(zone.builder->find(0, wire::type::nsec), nullptr);
  EXPECT_NE(zone.builder->find(0, wire::type::nsec3param), nullptr);
  const auto bytes = zone.builder->finish();
  ASSERT_TRUE(bytes.has_value());
  const auto segment = snapshot::Segment::from_bytes(*bytes);
  const auto view = snapshot::ZoneView::open(*segment);
  ASSERT_TRUE(view.has_value());
  EXPECT_EQ(view->info().denial, snapshot::Denial::nsec3);
  EXPECT_EQ(view->nsec3().size(), names - 1);  // less the glue
}

TEST_F(Signing, ConfigurationSaysWhichZones) {
  SignerOptions some = options();
  some.scope = Scope::accounts;
  some.also = {name_of("ops.example.")};
  some.never = {name_of("zeta.merlon.internal.")};
  const auto signer = Signer::open(some, memory_cache());
  EXPECT_TRUE((*signer)->signs(name_of("ACME.merlon.internal.")));
  EXPECT_TRUE((*signer)->signs(name_of("ops.example.")));
  EXPECT_FALSE((*signer)->signs(name_of("zeta.merlon.internal.")));
  EXPECT_FALSE((*signer)->signs(name_of("merlon.internal.")));
  EXPECT_FALSE((*signer)->signs(name_of("other.example.")));
}

TEST_F(Signing, ZoneThatCameSignedIsLeftAlone) {
  const auto signer = open();
  ListZone zone = make_list_zone();
  ASSERT_TRUE(signer->sign(*zone.builder).has_value());
  const auto bytes = zone.builder->finish();
  ASSERT_TRUE(signer->sign(*zone.builder).has_value());
  EXPECT_EQ(*zone.builder->finish(), *bytes);
}

TEST_F(Signing, MissingKeyRefusesAndNothingIsMade) {
  const auto signer = open();
  signed_bytes(*signer);
  std::filesystem::remove(folder_.path() + "/keys/acme.merlon.internal/key-1.pem");
  const std::string message = refusal(*signer);
  EXPECT_THAT(message, HasSubstr("acme.merlon.internal."));
  EXPECT_THAT(message, HasSubstr("backup"));
}

TEST_F(Signing, KeysThatOthersMayReadRefuse) {
  const auto signer = open();
  signed_bytes(*signer);
  const std::string path = folder_.path() + "/keys/acme.merlon.internal/key-1.pem";
  ASSERT_EQ(::chmod(path.c_str(), 0644), 0);
  EXPECT_THAT(refusal(*signer), HasSubstr("chmod 600"));
}

TEST_F(Signing, ClockThatJumpsStopsSigningUntilConfirmed) {
  const auto first = signed_bytes(*open());
  clock_.wall += 3 * kDay;
  const auto signer = open();
  EXPECT_THAT(refusal(*signer), HasSubstr("confirm-clock"));
  EXPECT_FALSE(signer->published().has_value());
  ASSERT_TRUE(signer->confirm_clock().has_value());
  EXPECT_EQ(signed_bytes(*signer), first);
}

TEST_F(Signing, LostCacheMeansNewSignaturesOnly) {
  signed_bytes(*open());
  std::filesystem::remove_all(folder_.path() + "/signatures");
  const auto signer = open();
  signed_bytes(*signer);
  EXPECT_EQ(signer->counters().reused, 0u);
  EXPECT_GT(signer->counters().made, 0u);
}

TEST_F(Signing, RolloverGoesOnOverRestartsWhenItIsPublished) {
  SignerOptions split = options();
  split.policy.layout = Layout::split;
  const name::Name apex = name_of("acme.merlon.internal.");
  std::vector<Step> steps;
  bool started = false;
  for (int hour = 0; hour < 12; ++hour, clock_.pass(3600)) {
    const auto signer = Signer::open(split, open_cache(folder_.path() + "/signatures"));
    ASSERT_TRUE(signer.has_value());
    signed_bytes(**signer);
    if (!started) {
      ASSERT_TRUE((*signer)->start_rollover(apex, RolloverKind::zsk).has_value());
      EXPECT_LE((*signer)->due_at(apex), clock_.wall);
      started = true;
      continue;
    }
    const auto report = (*signer)->zone(apex);
    ASSERT_TRUE(report.has_value());
    steps.push_back(report->keys.rollover.step);
    if (hour % 2 == 1) {
      ASSERT_TRUE((*signer)->published().has_value());
    }
  }
  // Two hours each for DNSKEY TTL and propagation; 900 s of zone TTL and propagation.
  std::vector<Step> order;
  std::ranges::unique_copy(steps, std::back_inserter(order));
  EXPECT_THAT(order, testing::ElementsAre(Step::publish, Step::swap, Step::none));
}

TEST_F(Signing, ReportNamesTheTrustAnchor) {
  const auto signer = open();
  signed_bytes(*signer);
  const auto reports = signer->zones();
  ASSERT_EQ(reports.size(), 1u);
  ASSERT_EQ(reports[0].ds.size(), 2u);
  EXPECT_THAT(reports[0].ds[0], testing::StartsWith("acme.merlon.internal. IN DS "));
  EXPECT_THAT(reports[0].dnskeys[0],
              testing::StartsWith("acme.merlon.internal. IN DNSKEY 257 3 13 "));
  EXPECT_FALSE(signer->zone(name_of("none.merlon.internal.")).has_value());
}

TEST_F(Signing, DifferentZonesAreSignedAtOnce) {
  const auto signer = open();
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      const std::string apex = fmt::format("a{}.merlon.internal.", i);
      for (int round = 0; round < 5; ++round) {
        signed_bytes(*signer, {.apex = apex, .serial = static_cast<uint32_t>(round)});
      }
    });
  }
  threads.clear();
  EXPECT_EQ(signer->zones().size(), 4u);
}

TEST(Bitmap, WindowsAndBitsAreThoseOfTheRfc) {
  // RFC 4034 section 4.3: A, MX, RRSIG, NSEC, TYPE1234.
  const uint16_t types[] = {1234, 1, 47, 46, 15};
  std::vector<uint8_t> wanted = {0, 6, 0x40, 0x01, 0, 0, 0, 0x03, 4, 27};
  wanted.resize(wanted.size() + 26);
  wanted.push_back(0x20);
  EXPECT_EQ(type_bitmap(types), wanted);
}

}  // namespace
}  // namespace merlon::dnssec
