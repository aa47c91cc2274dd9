// SPDX-License-Identifier: Apache-2.0
// Every route through answer(), without HTTP: server_test.cc covers what HTTP adds.
#include "controlplane/api/routes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <tuple>
#include <utility>

#include "tests/support/fake_operations.h"

namespace merlon::api {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ApiRoutes : public ::testing::Test {
 protected:
  Reply call(std::string_view method, const std::string& path, std::string_view body = "") {
    return answer(operations_, {.method = method, .target = path, .body = body});
  }
  Json good(std::string_view method, const std::string& path, std::string_view body = "",
            int expected = 200) {
    const Reply reply = call(method, path, body);
    EXPECT_EQ(reply.http_status, expected) << path << ": " << reply.body.dump();
    EXPECT_EQ(reply.body.value("schema_version", 0), kSchemaVersion);
    return reply.body;
  }
  Json bad(std::string_view method, const std::string& path, int expected,
           std::string_view body = "") {
    const Reply reply = call(method, path, body);
    EXPECT_EQ(reply.http_status, expected) << path << ": " << reply.body.dump();
    EXPECT_EQ(reply.body.value("schema_version", 0), kSchemaVersion);
    EXPECT_TRUE(reply.body.contains("error"));
    return reply.body.value("error", Json::object());
  }
  // A feed with 1 prefix, 1 address, 1 IPv6 address, 1 domain and 1 line that is none of these.
  std::string feed_body(const std::string& id) {
    const std::string path = ::testing::TempDir() + "merlon-routes-" + id + ".txt";
    std::ofstream(path) << "# a feed\n192.0.2.0/24\n198.51.100.7\n2001:db8::7\nbad.example\n???\n";
    return Json{{"id", id}, {"url", "file://" + path}}.dump();
  }

  tests::FakeOperations operations_;
};

TEST_F(ApiRoutes, StatusCountsWhatThereIs) {
  good("POST", "/v1/feeds", feed_body("one"), 201);
  const Json status = good("GET", "/v1/status")["status"];
  EXPECT_EQ(status["version"], "0.1.0");
  EXPECT_EQ(status["started"], "2026-03-01T12:00:00Z");
  EXPECT_EQ(status["feed_count"], 1);
  EXPECT_EQ(status["generation"], 0);
  EXPECT_EQ(status["dataplane"], "serving generation 0");
}

TEST_F(ApiRoutes, FeedIsAddedListedShownRefreshedAndRemoved) {
  const Json added = good("POST", "/v1/feeds", feed_body("one"), 201)["feed"];
  EXPECT_EQ(added["id"], "one");
  EXPECT_EQ(added["state"]["health"], "never_fetched");
  EXPECT_TRUE(added["state"]["last_good"].is_null());
  EXPECT_EQ(good("GET", "/v1/feeds")["feeds"].size(), 1u);

  const Json refresh = good("POST", "/v1/feeds/one/refresh")["refresh"];
  EXPECT_EQ(refresh["feed"], "one");
  EXPECT_EQ(refresh["added_count"], 4);
  EXPECT_FALSE(refresh["not_modified"].get<bool>());
  EXPECT_TRUE(good("POST", "/v1/feeds/one/refresh", "{}")["refresh"]["not_modified"].get<bool>());

  const Json state = good("GET", "/v1/feeds/one")["feed"]["state"];
  EXPECT_EQ(state["health"], "good");
  EXPECT_EQ(state["prefix4_count"], 2);
  EXPECT_EQ(state["prefix6_count"], 1);
  EXPECT_EQ(state["domain_count"], 1);
  EXPECT_EQ(state["rejected_by_reason"], Json::parse(R"({"not_an_indicator":1})"));
  EXPECT_EQ(state["rejected_examples"],
            Json::parse(R"([{"line":6,"reason":"not_an_indicator","text":"???"}])"));

  EXPECT_EQ(good("DELETE", "/v1/feeds/one")["removed"], Json::parse(R"({"feed":"one"})"));
  EXPECT_EQ(good("GET", "/v1/feeds")["feeds"], Json::array());
}

TEST_F(ApiRoutes, SafetyOfAFeedSaysWhatWasTakenOutAndAcceptTakesWhatIsHeld) {
  const std::string path = ::testing::TempDir() + "merlon-routes-held.txt";
  std::ofstream(path) << "127.0.0.1\n?\n?\n";
  good("POST", "/v1/feeds", Json{{"id", "held"}, {"url", "file://" + path}}.dump(), 201);
  good("POST", "/v1/feeds/held/refresh");
  const Json safety = good("GET", "/v1/feeds/held/safety")["safety"];
  EXPECT_EQ(safety["held"]["reason"], "more than half of it is unreadable");
  EXPECT_EQ(safety["quarantine_count"], 1);
  EXPECT_EQ(good("POST", "/v1/feeds/held/accept")["refresh"]["state"]["health"], "good");
  EXPECT_EQ(bad("POST", "/v1/feeds/held/accept", 409)["code"], "conflict");
  EXPECT_EQ(bad("POST", "/v1/feeds/none/accept", 404)["code"], "not_found");
  const Json after = good("GET", "/v1/feeds/held/safety")["safety"];
  EXPECT_TRUE(after["held"].is_null());
  EXPECT_EQ(after["trust"], 70);
  EXPECT_EQ(after["taken_out_examples"],
            Json::parse(R"([{"entry":"127.0.0.1","protected_by":"127.0.0.0/8",
                             "why":"loopback, RFC 1122"}])"));
}

