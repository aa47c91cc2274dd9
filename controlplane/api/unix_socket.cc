// SPDX-License-Identifier: Apache-2.0
// Two processes that start at once must not take each other's fresh socket for a stale one (between
// bind and listen it refuses connections like a dead one does), so probing, removing and binding
// happen under an flock on the directory that holds the socket. No lock file stays behind.
#include "controlplane/api/unix_socket.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace merlon::api {
namespace {

constexpr int kBacklog = 128;

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number_ >= 0) {
      ::close(number_);
    }
  }
  int get() const { return number_; }
  int release() { return std::exchange(number_, -1); }

 private:
  int number_;
};

std::unexpected<Error> socket_error(std::string_view what, const std::string& path, int number) {
  Error error = fail_errno(fmt::format("control socket {}: {}", path, what), number).error();
  error.code = ErrorCode::io;
  return std::unexpected(std::move(error));
}

int connect_to(int descriptor, const sockaddr_un& where) {
  return ::connect(descriptor, reinterpret_cast<const sockaddr*>(&where), sizeof where);
}

// Removes what a dead process left at the path.
Status clear_stale(const std::string& path, const sockaddr_un& where) {
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0) {
    return errno == ENOENT ? Status{} : socket_error("look at it", path, errno);
  }
  if (!S_ISSOCK(info.st_mode)) {
    return fail(ErrorCode::conflict,
                "control socket {}: a file that is not a socket is in the way; move it or choose "
                "another path",
                path);
  }
  const Descriptor probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (probe.get() < 0) {
    return socket_error("socket", path, errno);
  }
  // EAGAIN is a full backlog: somebody lives there and is busy.
  if (connect_to(probe.get(), where) == 0 || errno == EAGAIN || errno == EINPROGRESS) {
    return fail(ErrorCode::conflict,
                "another control plane is running on {}; stop it or choose another socket path",
                path);
  }
  if (errno != ECONNREFUSED) {
    return socket_error("ask who answers on it", path, errno);
  }
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    return socket_error("remove the stale socket", path, errno);
  }
  return {};
}

Result<int> bind_and_listen(const std::string& path, const sockaddr_un& where, unsigned mode) {
  Descriptor listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (listener.get() < 0) {
    return socket_error("socket", path, errno);
  }
  if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&where), sizeof where) != 0) {
    return socket_error("bind", path, errno);
  }
  // Before listen() every connection is refused, so the mode is right before anybody gets in.
  if (::chmod(path.c_str(), mode) != 0 || ::listen(listener.get(), kBacklog) != 0) {
    const int error_number = errno;
    ::unlink(path.c_str());
    return socket_error("set its mode and listen", path, error_number);
  }
  return listener.release();
}

}  // namespace

Result<UnixListener> UnixListener::open(const std::string& path, unsigned mode) {
  sockaddr_un where{};
  where.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof where.sun_path ||
      path.find('\0') != std::string::npos) {
    return fail(ErrorCode::invalid_argument,
                "control socket \"{}\": the path must have 1 to {} bytes; choose a shorter one",
                path, sizeof where.sun_path - 1);
  }
  std::memcpy(where.sun_path, path.data(), path.size());

  std::string directory = std::filesystem::path(path).parent_path().string();
  if (directory.empty()) {
    directory = ".";
  }
  const Descriptor lock(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (lock.get() < 0 || ::flock(lock.get(), LOCK_EX) != 0) {
    return socket_error(fmt::format("lock its directory {}", directory), path, errno);
  }
  const Status cleared = clear_stale(path, where);
  if (!cleared) {
    return std::unexpected(cleared.error());
  }
  const Result<int> descriptor = bind_and_listen(path, where, mode);
  if (!descriptor) {
    return std::unexpected(descriptor.error());
  }
  return UnixListener(path, *descriptor);
}

UnixListener::UnixListener(std::string path, int descriptor)
    : path_(std::move(path)), descriptor_(descriptor) {
  struct stat info{};
  if (::lstat(path_.c_str(), &info) == 0) {
    device_ = info.st_dev;
    inode_ = info.st_ino;
  }
}

UnixListener::UnixListener(UnixListener&& other) noexcept
    : path_(std::exchange(other.path_, std::string())),
      descriptor_(std::exchange(other.descriptor_, -1)),
      device_(other.device_),
      inode_(other.inode_) {}

UnixListener::~UnixListener() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
  }
  struct stat info{};
  if (!path_.empty() && ::lstat(path_.c_str(), &info) == 0 && info.st_dev == device_ &&
      info.st_ino == inode_) {
    ::unlink(path_.c_str());
  }
}

int UnixListener::release() {
  return std::exchange(descriptor_, -1);
}

void end_reading_of_clients(const std::string& path) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", error)) {
    const int descriptor = std::atoi(entry.path().filename().c_str());
    sockaddr_un own{};
    socklen_t size = sizeof own;
    int listening = 0;
    socklen_t listening_size = sizeof listening;
    // An accepted connection has the listener's name.
    if (::getsockname(descriptor, reinterpret_cast<sockaddr*>(&own), &size) == 0 &&
        own.sun_family == AF_UNIX && path == std::string_view(own.sun_path) &&
        ::getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listening, &listening_size) == 0 &&
        listening == 0) {
      ::shutdown(descriptor, SHUT_RD);
    }
  }
}

}  // namespace merlon::api
