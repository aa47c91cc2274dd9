// SPDX-License-Identifier: Apache-2.0
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "controlplane/publish/publisher.h"

namespace merlon::publish {
namespace {

constexpr size_t kReplySizeMax = 16 << 20;

class Connection {
 public:
  explicit Connection(int fd) : fd_(fd) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() {
    if (fd_ >= 0) {
      ::close(fd_);
    }
  }
  int fd() const { return fd_; }

 private:
  int fd_;
};

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// How long one wait lasts before stop and deadline are looked at again.
constexpr milliseconds kSlice{100};

// One exchange: everything that waits, waits here.
class Exchange {
 public:
  explicit Exchange(const Question& question)
      : question_(question),
        fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)),
        deadline_(steady_clock::now() + milliseconds(question.timeout_ms)) {}

  Status connect() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (question_.socket_path.size() >= sizeof address.sun_path) {
      return fail(ErrorCode::invalid_argument, "{}: socket path is too long",
                  question_.socket_path);
    }
    std::memcpy(address.sun_path, question_.socket_path.data(), question_.socket_path.size());
    while (fd_.fd() < 0 ||
           ::connect(fd_.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      if (fd_.fd() < 0 || (errno != EAGAIN && errno != EINTR)) {
        return fail_errno(
            fmt::format("data plane at {} (is merlon-dataplane running?)", question_.socket_path),
            errno);
      }
      // Its queue of connections is full, which a Unix socket cannot be polled for.
      if (!may_wait()) {
        return late();
      }
      std::this_thread::sleep_for(std::min(kSlice / 5, left()));
    }
    return {};
  }

  Status send(std::string_view text) {
    while (!text.empty()) {
      const ssize_t n = ::send(fd_.fd(), text.data(), text.size(), MSG_NOSIGNAL);
      if (n >= 0) {
        text.remove_prefix(static_cast<size_t>(n));
      } else if (errno != EAGAIN && errno != EINTR) {
        return fail_errno(where(), errno);
      } else if (!wait_for(POLLOUT)) {
        return late();
      }
    }
    return {};
  }

  Result<std::string> receive_line() {
    std::string reply;
    std::array<char, 16384> chunk;
    while (reply.size() < kReplySizeMax) {
      const ssize_t n = ::recv(fd_.fd(), chunk.data(), chunk.size(), 0);
      if (n > 0) {
        const std::string_view part(chunk.data(), static_cast<size_t>(n));
        const size_t end = part.find('\n');
        reply.append(part.substr(0, end));
        if (end != std::string_view::npos) {
          return reply;
        }
      } else if (n == 0) {
        return fail(ErrorCode::io, "{}: closed the connection {}", where(),
                    reply.empty() ? "without an answer" : "inside its answer");
      } else if (errno != EAGAIN && errno != EINTR) {
        return fail_errno(where(), errno);
      } else if (!wait_for(POLLIN)) {
        return late();
      }
      if (!may_wait()) {  // a peer that never pauses must not hold us for ever
        return late();
      }
    }
    return fail(ErrorCode::io, "{}: answered more than {} bytes to \"{}\"", where(), kReplySizeMax,
                question_.command);
  }

 private:
  bool stopped() const { return question_.stop != nullptr && question_.stop->load(); }
  milliseconds left() const {
    return std::chrono::ceil<milliseconds>(deadline_ - steady_clock::now());
  }
  bool may_wait() const { return !stopped() && left().count() > 0; }
  // True when the socket may be tried again, false when time is up.
  bool wait_for(short events) const {
    while (may_wait()) {
      pollfd wait{fd_.fd(), events, 0};
      if (::poll(&wait, 1, static_cast<int>(std::min(kSlice, left()).count())) > 0) {
        return true;
      }
    }
    return false;
  }
  std::string where() const { return fmt::format("data plane at {}", question_.socket_path); }
  std::unexpected<Error> late() const {
    if (stopped()) {
      return fail(ErrorCode::busy, "{}: we stop, its answer is not awaited", where());
    }
    return fail(ErrorCode::busy, "{}: no answer to \"{}\" within {} ms", where(), question_.command,
                question_.timeout_ms);
  }

  const Question& question_;
  const Connection fd_;
  const steady_clock::time_point deadline_;
};

}  // namespace

Result<std::string> ask_dataplane(const Question& question) {
  Exchange exchange(question);
  if (auto connected = exchange.connect(); !connected) {
    return std::unexpected(connected.error());
  }
  if (auto sent = exchange.send(question.command + "\n"); !sent) {
    return std::unexpected(sent.error());
  }
  return exchange.receive_line();
}

}  // namespace merlon::publish
