// SPDX-License-Identifier: Apache-2.0
// Devices with keys, tokens and recursion, through answer().
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "controlplane/api/device_secrets.h"
#include "controlplane/api/routes.h"
#include "tests/support/fake_operations.h"

namespace merlon::api {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class ApiDevices : public ::testing::Test {
 protected:
  ApiDevices() {
    call("POST", "/v1/devices", R"({"name":"fw","account":"acme","sources":["192.0.2.9"]})", 201);
  }
  Json call(std::string_view method, const std::string& path, std::string_view body = "",
            int expected = 200) {
    const Reply reply = answer(operations_, {.method = method, .target = path, .body = body});
    EXPECT_EQ(reply.http_status, expected) << path << ": " << reply.body.dump();
    return reply.body;
  }
  Json change(std::string_view body, int expected = 200) {
    return call("PATCH", "/v1/devices/fw", body, expected);
  }

  tests::FakeOperations operations_;
};

TEST_F(ApiDevices, WithoutWishesHaveNeitherKeyNorTokenNorRecursion) {
  const Json device = call("GET", "/v1/devices/fw")["device"];
  EXPECT_EQ(device["recursion"], false);
  EXPECT_EQ(device["dns_policy"], "");
  EXPECT_EQ(device["tsig"], "off");
  EXPECT_EQ(device["notify"], Json::array());
  EXPECT_EQ(device["certificate"], "off");
  EXPECT_EQ(device["has_token"], false);
  EXPECT_THAT(call("GET", "/v1/devices/fw/key", "", 404)["error"]["message"].get<std::string>(),
              HasSubstr("--tsig hmac-sha256"));
  call("GET", "/v1/devices/nobody", "", 404);
  call("GET", "/v1/devices/nobody/key", "", 404);
  call("PATCH", "/v1/devices/nobody", "{}", 404);
}

TEST_F(ApiDevices, ChangeLeavesWhatItDoesNotName) {
  change(R"({"recursion":true,"notify":["192.0.2.53"],"tier":"advanced","tsig":"hmac-sha256"})");
  const Json key = call("GET", "/v1/devices/fw/key")["key"];
  const Json device = change(R"({"sources":["192.0.2.10","2001:db8::/48"]})")["device"];
  EXPECT_EQ(device["sources"], Json::parse(R"(["192.0.2.10","2001:db8::/48"])"));
  EXPECT_EQ(device["recursion"], true);
  EXPECT_EQ(device["tier"], "advanced");
  EXPECT_EQ(device["notify"], Json::parse(R"(["192.0.2.53"])"));
  EXPECT_EQ(device["number"], 1);
  EXPECT_EQ(call("GET", "/v1/devices/fw/key")["key"], key);
  EXPECT_EQ(change("{}")["device"], device);
}

TEST_F(ApiDevices, KeysAreRandomOfTheirSizeAndShownOnlyWhenAskedFor) {
  const std::string made = change(R"({"tsig":"hmac-sha256"})").dump();
  const Json key = call("GET", "/v1/devices/fw/key")["key"];
  EXPECT_EQ(key["name"], "fw.acme.merlon.internal.");
  EXPECT_EQ(key["algorithm"], "hmac-sha256");
  const std::string secret = key["secret"];
  EXPECT_EQ(secret.size(), 44u);
  for (const std::string& text : {made, call("GET", "/v1/devices").dump(),
                                  call("GET", "/v1/devices/fw").dump(), change("{}").dump()}) {
    EXPECT_THAT(text, Not(HasSubstr(secret)));
  }
  change(R"({"tsig":"hmac-sha256"})");
  EXPECT_NE(call("GET", "/v1/devices/fw/key")["key"]["secret"], secret);
  change(R"({"tsig":"hmac-sha512"})");
  EXPECT_EQ(call("GET", "/v1/devices/fw/key")["key"]["secret"].get<std::string>().size(), 88u);
  change(R"({"tsig":"hmac-sha256","tsig_secret":"c2VjcmV0IHNlY3JldCBzZWNyZXQ="})");
  EXPECT_EQ(call("GET", "/v1/devices/fw/key")["key"]["secret"], "c2VjcmV0IHNlY3JldCBzZWNyZXQ=");
  change(R"({"tsig":"off"})");
  call("GET", "/v1/devices/fw/key", "", 404);
}

TEST_F(ApiDevices, TokenIsToldOnceAndKeptAsItsDigest) {
  const Json made = change(R"({"token":"new"})");
  const std::string token = made["token"];
  EXPECT_EQ(token.size(), 43u);
  EXPECT_EQ(token.find_first_of("+/="), std::string::npos);
  EXPECT_EQ(made["device"]["has_token"], true);
  EXPECT_EQ(operations_.device("fw")->token_digest, digest_of_token(token).value());
  const Json again = change("{}");
  EXPECT_FALSE(again.contains("token"));
  EXPECT_THAT(call("GET", "/v1/devices").dump(), Not(HasSubstr(token)));
  EXPECT_EQ(operations_.device("fw")->token_digest, digest_of_token(token).value());
  EXPECT_NE(change(R"({"token":"new"})")["token"], token);
  EXPECT_EQ(change(R"({"token":"off"})")["device"]["has_token"], false);
}

TEST_F(ApiDevices, AreAddedWithAllOfIt) {
  const Json made = call(
      "POST", "/v1/devices",
      R"({"name":"dns","account":"acme","sources":["192.0.2.11"],"recursion":true,"token":"new",
          "tsig":"hmac-sha512","notify":["192.0.2.11:5353"],"certificate":"off"})",
      201);
  EXPECT_EQ(made["token"].get<std::string>().size(), 43u);
  EXPECT_EQ(made["device"]["tsig"], "hmac-sha512");
  EXPECT_EQ(made["device"]["has_token"], true);
}

TEST_F(ApiDevices, FingerprintsAreTakenAsToolsPrintThem) {
  std::string printed;
  std::string kept;
  for (int i = 0; i < 32; ++i) {
    printed += i == 0 ? "AB" : ":AB";
    kept += "ab";
  }
  EXPECT_EQ(change(Json{{"certificate", printed}}.dump())["device"]["certificate"], kept);
  EXPECT_EQ(change(R"({"certificate":"off"})")["device"]["certificate"], "off");
}

TEST_F(ApiDevices, WrongWishesAreRefusedByName) {
  const auto fault = [&](std::string_view body) {
    return change(body, 400)["error"]["message"].get<std::string>();
  };
  EXPECT_THAT(fault(R"({"tsig":"hmac-md5"})"), HasSubstr("hmac-sha512, off"));
  EXPECT_THAT(fault(R"({"tsig_secret":"c2VjcmV0"})"), HasSubstr("needs \"tsig\""));
  EXPECT_THAT(fault(R"({"token":"mine"})"), HasSubstr("new, off"));
  EXPECT_THAT(fault(R"({"recursion":"on"})"), HasSubstr("recursion"));
  EXPECT_THAT(fault(R"({"notify":"192.0.2.1"})"), HasSubstr("notify"));
  EXPECT_THAT(fault(R"({"name":"other"})"), HasSubstr("stays so"));
  EXPECT_THAT(fault(R"({"account":"bolt"})"), HasSubstr("stays so"));
  EXPECT_THAT(fault(R"({"tsgi":"off"})"), HasSubstr("did you mean \"tsig\"?"));
  EXPECT_THAT(fault("[]"), HasSubstr("JSON object"));
}

}  // namespace
}  // namespace merlon::api
