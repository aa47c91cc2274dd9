// SPDX-License-Identifier: Apache-2.0
// Rollovers over simulated years, before validators that may have cached anything that was ever
// served within its TTL: whatever they combine must validate, for strict validators too, which want
// a signature of every algorithm that the DS or the DNSKEY RRset names (RFC 6840 section 5.11).
#include "controlplane/dnssec/rollover.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <random>
#include <set>

#include "controlplane/dnssec/state_file.h"
#include "tests/support/seed.h"

namespace merlon::dnssec {
namespace {

constexpr int64_t kHour = 3600;
constexpr int64_t kDay = 86400;

using Ids = std::set<uint32_t>;

// What a server shows of the zone.
struct Served {
  std::map<uint32_t, Algorithm> shown;  // DNSKEY RRset
  Ids sign_keys;
  Ids sign_zone;
  bool operator==(const Served&) const = default;
};

template <class T>
struct Version {
  int64_t from = 0;
  T what;
};

// Everything of which some copy may still be in use at `now`: an old version until `lag` after the
// next one came, and in caches for a TTL more.
template <class T>
void forget(std::deque<Version<T>>& versions, int64_t now, int64_t lag) {
  while (versions.size() > 1 && versions[1].from + lag < now) {
    versions.pop_front();
  }
}

struct ModelTimes {
  int64_t zone_ttl = 4 * kHour;
  int64_t dnskey_ttl = kHour;
  int64_t ds_ttl = kDay;
  int64_t propagation = kHour;
};

class Model {
 public:
  explicit Model(const ModelTimes& times) : times_(times) {}

  void serve(int64_t now, const ZoneKeys& zone) {
    Served served;
    for (const KeyState& key : zone.keys) {
      all_[key.id] = key.algorithm;
      if (key.is_shown()) {
        served.shown[key.id] = key.algorithm;
      }
      if (key.signs_keys()) {
        served.sign_keys.insert(key.id);
      }
      if (key.signs_zone()) {
        served.sign_zone.insert(key.id);
      }
    }
    if (dnskeys_.empty() || !(dnskeys_.back().what == served)) {
      dnskeys_.push_back({now, served});
    }
    if (signatures_.empty() || signatures_.back().what != served.sign_zone) {
      signatures_.push_back({now, served.sign_zone});
    }
  }
  void set_ds(int64_t now, const Ids& ids) { ds_.push_back({now, ids}); }
  const Served& current() const { return dnskeys_.back().what; }

  // "" or a combination that does not validate.
  std::string fault(int64_t now) {
    forget(dnskeys_, now, times_.propagation + times_.dnskey_ttl);
    forget(signatures_, now, times_.propagation + times_.zone_ttl);
    forget(ds_, now, times_.ds_ttl);
    for (const auto& ds : ds_) {
      for (const auto& keys : dnskeys_) {
        if (auto text = chain_fault(ds.what, keys.what); !text.empty()) {
          return text;
        }
        for (const auto& signatures : signatures_) {
          if (auto text = answer_fault(keys.what, signatures.what); !text.empty()) {
            return text;
          }
        }
      }
    }
    return "";
  }

 private:
  std::string chain_fault(const Ids& ds, const Served& keys) const {
    const auto good = [&](uint32_t id) {
      return keys.shown.contains(id) && keys.sign_keys.contains(id);
    };
    if (std::ranges::none_of(ds, good)) {
      return "no DS matches a key that signs the DNSKEY RRset";
    }
    for (const uint32_t id : ds) {
      if (std::ranges::none_of(
              ds, [&](uint32_t other) { return all_.at(other) == all_.at(id) && good(other); })) {
        return "an algorithm of the DS RRset does not sign the DNSKEY RRset";
      }
    }
    for (const auto& [id, algorithm] : keys.shown) {
      if (std::ranges::none_of(keys.sign_keys,
                               [&](uint32_t other) { return all_.at(other) == algorithm; })) {
        return "an algorithm of the DNSKEY RRset does not sign it";
      }
    }
    return "";
  }

  std::string answer_fault(const Served& keys, const Ids& signatures) const {
    for (const auto& [id, algorithm] : keys.shown) {
      if (std::ranges::none_of(signatures, [&](uint32_t other) {
            return keys.shown.contains(other) && keys.shown.at(other) == algorithm;
          })) {
        return fmt::format("nothing signs the answer with {}", to_string(algorithm));
      }
    }
    return "";
  }

