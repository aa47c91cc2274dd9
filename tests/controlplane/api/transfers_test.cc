// SPDX-License-Identifier: Apache-2.0
// The route of transfers, without HTTP.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controlplane/api/routes.h"
#include "tests/support/fake_operations.h"

namespace merlon::api {
namespace {

Json call(tests::FakeOperations& operations, int expected) {
  const Reply reply = answer(operations, {.method = "GET", .target = "/v1/transfers", .body = ""});
  EXPECT_EQ(reply.http_status, expected) << reply.body.dump();
  return reply.body;
}

TEST(ApiTransfers, NobodyHasAskedYet) {
  tests::FakeOperations operations;
  const Json none = call(operations, 200);
  EXPECT_EQ(none["schema_version"], kSchemaVersion);
  for (const char* list : {"secondaries", "notified", "key_failures"}) {
    EXPECT_EQ(none[list], Json::array());
  }
}

TEST(ApiTransfers, NumbersBecomeNamesAndTimesTexts) {
  tests::FakeOperations operations;
  store::Device device;
  device.name = "fw1";
  device.account = "acme";
  device.sources.push_back(address::parse_prefix("192.0.2.1").value());
  const auto added = operations.add_device(device);
  ASSERT_TRUE(added.has_value());
  operations.set_transfers({
      .secondaries = {{.account = added->account_number,
                       .device = added->number,
                       .source = "192.0.2.1",
                       .apex = "names.rpz.acme.merlon.internal.",
                       .kind = "IXFR",
                       .serial_given = 7,
                       .serial_current = 8,
                       .given = 1'700'000'000,
                       .asked = 1'700'000'000},
                      {.account = 77, .device = 99, .source = "192.0.2.9"}},
      .notified = {{.device = "fw1", .target = "192.0.2.1:53", .tries = 6, .error = "no answer"}},
      .key_failures = {{.key = "k.", .error = "BADTIME", .clock_skew_s = -400, .count = 3}},
  });
  const Json all = call(operations, 200);
  EXPECT_EQ(all["secondaries"][0]["account"], "acme");
  EXPECT_EQ(all["secondaries"][0]["device"], "fw1");
  EXPECT_EQ(all["secondaries"][0]["serial_current"], 8);
  EXPECT_EQ(all["secondaries"][0]["given"], "2023-11-14T22:13:20Z");
  EXPECT_TRUE(all["secondaries"][0]["behind_since"].is_null());
  EXPECT_EQ(all["secondaries"][1]["device"], "#99");  // of a device that is gone
  EXPECT_TRUE(all["notified"][0]["acknowledged"].is_null());
  EXPECT_EQ(all["notified"][0]["error"], "no answer");
  EXPECT_EQ(all["key_failures"][0]["clock_skew_s"], -400);
}

TEST(ApiTransfers, ErrorsOfTheOperationsArePassed) {
  tests::FakeOperations operations;
  operations.fail_next(Error{ErrorCode::busy, "in the way"});
  EXPECT_EQ(call(operations, 503)["error"]["message"], "in the way");
}

}  // namespace
}  // namespace merlon::api
