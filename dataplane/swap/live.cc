// SPDX-License-Identifier: Apache-2.0
#include "dataplane/swap/live.h"

#include <unistd.h>

#include <utility>

namespace merlon::swap {
namespace {

constexpr useconds_t kQuiescencePollUs = 20;

}  // namespace

void Quiescence::wait_for_all() {
  const uint64_t wanted = epoch_.fetch_add(1) + 1;
  for (const Worker& worker : workers_) {
    while (true) {
      const uint64_t seen = worker.seen.load();
      if (seen == kOffline || seen >= wanted) {
        break;
      }
      ::usleep(kQuiescencePollUs);  // a burst takes tens of microseconds
    }
  }
}

LiveSlot::~LiveSlot() {
  replace(nullptr);
}

void LiveSlot::synchronize() {
  const std::lock_guard lock(control_);
  quiescence_.wait_for_all();
}

void LiveSlot::replace(std::unique_ptr<const Live> next) {
  const std::lock_guard lock(control_);
  replace_locked(std::move(next));
}

void LiveSlot::replace_locked(std::unique_ptr<const Live> next) {
  {
    const std::lock_guard lock(served_mutex_);
    served_ = next == nullptr ? nullptr : next->snapshot;
  }
  const std::unique_ptr<const Live> old(live_.exchange(next.release()));
  quiescence_.wait_for_all();
}

std::shared_ptr<const snapshot::Snapshot> LiveSlot::served() const {
  const std::lock_guard lock(served_mutex_);
  return served_;
}

Result<uint64_t> LiveSlot::load_current(const snapshot::Directory& directory,
                                        const snapshot::PublicKey& trusted) {
  const std::lock_guard lock(control_);
  const auto generation = directory.current();
  if (!generation) {
    return std::unexpected(generation.error());
  }
  const auto manifest = directory.manifest(*generation, trusted);
  if (!manifest) {
    return std::unexpected(manifest.error());
  }
  const Live* before = live_.load();
  auto snapshot = snapshot::Snapshot::load(directory, *manifest, key_,
                                           before == nullptr ? nullptr : before->snapshot.get());
  if (!snapshot) {
    return std::unexpected(snapshot.error());
  }
  auto next = std::make_unique<Live>();
  next->snapshot = *snapshot;
  if (before != nullptr && before->snapshot->access() == (*snapshot)->access()) {
    next->sources = before->sources;
    next->slots = before->slots;
  } else {
    auto sources = access::SourceTable::build((*snapshot)->access()->view);
    if (!sources) {
      return std::unexpected(sources.error());
    }
    next->sources = std::move(*sources);
  }
  const bool new_subjects = subjects_ != nullptr && next->slots == nullptr;
  if (new_subjects) {
    next->slots = subjects_->assign((*snapshot)->access()->view.subjects());
  }
  replace_locked(std::move(next));
  if (new_subjects) {
    subjects_->settle();
  }
  return *generation;
}

}  // namespace merlon::swap
