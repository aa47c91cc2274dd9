// SPDX-License-Identifier: Apache-2.0
// Policies on the way: before a name is looked up, and of what comes back.
#include <gtest/gtest.h>

#include "tests/controlplane/forward/rig.h"

namespace merlon::forward {
namespace {

using tests::FakeUpstream;
using Messages = FakeUpstream::Messages;
using Over = FakeUpstream::Over;
using Texts = std::vector<std::string>;

class ForwarderPolicy : public testing::Test {
 protected:
  FakeUpstream upstream_{say_a({203, 0, 113, 5})};
  Rig rig_{{&upstream_}};
};

bool has_soa(const Got& got, std::string_view apex) {
  return got.parsed.additional.size() == 1 && got.parsed.additional[0].type == wire::type::soa &&
         got.parsed.additional[0].owner.to_text() == apex;
}

TEST_F(ForwarderPolicy, BlockedNamesAreDeniedWithTheReason) {
  for (const char* name : {"bad.example.", "BAD.example.", "a.b.bad.example."}) {
    const Got got = rig_.ask({.name = name});
    EXPECT_EQ(got.parsed.rcode(), 3) << name;
    EXPECT_EQ(got.ede, kEdeBlocked);
    EXPECT_TRUE(has_soa(got, "block.rpz.acme.merlon.internal."));
  }
  const Got nodata = rig_.ask({.name = "nodata.example."});
  EXPECT_EQ(nodata.parsed.rcode(), 0);
  EXPECT_TRUE(nodata.parsed.answer.empty());
  EXPECT_EQ(nodata.ede, kEdeBlocked);
  EXPECT_EQ(upstream_.query_count(), 0u);
}

TEST_F(ForwarderPolicy, WhatPassesIsLookedUp) {
  EXPECT_EQ(rig_.ask({.name = "good.bad.example."}).answer(),
            Texts{"good.bad.example. A 203.0.113.5"});
  EXPECT_EQ(rig_.ask({.name = "notbad.example."}).answer(), Texts{"notbad.example. A 203.0.113.5"});
  EXPECT_EQ(rig_.count("policy_passthru"), 1u);
}

TEST_F(ForwarderPolicy, DropIsSilence) {
  EXPECT_TRUE(rig_.ask({.name = "drop.example."}).silent);
}

TEST_F(ForwarderPolicy, TcpOnlySendsUdpToTcp) {
  EXPECT_TRUE(rig_.ask({.name = "tcp.example."}).parsed.truncated());
  EXPECT_EQ(rig_.ask({.name = "tcp.example.", .transport = answer::Transport::tcp}).answer(),
            Texts{"tcp.example. A 203.0.113.5"});
}

TEST_F(ForwarderPolicy, GardensAreOursOrOthers) {
  const Got ours = rig_.ask({.name = "garden.example."});
  EXPECT_EQ(ours.answer(), (Texts{"garden.example. CNAME garden.merlon.internal.",
                                  "garden.merlon.internal. A 192.0.2.80"}));
  EXPECT_EQ(ours.ede, kEdeFiltered);
  const Got others = rig_.ask({.name = "away.example."});
  EXPECT_EQ(others.answer(),
            (Texts{"away.example. CNAME away.garden.test.", "away.garden.test. A 203.0.113.5"}));
  const Got wild = rig_.ask({.name = "wild.example."});
  EXPECT_EQ(wild.answer(), (Texts{"wild.example. CNAME wild.example.walled.test.",
                                  "wild.example.walled.test. A 203.0.113.5"}));
  EXPECT_EQ(upstream_.query_count(), 2u);
}

TEST_F(ForwarderPolicy, LocalDataIsGiven) {
  EXPECT_EQ(rig_.ask({.name = "data.example."}).answer(), Texts{"data.example. A 192.0.2.99"});
  const Got other = rig_.ask({.name = "data.example.", .type = 28});
  EXPECT_TRUE(other.parsed.answer.empty());
  EXPECT_EQ(other.ede, kEdeFiltered);
}

TEST_F(ForwarderPolicy, AddressesInAnswersAreChecked) {
  upstream_.set_handler(say_a({192, 0, 2, 66}));
  EXPECT_EQ(rig_.ask({.name = "a.example."}).parsed.rcode(), 3);
  EXPECT_EQ(rig_.ask({.name = "a.example."}).parsed.rcode(), 3);  // from the cache as well
  upstream_.set_handler(say_a({198, 51, 100, 6}));
  EXPECT_EQ(
      rig_.ask({.name = "b.example."}).answer(),
      (Texts{"b.example. CNAME garden.merlon.internal.", "garden.merlon.internal. A 192.0.2.80"}));
  upstream_.set_handler(say_a({198, 51, 100, 7}));  // the longest prefix lets it pass
  EXPECT_EQ(rig_.ask({.name = "c.example."}).answer(), Texts{"c.example. A 198.51.100.7"});
  upstream_.set_handler([](Bytes query, Over) {
    std::vector<uint8_t> address = {0x20, 0x01, 0x0d, 0xb8, 0x00, 0x77};
    address.resize(16);
    return Messages{
        tests::make_fake_reply(query, {.records = {{tests::question_name(query), 28, address}}})};
  });
  const Got v6 = rig_.ask({.name = "d.example.", .type = 28});
  EXPECT_EQ(v6.parsed.rcode(), 0);
  EXPECT_TRUE(v6.parsed.answer.empty());
  EXPECT_EQ(v6.ede, kEdeBlocked);
  EXPECT_EQ(rig_.count("policy_by_address"), 5u);
}

TEST_F(ForwarderPolicy, AliasesInAnswersAreChecked) {
  upstream_.set_handler([](Bytes query, Over) {
    return Messages{tests::make_fake_reply(
        query, {.records = {{tests::question_name(query), 5, tests::wire_name("x.bad.example.")},
                            {"x.bad.example.", 1, {203, 0, 113, 9}}}})};
  });
  const Got got = rig_.ask({.name = "cloaked.example."});
  EXPECT_EQ(got.parsed.rcode(), 3);
  EXPECT_EQ(got.answer(), Texts{"cloaked.example. CNAME x.bad.example."});
  EXPECT_EQ(got.ede, kEdeBlocked);
  EXPECT_EQ(rig_.count("policy_by_alias"), 1u);
}

TEST_F(ForwarderPolicy, EachAccountHasItsOwn) {
  EXPECT_EQ(rig_.ask({.name = "zeta.example.", .account = 7}).answer().size(), 1u);
  EXPECT_EQ(rig_.ask({.name = "zeta.example.", .account = 9}).parsed.rcode(), 3);
  EXPECT_EQ(rig_.ask({.name = "bad.example.", .account = 9}).answer().size(), 1u);
  EXPECT_EQ(rig_.ask({.name = "bad.example.", .account = 7}).parsed.rcode(), 3);
  EXPECT_EQ(rig_.ask({.name = "bad.example.", .account = 0}).answer().size(), 1u);
  EXPECT_EQ(rig_.ask({.name = "bad.example.", .account = 8}).answer().size(), 1u);
}

TEST_F(ForwarderPolicy, ADeviceMayUseOnePolicyOnly) {
  auto policies = std::make_shared<DevicePolicies>();
  policies->by_device = {{2, "other"}, {3, "gone"}};
  rig_.forwarder().set_policies(policies);
  EXPECT_EQ(rig_.ask({.name = "second.example.", .device = 1}).parsed.rcode(), 3);
  EXPECT_EQ(rig_.ask({.name = "bad.example.", .device = 2}).answer().size(), 1u);
  EXPECT_EQ(rig_.ask({.name = "second.example.", .device = 2}).parsed.rcode(), 3);
  EXPECT_EQ(rig_.ask({.name = "bad.example.", .device = 3}).parsed.rcode(), 3);  // all of them
}

}  // namespace
}  // namespace merlon::forward
