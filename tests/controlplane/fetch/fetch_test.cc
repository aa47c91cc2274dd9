// SPDX-License-Identifier: Apache-2.0
// Against a small HTTP server on loopback that the test starts itself.
#include "controlplane/fetch/fetch.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <sys/stat.h>

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>

#include "zones/base/bytes.h"

namespace merlon::fetch {
namespace {

using Outcome = FetchResult::Outcome;
constexpr std::string_view kBody = "45.1.2.3\n45.1.2.4\n";
constexpr std::string_view kDate = "Fri, 02 Jan 2026 03:04:05 GMT";

// The fetch failed and its message holds the text.
testing::AssertionResult says(const Result<FetchResult>& result, std::string_view text) {
  if (result.has_value()) {
    return testing::AssertionFailure() << "succeeded";
  }
  return result.error().message.find(text) != std::string::npos
             ? testing::AssertionSuccess()
             : testing::AssertionFailure() << result.error().message;
}

#define EXPECT_SAYS(result, text) EXPECT_TRUE(says(result, text))

class Fetch : public testing::Test {
 protected:
  void SetUp() override {
    // A proxy of the surroundings must not stand between the test and its server.
    ::setenv("NO_PROXY", "127.0.0.1", 1);
    add_content();
    add_conditional();
    add_failures();
    // Runs before the answer leaves, so what it notes is there when fetch() returns.
    server_.set_post_routing_handler([this](const auto& request, const auto& response) {
      const std::lock_guard lock(mutex_);
      agent_ = request.get_header_value("User-Agent");
      encoding_ = response.get_header_value("Content-Encoding");
      ++requests_;
    });
    port_ = server_.bind_to_any_port("127.0.0.1");
    ASSERT_GT(port_, 0);
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

  void TearDown() override {
    {
      const std::lock_guard lock(mutex_);
      released_ = true;
    }
    release_.notify_all();
    server_.stop();
    thread_.join();
  }

  void add_content() {
    server_.Get("/feed", [](const auto&, httplib::Response& response) {
      response.set_header("ETag", "\"v1\"");
      response.set_header("Last-Modified", std::string(kDate));
      response.set_content(std::string(kBody), "text/plain");
    });
    server_.Get("/large", [](const auto&, httplib::Response& response) {
      response.set_content(std::string(2 << 20, 'a'), "application/octet-stream");
    });
    server_.Get("/large-text", [](const auto&, httplib::Response& response) {
      response.set_content(std::string(2 << 20, 'a'), "text/plain");
    });
    server_.Get("/large-chunked", [](const auto&, httplib::Response& response) {
      response.set_chunked_content_provider("application/octet-stream",
                                            [](size_t offset, httplib::DataSink& sink) {
                                              const std::string part(64 << 10, 'a');
                                              if (offset < (2 << 20)) {
                                                return sink.write(part.data(), part.size());
                                              }
                                              sink.done();
                                              return true;
                                            });
    });
  }

  void add_conditional() {
    server_.Get("/by-etag", [](const httplib::Request& request, httplib::Response& response) {
      response.set_header("ETag", "\"v2\"");
      if (request.get_header_value("If-None-Match") == "\"v2\"") {
        response.status = 304;
        return;
      }
      response.set_content(std::string(kBody), "text/plain");
    });
    server_.Get("/by-date", [](const httplib::Request& request, httplib::Response& response) {
      response.set_header("Last-Modified", std::string(kDate));
      if (request.get_header_value("If-Modified-Since") == kDate) {
        response.status = 304;
        return;
      }
      response.set_content(std::string(kBody), "text/plain");
    });
    server_.Get("/always-304",
                [](const auto&, httplib::Response& response) { response.status = 304; });
  }

  void add_failures() {
    server_.Get("/busy", [](const auto&, httplib::Response& response) {
      response.status = 429;
      response.set_header("Retry-After", "1800");
    });
    server_.Get(R"(/status/(\d+))",
                [](const httplib::Request& request, httplib::Response& response) {
                  response.status = std::stoi(request.matches[1]);
                });
    server_.Get("/slow", [this](const auto&, httplib::Response& response) {
      std::unique_lock lock(mutex_);
      release_.wait_for(lock, std::chrono::seconds(20), [this] { return released_; });
      response.set_content("late", "text/plain");
    });
    server_.Get("/cut", [](const auto&, httplib::Response& response) {
      response.set_content_provider(1000, "application/octet-stream",
                                    [](size_t, size_t, httplib::DataSink& sink) {
                                      sink.write("45.1.2.3\n", 9);
                                      return false;
                                    });
    });
    server_.Get("/loop",
                [](const auto&, httplib::Response& response) { response.set_redirect("/loop"); });
    server_.Get("/hop",
                [](const auto&, httplib::Response& response) { response.set_redirect("/feed"); });
    server_.Get("/to-file", [](const auto&, httplib::Response& response) {
      response.set_redirect("file:///etc/passwd");
    });
  }

  std::string url(std::string_view path) const {
    return fmt::format("http://127.0.0.1:{}{}", port_, path);
  }
  FetchRequest request(std::string_view path) const {
    return {.url = url(path), .timeout_s = 10, .hosts = Hosts::any};
  }

  httplib::Server server_;
  std::thread thread_;
  int port_ = 0;
  std::mutex mutex_;
  std::condition_variable release_;
  bool released_ = false;
  std::string agent_;
  std::string encoding_;
  int requests_ = 0;
};

TEST_F(Fetch, BringsBodyAndValidators) {
  FetchRequest asked = request("/feed");
  asked.contact = "feeds@operator.example";
  const Result<FetchResult> result = fetch(asked);
  ASSERT_TRUE(result.has_value()) << result.error().message;
  EXPECT_EQ(result->outcome, Outcome::content);
  EXPECT_EQ(as_text(result->body), kBody);
  EXPECT_EQ(result->etag, "\"v1\"");
  EXPECT_EQ(result->last_modified, kDate);
  EXPECT_EQ(result->status, 200);
  const std::lock_guard lock(mutex_);
  EXPECT_EQ(agent_, "merlon/0.1 (+feeds@operator.example)");
}

TEST_F(Fetch, ContactCannotAddAHeader) {
  FetchRequest asked = request("/feed");
  asked.contact = "a\r\nX-Evil: 1";
  ASSERT_TRUE(fetch(asked).has_value());
  const std::lock_guard lock(mutex_);
  EXPECT_EQ(agent_, "merlon/0.1");
}

TEST_F(Fetch, UnchangedByETagIsNotModified) {
  FetchRequest asked = request("/by-etag");
  asked.etag = "\"v2\"";
  asked.last_modified = kDate;
  const Result<FetchResult> same = fetch(asked);
  ASSERT_TRUE(same.has_value()) << same.error().message;
  EXPECT_EQ(same->outcome, Outcome::not_modified);
  EXPECT_EQ(same->etag, "\"v2\"");
  EXPECT_EQ(same->last_modified, kDate);
  EXPECT_TRUE(same->body.empty());
  EXPECT_EQ(same->status, 304);
  asked.etag = "\"v1\"";
  EXPECT_EQ(fetch(asked)->outcome, Outcome::content);
}

TEST_F(Fetch, UnchangedByDateIsNotModified) {
  FetchRequest asked = request("/by-date");
  asked.last_modified = kDate;
  const Result<FetchResult> same = fetch(asked);
  ASSERT_TRUE(same.has_value()) << same.error().message;
  EXPECT_EQ(same->outcome, Outcome::not_modified);
  EXPECT_EQ(same->last_modified, kDate);
  asked.last_modified.clear();
  EXPECT_EQ(fetch(asked)->outcome, Outcome::content);
}

TEST_F(Fetch, NotModifiedWithoutACopyAtHandIsAnError) {
  EXPECT_SAYS(fetch(request("/always-304")), "HTTP 304");
}

TEST_F(Fetch, StatusesSayWhatToDo) {
  const Result<FetchResult> missing = fetch(request("/status/404"));
  EXPECT_SAYS(missing, fmt::format("fetch {}: HTTP 404", url("/status/404")));
  EXPECT_EQ(missing.error().code, ErrorCode::not_found);
  const Result<FetchResult> busy = fetch(request("/busy"));
  EXPECT_SAYS(busy, "HTTP 429: too many requests; Retry-After: 1800");
  EXPECT_EQ(busy.error().code, ErrorCode::busy);
  EXPECT_EQ(fetch(request("/status/503")).error().code, ErrorCode::busy);
  EXPECT_SAYS(fetch(request("/status/403")), "credentials");
  EXPECT_SAYS(fetch(request("/status/500")), "HTTP 500");
  EXPECT_SAYS(fetch(request("/status/204")), "HTTP 204");
}

TEST_F(Fetch, SizeLimitHoldsByLengthWithoutLengthAndAfterDecompression) {
  for (const std::string_view path : {"/large", "/large-chunked", "/large-text"}) {
    FetchRequest asked = request(path);
    asked.size_max_bytes = 1 << 20;
    const Result<FetchResult> result = fetch(asked);
    EXPECT_SAYS(result, "larger than 1048576 bytes");
    EXPECT_EQ(result.error().code, ErrorCode::invalid_argument);
    asked.size_max_bytes = 2 << 20;
    const Result<FetchResult> whole = fetch(asked);
    ASSERT_TRUE(whole.has_value()) << path << ": " << whole.error().message;
    EXPECT_EQ(whole->body.size(), size_t{2} << 20);
  }
  const std::lock_guard lock(mutex_);
  EXPECT_FALSE(encoding_.empty()) << "/large-text was meant to come compressed";
}

TEST_F(Fetch, SlowServerMeetsTheTimeLimit) {
  FetchRequest asked = request("/slow");
  asked.timeout_s = 1;
  const auto start = std::chrono::steady_clock::now();
  const Result<FetchResult> result = fetch(asked);
  EXPECT_SAYS(result, "not complete within 1 s (time limit)");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
}

TEST_F(Fetch, StopEndsATransferThatHangs) {
  std::atomic<bool> stop = false;
  FetchRequest asked = request("/slow");
  asked.stop = &stop;
  std::thread stopper([&stop] {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    stop = true;
  });
  const auto start = std::chrono::steady_clock::now();
  const Result<FetchResult> result = fetch(asked);
  EXPECT_SAYS(result, "given up because we stop");
  EXPECT_EQ(result.error().code, ErrorCode::busy);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(3));
  stopper.join();
}

TEST_F(Fetch, CutTransferIsAnErrorNotAShortFeed) {
  const Result<FetchResult> result = fetch(request("/cut"));
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, ErrorCode::io);
}

TEST_F(Fetch, FollowsARedirectButNotInCirclesNorToFiles) {
  EXPECT_EQ(as_text(fetch(request("/hop"))->body), kBody);
  {
    const std::lock_guard lock(mutex_);
    requests_ = 0;
  }
  EXPECT_SAYS(fetch(request("/loop")), "more than 5 redirects");
  {
    const std::lock_guard lock(mutex_);
    EXPECT_EQ(requests_, 6);
  }
  EXPECT_SAYS(fetch(request("/to-file")), "redirected to a URL that is not http or https");
}

TEST_F(Fetch, TlsFailureAndClosedPortSaySo) {
  EXPECT_SAYS(fetch({.url = fmt::format("https://127.0.0.1:{}/feed", port_),
                     .timeout_s = 5,
                     .hosts = Hosts::any}),
              "TLS failed");
  EXPECT_EQ(
      fetch({.url = "http://127.0.0.1:1/feed", .timeout_s = 5, .hosts = Hosts::any}).error().code,
      ErrorCode::io);
}

TEST_F(Fetch, ErrorsShowNoCredentials) {
  const Result<FetchResult> result =
      fetch({.url = fmt::format("http://user:secret@127.0.0.1:{}/status/404?key=secret", port_),
             .hosts = Hosts::any});
  EXPECT_SAYS(result, fmt::format("http://127.0.0.1:{}/status/404?..", port_));
  EXPECT_EQ(result.error().message.find("secret"), std::string::npos);
}

TEST_F(Fetch, ManyThreadsAtOnce) {
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] { good += fetch(request("/feed")).has_value() ? 1 : 0; });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(good, 8);
}

