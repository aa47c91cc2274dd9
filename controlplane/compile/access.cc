// SPDX-License-Identifier: Apache-2.0
// Devices to the access segment.
#include "zones/snapshot/access.h"

#include "controlplane/compile/compile.h"

namespace merlon::compile {

Result<CompiledSegment> compile_access(const std::vector<store::Device>& devices) {
  snapshot::AccessBuilder builder;
  for (const store::Device& device : devices) {
    const uint32_t own_tier = 1u << static_cast<unsigned>(device.tier);
    const uint32_t subject = builder.add_subject(
        {.account = device.account_number,
         .device = device.number,
         .tier_mask = 2 * own_tier - 1,
         .verb = snapshot::Verb::pass,
         .flags = device.recursion ? snapshot::subject_flag::recursion : uint8_t{0},
         .reserved = {}});
    for (const address::AnyPrefix& source : device.sources) {
      builder.add_source(source, subject);
    }
  }
  auto access = builder.finish();
  if (!access) {
    return in("devices", access.error());
  }
  CompiledSegment segment;
  segment.listed = {.kind = snapshot::SegmentKind::access,
                    .hash = snapshot::ContentHash::of(*access),
                    .size_bytes = access->size(),
                    .apex = {}};
  segment.bytes = std::move(*access);
  return segment;
}

}  // namespace merlon::compile
