// SPDX-License-Identifier: Apache-2.0
// Catalog zones (RFC 9432, version 2): the zones that a device may transfer, as a zone, so that a
// server which transfers it configures them by itself. A member's label is a digest of its name:
// it stays while the member stays, which is what keeps a consumer from starting it over.
#pragma once

#include <string>
#include <vector>

#include "controlplane/compile/rpz.h"
#include "zones/base/error.h"
#include "zones/name/name.h"

namespace merlon::compile {

struct CatalogMember {
  name::Name apex{};
  std::string group{};  // a consumer may treat groups differently; "": none
};

struct CatalogInput {
  name::Name apex{};
  uint32_t account = 0;
  std::vector<CatalogMember> members{};  // no apex twice
};

// Of a policy zone's kind in all but what it says, and never signed: nobody asks it questions.
// Memory and serial are as in compile_rpz().
struct CompiledCatalog {
  snapshot::ManifestSegment listed;
  std::vector<uint8_t> bytes;
  RpzMemory memory;
};
Result<CompiledCatalog> compile_catalog(const CatalogInput& input, const RpzContext& context,
                                        const RpzMemory& before);

}  // namespace merlon::compile
