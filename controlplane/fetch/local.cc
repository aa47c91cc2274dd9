// SPDX-License-Identifier: Apache-2.0
#include "controlplane/fetch/local.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include "controlplane/feeds/decode.h"
#include "controlplane/fetch/descriptor.h"
#include "controlplane/fetch/transfer.h"
#include "zones/base/bytes.h"

namespace merlon::fetch {
namespace {

using Outcome = FetchResult::Outcome;
constexpr size_t kFilesMax = 10'000;
constexpr std::string_view kUnfinished[] = {"~", ".tmp", ".new", ".part"};

Status read_all(int fd, uint64_t size_max, const std::string& url, std::vector<uint8_t>& body) {
  size_t filled = 0;
  while (true) {
    if (filled == body.size()) {
      if (filled > size_max) {
        return too_large(url, size_max);
      }
      body.resize(filled + (64 << 10));  // the file grows while we read it
    }
    const ssize_t n = ::read(fd, body.data() + filled, body.size() - filled);
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n < 0) {
      return fail_errno(fmt::format("fetch {}: read", url), errno);
    }
    if (n == 0) {
      body.resize(filled);
      return filled > size_max ? Status(too_large(url, size_max)) : Status();
    }
    filled += static_cast<size_t>(n);
  }
}

// The inode and its change time, too: kernels stamp files by the tick (4 ms and more), so a file
// that replaces one of the same size at once may have the same modification time.
std::string identity_of(const struct stat& info) {
  return fmt::format("{}-{}.{:09}-{}.{:09}-{}", info.st_size, info.st_mtim.tv_sec,
                     info.st_mtim.tv_nsec, info.st_ctim.tv_sec, info.st_ctim.tv_nsec, info.st_ino);
}

Result<FetchResult> read_one(const std::string& path, const FetchRequest& request) {
  const std::string url = url_for_display(request.url);
  // Non-blocking, so that a FIFO without a writer does not hold us before we can refuse it.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) {
    return errno == ENOENT ? fail(ErrorCode::not_found, "fetch {}: no such file", url)
                           : fail_errno(fmt::format("fetch {}: open", url), errno);
  }
  struct stat info{};
  if (::fstat(file.get(), &info) != 0) {
    return fail_errno(fmt::format("fetch {}: stat", url), errno);
  }
  if (!S_ISREG(info.st_mode)) {
    return fail(ErrorCode::invalid_argument, "fetch {}: not a regular file but a {}; name a file",
                url,
                S_ISDIR(info.st_mode)    ? "directory"
                : S_ISFIFO(info.st_mode) ? "FIFO"
                                         : "device");
  }
  FetchResult result;
  result.etag = fmt::format("\"{}\"", identity_of(info));
  if (!request.etag.empty() && request.etag == result.etag) {
    result.outcome = Outcome::not_modified;
    return result;
  }
  const auto size = static_cast<uint64_t>(info.st_size);
  if (size > request.size_max_bytes) {
    return too_large(url, request.size_max_bytes);
  }
  result.memory = MemoryBudget::Share(request.memory);
  if (result.memory.grow_to(size, request.stop) == MemoryBudget::Share::Grown::stopped) {
    return fail(ErrorCode::busy, "fetch {}: given up because we stop", url);
  }
  result.body.resize(static_cast<size_t>(size) + 1);  // one more, to see the end in one read
  const Status read = read_all(file.get(), request.size_max_bytes, url, result.body);
  if (!read) {
    return std::unexpected(read.error());
  }
  return result;
}