TEST_F(ApiRoutes, FeedsReportComparesTheFeedsThatAreNamed) {
  for (const char* id : {"one", "two"}) {
    good("POST", "/v1/feeds", feed_body(id), 201);
    good("POST", std::string("/v1/feeds/") + id + "/refresh");
  }
  const Json report = good("GET", "/v1/feeds/report?feeds=one%2Ctwo")["report"];
  EXPECT_EQ(report["feeds"][1]["feed"], "two");
  EXPECT_EQ(report["shared"], Json::parse("[[4,4],[4,4]]"));
  EXPECT_EQ(bad("GET", "/v1/feeds/report?feeds=none", 404)["code"], "not_found");
}

TEST_F(ApiRoutes, FeedErrorsHaveTheirCodes) {
  good("POST", "/v1/feeds", feed_body("one"), 201);
  EXPECT_EQ(bad("POST", "/v1/feeds", 409, feed_body("one"))["code"], "conflict");
  EXPECT_EQ(bad("POST", "/v1/feeds", 400, feed_body("Upper"))["code"], "invalid_argument");
  EXPECT_EQ(bad("POST", "/v1/feeds", 400)["message"], "missing key \"id\"");
  EXPECT_EQ(bad("GET", "/v1/feeds/two", 404)["message"], "there is no feed \"two\"");
  EXPECT_EQ(bad("DELETE", "/v1/feeds/two", 404)["code"], "not_found");
  EXPECT_EQ(bad("POST", "/v1/feeds/two/refresh", 404)["code"], "not_found");
}

TEST_F(ApiRoutes, DeviceIsAddedListedAndRemoved) {
  const std::string body = R"({"name":"fw","account":"acme","sources":["192.0.2.9"]})";
  const Json device = good("POST", "/v1/devices", body, 201)["device"];
  EXPECT_EQ(device["number"], 1);
  EXPECT_EQ(device["tier"], "basic");
  EXPECT_EQ(good("GET", "/v1/devices")["devices"], Json::array({device}));
  EXPECT_EQ(bad("POST", "/v1/devices", 409, body)["code"], "conflict");
  EXPECT_EQ(good("DELETE", "/v1/devices/fw")["removed"], Json::parse(R"({"device":"fw"})"));
  EXPECT_EQ(bad("DELETE", "/v1/devices/fw", 404)["code"], "not_found");
}

