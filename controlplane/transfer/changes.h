// SPDX-License-Identifier: Apache-2.0
// After a generation is in force and the data plane was told: what changed in which zone goes into
// the journal, and then secondaries hear of it. On a thread of its own, a moment later, so that no
// edit waits for it; publications that follow each other closely share a write.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "controlplane/compile/journal.h"
#include "controlplane/transfer/sources.h"
#include "zones/snapshot/snapshot.h"

namespace merlon::transfer {

using SnapshotPointer = std::shared_ptr<const snapshot::Snapshot>;

struct ChangedZone {
  ZonePointer before;  // nullptr: it is new
  ZonePointer after;
};
// Zones of `after` whose segment is another than in `before` (which may be null).
std::vector<ChangedZone> changed_zones(const snapshot::Snapshot* before,
                                       const snapshot::Snapshot& after);

// Writes differences. Not thread-safe.
class JournalWriter {
 public:
  // The journal outlives it.
  explicit JournalWriter(compile::Journal& journal) : journal_(journal) {}
  // The zones' chains go on to their new serials, or end where that is not possible. Trouble is
  // logged: it costs whole transfers.
  void add(std::span<const ChangedZone> zones, int64_t now);
  void flush(int64_t now);

 private:
  struct Entry {
    compile::JournalEntry entry;
    std::vector<uint8_t> payload;
  };
  compile::Journal& journal_;
  std::vector<Entry> entries_;
  size_t bytes_ = 0;
};

// Thread-safe.
class ChangeFollower {
 public:
  using OnChange = std::function<void(const SnapshotPointer&, std::span<const ChangedZone>)>;
  // `journal` may be null and outlives it. `on_change` is called by its thread.
  ChangeFollower(compile::Journal* journal, OnChange on_change);
  ~ChangeFollower();

  void published(SnapshotPointer before, SnapshotPointer after);
  // Whether this generation's differences are still to be written.
  bool is_behind(uint64_t generation) const;
  void stop();

 private:
  struct Publication {
    SnapshotPointer before;
    SnapshotPointer after;
  };
  void run();
  void follow(const std::deque<Publication>& publications);

  compile::Journal* journal_;
  const OnChange on_change_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Publication> waiting_;
  std::deque<uint64_t> unwritten_;  // generations
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace merlon::transfer
