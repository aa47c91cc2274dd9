// SPDX-License-Identifier: Apache-2.0
// The control socket against clients that are good, slow, silent, too long or gone.
#include "dataplane/control/control.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <fstream>

#include "tests/support/snapshot_fixture.h"

namespace merlon::control {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using testing::HasSubstr;

class Client {
 public:
  explicit Client(const std::string& path) {
    fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    connected_ = ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  ~Client() { ::close(fd_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  bool connected() const { return connected_; }
  void write(std::string_view text) { ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL); }
  // Until the server closes, or the time is over.
  std::string read(milliseconds patience = milliseconds(8000)) {
    std::string all;
    const auto deadline = steady_clock::now() + patience;
    while (true) {
      const auto left =
          std::chrono::duration_cast<milliseconds>(deadline - steady_clock::now()).count();
      pollfd wait{fd_, POLLIN, 0};
      if (left <= 0 || ::poll(&wait, 1, static_cast<int>(left)) <= 0) {
        return all + "<timeout>";
      }
      std::array<char, 65536> chunk;
      const ssize_t n = ::recv(fd_, chunk.data(), chunk.size(), 0);
      if (n <= 0) {
        return all;
      }
      all.append(chunk.data(), static_cast<size_t>(n));
    }
  }
  std::string ask(std::string_view line) {
    write(line);
    return read();
  }

 private:
  int fd_ = -1;
  bool connected_ = false;
};

class Control : public testing::Test {
 protected:
  Result<std::unique_ptr<ControlServer>> start() {
    return ControlServer::start(path_, [this](std::string_view command) {
      ++calls_;
      if (command == "large") {
        return std::string(8 << 20, 'x');
      }
      return "<" + std::string(command) + ">";
    });
  }
  void SetUp() override {
    auto server = start();
    ASSERT_TRUE(server.has_value()) << server.error().message;
    server_ = std::move(*server);
  }

  tests::TemporaryDirectory folder_;
  std::string path_ = folder_.path() + "/control.sock";
  std::atomic<int> calls_{0};
  std::unique_ptr<ControlServer> server_;
};

TEST_F(Control, AnswersOneLineWithOneLine) {
  EXPECT_EQ(Client(path_).ask("status\n"), "<status>\n");
  EXPECT_EQ(Client(path_).ask("stats\nstatus\n"), "<stats>\n");
  EXPECT_EQ(Client(path_).ask("\n"), "<>\n");
}

TEST_F(Control, ALineMayComeInPieces) {
  Client client(path_);
  for (const std::string_view piece : {"st", "at", "us"}) {
    client.write(piece);
    ::usleep(20000);
  }
  EXPECT_EQ(client.ask("\n"), "<status>\n");
}

TEST_F(Control, TheSocketIsForOwnerAndGroupOnly) {
  struct stat info{};
  ASSERT_EQ(::stat(path_.c_str(), &info), 0);
  EXPECT_TRUE(S_ISSOCK(info.st_mode));
  EXPECT_EQ(info.st_mode & 07777, 0660u);
}

TEST_F(Control, SlowClientsDoNotDelayOthers) {
  const Client silent(path_);
  Client dripping(path_);
  dripping.write("sta");
  Client deaf(path_);
  deaf.write("large\n");
  const auto start = steady_clock::now();
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(Client(path_).ask("status\n"), "<status>\n");
  }
  EXPECT_LT(steady_clock::now() - start, milliseconds(1500));
}

TEST_F(Control, AClientThatDripsIsCutOffAtItsTimeOut) {
  Client client(path_);
  const auto start = steady_clock::now();
  std::string reply = "<timeout>";
  while (reply == "<timeout>" && steady_clock::now() - start < milliseconds(10000)) {
    client.write("x");  // more often than any time-out between two bytes
    reply = client.read(milliseconds(100));
  }
  EXPECT_EQ(reply, "");
  EXPECT_LT(steady_clock::now() - start, milliseconds(4000));
  EXPECT_EQ(calls_.load(), 0);
}

TEST_F(Control, ADeafClientIsCutOffAtItsTimeOut) {
  Client client(path_);
  client.write("large\n");
  ::usleep(3'000'000);
  const std::string reply = client.read();
  EXPECT_LT(reply.size(), size_t{8} << 20);
  EXPECT_EQ(reply.find("<timeout>"), std::string::npos);
  EXPECT_EQ(Client(path_).ask("status\n"), "<status>\n");
}

TEST_F(Control, LargeRepliesArriveWhole) {
  EXPECT_EQ(Client(path_).ask("large\n").size(), (size_t{8} << 20) + 1);
}

TEST_F(Control, OversizedLinesAreRefused) {
  EXPECT_EQ(Client(path_).ask(std::string(256, 'a') + "\n"), "<" + std::string(256, 'a') + ">\n");
  const std::string long_line(257, 'a');
  for (const std::string& line : {long_line + "\n", long_line}) {
    EXPECT_THAT(Client(path_).ask(line), HasSubstr("a command line has at most 256 bytes"));
  }
  EXPECT_EQ(calls_.load(), 1);
}

TEST_F(Control, ClientsThatLeaveHarmNobody) {
  for (int i = 0; i < 100; ++i) {
    Client gone(path_);
    gone.write(i % 3 == 0 ? "large\n" : i % 3 == 1 ? "sta" : "");
  }
  EXPECT_EQ(Client(path_).ask("status\n"), "<status>\n");
}

TEST_F(Control, MoreClientsThanPlacesTakeTurns) {
  std::vector<std::unique_ptr<Client>> silent;
  for (int i = 0; i < 40; ++i) {
    silent.push_back(std::make_unique<Client>(path_));
  }
  EXPECT_EQ(Client(path_).ask("status\n"), "<status>\n");  // when the first have timed out
}

TEST_F(Control, ALiveSocketIsAConflict) {
  const auto second = start();
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, ErrorCode::conflict);
  EXPECT_THAT(second.error().message, HasSubstr(path_));
  EXPECT_EQ(Client(path_).ask("status\n"), "<status>\n");
}

TEST_F(Control, AStaleSocketIsReplaced) {
  server_.reset();
  EXPECT_NE(::access(path_.c_str(), F_OK), 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path_.data(), path_.size());
  const int dead = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(::bind(dead, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ::close(dead);  // as a killed process leaves it
  auto server = start();
  ASSERT_TRUE(server.has_value()) << server.error().message;
  EXPECT_EQ(Client(path_).ask("status\n"), "<status>\n");
}

TEST_F(Control, AFileThatIsNoSocketIsNeverRemoved) {
  server_.reset();
  std::ofstream(path_) << "precious";
  const auto server = start();
  ASSERT_FALSE(server.has_value());
  EXPECT_EQ(server.error().code, ErrorCode::conflict);
  std::string content;
  std::ifstream(path_) >> content;
  EXPECT_EQ(content, "precious");
}

TEST_F(Control, ImpossiblePathsAreErrors) {
  for (const std::string& path :
       {folder_.path() + "/no/such/folder.sock", folder_.path() + "/" + std::string(200, 'p')}) {
    const auto server = ControlServer::start(path, [](std::string_view) { return ""; });
    ASSERT_FALSE(server.has_value());
    EXPECT_THAT(server.error().message, HasSubstr(path));
  }
}

TEST_F(Control, StopsWithClientsConnected) {
  const Client silent(path_);
  ASSERT_TRUE(silent.connected());
  const auto start = steady_clock::now();
  server_.reset();
  EXPECT_LT(steady_clock::now() - start, milliseconds(1000));
}

}  // namespace
}  // namespace merlon::control
