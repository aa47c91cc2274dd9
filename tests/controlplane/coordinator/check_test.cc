// SPDX-License-Identifier: Apache-2.0
#include "tests/controlplane/coordinator/fixture.h"

namespace merlon::coordinator {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class Check : public CoordinatorTest {
 protected:
  void SetUp() override {
    publish_feed("mine",
                 "45.1.2.3\n46.0.0.0/16\n46.0.9.0/24\n8.8.8.0/24\n2600:1::7\n2600:2::/32\n");
    publish_feed("names", "bad.example\nworse.bad.example\n");
  }
};

TEST_F(Check, AddressNamesFeedsAndLists) {
  const auto report = coordinator_->check("45.1.2.3");
  ASSERT_GOOD(report);
  EXPECT_EQ(report->kind, "address");
  EXPECT_EQ(report->value, "45.1.2.3");
  EXPECT_TRUE(report->listed);
  EXPECT_EQ(report->protected_by, "");
  ASSERT_EQ(report->observations.size(), 1u);
  EXPECT_EQ(report->observations[0].feed, "mine");
  EXPECT_THAT(report->lists, ElementsAre("basic.merlon.internal.", "mine.merlon.internal.",
                                         "scanner.merlon.internal."));
}

TEST_F(Check, AddressThatNobodyListsIsNotListed) {
  const auto report = coordinator_->check("45.1.2.4");
  ASSERT_GOOD(report);
  EXPECT_FALSE(report->listed);
  EXPECT_THAT(report->observations, IsEmpty());
  EXPECT_THAT(report->lists, IsEmpty());
}

TEST_F(Check, WidePrefixCarriesItsAddressesInApl) {
  EXPECT_THAT(carriers("46.0.77.1"), testing::SizeIs(3));  // in APL alone
  EXPECT_THAT(carriers("46.0.9.1"), testing::SizeIs(3));   // as a record, too
  EXPECT_THAT(carriers("46.1.0.0"), IsEmpty());
  EXPECT_THAT(carriers("2600:2:ffff::1"), testing::SizeIs(3));
  EXPECT_THAT(carriers("2600:3::"), IsEmpty());
}

TEST_F(Check, Ipv6IsUnderstoodInAnyForm) {
  const auto report = coordinator_->check("2600:0001:0:0:0:0:0:0007");
  ASSERT_GOOD(report);
  EXPECT_EQ(report->value, "2600:1::7");
  EXPECT_TRUE(report->listed);
  EXPECT_THAT(report->lists, testing::SizeIs(3));
  EXPECT_EQ(coordinator_->check("::ffff:45.1.2.3")->value, "45.1.2.3");
}

TEST_F(Check, ProtectedAddressIsObservedButInNoList) {
  const auto report = coordinator_->check("8.8.8.8");
  ASSERT_GOOD(report);
  EXPECT_THAT(report->protected_by, HasSubstr("8.8.8.8"));
  EXPECT_TRUE(report->listed);  // a feed says so
  EXPECT_THAT(report->lists, IsEmpty());
  EXPECT_THAT(carriers("8.8.8.9"), testing::SizeIs(3));
}

TEST_F(Check, DomainIsFoundUnderItsParents) {
  const auto report = coordinator_->check("WWW.Worse.Bad.Example");
  ASSERT_GOOD(report);
  EXPECT_EQ(report->kind, "domain");
  EXPECT_EQ(report->value, "www.worse.bad.example");
  EXPECT_TRUE(report->listed);
  EXPECT_EQ(report->observations.size(), 2u);
  EXPECT_FALSE(coordinator_->check("good.example")->listed);
}

TEST_F(Check, FinalDotOfADomainIsTaken) {
  const auto report = coordinator_->check("bad.example.");
  ASSERT_GOOD(report);
  EXPECT_EQ(report->value, "bad.example");
  EXPECT_TRUE(report->listed);
}

TEST_F(Check, WhatIsNeitherIsRefusedWithTheReason) {
  EXPECT_FAILS(coordinator_->check("109.230.155.061"), invalid_argument, HasSubstr("octal"));
  EXPECT_FAILS(coordinator_->check("1.2.3.256"), invalid_argument, HasSubstr("above 255"));
  EXPECT_FAILS(coordinator_->check("46.0.0.0/16"), invalid_argument, HasSubstr("prefix"));
  EXPECT_FAILS(coordinator_->check("2600::/32"), invalid_argument, HasSubstr("prefix"));
  for (const char* value :
       {"", ".", "..", "one", "a b.example", "-a.example", "http://a.example/"}) {
    EXPECT_FALSE(coordinator_->check(value).has_value()) << value;
  }
  EXPECT_FALSE(coordinator_->check(std::string(1000, 'a') + ".example").has_value());
}

}  // namespace
}  // namespace merlon::coordinator