TEST(FetchUrl, IsShownWithoutUserPasswordAndQuery) {
  EXPECT_EQ(url_for_display("https://u:p@h.example/x"), "https://h.example/x");
  EXPECT_EQ(url_for_display("https://u@b:p@h.example"), "https://h.example");
  EXPECT_EQ(url_for_display("https://h.example/@x?key=1"), "https://h.example/@x?..");
  EXPECT_EQ(url_for_display("https://h.example?u@x"), "https://h.example?..");
  EXPECT_EQ(url_for_display("file:///a/b"), "file:///a/b");
  EXPECT_EQ(url_for_display("u:p@h.example/x"), "h.example/x");
}

TEST(FetchUrl, OtherSchemesAreRefused) {
  for (const std::string url :
       {"gopher://h.example/", "/etc/passwd", "", "FILE:///etc/passwd", "dict://h.example"}) {
    const Result<FetchResult> result = fetch({.url = url});
    EXPECT_SAYS(result, "use one of http://, https://");
    EXPECT_EQ(result.error().code, ErrorCode::invalid_argument);
  }
  EXPECT_SAYS(fetch({.url = "http://"}), "not a valid URL");
}

class FetchFile : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "merlon-fetch-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void write(const std::string& name, std::string_view text) const {
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }
  std::string url(const std::string& name) const { return "file://" + (folder_ / name).string(); }

  std::filesystem::path folder_;
};

