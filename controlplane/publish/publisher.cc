// SPDX-License-Identifier: Apache-2.0
#include "controlplane/publish/publisher.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <unordered_set>

#include "zones/base/file.h"

namespace merlon::publish {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPartialMark = ".partial-";
// What a build wrote last is read by the data plane at once; of a cold start's gigabytes the rest
// would push out everything else.
constexpr uint64_t kCachedBytesMax = 256 << 20;

// Calls use(path) for each file of a folder.
template <class Use>
Status for_each_file(const std::string& folder, Use&& use) {
  std::error_code error;
  for (auto at = fs::directory_iterator(folder, error); !error && at != fs::directory_iterator();
       at.increment(error)) {
    use(at->path());
  }
  if (error) {
    return fail(ErrorCode::io, "list {}: {}", folder, error.message());
  }
  return {};
}

Status remove_file(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    return fail_errno(fmt::format("remove {}", path), errno);
  }
  return {};
}

std::optional<FileMark> mark_of(const std::string& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) {
    return std::nullopt;
  }
  return FileMark{.inode = info.st_ino,
                  .size = info.st_size,
                  .changed_ns = info.st_ctim.tv_sec * 1'000'000'000 + info.st_ctim.tv_nsec};
}

}  // namespace

Result<Publisher> Publisher::open(const std::string& path, const snapshot::SigningKey& key,
                                  const PublisherOptions& options) {
  Publisher publisher(path, key, options);
  for (const std::string& folder :
       {publisher.directory_.segments_path(), publisher.directory_.manifests_path()}) {
    if (auto made = make_directories(folder); !made) {
      return std::unexpected(made.error());
    }
  }
  for (const std::string& folder :
       {path, publisher.directory_.segments_path(), publisher.directory_.manifests_path()}) {
    const Status cleaned = for_each_file(folder, [](const fs::path& file) {
      if (file.filename().string().find(kPartialMark) != std::string::npos) {
        ::unlink(file.c_str());
      }
    });
    if (!cleaned) {
      return std::unexpected(cleaned.error());
    }
  }
  return publisher;
}

bool Publisher::is_whole(const snapshot::ManifestSegment& segment) {
  const std::string path = directory_.segment_path(segment.hash);
  const auto mark = mark_of(path);
  {
    const std::lock_guard lock(*mutex_);
    const auto known = verified_.find(segment.hash);
    if (mark && known != verified_.end() && known->second == *mark) {
      return true;
    }
  }
  bool whole = false;
  if (mark && static_cast<uint64_t>(mark->size) == segment.size_bytes) {
    // Of an earlier process, or touched since.
    const auto content = read_file(path, segment.size_bytes);
    whole = content && snapshot::ContentHash::of(*content) == segment.hash;
  }
  const std::lock_guard lock(*mutex_);
  if (whole) {
    verified_[segment.hash] = *mark;
  } else {
    verified_.erase(segment.hash);
  }
  return whole;
}

void Publisher::trust(std::span<const snapshot::ManifestSegment> segments) {
  for (const snapshot::ManifestSegment& segment : segments) {
    if (const auto mark = mark_of(directory_.segment_path(segment.hash))) {
      verified_[segment.hash] = *mark;
    }
  }
}

size_t Publisher::audit(std::span<const snapshot::ManifestSegment> segments) {
  size_t damaged = 0;
  for (const snapshot::ManifestSegment& segment : segments) {
    damaged += is_whole(segment) ? 0u : 1u;
  }
  newest_.reset();  // the manifest itself is read again, too
  return damaged;
}

Status Publisher::store(const std::vector<SegmentFile>& segments, Written& written) {
  std::unordered_set<snapshot::ContentHash, snapshot::ContentHashHasher> seen;
  for (const SegmentFile& segment : segments) {
    const snapshot::ContentHash& hash = segment.listed.hash;
    if (segment.bytes.empty() && !holds(hash)) {
      return fail(ErrorCode::invalid_argument,
                  "segment {} is not known to be whole on disk, and its bytes are not given",
                  hash.to_text());
    }
    if (segment.bytes.empty() || !seen.insert(hash).second || is_whole(segment.listed)) {
      ++written.segments_reused;
      continue;
    }
    if (auto done = store_one(segment); !done) {
      return done;
    }
    ++written.segments_written;
  }
  return {};
}

Status Publisher::store_one(const SegmentFile& segment) {
  const snapshot::ContentHash& hash = segment.listed.hash;
  const std::string path = directory_.segment_path(hash);
  if (auto done = write_file_whole(path, segment.bytes); !done) {
    return done;
  }
  const auto mark = mark_of(path);
  {
    const std::lock_guard lock(*mutex_);
    unsynced_.push_back(path);
    if (mark) {
      verified_[hash] = *mark;
    }
    // Until a manifest says more; so it goes when none ever does.
    last_use_.try_emplace(hash, newest_ ? newest_->generation + 1 : 1);
  }
  note_cached(path, segment.bytes.size());
  return {};
}

void Publisher::note_cached(const std::string& path, uint64_t size) {
  std::vector<std::string> dropped;
  {
    const std::lock_guard lock(*mutex_);
    cached_.emplace_back(path, size);
    cached_bytes_ += size;
    while (cached_bytes_ > kCachedBytesMax) {
      dropped.push_back(std::move(cached_.front().first));
      cached_bytes_ -= cached_.front().second;
      cached_.pop_front();
    }
  }
  std::ranges::for_each(dropped, forget_cached);
}

