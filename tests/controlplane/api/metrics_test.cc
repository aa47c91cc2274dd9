// SPDX-License-Identifier: Apache-2.0
// GET /metrics and the subjects by name, over a data plane whose answers are written here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "controlplane/api/exposition.h"
#include "controlplane/api/observe.h"
#include "controlplane/api/routes.h"
#include "tests/support/exposition_check.h"
#include "tests/support/fake_operations.h"

namespace merlon::api {
namespace {

using ::testing::HasSubstr;
using tests::Exposed;
using tests::read_exposition;

// ---- the checker itself

TEST(ExpositionCheck, RefusesWhatIsNoExposition) {
  const std::string good = "# HELP a_total text\n# TYPE a_total counter\na_total{x=\"1\"} 5\n";
  EXPECT_EQ(read_exposition(good).fault, "");
  for (const char* bad : {
           "",
           "a 1\n",
           "# HELP a text\n# TYPE a gauge\na 1",
           "# HELP a text\na 1\n",
           "# TYPE a gauge\n# HELP a text\na 1\n",
           "# HELP a text\n# TYPE a counter\na 1\n",
           "# HELP a text\n# TYPE a gauge\nb 1\n",
           "# HELP a text\n# TYPE a gauge\na 1\na 2\n",
           "# HELP a text\n# TYPE a gauge\na{x=\"1\",x=\"2\"} 1\n",
           "# HELP a text\n# TYPE a gauge\na{x=\"\\q\"} 1\n",
           "# HELP a text\n# TYPE a gauge\na{x=\"1\"}1\n",
           "# HELP a text\n# TYPE a gauge\na{x=1} 1\n",
           "# HELP a text\n# TYPE a gauge\na{1x=\"1\"} 1\n",
           "# HELP a text\n# TYPE a gauge\na one\n",
           "# HELP a text\n# TYPE a gauge\na  1\n",
           "# HELP a text\n# TYPE a gauge\na 1\n\n",
           "# HELP a text\n# TYPE a gauge\na{quantile=\"0.5\"} 1\n",
           "# HELP a text\n# TYPE a summary\na 1\n",
           "# HELP a_total t\n# TYPE a_total counter\na_total -1\n",
           "# HELP a t\n# TYPE a gauge\na 1\n# HELP b t\n# TYPE b gauge\nb 1\na{x=\"1\"} 2\n",
       }) {
    EXPECT_NE(read_exposition(bad).fault, "") << bad;
  }
}

TEST(Exposition, EscapesWhatAValueHolds) {
  Exposition out;
  out.family("a", MetricType::gauge, "back\\slash and\nline \"quoted\"");
  out.sample({{"x", "q\"b\\n\nl"}, {"y", "\xff\xfe"}, {"z", "ü"}}, 1.5);
  out.sample({{"x", "inf"}}, INFINITY);
  out.sample({{"x", "nan"}}, NAN);
  out.sample({{"x", "large"}}, UINT64_MAX);
  const Exposed read = read_exposition(out.text());
  EXPECT_EQ(read.fault, "");
  EXPECT_EQ(read.samples[0].labels.at("x"), "q\"b\\n\nl");
  EXPECT_EQ(read.samples[0].labels.at("y"), "\xef\xbf\xbd\xef\xbf\xbd");
  EXPECT_EQ(read.samples[0].labels.at("z"), "ü");
  EXPECT_EQ(read.samples[0].value, 1.5);
  EXPECT_TRUE(std::isnan(read.samples[2].value));
  EXPECT_THAT(out.text(), HasSubstr("# HELP a back\\\\slash and\\nline \"quoted\"\n"));
  EXPECT_THAT(out.text(), HasSubstr("} 18446744073709551615\n"));
}

// ---- metrics

constexpr const char* kStatus =
    R"({"schema_version":1,"version":"1.2","engine":"io_uring","worker_count":2,
        "started_unix_s":1790000000,"generation":1,"loaded_unix_s":1790000100,
        "last_load_error":"","zone_count":3,"name_count":44,"snapshot_size_bytes":5555})";
