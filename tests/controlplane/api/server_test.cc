// SPDX-License-Identifier: Apache-2.0
// What HTTP and the Unix socket add to the routes: real requests by libcurl, and raw bytes where
// libcurl would be too polite.
#include "controlplane/api/server.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "controlplane/api/json.h"
#include "tests/support/fake_operations.h"

namespace merlon::api {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

struct Answer {
  CURLcode curl = CURLE_OK;
  long http_status = 0;
  std::string text;
  Json body() const { return Json::parse(text, nullptr, false); }
};

struct Ask {
  std::string method = "GET";
  std::string target = "/v1/status";
  std::string body = "";
  std::vector<std::string> headers = {};
};

size_t append(char* data, size_t size, size_t count, void* out) {
  static_cast<std::string*>(out)->append(data, size * count);
  return size * count;
}

Answer ask(const std::string& socket, const Ask& what) {
  Answer answer;
  CURL* curl = curl_easy_init();
  curl_slist* headers = nullptr;
  for (const std::string& header : what.headers) {
    headers = curl_slist_append(headers, header.c_str());
  }
  curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket.c_str());
  curl_easy_setopt(curl, CURLOPT_URL, ("http://localhost" + what.target).c_str());
  curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
  curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT, 30L);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, append);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer.text);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
  if (what.method == "HEAD") {
    curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
  } else if (what.method != "GET") {
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, static_cast<long>(what.body.size()));
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, what.body.c_str());
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, what.method.c_str());
  }
  answer.curl = curl_easy_perform(curl);
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.http_status);
  curl_slist_free_all(headers);
  curl_easy_cleanup(curl);
  return answer;
}

int connect_to(const std::string& path) {
  sockaddr_un where{};
  where.sun_family = AF_UNIX;
  std::memcpy(where.sun_path, path.c_str(), path.size());
  const int descriptor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  EXPECT_EQ(::connect(descriptor, reinterpret_cast<const sockaddr*>(&where), sizeof where), 0);
  return descriptor;
}

// Sends the bytes and reads until the server closes.
std::string talk_raw(const std::string& path, std::string_view bytes) {
  const int descriptor = connect_to(path);
  EXPECT_EQ(::send(descriptor, bytes.data(), bytes.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(bytes.size()));
  std::string text;
  char buffer[4096];
  ssize_t got;
  while ((got = ::read(descriptor, buffer, sizeof buffer)) > 0) {
    text.append(buffer, static_cast<size_t>(got));
  }
  ::close(descriptor);
  return text;
}

class ApiServer : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "merlon-api-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    path_ = directory_ + "/control.sock";
  }
  void TearDown() override {
    server_.reset();
    std::filesystem::remove_all(directory_);
  }
  void start() {
    Result<std::unique_ptr<Server>> server = Server::start(operations_, {.socket_path = path_});
    ASSERT_TRUE(server) << server.error().message;
    server_ = std::move(*server);
  }
  Error fault_of_start() {
    const auto server = Server::start(operations_, {.socket_path = path_});
    EXPECT_FALSE(server);
    return server ? Error{} : server.error();
  }

  std::string directory_;
  std::string path_;
  tests::FakeOperations operations_;
  std::unique_ptr<Server> server_;
};

