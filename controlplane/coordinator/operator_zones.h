// SPDX-License-Identifier: Apache-2.0
// The operators' zones as the builder needs them: one call that returns their segments, read again
// only when somebody asked for it or a minute has passed. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "controlplane/api/operations.h"
#include "controlplane/compile/zone_signer.h"
#include "controlplane/zonefile/zone_set.h"
#include "zones/name/name.h"
#include "zones/snapshot/manifest.h"
#include "zones/snapshot/snapshot.h"

namespace merlon::coordinator {

// Points into memory that is shared with the set: nothing is copied from build to build.
struct OperatorSegment {
  snapshot::ManifestSegment listed;
  std::shared_ptr<const std::vector<uint8_t>> bytes;
};

class OperatorZones {
 public:
  // `suffix`: the lists' own zone, which no file may fill.
  OperatorZones(zonefile::ZoneSetOptions options, const name::Name& suffix);

  // What is in force at start: a zone that is refused now goes on as it was. Before segments().
  void adopt(const snapshot::Snapshot& in_force);
  // The files are looked at by the next segments().
  void want_reload() { reload_wanted_ = true; }
  // Those that we sign are signed again by the next segments(), too.
  void want_signatures() {
    signatures_wanted_ = true;
    reload_wanted_ = true;
  }
  // Whether one that we signed is to be signed again by now. `signer` may be nullptr.
  bool is_signing_due(const compile::ZoneSigner* signer, int64_t now) const;

  struct Context {
    int64_t now = 0;
    compile::ZoneSigner* signer = nullptr;
    std::function<uint32_t(const std::string&)> account_number{};
    const std::atomic<bool>* stop = nullptr;
  };
  std::vector<OperatorSegment> segments(const Context& context);

  std::vector<api::ZoneInfo> zones() const;

 private:
  name::Name suffix_;
  zonefile::ZoneSet set_;
  std::atomic<bool> reload_wanted_ = true;
  std::atomic<bool> signatures_wanted_ = false;
  std::atomic<int64_t> loaded_ = 0;
};

}  // namespace merlon::coordinator