const std::vector<snapshot::ManifestSegment>* Publisher::in_force(uint64_t current) {
  if (!newest_ || newest_->generation != current) {
    auto manifest = directory_.manifest(current, key_.public_key);
    if (!manifest) {
      return nullptr;
    }
    newest_ = std::move(*manifest);
  }
  return &newest_->segments;
}

Result<Written> Publisher::write(const std::vector<SegmentFile>& segments, int64_t now) {
  Written written;
  snapshot::Manifest manifest;
  manifest.segments.reserve(segments.size());
  for (const SegmentFile& segment : segments) {
    manifest.segments.push_back(segment.listed);
  }
  manifest.normalise();
  // A damaged `current` is no reason to stay without one: the new generation replaces it.
  const auto current = directory_.current();
  if (!current && current.error().code != ErrorCode::not_found &&
      current.error().code != ErrorCode::corruption) {
    return std::unexpected(current.error());
  }
  // Before the comparison: what is missing or damaged of the generation in force comes back.
  if (auto done = store(segments, written); !done) {
    return std::unexpected(done.error());
  }
  if (auto done = sync_files(directory_.segments_path(), unsynced_); !done) {
    return std::unexpected(done.error());
  }
  unsynced_.clear();
  cached_.clear();
  cached_bytes_ = 0;
  if (current) {
    const auto* known = in_force(*current);
    if (known != nullptr && *known == manifest.segments) {
      written.generation = *current;
      return written;
    }
  }
  const auto generations = directory_.generations();
  if (!generations) {
    return std::unexpected(generations.error());
  }
  const uint64_t newest = generations->empty() ? 0 : generations->back();
  manifest.generation = std::max(newest, current ? *current : 0) + 1;
  manifest.created = now;
  const std::string text = manifest.render(key_);
  if (auto done = write_file_durably(directory_.manifest_path(manifest.generation), as_bytes(text));
      !done) {
    return std::unexpected(done.error());
  }
  note_use(manifest);
  written.generation = manifest.generation;
  written.changed = true;
  newest_ = std::move(manifest);
  return written;
}

Status Publisher::set_current(uint64_t generation) {
  struct stat info{};
  if (::stat(directory_.manifest_path(generation).c_str(), &info) != 0) {
    return fail(ErrorCode::not_found, "generation {} is not in {}; `snapshot list` shows what is",
                generation, directory_.path());
  }
  return write_file_durably(directory_.current_path(), as_bytes(fmt::format("{}\n", generation)));
}

Status Publisher::remove_generation(uint64_t generation) {
  const auto current = directory_.current();
  if (current && *current == generation) {
    return fail(ErrorCode::conflict, "generation {} is in force", generation);
  }
  return remove_file(directory_.manifest_path(generation));
}

Status Publisher::clean_up() {
  auto generations = directory_.generations();
  if (!generations) {
    return std::unexpected(generations.error());
  }
  const auto current = directory_.current();
  if (!current && current.error().code != ErrorCode::not_found) {
    return std::unexpected(current.error());  // which generation must stay is unknown
  }
  const size_t surplus =
      generations->size() - std::min(generations->size(), options_.generations_kept);
  std::vector<uint64_t> kept;
  bool removed_some = false;
  for (size_t i = 0; i < generations->size(); ++i) {
    const uint64_t generation = (*generations)[i];
    if (i >= surplus || (current && *current == generation)) {
      kept.push_back(generation);
      continue;
    }
    if (auto removed = remove_file(directory_.manifest_path(generation)); !removed) {
      return removed;
    }
    removed_some = true;
  }
  if (knows_use_ && !removed_some) {
    return {};
  }
  // An old generation that is in force still uses what newer ones dropped.
  const bool old_in_force = current && !kept.empty() && kept.front() == *current && surplus != 0;
  const bool first_time = !knows_use_ || old_in_force;
  if (first_time && !learn_use(kept)) {
    return {};
  }
  const uint64_t oldest = kept.empty() ? 0 : kept.front();
  for (auto at = last_use_.begin(); at != last_use_.end();) {
    if (at->second >= oldest) {
      ++at;
      continue;
    }
    ::unlink(directory_.segment_path(at->first).c_str());
    verified_.erase(at->first);
    at = last_use_.erase(at);
  }
  return first_time ? remove_unused_files() : Status{};
}

void Publisher::note_use(const snapshot::Manifest& manifest) {
  for (const snapshot::ManifestSegment& segment : manifest.segments) {
    uint64_t& last = last_use_[segment.hash];
    last = std::max(last, manifest.generation);
  }
}

bool Publisher::learn_use(const std::vector<uint64_t>& generations) {
  knows_use_ = false;
  last_use_.clear();
  for (const uint64_t generation : generations) {
    const auto manifest = directory_.manifest(generation, key_.public_key);
    if (!manifest) {
      return false;  // what it uses is unknown
    }
    note_use(*manifest);
  }
  knows_use_ = true;
  return true;
}

Status Publisher::remove_unused_files() {
  std::erase_if(verified_, [this](const auto& known) { return !last_use_.contains(known.first); });
  return for_each_file(directory_.segments_path(), [this](const fs::path& file) {
    const auto hash = snapshot::ContentHash::from_text(file.stem().string());
    if (file.extension() == ".seg" && hash && !last_use_.contains(*hash)) {
      ::unlink(file.c_str());
    }
  });
}

}  // namespace merlon::publish
