// SPDX-License-Identifier: Apache-2.0
// Who fetched what, and whose signatures were turned away: for operators (api/transfers.h). What
// clients can make up (zones, addresses, key names) is bounded per account and in all, the least
// recently seen goes first. Thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <tuple>

#include "controlplane/api/transfers.h"
#include "zones/address/address.h"
#include "zones/name/name.h"
#include "zones/snapshot/snapshot.h"

namespace merlon::transfer {

class Facts {
 public:
  static constexpr size_t kSecondariesPerAccountMax = 1024;
  static constexpr size_t kKeyFailuresPerSourceMax = 16;
  static constexpr size_t kKeyFailuresMax = 4096;

  struct Asker {
    uint32_t account = 0;
    uint32_t device = 0;
    address::Address source{};
    name::Name apex{};
  };
  enum class Verdict : uint8_t { may, may_not };
  void asked(const Asker& asker, Verdict verdict, int64_t now);
  void given(const Asker& asker, std::string_view kind, uint32_t serial, int64_t now);
  // These zones (folded, as text) have these serials in force now.
  void published(const std::map<std::string, uint32_t>& serials, int64_t now);
  void key_failed(const api::KeyFailure& failure, const address::Address& source, int64_t now);

  // `served` may be null. Without `notified`.
  api::Transfers all(const snapshot::Snapshot* served) const;

 private:
  using Key = std::tuple<uint32_t, std::string, std::string>;  // device, source, apex
  struct Entry {
    api::Secondary facts;
    name::Name apex;
  };
  api::Secondary& entry(const Asker& asker, int64_t now);

  mutable std::mutex mutex_;
  std::map<uint32_t, std::map<Key, Entry>> accounts_;
  std::map<std::tuple<std::string, std::string, std::string>, api::KeyFailure> failures_;
};

// The zone with exactly this apex, or nullptr. Says nothing of who may see it.
const snapshot::LoadedZone* find_exactly(const snapshot::Snapshot& snapshot,
                                         const name::Name& apex);

}  // namespace merlon::transfer
