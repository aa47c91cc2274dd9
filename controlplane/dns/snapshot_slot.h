// SPDX-License-Identifier: Apache-2.0
// Where the snapshot in force is kept. The slot is shared and locked; each thread looks through its
// own SnapshotReader, which pays one atomic read per use and locks only after a change.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <tuple>
#include <utility>

#include "zones/snapshot/snapshot.h"

namespace merlon::dns {

using SnapshotPointer = std::shared_ptr<const snapshot::Snapshot>;

// Thread-safe.
class SnapshotSlot {
 public:
  void set(SnapshotPointer snapshot) {
    {
      const std::lock_guard lock(mutex_);
      snapshot_.swap(snapshot);
      version_.fetch_add(1, std::memory_order_release);
    }
    // The old snapshot, if this was its last user, is freed here, outside the lock.
  }
  SnapshotPointer get() const {
    const std::lock_guard lock(mutex_);
    return snapshot_;
  }
  // Changes with every set().
  uint64_t version() const { return version_.load(std::memory_order_acquire); }
  std::pair<SnapshotPointer, uint64_t> get_with_version() const {
    const std::lock_guard lock(mutex_);
    return {snapshot_, version_.load(std::memory_order_relaxed)};
  }

 private:
  mutable std::mutex mutex_;
  SnapshotPointer snapshot_;
  std::atomic<uint64_t> version_{0};
};

// One thread's view of a slot. It keeps the snapshot alive that it saw last, so a thread that
// sleeps long calls refresh() now and then to let old ones go.
class SnapshotReader {
 public:
  explicit SnapshotReader(const SnapshotSlot& slot) : slot_(slot) { refresh(); }

  // True when the snapshot is another than before.
  bool refresh() {
    if (slot_.version() == version_) {
      return false;
    }
    std::tie(snapshot_, version_) = slot_.get_with_version();
    return true;
  }
  const SnapshotPointer& snapshot() const { return snapshot_; }
  uint64_t version() const { return version_; }

 private:
  const SnapshotSlot& slot_;
  SnapshotPointer snapshot_;
  uint64_t version_ = 0;
};

}  // namespace merlon::dns