TEST_F(ApiServer, AnswersInJsonWithItsMediaType) {
  start();
  const std::string text = talk_raw(path_, "GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(text, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(text, HasSubstr("Content-Type: application/json\r\n"));
  const std::string metrics = talk_raw(path_, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(metrics, HasSubstr("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
  EXPECT_THAT(metrics, HasSubstr("\nmerlon_dataplane_up 1\n"));
  EXPECT_THAT(text, HasSubstr("Connection: close\r\n"));
  EXPECT_THAT(text, HasSubstr("{\"schema_version\":1,\"status\":{"));
}

TEST_F(ApiServer, TakesABodyAndReturnsWhatWasMade) {
  start();
  const Answer added = ask(path_, {"POST", "/v1/feeds", R"({"id":"a","url":"file:///none"})"});
  EXPECT_EQ(added.http_status, 201);
  EXPECT_EQ(added.body()["feed"]["id"], "a");
  EXPECT_EQ(ask(path_, {"GET", "/v1/feeds/a"}).body()["feed"], added.body()["feed"]);
  EXPECT_EQ(ask(path_, {"DELETE", "/v1/feeds/a"}).http_status, 200);
  EXPECT_EQ(ask(path_, {"GET", "/v1/feeds/a"}).http_status, 404);
}

TEST_F(ApiServer, QueryIsDecoded) {
  start();
  const Answer answer = ask(path_, {"GET", "/v1/check?value=2001%3Adb8%3a%3a1"});
  EXPECT_EQ(answer.http_status, 200);
  EXPECT_EQ(answer.body()["check"]["value"], "2001:db8::1");
}

TEST_F(ApiServer, FaultsOfTheBodyComeBackAsErrors) {
  start();
  const Answer unknown =
      ask(path_, {"POST", "/v1/feeds", R"({"id":"a","url":"file:///n","confidense":3})"});
  EXPECT_EQ(unknown.http_status, 400);
  EXPECT_EQ(unknown.body()["error"]["message"],
            R"(unknown key "confidense"; did you mean "confidence"?)");
  const Answer broken = ask(path_, {"POST", "/v1/feeds", "{\"id\" 1}"});
  EXPECT_EQ(broken.http_status, 400);
  EXPECT_THAT(broken.body()["error"]["message"].get<std::string>(), HasSubstr("line 1, column 7"));
  EXPECT_EQ(ask(path_, {"POST", "/v1/feeds"}).http_status, 400);
}

TEST_F(ApiServer, PostWithoutLengthHasNoBodyAndDoesNotWait) {
  start();
  const auto before = std::chrono::steady_clock::now();
  const std::string text = talk_raw(path_, "POST /v1/snapshots HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(text, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(2));
}

TEST_F(ApiServer, HeadIsGetWithoutABody) {
  start();
  const Answer head = ask(path_, {"HEAD", "/v1/status"});
  EXPECT_EQ(head.http_status, 200);
  EXPECT_EQ(head.text, "");
}

TEST_F(ApiServer, UnknownPathAndWrongMethodAreErrors) {
  start();
  EXPECT_EQ(ask(path_, {"GET", "/nothing"}).http_status, 404);
  EXPECT_EQ(ask(path_, {"POST", "/nothing", "{}"}).http_status, 404);
  for (const char* method : {"PUT", "PATCH", "DELETE", "OPTIONS"}) {
    const Answer answer = ask(path_, {method, "/v1/feeds", "{}"});
    EXPECT_EQ(answer.http_status, 405) << method;
    EXPECT_EQ(answer.body()["error"]["code"], "method_not_allowed") << method;
  }
  EXPECT_THAT(talk_raw(path_, "PUT /v1/feeds HTTP/1.1\r\nHost: x\r\n\r\n"),
              HasSubstr("Allow: GET, POST\r\n"));
}

TEST_F(ApiServer, BodyAtTheLimitIsReadAndAboveItIsRefused) {
  start();
  const std::string head = R"({"id":"a","url":"file:///n","title":")";
  const std::string tail = R"("})";
  const std::string fits = head + std::string(kBodySizeMax - head.size() - tail.size(), 'x') + tail;
  ASSERT_EQ(fits.size(), kBodySizeMax);
  EXPECT_EQ(ask(path_, {"POST", "/v1/feeds", fits}).http_status, 201);
  for (const char* expect : {"Expect: 100-continue", "Expect:"}) {
    const Answer answer = ask(path_, {"POST", "/v1/feeds", fits + " ", {expect}});
    EXPECT_EQ(answer.http_status, 413) << expect;
    EXPECT_EQ(answer.body()["error"]["code"], "too_large");
    EXPECT_EQ(answer.body()["error"]["message"], "the body may have at most 8388608 bytes");
  }
}

TEST_F(ApiServer, BodiesThatEscapeTheLimitAreRefusedUnread) {
  start();
  const std::string start_line = "POST /v1/feeds HTTP/1.1\r\nHost: x\r\n";
  EXPECT_THAT(talk_raw(path_, start_line + "Transfer-Encoding: chunked\r\n\r\n"),
              StartsWith("HTTP/1.1 411 "));
  EXPECT_THAT(talk_raw(path_, start_line + "Content-Encoding: gzip\r\nContent-Length: 9\r\n\r\n"),
              StartsWith("HTTP/1.1 415 "));
  EXPECT_THAT(talk_raw(path_, start_line + "Content-Type: multipart/form-data; boundary=b\r\n"
                                           "Content-Length: 9\r\n\r\n"),
              StartsWith("HTTP/1.1 415 "));
  for (const char* length : {"-1", "9x", "0x10", "99999999999999999999"}) {
    EXPECT_THAT(talk_raw(path_, start_line + "Content-Length: " + length + "\r\n\r\n"),
                StartsWith("HTTP/1.1 400 "))
        << length;
  }
  EXPECT_THAT(talk_raw(path_, start_line + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
              StartsWith("HTTP/1.1 400 "));
}

TEST_F(ApiServer, WhatIsNotHttpIsAnswered400InJson) {
  start();
  const std::string text = talk_raw(path_, "NONSENSE\r\n\r\n");
  EXPECT_THAT(text, StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(text, HasSubstr("\"code\":\"invalid_argument\""));
}

TEST_F(ApiServer, ExceptionInAnOperationIsA500AndTheServerLives) {
  start();
  operations_.throw_next("gave up");
  const Answer answer = ask(path_, {});
  EXPECT_EQ(answer.http_status, 500);
  EXPECT_EQ(answer.body()["error"]["message"], "gave up");
  EXPECT_EQ(ask(path_, {}).http_status, 200);
}

TEST_F(ApiServer, ConcurrentRequestsAreAllAnswered) {
  start();
  constexpr int kThreads = 8;
  constexpr int kRequests = 25;
  std::atomic<int> added = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kRequests; ++i) {
        const std::string id = "f" + std::to_string(t) + "x" + std::to_string(i);
        const Json feed{{"id", id}, {"url", "file:///none"}};
        added += ask(path_, {"POST", "/v1/feeds", feed.dump()}).http_status == 201 ? 1 : 0;
        added += ask(path_, {"GET", "/v1/feeds/" + id}).http_status == 200 ? 1 : 0;
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(added, 2 * kThreads * kRequests);
  EXPECT_EQ(ask(path_, {"GET", "/v1/feeds"}).body()["feeds"].size(),
            static_cast<size_t>(kThreads * kRequests));
}

TEST_F(ApiServer, SilentClientsDoNotBlockOthers) {
  start();
  std::vector<int> silent;
  for (int i = 0; i < 8; ++i) {
    silent.push_back(connect_to(path_));
  }
  EXPECT_EQ(ask(path_, {}).http_status, 200);
  for (const int descriptor : silent) {
    ::close(descriptor);
  }
}

TEST_F(ApiServer, SocketHasItsModeWhateverTheUmask) {
  for (const unsigned mode : {0660u, 0600u, 0666u}) {
    const mode_t before = ::umask(0077);
    const auto server = Server::start(operations_, {.socket_path = path_, .mode = mode});
    ::umask(before);
    ASSERT_TRUE(server) << server.error().message;
    struct stat info{};
    ASSERT_EQ(::lstat(path_.c_str(), &info), 0);
    EXPECT_TRUE(S_ISSOCK(info.st_mode));
    EXPECT_EQ(info.st_mode & 0777, mode);
  }
}

TEST_F(ApiServer, SecondServerOnTheSameSocketIsAConflict) {
  start();
  const Error error = fault_of_start();
  EXPECT_EQ(error.code, ErrorCode::conflict);
  EXPECT_THAT(error.message, HasSubstr("another control plane is running on " + path_));
  EXPECT_EQ(ask(path_, {}).http_status, 200) << "the first one must stay undisturbed";
}

TEST_F(ApiServer, OfServersThatStartAtOnceExactlyOneWins) {
  std::atomic<int> started = 0;
  std::vector<std::unique_ptr<Server>> servers(6);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < servers.size(); ++i) {
    threads.emplace_back([&, i] {
      auto server = Server::start(operations_, {.socket_path = path_, .thread_count = 2});
      if (server) {
        servers[i] = std::move(*server);
        ++started;
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(started, 1);
  EXPECT_EQ(ask(path_, {}).http_status, 200);
}

TEST_F(ApiServer, StaleSocketOfADeadProcessIsReplaced) {
  const int dead = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un where{};
  where.sun_family = AF_UNIX;
  std::memcpy(where.sun_path, path_.c_str(), path_.size());
  ASSERT_EQ(::bind(dead, reinterpret_cast<const sockaddr*>(&where), sizeof where), 0);
  ASSERT_EQ(::listen(dead, 1), 0);
  ::close(dead);
  start();
  EXPECT_EQ(ask(path_, {}).http_status, 200);
}

TEST_F(ApiServer, FileThatIsNotASocketIsLeftAlone) {
  std::ofstream(path_) << "precious";
  const Error error = fault_of_start();
  EXPECT_EQ(error.code, ErrorCode::conflict);
  std::string text;
  std::ifstream(path_) >> text;
  EXPECT_EQ(text, "precious");
}

TEST_F(ApiServer, StopRemovesTheSocketAndAllowsANewStart) {
  start();
  server_.reset();
  EXPECT_FALSE(std::filesystem::exists(path_));
  start();
  EXPECT_EQ(ask(path_, {}).http_status, 200);
}

TEST_F(ApiServer, StopLeavesTheSocketOfASuccessorAlone) {
  start();
  std::filesystem::rename(path_, path_ + ".moved");
  auto successor = Server::start(operations_, {.socket_path = path_});
  ASSERT_TRUE(successor);
  server_.reset();
  EXPECT_EQ(ask(path_, {}).http_status, 200);
}

TEST_F(ApiServer, ImpossiblePathsAreNamed) {
  path_ = directory_ + "/" + std::string(120, 'x');
  EXPECT_EQ(fault_of_start().code, ErrorCode::invalid_argument);
  path_ = "";
  EXPECT_EQ(fault_of_start().code, ErrorCode::invalid_argument);
  path_ = directory_ + "/absent/control.sock";
  EXPECT_EQ(fault_of_start().code, ErrorCode::io);
  EXPECT_THAT(fault_of_start().message, HasSubstr(directory_ + "/absent"));
}

}  // namespace
}  // namespace merlon::api
