// SPDX-License-Identifier: Apache-2.0
#include "controlplane/store/changes.h"

#include <algorithm>

namespace merlon::store {

void ChangeLog::start(uint64_t revision) {
  const std::lock_guard lock(mutex_);
  changes_.clear();
  known_from_ = revision;
  newest_ = revision;
}

void ChangeLog::add(uint64_t revision, std::vector<Change> changes) {
  const std::lock_guard lock(mutex_);
  for (Change& change : changes) {
    changes_.emplace_back(revision, std::move(change));
  }
  newest_ = revision;
  while (changes_.size() > kChangesMax) {
    known_from_ = changes_.front().first;  // not all of that revision is here any more
    changes_.pop_front();
  }
}

std::optional<std::vector<Change>> ChangeLog::since(uint64_t revision) const {
  const std::lock_guard lock(mutex_);
  if (revision < known_from_ || revision > newest_) {
    return std::nullopt;
  }
  const auto first =
      std::upper_bound(changes_.begin(), changes_.end(), revision,
                       [](uint64_t wanted, const auto& change) { return wanted < change.first; });
  std::vector<Change> changes;
  for (auto at = first; at != changes_.end(); ++at) {
    changes.push_back(at->second);
  }
  std::sort(changes.begin(), changes.end());
  changes.erase(std::unique(changes.begin(), changes.end()), changes.end());
  return changes;
}

}  // namespace merlon::store
