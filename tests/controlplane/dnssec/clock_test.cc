// SPDX-License-Identifier: Apache-2.0
#include "controlplane/dnssec/clock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/controlplane/dnssec/signer_fixture.h"
#include "zones/base/file.h"

namespace merlon::dnssec {
namespace {

constexpr int64_t kDay = 86400;

class ClockGuarded : public testing::Test {
 protected:
  ClockGuard guard() { return {folder_.path() + "/last-signed", clock_.clock(), kDay}; }

  tests::TemporaryDirectory folder_;
  TestClock clock_;
};

TEST_F(ClockGuarded, TimeThatPassesIsGood) {
  ClockGuard one = guard();
  EXPECT_TRUE(one.now().has_value());
  clock_.pass(400 * kDay);  // nothing to sign for a year
  EXPECT_EQ(one.now(), clock_.wall);
}

TEST_F(ClockGuarded, JumpsWhileRunningAreRefusedUntilConfirmed) {
  for (const int64_t jump : {2 * kDay, -2 * kDay}) {
    ClockGuard one = guard();
    ASSERT_TRUE(one.now().has_value());
    clock_.wall += jump;
    const auto refused = one.now();
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, ErrorCode::conflict);
    EXPECT_THAT(refused.error().message, testing::HasSubstr("merlonctl dnssec confirm-clock"));
    EXPECT_FALSE(one.now().has_value()) << "asking twice is no confirmation";
    ASSERT_TRUE(one.confirm().has_value());
    EXPECT_TRUE(one.now().has_value());
  }
}

TEST_F(ClockGuarded, ClockThatIsSetRightAgainNeedsNoConfirmation) {
  ClockGuard one = guard();
  ASSERT_TRUE(one.now().has_value());
  clock_.wall += 50 * kDay;
  ASSERT_FALSE(one.now().has_value());
  clock_.wall -= 50 * kDay;
  EXPECT_TRUE(one.now().has_value());
}

TEST_F(ClockGuarded, JumpsOverARestartAreRefused) {
  for (const int64_t jump : {2 * kDay, -2 * kDay}) {
    ASSERT_TRUE(guard().confirm().has_value());
    ASSERT_TRUE(guard().now().has_value());
    clock_.wall += jump;
    EXPECT_FALSE(guard().now().has_value());
  }
  ASSERT_TRUE(guard().confirm().has_value());
  clock_.wall += kDay / 2;
  EXPECT_TRUE(guard().now().has_value());
}

TEST_F(ClockGuarded, FileThatHoldsNoTimeIsSaid) {
  const std::string file = folder_.path() + "/last-signed";
  ASSERT_TRUE(write_file_durably(file, as_bytes("yesterday")).has_value());
  ClockGuard one = guard();
  ASSERT_FALSE(one.now().has_value());
  EXPECT_THAT(one.now().error().message, testing::HasSubstr("last-signed"));
  EXPECT_TRUE(one.confirm().has_value());
  EXPECT_TRUE(one.now().has_value());
}

}  // namespace
}  // namespace merlon::dnssec
