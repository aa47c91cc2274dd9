// SPDX-License-Identifier: Apache-2.0
// A zone of an account as a zone file.
#include "controlplane/compile/zone_text.h"
#include "controlplane/coordinator/coordinator.h"
#include "controlplane/transfer/service.h"
#include "zones/address/address.h"

namespace merlon::coordinator {

Result<api::ZoneFile> Coordinator::zone_file(const std::string& token_digest,
                                             const std::string& apex, const std::string& source) {
  const auto device = store_.device_by_token(token_digest);
  if (!device) {
    return std::unexpected(device.error());
  }
  const auto wanted = name::Name::from_text(apex);
  const auto served = slot_.get();
  if (wanted && served != nullptr) {
    const name::Name folded = wanted->folded();
    for (const auto& zone : served->zones()) {
      const bool its_own = zone->view().info().account == device->account_number;
      if (!its_own || !std::ranges::equal(zone->view().apex(), folded.wire())) {
        continue;
      }
      std::vector<const snapshot::BodiesView*> bodies;
      for (const auto& loaded : zone->bodies()) {
        bodies.push_back(&loaded->view);
      }
      if (const auto address = address::parse_address(source);
          address && options_.transfers != nullptr) {
        options_.transfers->file_given({.account = device->account_number,
                                        .device = device->number,
                                        .source = *address,
                                        .apex = folded},
                                       zone->view().info().serial);
      }
      return api::ZoneFile{.serial = zone->view().info().serial,
                           .text = compile::zone_text({.view = &zone->view(), .bodies = bodies})};
    }
  }
  return fail(ErrorCode::conflict, "account {} has no zone \"{}\"", device->account, apex);
}

}  // namespace merlon::coordinator
