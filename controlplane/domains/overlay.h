// SPDX-License-Identifier: Apache-2.0
// Several sets of domains over each other, each with a rank: which one decides for a name, and
// which entries a DNS zone needs so that a look-up in it finds the same (RFC 4592).
//
// Of all entries that cover a name, itself or from above, the one of the strongest rank decides;
// how near to the name it stands does not matter. So an allowed domain stays reachable under
// blocked parents and over blocked children, and a mild entry never weakens a severe one above it.
//
// In a zone `*.example.com` does not answer for what is below a name that exists: with an entry
// for a.b.example.com, neither b.example.com nor c.b.example.com is found by the wildcard above
// any more. Such names get entries of their own that say what they would have inherited ("filled").
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

#include "controlplane/domains/domain_set.h"

namespace merlon::domains {

inline constexpr uint16_t kNoRank = UINT16_MAX;

struct Layer {
  const DomainSet* set = nullptr;
  uint16_t rank = 0;  // the smallest is the strongest
};

// What a zone says of a name, and by its wildcard of what is below it.
struct Decision {
  std::string_view key;  // until the next call
  uint16_t exact = kNoRank;
  uint16_t below = kNoRank;
};

struct OverlayCounts {
  uint64_t duplicates = 0;  // entries of a name that a layer of the same rank has too
  uint64_t covered = 0;     // entries below one of the same rank
  uint64_t outranked = 0;   // entries that a stronger one takes the place of
  uint64_t filled = 0;      // names between that needed an entry
};

// Calls use() for each name that needs an entry, in the order of keys.
OverlayCounts overlay(std::span<const Layer> layers,
                      const std::function<void(const Decision&)>& use);

}  // namespace merlon::domains
