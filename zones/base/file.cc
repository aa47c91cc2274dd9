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

enum class Sync { each, later };

constexpr size_t kWrittenBackEarly = 256 << 10;

Status write_new_file(const std::string& path, Bytes bytes, unsigned mode, Sync sync) {
  // O_EXCL: a file or symbolic link left there by somebody else is neither followed nor reused with
  // its old, perhaps wider, permission.
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
  if (sync == Sync::later && bytes.size() >= kWrittenBackEarly) {
    // A wish: the disk begins now, so the sync that follows has less to wait for.
    ::sync_file_range(file.get(), 0, 0, SYNC_FILE_RANGE_WRITE);
  }
  if ((sync == Sync::each && ::fsync(file.get()) != 0) || file.close() != 0) {
    return fail_errno(fmt::format("fsync {}", path), errno);
  }
  return {};
}

// Above this, one sync of the file system costs less than one per file.
constexpr size_t kSyncedEachMax = 16;

// A number of its own for every call: threads that write one path at once must not share a file.
std::string partial_path(const std::string& path) {
  static std::atomic<uint64_t> calls{0};
  return fmt::format("{}.partial-{}-{}", path, ::getpid(), ++calls);
}

Status sync_file_system(const std::string& directory) {
  Descriptor handle(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (handle.get() < 0) {
    return fail_errno(fmt::format("open directory {}", directory), errno);
  }
  if (::syncfs(handle.get()) != 0) {
    return fail_errno(fmt::format("sync the file system of {}", directory), errno);
  }
  return {};
}

Status rename_file(const std::string& partial, const std::string& path) {
  if (::rename(partial.c_str(), path.c_str()) != 0) {
    const int error_number = errno;
    ::unlink(partial.c_str());
    return fail_errno(fmt::format("rename {} to {}", partial, path), error_number);
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
  const std::string partial = partial_path(path);
  ::unlink(partial.c_str());  // a crashed process may have had the same numbers
  if (auto written = write_new_file(partial, bytes, mode, Sync::each); !written) {
    ::unlink(partial.c_str());
    return written;
  }
  if (auto renamed = rename_file(partial, path); !renamed) {
    return renamed;
  }
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return sync_directory(parent.empty() ? "." : parent);
}

Status write_file_whole(const std::string& path, Bytes bytes) {
  const std::string partial = partial_path(path);
  ::unlink(partial.c_str());
  if (auto written = write_new_file(partial, bytes, 0644, Sync::later); !written) {
    ::unlink(partial.c_str());
    return written;
  }
  return rename_file(partial, path);
}

void forget_cached(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() >= 0) {
    constexpr unsigned kWritten =
        SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
    // An error that the wait meets is also told to the file system's sync.
    ::sync_file_range(file.get(), 0, 0, kWritten);
    ::posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED);
  }
}

Status sync_files(const std::string& directory, std::span<const std::string> paths) {
  if (paths.empty()) {
    return {};
  }
  if (paths.size() > kSyncedEachMax) {
    return sync_file_system(directory);
  }
  for (const std::string& path : paths) {
    Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (file.get() < 0) {
      return fail_errno(fmt::format("open {}", path), errno);
    }
    if (::fsync(file.get()) != 0) {
      return fail_errno(fmt::format("fsync {}", path), errno);
    }
  }
  return sync_directory(directory);
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
