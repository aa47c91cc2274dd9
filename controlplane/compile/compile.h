// SPDX-License-Identifier: Apache-2.0
// Lists and devices in, segments out. A list's address records are cut into stable chunks
// (chunks.h); the bodies of a list are segments of their own, 64 names each, named by content: so
// equal lists share them and a change rewrites a few names' bodies and one zone, nothing else.
// Deterministic: the same input (with what is remembered from the compile before) gives the same
// bytes. Pure but for the signer; safe from any thread, so zones may be compiled side by side.
//
// A list `x` with more addresses than a name may carry continues as x1, x2, ... The whole list as
// prefixes, wide ones included, is in APL records (RFC 3123), cut by size and not at the addresses
// of each name: most lists have one, at the first name. The first name also carries PTR records for
// the names in use (as many as a message holds) and a TXT record that counts everything.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/compile/chunks.h"
#include "controlplane/compile/zone_signer.h"
#include "controlplane/policy/lists.h"
#include "controlplane/store/model.h"
#include "zones/address/address.h"
#include "zones/base/error.h"
#include "zones/name/name.h"
#include "zones/snapshot/loaded_zone.h"
#include "zones/snapshot/manifest.h"

namespace merlon::compile {

struct Settings {
  name::Name suffix;
  uint32_t ttl_s = 900;
  uint32_t negative_ttl_s = 60;
  // The most there may be under a name; a profile can say less, and a signed zone does: what
  // validators build of an RRset must stay within 65,535 bytes.
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
  std::string label;  // of the first name
  uint32_t tier_mask = 0;
  std::shared_ptr<const policy::ListContent> content;  // `narrow` becomes address records
  uint32_t addresses4_per_name = 4000;
  uint32_t addresses6_per_name = 2300;
  int64_t changed = 0;  // Unix seconds: the newest change of what it is made of
};

// One zone of lists: the suffix, or an account's <account>.<suffix>.
struct ZoneInput {
  name::Name apex;
  uint32_t account = 0;          // number; 0: shared, by tier
  std::vector<ListInput> lists;  // sorted by label
};

// What is remembered of a zone from one compile to the next. Without it (a new zone, a lost cache)
// all is compiled anew: right, but not with the same chunks.
struct ZoneMemory {
  uint32_t serial = 0;  // in force; 0: never published
  std::string hash;     // of the zone segment in force
  std::string content;  // what that zone says but for serial and signatures; "" is not known
  struct List {
    ChunkPlan<address::Bits4> v4;
    ChunkPlan<address::Bits6> v6;
    // Of the first addresses of the prefixes in APL records.
    ChunkPlan<address::Bits4> apl4;
    ChunkPlan<address::Bits6> apl6;
    bool operator==(const List&) const = default;
  };
  std::map<std::string, List> lists;
  bool operator==(const ZoneMemory&) const = default;

  std::string encode() const;
  static Result<ZoneMemory> decode(std::string_view bytes);  // corruption
};

struct CompiledSegment {
  snapshot::ManifestSegment listed;
  std::vector<uint8_t> bytes;                              // of all kinds but bodies
  std::shared_ptr<const snapshot::LoadedBodies> bodies{};  // as a generation holds them

  Bytes content() const { return bodies == nullptr ? Bytes(bytes) : bodies->segment.bytes(); }
};

struct CompiledList {
  std::string label;
  std::vector<std::string> names;  // in use, with final dot
  uint64_t address4_count = 0;     // A records, the test address included
  uint64_t address6_count = 0;
  uint64_t prefix_only_count = 0;
};

struct CompiledZone {
  std::vector<CompiledSegment> segments;  // bodies (each once), then the zone
  std::vector<CompiledList> lists;        // as in the input
  uint64_t name_count = 0;
  ZoneMemory memory;  // for the next compile
};

// The zone keeps its serial when its content is what it was; else it gets `next_serial` (or one
// more than the serial in force, when that is higher). `signer` may be nullptr: nothing is signed.
// Errors: invalid_argument (a name too long, no room for an address, a label that is not a list's
// to take), conflict (two lists need one name), the signer's.
struct ZoneContext {
  const Settings& settings;
  uint32_t next_serial = 1;
  ZoneSigner* signer = nullptr;
  unsigned threads = 1;  // that make bodies
  // Takes every segment of bodies as soon as it is made, to write it while others are: called by
  // any of the threads. An error ends the compile.
  std::function<Status(const CompiledSegment&)> store{};
};
Result<CompiledZone> compile_zone(const ZoneInput& input, const ZoneContext& context,
                                  const ZoneMemory& before);

// Who may ask. Errors: conflict (a source twice).
Result<CompiledSegment> compile_access(const std::vector<store::Device>& devices);

}  // namespace merlon::compile
