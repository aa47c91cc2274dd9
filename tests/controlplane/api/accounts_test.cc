// SPDX-License-Identifier: Apache-2.0
// The routes of accounts, own lists, entries, policies and profiles, without HTTP.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <tuple>

#include "controlplane/api/routes.h"
#include "tests/support/fake_operations.h"

namespace merlon::api {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class ApiAccounts : public ::testing::Test {
 protected:
  void SetUp() override {
    good("POST", "/v1/accounts", R"({"name":"acme"})", 201);
    good("POST", "/v1/accounts", R"({"name":"bolt"})", 201);
    good("POST", "/v1/accounts/acme/lists", R"({"name":"bad"})", 201);
  }
  Reply call(std::string_view method, const std::string& path, std::string_view body = "",
             std::string_view content_type = "application/json") {
    return answer(operations_,
                  {.method = method, .target = path, .body = body, .content_type = content_type});
  }
  Json good(std::string_view method, const std::string& path, std::string_view body = "",
            int expected = 200, std::string_view content_type = "application/json") {
    const Reply reply = call(method, path, body, content_type);
    EXPECT_EQ(reply.http_status, expected) << path << ": " << reply.body.dump();
    EXPECT_EQ(reply.body.value("schema_version", 0), kSchemaVersion);
    return reply.body;
  }
  Json bad(std::string_view method, const std::string& path, int expected,
           std::string_view body = "", std::string_view content_type = "application/json") {
    const Reply reply = call(method, path, body, content_type);
    EXPECT_EQ(reply.http_status, expected) << path << ": " << reply.body.dump();
    return reply.body.value("error", Json::object());
  }
  const std::string entries_ = "/v1/accounts/acme/lists/bad/entries";
  tests::FakeOperations operations_;
};

TEST_F(ApiAccounts, AccountIsAddedShownReplacedAndRemoved) {
  const Json made =
      good("POST", "/v1/accounts", R"({"name":"zulu","title":"Zulu","tier":"basic"})", 201);
  EXPECT_EQ(made["account"]["number"], 3);
  EXPECT_EQ(made["account"]["tier"], "basic");
  EXPECT_EQ(good("GET", "/v1/accounts")["accounts"].size(), 3u);
  EXPECT_EQ(good("PUT", "/v1/accounts/zulu", R"({"title":"New"})")["account"]["title"], "New");
  EXPECT_EQ(good("GET", "/v1/accounts/zulu")["account"]["tier"], "advanced");
  EXPECT_THAT(bad("PUT", "/v1/accounts/zulu", 400, R"({"name":"other"})")["message"],
              HasSubstr("nothing is renamed"));
  EXPECT_EQ(good("DELETE", "/v1/accounts/zulu")["removed"], Json::parse(R"({"account":"zulu"})"));
  EXPECT_EQ(bad("GET", "/v1/accounts/zulu", 404)["code"], "not_found");
  EXPECT_EQ(bad("POST", "/v1/accounts", 409, R"({"name":"acme"})")["code"], "conflict");
  EXPECT_THAT(bad("POST", "/v1/accounts", 400, R"({"nmae":"x"})")["message"],
              HasSubstr("did you mean \"name\""));
}

TEST_F(ApiAccounts, AccountWithContentsGoesOnlyWhenAsked) {
  EXPECT_EQ(bad("DELETE", "/v1/accounts/acme", 409)["code"], "conflict");
  EXPECT_THAT(bad("DELETE", "/v1/accounts/acme?with_contents=yes", 400)["message"],
              HasSubstr("true or false"));
  good("DELETE", "/v1/accounts/acme?with_contents=true");
  bad("GET", "/v1/accounts/acme/lists", 404);
}

TEST_F(ApiAccounts, ListsAreThoseOfTheAccountInThePath) {
  const Json list =
      good("POST", "/v1/accounts/bolt/lists", R"({"name":"good","direction":"allow"})", 201);
  EXPECT_EQ(list["list"]["account"], "bolt");
  EXPECT_EQ(list["list"]["direction"], "allow");
  EXPECT_EQ(good("GET", "/v1/accounts/acme/lists")["lists"].size(), 1u);
  EXPECT_EQ(good("GET", "/v1/accounts/bolt/lists")["lists"][0]["name"], "good");
  bad("GET", "/v1/accounts/acme/lists/good", 404);
  bad("GET", "/v1/accounts/bolt/lists/bad", 404);
  bad("GET", "/v1/accounts/bolt/lists/bad/entries", 404);
  bad("DELETE", "/v1/accounts/bolt/lists/bad", 404);
  good("DELETE", "/v1/accounts/bolt/lists/good");
  bad("POST", "/v1/accounts/nobody/lists", 404, R"({"name":"x"})");
  EXPECT_THAT(
      bad("POST", "/v1/accounts/acme/lists", 400, R"({"name":"x","account":"bolt"})")["message"],
      HasSubstr("unknown key \"account\""));
}

TEST_F(ApiAccounts, OneEntryIsAnObject) {
  const Json report = good(
      "POST", entries_,
      R"({"value":"192.0.2.7/32","comment":"seen","expires":"2030-01-02T03:04:05Z"})")["report"];
  EXPECT_EQ(report["added_count"], 1);
  EXPECT_EQ(report["entry_count"], 1);
  const Json entry = good("GET", entries_)["entries"][0];
  EXPECT_EQ(entry["value"], "192.0.2.7");
  EXPECT_EQ(entry["comment"], "seen");
  EXPECT_EQ(entry["expires"], "2030-01-02T03:04:05Z");
}

TEST_F(ApiAccounts, ManyEntriesAreAnArrayOfObjectsAndValues) {
  const Json report = good("POST", entries_ + "?comment=all",
                           R"(["192.0.2.1",{"value":"*.Bad.Example.","comment":"own"}])")["report"];
  EXPECT_EQ(report["added_count"], 2);
  const Json entries = good("GET", entries_)["entries"];
  EXPECT_EQ(entries[0]["comment"], "all");
  EXPECT_EQ(entries[1]["value"], "*.bad.example");
  EXPECT_EQ(entries[1]["comment"], "own");
  EXPECT_THAT(bad("POST", entries_, 400, R"(["192.0.2.1",7])")["message"],
              HasSubstr("entry 1: must be a value or an object, not 7"));
  EXPECT_THAT(bad("POST", entries_, 400, R"([{"value":"192.0.2.1","x":1}])")["message"],
              HasSubstr("entry 0: unknown key"));
  EXPECT_THAT(bad("POST", entries_, 400, "[]")["message"], HasSubstr("no entry"));
  EXPECT_THAT(bad("POST", entries_, 400)["message"], HasSubstr("missing key \"value\""));
}

TEST_F(ApiAccounts, LinesAreEntriesAndTheirCommentsFollowAHash) {
  const std::string text = "# mine\r\n192.0.2.1 # scans\n\n 2001:db8::/32\t\nbad.example";
  EXPECT_EQ(good("POST", entries_ + "?expires=2030-01-01T00:00:00Z", text, 200,
                 "text/plain; charset=utf-8")["report"]["added_count"],
            3);
  const Json entries = good("GET", entries_)["entries"];
  EXPECT_EQ(entries[0]["comment"], "scans");
  EXPECT_EQ(entries[1]["value"], "2001:db8::/32");
  EXPECT_EQ(entries[2]["expires"], "2030-01-01T00:00:00Z");
}

TEST_F(ApiAccounts, InvalidEntriesAreListedAndChangeNothing) {
  const Json error =
      bad("POST", entries_, 400, "192.0.2.1\n\n192.0.2.256\nnot a name\n", "text/plain");
  EXPECT_THAT(error["message"], AllOf(HasSubstr("2 of 3 entries are refused"),
                                      HasSubstr("nothing was changed"), HasSubstr("line 3: ")));
  EXPECT_EQ(error["fault_count"], 2);
  EXPECT_EQ(error["faults"][0]["line"], 3);
  EXPECT_EQ(error["faults"][0]["index"], 1);
  EXPECT_EQ(error["faults"][0]["value"], "192.0.2.256");
  EXPECT_EQ(good("GET", entries_)["entries"], Json::array());
  const Json report = good("POST", entries_ + "?invalid=skip", R"(["192.0.2.1","x"])")["report"];
  EXPECT_EQ(report["added_count"], 1);
  EXPECT_EQ(report["fault_count"], 1);
  EXPECT_EQ(report["faults"][0]["index"], 1);
  EXPECT_THAT(bad("POST", entries_ + "?invalid=no", 400, R"(["192.0.2.1"])")["message"],
              HasSubstr("refuse or skip"));
}

TEST_F(ApiAccounts, TimesAreReadStrictly) {
  for (const char* text : {"2030-02-30T00:00:00Z", "2030-01-01", "2030-01-01T00:00:00+1", "soon",
                           "2030-1-01T00:00:000Z", "2030-01-01T24:00:00Z"}) {
    EXPECT_FALSE(time_from_text(text).has_value()) << text;
    const std::string body = Json{{"value", "192.0.2.1"}, {"expires", text}}.dump();
    EXPECT_THAT(bad("POST", entries_, 400, body)["message"], HasSubstr("\"expires\"")) << text;
  }
  EXPECT_EQ(time_from_text("2026-03-01T12:00:00Z"), 1772366400);
  good("POST", entries_, R"({"value":"192.0.2.1","expires":null})");
}

TEST_F(ApiAccounts, EntriesAreReadInPages) {
  good("POST", entries_, R"(["192.0.2.1","192.0.2.2","192.0.2.3"])");
  const Json first = good("GET", entries_ + "?limit=2");
  EXPECT_EQ(first["entries"].size(), 2u);
  EXPECT_EQ(first["next"], "192.0.2.2");
  const Json last = good("GET", entries_ + "?limit=2&after=192.0.2.2");
  EXPECT_EQ(last["entries"][0]["value"], "192.0.2.3");
  EXPECT_TRUE(last["next"].is_null());
  bad("GET", entries_ + "?limit=0", 400);
  bad("GET", entries_ + "?after=none", 400);
}

TEST_F(ApiAccounts, EntriesAreRemovedByValueOrByBody) {
  good("POST", entries_, R"(["192.0.2.1","192.0.2.2","192.0.2.3","192.0.2.4"])");
  EXPECT_EQ(good("DELETE", entries_ + "?value=192.0.2.1%2F32")["report"]["removed_count"], 1);
  EXPECT_EQ(bad("DELETE", entries_ + "?value=192.0.2.1", 404)["code"], "not_found");
  EXPECT_EQ(good("DELETE", entries_, R"(["192.0.2.2"])")["report"]["removed_count"], 1);
  EXPECT_EQ(good("DELETE", entries_, "192.0.2.3\n192.0.2.99\n", 200,
                 "text/plain")["report"]["removed_count"],
            1);
  EXPECT_EQ(good("GET", entries_)["entries"].size(), 1u);
  bad("DELETE", entries_, 400);
  bad("DELETE", entries_ + "?value=192.0.2.4", 400, R"(["192.0.2.4"])");
  bad("DELETE", entries_ + "?value=x", 400);
}

TEST_F(ApiAccounts, PolicyHasTheKeysOfItsKind) {
  const Json ip = good("POST", "/v1/accounts/acme/policies",
                       R"({"name":"edge","kind":"ip","profile":"bind","capacity":5000,
                           "targets":[{"categories":["scanner"],"severity_min":3}],
                           "lists":["bad"]})",
                       201)["policy"];
  EXPECT_EQ(ip["account"], "acme");
  EXPECT_EQ(ip["targets"][0]["severity_min"], 3);
  EXPECT_EQ(ip["profile"], "bind");
  EXPECT_FALSE(ip.contains("garden"));
  EXPECT_FALSE(ip["targets"][0].contains("action"));
  const Json dns = good("POST", "/v1/accounts/acme/policies",
                        R"({"name":"names","kind":"dns","garden":"walled.example",
                            "targets":[{"feeds":["one"],"action":"garden"}],
                            "list_action":"tcp-only"})",
                        201)["policy"];
  EXPECT_EQ(dns["targets"][0]["action"], "garden");
  EXPECT_EQ(dns["list_action"], "tcp-only");
  EXPECT_FALSE(dns.contains("capacity"));
  EXPECT_EQ(good("GET", "/v1/accounts/acme/policies")["policies"].size(), 2u);
  EXPECT_EQ(good("GET", "/v1/accounts/bolt/policies")["policies"], Json::array());
  bad("GET", "/v1/accounts/bolt/policies/edge", 404);
  bad("DELETE", "/v1/accounts/bolt/policies/edge", 404);
  EXPECT_EQ(good("PUT", "/v1/accounts/acme/policies/edge",
                 R"({"kind":"ip","lists":["bad"]})")["policy"]["number"],
            ip["number"]);
  EXPECT_EQ(good("GET", "/v1/accounts/acme/policies/edge")["policy"]["profile"], "default");
  good("DELETE", "/v1/accounts/acme/policies/edge");
}

