// SPDX-License-Identifier: Apache-2.0
// Counting by subject through the pipeline, over loads of real snapshots.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "dataplane/control/observe.h"
#include "dataplane/io/memory_io.h"
#include "dataplane/pipeline/worker.h"
#include "tests/dataplane/live_support.h"

namespace merlon::pipeline {
namespace {

using nlohmann::json;
using tests::make_query;
using tests::source;

class Observed : public testing::Test {
 protected:
  void publish(const tests::FixtureOptions& options, uint64_t generation) {
    const tests::Fixture fixture = tests::make_fixture(options);
    ASSERT_TRUE(fixture.write_directory(folder_.path(), generation, tests::fixed_signing_key())
                    .has_value());
    const auto loaded = live_.load_current(snapshot::Directory(folder_.path()),
                                           tests::fixed_signing_key().public_key);
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
    EXPECT_EQ(*loaded, generation);
  }
  void ask(std::string_view from, const tests::QuerySpec& spec, size_t count = 1) {
    for (size_t i = 0; i < count; ++i) {
      engine_.queue(source(from), make_query(spec));
    }
    while (run_burst(engine_, worker_, packets_, *state_) != 0) {
    }
  }
  json handle(std::string_view command) { return json::parse(*observer_.handle(command)); }
  json subject(uint32_t account, uint32_t device) {
    const json report = handle("subjects");
    for (const json& row : report["subjects"]) {
      if (row["account"] == account && row["device"] == device) {
        return row;
      }
    }
    return json();
  }