constexpr const char* kStats =
    R"({"schema_version":1,"generation":1,
        "total":{"outcomes":{"answered":12},"io":{"rx_packets":30}},
        "workers":[{"outcomes":{"answered":5},"io":{"rx_packets":10}},
                   {"outcomes":{"answered":7},"io":{"rx_packets":20}}],
        "ports":[{"port":"eth0","driver":"net_af_xdp","counters":{"imissed":4}}],
        "subjects":{"subject_count":2,"without_slot":0},
        "dnstap":{"sampled":9,"ring_full":1,"connected":true,"problem":""}})";
std::string subjects_answer(uint32_t account, uint32_t device) {
  return fmt::format(
      R"({{"schema_version":1,"subject_count":2,"without_slot":0,
          "subjects":[{{"account":{},"device":{},"verb":"pass","queries":110,
                        "last_seen_unix_s":1790000050,"answered":80,"nodata":1,"nxdomain":2,
                        "truncated":20,"dropped":3,"refused_by_verb":0,"refused":4,"other":0}},
                      {{"account":77,"device":88,"verb":"refuse","queries":6,
                        "last_seen_unix_s":0,"answered":0,"nodata":0,"nxdomain":0,"truncated":0,
                        "dropped":0,"refused_by_verb":6,"refused":0,"other":0}}],
          "shared":{{"queries":5,"last_seen_unix_s":1790000001}},
          "gone":{{"queries":0,"last_seen_unix_s":0}}}})",
      account, device);
}
constexpr const char* kProfile =
    R"({"schema_version":1,"running":false,"seconds":5,"started_unix_s":1790000009,
        "stages":[{"stage":"parse","packets":640,"mean_ns":20.5,"p50_ns":20,"p90_ns":25.5,
                   "p99_ns":40,"max_ns":99,"sum_ns":13120}],"workers":[]})";

class Metrics : public ::testing::Test {
 protected:
  void SetUp() override {
    store::Device device{.name = "fw-1", .account = "acme", .sources = {}};
    device.sources.push_back(*address::parse_prefix("192.0.2.0/24"));
    const auto added = operations_.add_device(device);
    ASSERT_TRUE(added.has_value());
    account_ = added->account_number;
    device_ = added->number;
    ASSERT_TRUE(operations_.build_snapshot().has_value());
    operations_.set_dataplane_answer("status", kStatus);
    operations_.set_dataplane_answer("stats", kStats);
    operations_.set_dataplane_answer("subjects 100", subjects_answer(account_, device_));
    operations_.set_dataplane_answer("subjects 1000", subjects_answer(account_, device_));
    operations_.set_dataplane_answer("profile", kProfile);
    Activity activity;
    activity.builds = 4;
    activity.refresh_failures = 2;
    activity.tcp_connections_open = 3;
    activity.tcp_counters = {{"queries", 17}};
    activity.tcp_closes = {{"idle", 1}};
    activity.tcp_outcomes = {{"answered", 16}};
    activity.tcp_subjects = {{account_, device_, 12}, {account_, device_, 1}, {9, 9, 9}};
    operations_.set_activity(activity);
  }
  Exposed scrape() {
    const Reply reply = answer(operations_, {.method = "GET", .target = "/metrics", .body = ""});
    EXPECT_EQ(reply.http_status, 200);
    EXPECT_EQ(reply.content_type, "text/plain; version=0.0.4; charset=utf-8");
    Exposed read = read_exposition(reply.text);
    EXPECT_EQ(read.fault, "") << reply.text;
    return read;
  }

  tests::FakeOperations operations_;
  uint32_t account_ = 0;
  uint32_t device_ = 0;
};

