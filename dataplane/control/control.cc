// SPDX-License-Identifier: Apache-2.0
#include "dataplane/control/control.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <thread>
#include <utility>

namespace merlon::control {
namespace {

constexpr int kClientTimeoutMs = 2000;  // a client that does not finish its line
constexpr size_t kCommandSizeMax = 256;

Result<sockaddr_un> socket_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return fail(ErrorCode::invalid_argument, "{}: a Unix socket path has at most {} bytes", path,
                sizeof address.sun_path - 1);
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

bool somebody_answers(const sockaddr_un& address) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool answered =
      fd >= 0 && ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  if (fd >= 0) {
    ::close(fd);
  }
  return answered;
}

// One line, or "" when the client is too slow, too long or gone.
std::string read_command(int client) {
  std::string line;
  std::array<char, kCommandSizeMax> chunk;
  while (line.size() <= kCommandSizeMax) {
    pollfd wait{client, POLLIN, 0};
    if (::poll(&wait, 1, kClientTimeoutMs) <= 0) {
      return "";
    }
    const ssize_t n = ::recv(client, chunk.data(), chunk.size(), 0);
    if (n <= 0) {
      return "";
    }
    line.append(chunk.data(), static_cast<size_t>(n));
    if (const size_t end = line.find('\n'); end != std::string::npos) {
      line.resize(end);
      return line;
    }
  }
  return "";
}

void write_reply(int client, std::string_view reply) {
  while (!reply.empty()) {
    pollfd wait{client, POLLOUT, 0};
    if (::poll(&wait, 1, kClientTimeoutMs) <= 0) {
      return;
    }
    const ssize_t n = ::send(client, reply.data(), reply.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
      return;
    }
    reply.remove_prefix(n > 0 ? static_cast<size_t>(n) : 0);
  }
}

}  // namespace

struct ControlServer::Impl {
  std::string path;
  Handler handler;
  int listener = -1;
  int wake = -1;
  std::atomic<bool> stop{false};
  std::thread thread;

  void serve() {
    while (!stop.load()) {
      std::array<pollfd, 2> wait{pollfd{listener, POLLIN, 0}, pollfd{wake, POLLIN, 0}};
      if (::poll(wait.data(), wait.size(), -1) <= 0 || (wait[0].revents & POLLIN) == 0) {
        continue;
      }
      const int client = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
      if (client < 0) {
        continue;
      }
      const std::string command = read_command(client);
      if (!command.empty()) {
        write_reply(client, handler(command) + "\n");
      }
      ::close(client);
    }
  }

  ~Impl() {
    stop.store(true);
    if (thread.joinable()) {
      const uint64_t one = 1;
      [[maybe_unused]] const ssize_t n = ::write(wake, &one, sizeof one);
      thread.join();
    }
    if (listener >= 0) {
      ::close(listener);
      ::unlink(path.c_str());
    }
    if (wake >= 0) {
      ::close(wake);
    }
  }
};

ControlServer::ControlServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ControlServer::~ControlServer() = default;

Result<std::unique_ptr<ControlServer>> ControlServer::start(const std::string& path,
                                                            Handler handler) {
  const auto address = socket_address(path);
  if (!address) {
    return std::unexpected(address.error());
  }
  if (somebody_answers(*address)) {
    return fail(ErrorCode::conflict, "{}: another data plane is running on this control socket",
                path);
  }
  auto impl = std::make_unique<Impl>();
  const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener < 0) {
    return fail_errno("control socket", errno);
  }
  ::unlink(path.c_str());
  const mode_t before = ::umask(0117);  // 0660 from the first moment on
  const int bound = ::bind(listener, reinterpret_cast<const sockaddr*>(&*address), sizeof *address);
  const int error_number = errno;
  ::umask(before);
  if (bound != 0) {
    ::close(listener);
    return fail_errno(fmt::format("listen on {}", path), error_number);
  }
  impl->path = path;
  impl->listener = listener;
  impl->handler = std::move(handler);
  impl->wake = ::eventfd(0, EFD_CLOEXEC);
  if (impl->wake < 0 || ::listen(listener, 16) != 0) {
    return fail_errno(fmt::format("listen on {}", path), errno);
  }
  impl->thread = std::thread([raw = impl.get()] { raw->serve(); });
  return std::unique_ptr<ControlServer>(new ControlServer(std::move(impl)));
}

}  // namespace merlon::control
