// SPDX-License-Identifier: Apache-2.0
// Policy zones as BIND and Unbound enforce them.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "controlplane/compile/rpz.h"
#include "tests/controlplane/compile/policy_zones.h"
#include "tests/controlplane/compile/resolver.h"
#include "tests/support/seed.h"

namespace merlon::compile {
namespace {

using domains::Scope;
using test::Resolver;
using testing::HasSubstr;
using testing::Not;
namespace fs = std::filesystem;

constexpr const char* kAddress = "203.0.113.1";  // of every name
constexpr const char* kTestName = "blocked.merlon-test.net";

class EnforcedPolicy : public testing::TestWithParam<Resolver::Kind> {
 protected:
  void SetUp() override {
    if (!Resolver::installed(GetParam())) {
      GTEST_SKIP() << "the resolver is not installed";
    }
    std::string path = fs::temp_directory_path() / "merlon-rpz-XXXXXX";
    ASSERT_NE(mkdtemp(path.data()), nullptr);
    directory_ = path;
  }
  void TearDown() override {
    resolver_.reset();
    if (!directory_.empty()) {
      fs::remove_all(directory_);
    }
  }

  void enforce(const CompiledRpz& zone, std::map<std::string, std::vector<uint8_t>> addresses) {
    upstream_ = std::make_unique<test::EveryNameServer>(std::move(addresses));
    resolver_ = std::make_unique<Resolver>(Resolver::Settings{.kind = GetParam(),
                                                              .directory = directory_,
                                                              .apex = kPolicyApex.to_text(),
                                                              .zone_file = zone_file(zone),
                                                              .upstream_port = upstream_->port()});
    ASSERT_TRUE(resolver_->wait_until(kTestName, "rcode 3")) << resolver_->log();
  }
  std::string ask(const std::string& name, test::Transport transport = test::Transport::udp) {
    return resolver_->ask(name, wire::type::a, transport).text();
  }