TEST_F(ApiRoutes, SnapshotsAreBuiltVerifiedActivatedAndRolledBack) {
  EXPECT_EQ(bad("POST", "/v1/snapshots/rollback", 404)["code"], "not_found");
  const Json first = good("POST", "/v1/snapshots")["build"];
  EXPECT_EQ(first["generation"], 1);
  EXPECT_TRUE(first["changed"].get<bool>());
  EXPECT_FALSE(good("POST", "/v1/snapshots")["build"]["changed"].get<bool>());
  good("POST", "/v1/feeds", feed_body("one"), 201);
  EXPECT_EQ(good("POST", "/v1/snapshots")["build"]["generation"], 2);
  EXPECT_EQ(good("POST", "/v1/snapshots/rollback")["build"]["generation"], 1);
  EXPECT_EQ(good("POST", "/v1/snapshots/2/activate")["build"]["generation"], 2);
  const Json snapshots = good("GET", "/v1/snapshots")["snapshots"];
  ASSERT_EQ(snapshots.size(), 2u);
  EXPECT_FALSE(snapshots[0]["current"].get<bool>());
  EXPECT_TRUE(snapshots[1]["current"].get<bool>());
  const Json verify = good("GET", "/v1/snapshots/1/verify")["verify"];
  EXPECT_EQ(verify["generation"], 1);
  EXPECT_EQ(verify["good"][0], "manifest of generation 1: good");
  EXPECT_EQ(bad("GET", "/v1/snapshots/9/verify", 404)["code"], "not_found");
  EXPECT_EQ(bad("POST", "/v1/snapshots/9/activate", 404)["code"], "not_found");
}

TEST_F(ApiRoutes, GenerationMustBeANumber) {
  for (const char* text : {"x", "-1", "1x", "18446744073709551616", "%20", "1.0"}) {
    const std::string path = std::string("/v1/snapshots/") + text + "/activate";
    EXPECT_THAT(bad("POST", path, 400)["message"], HasSubstr("must be a decimal number"));
  }
  EXPECT_EQ(bad("POST", "/v1/snapshots/18446744073709551615/activate", 404)["code"], "not_found");
}

TEST_F(ApiRoutes, ListsAreThoseOfTheCurrentSnapshot) {
  EXPECT_EQ(good("GET", "/v1/lists")["lists"], Json::array());
  good("POST", "/v1/feeds", feed_body("one"), 201);
  good("POST", "/v1/feeds/one/refresh");
  good("POST", "/v1/snapshots");
  EXPECT_EQ(good("GET", "/v1/lists")["lists"].size(), 2u);
  const Json list = good("GET", "/v1/lists/one")["list"];
  EXPECT_EQ(list["kind"], "feed");
  EXPECT_EQ(list["address4_count"], 257);
  EXPECT_EQ(list["names"], Json::parse(R"(["one.merlon.internal."])"));
  EXPECT_EQ(bad("GET", "/v1/lists/two", 404)["code"], "not_found");
}

TEST_F(ApiRoutes, CheckSaysWhoListsAValue) {
  good("POST", "/v1/feeds", feed_body("one"), 201);
  good("POST", "/v1/feeds/one/refresh");
  good("POST", "/v1/snapshots");
  const auto check = [&](const std::string& value) {
    return call("GET", "/v1/check?value=" + value);
  };
  const Json listed = check("192.0.2.200").body["check"];
  EXPECT_TRUE(listed["listed"].get<bool>());
  EXPECT_EQ(listed["observations"][0]["value"], "192.0.2.0/24");
  EXPECT_EQ(listed["lists"], Json::parse(R"(["basic","one"])"));
  EXPECT_FALSE(check("203.0.113.1").body["check"]["listed"].get<bool>());
  EXPECT_EQ(check("10.1.2.3").body["check"]["protected_by"], "10.0.0.0/8");
  EXPECT_EQ(check("not%20a%20name").http_status, 400);
  EXPECT_EQ(check("").http_status, 400);
}

TEST_F(ApiRoutes, ManyValuesAreCheckedAtOnce) {
  good("POST", "/v1/feeds", feed_body("one"), 201);
  good("POST", "/v1/feeds/one/refresh");
  const std::string body = R"({"values":["192.0.2.200","not a name","203.0.113.1"]})";
  const Json checks = good("POST", "/v1/check", body)["checks"];
  ASSERT_EQ(checks.size(), 3u);
  EXPECT_TRUE(checks[0]["listed"].get<bool>());
  EXPECT_EQ(checks[1]["value"], "not a name");
  EXPECT_THAT(checks[1]["error"], HasSubstr("neither"));
  EXPECT_FALSE(checks[2]["listed"].get<bool>());
  for (const char* wrong : {"{}", "[]", R"({"values":"192.0.2.1"})", R"({"values":[1]})",
                            R"({"values":[],"more":1})"}) {
    EXPECT_EQ(bad("POST", "/v1/check", 400, wrong)["code"], "invalid_argument") << wrong;
  }
}

