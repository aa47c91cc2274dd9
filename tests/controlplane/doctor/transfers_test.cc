// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/controlplane/doctor/scene.h"

namespace merlon::doctor {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kZone = "dns.rpz.acme.merlon.internal.";

Secondary secondary(int64_t behind_s, int64_t asked_ago) {
  return {.source = "192.0.2.7",
          .apex = kZone,
          .kind = "IXFR",
          .serial_given = 7,
          .serial_current = behind_s == 0 ? 7u : 9u,
          .given = kNow - 5 * kDayS,
          .asked = kNow - asked_ago,
          .behind_since = behind_s == 0 ? 0 : kNow - behind_s,
          .transfers = 3};
}

KeyFailure failure(const char* error, int64_t skew = 0) {
  return {.key = "fw1.acme.merlon.internal.",
          .source = "192.0.2.7",
          .error = error,
          .clock_skew_s = skew,
          .count = 4,
          .last = kNow - 600};
}

Finding only(const Device& device) {
  const auto findings = diagnose(input_of({device}));
  EXPECT_EQ(findings.size(), 1u);
  return findings.empty() ? Finding{} : findings[0];
}

TEST(DoctorTransfers, EachFailureOfAKeyHasItsOwnCause) {
  struct Row {
    const char* error;
    const char* code;
    const char* cause;
  };
  for (const Row& row : {Row{"BADTIME", "tsig_clock", "its clock is 4000 s behind ours"},
                         Row{"BADKEY", "tsig_key", "which is not known"},
                         Row{"BADSIG", "tsig_secret", "its secret is not ours"},
                         Row{"BADTRUNC", "tsig_truncated", "cut too short"},
                         Row{"NOT_ITS_OWN", "tsig_not_its_own", "another device's"}}) {
    Device device = healthy();
    device.key_failures = {failure(row.error, -4000)};
    const Finding finding = only(device);
    EXPECT_EQ(finding.severity, Severity::error) << row.error;
    EXPECT_EQ(finding.code, row.code);
    EXPECT_THAT(finding.cause, HasSubstr(row.cause));
  }
  Device device = healthy();
  device.key_failures = {failure("BADTIME", 86400)};
  EXPECT_THAT(only(device).cause, HasSubstr("86400 s ahead of ours"));
}

TEST(DoctorTransfers, AKeyThatWasMendedOrFailedLongAgoIsNone) {
  Device device = healthy();
  device.key_failures = {failure("BADSIG")};
  device.secondaries = {secondary(0, 60)};
  device.secondaries[0].given = kNow - 60;
  EXPECT_THAT(diagnosed(device), IsEmpty());
  device.secondaries[0].source = "192.0.2.8";
  EXPECT_THAT(diagnosed(device), ElementsAre("error tsig_secret fw1"));
  device.key_failures[0].last = kNow - 2 * kDayS;
  EXPECT_THAT(diagnosed(device), IsEmpty());
}

TEST(DoctorTransfers, ASecondaryMayTakeItsTimeButNotForEver) {
  Device device = healthy();
  device.secondaries = {secondary(0, 60)};
  EXPECT_THAT(diagnosed(device), IsEmpty());
  device.secondaries = {secondary(kHourS, 60)};
  EXPECT_THAT(diagnosed(device), IsEmpty()) << "it looks by itself";
  device.notified = {{.target = "192.0.2.7:53",
                      .apex = kZone,
                      .serial = 9,
                      .sent = kNow - kHourS,
                      .acknowledged = kNow - kHourS,
                      .tries = 1}};
  EXPECT_THAT(diagnosed(device), ElementsAre("error secondary_behind fw1")) << "it was told";
  device.notified.clear();
  device.secondaries = {secondary(kDayS, 60)};
  EXPECT_THAT(only(device).cause, HasSubstr("it asks (last 60 s ago) and takes nothing"));
  device.secondaries = {secondary(kDayS, 2 * kDayS)};
  EXPECT_THAT(only(device).cause, HasSubstr("it does not ask (last 2 d ago)"));
}

TEST(DoctorTransfers, RefusedTransfersAreSaidOnlyWhenNoneWasGiven) {
  Device device = healthy();
  device.secondaries = {{.source = "192.0.2.7", .apex = kZone, .asked = kNow - 60, .refused = 8}};
  EXPECT_THAT(diagnosed(device), ElementsAre("error transfer_refused fw1"));
  device.secondaries[0].transfers = 1;
  EXPECT_THAT(diagnosed(device), IsEmpty());
  device.secondaries[0] = {.source = "192.0.2.7", .apex = kZone, .asked = kNow - 60};
  EXPECT_THAT(diagnosed(device), IsEmpty()) << "it asks for the SOA only";
}

TEST(DoctorTransfers, NotifyThatNobodyAcknowledgesIsSaid) {
  Device device = healthy();
  const Notified unheard{
      .target = "192.0.2.7:53", .apex = kZone, .serial = 9, .sent = kNow - 300, .tries = 5};
  device.notified = {unheard};
  EXPECT_THAT(diagnosed(device), ElementsAre("warning notify_unheard fw1"));
  device.notified[0].acknowledged = kNow - 299;
  EXPECT_THAT(diagnosed(device), IsEmpty());
  device.notified = {unheard};
  device.notified[0].tries = 1;
  EXPECT_THAT(diagnosed(device), IsEmpty()) << "it is tried again";
  device.notified[0].error = "REFUSED";
  EXPECT_THAT(only(device).cause, HasSubstr("REFUSED"));
  device.notified[0].sent = kNow - 3 * kDayS;
  EXPECT_THAT(diagnosed(device), IsEmpty());
}

}  // namespace
}  // namespace merlon::doctor
