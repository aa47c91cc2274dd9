// SPDX-License-Identifier: Apache-2.0
// Which names of a snapshot carry an address, and which policy zones a domain: read from the
// answers themselves, so it is true for any generation, however it was made.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "zones/address/address.h"
#include "zones/name/name.h"
#include "zones/snapshot/snapshot.h"

namespace merlon::coordinator {

// Whose zones are looked at: of everybody, or the shared ones and those of one account (by number).
using Scope = std::optional<uint32_t>;

std::vector<std::string> names_that_carry(const snapshot::Snapshot& snapshot,
                                          const address::Address& address,
                                          const Scope& scope = std::nullopt);
// The same for many addresses in one walk; one result for each of them.
std::vector<std::vector<std::string>> names_that_carry(const snapshot::Snapshot& snapshot,
                                                       std::span<const address::Address> addresses,
                                                       const Scope& scope);

// Apexes of the policy zones that have a rule for the domain, by its own name or a wildcard above.
struct PolicyZones {
  std::vector<std::string> blocking;
  std::vector<std::string> passing;  // the rule lets it through
};
PolicyZones policy_zones_of(const snapshot::Snapshot& snapshot, const name::Name& domain,
                            const Scope& scope);

}  // namespace merlon::coordinator
