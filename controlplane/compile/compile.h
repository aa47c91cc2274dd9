// SPDX-License-Identifier: Apache-2.0
// Lists and devices in, segments out. One bodies segment per list holds its address records, the
// zone segment of the suffix names them, the access segment says who may ask: so a changed list
// rewrites its own bodies and the small zone, a changed device the access segment only.
// Deterministic: same input, same bytes. Pure, safe from any thread.
//
// A list `x` with more addresses than a name may carry continues as x1, x2, ... The whole list as
// prefixes, wide ones included, is in APL records (RFC 3123), cut by size and not at the addresses
// of each name: most lists have one, at the first name. The first name also carries PTR records for
// the names (as many as a message holds) and a TXT record that counts everything.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "controlplane/policy/lists.h"
#include "controlplane/store/model.h"
#include "zones/address/address.h"
#include "zones/base/error.h"
#include "zones/name/name.h"
#include "zones/snapshot/manifest.h"

namespace merlon::compile {

struct Settings {
  name::Name suffix;
  uint32_t ttl_s = 900;
  uint32_t negative_ttl_s = 60;
  uint32_t addresses4_per_name = 4000;
  uint32_t addresses6_per_name = 2300;
  // What a feed lists in prefixes at least this long is written out address by address; what it
  // lists wider is in APL only. For policy::compose, which knows what was listed how.
  int expand4_from_length = 24;
  int expand6_from_length = 124;
  // Known addresses in every list, so that enforcement can be proved.
  address::Bits4 test_address4 = 0xC0000201;  // 192.0.2.1
  address::Bits6 test_address6 = (address::Bits6{0x20010db8} << 96) | 1;
};

struct ListInput {
  policy::ListDefinition definition;
  policy::ListContent content;  // `narrow` becomes address records
  int64_t changed = 0;          // Unix seconds: the newest change of its feeds
};

struct Input {
  std::vector<ListInput> lists;  // sorted by name
  std::vector<store::Device> devices;
};

struct CompiledSegment {
  snapshot::ManifestSegment listed;
  std::vector<uint8_t> bytes;
};

struct CompiledList {
  std::string name;
  std::vector<std::string> names;  // with final dot
  uint64_t address4_count = 0;     // A records, the test address included
  uint64_t address6_count = 0;
  uint64_t prefix_only_count = 0;
};

struct Compiled {
  std::vector<CompiledSegment> segments;
  std::vector<CompiledList> lists;
  uint64_t name_count = 0;
  uint32_t serial = 0;  // that the zone got
};

// The zone's serial must grow when, and only when, its content changes: given the segment made with
// the serial in force, says which serial the zone gets.
struct Serials {
  uint32_t in_force = 0;        // 0: nothing published yet
  std::string in_force_hash{};  // of the zone segment in force
  uint32_t next = 1;
};

// Errors: invalid_argument (a name too long, a message overflow), conflict (a source twice).
Result<Compiled> compile(const Input& input, const Settings& settings, const Serials& serials);

}  // namespace merlon::compile
