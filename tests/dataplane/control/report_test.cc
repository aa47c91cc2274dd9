// SPDX-License-Identifier: Apache-2.0
#include "dataplane/control/report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "tests/support/snapshot_fixture.h"

namespace merlon::control {
namespace {

using answer::Outcome;
using nlohmann::json;
using stats::IoCounter;

TEST(Report, StatsNameEveryCounterAndSumTheWorkers) {
  std::vector<stats::WorkerCounters> workers(3);
  for (size_t w = 0; w < workers.size(); ++w) {
    for (size_t i = 0; i < answer::kOutcomeCount; ++i) {
      workers[w].add(static_cast<Outcome>(i), i + 1);
    }
    for (size_t i = 0; i < stats::kIoCounterCount; ++i) {
      workers[w].add(static_cast<IoCounter>(i), 100 * (w + 1) + i);
    }
  }
  const json report = json::parse(stats_json(41, workers));
  EXPECT_EQ(report["schema_version"], 1);
  EXPECT_EQ(report["generation"], 41);
  ASSERT_EQ(report["workers"].size(), 3u);
  EXPECT_EQ(report["total"]["outcomes"].size(), answer::kOutcomeCount);
  EXPECT_EQ(report["total"]["io"].size(), stats::kIoCounterCount);
  for (size_t i = 0; i < answer::kOutcomeCount; ++i) {
    const std::string name(answer::to_string(static_cast<Outcome>(i)));
    EXPECT_EQ(report["total"]["outcomes"][name], 3 * (i + 1)) << name;
  }
  for (size_t i = 0; i < stats::kIoCounterCount; ++i) {
    const std::string name(stats::to_string(static_cast<IoCounter>(i)));
    EXPECT_EQ(report["total"]["io"][name], 600 + 3 * i) << name;
    EXPECT_EQ(report["workers"][1]["io"][name], 200 + i) << name;
  }
}

TEST(Report, IoCountersHaveTheNamesThatMonitoringKnows) {
  std::set<std::string> names;
  for (size_t i = 0; i < stats::kIoCounterCount; ++i) {
    names.emplace(stats::to_string(static_cast<IoCounter>(i)));
  }
  const std::set<std::string> expected{"rx_packets",
                                       "rx_bytes",
                                       "tx_packets",
                                       "tx_bytes",
                                       "bursts",
                                       "drop_no_snapshot",
                                       "drop_source_port_zero",
                                       "drop_receive_truncated",
                                       "drop_receive_malformed",
                                       "drop_send_failed",
                                       "rate_limit_would_limit",
                                       "receive_errors",
                                       "buffers_exhausted",
                                       "drop_not_ours",
                                       "drop_frame_truncated",
                                       "drop_frame_ip_header",
                                       "drop_frame_ip_checksum",
                                       "drop_frame_ip_options",
                                       "drop_frame_udp_length",
                                       "drop_frame_udp_checksum",
                                       "drop_frame_source_address",
                                       "to_kernel",
                                       "drop_to_kernel",
                                       "from_kernel",
                                       "drop_from_kernel",
                                       "late_replies",
                                       "slow_path_full",
                                       "slow_path_refused",
                                       "slow_path_replies",
                                       "slow_path_expired",
                                       "slow_path_lost",
                                       "slow_path_unmatched",
                                       "drop_slow_path_send"};
  EXPECT_EQ(names, expected);
  EXPECT_EQ(stats::to_string(IoCounter::count_), "unknown");
}

TEST(Report, StatusSaysWhatIsServed) {
  const tests::Fixture fixture = tests::make_fixture({.basic_count = 4, .basic1_count = 2});
  const StatusFacts facts{.version = "1.2.3",
                          .engine = "mmsg",
                          .engine_note = "io_uring refused: \xff\xfe not UTF-8 \"quoted\"",
                          .worker_count = 2,
                          .listen = {"127.0.0.1:53", "[::1]:53"},
                          .started = 1790000000,
                          .loaded = 1790000001,
                          .last_load_error = "line\nfeed",
                          .served = fixture.snapshot.get()};
  const std::string text = status_json(facts);
  EXPECT_EQ(text.find('\n'), std::string::npos) << "one line";
  const json report = json::parse(text);
  EXPECT_EQ(report["engine"], "mmsg");
  EXPECT_EQ(report["listen"].size(), 2u);
  EXPECT_EQ(report["generation"], 1);
  EXPECT_EQ(report["zone_count"], 4);
  EXPECT_EQ(report["name_count"], fixture.snapshot->node_count());
  EXPECT_EQ(report["last_load_error"], "line\nfeed");
}

TEST(Report, StatusBeforeTheFirstLoadIsComplete) {
  const json report = json::parse(status_json(StatusFacts{}));
  for (const char* key : {"schema_version", "version", "engine", "engine_note", "worker_count",
                          "listen", "started_unix_s", "generation", "loaded_unix_s",
                          "last_load_error", "zone_count", "name_count", "snapshot_size_bytes",
                          "address_count", "resident_bytes", "resident_bytes_per_address"}) {
    EXPECT_TRUE(report.contains(key)) << key;
  }
  EXPECT_EQ(report["generation"], 0);
}

TEST(Report, ErrorsCarryCodeAndMessage) {
  const json report = json::parse(error_json(Error{ErrorCode::corruption, "section NAMES"}));
  EXPECT_EQ(report["error"]["code"], "corruption");
  EXPECT_EQ(report["error"]["message"], "section NAMES");
  EXPECT_EQ(json::parse(loaded_json(7))["generation"], 7);
}

}  // namespace
}  // namespace merlon::control
