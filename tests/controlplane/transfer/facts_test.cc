// SPDX-License-Identifier: Apache-2.0
#include "controlplane/transfer/facts.h"

#include <gtest/gtest.h>

#include "tests/controlplane/transfer/lab.h"

namespace merlon::tests {
namespace {

using transfer::Facts;

Facts::Asker asker(std::string_view source, std::string_view apex, uint32_t account = 1) {
  return {.account = account,
          .device = 3,
          .source = *address::parse_address(source),
          .apex = *name::Name::from_text(apex)};
}

TEST(Facts, SecondaryIsBehindFromPublicationUntilItFetches) {
  Facts facts;
  const TextSnapshot zones = make_text_snapshot(
      {{.apex = "one.example.", .text = "@ SOA ns h 5 1 1 1 1\n@ NS ns\n", .account = 1}});
  const Facts::Asker who = asker("10.0.0.1", "ONE.example.");
  facts.asked(who, Facts::Verdict::may, 100);
  facts.given(who, "AXFR", 4, 100);
  facts.published({{"one.example.", 5}, {"two.example.", 9}}, 200);
  facts.published({{"one.example.", 6}}, 300);  // it is behind since the first it has not
  auto one = facts.all(zones.snapshot.get()).secondaries.at(0);
  EXPECT_EQ(one.behind_since, 200);
  EXPECT_EQ(one.serial_current, 5u);
  EXPECT_EQ(one.apex, "one.example.");
  facts.given(who, "IXFR", 5, 400);
  one = facts.all(zones.snapshot.get()).secondaries.at(0);
  EXPECT_EQ(one.behind_since, 0);
  EXPECT_EQ(one.transfers, 2u);
  EXPECT_EQ(one.kind, "IXFR");
}

TEST(Facts, WhatClientsMakeUpIsBounded) {
  Facts facts;
  for (int i = 0; i < 3000; ++i) {
    facts.asked(asker("10.0.0.1", "n" + std::to_string(i) + ".example."), Facts::Verdict::may_not,
                1000 + i);
    facts.key_failed({.key = "k" + std::to_string(i), .error = "BADKEY"},
                     *address::parse_address("10.0.0.1"), 1000 + i);
  }
  facts.asked(asker("10.0.0.1", "one.example.", 2), Facts::Verdict::may_not, 1);
  const api::Transfers all = facts.all(nullptr);
  EXPECT_EQ(all.secondaries.size(), Facts::kSecondariesPerAccountMax + 1);
  EXPECT_EQ(all.key_failures.size(), Facts::kKeyFailuresPerSourceMax);
  EXPECT_GE(all.key_failures.front().last, 1000 + 3000 - 16);
  for (int i = 0; i < 6000; ++i) {
    facts.key_failed({.key = "k", .error = "BADKEY"},
                     address::Address::v4(static_cast<uint32_t>(i)), 5000 + i);
  }
  EXPECT_EQ(facts.all(nullptr).key_failures.size(), Facts::kKeyFailuresMax);
}

}  // namespace
}  // namespace merlon::tests
