// SPDX-License-Identifier: Apache-2.0
#include "controlplane/safety/net.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/snapshot_fixture.h"

namespace merlon::safety {
namespace {

class SafetyNet : public testing::Test {
 protected:
  std::string write(const std::string& name, const std::string& text) {
    const std::string path = directory_.path() + "/" + name;
    std::ofstream(path) << text;
    return path;
  }
  static store::FeedSet set_of(const std::vector<std::string>& values) {
    store::FeedSet set;
    for (const std::string& value : values) {
      if (const auto prefix = address::parse_prefix(value)) {
        if (prefix->family == address::Family::v4) {
          set.v4.push_back(prefix->v4());
        } else {
          set.v6.push_back(prefix->v6());
        }
      } else {
        set.domains.push_back(value);
      }
    }
    set.normalise();
    return set;
  }
  static domains::DomainSet domains_of(const std::vector<std::string>& names, const Net& net) {
    const auto reader = domains::Canonicaliser::make({});
    domains::DomainSetBuilder builder;
    for (const std::string& name : names) {
      if (const auto domain = reader->read(name); domain && !net.leaves_out(*domain)) {
        builder.add(*domain);
      }
    }
    return builder.finish();
  }
  static std::vector<std::string> names_of(const domains::DomainSet& set) {
    std::vector<std::string> names;
    for (size_t i = 0; i < set.size(); ++i) {
      names.push_back((domains::has_exact(set.scope(i)) ? "" : "*.") +
                      domains::text_of(set.key(i)));
    }
    return names;
  }

  tests::TemporaryDirectory directory_;
};

TEST_F(SafetyNet, SaysWhatOfAFeedIsProtectedByWhatAndWhy) {
  const std::vector<Protected> own{
      {address::parse_range("45.9.9.9").value(), "device fw1 of account acme"}};
  const Findings found = Net().examine(set_of({"8.8.8.8", "127.0.0.1", "10.0.0.0/8", "45.9.9.9",
                                               "45.1.2.3", "2001:4860:4860::8888", "2a00::1"}),
                                       own);
  EXPECT_EQ(found.count4, 4U);
  EXPECT_EQ(found.count6, 1U);
  const std::vector<TakenOut> wanted{
      {"8.8.8.8", "8.8.8.8", "public resolver, Google"},
      {"10.0.0.0/8", "10.0.0.0/8", "private use, RFC 1918"},
      {"45.9.9.9", "45.9.9.9", "device fw1 of account acme"},
      {"127.0.0.1", "127.0.0.0/8", "loopback, RFC 1122"},
      {"2001:4860:4860::8888", "2001:4860:4860::8888", "public resolver, Google"}};
  EXPECT_EQ(found.examples, wanted);
  EXPECT_EQ(found.by_reason.at("public resolver, Google"), 2U);
}

TEST_F(SafetyNet, ShowsTheFirstExamplesAndCountsAll) {
  store::FeedSet set;
  for (uint32_t i = 0; i < 25'000; ++i) {
    set.v4.push_back({0x0a000000 + i, 32});
  }
  const Findings found = Net().examine(set, {});
  EXPECT_EQ(found.count4, 25'000U);
  EXPECT_EQ(found.examples.size(), kExamplesMax);
}

TEST_F(SafetyNet, TheOperatorsFileProtectsAddressesAndDomainsWithAllBelow) {
  const std::string path =
      write("allow",
            "# ours\n45.7.0.0/16 # the "
            "office\n2a00:1::/32\n45.8.0.1-45.8.0.9\r\nMine.Example-corp.com\n");
  const auto net = Net::load({.allow_files = {path}});
  ASSERT_TRUE(net.has_value()) << net.error().message;
  EXPECT_TRUE(net->never().contains(address::parse_address("45.7.200.1").value()));
  EXPECT_TRUE(net->never().contains(address::parse_address("45.8.0.9").value()));
  EXPECT_FALSE(net->never().contains(address::parse_address("45.8.0.10").value()));
  EXPECT_TRUE(net->never().contains(address::parse_address("8.8.8.8").value()));
  const Net::Split split = net->split(
      domains_of({"mine.example-corp.com", "www.mine.example-corp.com", "other-corp.com"}, *net));
  EXPECT_EQ(names_of(split.kept), std::vector<std::string>{"other-corp.com"});
  EXPECT_TRUE(split.holes.empty());
  EXPECT_EQ(net->protected_by(address::parse_address("45.7.1.1").value(), {}),
            "45.7.0.0/16: the operator's, " + path + " line 2");
  EXPECT_EQ(net->protected_by("a.mine.example-corp.com"), "the operator's domain");
}

TEST_F(SafetyNet, TopDomainsStayReachableAndWhatIsBelowThemStaysListable) {
  const auto net = Net::load(
      {.top_domain_files = {write("top", "1,google.com\n2,\"fonts.popular.net\"\nplain.org\n")}});
  ASSERT_TRUE(net.has_value()) << net.error().message;
  const Net::Split split = net->split(domains_of(
      {"google.com", "www.google.com", "phish.google.com", "popular.net", "plain.org"}, *net));
  EXPECT_EQ(names_of(split.kept), (std::vector<std::string>{"phish.google.com", "popular.net"}));
  EXPECT_EQ(names_of(split.holes), std::vector<std::string>{"fonts.popular.net"});
  EXPECT_EQ(split.holes.scope(0), domains::Scope::exact);
  const Findings found = net->examine(set_of({"google.com", "phish.google.com"}), {});
  EXPECT_EQ(found.domains, 1U);
  EXPECT_EQ(found.examples.front(), (TakenOut{"google.com", "google.com", "a top domain"}));
}

TEST_F(SafetyNet, FilesThatAreMissingOrUnreadableAreErrorsThatNameThem) {
  const auto missing = Net::load({.allow_files = {directory_.path() + "/none"}});
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().code, ErrorCode::not_found);
  const std::string path = write("bad", "45.1.2.3\n45.1.2.300\n");
  const auto bad = Net::load({.allow_files = {path}});
  ASSERT_FALSE(bad.has_value());
  EXPECT_NE(bad.error().message.find(path + ": line 2: \"45.1.2.300\""), std::string::npos)
      << bad.error().message;
}

TEST(Trust, FallsWithWhatIsTakenOutAndNeverBelowNothing) {
  EXPECT_EQ(trust_of({.entries = 1000, .lines = 1000}), 100);
  const int one = trust_of({.taken_out = 1, .entries = 1000, .lines = 1000});
  EXPECT_EQ(one, 94);  // 5 x log2(2) and 200 x 0.001
  EXPECT_LT(trust_of({.taken_out = 10, .entries = 1000, .lines = 1000}), one);
  EXPECT_EQ(trust_of({.entries = 10, .taken_out_lately = true}), 95);
  EXPECT_EQ(trust_of({.entries = 10, .lines = 100, .rejected = 25}), 90);
  EXPECT_EQ(trust_of({.entries = 10, .quarantined = true, .stale = true}), 85);
  EXPECT_EQ(trust_of({.taken_out = 1u << 30,
                      .entries = 1,
                      .lines = 1,
                      .rejected = 1,
                      .quarantined = true,
                      .stale = true}),
            5);
}

}  // namespace
}  // namespace merlon::safety
