// SPDX-License-Identifier: Apache-2.0
// The whole tap against readers: one that behaves, some that do not, and a file. The tools of
// fstrm and BIND read it in tests/e2e.
#include "dataplane/dnstap/tap.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <fstream>
#include <functional>

#include "tests/support/snapshot_fixture.h"

namespace merlon::dnstap {
namespace {

using std::chrono::steady_clock;
using testing::HasSubstr;

constexpr auto kPatience = std::chrono::seconds(20);

bool wait_until(const std::function<bool()>& condition) {
  const auto end = steady_clock::now() + kPatience;
  while (!condition()) {
    if (steady_clock::now() > end) {
      return false;
    }
    ::usleep(5000);
  }
  return true;
}

std::string be32(uint32_t value) {
  std::string text(4, '\0');
  store_be32(reinterpret_cast<uint8_t*>(text.data()), value);
  return text;
}

std::string control_frame(uint32_t type, std::string_view content_type = "") {
  std::string payload = be32(type);
  if (!content_type.empty()) {
    payload +=
        be32(1) + be32(static_cast<uint32_t>(content_type.size())) + std::string(content_type);
  }
  return be32(0) + be32(static_cast<uint32_t>(payload.size())) + payload;
}

constexpr uint32_t kAccept = 1;
constexpr uint32_t kStart = 2;
constexpr uint32_t kStop = 3;
constexpr uint32_t kReady = 4;
constexpr uint32_t kFinish = 5;

// The reader's end: a listener and one connection at a time.
class Reader {
 public:
  explicit Reader(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener_, 4), 0);
  }
  ~Reader() {
    hang_up();
    ::close(listener_);
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  void accept() {
    pollfd wait{listener_, POLLIN, 0};
    ASSERT_EQ(::poll(&wait, 1, 20'000), 1);
    connection_ = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    const timeval patience{20, 0};
    ::setsockopt(connection_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  void shake_hands() {
    accept();
    EXPECT_EQ(read(control_frame(kReady, kContentType).size()),
              control_frame(kReady, kContentType));
    send(control_frame(kAccept, kContentType));
    EXPECT_EQ(read(control_frame(kStart, kContentType).size()),
              control_frame(kStart, kContentType));
  }
  void send(std::string_view text) {
    EXPECT_EQ(::send(connection_, text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }
  std::string read(size_t size) {
    std::string text(size, '\0');
    const ssize_t n = ::recv(connection_, text.data(), size, MSG_WAITALL);
    text.resize(n < 0 ? 0 : static_cast<size_t>(n));
    return text;
  }
  // A data frame's content; "" for a control frame, which follows.
  std::string read_frame() {
    const std::string size = read(4);
    return size.size() != 4 ? "" : read(load_be32(reinterpret_cast<const uint8_t*>(size.data())));
  }
  void hang_up() {
    if (connection_ >= 0) {
      ::close(connection_);
      connection_ = -1;
    }
  }
  int connection() const { return connection_; }

 private:
  int listener_ = -1;
  int connection_ = -1;
};

class DnstapTap : public testing::Test {
 protected:
  std::unique_ptr<Tap> start(const std::string& target, uint32_t sample = 1) {
    auto tap = Tap::start({.target = target,
                           .identity = "ns-test",
                           .version = "test 1",
                           .sample = sample,
                           .worker_count = 2});
    EXPECT_TRUE(tap.has_value());
    return std::move(*tap);
  }
  // One query with its reply through a worker's sampler.
  void traffic(Tap& tap, size_t worker, std::string_view text, size_t count = 1) {
    struct {
    } engine;
    for (size_t i = 0; i < count; ++i) {
      std::copy(text.begin(), text.end(), message_.begin());
      io::Packet packet{.message = message_.data(),
                        .size = static_cast<uint32_t>(text.size()),
                        .capacity = static_cast<uint32_t>(message_.size()),
                        .source = address::Address::v4(0x0a000001)};
      const std::span<io::Packet> burst(&packet, 1);
      tap.sampler(worker).before(burst);
      packet.reply_size = packet.size;
      message_[0] = 'R';
      tap.sampler(worker).after(engine, burst);
    }
  }

  tests::TemporaryDirectory folder_;
  std::string socket_ = folder_.path() + "/tap.sock";
  std::array<uint8_t, 2048> message_{};
};

TEST_F(DnstapTap, AReaderGetsQueryAndResponseOfEveryWorker) {
  Reader reader(socket_);
  auto tap = start(socket_);
  reader.shake_hands();
  ASSERT_TRUE(wait_until([&] { return tap->numbers().connected; }));
  traffic(*tap, 0, "query-one");
  EXPECT_THAT(reader.read_frame(), HasSubstr("query-one"));
  EXPECT_THAT(reader.read_frame(), HasSubstr("Ruery-one"));
  traffic(*tap, 1, "query-two");
  const std::string frame = reader.read_frame();
  EXPECT_THAT(frame, HasSubstr("query-two"));
  EXPECT_THAT(frame, HasSubstr("ns-test"));
  EXPECT_THAT(frame, HasSubstr("test 1"));
  reader.read_frame();
  EXPECT_TRUE(wait_until([&] { return tap->numbers().frames_written == 4; }));
  traffic(*tap, 1, "query-last");
  std::thread ending([&] { tap.reset(); });
  EXPECT_THAT(reader.read_frame(), HasSubstr("query-last")) << "what is there goes out at the end";
  reader.read_frame();
  EXPECT_EQ(reader.read(12), control_frame(kStop));
  reader.send(control_frame(kFinish));
  ending.join();
  EXPECT_EQ(reader.read(1), "");
}

TEST_F(DnstapTap, ComesBackWhenTheReaderDoes) {
  auto tap = start(socket_);
  ASSERT_TRUE(wait_until([&] { return tap->numbers().problem != "not connected yet"; }));
  EXPECT_THAT(tap->numbers().problem, HasSubstr(socket_));
  EXPECT_FALSE(tap->numbers().connected);
  traffic(*tap, 0, "before");
  Reader reader(socket_);
  reader.shake_hands();
  EXPECT_THAT(reader.read_frame(), HasSubstr("before"));
  reader.hang_up();
  ASSERT_TRUE(wait_until([&] { return !tap->numbers().connected; }));
  reader.shake_hands();
  traffic(*tap, 0, "after");
  EXPECT_THAT(reader.read_frame(), HasSubstr("after"));
  EXPECT_EQ(tap->numbers().connects, 2u);
}

TEST_F(DnstapTap, AReaderThatDoesNotReadCostsSamplesAndNoTime) {
  Reader reader(socket_);
  auto tap = start(socket_);
  reader.shake_hands();
  const std::string large(1200, 'x');
  ASSERT_TRUE(wait_until([&] {
    traffic(*tap, 0, large, 100);
    return tap->numbers().samples.ring_full > 1000;
  }));
  EXPECT_TRUE(tap->numbers().connected);
  const auto start_of_end = steady_clock::now();
  tap.reset();
  EXPECT_LT(steady_clock::now() - start_of_end, kPatience / 2);
}

TEST_F(DnstapTap, ReadersThatSpeakOtherwiseAreLeft) {
  const std::string answers[] = {"GET / HTTP/1.0\r\n\r\n", control_frame(kAccept, "text/plain"),
                                 control_frame(kFinish), be32(0) + be32(4000),
                                 be32(0) + be32(3) + "abc"};
  for (const std::string& answer : answers) {
    ::unlink(socket_.c_str());
    Reader reader(socket_);
    auto tap = start(socket_);
    reader.accept();
    reader.read(control_frame(kReady, kContentType).size());
    reader.send(answer);
    EXPECT_TRUE(wait_until([&] { return tap->numbers().problem != "not connected yet"; }));
    EXPECT_EQ(tap->numbers().connects, 0u);
  }
}

TEST_F(DnstapTap, AReaderThatNeverAcceptsIsLeftAlsoAtTheEnd) {
  Reader reader(socket_);
  auto tap = start(socket_);
  reader.accept();
  const auto begin = steady_clock::now();
  tap.reset();  // inside the handshake
  EXPECT_LT(steady_clock::now() - begin, kPatience / 2);
  tap = start(socket_);
  EXPECT_TRUE(wait_until([&] {
    return tap->numbers().problem.find("does not answer") != std::string::npos;
  })) << tap->numbers().problem;
}

TEST_F(DnstapTap, AFileIsAStreamWithBeginAndEnd) {
  const std::string path = folder_.path() + "/tap.fstrm";
  const auto content = [](const std::string& name) {
    std::ifstream in(name);
    return std::string{std::istreambuf_iterator<char>(in), {}};
  };
  for (const char* text : {"query-first", "query-second"}) {
    auto tap = start("file:" + path);
    ASSERT_TRUE(wait_until([&] { return tap->numbers().connected; }));
    traffic(*tap, 0, text);
    tap.reset();
    const std::string stream = content(path);
    EXPECT_TRUE(stream.starts_with(control_frame(kStart, kContentType)));
    EXPECT_TRUE(stream.ends_with(control_frame(kStop)));
    EXPECT_THAT(stream, HasSubstr(text));
  }
  EXPECT_THAT(content(path + ".1"), HasSubstr("query-first")) << "kept beside the new one";
}

TEST_F(DnstapTap, ADiskThatIsFullIsSaid) {
  auto tap = start("file:/dev/full");
  EXPECT_TRUE(wait_until([&] {
    return tap->numbers().problem.find("No space left") != std::string::npos;
  })) << tap->numbers().problem;
  EXPECT_EQ(tap->numbers().connects, 0u);
}

}  // namespace
}  // namespace merlon::dnstap
