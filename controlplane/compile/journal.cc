// SPDX-License-Identifier: Apache-2.0
#include "controlplane/compile/journal.h"

#include <fcntl.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>

#include "zones/base/assert.h"
#include "zones/base/file.h"

namespace merlon::compile {
namespace {

constexpr uint32_t kMagic = 0x314a4c4d;  // "MLJ1"
constexpr std::string_view kSuffix = ".journal";
constexpr uint64_t kReadSizeMax = uint64_t{16} << 30;

struct EntryHeader {
  Le32 magic;
  Le32 payload_size;
  Le32 serial_from;
  Le32 serial_to;
  Le64 time_s;
  Le64 zone_size;
  Le64 payload_checksum;
  uint8_t apex_size = 0;
  uint8_t reserved[7] = {};
  Le64 checksum;  // of the header before it, and the apex
};
static_assert(sizeof(EntryHeader) == 56 && alignof(EntryHeader) == 1);
constexpr size_t kCheckedSize = offsetof(EntryHeader, checksum);

uint64_t checksum_of(const EntryHeader& header, Bytes apex) {
  uint8_t bytes[kCheckedSize + name::kWireSizeMax];
  std::memcpy(bytes, &header, kCheckedSize);
  std::ranges::copy(apex, bytes + kCheckedSize);
  return XXH3_64bits(bytes, kCheckedSize + apex.size());
}

void put_entry(std::vector<uint8_t>& out, const JournalEntry& entry, Bytes apex, int64_t now_s) {
  EntryHeader header;
  header.magic = kMagic;
  header.payload_size = static_cast<uint32_t>(entry.payload.size());
  header.serial_from = entry.serial_from;
  header.serial_to = entry.serial_to;
  header.time_s = static_cast<uint64_t>(now_s);
  header.zone_size = entry.zone_size;
  header.payload_checksum = XXH3_64bits(entry.payload.data(), entry.payload.size());
  header.apex_size = static_cast<uint8_t>(apex.size());
  header.checksum = checksum_of(header, apex);
  const auto* bytes = reinterpret_cast<const uint8_t*>(&header);
  out.insert(out.end(), bytes, bytes + sizeof header);
  out.insert(out.end(), apex.begin(), apex.end());
  out.insert(out.end(), entry.payload.begin(), entry.payload.end());
}

std::string zone_of(const name::Name& apex) {
  return std::string(as_text(apex.folded().wire()));
}

Status sync_directory(const std::string& directory) {
  const int handle = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (handle < 0) {
    return fail_errno(fmt::format("open directory {}", directory), errno);
  }
  const int result = ::fsync(handle);
  const int error_number = errno;
  ::close(handle);
  return result == 0 ? Status() : fail_errno(fmt::format("fsync {}", directory), error_number);
}

}  // namespace

// A file of the journal. It stays open, so that a chain can be read while the file is removed.
class Journal::File {
 public:
  File(std::string path, int fd, uint64_t size) : path_(std::move(path)), fd_(fd), size_(size) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() { ::close(fd_); }

  const std::string& path() const { return path_; }
  uint64_t size() const { return size_; }

  // All or nothing.
  Status append(Bytes bytes) {
    size_t written = 0;
    while (written < bytes.size()) {
      const ssize_t n = ::pwrite(fd_, bytes.data() + written, bytes.size() - written,
                                 static_cast<off_t>(size_ + written));
      if (n < 0 && errno == EINTR) {
        continue;
      }
      if (n <= 0) {
        return take_back(errno);
      }
      written += static_cast<size_t>(n);
    }
    if (::fdatasync(fd_) != 0) {
      return take_back(errno);
    }
    size_ += bytes.size();
    return {};
  }

  Result<std::vector<uint8_t>> read(uint64_t offset, size_t size) const {
    std::vector<uint8_t> bytes(size);
    size_t got = 0;
    while (got < size) {
      const ssize_t n =
          ::pread(fd_, bytes.data() + got, size - got, static_cast<off_t>(offset + got));
      if (n < 0 && errno == EINTR) {
        continue;
      }
      if (n < 0) {
        return fail_errno(fmt::format("read {}", path_), errno);
      }
      if (n == 0) {
        return fail(ErrorCode::corruption, "{} ends before offset {}", path_, offset + size);
      }
      got += static_cast<size_t>(n);
    }
    return bytes;
  }

  Status cut(uint64_t size) {
    if (::ftruncate(fd_, static_cast<off_t>(size)) != 0 || ::fsync(fd_) != 0) {
      return fail_errno(fmt::format("cut off the end of {}", path_), errno);
    }
    size_ = size;
    return {};
  }

  uint64_t used = 0;  // places that chains have in it