TEST_F(ApiAccounts, PolicyFaultsAreNamed) {
  const auto fault = [&](const char* body) {
    return bad("POST", "/v1/accounts/acme/policies", 400, body)["message"].get<std::string>();
  };
  EXPECT_THAT(fault(R"({"name":"p"})"), HasSubstr("missing key \"kind\""));
  EXPECT_THAT(fault(R"({"name":"p","kind":"both"})"), HasSubstr(R"("ip" or "dns")"));
  EXPECT_THAT(fault(R"({"name":"p","kind":"ip","targets":{}})"), HasSubstr("array of objects"));
  EXPECT_THAT(fault(R"({"name":"p","kind":"ip","targets":[{},7]})"), HasSubstr("not of 7"));
  EXPECT_THAT(fault(R"({"name":"p","kind":"ip","targets":[{"severity_min":6}]})"),
              HasSubstr("\"targets\": target 1: \"severity_min\": must be an integer from 0 to 5"));
  EXPECT_THAT(fault(R"({"name":"p","kind":"ip","targets":[{"categories":"scanner"}]})"),
              HasSubstr("array of names"));
  EXPECT_THAT(fault(R"({"name":"p","kind":"dns","list_action":"block"})"), HasSubstr("nxdomain"));
}

TEST_F(ApiAccounts, ProfilesAreListedWithTheDefaultFirst) {
  const Json profiles = good("GET", "/v1/profiles")["profiles"];
  EXPECT_EQ(profiles[0]["name"], "default");
  EXPECT_EQ(profiles[0]["addresses4_per_name"], 4000);
  EXPECT_EQ(profiles[0]["addresses6_per_name"], 2300);
  EXPECT_GE(profiles.size(), 10u);
}