  ModelTimes times_;
  std::map<uint32_t, Algorithm> all_;
  std::deque<Version<Served>> dnskeys_;
  std::deque<Version<Ids>> signatures_;
  std::deque<Version<Ids>> ds_;
};

// A resolver with a trust anchor that follows RFC 5011.
class Follower {
 public:
  Follower(const Ids& trusted, int64_t first_query, int64_t interval, int64_t hold_down)
      : trusted_(trusted), next_(first_query), interval_(interval), hold_down_(hold_down) {}

  // False: it cannot validate what it sees any more.
  bool look(int64_t now, const Served& served, const ZoneKeys& zone) {
    if (now < next_) {
      return valid(served);
    }
    next_ = now + interval_;
    if (!valid(served)) {
      return false;
    }
    for (const KeyState& key : zone.keys) {
      if (!key.is_sep() || !served.shown.contains(key.id) || trusted_.contains(key.id)) {
        continue;
      }
      const auto [at, added] = pending_.try_emplace(key.id, now);
      if (now - at->second >= hold_down_) {
        trusted_.insert(key.id);
      }
    }
    return true;
  }

 private:
  bool valid(const Served& served) const {
    return std::ranges::any_of(trusted_,
                               [&](uint32_t id) { return served.sign_keys.contains(id); });
  }

  Ids trusted_;
  std::map<uint32_t, int64_t> pending_;
  int64_t next_;
  int64_t interval_;
  int64_t hold_down_;
};

void give_public_keys(ZoneKeys& zone, std::mt19937_64& random) {
  for (KeyState& key : zone.keys) {
    if (key.public_key.empty()) {
      key.public_key.resize(key.algorithm == Algorithm::ed25519 ? 32 : 64);
      for (uint8_t& byte : key.public_key) {
        byte = static_cast<uint8_t>(random());
      }
    }
  }
}

Ids anchors(const ZoneKeys& zone) {
  Ids ids;
  for (const KeyState& key : zone.keys) {
    if (is_trust_anchor(zone, key)) {
      ids.insert(key.id);
    }
  }
  return ids;
}

const name::Name kZone = *name::Name::from_text("t.example.");

// The state as a process that was killed here would find it.
void restart(ZoneKeys& zone) {
  auto again = parse_state(kZone, to_state_text(kZone, zone));
  ASSERT_TRUE(again.has_value()) << again.error().message;
  zone = std::move(*again);
}

struct World {
  RolloverPolicy policy;
  ModelTimes times;
  int64_t years = 4;
  bool lie_about_ttls = false;  // the state machine is told TTLs of 0
};

struct Outcome {
  std::string fault;
  std::map<RolloverKind, int> finished;
};

// One simulated life of a zone.
class Life {
 public:
  Life(const World& world, uint64_t seed)
      : world_(world), policy_(world.policy), model_(world.times), random_(seed) {}

  Outcome run() {
    zone_ = initial_keys(policy_, now_);
    give_public_keys(zone_, random_);
    zone_.zone_ttl_max_s = world_.lie_about_ttls ? 0 : world_.times.zone_ttl;
    zone_.dnskey_ttl_max_s = world_.lie_about_ttls ? 0 : world_.times.dnskey_ttl;
    model_.set_ds(now_, anchors(zone_));
    model_.serve(now_, zone_);
    const int64_t end = now_ + world_.years * 365 * kDay;
    while (now_ < end && outcome_.fault.empty()) {
      now_ += between(10 * 60, 12 * kHour);
      if (between(0, 200) == 0) {
        now_ += 5 * kDay;  // the machine is off
      }
      maybe_ask_for_rollover();
      sign_and_publish();
      parent_acts();
      if (outcome_.fault.empty()) {
        outcome_.fault = model_.fault(now_);
      }
    }
    return outcome_;
  }

 private:
  int64_t between(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random_);
  }

  void maybe_ask_for_rollover() {
    if (zone_.rollover.kind != RolloverKind::none || between(0, 60) != 0) {
      return;
    }
    const auto kind = static_cast<RolloverKind>(between(1, 3));
    if (kind == RolloverKind::algorithm) {
      policy_.algorithm =
          policy_.algorithm == Algorithm::ed25519 ? Algorithm::ecdsa_p256 : Algorithm::ed25519;
    }
    if (start_rollover(zone_, kind, policy_, now_)) {
      give_public_keys(zone_, random_);
    }
  }