  fs::path directory_;
  std::unique_ptr<test::EveryNameServer> upstream_;
  std::unique_ptr<Resolver> resolver_;
};

RpzInput actions() {
  return policy({
      {.action = RpzAction::nxdomain,
       .domains = domains_of({{"blocked.com", Scope::subtree}, {"wild.com", Scope::below}})},
      {.action = RpzAction::nodata, .domains = subtrees({"nodata.com"})},
      {.action = RpzAction::drop, .domains = subtrees({"drop.com", "x.deep.blocked.com"})},
      {.action = RpzAction::tcp_only, .domains = subtrees({"tcp.com"})},
      {.action = RpzAction::garden,
       .garden = name_of("garden.net"),
       .domains = subtrees({"g.com"})},
      {.action = RpzAction::garden,
       .garden = name_of("*.garden.net"),
       .domains = subtrees({"stars.com"})},
      {.action = RpzAction::passthru,
       .domains = domains_of({{"cdn.blocked.com", Scope::subtree},
                              {"only.blocked.com", Scope::exact},
                              {"under.blocked.com", Scope::below}})},
  });
}

TEST_P(EnforcedPolicy, DoesWhatEachActionSays) {
  enforce(compiled(actions()), {});
  const struct {
    const char* name;
    const char* said;
  } rows[] = {
      {"free.org", kAddress},
      {"blocked.com", "rcode 3"},
      {"www.blocked.com", "rcode 3"},
      {"a.b.c.blocked.com", "rcode 3"},
      {"wild.com", kAddress},
      {"x.wild.com", "rcode 3"},
      {"nodata.com", "empty"},
      {"www.nodata.com", "empty"},
      {"tcp.com", "truncated"},
      {"g.com", "CNAME garden.net. 203.0.113.1"},
      {"www.g.com", "CNAME garden.net. 203.0.113.1"},
      {"stars.com", "CNAME stars.com.garden.net. 203.0.113.1"},
      {"www.stars.com", "CNAME www.stars.com.garden.net. 203.0.113.1"},
      {"cdn.blocked.com", kAddress},
      {"x.y.cdn.blocked.com", kAddress},
      {"only.blocked.com", kAddress},
      {"x.only.blocked.com", "rcode 3"},
      {"under.blocked.com", "rcode 3"},
      {"x.under.blocked.com", kAddress},
      {"deep.blocked.com", "rcode 3"},  // between two entries: filled in
      {"y.deep.blocked.com", "rcode 3"},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(ask(row.name), row.said) << row.name;
  }
  EXPECT_EQ(ask("tcp.com", test::Transport::tcp), kAddress);
  for (const char* name : {"drop.com", "www.drop.com", "x.deep.blocked.com"}) {
    EXPECT_EQ(resolver_->ask(name, wire::type::a, test::Transport::udp, 700).text(), "nothing")
        << name;
  }
}

TEST_P(EnforcedPolicy, FindsAddressesByTheirNames) {
  const std::vector<std::string_view> blocked = {
      "198.51.100.0/24",    "192.0.2.77",           "2001:db8:77::/48",   "2600:db8:0:0:1:0:0:1",
      "2600:0:0:1:0:0:0:1", "2600:db8:0:1:1:1:1:1", "2600:a:b:c:d:e:f:1", "2600:1:2:3:4:5:6:0",
      "2600:0:1:0:0:1:0:0", "2600:9::/32",          "2600:8:0:ff00::/56"};
  const std::vector<std::pair<std::string_view, bool>> asked = {
      {"198.51.100.1", true},         {"198.51.100.7", false},        {"198.51.101.1", false},
      {"192.0.2.77", true},           {"192.0.2.78", false},          {"2001:db8:77:1::1", true},
      {"2001:db8:78::1", false},      {"2600:db8:0:0:1:0:0:1", true}, {"2600:0:0:1:0:0:0:1", true},
      {"2600:db8:0:1:1:1:1:1", true}, {"2600:a:b:c:d:e:f:1", true},   {"2600:a:b:c:d:e:f:2", false},
      {"2600:1:2:3:4:5:6:0", true},   {"2600:0:1:0:0:1:0:0", true},   {"2600:9:ffff::1", true},
      {"2600:8:0:ff12::1", true},     {"2600:8:0:fe12::1", false}};
  std::map<std::string, std::vector<uint8_t>> addresses;
  for (size_t i = 0; i < asked.size(); ++i) {
    const auto parsed = address::parse_address(asked[i].first).value();
    std::vector<uint8_t> bytes(parsed.family == address::Family::v4 ? 4 : 16);
    if (bytes.size() == 4) {
      address::store_network(static_cast<address::Bits4>(parsed.bits), bytes.data());
    } else {
      address::store_network(parsed.bits, bytes.data());
    }
    addresses[fmt::format("n{}.org.", i)] = bytes;
  }
  enforce(compiled(policy(
              {{.action = RpzAction::nxdomain, .addresses = addresses_of(blocked)},
               {.action = RpzAction::passthru, .addresses = addresses_of({"198.51.100.7"})}})),
          addresses);
  for (size_t i = 0; i < asked.size(); ++i) {
    const bool v4 = asked[i].first.find(':') == std::string_view::npos;
    const auto said =
        resolver_->ask(fmt::format("n{}.org", i), v4 ? wire::type::a : wire::type::aaaa);
    const auto plain = address::to_text(address::parse_address(asked[i].first).value());
    EXPECT_EQ(said.text(), asked[i].second ? "rcode 3" : plain) << asked[i].first;
  }
  // BIND says so when a name is not spelled as it would itself.
  EXPECT_THAT(resolver_->log(), Not(HasSubstr("canonical")));
  EXPECT_THAT(resolver_->log(), Not(HasSubstr("invalid rpz")));
}

TEST_P(EnforcedPolicy, IsThatOfTheStrongestRuleForEveryName) {
  std::mt19937_64 random(test::seed_for("IsThatOfTheStrongestRule"));
  static constexpr RpzAction kActions[] = {RpzAction::passthru, RpzAction::nxdomain,
                                           RpzAction::nodata};
  const char* const said[] = {kAddress, "rcode 3", "empty"};
  std::vector<std::string> names = {"mix.com"};
  for (size_t i = 0; i < 1 + 3 + 9 + 27; ++i) {
    for (const char* label : {"a.", "b-.", "c."}) {
      names.push_back(label + names[i]);
    }
  }
  std::vector<std::vector<TestDomain>> listed(3);
  std::vector<RpzRule> rules;
  for (size_t rule = 0; rule < 3; ++rule) {
    for (int i = 0; i < 7; ++i) {
      listed[rule].emplace_back(names[random() % 40], static_cast<Scope>(1 + random() % 3));
    }
    rules.push_back({.action = kActions[rule], .domains = domains_of(listed[rule])});
  }
  enforce(compiled(policy(rules)), {});
  for (const std::string& name : names) {
    std::string expected = kAddress;
    for (size_t rule = 3; rule-- > 0;) {
      expected =
          rules[rule].domains->covers(domains::key_of(name_of(name))) ? said[rule] : expected;
    }
    EXPECT_EQ(ask(name), expected) << name;
  }
}

class PlainPolicyZone : public testing::TestWithParam<const char*> {};

TEST_P(PlainPolicyZone, Loads) {
  if (!fs::exists(GetParam())) {
    GTEST_SKIP() << GetParam() << " is not installed";
  }
  std::string path = fs::temp_directory_path() / "merlon-rpz-XXXXXX";
  ASSERT_NE(mkdtemp(path.data()), nullptr);
  const fs::path directory = path;
  std::ofstream(directory / "zone") << zone_file(compiled(actions()));
  const auto [code, text] =
      test::run({GetParam(), kPolicyApex.to_text(), directory / "zone"}, directory / "log");
  fs::remove_all(directory);
  EXPECT_EQ(code, 0) << text;
  EXPECT_THAT(text, testing::AnyOf(HasSubstr("OK"), HasSubstr("ok")));
}

INSTANTIATE_TEST_SUITE_P(By, PlainPolicyZone,
                         testing::Values("/usr/bin/named-checkzone", "/usr/sbin/nsd-checkzone"),
                         [](const auto& parameter) {
                           return parameter.index == 0 ? "Named" : "Nsd";
                         });

INSTANTIATE_TEST_SUITE_P(By, EnforcedPolicy,
                         testing::Values(Resolver::Kind::named, Resolver::Kind::unbound),
                         [](const auto& parameter) {
                           return parameter.param == Resolver::Kind::named ? "Named" : "Unbound";
                         });

}  // namespace
}  // namespace merlon::compile
