// SPDX-License-Identifier: Apache-2.0
#include "controlplane/coordinator/zone_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cerrno>
#include <cstring>

#include "zones/base/bytes.h"
#include "zones/base/file.h"

namespace merlon::coordinator {
namespace {

// magic | per record: checksum(8) key size(4) content size(4) key content. The checksum covers what
// follows it.
constexpr std::string_view kMagic = "merlon-zone-log 1\n";
constexpr size_t kHeadSize = 16;
constexpr uint64_t kFileSizeMax = uint64_t{4} << 30;

template <class Number>
void append_number(Number number, std::string& out) {
  char bytes[sizeof number];
  std::memcpy(bytes, &number, sizeof number);
  out.append(bytes, sizeof number);
}

template <class Number>
Number number_at(std::string_view text, size_t at) {
  Number number;
  std::memcpy(&number, text.data() + at, sizeof number);
  return number;
}

void append_record(std::string_view key, std::string_view content, std::string& out) {
  const size_t at = out.size();
  append_number(uint64_t{0}, out);
  append_number(static_cast<uint32_t>(key.size()), out);
  append_number(static_cast<uint32_t>(content.size()), out);
  out += key;
  out += content;
  const uint64_t checksum = XXH3_64bits(out.data() + at + 8, out.size() - at - 8);
  std::memcpy(out.data() + at, &checksum, sizeof checksum);
}

struct File {
  int fd = -1;
  ~File() {
    if (fd >= 0) {
      ::close(fd);
    }
  }
};

}  // namespace

Result<std::map<std::string, std::string>> ZoneLog::load() {
  std::map<std::string, std::string> content;
  size_of_.clear();
  file_size_ = live_size_ = dead_size_ = 0;
  if (path_.empty()) {
    return content;
  }
  const auto bytes = read_file(path_, kFileSizeMax);
  if (!bytes) {
    if (bytes.error().code == ErrorCode::not_found) {
      return content;
    }
    return std::unexpected(bytes.error());
  }
  std::string_view rest = as_text(*bytes);
  if (!rest.starts_with(kMagic)) {
    return content;  // append() begins it anew
  }
  rest.remove_prefix(kMagic.size());
  file_size_ = kMagic.size();
  while (rest.size() >= kHeadSize) {
    const uint64_t key_size = number_at<uint32_t>(rest, 8);
    const uint64_t content_size = number_at<uint32_t>(rest, 12);
    const uint64_t size = kHeadSize + key_size + content_size;
    if (size > rest.size() ||
        XXH3_64bits(rest.data() + 8, size - 8) != number_at<uint64_t>(rest, 0)) {
      break;
    }
    const std::string key(rest.substr(kHeadSize, key_size));
    if (content_size == 0) {
      content.erase(key);
    } else {
      content[key] = rest.substr(kHeadSize + key_size, content_size);
    }
    count(key, content_size == 0 ? 0 : size);
    file_size_ += size;
    rest.remove_prefix(size);
  }
  return content;
}

void ZoneLog::count(const std::string& key, uint64_t size) {
  uint64_t& before = size_of_[key];
  dead_size_ += before;
  live_size_ += size - before;
  before = size;
}

Status ZoneLog::append(const std::vector<Record>& records) {
  if (path_.empty() || records.empty()) {
    return {};
  }
  std::string text;
  if (file_size_ == 0) {
    text = kMagic;
  }
  for (const auto& [key, content] : records) {
    const size_t before = text.size();
    append_record(key, content, text);
    count(key, content.empty() ? 0 : text.size() - before);
  }
  File file{::open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600)};
  // Behind what was read whole: what a killed process left half goes.
  if (file.fd < 0 || ::ftruncate(file.fd, static_cast<off_t>(file_size_)) != 0) {
    return fail_errno(fmt::format("open {}", path_), errno);
  }
  for (size_t done = 0; done < text.size();) {
    const ssize_t n = ::pwrite(file.fd, text.data() + done, text.size() - done,
                               static_cast<off_t>(file_size_ + done));
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n < 0) {
      return fail_errno(fmt::format("write {}", path_), errno);  // the next append() cuts it off
    }
    done += static_cast<size_t>(n);
  }
  file_size_ += text.size();
  return {};
}

Status ZoneLog::rewrite(const std::map<std::string, std::string>& content) {
  if (path_.empty()) {
    return {};
  }
  std::string text(kMagic);
  size_of_.clear();
  live_size_ = dead_size_ = 0;
  for (const auto& [key, one] : content) {
    const size_t before = text.size();
    append_record(key, one, text);
    count(key, text.size() - before);
  }
  if (auto written = write_file_durably(path_, as_bytes(text), 0600); !written) {
    return written;
  }
  file_size_ = text.size();
  return {};
}

}  // namespace merlon::coordinator
