// SPDX-License-Identifier: Apache-2.0
// What others bring to us: uploads, and what a program writes into a named pipe.
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <system_error>

#include "controlplane/fetch/descriptor.h"
#include "controlplane/fetch/local.h"
#include "controlplane/fetch/transfer.h"
#include "zones/base/bytes.h"

namespace merlon::fetch {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::string_view kUpload = "upload:";
constexpr milliseconds kWriterWait{500};  // a writer that waits in open() is there at once
constexpr milliseconds kTick{200};
constexpr size_t kPiece = 64 << 10;

std::string upload_path(const FetchRequest& request) {
  return request.directory + "/upload";
}

Status write_whole(int fd, Bytes content) {
  while (!content.empty()) {
    const ssize_t n = ::write(fd, content.data(), content.size());
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n < 0) {
      return fail_errno("write", errno);
    }
    content = content.subspan(static_cast<size_t>(n));
  }
  return ::fsync(fd) == 0 ? Status() : Status(fail_errno("fsync", errno));
}

enum class Ready : uint8_t { data, late, stopped };

Ready wait_for(int fd, steady_clock::time_point until, const FetchRequest& request) {
  while (true) {
    if (request.stop != nullptr && *request.stop) {
      return Ready::stopped;
    }
    const auto left = std::chrono::duration_cast<milliseconds>(until - steady_clock::now());
    if (left.count() <= 0) {
      return Ready::late;
    }
    pollfd poll{.fd = fd, .events = POLLIN, .revents = 0};
    if (::poll(&poll, 1, static_cast<int>(std::min(left, kTick).count())) > 0) {
      return Ready::data;
    }
  }
}

// Until every writer has closed it.
Status read_pipe(int fd, const FetchRequest& request, std::vector<uint8_t>& body) {
  const std::string url = url_for_display(request.url);
  steady_clock::time_point until = steady_clock::now() + kWriterWait;
  const steady_clock::time_point deadline = deadline_of(request);
  while (true) {
    switch (wait_for(fd, std::min(until, deadline), request)) {
      case Ready::stopped:
        return fail(ErrorCode::busy, "fetch {}: given up because we stop", url);
      case Ready::late:
        return body.empty()
                   ? Status()
                   : Status(fail(ErrorCode::io,
                                 "fetch {}: its writer did not close it within {} s; what came is "
                                 "not used",
                                 url, request.timeout_s));
      case Ready::data:
        break;
    }
    const size_t filled = body.size();
    body.resize(filled + kPiece);
    const ssize_t n = ::read(fd, body.data() + filled, kPiece);
    body.resize(filled + (n > 0 ? static_cast<size_t>(n) : 0));
    if (n == 0) {
      return {};
    }
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
      return fail_errno(fmt::format("fetch {}: read", url), errno);
    }
    if (body.size() > request.size_max_bytes) {
      return too_large(url, request.size_max_bytes);
    }
    until = deadline;
  }
}

}  // namespace

Status store_upload(const FetchRequest& request, Bytes content) {
  if (request.url != kUpload) {
    return fail(ErrorCode::invalid_argument,
                "this feed comes from {}; only a feed with the URL \"upload:\" takes content",
                url_for_display(request.url));
  }
  if (content.size() > request.size_max_bytes) {
    return too_large(request.url, request.size_max_bytes);
  }
  if (request.directory.empty()) {
    return fail(ErrorCode::invalid_argument, "uploads have no folder: set state_directory");
  }
  std::error_code error;
  std::filesystem::create_directories(request.directory, error);
  const std::string path = upload_path(request);
  const std::string fresh = path + ".new";
  const Descriptor file(
      ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (error || file.get() < 0) {
    return fail_errno(fmt::format("upload: {}", fresh), error ? error.value() : errno);
  }
  if (auto written = write_whole(file.get(), content); !written) {
    ::unlink(fresh.c_str());
    return in(fresh, written.error());
  }
  if (::rename(fresh.c_str(), path.c_str()) != 0) {
    return fail_errno(fmt::format("upload: {}", path), errno);
  }
  return {};
}

Result<FetchResult> fetch_upload(const FetchRequest& request) {
  if (request.url != kUpload) {
    return fail(ErrorCode::invalid_argument, "fetch {}: an upload's URL is \"upload:\" alone",
                url_for_display(request.url));
  }
  std::error_code ignored;
  if (request.directory.empty() || !std::filesystem::exists(upload_path(request), ignored)) {
    return fail(ErrorCode::not_found,
                "fetch upload: nothing was uploaded yet; merlonctl feed upload ID FILE does it");
  }
  FetchRequest file = request;
  file.url = "file://" + upload_path(request);
  return fetch_at(upload_path(request), file);
}

Result<FetchResult> fetch_pipe(const FetchRequest& request) {
  const Result<std::string> path = path_of(request.url);
  if (!path) {
    return std::unexpected(path.error());
  }
  const std::string url = url_for_display(request.url);
  const Descriptor pipe(::open(path->c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (pipe.get() < 0) {
    return errno == ENOENT ? fail(ErrorCode::not_found, "fetch {}: no such file", url)
                           : fail_errno(fmt::format("fetch {}: open", url), errno);
  }
  struct stat info{};
  if (::fstat(pipe.get(), &info) != 0 || !S_ISFIFO(info.st_mode)) {
    return fail(ErrorCode::invalid_argument,
                "fetch {}: not a FIFO; make one with mkfifo, or use file://", url);
  }
  FetchResult result;
  if (auto read = read_pipe(pipe.get(), request, result.body); !read) {
    return std::unexpected(read.error());
  }
  if (!result.body.empty()) {
    result.etag = fmt::format("\"{}\"", std::time(nullptr));
    return result;
  }
  if (request.etag.empty()) {
    return fail(ErrorCode::not_found, "fetch {}: nobody has written into it yet", url);
  }
  result.outcome = FetchResult::Outcome::not_modified;
  result.etag = request.etag;
  return result;
}

}  // namespace merlon::fetch