TEST_F(FetchFile, UnchangedFileIsNotModifiedAndAChangedOneIsReadAgain) {
  write("feed.txt", kBody);
  const Result<FetchResult> first = fetch({.url = url("feed.txt")});
  ASSERT_TRUE(first.has_value()) << first.error().message;
  EXPECT_EQ(as_text(first->body), kBody);
  EXPECT_FALSE(first->etag.empty());
  const Result<FetchResult> again = fetch({.url = url("feed.txt"), .etag = first->etag});
  EXPECT_EQ(again->outcome, Outcome::not_modified);
  EXPECT_EQ(again->etag, first->etag);
  write("feed.txt", "45.1.2.5\n");
  EXPECT_EQ(as_text(fetch({.url = url("feed.txt"), .etag = first->etag})->body), "45.1.2.5\n");
  // Same size, other time.
  const auto file = folder_ / "feed.txt";
  const std::string etag = fetch({.url = url("feed.txt")})->etag;
  std::filesystem::last_write_time(
      file, std::filesystem::last_write_time(file) + std::chrono::seconds(2));
  EXPECT_EQ(fetch({.url = url("feed.txt"), .etag = etag})->outcome, Outcome::content);
}

// As publishers write files: aside, then renamed. Same size, and within one tick of the clock.
TEST_F(FetchFile, ReplacementOfTheSameSizeAtOnceIsReadAgain) {
  std::string etag;
  for (int i = 0; i < 50; ++i) {
    const std::string body = "45.1.2." + std::to_string(100 + i) + "\n";
    write("feed.new", body);
    std::filesystem::rename(folder_ / "feed.new", folder_ / "feed.txt");
    const Result<FetchResult> result = fetch({.url = url("feed.txt"), .etag = etag});
    ASSERT_TRUE(result.has_value()) << result.error().message;
    ASSERT_EQ(as_text(result->body), body);
    etag = result->etag;
  }
}