Result<std::vector<std::string>> files_of(const std::string& folder, const std::string& url) {
  std::vector<std::string> files;
  std::error_code error;
  for (std::filesystem::directory_iterator item(folder, error), end; !error && item != end;
       item.increment(error)) {
    const std::string name = item->path().filename().string();
    const bool unfinished =
        name.starts_with('.') ||
        std::any_of(std::begin(kUnfinished), std::end(kUnfinished),
                    [&](std::string_view tail) { return name.ends_with(tail); });
    std::error_code ignored;
    if (!unfinished && item->is_regular_file(ignored)) {
      files.push_back(item->path().string());
    }
    if (files.size() > kFilesMax) {
      return fail(ErrorCode::invalid_argument, "fetch {}: more than {} files", url, kFilesMax);
    }
  }
  if (error) {
    const bool missing = error == std::errc::no_such_file_or_directory;
    return fail(missing ? ErrorCode::not_found : ErrorCode::io, "fetch {}: {}", url,
                missing ? "no such folder" : error.message());
  }
  std::sort(files.begin(), files.end());
  return files;
}

Result<FetchResult> read_folder(const std::string& folder, const FetchRequest& request) {
  const std::string url = url_for_display(request.url);
  const auto files = files_of(folder, url);
  if (!files) {
    return std::unexpected(files.error());
  }
  FetchResult result;
  uint64_t digest = 0xcbf29ce484222325;  // FNV-1a over names and identities
  for (const std::string& file : *files) {
    struct stat info{};
    const bool seen = ::stat(file.c_str(), &info) == 0;
    for (const char c : file + (seen ? identity_of(info) : std::string())) {
      digest = (digest ^ static_cast<uint8_t>(c)) * 0x100000001b3;
    }
  }
  result.etag = fmt::format("\"{}-{:016x}\"", files->size(), digest);
  if (!request.etag.empty() && request.etag == result.etag) {
    result.outcome = Outcome::not_modified;
    return result;
  }
  std::string text;
  for (const std::string& file : *files) {
    FetchRequest one = request;
    one.etag.clear();
    const auto content = read_one(file, one);
    if (!content) {
      return std::unexpected(content.error());
    }
    const Status added = append_part(content->body, request.size_max_bytes, url, text);
    if (!added) {
      return in(file, added.error());
    }
  }
  result.body.assign(text.begin(), text.end());
  return result;
}

}  // namespace

Result<FetchResult> fetch_at(const std::string& path, const FetchRequest& request) {
  return path.ends_with('/') ? read_folder(path, request) : read_one(path, request);
}

Result<std::string> path_of(const std::string& url) {
  const std::string_view text = std::string_view(url).substr(url.find("://") + 3);
  if (!text.starts_with('/')) {
    return fail(ErrorCode::invalid_argument,
                "fetch {}: it has three slashes and an absolute path: {}:///path",
                url_for_display(url), url.substr(0, url.find(':')));
  }
  std::string path;
  for (size_t i = 0; i < text.size(); ++i) {
    std::array<uint8_t, 1> byte{};
    if (text[i] == '%' && from_hex(text.substr(i + 1, 2), byte)) {
      path.push_back(static_cast<char>(byte[0]));
      i += 2;
    } else {
      path.push_back(text[i]);
    }
  }
  if (path.find('\0') != std::string::npos) {
    return fail(ErrorCode::invalid_argument, "fetch {}: NUL in a path", url_for_display(url));
  }
  return path;
}

Status append_part(Bytes part, uint64_t size_max, const std::string& url, std::string& text) {
  const auto decoded = feeds::decode(part, {.size_max_bytes = size_max});
  if (!decoded) {
    return std::unexpected(decoded.error());
  }
  const std::string_view more = decoded->text();
  if (more.size() + 1 > size_max - std::min<uint64_t>(size_max, text.size())) {
    return too_large(url, size_max);
  }
  text += more;
  if (!text.empty() && text.back() != '\n') {
    text.push_back('\n');
  }
  return {};
}

Result<FetchResult> fetch_file(const FetchRequest& request) {
  const Result<std::string> path = path_of(request.url);
  if (!path) {
    return std::unexpected(path.error());
  }
  return fetch_at(*path, request);
}

}  // namespace merlon::fetch