 private:
  Status take_back(int error_number) {
    // What cannot be cut off is overwritten by the next entry, or cut off by the next open().
    [[maybe_unused]] const int result = ::ftruncate(fd_, static_cast<off_t>(size_));
    return fail_errno(fmt::format("write {}", path_), error_number);
  }

  std::string path_;
  int fd_;
  uint64_t size_;
};

Result<std::unique_ptr<Journal>> Journal::open(const JournalSettings& settings, int64_t now_s) {
  std::unique_ptr<Journal> journal(new Journal(settings));
  if (auto made = make_directories(settings.directory); !made) {
    return in("journal", made.error());
  }
  if (auto read = journal->read_files(); !read) {
    return in("journal", read.error());
  }
  journal->drop_old(now_s);
  journal->drop_files();
  return journal;
}

Status Journal::read_files() {
  std::error_code error;
  std::map<uint64_t, std::string> found;
  for (std::filesystem::directory_iterator at(settings_.directory, error), end; !error && at != end;
       at.increment(error)) {
    const std::string name = at->path().filename().string();
    uint64_t number = 0;
    const auto parsed = std::from_chars(name.data(), name.data() + name.size(), number);
    if (parsed.ec == std::errc() && std::string_view(parsed.ptr) == kSuffix) {
      found.emplace(number, at->path().string());
    }
  }
  if (error) {
    return fail(ErrorCode::io, "read directory {}: {}", settings_.directory, error.message());
  }
  for (const auto& [number, path] : found) {
    if (auto read = read_file(path, number); !read) {
      return read;
    }
    next_number_ = number + 1;
  }
  return {};
}

Status Journal::read_file(const std::string& path, uint64_t number) {
  const auto bytes = merlon::read_file(path, kReadSizeMax);
  if (!bytes) {
    return std::unexpected(bytes.error());
  }
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) {
    return fail_errno(fmt::format("open {}", path), errno);
  }
  const auto file = std::make_shared<File>(path, fd, bytes->size());
  files_.emplace(number, file);
  const Bytes all(*bytes);
  size_t at = 0;
  while (all.size() - at >= sizeof(EntryHeader)) {
    EntryHeader header;
    std::memcpy(&header, all.data() + at, sizeof header);
    const size_t payload_at = at + sizeof header + header.apex_size;
    if (header.magic != kMagic || payload_at > all.size() ||
        header.payload_size > all.size() - payload_at) {
      break;
    }
    const Bytes apex = all.subspan(at + sizeof header, header.apex_size);
    const Bytes payload = all.subspan(payload_at, header.payload_size);
    if (header.checksum != checksum_of(header, apex)) {
      break;
    }
    at = payload_at + payload.size();
    if (header.payload_checksum != XXH3_64bits(payload.data(), payload.size())) {
      notes_.push_back(
          fmt::format("{}: the entry at offset {} is damaged and left out", path, payload_at));
      continue;
    }
    admit(std::string(as_text(apex)),
          {.file = file,
           .offset = payload_at,
           .size = header.payload_size,
           .serial_from = header.serial_from,
           .serial_to = header.serial_to,
           .checksum = header.payload_checksum,
           .time_s = static_cast<int64_t>(uint64_t{header.time_s})},
          header.zone_size);
  }
  if (at < all.size()) {
    notes_.push_back(
        fmt::format("{}: the last {} bytes are torn and cut off", path, all.size() - at));
    return file->cut(at);
  }
  return {};
}

Status Journal::begin_file() {
  const std::string path = fmt::format("{}/{:010}{}", settings_.directory, next_number_, kSuffix);
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
  if (fd < 0) {
    return fail_errno(fmt::format("create {}", path), errno);
  }
  current_ = std::make_shared<File>(path, fd, 0);
  files_.emplace(next_number_++, current_);
  return sync_directory(settings_.directory);
}

Status Journal::append(std::span<const JournalEntry> entries, int64_t now_s) {
  struct Written {
    std::string zone;
    const JournalEntry* entry;
    uint64_t offset;  // of the payload within what is written
  };
  std::vector<uint8_t> bytes;
  std::vector<Written> written;
  const std::lock_guard lock(mutex_);
  for (const JournalEntry& entry : entries) {
    std::string zone = zone_of(entry.apex);
    if (entry.payload.size() > entry.zone_size || entry.payload.size() > UINT32_MAX) {
      written.push_back({std::move(zone), nullptr, 0});
      continue;
    }
    put_entry(bytes, entry, as_bytes(zone), now_s);
    written.push_back({std::move(zone), &entry, bytes.size() - entry.payload.size()});
  }
  uint64_t start = 0;
  if (!bytes.empty()) {
    if (current_ == nullptr || current_->size() >= settings_.file_size_max) {
      if (auto begun = begin_file(); !begun) {
        return in("journal", begun.error());
      }
    }
    start = current_->size();
    if (auto done = current_->append(bytes); !done) {
      current_.reset();  // what is behind its end is not known: a new file is begun
      return in("journal", done.error());
    }
  }
  for (const Written& one : written) {
    if (one.entry == nullptr) {
      drop_all(chains_[one.zone]);
      continue;
    }
    const Bytes payload = one.entry->payload;
    admit(one.zone,
          {.file = current_,
           .offset = start + one.offset,
           .size = static_cast<uint32_t>(payload.size()),
           .serial_from = one.entry->serial_from,
           .serial_to = one.entry->serial_to,
           .checksum = XXH3_64bits(payload.data(), payload.size()),
           .time_s = now_s},
          one.entry->zone_size);
  }
  drop_old(now_s);
  drop_files();
  return {};
}

