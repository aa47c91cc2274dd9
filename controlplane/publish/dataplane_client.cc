// SPDX-License-Identifier: Apache-2.0
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

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

}  // namespace

Result<std::string> ask_dataplane(const std::string& socket_path, const std::string& command,
                                  int timeout_ms) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_path.size() >= sizeof address.sun_path) {
    return fail(ErrorCode::invalid_argument, "{}: socket path is too long", socket_path);
  }
  std::memcpy(address.sun_path, socket_path.data(), socket_path.size());
  const Connection connection(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (connection.fd() < 0 || ::connect(connection.fd(), reinterpret_cast<const sockaddr*>(&address),
                                       sizeof address) != 0) {
    return fail_errno(fmt::format("data plane at {} (is merlon-dataplane running?)", socket_path),
                      errno);
  }
  const std::string line = command + "\n";
  if (::send(connection.fd(), line.data(), line.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(line.size())) {
    return fail_errno(fmt::format("data plane at {}", socket_path), errno);
  }
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  std::string reply;
  std::array<char, 16384> chunk;
  while (reply.size() < kReplySizeMax) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    pollfd wait{connection.fd(), POLLIN, 0};
    if (left.count() <= 0 || ::poll(&wait, 1, static_cast<int>(left.count())) <= 0) {
      return fail(ErrorCode::busy, "data plane at {}: no answer to \"{}\" within {} ms",
                  socket_path, command, timeout_ms);
    }
    const ssize_t n = ::recv(connection.fd(), chunk.data(), chunk.size(), 0);
    if (n < 0) {
      return fail_errno(fmt::format("data plane at {}", socket_path), errno);
    }
    reply.append(chunk.data(), static_cast<size_t>(n));
    if (!reply.empty() && reply.back() == '\n') {
      reply.pop_back();
      return reply;
    }
    if (n == 0) {
      break;
    }
  }
  return fail(ErrorCode::io, "data plane at {}: closed without an answer", socket_path);
}

}  // namespace merlon::publish
