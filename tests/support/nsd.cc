// SPDX-License-Identifier: Apache-2.0
#include "tests/support/nsd.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <thread>
#include <utility>

#include "zones/base/file.h"

extern char** environ;

namespace merlon::tests {
namespace {

constexpr const char* kNsd = "/usr/sbin/nsd";

sockaddr_in loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

const sockaddr* generic(const sockaddr_in& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

}  // namespace

Result<Process> Process::start(const std::vector<std::string>& command, const std::string& log) {
  std::vector<std::string> words = command;
  std::vector<char*> arguments;
  for (std::string& word : words) {
    arguments.push_back(word.data());
  }
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  ::posix_spawn_file_actions_adddup2(&actions, 1, 2);
  pid_t pid = -1;
  const int error = ::posix_spawn(&pid, arguments[0], &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    return fail_errno(command[0], error);
  }
  return Process(pid);
}

Process::Process(Process&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}

Process::~Process() {
  if (pid_ > 0) {
    ::kill(pid_, SIGTERM);
    ::waitpid(pid_, nullptr, 0);
  }
}

bool Process::is_running() const {
  return ::kill(pid_, 0) == 0 && ::waitpid(pid_, nullptr, WNOHANG) == 0;
}

uint16_t free_port() {
  for (int tries = 0; tries < 100; ++tries) {
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    const int tcp = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int udp = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool good = ::bind(tcp, generic(address), size) == 0 &&
                ::getsockname(tcp, reinterpret_cast<sockaddr*>(&address), &size) == 0;
    good = good && ::bind(udp, generic(address), size) == 0;
    ::close(tcp);
    ::close(udp);
    if (good) {
      return ntohs(address.sin_port);
    }
  }
  return 0;
}

Result<std::unique_ptr<Connection>> Connection::open(uint16_t port, int wait_ms) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(wait_ms);
  for (;;) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = loopback(port);
    if (::connect(fd, generic(address), sizeof address) == 0) {
      const timeval limit{.tv_sec = 20, .tv_usec = 0};
      const int on = 1;
      ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      return std::unique_ptr<Connection>(new Connection(fd));
    }
    const int error = errno;
    ::close(fd);
    if (std::chrono::steady_clock::now() > deadline) {
      return fail_errno(fmt::format("connect to port {}", port), error);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

Connection::~Connection() {
  ::close(fd_);
}

bool Connection::read_all(uint8_t* to, size_t size) const {
  while (size > 0) {
    const ssize_t got = ::recv(fd_, to, size, 0);
    if (got <= 0) {
      return false;
    }
    to += got;
    size -= static_cast<size_t>(got);
  }
  return true;
}

Result<std::vector<std::vector<uint8_t>>> Connection::ask(
    const std::vector<std::vector<uint8_t>>& queries) {
  std::vector<uint8_t> out;
  for (const std::vector<uint8_t>& query : queries) {
    out.push_back(static_cast<uint8_t>(query.size() >> 8));
    out.push_back(static_cast<uint8_t>(query.size()));
    out.insert(out.end(), query.begin(), query.end());
  }
  if (::send(fd_, out.data(), out.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(out.size())) {
    return fail_errno("send", errno);
  }
  std::vector<std::vector<uint8_t>> answers;
  for (const std::vector<uint8_t>& query : queries) {
    uint8_t head[2];
    if (!read_all(head, sizeof head)) {
      return fail(ErrorCode::io, "the server closed, or was silent for 20 s");
    }
    std::vector<uint8_t> answer(load_be16(head));
    if (!read_all(answer.data(), answer.size()) || answer.size() < 12 || answer[0] != query[0] ||
        answer[1] != query[1]) {
      return fail(ErrorCode::io, "an answer to something else");
    }
    answers.push_back(std::move(answer));
  }
  return answers;
}

Result<Nsd> start_nsd(const std::string& directory, const std::vector<ZoneFile>& zones) {
  if (::access(kNsd, X_OK) != 0) {
    return fail(ErrorCode::not_found, "{} is not there; tools/setup test installs it", kNsd);
  }
  const uint16_t port = free_port();
  std::string config = fmt::format(
      "server:\n  ip-address: 127.0.0.1@{0}\n  server-count: 1\n  username: \"\"\n"
      "  zonesdir: \"/\"\n  database: \"\"\n  pidfile: \"\"\n  zonelistfile: \"{1}/zonelist\"\n"
      "  xfrdfile: \"{1}/xfrd\"\n  xfrdir: \"{1}\"\n  logfile: \"{1}/nsd.log\"\n"
      "  minimal-responses: yes\n  confine-to-zone: no\n  round-robin: no\n"
      "  tcp-timeout: 600\n  tcp-query-count: 0\n  rrl-ratelimit: 0\n"
      "remote-control:\n  control-enable: no\n",
      port, directory);
  for (const ZoneFile& zone : zones) {
    config +=
        fmt::format("zone:\n  name: \"{}\"\n  zonefile: \"{}\"\n  provide-xfr: 127.0.0.1 NOKEY\n",
                    zone.apex.to_text(), zone.path);
  }
  const std::string path = directory + "/nsd.conf";
  if (auto written = write_file_durably(path, as_bytes(config)); !written) {
    return std::unexpected(written.error());
  }
  auto process = Process::start({kNsd, "-d", "-c", path}, directory + "/nsd.out");
  if (!process) {
    return std::unexpected(process.error());
  }
  return Nsd{std::move(*process), port};
}

}  // namespace merlon::tests
