// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "controlplane/publish/publisher.h"
#include "tests/support/fake_dataplane.h"
#include "tests/support/snapshot_fixture.h"

namespace merlon::publish {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using testing::HasSubstr;
using tests::FakeDataplane;

class AskDataplane : public testing::Test {
 protected:
  Result<std::string> ask(int timeout_ms = 5000) {
    return ask_dataplane(
        {.socket_path = path_, .command = "load", .timeout_ms = timeout_ms, .stop = &stop_});
  }
  void expect_failure(const Result<std::string>& result, ErrorCode code, const char* text) {
    ASSERT_FALSE(result.has_value()) << *result;
    EXPECT_EQ(to_string(result.error().code), to_string(code)) << result.error().message;
    EXPECT_THAT(result.error().message, HasSubstr(text));
    EXPECT_THAT(result.error().message, HasSubstr(path_));
  }

  tests::TemporaryDirectory directory_;
  std::string path_ = directory_.path() + "/dataplane.sock";
  std::atomic<bool> stop_ = false;
};

TEST_F(AskDataplane, ReturnsTheLineWithoutItsEnd) {
  std::string heard;
  const FakeDataplane server(path_, [&](int, const std::string& command) {
    heard = command;
    return std::string("{\"generation\":7}\n");
  });
  EXPECT_EQ(ask().value(), "{\"generation\":7}");
  EXPECT_EQ(heard, "load");
}

TEST_F(AskDataplane, ReturnsTheFirstLineAlone) {
  const FakeDataplane server(
      path_, [](int, const std::string&) { return std::string("first\nsecond\nthird"); });
  EXPECT_EQ(ask().value(), "first");
}

TEST_F(AskDataplane, NobodyThereIsAnErrorThatSaysWhatToDo) {
  expect_failure(ask(), ErrorCode::not_found, "is merlon-dataplane running?");
  {
    const FakeDataplane gone(path_, [](int, const std::string&) { return std::string("\n"); });
  }
  expect_failure(ask(), ErrorCode::io, "is merlon-dataplane running?");  // a stale socket file
  const auto long_path = ask_dataplane({.socket_path = std::string(200, 'x'), .command = "load"});
  EXPECT_EQ(long_path.error().code, ErrorCode::invalid_argument);
}

TEST_F(AskDataplane, SlowServerIsNotAwaitedForEver) {
  FakeDataplane* self = nullptr;
  FakeDataplane server(path_, [&self](int, const std::string&) {
    while (!self->stopping) {
      std::this_thread::sleep_for(milliseconds(5));
    }
    return std::string("late\n");
  });
  self = &server;
  const auto start = steady_clock::now();
  expect_failure(ask(300), ErrorCode::busy, "no answer to \"load\" within 300 ms");
  EXPECT_LT(steady_clock::now() - start, milliseconds(2000));
}

// Bytes that come steadily do not put the end off.
TEST_F(AskDataplane, TricklingServerIsNotAwaitedForEver) {
  FakeDataplane* self = nullptr;
  FakeDataplane server(path_, [&self](int connection, const std::string&) {
    while (!self->stopping) {
      FakeDataplane::send_all(connection, "x");
      std::this_thread::sleep_for(milliseconds(5));
    }
    return std::string();
  });
  self = &server;
  const auto start = steady_clock::now();
  expect_failure(ask(300), ErrorCode::busy, "within 300 ms");
  EXPECT_LT(steady_clock::now() - start, milliseconds(2000));
}

// A Unix socket whose queue is full makes a plain connect() wait without end.
TEST_F(AskDataplane, ServerThatNeverAcceptsIsNotAwaitedForEver) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path_.data(), path_.size());
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(::bind(listener, generic, sizeof address), 0);
  ASSERT_EQ(::listen(listener, 0), 0);
  std::vector<int> others;
  while (true) {
    others.push_back(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (::connect(others.back(), generic, sizeof address) != 0) {
      break;
    }
    ASSERT_LT(others.size(), 10'000u);
  }
  const auto start = steady_clock::now();
  expect_failure(ask(300), ErrorCode::busy, "within 300 ms");
  EXPECT_LT(steady_clock::now() - start, milliseconds(2000));
  for (const int other : others) {
    ::close(other);
  }
  ::close(listener);
}

TEST_F(AskDataplane, StopEndsTheWait) {
  FakeDataplane* self = nullptr;
  FakeDataplane server(path_, [&self](int, const std::string&) {
    while (!self->stopping) {
      std::this_thread::sleep_for(milliseconds(5));
    }
    return std::string();
  });
  self = &server;
  std::thread stopper([this] {
    std::this_thread::sleep_for(milliseconds(100));
    stop_ = true;
  });
  const auto start = steady_clock::now();
  expect_failure(ask(60'000), ErrorCode::busy, "we stop");
  EXPECT_LT(steady_clock::now() - start, milliseconds(2000));
  stopper.join();
}

TEST_F(AskDataplane, ClosingEarlyIsAnError) {
  {
    const FakeDataplane server(path_, [](int, const std::string&) { return std::string(); });
    expect_failure(ask(), ErrorCode::io, "closed the connection without an answer");
  }
  const FakeDataplane server(path_,
                             [](int, const std::string&) { return std::string("{\"gener"); });
  expect_failure(ask(), ErrorCode::io, "closed the connection inside its answer");
}

TEST_F(AskDataplane, LongAnswersArriveWholeUpToALimit) {
  const std::string megabyte(1 << 20, 'x');
  {
    const FakeDataplane server(path_,
                               [&](int, const std::string&) { return megabyte + megabyte + "\n"; });
    EXPECT_EQ(ask(20'000).value(), megabyte + megabyte);
  }
  const FakeDataplane server(path_, [&](int connection, const std::string&) {
    for (int i = 0; i < 20; ++i) {
      FakeDataplane::send_all(connection, megabyte);
    }
    return std::string("\n");
  });
  expect_failure(ask(20'000), ErrorCode::io, "more than 16777216 bytes");
}

}  // namespace
}  // namespace merlon::publish
