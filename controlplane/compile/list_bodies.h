// SPDX-License-Identifier: Apache-2.0
// One list as bodies: the A, AAAA and APL records of each of its names. Segments of one list can be
// made side by side once its chunks are known.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "controlplane/compile/compile.h"
#include "controlplane/policy/lists.h"
#include "zones/base/error.h"
#include "zones/snapshot/loaded_zone.h"

namespace merlon::compile {

// Bodies segments hold so many names of a list each, so that a small change of a large list
// rewrites little.
inline constexpr uint32_t kNamesPerSegment = 64;

struct NameLimits {
  uint32_t addresses4 = 0;  // A records of a name, the test address included; at least 2
  uint32_t addresses6 = 0;
  bool operator==(const NameLimits&) const = default;
};

class ListBodies {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;
  // Body numbers in the segment of the name: number / kNamesPerSegment.
  struct NameBodies {
    uint32_t a = kNone;
    uint32_t aaaa = kNone;
    uint32_t apl = kNone;
    bool in_use = false;  // carries more than test addresses
  };

  // Cuts the list into names. `content.narrow` becomes address records, all of `content.addresses`
  // APL. `memory` is what was remembered of the list, and gets what is to be. REQUIRES: narrow lies
  // in addresses.
  ListBodies(const policy::ListContent& content, const NameLimits& limits, const Settings& settings,
             ZoneMemory::List& memory);
  ListBodies(ListBodies&&) noexcept;
  ListBodies& operator=(ListBodies&&) noexcept;
  ~ListBodies();

  size_t segment_count() const { return (names.size() + kNamesPerSegment - 1) / kNamesPerSegment; }
  // Makes one segment, and fills in its names' body numbers. Different ones may be made side by
  // side. Errors: invalid_argument (a body exceeds a message), internal.
  Result<std::shared_ptr<const snapshot::LoadedBodies>> make_segment(size_t segment);
  // Drops what only making takes.
  void finish();

  std::vector<NameBodies> names;  // by number
  uint64_t address4_count = 0;    // the test address included
  uint64_t address6_count = 0;
  uint64_t prefix_only_count = 0;  // APL prefixes that are not wholly address records too

 private:
  struct Families;
  std::unique_ptr<Families> families_;
  uint32_t ttl_s_;
};

}  // namespace merlon::compile