TEST_F(Metrics, HaveTheNamesThatDashboardsKnow) {
  const Exposed read = scrape();
  EXPECT_EQ(read.value("merlon_dataplane_up", {}), 1);
  EXPECT_EQ(
      read.value("merlon_dataplane_outcomes_total", {{"worker", "1"}, {"outcome", "answered"}}), 7);
  EXPECT_EQ(read.value("merlon_dataplane_io_total", {{"worker", "0"}, {"counter", "rx_packets"}}),
            10);
  EXPECT_EQ(read.value("merlon_dataplane_snapshot_generation", {}), 1);
  EXPECT_EQ(read.value("merlon_dataplane_snapshot_loaded_timestamp_seconds", {}), 1790000100);
  EXPECT_GT(read.value("merlon_dataplane_snapshot_age_seconds", {}), 0);
  EXPECT_EQ(read.value("merlon_dataplane_last_load_failed", {}), 0);
  EXPECT_EQ(read.value("merlon_dataplane_info", {{"version", "1.2"}, {"engine", "io_uring"}}), 1);
  EXPECT_EQ(read.value("merlon_dataplane_dnstap_total", {{"counter", "sampled"}}), 9);
  EXPECT_EQ(read.value("merlon_dataplane_dnstap_connected", {}), 1);
  EXPECT_EQ(read.value("merlon_dataplane_port_total", {{"port", "eth0"}, {"counter", "imissed"}}),
            4);
  EXPECT_EQ(
      read.value("merlon_dataplane_stage_nanoseconds", {{"stage", "parse"}, {"quantile", "0.9"}}),
      25.5);
  EXPECT_EQ(read.value("merlon_dataplane_stage_nanoseconds_count", {{"stage", "parse"}}), 640);
  EXPECT_EQ(read.value("merlon_dataplane_stage_nanoseconds_sum", {{"stage", "parse"}}), 13120);
  EXPECT_EQ(read.value("merlon_controlplane_builds_total", {}), 4);
  EXPECT_EQ(read.value("merlon_controlplane_refresh_failures_total", {}), 2);
  EXPECT_EQ(read.value("merlon_controlplane_devices", {}), 1);
  EXPECT_EQ(read.value("merlon_tcp_connections_open", {}), 3);
  EXPECT_EQ(read.value("merlon_tcp_total", {{"counter", "queries"}}), 17);
  EXPECT_EQ(read.value("merlon_tcp_closes_total", {{"reason", "idle"}}), 1);
  EXPECT_EQ(read.value("merlon_tcp_outcomes_total", {{"outcome", "answered"}}), 16);
}

TEST_F(Metrics, SubjectsAreNamed) {
  const Exposed read = scrape();
  EXPECT_EQ(read.value("merlon_dataplane_subjects", {}), 2);
  EXPECT_EQ(read.value("merlon_dataplane_subject_outcomes_total",
                       {{"account", "acme"}, {"device", "fw-1"}, {"outcome", "truncated"}}),
            20);
  EXPECT_EQ(
      read.value("merlon_subject_tcp_queries_total", {{"account", "acme"}, {"device", "fw-1"}}),
      13);
  EXPECT_EQ(read.value("merlon_dataplane_subject_last_seen_timestamp_seconds",
                       {{"account", "acme"}, {"device", "fw-1"}}),
            1790000050);
  // Of a device that was removed a moment ago only the numbers are known.
  EXPECT_EQ(read.value("merlon_dataplane_subject_outcomes_total",
                       {{"account", "#77"}, {"device", "#88"}, {"outcome", "refused_by_verb"}}),
            6);
}

TEST_F(Metrics, ADataPlaneThatIsAwayLeavesTheRest) {
  operations_.set_dataplane_away("no process listens");
  const Exposed read = scrape();
  EXPECT_EQ(read.value("merlon_dataplane_up", {}), 0);
  EXPECT_EQ(read.value("merlon_controlplane_builds_total", {}), 4);
  EXPECT_FALSE(read.types.contains("merlon_dataplane_outcomes_total"));
}

TEST_F(Metrics, AnswersOfAnotherShapeAreNoMetrics) {
  operations_.set_dataplane_answer("profile", R"({"error":{"code":"busy","message":"later"}})");
  operations_.set_dataplane_answer("subjects 100", "[]");
  Exposed read = scrape();
  EXPECT_FALSE(read.types.contains("merlon_dataplane_subjects"));
  operations_.set_dataplane_answer("subjects 100",
                                   R"({"error":{"code":"busy","message":"later"}})");
  read = scrape();
  EXPECT_FALSE(read.types.contains("merlon_dataplane_stage_nanoseconds"));
  EXPECT_FALSE(read.types.contains("merlon_dataplane_subjects"));
  EXPECT_EQ(read.value("merlon_dataplane_up", {}), 1);
}

