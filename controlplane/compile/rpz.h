// SPDX-License-Identifier: Apache-2.0
// Response policy zones (draft-vixie-dns-rpz): the domains and addresses of a policy, each with
// what is to be done about it, as one zone that BIND, Unbound, PowerDNS and others enforce.
//
// One merged zone, because triggers of one zone are cheap and several zones are not, and because an
// allowed name must stand in the same zone or an earlier one than what blocks it. No owner has two
// records: where rules meet, the stronger decides. That is the order of RpzAction, passthru first:
// what is allowed is never blocked, below blocked names and above them alike; and of two rules with
// one action (gardens), the earlier. A domain is an entry for its name and a wildcard for what is
// below it; where one name ends the reach of a wildcard above it, entries are filled in
// (domains/overlay.h). Addresses are cut up into prefixes that do not meet.
//
// Names are given to the zone in canonical order, and all records with one action are one body.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/compile/zone_signer.h"
#include "controlplane/domains/domain_set.h"
#include "zones/address/range_set.h"
#include "zones/base/error.h"
#include "zones/name/name.h"
#include "zones/snapshot/manifest.h"

namespace merlon::compile {

// The strongest first.
enum class RpzAction : uint8_t {
  passthru,  // answered as if there were no policy: CNAME rpz-passthru.
  drop,      // no answer at all: CNAME rpz-drop.
  nxdomain,  // CNAME .
  nodata,    // CNAME *.
  garden,    // another name's answer: CNAME garden., or CNAME *.garden. for <name>.garden.
  tcp_only,  // TC, so that only clients that use TCP get the answer: CNAME rpz-tcp-only.
};
std::string_view to_string(RpzAction action);

struct RpzRule {
  RpzAction action = RpzAction::nxdomain;
  name::Name garden{};  // of action garden; its first label may be *
  std::shared_ptr<const domains::DomainSet> domains{};  // nullptr: none
  address::IpSet addresses{};                           // in answers, whatever name they are of
};

struct RpzSettings {
  name::Name primary{};  // of the SOA and NS records; the root: localhost, as is custom
  name::Name mailbox{};  // the root: nobody.invalid
  uint32_t ttl_s = 300;
  uint32_t negative_ttl_s = 60;
  uint32_t refresh_s = 900;
  uint32_t retry_s = 300;
  uint32_t expire_s = 604800;
};

struct RpzInput {
  name::Name apex{};
  uint32_t account = 0;    // number; 0: shared, by tier
  uint32_t tier_mask = 0;  // of a shared zone
  // Blocked by NXDOMAIN in every zone whatever the rules say, so that enforcement can be proved.
  // What resolves without the policy proves the most.
  name::Name test_name{};
  std::vector<RpzRule> rules{};
};

struct RpzCounts {
  uint64_t names = 0;       // owners with a record, address triggers included
  uint64_t wildcards = 0;   // of them
  uint64_t prefixes4 = 0;   // of them
  uint64_t prefixes6 = 0;   // of them
  uint64_t filled = 0;      // names between, with the entries that they would have inherited
  uint64_t duplicates = 0;  // left out: the name again with the same action
  uint64_t covered = 0;     // left out: below a name with the same action
  uint64_t outranked = 0;   // left out: a stronger action has the name
  uint64_t too_long = 0;    // left out: no room for the name below the apex
};

// What is remembered from one compile to the next. Without it the zone gets a new serial.
struct RpzMemory {
  uint32_t serial = 0;   // in force; 0: never published
  std::string digest{};  // of the zone's content without its serial
  std::string hash{};    // of the segment

  std::string encode() const;
  static Result<RpzMemory> decode(std::string_view text);  // corruption
  bool operator==(const RpzMemory&) const = default;
};

struct CompiledRpz {
  snapshot::ManifestSegment listed;
  std::vector<uint8_t> bytes;
  RpzCounts counts;
  RpzMemory memory;
};

// The zone keeps its serial when its content is what it was; else it gets `next_serial`. `signer`
// may be nullptr: not signed. Errors: invalid_argument (no test name, a garden that is none), the
// signer's.
struct RpzContext {
  const RpzSettings& settings;
  uint32_t next_serial = 1;
  ZoneSigner* signer = nullptr;
};
Result<CompiledRpz> compile_rpz(const RpzInput& input, const RpzContext& context,
                                const RpzMemory& before);

}  // namespace merlon::compile