  void sign_and_publish() {
    const RolloverKind before = zone_.rollover.kind;
    if (advance(zone_, policy_, now_)) {
      give_public_keys(zone_, random_);
      if (before != RolloverKind::none && zone_.rollover.kind == RolloverKind::none) {
        ++outcome_.finished[before];
      }
    }
    drop_unused(zone_, now_);
    if (between(0, 9) == 0) {
      restart(zone_);
    }
    if (between(0, 9) == 0) {
      return;  // the publish failed, or the process was killed before it
    }
    model_.serve(now_, zone_);
    if (between(0, 9) != 0) {  // else killed between the publish and the note of it
      published(zone_, now_);
    }
  }

  // Somebody changes the DS within some days of its being asked for, and says so.
  void parent_acts() {
    if (zone_.rollover.step != Step::parent || zone_.rollover.since == 0 ||
        zone_.rollover.ds_seen != 0 || between(0, 5) != 0) {
      return;
    }
    model_.set_ds(now_, anchors(zone_));
    EXPECT_TRUE(ds_seen(zone_, now_).has_value());
  }

  World world_;
  RolloverPolicy policy_;
  Model model_;
  std::mt19937_64 random_;
  ZoneKeys zone_;
  Outcome outcome_;
  int64_t now_ = 1'800'000'000;
};

class RolloverYears : public testing::TestWithParam<Layout> {};

TEST_P(RolloverYears, EveryCombinationOfCachedRecordsValidates) {
  std::mt19937_64 random(test::seed_for("RolloverYears"));
  std::map<RolloverKind, int> finished;
  for (int life = 0; life < 10; ++life) {
    World world{.policy = {.layout = GetParam()}, .times = {}};
    const int64_t ttls[] = {60, kHour, 12 * kHour, 2 * kDay};
    world.times.zone_ttl = ttls[random() % 4];
    world.times.dnskey_ttl = ttls[random() % 4];
    world.policy.propagation_s = world.times.propagation;
    world.policy.parent_ds_ttl_s = world.times.ds_ttl;
    const Outcome outcome = Life(world, random()).run();
    ASSERT_EQ(outcome.fault, "") << "zone TTL " << world.times.zone_ttl << ", DNSKEY TTL "
                                 << world.times.dnskey_ttl;
    for (const auto& [kind, count] : outcome.finished) {
      finished[kind] += count;
    }
  }
  EXPECT_GT(finished[RolloverKind::ksk], 20);
  EXPECT_GT(finished[RolloverKind::algorithm], 20);
  EXPECT_EQ(finished[RolloverKind::zsk] > 20, GetParam() == Layout::split);
}

INSTANTIATE_TEST_SUITE_P(Layouts, RolloverYears, testing::Values(Layout::csk, Layout::split));

TEST(RolloverModel, NoticesStepsThatComeTooSoon) {
  World world{.policy = {.layout = Layout::split}, .times = {}, .lie_about_ttls = true};
  world.times.zone_ttl = 10 * kDay;
  world.times.dnskey_ttl = 10 * kDay;
  world.policy.propagation_s = 0;
  EXPECT_NE(Life(world, 1).run().fault, "");
}

TEST(RolloverModel, NoticesDsTakenAwayTooSoon) {
  World world{.policy = {.layout = Layout::csk}, .times = {}};
  world.times.ds_ttl = 60 * kDay;
  EXPECT_NE(Life(world, 1).run().fault, "");
}

TEST(Rollover, HoldDownKeepsResolversThatFollowRfc5011) {
  std::mt19937_64 random(test::seed_for("RolloverHoldDown"));
  for (const Layout layout : {Layout::csk, Layout::split}) {
    RolloverPolicy policy{.layout = layout, .trust = Trust::hold_down};
    int64_t now = 1'800'000'000;
    ZoneKeys zone = initial_keys(policy, now);
    give_public_keys(zone, random);
    zone.zone_ttl_max_s = 900;
    zone.dnskey_ttl_max_s = 2 * kDay;
    std::vector<Follower> followers;
    for (int i = 0; i < 20; ++i) {
      followers.emplace_back(anchors(zone), now + i * kHour, kDay, policy.hold_down_s);
    }
    Model model({});
    model.serve(now, zone);
    int finished = 0;
    for (int hour = 0; hour < 3 * 365 * 24; ++hour, now += kHour) {
      if (zone.rollover.kind == RolloverKind::none && hour % 2400 == 100) {
        ASSERT_TRUE(start_rollover(zone, RolloverKind::ksk, policy, now).has_value());
        give_public_keys(zone, random);
      }
      const bool under_way = zone.rollover.kind != RolloverKind::none;
      advance(zone, policy, now);
      finished += under_way && zone.rollover.kind == RolloverKind::none ? 1 : 0;
      model.serve(now, zone);
      published(zone, now);
      for (Follower& follower : followers) {
        ASSERT_TRUE(follower.look(now, model.current(), zone)) << "hour " << hour;
      }
    }
    EXPECT_GT(finished, 8);
  }
}

TEST(Rollover, WaitsForPublicationHoweverLongItTakes) {
  const RolloverPolicy policy{.layout = Layout::split};
  ZoneKeys zone = initial_keys(policy, 1000);
  ASSERT_TRUE(start_rollover(zone, RolloverKind::zsk, policy, 2000).has_value());
  EXPECT_FALSE(advance(zone, policy, 2000 + 365 * kDay));
  EXPECT_TRUE(published(zone, 2000 + 365 * kDay));
  EXPECT_FALSE(published(zone, 2001 + 365 * kDay));
  EXPECT_FALSE(advance(zone, policy, 2000 + 365 * kDay + policy.propagation_s - 1));
  EXPECT_TRUE(advance(zone, policy, 2000 + 365 * kDay + policy.propagation_s));
  EXPECT_EQ(zone.rollover.step, Step::swap);
}

TEST(Rollover, KskWaitsForTheParentsDs) {
  const RolloverPolicy policy{};
  ZoneKeys zone = initial_keys(policy, 1000);
  ASSERT_TRUE(start_rollover(zone, RolloverKind::ksk, policy, 2000).has_value());
  EXPECT_EQ(anchors(zone), Ids{1});
  EXPECT_FALSE(ds_seen(zone, 2000).has_value()) << "the new key is not known yet";
  published(zone, 2000);
  ASSERT_TRUE(advance(zone, policy, 2000 + kDay));
  EXPECT_EQ(anchors(zone), Ids{2});
  published(zone, 2000 + kDay);
  EXPECT_FALSE(advance(zone, policy, 2000 + 1000 * kDay));
  ASSERT_TRUE(ds_seen(zone, 2000 + 1000 * kDay).has_value());
  EXPECT_FALSE(advance(zone, policy, 2000 + 1001 * kDay));
  EXPECT_TRUE(advance(zone, policy, 2000 + 1001 * kDay + policy.propagation_s));
  EXPECT_EQ(zone.rollover.kind, RolloverKind::none);
}

TEST(Rollover, RefusesWhatMakesNoSense) {
  const RolloverPolicy policy{};
  ZoneKeys zone = initial_keys(policy, 1000);
  const auto no_zsk = start_rollover(zone, RolloverKind::zsk, policy, 2000);
  ASSERT_FALSE(no_zsk.has_value());
  EXPECT_THAT(no_zsk.error().message, testing::HasSubstr("no ZSK"));
  EXPECT_FALSE(start_rollover(zone, RolloverKind::algorithm, policy, 2000).has_value());
  ASSERT_TRUE(start_rollover(zone, RolloverKind::ksk, policy, 2000).has_value());
  const auto second = start_rollover(zone, RolloverKind::ksk, policy, 2000);
  ASSERT_FALSE(second.has_value());
  EXPECT_THAT(second.error().message, testing::HasSubstr("under way"));
}

TEST(Rollover, LifetimesBeginRollovers) {
  const RolloverPolicy policy{.layout = Layout::split, .zsk_lifetime_s = 90 * kDay};
  ZoneKeys zone = initial_keys(policy, kDay);
  EXPECT_FALSE(advance(zone, policy, 90 * kDay));
  EXPECT_TRUE(advance(zone, policy, 91 * kDay));
  EXPECT_EQ(zone.rollover.kind, RolloverKind::zsk);
}

TEST(Rollover, ZoneWithoutActiveKeysIsNotSigned) {
  ZoneKeys zone = initial_keys({}, 1000);
  zone.keys[0].retire = 2000;
  const auto refused = check_usable(zone);
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().message, testing::HasSubstr("retired"));
}

}  // namespace
}  // namespace merlon::dnssec