TEST_F(Metrics, FeedsAreThere) {
  store::FeedDefinition feed;
  feed.id = "one";
  feed.url = "file:///nowhere";
  ASSERT_TRUE(operations_.add_feed(feed).has_value());
  const Exposed read = scrape();
  EXPECT_EQ(read.value("merlon_feed_healthy", {{"feed", "one"}}), 0);
  EXPECT_EQ(read.value("merlon_feed_entries", {{"feed", "one"}, {"kind", "domain"}}), 0);
  EXPECT_EQ(read.value("merlon_controlplane_feeds", {}), 1);
}

TEST_F(Metrics, AreOnlyRead) {
  EXPECT_EQ(answer(operations_, {.method = "POST", .target = "/metrics", .body = ""}).http_status,
            405);
  EXPECT_EQ(
      answer(operations_, {.method = "GET", .target = "/metrics?x=1", .body = ""}).http_status,
      400);
}

// ---- subjects and the other looks

Json get(tests::FakeOperations& operations, const std::string& target, int expected = 200) {
  const Reply reply = answer(operations, {.method = "GET", .target = target, .body = ""});
  EXPECT_EQ(reply.http_status, expected) << reply.body.dump();
  return reply.body;
}

TEST_F(Metrics, SubjectsSayWhoNeverCameBack) {
  const Json said = get(operations_, "/v1/dataplane/subjects")["dataplane"];
  const Json& row = said["subjects"][0];
  EXPECT_EQ(row["account"], "acme");
  EXPECT_EQ(row["device"], "fw-1");
  EXPECT_EQ(row["account_number"], account_);
  EXPECT_EQ(row["truncated"], 20);
  EXPECT_EQ(row["tcp_queries"], 13);
  EXPECT_EQ(row["never_came_back"], 7);
  EXPECT_EQ(row["last_seen"], "2026-09-21T14:14:10Z");
  EXPECT_EQ(said["subjects"][1]["never_came_back"], 0);
  EXPECT_TRUE(said["subjects"][1]["last_seen"].is_null());
}

TEST_F(Metrics, SubjectsOfAnAccountAreAskedForByItsNumber) {
  operations_.set_dataplane_answer(fmt::format("subjects 5 {}", account_),
                                   subjects_answer(account_, device_));
  EXPECT_EQ(get(operations_, "/v1/dataplane/subjects?limit=5&account=acme")["dataplane"]["subjects"]
                .size(),
            2u);
  EXPECT_EQ(get(operations_, "/v1/dataplane/subjects?account=nobody", 404)["error"]["code"],
            "not_found");
  for (const char* bad :
       {"limit=0", "limit=x", "limit=10001", "limit=", "limit=1&limit=2", "acount=acme"}) {
    EXPECT_EQ(get(operations_, std::string("/v1/dataplane/subjects?") + bad, 400)["error"]["code"],
              "invalid_argument")
        << bad;
  }
}

TEST_F(Metrics, TopAndProfileReachTheDataPlane) {
  operations_.set_dataplane_answer("top 20", R"({"unknown_sources":[]})");
  operations_.set_dataplane_answer("top 3", R"({"unknown_sources":[1,2,3]})");
  EXPECT_EQ(get(operations_, "/v1/dataplane/top")["dataplane"]["unknown_sources"].size(), 0u);
  EXPECT_EQ(get(operations_, "/v1/dataplane/top?limit=3")["dataplane"]["unknown_sources"].size(),
            3u);
  EXPECT_EQ(get(operations_, "/v1/dataplane/profile")["dataplane"]["seconds"], 5);
  operations_.set_dataplane_answer("profile 7", R"({"running":true})");
  const auto post = [&](std::string_view body) {
    return answer(operations_, {.method = "POST", .target = "/v1/dataplane/profile", .body = body});
  };
  EXPECT_EQ(post(R"({"seconds":7})").body["dataplane"]["running"], true);
  for (const char* bad :
       {"", "{}", R"({"seconds":"7"})", R"({"seconds":-7})", R"({"seconds":7,"more":1})", "7"}) {
    EXPECT_EQ(post(bad).http_status, 400) << bad;
  }
  operations_.set_dataplane_answer(
      "profile 9999", R"({"error":{"code":"invalid_argument","message":"at most 3600"}})");
  EXPECT_EQ(post(R"({"seconds":9999})").http_status, 400);
}

}  // namespace
}  // namespace merlon::api
