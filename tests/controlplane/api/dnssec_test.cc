// SPDX-License-Identifier: Apache-2.0
// The routes of signed zones and of what accounts have published, without HTTP.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <tuple>

#include "controlplane/api/routes.h"
#include "tests/support/fake_operations.h"

namespace merlon::api {
namespace {

using ::testing::HasSubstr;

class ApiDnssec : public ::testing::Test {
 protected:
  Json call(std::string_view method, const std::string& path, int expected,
            std::string_view body = "") {
    const Reply reply = answer(
        operations_,
        {.method = method, .target = path, .body = body, .content_type = "application/json"});
    EXPECT_EQ(reply.http_status, expected) << path << ": " << reply.body.dump();
    return reply.body;
  }
  std::string fault(std::string_view method, const std::string& path, int expected,
                    std::string_view body = "") {
    return call(method, path, expected, body)["error"]["message"].get<std::string>();
  }
  const std::string zone_ = "/v1/dnssec/acme.merlon.internal.";
  tests::FakeOperations operations_;
};

TEST_F(ApiDnssec, WithoutSigningTheListIsEmptyAndCommandsSayWhichSetting) {
  const Json overview = call("GET", "/v1/dnssec", 200);
  EXPECT_EQ(overview["schema_version"], kSchemaVersion);
  EXPECT_EQ(overview["enabled"], false);
  EXPECT_EQ(overview["zones"], Json::array());
  EXPECT_THAT(fault("GET", zone_, 422), HasSubstr("[dnssec]"));
  EXPECT_THAT(fault("POST", "/v1/dnssec/confirm-clock", 422), HasSubstr("no zone is signed"));
}

TEST_F(ApiDnssec, ZoneIsShownWithItsKeysAndTrustAnchors) {
  operations_.sign_zone("acme.merlon.internal.");
  EXPECT_EQ(call("GET", "/v1/dnssec", 200)["zones"].size(), 1u);
  const Json zone = call("GET", zone_, 200)["zone"];
  EXPECT_EQ(zone["apex"], "acme.merlon.internal.");
  EXPECT_EQ(zone["rollover"], "none");
  EXPECT_EQ(zone["keys"][0]["tag"], 4711);
  EXPECT_EQ(zone["keys"][0]["trust_anchor"], true);
  EXPECT_TRUE(zone["keys"][0]["retired"].is_null());
  EXPECT_EQ(zone["ds"].size(), 2u);
  EXPECT_THAT(zone["trust_anchors"][0].get<std::string>(), HasSubstr("DNSKEY 257"));
  EXPECT_EQ(call("GET", "/v1/dnssec/other.", 404)["error"]["code"], "not_found");
}

TEST_F(ApiDnssec, RolloverIsBegunOnceAndGoesOnWhenItsDsIsSeen) {
  operations_.sign_zone("acme.merlon.internal.");
  EXPECT_THAT(fault("POST", zone_ + "/ds-seen", 409), HasSubstr("no new key"));
  const Json zone = call("POST", zone_ + "/rollover", 200, R"({"kind":"ksk"})")["zone"];
  EXPECT_EQ(zone["rollover"], "ksk");
  EXPECT_EQ(zone["awaits_ds"], true);
  EXPECT_EQ(zone["keys"].size(), 2u);
  EXPECT_THAT(fault("POST", zone_ + "/rollover", 409, R"({"kind":"ksk"})"), HasSubstr("under way"));
  EXPECT_FALSE(call("POST", zone_ + "/ds-seen", 200)["zone"]["next_step_at"].is_null());
  EXPECT_EQ(call("POST", "/v1/dnssec/confirm-clock", 200)["confirmed"], true);
}

TEST_F(ApiDnssec, RolloverIsReadStrictly) {
  operations_.sign_zone("acme.merlon.internal.");
  const auto refused = [&](const char* body) {
    return fault("POST", zone_ + "/rollover", 400, body);
  };
  EXPECT_THAT(refused("{}"), HasSubstr("missing key \"kind\""));
  EXPECT_THAT(refused(R"({"kind":"all"})"), HasSubstr(R"("ksk", "zsk" or "algorithm")"));
  EXPECT_THAT(refused(R"({"kind":7})"), HasSubstr("not 7"));
  EXPECT_THAT(refused(R"({"kind":"algorithm"})"), HasSubstr("goes with"));
  EXPECT_THAT(refused(R"({"kind":"ksk","algorithm":"ed25519"})"), HasSubstr("goes with"));
  EXPECT_THAT(refused(R"({"kind":"ksk","now":true})"), HasSubstr("unknown key"));
  const Json zone = call("POST", zone_ + "/rollover", 200,
                         R"({"kind":"algorithm","algorithm":"ed25519"})")["zone"];
  EXPECT_EQ(zone["keys"][1]["algorithm"], "ed25519");
}

TEST_F(ApiDnssec, PublishedListsOfAnAccountAreShownWithWhatFellOff) {
  call("POST", "/v1/accounts", 201, R"({"name":"acme"})");
  EXPECT_EQ(call("GET", "/v1/accounts/acme/published", 200)["lists"], Json::array());
  call("POST", "/v1/accounts/acme/lists", 201, R"({"name":"bad"})");
  call("POST", "/v1/accounts/acme/lists/bad/entries", 200, R"(["45.0.0.1","45.0.0.2"])");
  call("POST", "/v1/accounts/acme/policies", 201,
       R"({"name":"edge","kind":"ip","lists":["bad"],"capacity":1})");
  call("POST", "/v1/accounts/acme/policies", 201, R"({"name":"names","kind":"dns"})");
  const Json published = call("GET", "/v1/accounts/acme/published", 200);
  EXPECT_EQ(published["lists"][0]["name"], "edge");
  EXPECT_EQ(published["lists"][0]["fallen_off_count"], 1);
  EXPECT_EQ(published["lists"][0]["names"][0], "edge.acme.merlon.internal.");
  EXPECT_EQ(published["policy_zones"][0]["apex"], "names.rpz.acme.merlon.internal.");
  EXPECT_EQ(published["problems"], Json::array());
  call("GET", "/v1/accounts/absent/published", 404);
}

TEST_F(ApiDnssec, EveryRoutePassesTheErrorOfItsOperation) {
  const std::tuple<const char*, std::string, const char*> rows[] = {
      {"GET", "/v1/dnssec", ""},
      {"GET", zone_, ""},
      {"POST", zone_ + "/rollover", R"({"kind":"zsk"})"},
      {"POST", zone_ + "/ds-seen", ""},
      {"POST", "/v1/dnssec/confirm-clock", ""},
      {"GET", "/v1/accounts/acme/published", ""},
  };
  for (const auto& [method, path, body] : rows) {
    operations_.fail_next(Error{ErrorCode::busy, "in the way"});
    EXPECT_EQ(fault(method, path, 503, body), "in the way") << method << " " << path;
  }
}

}  // namespace
}  // namespace merlon::api
