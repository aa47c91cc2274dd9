// SPDX-License-Identifier: Apache-2.0
// What the workers serve, and how it is replaced under them.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

#include "dataplane/access/source_table.h"
#include "dataplane/stats/subjects.h"
#include "dataplane/swap/quiescence.h"
#include "zones/base/error.h"
#include "zones/snapshot/snapshot.h"

namespace merlon::swap {

struct Live {
  std::shared_ptr<const snapshot::Snapshot> snapshot;
  std::shared_ptr<const access::SourceTable> sources;
  std::shared_ptr<const stats::Slots> slots;  // of the access table's subjects; may be nullptr
};

class LiveSlot {
 public:
  // `subjects`, when there is one, outlives the slot and gives loaded snapshots their slots.
  explicit LiveSlot(size_t worker_count, stats::SubjectRegistry* subjects = nullptr)
      : quiescence_(worker_count), subjects_(subjects) {}
  ~LiveSlot();

  // Worker side. Between enter() and leave() the returned object stays; nullptr before the first
  // replace().
  const Live* enter(size_t worker) {
    quiescence_.online(worker);
    return live_.load();
  }
  void leave(size_t worker) { quiescence_.offline(worker); }

  // Control side, any thread. Loads what `directory` names as current, sharing with what is
  // served; on any error what is served stays. Returns the generation served.
  Result<uint64_t> load_current(const snapshot::Directory& directory,
                                const snapshot::PublicKey& trusted);
  void replace(std::unique_ptr<const Live> next);
  // Returns when every worker has left what it entered before the call.
  void synchronize();
  // What is served; nullptr when nothing is. Never waits for a load.
  std::shared_ptr<const snapshot::Snapshot> served() const;

 private:
  void replace_locked(std::unique_ptr<const Live> next);

  Quiescence quiescence_;
  stats::SubjectRegistry* const subjects_;
  snapshot::IndexKey key_ = snapshot::IndexKey::random();
  std::atomic<const Live*> live_{nullptr};
  std::mutex control_;  // loads and replacements, never the workers
  mutable std::mutex served_mutex_;
  std::shared_ptr<const snapshot::Snapshot> served_;
};

}  // namespace merlon::swap
