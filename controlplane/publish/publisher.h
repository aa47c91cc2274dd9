// SPDX-License-Identifier: Apache-2.0
// Writes generations into the snapshot directory (zones/snapshot/FORMAT.md):
//   missing segments -> manifest -> (caller loads and checks it) -> `current` -> data plane.
// Every file is written aside, synced and renamed, and `current` last, so that a full disk or a
// killed process leaves a `current` that names a whole generation.
//
// A generation may have tens of thousands of segments of which one changes. So this remembers which
// segments it has seen whole (`holds`), and a new generation names those by hash: nothing of them
// is read, written or even looked at. audit() looks at all of them, and forgets those that are
// damaged; whoever is told so gives their bytes to the next write().
// One publisher per directory. Not thread-safe, but for store() and holds(): the coordinator calls
// the rest from one thread at a time.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "zones/base/bytes.h"
#include "zones/base/error.h"
#include "zones/snapshot/directory.h"
#include "zones/snapshot/manifest.h"

namespace merlon::publish {

struct SegmentFile {
  snapshot::ManifestSegment listed;
  Bytes bytes{};  // empty: Publisher::holds() it
};

struct Written {
  uint64_t generation = 0;
  bool changed = false;  // false: the segments are those of the generation in force
  uint64_t segments_written = 0;
  uint64_t segments_reused = 0;
};

// Tells a file from what it was: any write to it changes the last of these.
struct FileMark {
  uint64_t inode = 0;
  int64_t size = 0;
  int64_t changed_ns = 0;  // the inode's change time, which programs cannot set
  bool operator==(const FileMark&) const = default;
};

struct PublisherOptions {
  size_t generations_kept = 32;  // older ones are removed, never the one in force
};

class Publisher {
 public:
  // Creates the directory, removes what an interrupted publish left. Errors: io.
  static Result<Publisher> open(const std::string& path, const snapshot::SigningKey& key,
                                const PublisherOptions& options);

  const snapshot::Directory& directory() const { return directory_; }
  const snapshot::PublicKey& public_key() const { return key_.public_key; }

  // Whether the segment is on disk and was whole when this process last saw it.
  bool holds(const snapshot::ContentHash& hash) const {
    const std::lock_guard lock(*mutex_);
    return verified_.contains(hash);
  }
  // The caller has read all of these from disk and found them whole.
  void trust(std::span<const snapshot::ManifestSegment> segments);
  // Looks at every one of these files, reads those that changed since this process saw them whole,
  // and forgets what is missing or damaged. Returns how many that are.
  size_t audit(std::span<const snapshot::ManifestSegment> segments);

  // Writes segments that a generation will need, before it is known what else it has: so their
  // bytes need not be kept. They are held from then on; write() makes them safe. May be called by
  // several threads at once, each with its own `written`.
  Status store(const std::vector<SegmentFile>& segments, Written& written);
  // Writes segments and manifest of a new generation; `current` is not touched. When the segments
  // equal those of the generation in force, writes only those whose files are missing or damaged,
  // as far as their bytes are given. `now` in Unix seconds. Errors: io, invalid_argument (a
  // segment without bytes that is not held).
  Result<Written> write(const std::vector<SegmentFile>& segments, int64_t now);
  // Puts a generation in force. Errors: not_found, io.
  Status set_current(uint64_t generation);
  // Removes the manifest of a generation that turned out bad. Errors: conflict (it is in force),
  // io.
  Status remove_generation(uint64_t generation);
  // Removes the manifests of generations that are too old, then the segments that none needs. While
  // a manifest that stays, or `current`, cannot be read, what is needed is unknown: nothing goes.
  // Reads every manifest once in the publisher's life, and files that nobody knows are removed
  // then.
  Status clean_up();

 private:
  Publisher(const std::string& path, const snapshot::SigningKey& key,
            const PublisherOptions& options)
      : directory_(path), key_(key), options_(options) {}
  Status store_one(const SegmentFile& segment);
  // Of what one build writes only the newest part stays in the page cache.
  void note_cached(const std::string& path, uint64_t size);
  // Whether the file is there and whole; remembers it.
  bool is_whole(const snapshot::ManifestSegment& segment);
  // The segments of the generation in force, as far as they are known; nullptr: unknown.
  const std::vector<snapshot::ManifestSegment>* in_force(uint64_t current);
  void note_use(const snapshot::Manifest& manifest);
  // Fills last_use_ from the manifests there are. False: one of them cannot be read.
  bool learn_use(const std::vector<uint64_t>& generations);
  Status remove_unused_files();

  snapshot::Directory directory_;
  snapshot::SigningKey key_;
  PublisherOptions options_;
  // Of what store() touches: verified_, unsynced_, cached_, last_use_.
  std::unique_ptr<std::mutex> mutex_ = std::make_unique<std::mutex>();
  std::deque<std::pair<std::string, uint64_t>> cached_;  // written last, with their sizes
  uint64_t cached_bytes_ = 0;
  // Segments that this process wrote or read back whole, with the file as it was then.
  std::unordered_map<snapshot::ContentHash, FileMark, snapshot::ContentHashHasher> verified_;
  std::vector<std::string> unsynced_;  // files that store() wrote
  // The newest manifest that this process wrote or read: what is compared with.
  std::optional<snapshot::Manifest> newest_;
  // The newest generation that uses each segment. While knows_use_ is false, of some only.
  std::unordered_map<snapshot::ContentHash, uint64_t, snapshot::ContentHashHasher> last_use_;
  bool knows_use_ = false;
};

// Sends one command to the data plane's control socket and returns its line of JSON. Errors: io
// (nobody listens there, no line of an answer came), busy (no answer in time, or *stop was set).
struct Question {
  std::string socket_path;
  std::string command;
  int timeout_ms = 5000;
  const std::atomic<bool>* stop = nullptr;  // ends the wait early
};
Result<std::string> ask_dataplane(const Question& question);

}  // namespace merlon::publish