TEST_F(ApiRoutes, CheckTakesATimeAsItIsWrittenElsewhere) {
  const Json then = good("GET", "/v1/check?value=192.0.2.1&at=2026-03-01T12:00:00Z")["check"];
  EXPECT_EQ(then["at"], "2026-03-01T12:00:00Z");
  EXPECT_TRUE(good("GET", "/v1/check?value=192.0.2.1")["check"]["at"].is_null());
  for (const char* at : {"now", "2026-03-01", "1700000000", "1969-12-31T23:59:59Z"}) {
    EXPECT_THAT(bad("GET", std::string("/v1/check?value=192.0.2.1&at=") + at, 400)["message"],
                HasSubstr("at:"));
  }
}

TEST_F(ApiRoutes, BackupGoesWhereItIsSaid) {
  const Json made =
      good("POST", "/v1/backups", R"({"directory":"/var/backups/merlon"})", 201)["backup"];
  EXPECT_EQ(made["directory"], "/var/backups/merlon");
  EXPECT_EQ(bad("POST", "/v1/backups", 400, R"({"directory":"here"})")["code"], "invalid_argument");
  for (const char* wrong : {"{}", R"({"directory":1})", R"({"directory":"/x","more":1})"}) {
    EXPECT_THAT(bad("POST", "/v1/backups", 400, wrong)["message"], HasSubstr("directory"));
  }
}

TEST_F(ApiRoutes, QueryParametersAreReadStrictly) {
  const auto fault = [&](const std::string& target) {
    return bad("GET", target, 400)["message"].get<std::string>();
  };
  for (const char* query : {"", "?", "?value", "?value=", "?value=192.0.2.1&value=192.0.2.2"}) {
    EXPECT_THAT(fault(std::string("/v1/check") + query), HasSubstr("\"value\" must be given once"));
  }
  EXPECT_EQ(fault("/v1/check?vlaue=x"),
            "unknown query parameter \"vlaue\"; did you mean \"value\"?");
  EXPECT_EQ(fault("/v1/feeds?page=2"), "unknown query parameter \"page\"");
  EXPECT_EQ(fault("/v1/check?value=%zz"), "the query parameter \"value\" has a broken % escape");
  EXPECT_EQ(good("GET", "/v1/check?value=2001%3Adb8%3a%3A1")["check"]["value"], "2001:db8::1");
  good("GET", "/v1/check?value=192.0.2.1&");
}

TEST_F(ApiRoutes, DataplaneAnswersAreWrappedUnchanged) {
  operations_.set_dataplane_answer(R"({"rx":{"packets":7},"drop":{"frame_too_short":0}})");
  EXPECT_EQ(good("GET", "/v1/dataplane/stats")["dataplane"]["rx"]["packets"], 7);
  EXPECT_EQ(good("GET", "/v1/dataplane/status")["dataplane"]["drop"]["frame_too_short"], 0);
  operations_.set_dataplane_answer("{broken");
  EXPECT_EQ(bad("GET", "/v1/dataplane/stats", 500)["message"],
            "the data plane's answer to \"stats\" is not JSON");
  operations_.set_dataplane_away("no process listens");
  EXPECT_EQ(bad("GET", "/v1/dataplane/status", 503)["code"], "busy");
}

TEST_F(ApiRoutes, EveryErrorCodeHasItsHttpStatus) {
  const std::pair<ErrorCode, int> rows[] = {
      {ErrorCode::not_found, 404},  {ErrorCode::invalid_argument, 400}, {ErrorCode::conflict, 409},
      {ErrorCode::busy, 503},       {ErrorCode::unsupported, 422},      {ErrorCode::io, 500},
      {ErrorCode::corruption, 500}, {ErrorCode::internal, 500},
  };
  for (const auto& [code, http_status] : rows) {
    operations_.fail_next(Error{code, "because"});
    const Json error = bad("GET", "/v1/status", http_status);
    EXPECT_EQ(error["code"], std::string(to_string(code)));
    EXPECT_EQ(error["message"], "because");
  }
}