TEST_F(FetchFile, PercentSignsAreDecoded) {
  write("a feed.txt", kBody);
  EXPECT_TRUE(fetch({.url = url("a%20feed.txt")}).has_value());
}

TEST_F(FetchFile, EmptyFileIsEmptyContent) {
  write("empty.txt", "");
  const Result<FetchResult> result = fetch({.url = url("empty.txt")});
  ASSERT_TRUE(result.has_value());
  EXPECT_TRUE(result->body.empty());
}

TEST_F(FetchFile, SizeLimitIsExact) {
  write("feed.txt", std::string(1000, 'a'));
  EXPECT_TRUE(fetch({.url = url("feed.txt"), .size_max_bytes = 1000}).has_value());
  EXPECT_SAYS(fetch({.url = url("feed.txt"), .size_max_bytes = 999}), "larger than 999 bytes");
}

TEST_F(FetchFile, WhatIsNoRegularFileIsRefused) {
  EXPECT_SAYS(fetch({.url = "file://" + folder_.string()}), "a directory");
  ASSERT_EQ(::mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  EXPECT_SAYS(fetch({.url = url("pipe")}), "a FIFO");
  EXPECT_SAYS(fetch({.url = "file:///dev/zero"}), "a device");
  EXPECT_EQ(fetch({.url = url("missing")}).error().code, ErrorCode::not_found);
  EXPECT_SAYS(fetch({.url = "file://host/etc/passwd"}), "three slashes");
  EXPECT_SAYS(fetch({.url = url("a%00b")}), "NUL in a path");
}

}  // namespace
}  // namespace merlon::fetch
