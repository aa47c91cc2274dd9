// SPDX-License-Identifier: Apache-2.0
#include "dataplane/control/control.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>
#include <vector>

#include "dataplane/control/report.h"

namespace merlon::control {
namespace {

constexpr auto kClientTimeout = std::chrono::seconds(2);  // from connecting to the last byte
constexpr size_t kCommandSizeMax = 256;
constexpr size_t kClientCountMax = 32;
constexpr int kAcceptPauseMs = 100;  // when the process has no descriptor left

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

// Never waits: a listener whose backlog is full is somebody, too.
bool somebody_answers(const sockaddr_un& address) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) {
    return false;
  }
  const bool answered =
      ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ||
      errno == EAGAIN;
  ::close(fd);
  return answered;
}

// One connection: a command line in, a reply out.
struct Client {
  int fd = -1;
  std::chrono::steady_clock::time_point deadline;
  std::string command;
  std::string reply;  // not empty: the command is answered
  size_t sent = 0;
};

enum class Progress : uint8_t { more, finished };

bool would_block() {
  return errno == EAGAIN || errno == EINTR;
}

Progress send_reply(Client& client) {
  while (client.sent < client.reply.size()) {
    const ssize_t n = ::send(client.fd, client.reply.data() + client.sent,
                             client.reply.size() - client.sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0) {
      return would_block() ? Progress::more : Progress::finished;
    }
    client.sent += static_cast<size_t>(n);
  }
  return Progress::finished;
}

// Reads what is there and, when the line is complete, answers it.
Progress read_command(Client& client, const ControlServer::Handler& handler) {
  std::array<char, kCommandSizeMax + 1> chunk;
  const ssize_t n = ::recv(client.fd, chunk.data(), chunk.size(), MSG_DONTWAIT);
  if (n < 0 && would_block()) {
    return Progress::more;
  }
  if (n <= 0) {
    return Progress::finished;
  }
  client.command.append(chunk.data(), static_cast<size_t>(n));
  const size_t end = client.command.find('\n');
  if (std::min(end, client.command.size()) > kCommandSizeMax) {
    client.reply =
        error_json(Error{ErrorCode::invalid_argument,
                         fmt::format("a command line has at most {} bytes", kCommandSizeMax)});
  } else if (end != std::string::npos) {
    client.command.resize(end);
    client.reply = handler(client.command);
  } else {
    return Progress::more;
  }
  client.reply += '\n';
  return send_reply(client);
}

}  // namespace

struct ControlServer::Impl {
  std::string path;
  Handler handler;
  int listener = -1;
  int wake = -1;
  std::atomic<bool> stop{false};
  std::thread thread;

  std::vector<Client> clients;

  // How long poll() may wait: until the first client runs out of time.
  int wait_ms() const {
    if (clients.empty()) {
      return -1;
    }
    const auto first = std::ranges::min_element(clients, {}, &Client::deadline)->deadline;
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(first - std::chrono::steady_clock::now());
    return static_cast<int>(std::max<int64_t>(0, left.count()));
  }

  void accept_one() {
    const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
      clients.push_back({fd, std::chrono::steady_clock::now() + kClientTimeout, {}, {}, 0});
    } else if (errno == EMFILE || errno == ENFILE) {
      pollfd pause{wake, POLLIN, 0};
      ::poll(&pause, 1, kAcceptPauseMs);
    }
  }

  // Slow clients wait beside each other, none of them in another's way.
  void serve() {
    std::vector<pollfd> wait;
    while (!stop.load()) {
      wait.assign({{wake, POLLIN, 0}, {listener, POLLIN, 0}});
      if (clients.size() >= kClientCountMax) {
        wait[1].events = 0;
      }
      for (const Client& client : clients) {
        wait.push_back({client.fd, static_cast<short>(client.reply.empty() ? POLLIN : POLLOUT), 0});
      }
      if (::poll(wait.data(), wait.size(), wait_ms()) < 0) {
        continue;
      }
      const auto now = std::chrono::steady_clock::now();
      for (size_t i = clients.size(); i-- > 0;) {
        Client& client = clients[i];
        Progress progress = Progress::more;
        if (wait[i + 2].revents != 0) {
          progress = client.reply.empty() ? read_command(client, handler) : send_reply(client);
        }
        if (progress == Progress::finished || client.deadline <= now) {
          ::close(client.fd);
          clients.erase(clients.begin() + static_cast<std::ptrdiff_t>(i));
        }
      }
      if ((wait[1].revents & POLLIN) != 0) {
        accept_one();
      }
    }
  }

  ~Impl() {
    stop.store(true);
    if (thread.joinable()) {
      const uint64_t one = 1;
      [[maybe_unused]] const ssize_t n = ::write(wake, &one, sizeof one);
      thread.join();
    }
    for (const Client& client : clients) {
      ::close(client.fd);
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
  struct stat there{};
  if (::lstat(path.c_str(), &there) == 0 && !S_ISSOCK(there.st_mode)) {
    ::close(listener);
    return fail(ErrorCode::conflict, "{}: is there and is no socket; name another control_socket",
                path);
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
