// SPDX-License-Identifier: Apache-2.0
// What transfers are told: which devices there are, and each generation that took the place of
// another.
#include <spdlog/spdlog.h>

#include <algorithm>

#include "controlplane/coordinator/coordinator.h"
#include "controlplane/transfer/service.h"

namespace merlon::coordinator {

void Coordinator::take_over_devices() {
  if (options_.transfers == nullptr) {
    return;
  }
  const std::lock_guard lock(devices_mutex_);
  const uint64_t revision = store_.revision();
  if (devices_revision_ == revision) {
    return;
  }
  const auto changes = devices_revision_ ? store_.changes_since(*devices_revision_) : std::nullopt;
  const bool concerned = !changes || std::ranges::any_of(*changes, [](const store::Change& change) {
    return change.kind == store::Change::Kind::devices ||
           change.kind == store::Change::Kind::account ||
           change.kind == store::Change::Kind::everything;
  });
  if (concerned) {
    const auto devices = store_.devices();
    if (!devices) {
      spdlog::error("reading devices: {}", devices.error().message);
      return;
    }
    for (const std::string& fault :
         options_.transfers->set_devices(*devices, options_.compile.suffix)) {
      spdlog::error("{}", fault);
    }
  }
  devices_revision_ = revision;
}

void Coordinator::tell_transfers(const dns::SnapshotPointer& before) {
  take_over_devices();
  const auto after = slot_.get();
  if (options_.transfers != nullptr && after != nullptr && after != before) {
    options_.transfers->published(before, after);
  }
}

Result<api::Transfers> Coordinator::transfers() {
  if (options_.transfers == nullptr) {
    return api::Transfers{};
  }
  return options_.transfers->facts(slot_.get().get());
}

}  // namespace merlon::coordinator
