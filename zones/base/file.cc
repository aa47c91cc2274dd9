// SPDX-License-Identifier: Apache-2.0
#include "zones/base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>

namespace merlon {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) {
      ::close(fd_);
    }
  }
  int get() const { return fd_; }
  // close() can report a late write error, so writers call it and look.
  int close() {
    const int result = ::close(fd_);
    fd_ = -1;
    return result;
  }

 private:
  int fd_;
};

Status sync_directory(const std::string& directory) {
  Descriptor handle(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (handle.get() < 0) {
    return fail_errno(fmt::format("open directory {}", directory), errno);
  }
  if (::fsync(handle.get()) != 0) {
    return fail_errno(fmt::format("fsync directory {}", directory), errno);
  }
  return {};
}

Status write_and_sync(const std::string& path, Bytes bytes, unsigned mode) {
  // What a crashed process of the same id left behind would keep its own permission.
  ::unlink(path.c_str());
  Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (file.get() < 0) {
    return fail_errno(fmt::format("create {}", path), errno);
  }
  size_t written = 0;
  while (written < bytes.size()) {
    const ssize_t n = ::write(file.get(), bytes.data() + written, bytes.size() - written);
    if (n < 0) {
      if (errno == EINTR) {
        continue;
      }
      return fail_errno(fmt::format("write {} at byte {} of {}", path, written, bytes.size()),
                        errno);
    }
    written += static_cast<size_t>(n);
  }
  if (::fsync(file.get()) != 0 || file.close() != 0) {
    return fail_errno(fmt::format("fsync {}", path), errno);
  }
  return {};
}

}  // namespace

Result<std::vector<uint8_t>> read_file(const std::string& path, uint64_t size_max) {
  // O_NONBLOCK: opening a FIFO that nobody writes must fail, not hang.
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) {
    return fail_errno(fmt::format("open {}", path), errno);
  }
  struct stat info{};
  if (::fstat(file.get(), &info) != 0) {
    return fail_errno(fmt::format("stat {}", path), errno);
  }
  if (!S_ISREG(info.st_mode)) {
    return fail(ErrorCode::invalid_argument, "{}: not a regular file", path);
  }
  const uint64_t size = static_cast<uint64_t>(info.st_size);
  if (size > size_max) {
    return fail(ErrorCode::invalid_argument, "{}: {} bytes, more than the limit of {}", path, size,
                size_max);
  }
  std::vector<uint8_t> bytes(size);
  size_t filled = 0;
  while (filled < bytes.size()) {
    const ssize_t n = ::read(file.get(), bytes.data() + filled, bytes.size() - filled);
    if (n < 0) {
      if (errno == EINTR) {
        continue;
      }
      return fail_errno(fmt::format("read {}", path), errno);
    }
    if (n == 0) {
      return fail(ErrorCode::io, "{}: became shorter while it was read ({} of {} bytes)", path,
                  filled, bytes.size());
    }
    filled += static_cast<size_t>(n);
  }
  return bytes;
}

Status write_file_durably(const std::string& path, Bytes bytes, unsigned mode) {
  // The number keeps threads that write the same path apart.
  static std::atomic<uint64_t> number{0};
  const std::string partial =
      fmt::format("{}.partial-{}-{}", path, ::getpid(), number.fetch_add(1));
  if (auto written = write_and_sync(partial, bytes, mode); !written) {
    ::unlink(partial.c_str());
    return written;
  }
  if (::rename(partial.c_str(), path.c_str()) != 0) {
    const int error_number = errno;
    ::unlink(partial.c_str());
    return fail_errno(fmt::format("rename {} to {}", partial, path), error_number);
  }
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return sync_directory(parent.empty() ? "." : parent);
}

Status make_directories(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) {
    return fail(ErrorCode::io, "create directory {}: {}", path, error.message());
  }
  return {};
}

}  // namespace merlon