// A route that forgot to look at its Result would answer 200 here.
TEST_F(ApiRoutes, EveryRoutePassesTheErrorOfItsOperation) {
  good("POST", "/v1/feeds", feed_body("one"), 201);
  good("POST", "/v1/snapshots");
  const std::string device = R"({"name":"fw","account":"acme","sources":["192.0.2.9"]})";
  const std::tuple<const char*, const char*, std::string> rows[] = {
      {"GET", "/v1/status", ""},
      {"GET", "/v1/feeds", ""},
      {"POST", "/v1/feeds", feed_body("two")},
      {"GET", "/v1/feeds/one", ""},
      {"DELETE", "/v1/feeds/one", ""},
      {"POST", "/v1/feeds/one/refresh", ""},
      {"GET", "/v1/lists", ""},
      {"GET", "/v1/lists/basic", ""},
      {"GET", "/v1/devices", ""},
      {"POST", "/v1/devices", device},
      {"GET", "/v1/devices/fw", ""},
      {"PATCH", "/v1/devices/fw", "{}"},
      {"DELETE", "/v1/devices/fw", ""},
      {"GET", "/v1/devices/fw/key", ""},
      {"GET", "/v1/snapshots", ""},
      {"POST", "/v1/snapshots", ""},
      {"GET", "/v1/snapshots/1/verify", ""},
      {"POST", "/v1/snapshots/1/activate", ""},
      {"POST", "/v1/snapshots/rollback", ""},
      {"GET", "/v1/dataplane/status", ""},
      {"GET", "/v1/dataplane/stats", ""},
      {"GET", "/v1/dataplane/top", ""},
      {"GET", "/v1/dataplane/subjects", ""},
      {"GET", "/v1/dataplane/profile", ""},
      {"POST", "/v1/dataplane/profile", R"({"seconds":1})"},
  };
  for (const auto& [method, path, body] : rows) {
    operations_.fail_next(Error{ErrorCode::busy, "in the way"});
    EXPECT_EQ(bad(method, path, 503, body)["message"], "in the way") << method << " " << path;
  }
}

TEST_F(ApiRoutes, ExceptionsBecomeAnInternalError) {
  operations_.throw_next("third party gave up");
  const Json error = bad("GET", "/v1/status", 500);
  EXPECT_EQ(error["code"], "internal");
  EXPECT_EQ(error["message"], "third party gave up");
}

TEST_F(ApiRoutes, UnknownPathListsWhatExists) {
  const Json error = bad("GET", "/v1/feed", 404);
  EXPECT_EQ(error["code"], "not_found");
  EXPECT_THAT(error["message"], HasSubstr("there is no path /v1/feed"));
  const auto routes = error["routes"].get<std::vector<std::string>>();
  EXPECT_EQ(routes.size(), 67u);
  EXPECT_EQ(routes.at(0), "GET /v1/feeds/report?feeds=");  // before /v1/feeds/{id}
  EXPECT_THAT(routes,
              testing::IsSupersetOf({"GET /v1/dataplane/subjects?account=&limit=",
                                     "GET /v1/check?value=&at=&account=", "GET /v1/transfers",
                                     "GET /v1/doctor?device=", "GET /v1/forward"}));
  for (const char* path :
       {"", "/", "/v1", "/v1/", "/v1/feeds/", "/v1/feeds//refresh", "/v1/feeds/a/b", "/V1/feeds",
        "/v1/feeds/%", "/v1/feeds/%0", "/v1/feeds/%00"}) {
    EXPECT_EQ(bad("GET", path, 404)["code"], "not_found") << path;
  }
}

TEST_F(ApiRoutes, WrongMethodSaysWhichOnesAreTaken) {
  const Reply reply = call("PUT", "/v1/feeds");
  EXPECT_EQ(reply.http_status, 405);
  EXPECT_EQ(reply.allow, "GET, POST");
  EXPECT_EQ(reply.body["error"]["code"], "method_not_allowed");
  EXPECT_EQ(reply.body["error"]["message"],
            "/v1/feeds cannot be asked with PUT; it takes GET and POST");
  EXPECT_EQ(call("DELETE", "/v1/status").allow, "GET");
  EXPECT_EQ(call("GET", "/v1/snapshots/rollback").allow, "POST");
}

TEST_F(ApiRoutes, EncodedPartsAreDecodedOnceAndStayOnePart) {
  EXPECT_EQ(bad("GET", "/v1/feeds/a%2Fb", 404)["message"], "there is no feed \"a/b\"");
  EXPECT_EQ(bad("GET", "/v1/feeds/a%252Fb", 404)["message"], "there is no feed \"a%2Fb\"");
  EXPECT_EQ(bad("GET", "/v1/feeds/a+b", 404)["message"], "there is no feed \"a+b\"");
}

}  // namespace
}  // namespace merlon::api