void Journal::admit(const std::string& zone, Place place, uint64_t zone_size) {
  Chain& chain = chains_[zone];
  if (!chain.places.empty() && chain.places.back().serial_to != place.serial_from) {
    drop_all(chain);
  }
  ++place.file->used;
  chain.bytes += place.size;
  chain.places.push_back(std::move(place));
  while (chain.bytes > zone_size && !chain.places.empty()) {
    drop_first(chain);
  }
}

void Journal::drop_first(Chain& chain) {
  const Place& place = chain.places.front();
  --place.file->used;
  chain.bytes -= place.size;
  chain.places.pop_front();
}

void Journal::drop_all(Chain& chain) {
  while (!chain.places.empty()) {
    drop_first(chain);
  }
}

void Journal::drop_old(int64_t now_s) {
  for (auto at = chains_.begin(); at != chains_.end();) {
    Chain& chain = at->second;
    while (!chain.places.empty() && now_s - chain.places.front().time_s > settings_.age_max_s) {
      drop_first(chain);
    }
    at = chain.places.empty() ? chains_.erase(at) : std::next(at);
  }
}

void Journal::drop_files() {
  uint64_t bytes = 0;
  for (const auto& [number, file] : files_) {
    bytes += file->size();
  }
  for (auto at = files_.begin(); at != files_.end();) {
    const std::shared_ptr<File> file = at->second;
    if (file == current_ || (file->used > 0 && bytes <= settings_.size_max)) {
      ++at;
      continue;
    }
    // Of each chain it has the beginning: the files before are gone.
    for (auto& [zone, chain] : chains_) {
      while (!chain.places.empty() && chain.places.front().file == file) {
        drop_first(chain);
      }
    }
    MERLON_ASSERT(file->used == 0);
    // One that cannot be removed is found again by the next open().
    ::unlink(file->path().c_str());
    bytes -= file->size();
    at = files_.erase(at);
  }
}

Result<std::vector<std::vector<uint8_t>>> Journal::chain(const name::Name& apex,
                                                         uint32_t serial_from,
                                                         uint32_t serial_to) const {
  std::vector<Place> places;
  if (serial_from != serial_to) {
    const std::lock_guard lock(mutex_);
    const auto at = chains_.find(zone_of(apex));
    // The last entry from that serial, should a serial have come back.
    const std::deque<Place> none;
    const std::deque<Place>& all = at == chains_.end() ? none : at->second.places;
    const auto first =
        std::ranges::find(all.rbegin(), all.rend(), serial_from, &Place::serial_from);
    if (first == all.rend() || all.back().serial_to != serial_to) {
      return fail(ErrorCode::not_found, "zone {} has no differences from serial {} to {}",
                  apex.to_text(), serial_from, serial_to);
    }
    places.assign(first.base() - 1, all.end());
  }
  std::vector<std::vector<uint8_t>> payloads;
  for (const Place& place : places) {
    auto payload = place.file->read(place.offset, place.size);
    if (!payload) {
      return std::unexpected(payload.error());
    }
    if (XXH3_64bits(payload->data(), payload->size()) != place.checksum) {
      return fail(ErrorCode::corruption, "{} at offset {}: checksum differs", place.file->path(),
                  place.offset);
    }
    payloads.push_back(std::move(*payload));
  }
  return payloads;
}

std::optional<uint32_t> Journal::newest(const name::Name& apex) const {
  const std::lock_guard lock(mutex_);
  const auto at = chains_.find(zone_of(apex));
  return at == chains_.end() || at->second.places.empty()
             ? std::nullopt
             : std::optional(at->second.places.back().serial_to);
}

JournalSize Journal::size() const {
  const std::lock_guard lock(mutex_);
  JournalSize size{.files = files_.size(), .bytes = 0, .zones = chains_.size(), .entries = 0};
  for (const auto& [number, file] : files_) {
    size.bytes += file->size();
  }
  for (const auto& [zone, chain] : chains_) {
    size.entries += chain.places.size();
  }
  return size;
}

}  // namespace merlon::compile
