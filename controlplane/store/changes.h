// SPDX-License-Identifier: Apache-2.0
// What changed since a revision, so that a build looks at what it has to and not at ten thousand
// accounts. Kept in memory, a few thousand changes back: whoever asks for more (or after a restart)
// is told to build everything.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace merlon::store {

struct Change {
  enum class Kind : uint8_t {
    feed_set,         // `feed`: what it lists
    feed_definition,  // `feed`: added, replaced or removed
    devices,          // of `account`: who may ask, and how
    account,          // `account`: added, replaced or removed, and then with all it had
    list,             // `list` of `account`: added, removed, or its entries
    policy,           // `policy` of `account`: added, replaced or removed
    everything,
  };

  Kind kind = Kind::everything;
  uint32_t account = 0;  // numbers, which the store never reuses
  uint32_t list = 0;
  uint32_t policy = 0;
  std::string feed = {};  // id
  auto operator<=>(const Change&) const = default;
};

// Thread-safe.
class ChangeLog {
 public:
  static constexpr size_t kChangesMax = 8192;

  // Nothing before `revision` is known.
  void start(uint64_t revision);
  // REQUIRES: `revision` is above all revisions before it.
  void add(uint64_t revision, std::vector<Change> changes);
  // Each change once, sorted; nullopt when that is too far back, or in the future.
  std::optional<std::vector<Change>> since(uint64_t revision) const;

 private:
  mutable std::mutex mutex_;
  uint64_t known_from_ = 0;  // all changes above this revision are here
  uint64_t newest_ = 0;
  std::deque<std::pair<uint64_t, Change>> changes_;  // by revision
};

}  // namespace merlon::store
