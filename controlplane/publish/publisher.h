// SPDX-License-Identifier: Apache-2.0
// Writes generations into the snapshot directory (zones/snapshot/FORMAT.md):
//   missing segments -> manifest -> (caller loads and checks it) -> `current` -> data plane.
// Every file is written aside, fsynced and renamed, and `current` last, so that a full disk or a
// killed process leaves a `current` that names a whole generation.
// One publisher per directory. Not thread-safe: the coordinator calls it from one thread at a time.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "zones/base/bytes.h"
#include "zones/base/error.h"
#include "zones/snapshot/directory.h"
#include "zones/snapshot/manifest.h"

namespace merlon::publish {

struct SegmentFile {
  snapshot::ManifestSegment listed;
  Bytes bytes;
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

  // Writes segments and manifest of a new generation; `current` is not touched. When the segments
  // equal those of the generation in force, writes only those whose files are missing or damaged.
  // `now` in Unix seconds.
  Result<Written> write(const std::vector<SegmentFile>& segments, int64_t now);
  // Puts a generation in force. Errors: not_found, io.
  Status set_current(uint64_t generation);
  // Removes the manifest of a generation that turned out bad. Errors: conflict (it is in force),
  // io.
  Status remove_generation(uint64_t generation);
  // Removes the manifests of generations that are too old, then the segments that none needs. While
  // a manifest that stays, or `current`, cannot be read, what is needed is unknown: nothing goes.
  Status clean_up();

 private:
  Publisher(const std::string& path, const snapshot::SigningKey& key,
            const PublisherOptions& options)
      : directory_(path), key_(key), options_(options) {}
  Result<bool> write_segment(const SegmentFile& segment);

  snapshot::Directory directory_;
  snapshot::SigningKey key_;
  PublisherOptions options_;
  // Segments that this process wrote or read back whole, with the file as it was then: while the
  // file is that one still, its content needs no second look.
  std::unordered_map<snapshot::ContentHash, FileMark, snapshot::ContentHashHasher> verified_;
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
