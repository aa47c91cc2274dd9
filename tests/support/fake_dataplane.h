// SPDX-License-Identifier: Apache-2.0
// A Unix socket that behaves as a data plane's control socket, or as badly as a test wants.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstring>
#include <functional>
#include <string>
#include <thread>

namespace merlon::tests {

class FakeDataplane {
 public:
  // Gets the connection and the command line; what it returns is sent, and the connection closed.
  using Handler = std::function<std::string(int connection, const std::string& command)>;

  FakeDataplane(const std::string& path, Handler handler) : handler_(std::move(handler)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ::unlink(path.c_str());
    EXPECT_EQ(::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener_, 8), 0);
    thread_ = std::thread([this] { run(); });
  }
  ~FakeDataplane() {
    stopping = true;
    thread_.join();
    ::close(listener_);
  }
  FakeDataplane(const FakeDataplane&) = delete;
  FakeDataplane& operator=(const FakeDataplane&) = delete;

  std::atomic<bool> stopping = false;  // a handler that waits looks at it
  std::atomic<int> asked = 0;

 private:
  void run() {
    while (!stopping) {
      pollfd wait{listener_, POLLIN, 0};
      if (::poll(&wait, 1, 20) <= 0) {
        continue;
      }
      const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      std::string command;
      char byte = 0;
      while (::recv(connection, &byte, 1, 0) == 1 && byte != '\n') {
        command.push_back(byte);
      }
      ++asked;
      send_all(connection, handler_(connection, command));
      ::close(connection);
    }
  }

 public:
  static void send_all(int connection, std::string_view text) {
    while (!text.empty()) {
      const ssize_t n = ::send(connection, text.data(), text.size(), MSG_NOSIGNAL);
      if (n <= 0) {
        return;
      }
      text.remove_prefix(static_cast<size_t>(n));
    }
  }

 private:
  Handler handler_;
  int listener_ = -1;
  std::thread thread_;
};

}  // namespace merlon::tests
