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

Result<bool> Publisher::write_segment(const SegmentFile& segment) {
  const std::string path = directory_.segment_path(segment.listed.hash);
  const auto mark = mark_of(path);
  if (mark && static_cast<uint64_t>(mark->size) == segment.listed.size_bytes) {
    const auto known = verified_.find(segment.listed.hash);
    if (known != verified_.end() && known->second == *mark) {
      return false;
    }
    // Of an earlier process, or touched since: when it is damaged, it is written again.
    const auto content = read_file(path, segment.listed.size_bytes);
    if (content && snapshot::ContentHash::of(*content) == segment.listed.hash) {
      verified_[segment.listed.hash] = *mark;
      return false;
    }
  }
  if (auto written = write_file_durably(path, segment.bytes); !written) {
    return std::unexpected(written.error());
  }
  if (const auto fresh = mark_of(path)) {
    verified_[segment.listed.hash] = *fresh;
  }
  return true;
}

Result<Written> Publisher::write(const std::vector<SegmentFile>& segments, int64_t now) {
  Written written;
  snapshot::Manifest manifest;
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
  for (const SegmentFile& segment : segments) {
    const auto wrote = write_segment(segment);
    if (!wrote) {
      return std::unexpected(wrote.error());
    }
    ++(*wrote ? written.segments_written : written.segments_reused);
  }
  if (current) {
    const auto in_force = directory_.manifest(*current, key_.public_key);
    if (in_force && in_force->segments == manifest.segments) {
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
  written.generation = manifest.generation;
  written.changed = true;
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
  std::unordered_set<snapshot::ContentHash, snapshot::ContentHashHasher> used;
  for (size_t i = 0; i < generations->size(); ++i) {
    const uint64_t generation = (*generations)[i];
    if (i < surplus && !(current && *current == generation)) {
      if (auto removed = remove_file(directory_.manifest_path(generation)); !removed) {
        return removed;
      }
      continue;
    }
    const auto manifest = directory_.manifest(generation, key_.public_key);
    if (!manifest) {
      return {};  // unreadable: what it uses is unknown, so nothing is removed
    }
    for (const snapshot::ManifestSegment& segment : manifest->segments) {
      used.insert(segment.hash);
    }
  }
  std::erase_if(verified_, [&used](const auto& known) { return !used.contains(known.first); });
  return for_each_file(directory_.segments_path(), [&used](const fs::path& file) {
    const auto hash = snapshot::ContentHash::from_text(file.stem().string());
    if (file.extension() == ".seg" && hash && !used.contains(*hash)) {
      ::unlink(file.c_str());
    }
  });
}

}  // namespace merlon::publish
