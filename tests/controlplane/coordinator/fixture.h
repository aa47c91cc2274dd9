// SPDX-License-Identifier: Apache-2.0
// A coordinator over a real store, a real publisher and real feeds: files, and a web server on
// loopback.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "controlplane/coordinator/coordinator.h"
#include "tests/support/snapshot_fixture.h"

namespace merlon::coordinator {

using namespace std::chrono_literals;

#define EXPECT_GOOD(expression)                                          \
  do {                                                                   \
    const auto& good_result = (expression);                              \
    EXPECT_TRUE(good_result.has_value()) << good_result.error().message; \
  } while (false)
#define ASSERT_GOOD(expression)                                          \
  do {                                                                   \
    const auto& good_result = (expression);                              \
    ASSERT_TRUE(good_result.has_value()) << good_result.error().message; \
  } while (false)
#define EXPECT_FAILS(expression, wanted_code, matcher)                           \
  do {                                                                           \
    const auto failed = (expression);                                            \
    ASSERT_FALSE(failed.has_value());                                            \
    EXPECT_EQ(to_string(failed.error().code), to_string(ErrorCode::wanted_code)) \
        << failed.error().message;                                               \
    EXPECT_THAT(failed.error().message, matcher);                                \
  } while (false)

// Waits for something that another thread does.
template <class Condition>
bool eventually(Condition&& condition, std::chrono::milliseconds limit = 15s) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (std::chrono::steady_clock::now() < deadline) {
    if (condition()) {
      return true;
    }
    std::this_thread::sleep_for(5ms);
  }
  return condition();
}

inline store::Device device(const std::string& name, const std::string& source) {
  store::Device made;
  made.name = name;
  made.account = "acme";
  made.sources.push_back(address::parse_prefix(source).value());
  return made;
}

class CoordinatorTest : public testing::Test {
 protected:
  CoordinatorTest() {
    ::setenv("NO_PROXY", "127.0.0.1", 1);
    spdlog::set_level(spdlog::level::off);
    std::filesystem::create_directories(directory_.path() + "/catalogue");
    options_.compile.suffix = name::Name::from_text("merlon.internal.").value();
    options_.catalogue_path = directory_.path() + "/catalogue";
    options_.feed_hosts = fetch::Hosts::any;
    options_.feed_directory = directory_.path() + "/feeds";
    options_.build_quiet_ms = 20;
    options_.build_delay_max_ms = 400;
    open();
  }
  ~CoordinatorTest() override { close(); }

  void open() {
    store_ = store::Store::open(directory_.path() + "/store").value();
    publisher_ = std::make_unique<publish::Publisher>(
        publish::Publisher::open(snapshots_path(), tests::fixed_signing_key(),
                                 {.generations_kept = generations_kept_})
            .value());
    slot_ = std::make_unique<dns::SnapshotSlot>();
    coordinator_ = std::make_unique<Coordinator>(*store_, *publisher_, *slot_, options_);
  }
  void close() {
    coordinator_.reset();
    slot_.reset();
    publisher_.reset();
    store_.reset();
  }
  // What a restart of the process does.
  void restart() {
    close();
    open();
    EXPECT_GOOD(coordinator_->start());
  }

  std::string snapshots_path() const { return directory_.path() + "/snapshots"; }
  std::string feed_path(const std::string& id) const { return directory_.path() + "/" + id; }
  void write_feed(const std::string& id, const std::string& text) {
    std::ofstream(feed_path(id) + ".new") << text;
    std::filesystem::rename(feed_path(id) + ".new", feed_path(id));
  }
  // Never due by itself once it was asked.
  store::FeedDefinition definition(const std::string& id, const std::string& url) const {
    store::FeedDefinition made;
    made.id = id;
    made.url = url;
    made.category = "scanner";
    made.interval_s = 1'000'000;
    made.timeout_s = 20;
    return made;
  }
  void add_file_feed(const std::string& id, const std::string& text) {
    write_feed(id, text);
    EXPECT_GOOD(coordinator_->add_feed(definition(id, "file://" + feed_path(id))));
  }
  // Writes, fetches and builds, without the threads.
  uint64_t publish_feed(const std::string& id, const std::string& text) {
    write_feed(id, text);
    if (!store_->feed(id)) {
      EXPECT_GOOD(coordinator_->add_feed(definition(id, "file://" + feed_path(id))));
    }
    EXPECT_GOOD(coordinator_->refresh_feed(id));
    const auto built = coordinator_->build_snapshot();
    EXPECT_GOOD(built);
    return built ? built->generation : 0;
  }
  uint64_t served() const { return slot_->get() == nullptr ? 0 : slot_->get()->generation(); }
  uint64_t current() const { return publisher_->directory().current().value_or(0); }
  uint32_t serial() const { return slot_->get()->zones().front()->view().info().serial; }
  std::vector<std::string> carriers(const std::string& value) {
    const auto report = coordinator_->check(value);
    EXPECT_GOOD(report);
    return report ? report->lists : std::vector<std::string>{};
  }

  tests::TemporaryDirectory directory_;
  Options options_;
  size_t generations_kept_ = 32;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<publish::Publisher> publisher_;
  std::unique_ptr<dns::SnapshotSlot> slot_;
  std::unique_ptr<Coordinator> coordinator_;
};

// A web server with a feed that a test changes, and one that never answers.
class WebServer {
 public:
  WebServer() {
    server_.new_task_queue = [] { return new httplib::ThreadPool(16); };
    server_.Get("/feed", [this](const httplib::Request& request, httplib::Response& response) {
      const std::lock_guard lock(mutex);
      ++requests;
      last_validator = request.get_header_value("If-None-Match");
      if (status != 200) {
        response.status = status;
      } else if (!etag.empty() && last_validator == etag) {
        response.status = 304;
      } else {
        if (!etag.empty()) {
          response.set_header("ETag", etag);
        }
        response.set_content(body, "text/plain");
      }
    });
    server_.Get("/hang", [this](const httplib::Request&, httplib::Response& response) {
      ++hanging;
      while (!let_go) {
        std::this_thread::sleep_for(5ms);
      }
      response.set_content("45.9.9.9\n", "text/plain");
    });
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) {
      std::this_thread::sleep_for(1ms);
    }
  }
  ~WebServer() {
    let_go = true;
    server_.stop();
    thread_.join();
  }
  std::string url(const std::string& path) const {
    return "http://127.0.0.1:" + std::to_string(port_) + path;
  }

  std::mutex mutex;  // the members up to the next ones
  std::string body = "45.1.2.3\n";
  std::string etag;
  int status = 200;
  int requests = 0;
  std::string last_validator;

  std::atomic<bool> let_go = false;
  std::atomic<int> hanging = 0;

 private:
  httplib::Server server_;
  int port_ = 0;
  std::thread thread_;
};

}  // namespace merlon::coordinator
