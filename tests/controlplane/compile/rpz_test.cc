// SPDX-License-Identifier: Apache-2.0
#include "controlplane/compile/rpz.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <sstream>

#include "controlplane/compile/rpz_names.h"
#include "tests/controlplane/compile/policy_zones.h"
#include "tests/support/seed.h"

namespace merlon::compile {
namespace {

using domains::Scope;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
namespace fs = std::filesystem;

const char* const kTestTrigger = "blocked.merlon-test.net -> .";

TEST(PolicyZone, HasTheRecordOfEachAction) {
  const auto zone = compiled(policy({
      {.action = RpzAction::tcp_only, .domains = subtrees({"f.com"})},
      {.action = RpzAction::garden,
       .garden = name_of("*.garden.net"),
       .domains = subtrees({"e.com"})},
      {.action = RpzAction::garden,
       .garden = name_of("garden.net"),
       .domains = subtrees({"d.com"})},
      {.action = RpzAction::nodata, .domains = subtrees({"c.com"})},
      {.action = RpzAction::nxdomain, .domains = subtrees({"b.com"})},
      {.action = RpzAction::drop, .domains = subtrees({"a.com"})},
      {.action = RpzAction::passthru, .domains = subtrees({"ok.com"})},
  }));
  EXPECT_THAT(
      triggers(zone),
      ElementsAre("a.com -> rpz-drop.", "*.a.com -> rpz-drop.", "b.com -> .", "*.b.com -> .",
                  "c.com -> *.", "*.c.com -> *.", "d.com -> garden.net.", "*.d.com -> garden.net.",
                  "e.com -> *.garden.net.", "*.e.com -> *.garden.net.", "f.com -> rpz-tcp-only.",
                  "*.f.com -> rpz-tcp-only.", "ok.com -> rpz-passthru.",
                  "*.ok.com -> rpz-passthru.", kTestTrigger));
  EXPECT_EQ(zone.counts.names, 15u);
  EXPECT_EQ(zone.counts.wildcards, 7u);
  const std::string text = zone_file(zone);
  EXPECT_TRUE(
      text.starts_with("policy.rpz.customer.merlon.internal. 300 IN SOA localhost. "
                       "nobody.invalid. 1 900 300 604800 60\n"
                       "policy.rpz.customer.merlon.internal. 300 IN NS localhost.\n"))
      << text;
}

TEST(PolicyZone, LetsAllowBeatBlockAndTheSevereTheMild) {
  const auto zone = compiled(policy({
      {.action = RpzAction::nodata, .domains = subtrees({"a.com", "x.b.com", "d.com"})},
      {.action = RpzAction::drop, .domains = subtrees({"www.a.com", "b.com", "d.com"})},
      {.action = RpzAction::passthru,
       .domains = domains_of({{"cdn.a.com", Scope::subtree}, {"c.com", Scope::subtree}})},
      {.action = RpzAction::nxdomain, .domains = subtrees({"bad.c.com"})},
  }));
  EXPECT_THAT(triggers(zone),
              ElementsAre("a.com -> *.", "*.a.com -> *.", "cdn.a.com -> rpz-passthru.",
                          "*.cdn.a.com -> rpz-passthru.", "www.a.com -> rpz-drop.",
                          "*.www.a.com -> rpz-drop.", "b.com -> rpz-drop.", "*.b.com -> rpz-drop.",
                          "c.com -> rpz-passthru.", "*.c.com -> rpz-passthru.",
                          "d.com -> rpz-drop.", "*.d.com -> rpz-drop.", kTestTrigger));
  EXPECT_EQ(zone.counts.outranked, 3u);
}

TEST(PolicyZone, BlocksItsTestNameWhateverTheRulesSay) {
  const auto zone =
      compiled(policy({{.action = RpzAction::passthru, .domains = subtrees({"merlon-test.net"})}}));
  EXPECT_THAT(triggers(zone),
              ElementsAre("merlon-test.net -> rpz-passthru.", "*.merlon-test.net -> rpz-passthru.",
                          kTestTrigger, "*.blocked.merlon-test.net -> rpz-passthru."));
  RpzInput without = policy({});
  without.test_name = name::Name();
  const RpzSettings settings;
  const auto made = compile_rpz(without, {.settings = settings}, {});
  ASSERT_FALSE(made.has_value());
  EXPECT_THAT(made.error().message, HasSubstr("test name"));
}

TEST(PolicyZone, NamesAddressesAsServersSpellThem) {
  const struct {
    const char* prefix;
    const char* name;
  } rows[] = {
      {"192.0.2.1", "32.1.2.0.192.rpz-ip"},
      {"198.51.100.0/24", "24.0.100.51.198.rpz-ip"},
      {"2001:db8:77::/48", "48.zz.77.db8.2001.rpz-ip"},
      {"2001:2:3::2", "128.2.zz.3.2.2001.rpz-ip"},
      {"2001:db8:0:0:1:0:0:1", "128.1.0.0.1.zz.db8.2001.rpz-ip"},  // of equal runs the upper
      {"2001:0:0:1:0:0:0:1", "128.1.zz.1.0.0.2001.rpz-ip"},
      {"2001:db8:0:1:1:1:1:1", "128.1.1.1.1.1.0.db8.2001.rpz-ip"},  // a single zero stays
      {"::1", "128.1.zz.rpz-ip"},
      {"8000::/1", "1.zz.8000.rpz-ip"},
      {"2001:db8:a:b:c:d:e:f", "128.f.e.d.c.b.a.db8.2001.rpz-ip"},
  };
  for (const auto& row : rows) {
    const auto zone = compiled(policy({{.addresses = addresses_of({row.prefix})}}));
    EXPECT_THAT(triggers(zone), Contains(std::string(row.name) + " -> .")) << row.prefix;
    EXPECT_EQ(zone.counts.prefixes4 + zone.counts.prefixes6, 1u);
  }
}

TEST(PolicyZone, HasNoPrefixOfLengthZeroAndNoIpv4InIpv6Form) {
  const auto zone = compiled(policy({{.addresses = addresses_of({"0.0.0.0/0"})}}));
  EXPECT_THAT(triggers(zone),
              testing::UnorderedElementsAre("1.0.0.0.0.rpz-ip -> .", "1.0.0.0.128.rpz-ip -> .",
                                            kTestTrigger));
  EXPECT_EQ(rpz_ip_keys(addresses_of({"::/0"})).keys.size(),
            rpz_ip_keys(addresses_of({"::/0"})).v6_count);
  address::IpSet mapped;
  mapped.v6 = address::RangeSet6::from_normal(
      {{(address::Bits6{0xffff} << 32) | 1, (address::Bits6{0xffff} << 32) | 5}});
  EXPECT_EQ(rpz_ip_keys(mapped).v6_count, 0u);
}

TEST(PolicyZone, CutsAddressesUpSoThatTheStrongerDecides) {
  const auto zone = compiled(policy({
      {.action = RpzAction::nxdomain, .addresses = addresses_of({"198.51.100.0/24"})},
      {.action = RpzAction::passthru, .addresses = addresses_of({"198.51.100.7"})},
      {.action = RpzAction::drop, .addresses = addresses_of({"198.51.100.128/25"})},
  }));
  EXPECT_THAT(triggers(zone),
              testing::UnorderedElementsAre(
                  "32.7.100.51.198.rpz-ip -> rpz-passthru.",
                  "25.128.100.51.198.rpz-ip -> rpz-drop.", "26.64.100.51.198.rpz-ip -> .",
                  "27.32.100.51.198.rpz-ip -> .", "28.16.100.51.198.rpz-ip -> .",
                  "29.8.100.51.198.rpz-ip -> .", "30.0.100.51.198.rpz-ip -> .",
                  "31.4.100.51.198.rpz-ip -> .", "32.6.100.51.198.rpz-ip -> .", kTestTrigger));
}

TEST(PolicyZone, RefusesAGardenThatIsNone) {
  const RpzSettings settings;
  for (const char* garden : {".", "*.", "rpz-drop.", "*.com."}) {
    const auto made = compile_rpz(policy({{.action = RpzAction::garden,
                                           .garden = name_of(garden),
                                           .domains = subtrees({"a.com"})}}),
                                  {.settings = settings}, {});
    ASSERT_FALSE(made.has_value()) << garden;
    EXPECT_EQ(made.error().code, ErrorCode::invalid_argument);
    EXPECT_THAT(made.error().message, HasSubstr("garden"));
  }
}

TEST(PolicyZone, KeepsItsSerialWhileItsContentIsTheSame) {
  const auto rules = [](std::string_view domain) {
    return policy(
        {{.domains = subtrees({"a.com", domain}), .addresses = addresses_of({"192.0.2.1"})}});
  };
  const auto first = compiled(rules("b.com"), {}, 10);
  EXPECT_EQ(first.memory.serial, 10u);
  const auto same = compiled(rules("b.com"), first.memory, 11);
  EXPECT_EQ(same.memory, first.memory);
  EXPECT_EQ(same.bytes, first.bytes);
  const auto changed = compiled(rules("c.com"), first.memory, 12);
  EXPECT_EQ(changed.memory.serial, 12u);
  EXPECT_NE(changed.memory.digest, first.memory.digest);
  EXPECT_EQ(RpzMemory::decode(changed.memory.encode()).value(), changed.memory);
  EXPECT_EQ(RpzMemory::decode(RpzMemory{}.encode()).value(), RpzMemory{});
  EXPECT_FALSE(RpzMemory::decode("rpz1 x - -").has_value());
  EXPECT_FALSE(RpzMemory::decode("").has_value());
}

// Adds a signature that counts how often it signed.
class CountingSigner final : public ZoneSigner {
 public:
  bool signs(const name::Name&) const override { return true; }
  Status sign(snapshot::ZoneBuilder& zone) override {
    ++signed_count;
    zone.set_denial(snapshot::Denial::nsec);
    zone.own().begin();
    zone.own().add({.type = wire::type::rrsig, .ttl = 300, .data = epoch});
    zone.set_signature(0, wire::type::soa, *zone.own().end());
    return {};
  }
  std::vector<uint8_t> epoch = {1};
  int signed_count = 0;
};

TEST(PolicyZone, GetsASerialWhenItIsSignedAnew) {
  const RpzSettings settings;
  CountingSigner signer;
  const RpzInput input = policy({{.domains = subtrees({"a.com"})}});
  const auto first =
      compile_rpz(input, {.settings = settings, .next_serial = 5, .signer = &signer}, {}).value();
  const auto same =
      compile_rpz(input, {.settings = settings, .next_serial = 6, .signer = &signer}, first.memory)
          .value();
  EXPECT_EQ(same.memory.serial, 5u);
  EXPECT_EQ(same.bytes, first.bytes);
  signer.epoch = {2};
  const auto renewed =
      compile_rpz(input, {.settings = settings, .next_serial = 7, .signer = &signer}, first.memory)
          .value();
  EXPECT_EQ(renewed.memory.serial, 7u);
}

TEST(PolicyZone, HasOneRecordForEachOwnerAndOneBodyForEachAction) {
  std::mt19937_64 random(test::seed_for("HasOneRecordForEachOwner"));
  for (int round = 0; round < 50; ++round) {
    std::vector<RpzRule> rules;
    for (size_t i = 1 + random() % 6; i > 0; --i) {
      domains::DomainSetBuilder builder;
      for (size_t k = random() % 30; k > 0; --k) {
        const std::string text = fmt::format("{}.{}.{}.com", "abc"[random() % 3],
                                             "abc"[random() % 3], "abc"[random() % 3]);
        builder.add(domains::key_of(name_of(std::string_view(text).substr(random() % 2 * 2))),
                    static_cast<Scope>(1 + random() % 3));
      }
      rules.push_back(
          {.action = static_cast<RpzAction>(random() % 6),
           .garden = name_of("www.garden.net"),
           .domains = std::make_shared<domains::DomainSet>(builder.finish()),
           .addresses = addresses_of({fmt::format("192.0.{}.0/22", random() % 64 * 4)})});
    }
    const auto zone = compiled(policy(rules));
    const auto loaded = load_zone(zone.bytes);
    for (const auto& node : loaded->view.nodes()) {
      EXPECT_LE(node.rrset_count, node.name_size == kPolicyApex.size() ? 2u : 1u);
    }
    EXPECT_LE(loaded->view.own_bodies().size(), rules.size() + 4);
    EXPECT_EQ(zone.counts.names + 2, loaded->view.rrsets().size());
  }
}

TEST(PolicyZone, LeavesOutAndCountsWhatHasNoRoomBelowTheApex) {
  std::string longest = "com";
  while (
      domains::name_below(kPolicyApex, domains::key_of(name_of("aaa." + longest)), Scope::exact)) {
    longest.insert(0, "aaa.");
  }
  const size_t left = name::kWireSizeMax - kPolicyApex.size() - name_of(longest).size() + 1;
  if (left > 1) {  // the longest that has room itself
    longest.insert(0, std::string(left - 1, 'b') + ".");
  }
  const auto zone = compiled(policy({{.domains = subtrees({longest, "x." + longest, "ok.com"})}}));
  EXPECT_THAT(triggers(zone), testing::UnorderedElementsAre(longest + " -> .", "ok.com -> .",
                                                            "*.ok.com -> .", kTestTrigger));
  EXPECT_EQ(zone.counts.covered + zone.counts.too_long, 1u);
}

fs::path test_data(std::string_view name) {
  const char* given = std::getenv("MERLON_TEST_DATA");
  return fs::path(given != nullptr ? given : "../shared/data") / "dns/rpz" / name;
}

// The shape of real policy zones: the same owners and targets come out of what they say.
TEST(PolicyZone, HasTheShapeOfRealOnes) {
  const fs::path file = test_data("excerpt-urlhaus-2022.rpz");
  std::ifstream in(file);
  if (!in) {
    GTEST_SKIP() << "no test data at " << file;
  }
  std::vector<TestDomain> listed;
  std::vector<std::string> lines;
  std::vector<std::string> expected = {kTestTrigger};
  for (std::string line; std::getline(in, line);) {
    if (const size_t end = line.find(" CNAME . ;"); end != std::string::npos) {
      lines.push_back(line.substr(0, end));
      expected.push_back(lines.back() + " -> .");
    }
  }
  ASSERT_GT(lines.size(), 3u);
  for (const std::string& line : lines) {
    listed.emplace_back(line, Scope::exact);
  }
  const auto zone = compiled(policy({{.domains = domains_of(listed)}}));
  EXPECT_THAT(triggers(zone), testing::UnorderedElementsAreArray(expected));
}

// What a real zone says with each action, said by rules: its records come back, and one that it
// lacks, because the passthru record of mail.nxdomain.org ends the wildcard above it.
TEST(PolicyZone, SaysWhatARealOneSays) {
  std::ifstream in(test_data("basic.rpz"));
  if (!in) {
    GTEST_SKIP() << "no test data at " << test_data("basic.rpz");
  }
  std::vector<std::pair<std::string, std::string>> names;  // owner, target
  std::vector<std::string> expected = {kTestTrigger, "*.mail.nxdomain.org -> ."};
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string owner;
    std::string type;
    std::string target;
    words >> owner >> type >> target;
    if (type != "CNAME" || owner.find("client-ip") != std::string::npos ||
        owner.find("nsdname") != std::string::npos) {
      continue;
    }
    expected.push_back(owner + " -> " + target);
    if (owner.find("rpz-ip") == std::string::npos) {
      names.emplace_back(owner, target);
    }
  }
  ASSERT_GT(names.size(), 8u);
  std::map<std::string, std::vector<TestDomain>> by_target;
  for (const auto& [owner, target] : names) {
    const bool wildcard = owner.starts_with("*.");
    by_target[target].emplace_back(std::string_view(owner).substr(wildcard ? 2 : 0),
                                   wildcard ? Scope::below : Scope::exact);
  }
  std::vector<RpzRule> rules;
  for (const auto& [target, listed] : by_target) {
    const bool garden = target == "explanation.example.com.";
    rules.push_back({.action = garden                      ? RpzAction::garden
                               : target == "."             ? RpzAction::nxdomain
                               : target == "rpz-passthru." ? RpzAction::passthru
                               : target == "rpz-drop."     ? RpzAction::drop
                                                           : RpzAction::tcp_only,
                     .garden = garden ? name_of(target) : name::Name(),
                     .domains = domains_of(listed)});
  }
  rules.push_back({.addresses = addresses_of({"10.0.0.2"})});
  EXPECT_THAT(triggers(compiled(policy(rules))), testing::UnorderedElementsAreArray(expected));
}

}  // namespace
}  // namespace merlon::compile
