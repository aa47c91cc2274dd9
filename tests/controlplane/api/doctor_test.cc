// SPDX-License-Identifier: Apache-2.0
// GET /v1/doctor: what both processes say is brought to the right device.
#include "controlplane/api/doctor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controlplane/api/routes.h"
#include "tests/support/fake_operations.h"

namespace merlon::api {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kNow = 1'772'366'400 + 1000;  // a while after FakeOperations begins

class ApiDoctor : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const auto& [name, account, source] :
         {std::tuple("fw1", "acme", "192.0.2.7"), {"fw2", "umbrella", "198.51.100.7"}}) {
      ASSERT_TRUE(
          operations_
              .add_device(
                  {.name = name, .account = account, .sources = {*address::parse_prefix(source)}})
              .has_value());
    }
    operations_.set_dataplane_answer("status", R"({"started_unix_s":1})");
    operations_.set_dataplane_answer("top 1000", R"({"unknown_sources":[]})");
    set_rows({row(1, 1), row(2, 2)});
  }
  static Json row(uint32_t account, uint32_t device) {
    return Json{{"account", account},
                {"device", device},
                {"queries", 5},
                {"last_seen_unix_s", kNow - 10},
                {"last_useful_unix_s", kNow - 10}};
  }
  void set_rows(const std::vector<Json>& rows) {
    operations_.set_dataplane_answer(
        "subjects 10000", Json{{"subject_count", rows.size()}, {"subjects", rows}}.dump());
  }
  Json doctor(const std::string& device = "") {
    const auto said = doctor_json(operations_, device, kNow);
    EXPECT_TRUE(said.has_value()) << said.error().message;
    return said ? *said : Json::object();
  }

  tests::FakeOperations operations_;
};

TEST_F(ApiDoctor, HealthyDevicesHaveNoFindings) {
  const Json said = doctor();
  EXPECT_TRUE(said["findings"].empty()) << said.dump();
  ASSERT_EQ(said["devices"].size(), 2u);
  EXPECT_EQ(said["devices"][0]["health"], "good");
  EXPECT_EQ(said["devices"][0]["last_seen"], time_to_json(kNow - 10));
}

TEST_F(ApiDoctor, OneDeviceIsShownAloneAndAnUnknownOneIsNotFound) {
  Json bad = row(2, 2);
  bad["troubles"] = Json{{"truncated", 3}, {"truncated_unix_s", {kNow - 9, kNow - 8, kNow - 7}}};
  set_rows({row(1, 1), bad});
  EXPECT_TRUE(doctor("fw1")["findings"].empty());
  const Json said = doctor("fw2");
  ASSERT_EQ(said["findings"].size(), 1u) << said.dump();
  EXPECT_EQ(said["findings"][0]["code"], "tcp_blocked");
  EXPECT_EQ(said["findings"][0]["account"], "umbrella");
  ASSERT_EQ(said["devices"].size(), 1u);
  EXPECT_EQ(said["devices"][0]["health"], "error");
  EXPECT_EQ(doctor_json(operations_, "fw3", kNow).error().code, ErrorCode::not_found);
  const Reply reply =
      answer(operations_, {.method = "GET", .target = "/v1/doctor?device=fw3", .body = ""});
  EXPECT_EQ(reply.http_status, 404);
}

TEST_F(ApiDoctor, WhatIsAskedOverTcpIsLookedUpInTheAccountsOwnLists) {
  operations_.set_tcp_clients({.since = 1,
                               .devices = {{.account = 1,
                                            .device = 1,
                                            .queries = 9,
                                            .last = kNow - 5,
                                            .last_useful = kNow - 5,
                                            .names = {{.name = "basic.merlon.internal.",
                                                       .type = "A",
                                                       .outcome = "answered",
                                                       .count = 9,
                                                       .last = kNow - 5,
                                                       .records = 500,
                                                       .ttl_s = 900,
                                                       .within_ttl = 9}}}}});
  const Json said = doctor();
  ASSERT_EQ(said["findings"].size(), 1u) << said.dump();
  EXPECT_EQ(said["findings"][0]["code"], "list_too_long");
  EXPECT_EQ(said["findings"][0]["device"], "fw1");
  EXPECT_EQ(said["devices"][0]["tcp_names"][0]["records"], 500);
  EXPECT_TRUE(doctor("fw2")["findings"].empty());
}

TEST_F(ApiDoctor, KeysBelongToTheDeviceWhoseSourceSentThem) {
  operations_.set_transfers({.secondaries = {},
                             .notified = {},
                             .key_failures = {{.key = "fw1.acme.merlon.internal.",
                                               .source = "198.51.100.7",
                                               .error = "NOT_ITS_OWN",
                                               .count = 1,
                                               .last = kNow - 5},
                                              {.key = "x.",
                                               .source = "203.0.113.1",
                                               .error = "BADKEY",
                                               .count = 1,
                                               .last = kNow - 5}}});
  const Json said = doctor();
  ASSERT_EQ(said["findings"].size(), 1u) << said.dump();
  EXPECT_EQ(said["findings"][0]["device"], "fw2");
}

TEST_F(ApiDoctor, UnknownSourcesOfBothTransportsAreTakenTogether) {
  Json silent = row(1, 1);
  silent["last_seen_unix_s"] = 0;
  set_rows({silent, row(2, 2)});
  operations_.set_dataplane_answer(
      "top 1000",
      Json{{"unknown_sources",
            {{{"address", "192.0.2.99"}, {"count", 5}, {"error", 3}, {"last_seen_unix_s", kNow}}}}}
          .dump());
  EXPECT_TRUE(doctor()["findings"].empty()) << "two for certain";
  operations_.set_tcp_clients(
      {.since = 1,
       .unknown = {{.address = *address::parse_address("192.0.2.99"), .count = 1, .last = kNow}}});
  const Json said = doctor();
  ASSERT_EQ(said["findings"].size(), 1u) << said.dump();
  EXPECT_EQ(said["findings"][0]["code"], "address_changed");
  EXPECT_EQ(said["findings"][0]["evidence"]["refused"], 3);
}

TEST_F(ApiDoctor, ADeviceThatTheSnapshotLacksAndADataPlaneThatIsAwayAreSaid) {
  set_rows({row(1, 1)});
  Json said = doctor();
  ASSERT_EQ(said["findings"].size(), 1u) << said.dump();
  EXPECT_EQ(said["findings"][0]["code"], "not_served");
  operations_.set_dataplane_away("it is stopped");
  said = doctor();
  ASSERT_EQ(said["findings"].size(), 1u) << said.dump();
  EXPECT_EQ(said["findings"][0]["code"], "no_dataplane");
  EXPECT_TRUE(said["findings"][0]["device"].is_null());
  EXPECT_THAT(said["findings"][0]["cause"].get<std::string>(), HasSubstr("it is stopped"));
}

}  // namespace
}  // namespace merlon::api
