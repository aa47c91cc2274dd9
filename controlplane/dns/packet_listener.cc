// SPDX-License-Identifier: Apache-2.0
#include "controlplane/dns/packet_listener.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

namespace merlon::dns {
namespace {

constexpr int kBacklog = 16;

std::unexpected<Error> socket_error(std::string_view what, const std::string& path,
                                    int error_number) {
  return fail_errno(fmt::format("slow_path_socket {}: {}", path, what), error_number);
}

Fd packet_socket() {
  return Fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

const sockaddr* generic(const sockaddr_un& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

// Removes what a dead process left at the path.
Status clear_stale(const std::string& path, const sockaddr_un& address) {
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0) {
    return errno == ENOENT ? Status{} : socket_error("look at it", path, errno);
  }
  if (!S_ISSOCK(info.st_mode)) {
    return fail(ErrorCode::conflict,
                "slow_path_socket {}: a file that is not a socket is in the way; move it or choose "
                "another path",
                path);
  }
  const Fd probe = packet_socket();
  const bool refused =
      ::connect(probe.get(), generic(address), sizeof address) != 0 && errno == ECONNREFUSED;
  if (!refused) {  // EAGAIN is a full backlog, EPROTOTYPE another kind of socket: somebody lives
    return fail(ErrorCode::conflict,
                "slow_path_socket {}: another process listens there; stop it or choose another "
                "path",
                path);
  }
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    return socket_error("remove the stale socket", path, errno);
  }
  return {};
}

}  // namespace

Result<PacketListener> PacketListener::open(const std::string& path, mode_t mode) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return fail(ErrorCode::invalid_argument,
                "slow_path_socket \"{}\": a Unix socket path has 1 to {} bytes; choose a shorter "
                "one",
                path, sizeof address.sun_path - 1);
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  // Two that start at once do not remove each other's.
  const std::string parent = std::filesystem::path(path).parent_path().string();
  const Fd directory(
      ::open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid() || ::flock(directory.get(), LOCK_EX) != 0) {
    return socket_error("lock its directory", path, errno);
  }
  if (auto cleared = clear_stale(path, address); !cleared) {
    return std::unexpected(cleared.error());
  }
  Fd listener = packet_socket();
  if (!listener.valid() || ::bind(listener.get(), generic(address), sizeof address) != 0) {
    return socket_error("bind", path, errno);
  }
  // Before listen() every connection is refused, so the mode is right before anybody gets in.
  if (::chmod(path.c_str(), mode) != 0 || ::listen(listener.get(), kBacklog) != 0) {
    const int error_number = errno;
    ::unlink(path.c_str());
    return socket_error("set its mode and listen", path, error_number);
  }
  return PacketListener(std::move(listener), path);
}

PacketListener::PacketListener(Fd fd, std::string path)
    : fd_(std::move(fd)), path_(std::move(path)) {
  struct stat info{};
  if (::lstat(path_.c_str(), &info) == 0) {
    device_ = info.st_dev;
    inode_ = info.st_ino;
  }
}

PacketListener::PacketListener(PacketListener&& other) noexcept
    : fd_(std::move(other.fd_)),
      path_(std::exchange(other.path_, std::string())),
      device_(other.device_),
      inode_(other.inode_) {}

PacketListener::~PacketListener() {
  struct stat info{};
  if (!path_.empty() && ::lstat(path_.c_str(), &info) == 0 && info.st_dev == device_ &&
      info.st_ino == inode_) {
    ::unlink(path_.c_str());
  }
}

Fd PacketListener::accept() const {
  return Fd(::accept4(fd_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

}  // namespace merlon::dns