  tests::TemporaryDirectory folder_;
  std::vector<stats::WorkerCounters> counters_{1};
  stats::SubjectRegistry registry_{{&counters_[0].subjects}};
  swap::LiveSlot live_{1, &registry_};
  control::Observer observer_{counters_, registry_};
  Worker worker_{.index = 0, .live = live_, .counters = counters_[0], .limits = {}};
  io::MemoryIo engine_;
  std::array<io::Packet, io::kBurstMax> packets_;
  std::unique_ptr<BurstState> state_ = std::make_unique<BurstState>();
};

TEST_F(Observed, EachSubjectHasItsOwnNumbers) {
  publish({}, 1);
  const int64_t before = std::time(nullptr) - 1;
  ask("192.0.2.10", {.name = "small.merlon.internal."}, 3);
  ask("192.0.2.10", {.name = "nothing.merlon.internal."}, 2);
  ask("192.0.2.10", {.name = "small.merlon.internal.", .type = 28});
  ask("192.0.2.10", {.name = "basic.merlon.internal."}, 4);
  ask("192.0.2.10", {.name = "example.com."});
  ask("192.0.2.10", {.name = "small.merlon.internal.", .type = 252});
  ask("203.0.113.2", {.name = "small.merlon.internal."}, 100);
  ask("203.0.113.4", {.name = "small.merlon.internal."}, 7);
  ask("203.0.113.99", {.name = "small.merlon.internal."}, 5);
  const json row = subject(7, 2);
  EXPECT_EQ(row["queries"], 12);
  EXPECT_EQ(row["answered"], 3);
  EXPECT_EQ(row["nxdomain"], 2);
  EXPECT_EQ(row["nodata"], 1);
  EXPECT_EQ(row["truncated"], 4);
  EXPECT_EQ(row["refused"], 1);
  EXPECT_EQ(row["other"], 1);
  EXPECT_EQ(row["verb"], "pass");
  EXPECT_GE(row["last_seen_unix_s"], before);
  EXPECT_EQ(subject(12, 5)["refused_by_verb"], 100);
  EXPECT_EQ(subject(14, 7)["dropped"], 7);
  EXPECT_EQ(subject(9, 3)["queries"], 0);
  EXPECT_EQ(subject(9, 3)["last_seen_unix_s"], 0);
  const json all = handle("subjects 1");
  EXPECT_EQ(all["shared"]["refused"], 5) << "unregistered";
  EXPECT_EQ(all["subjects"].size(), 1u);
  EXPECT_EQ(all["subjects"][0]["device"], 5) << "most queries first";
  const json account = handle("subjects 100 7");
  EXPECT_GT(account["subjects"].size(), 3u);
  for (const json& one : account["subjects"]) {
    EXPECT_EQ(one["account"], 7);
  }
}

TEST_F(Observed, NumbersSurviveGenerationsAndThoseOfTheGoneAreKept) {
  publish({.extra_sources = 10}, 1);
  ask("192.0.2.10", {}, 3);
  ask("100.64.0.1", {}, 5);
  EXPECT_EQ(subject(20, 100)["queries"], 5);
  publish({.extra_sources = 10, .salt = 1}, 2);  // the same sources
  ask("192.0.2.10", {}, 3);
  EXPECT_EQ(subject(7, 2)["answered"], 6);
  publish({.extra_sources = 10, .access_salt = 3}, 3);  // another device has those sources
  ask("192.0.2.10", {}, 1);
  ask("100.64.0.1", {}, 2);
  EXPECT_EQ(subject(7, 2)["answered"], 7);
  EXPECT_TRUE(subject(20, 100).is_null());
  EXPECT_EQ(subject(20, 103)["queries"], 2);
  EXPECT_EQ(handle("subjects")["gone"]["queries"], 5);
}

TEST_F(Observed, UnknownSourcesAreNamedWithTheirWeight) {
  publish({}, 1);
  ask("203.0.113.99", {}, 3);
  ask("2001:db9::77", {}, 1);
  ask("192.0.2.10", {}, 9);
  json top = handle("top")["unknown_sources"];
  ASSERT_EQ(top.size(), 2u);
  EXPECT_EQ(top[0]["address"], "203.0.113.99");
  EXPECT_EQ(top[0]["count"], 3);
  EXPECT_EQ(top[1]["address"], "2001:db9::77");
  // Full bursts of one source are sampled and still weigh what they are.
  ask("2001:db9::77", {}, 64 * 100);
  top = handle("top 1")["unknown_sources"];
  ASSERT_EQ(top.size(), 1u);
  EXPECT_EQ(top[0]["address"], "2001:db9::77");
  EXPECT_NEAR(top[0]["count"].get<double>(), 6401, 640);
}

TEST_F(Observed, AProfileCoversTheStagesThatPacketsCameThrough) {
  publish({}, 1);
  EXPECT_TRUE(handle("profile")["stages"].empty());
  EXPECT_EQ(handle("profile")["running"], false);
  const json started = handle("profile 600");
  EXPECT_EQ(started["running"], true);
  EXPECT_GT(started["left_ms"], 590'000);
  ask("192.0.2.10", {}, 640);
  const json profile = handle("profile");
  std::map<std::string, json> stages;
  for (const json& stage : profile["stages"]) {
    stages[stage["stage"]] = stage;
  }
  for (const char* name : {"receive", "prefetch", "parse", "identify", "admit", "look_up", "decide",
                           "compose", "observe", "send"}) {
    ASSERT_TRUE(stages.contains(name)) << name;
    const json& stage = stages[name];
    EXPECT_EQ(stage["packets"], 640) << name;
    EXPECT_GT(stage["mean_ns"], 0) << name;
    EXPECT_LE(stage["p50_ns"], stage["p90_ns"]) << name;
    EXPECT_LE(stage["p90_ns"], stage["p99_ns"]) << name;
    EXPECT_LE(stage["p99_ns"], stage["max_ns"]) << name;
  }
  EXPECT_FALSE(stages.contains("sample")) << "there is no sampler";
  EXPECT_EQ(profile["workers"].size(), 1u);
}

TEST_F(Observed, CommandsAreReadStrictly) {
  for (const char* bad :
       {"top 0", "top x", "top 5 5", "top 1001", "top  5", "subjects 0", "subjects 10001",
        "subjects 5 4294967296", "subjects 1 2 3", "subjects -1", "profile 0", "profile 3601",
        "profile 1 1", "profile now"}) {
    EXPECT_EQ(handle(bad)["error"]["code"], "invalid_argument") << bad;
  }
  for (const char* other : {"", "load", "stats", "topper", "profiles"}) {
    EXPECT_FALSE(observer_.handle(other).has_value()) << other;
  }
  EXPECT_EQ(json::parse(observer_.subjects_section())["subject_count"], 0);
}

}  // namespace
}  // namespace merlon::pipeline
