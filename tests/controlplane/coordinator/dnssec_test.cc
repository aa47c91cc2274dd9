// SPDX-License-Identifier: Apache-2.0
// Signed zones as an operator sees them, and what is published for accounts.
#include "controlplane/dnssec/zone_signer.h"

#include "tests/controlplane/coordinator/fixture.h"

namespace merlon::coordinator {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class Signing : public CoordinatorTest {
 protected:
  void sign(dnssec::Scope scope) {
    close();
    signer_ = dnssec::Signer::open(
                  {.keys_path = directory_.path() + "/keys",
                   .suffix = options_.compile.suffix,
                   .scope = scope,
                   .clock = {.wall = [this] { return std::time(nullptr) + ahead_s_.load(); },
                             .steady = dnssec::Clock::system().steady}},
                  dnssec::memory_cache())
                  .value();
    options_.signer = signer_.get();
    options_.dnssec = signer_.get();
    open();
  }
  ~Signing() override { close(); }
  void add_account(const std::string& name, uint64_t capacity = 0) {
    ASSERT_GOOD(coordinator_->add_account({.name = name, .title = {}}));
    store::CustomList list;
    list.account = name;
    list.name = "own";
    ASSERT_GOOD(coordinator_->add_list(list));
    std::array<store::CustomEntry, 2> entries;
    entries[0].value = "45.7.7.7";
    entries[1].value = "45.7.7.9";
    ASSERT_GOOD(coordinator_->add_entries(name, "own", entries, store::OnFault::apply_nothing));
    store::Policy policy;
    policy.account = name;
    policy.name = "edge";
    policy.lists = {"own"};
    policy.capacity = capacity;
    ASSERT_GOOD(coordinator_->add_policy(policy));
    ASSERT_GOOD(coordinator_->build_snapshot());
  }
  std::atomic<int64_t> ahead_s_ = 0;
  std::unique_ptr<dnssec::Signer> signer_;
};

TEST_F(Signing, WithoutItCommandsSayWhichSetting) {
  EXPECT_FALSE(coordinator_->dnssec_zones()->enabled);
  EXPECT_EQ(coordinator_->status()->dnssec, "off");
  EXPECT_FAILS(coordinator_->dnssec_zone("acme.merlon.internal"), unsupported, HasSubstr("`sign`"));
  sign(dnssec::Scope::none);
  EXPECT_FAILS(coordinator_->dnssec_zone("acme.merlon.internal"), unsupported,
               HasSubstr("[dnssec]"));
  EXPECT_FAILS(coordinator_->ds_seen("acme.merlon.internal"), unsupported, HasSubstr("[dnssec]"));
  EXPECT_FAILS(coordinator_->confirm_clock(), unsupported, HasSubstr("[dnssec]"));
}

TEST_F(Signing, ZonesOfAccountsHaveKeysAndOthersSayWhatToDo) {
  sign(dnssec::Scope::accounts);
  add_account("acme");
  const auto zone = coordinator_->dnssec_zone("ACME.merlon.internal");
  ASSERT_GOOD(zone);
  EXPECT_EQ(zone->apex, "acme.merlon.internal.");
  EXPECT_TRUE(zone->is_signed);
  ASSERT_EQ(zone->keys.size(), 1u);
  EXPECT_EQ(zone->keys[0].state, "active");
  EXPECT_EQ(zone->ds.size(), 2u);
  EXPECT_EQ(zone->trust_anchors.size(), 1u);
  EXPECT_EQ(coordinator_->dnssec_zones()->zones.size(), 1u);
  EXPECT_THAT(coordinator_->status()->dnssec, HasSubstr("signatures made"));
  EXPECT_FAILS(coordinator_->dnssec_zone("merlon.internal"), not_found, HasSubstr("`also`"));
  EXPECT_FAILS(coordinator_->start_rollover("blue.merlon.internal", {.kind = "ksk"}), not_found,
               HasSubstr("has no keys"));
  EXPECT_FAILS(coordinator_->dnssec_zone("a..b"), invalid_argument, HasSubstr("a..b"));
}

TEST_F(Signing, RolloverIsBuiltByItselfAndItsWaitBegins) {
  sign(dnssec::Scope::accounts);
  add_account("acme");
  ASSERT_GOOD(coordinator_->start());
  const std::string apex = "acme.merlon.internal.";
  EXPECT_FAILS(coordinator_->start_rollover(apex, {.kind = "zsk"}), conflict, HasSubstr("KSK"));
  EXPECT_FAILS(coordinator_->start_rollover(apex, {.kind = "algorithm", .algorithm = "ed25519"}),
               conflict, HasSubstr("algorithm = \"ed25519\""));
  EXPECT_FAILS(coordinator_->ds_seen(apex), conflict, HasSubstr("no new key"));
  const uint64_t before = served();
  const auto begun = coordinator_->start_rollover(apex, {.kind = "ksk"});
  ASSERT_GOOD(begun);
  EXPECT_EQ(begun->rollover, "ksk");
  EXPECT_EQ(begun->step, "publish");
  EXPECT_TRUE(eventually([&] { return coordinator_->dnssec_zone(apex)->step_since != 0; }));
  EXPECT_GT(served(), before);
  EXPECT_NE(coordinator_->dnssec_zone(apex)->next_step_at, 0);
  EXPECT_EQ(coordinator_->dnssec_zone(apex)->keys.size(), 2u);
}

// Its file is the same all the while.
TEST_F(Signing, ZoneOfAnOperatorIsSignedAgainWhenItsRolloverMoves) {
  std::ofstream(directory_.path() + "/example.net") << "@ 300 SOA ns hostmaster 1 60 60 600 300\n"
                                                       "@ 300 NS ns\nns 300 A 192.0.2.1\n";
  options_.zones.sources = {{.apex = name::Name::from_text("example.net.").value(),
                             .file = directory_.path() + "/example.net",
                             .signing = zonefile::Signing::signed_by_us}};
  sign(dnssec::Scope::all);
  ASSERT_GOOD(coordinator_->start());
  ASSERT_GOOD(coordinator_->dnssec_zone("example.net"));
  const uint64_t before = served();
  ASSERT_GOOD(coordinator_->start_rollover("example.net", {.kind = "ksk"}));
  EXPECT_TRUE(eventually([&] {
    return coordinator_->dnssec_zone("example.net")->step_since != 0 && served() > before;
  }));
}

TEST_F(Signing, ClockThatJumpedIsConfirmed) {
  sign(dnssec::Scope::accounts);
  add_account("acme");
  ahead_s_ = 10 * 86400;
  EXPECT_FAILS(coordinator_->start_rollover("acme.merlon.internal", {.kind = "ksk"}), conflict,
               HasSubstr("clock"));
  EXPECT_GOOD(coordinator_->confirm_clock());
  EXPECT_GOOD(coordinator_->start_rollover("acme.merlon.internal", {.kind = "ksk"}));
}

TEST_F(Signing, UnderAWrongClockNothingIsPublishedAndTheLastGenerationStays) {
  sign(dnssec::Scope::accounts);
  add_account("acme");
  const uint64_t before = current();
  ahead_s_ = 10 * 86400;
  std::array<store::CustomEntry, 1> entries;
  entries[0].value = "45.7.7.11";
  ASSERT_GOOD(coordinator_->add_entries("acme", "own", entries, store::OnFault::apply_nothing));
  EXPECT_FAILS(coordinator_->build_snapshot(), busy, HasSubstr("clock"));
  EXPECT_EQ(current(), before);
  EXPECT_THAT(coordinator_->status()->last_build_error, HasSubstr("clock"));
  EXPECT_TRUE(carriers("45.7.7.11").empty());
  EXPECT_GOOD(coordinator_->confirm_clock());
  EXPECT_GOOD(coordinator_->build_snapshot());
  EXPECT_FALSE(carriers("45.7.7.11").empty());
}

TEST_F(Signing, PublishedListsTellWhatFellOffAndOutliveARestart) {
  options_.zone_log_path = directory_.path() + "/zones.log";
  close();
  open();
  EXPECT_FAILS(coordinator_->published_of("acme"), not_found, HasSubstr("acme"));
  add_account("acme", 1);
  const auto check = [&] {
    const auto published = coordinator_->published_of("acme");
    ASSERT_GOOD(published);
    ASSERT_EQ(published->lists.size(), 2u);
    EXPECT_EQ(published->lists[0].name, "edge");
    EXPECT_EQ(published->lists[0].fallen_off_count, 1u);
    EXPECT_THAT(published->lists[0].names, ElementsAre("edge.acme.merlon.internal."));
    EXPECT_EQ(published->lists[1].name, "own");
    EXPECT_EQ(published->lists[1].fallen_off_count, 0u);
    EXPECT_THAT(published->problems, IsEmpty());
  };
  check();
  restart();
  check();
  ASSERT_GOOD(coordinator_->remove_account("acme", {.with_contents = true}));
  EXPECT_FAILS(coordinator_->published_of("acme"), not_found, HasSubstr("acme"));
}

}  // namespace
}  // namespace merlon::coordinator
