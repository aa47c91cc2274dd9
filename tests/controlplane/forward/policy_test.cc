// SPDX-License-Identifier: Apache-2.0
#include "controlplane/forward/policy.h"

#include <gtest/gtest.h>

#include "tests/controlplane/forward/rig.h"

namespace merlon::forward {
namespace {

class Policy : public testing::Test {
 protected:
  Match name(std::string_view text, uint32_t account = 7) {
    const snapshot::Subject subject{account, 1, 1, snapshot::Verb::pass, 1, {}};
    const auto zones = index_.zones_for(snapshot_, subject, nullptr);
    return index_.match_name(snapshot_, zones, make_name(text));
  }

  tests::TextSnapshot made_ = tests::make_text_snapshot(policy_zones());
  dns::SnapshotPointer snapshot_ = made_.snapshot;
  PolicyIndex index_{make_name("merlon.internal.")};
};

TEST_F(Policy, FirstZoneWithARuleDecides) {
  EXPECT_EQ(name("x.bad.example.").action, PolicyAction::nxdomain);  // `other` would let it pass
  EXPECT_EQ(name("good.bad.example.").action, PolicyAction::passthru);
  EXPECT_EQ(name("second.example.").action, PolicyAction::nxdomain);
  EXPECT_EQ(name("third.example.").action, PolicyAction::none);
  EXPECT_EQ(name("example.").action, PolicyAction::none);  // an empty non-terminal
  EXPECT_EQ(name(".").action, PolicyAction::none);
  EXPECT_EQ(name("wild.example.").garden.to_text(), "wild.example.walled.test.");
}

TEST_F(Policy, NobodyElsesZoneIsAsked) {
  EXPECT_EQ(name("bad.example.", 9).action, PolicyAction::none);
  EXPECT_EQ(name("bad.example.", 0).action, PolicyAction::none);
  EXPECT_EQ(name("zeta.example.", 9).action, PolicyAction::nxdomain);
  EXPECT_EQ(name("zeta.example.", 7).action, PolicyAction::none);
}

TEST_F(Policy, NamesWithoutRoomBelowTheApexMeetWildcardsStill) {
  std::string longest;
  for (int i = 0; i < 116; ++i) {
    longest += "x.";
  }
  EXPECT_EQ(name(longest + "bad.example.").action, PolicyAction::nxdomain);
  EXPECT_EQ(name(longest + "harmless.example.").action, PolicyAction::none);
}

TEST_F(Policy, AddressTriggersAreReadAsTheyAreWritten) {
  const snapshot::Subject subject{7, 1, 1, snapshot::Verb::pass, 1, {}};
  const auto zones = index_.zones_for(snapshot_, subject, nullptr);
  const auto match = [&](std::string_view text) {
    return index_
        .match_address(snapshot_, zones, make_name("x.example."), *address::parse_address(text))
        .action;
  };
  EXPECT_EQ(match("192.0.2.66"), PolicyAction::nxdomain);
  EXPECT_EQ(match("192.0.2.67"), PolicyAction::none);
  EXPECT_EQ(match("192.0.2.65"), PolicyAction::none);
  EXPECT_EQ(match("198.51.100.0"), PolicyAction::garden);
  EXPECT_EQ(match("198.51.100.255"), PolicyAction::garden);
  EXPECT_EQ(match("198.51.100.7"), PolicyAction::passthru);
  EXPECT_EQ(match("198.51.101.0"), PolicyAction::none);
  EXPECT_EQ(match("2001:db8:77::1"), PolicyAction::nodata);
  EXPECT_EQ(match("2001:db8:78::1"), PolicyAction::none);
}

}  // namespace
}  // namespace merlon::forward