// A route that forgot to look at its Result would answer 200 here.
TEST_F(ApiAccounts, EveryRoutePassesTheErrorOfItsOperation) {
  const std::tuple<const char*, const char*, const char*> rows[] = {
      {"GET", "/v1/accounts", ""},
      {"POST", "/v1/accounts", R"({"name":"x"})"},
      {"GET", "/v1/accounts/acme", ""},
      {"PUT", "/v1/accounts/acme", "{}"},
      {"DELETE", "/v1/accounts/acme", ""},
      {"GET", "/v1/accounts/acme/lists", ""},
      {"POST", "/v1/accounts/acme/lists", R"({"name":"x"})"},
      {"GET", "/v1/accounts/acme/lists/bad", ""},
      {"DELETE", "/v1/accounts/acme/lists/bad", ""},
      {"GET", "/v1/accounts/acme/lists/bad/entries", ""},
      {"POST", "/v1/accounts/acme/lists/bad/entries", R"(["192.0.2.1"])"},
      {"DELETE", "/v1/accounts/acme/lists/bad/entries", R"(["192.0.2.1"])"},
      {"DELETE", "/v1/accounts/acme/lists/bad/entries?value=192.0.2.1", ""},
      {"GET", "/v1/accounts/acme/policies", ""},
      {"POST", "/v1/accounts/acme/policies", R"({"name":"p","kind":"ip"})"},
      {"GET", "/v1/accounts/acme/policies/p", ""},
      {"PUT", "/v1/accounts/acme/policies/p", R"({"kind":"ip"})"},
      {"DELETE", "/v1/accounts/acme/policies/p", ""},
  };
  for (const auto& [method, path, body] : rows) {
    operations_.fail_next(Error{ErrorCode::busy, "in the way"});
    EXPECT_EQ(bad(method, path, 503, body)["message"], "in the way") << method << " " << path;
  }
}

TEST_F(ApiAccounts, WrongMethodsSayWhichAreTaken) {
  EXPECT_EQ(call("POST", "/v1/accounts/acme").allow, "GET, PUT, DELETE");
  EXPECT_EQ(call("PUT", entries_).allow, "GET, POST, DELETE");
}

}  // namespace
}  // namespace merlon::api
