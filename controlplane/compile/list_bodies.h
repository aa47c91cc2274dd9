// SPDX-License-Identifier: Apache-2.0
// One list as bodies: chunks of A, AAAA and APL records.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "controlplane/compile/compile.h"
#include "zones/address/range_set.h"
#include "zones/base/error.h"

namespace merlon::compile {

struct ListBodies {
  std::vector<uint8_t> segment;
  // Body numbers per chunk; chunk i belongs to the i-th name of the list.
  std::vector<uint32_t> a;
  std::vector<uint32_t> aaaa;
  std::vector<uint32_t> apl;
  uint64_t address4_count = 0;
  uint64_t address6_count = 0;
  uint64_t prefix_only_count = 0;  // APL prefixes that are not wholly address records too

  size_t chunk_count() const { return std::max({a.size(), aaaa.size(), apl.size()}); }
};

// `narrow` becomes address records, all of `addresses` APL. REQUIRES: narrow lies in addresses.
Result<ListBodies> compile_list(const address::IpSet& addresses, const address::IpSet& narrow,
                                const Settings& settings);

}  // namespace merlon::compile
