// SPDX-License-Identifier: Apache-2.0
// What a feed's host may not do with us, and what does not leave for other hosts: two servers.
#include <gtest/gtest.h>
#include <httplib.h>
#include <sys/stat.h>

#include <atomic>
#include <fstream>
#include <mutex>
#include <thread>

#include "controlplane/fetch/fetch.h"
#include "tests/support/snapshot_fixture.h"
#include "zones/base/bytes.h"

namespace merlon::fetch {
namespace {

class Site {
 public:
  Site() {
    server_.set_post_routing_handler([this](const auto& request, auto&) {
      const std::lock_guard lock(mutex_);
      seen_ = request.headers;
      ++count_;
    });
    server_.Get("/feed", [](const auto&, httplib::Response& response) {
      response.set_content("45.1.2.3\n", "text/plain");
    });
    server_.Get("/to", [](const httplib::Request& request, httplib::Response& response) {
      response.set_redirect(request.get_param_value("url"));
    });
    server_.Get(R"(http://feed\.example/feed)", [](const auto&, httplib::Response& response) {
      response.set_content("45.1.2.4\n", "text/plain");
    });
    server_.Get("/later", [](const auto&, httplib::Response& response) {
      response.status = 503;
      response.set_header("Retry-After", "1800");
    });
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  ~Site() {
    server_.stop();
    thread_.join();
  }
  std::string url(const std::string& path, const std::string& host = "127.0.0.1") const {
    return fmt::format("http://{}:{}{}", host, port_, path);
  }
  bool saw(const std::string& header) {
    const std::lock_guard lock(mutex_);
    return seen_.find(header) != seen_.end();
  }
  std::string value(const std::string& header) {
    const std::lock_guard lock(mutex_);
    const auto found = seen_.find(header);
    return found == seen_.end() ? "" : found->second;
  }
  int count() {
    const std::lock_guard lock(mutex_);
    return count_;
  }

 private:
  httplib::Server server_;
  std::mutex mutex_;
  httplib::Headers seen_;
  int count_ = 0;
  int port_ = 0;
  std::thread thread_;
};

TEST(FeedHost, PrivateAddressesAreRefusedBeforeAnythingIsSent) {
  Site site;
  for (const char* host : {"127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1"}) {
    const auto refused = fetch({.url = site.url("/feed", host), .timeout_s = 5});
    ASSERT_FALSE(refused.has_value()) << host;
    EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument) << refused.error().message;
    EXPECT_NE(refused.error().message.find("not a public address"), std::string::npos)
        << refused.error().message;
  }
  EXPECT_EQ(site.count(), 0);
  EXPECT_TRUE(fetch({.url = site.url("/feed"), .hosts = Hosts::any}).has_value());
}

TEST(FeedHost, ProxyOfTheSurroundingsIsNotUsed) {
  Site site;
  ::setenv("http_proxy", "http://127.0.0.1:1", 1);
  EXPECT_TRUE(fetch({.url = site.url("/feed"), .hosts = Hosts::any}).has_value());
  ::unsetenv("http_proxy");
  // One that was configured is.
  const auto proxied = fetch({.url = "http://feed.example/feed", .proxy = site.url("")});
  ASSERT_TRUE(proxied.has_value()) << proxied.error().message;
  EXPECT_EQ(site.value("Host"), "feed.example");
}

TEST(FeedHost, RedirectToAnotherSchemeIsRefused) {
  Site site;
  for (const char* target : {"file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1/",
                             "sftp://127.0.0.1/x", "dict://127.0.0.1:1/x"}) {
    const auto refused =
        fetch({.url = site.url(fmt::format("/to?url={}", target)), .hosts = Hosts::any});
    ASSERT_FALSE(refused.has_value()) << target;
    EXPECT_NE(refused.error().message.find("not http or https"), std::string::npos)
        << refused.error().message;
  }
}

TEST(FeedHost, RetryAfterIsTold) {
  Site site;
  Advice advice;
  EXPECT_FALSE(fetch({.url = site.url("/later"), .hosts = Hosts::any}, &advice).has_value());
  EXPECT_EQ(advice.retry_after_s, 1800);
}

class FeedSecret : public testing::Test {
 protected:
  std::string secret_file(const std::string& text) {
    const std::string path = folder_.path() + "/secret";
    std::ofstream(path) << text;
    EXPECT_EQ(::chmod(path.c_str(), 0600), 0);
    return path;
  }
  tests::TemporaryDirectory folder_;
  Site home_;
  Site other_;
};

TEST_F(FeedSecret, HeaderAndPasswordReachTheHostAndNoOther) {
  const std::string file = secret_file("s3cret\n");
  const std::string header = "header X-Api-Key file:" + file;
  ASSERT_TRUE(
      fetch({.url = home_.url("/feed"), .credentials = header, .hosts = Hosts::any}).has_value());
  EXPECT_EQ(home_.value("X-Api-Key"), "s3cret");
  const std::string away = home_.url("/to?url=" + other_.url("/feed"));
  ASSERT_TRUE(fetch({.url = away, .credentials = header, .hosts = Hosts::any}).has_value());
  EXPECT_EQ(other_.count(), 1);
  EXPECT_FALSE(other_.saw("X-Api-Key"));
  const std::string basic = "basic joe file:" + file;
  ASSERT_TRUE(
      fetch({.url = home_.url("/feed"), .credentials = basic, .hosts = Hosts::any}).has_value());
  EXPECT_EQ(home_.value("Authorization"), "Basic am9lOnMzY3JldA==");
  ASSERT_TRUE(fetch({.url = away, .credentials = basic, .hosts = Hosts::any}).has_value());
  EXPECT_FALSE(other_.saw("Authorization"));
  // A redirect on the same host keeps it.
  const std::string near = home_.url("/to?url=" + home_.url("/feed"));
  ASSERT_TRUE(fetch({.url = near, .credentials = header, .hosts = Hosts::any}).has_value());
  EXPECT_EQ(home_.value("X-Api-Key"), "s3cret");
}

TEST_F(FeedSecret, FileThatOthersMayReadIsNotUsed) {
  const std::string file = secret_file("s3cret\n");
  ASSERT_EQ(::chmod(file.c_str(), 0644), 0);
  const auto refused = fetch({.url = home_.url("/feed"),
                              .credentials = "header X-Api-Key file:" + file,
                              .hosts = Hosts::any});
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().message.find("others may read it"), std::string::npos);
  EXPECT_EQ(home_.count(), 0);
}

TEST(FeedHost, SftpNeedsTheHostsKey) {
  const auto refused = fetch({.url = "sftp://127.0.0.1:1/feed", .hosts = Hosts::any});
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().message.find("host SHA256:"), std::string::npos);
}

}  // namespace
}  // namespace merlon::fetch
