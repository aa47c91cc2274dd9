// SPDX-License-Identifier: Apache-2.0
// Which NSEC (RFC 4035 section 3.1.3) or NSEC3 records (RFC 5155 section 7.2) prove what a signed
// zone does not hold. Each function adds to a set in which no record stands twice; unsigned zones
// add nothing.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "zones/snapshot/loaded_zone.h"

namespace merlon::answer {

// One record by its place: of a zone with NSEC the node's number, of one with NSEC3 the entry's.
struct Proof {
  const snapshot::LoadedZone* zone;
  uint32_t number;
};

class Proofs {
 public:
  // What is more is left out.
  static constexpr size_t kCountMax = 80;

  void add(const snapshot::LoadedZone& zone, uint32_t number);
  std::span<const Proof> all() const { return {proofs_.data(), count_}; }

  // The name, which is a node or would be one, has not the type. Where opt-out left the name out
  // (an insecure delegation), that it has no signed data at all.
  void prove_no_type(const snapshot::LoadedZone& zone, const snapshot::LabelledName& name);
  // Nothing is nearer to the name than its encloser, `depth` labels deep: so a wildcard answers.
  void prove_no_closer(const snapshot::LoadedZone& zone, const snapshot::LabelledName& name,
                       size_t depth);
  // Besides, the wildcard below the encloser does not exist, or has not the type.
  void prove_no_wildcard(const snapshot::LoadedZone& zone, const snapshot::LabelledName& name,
                         size_t depth);

 private:
  size_t add_encloser(const snapshot::LoadedZone& zone, const snapshot::LabelledName& name,
                      size_t depth);

  std::array<Proof, kCountMax> proofs_;
  size_t count_ = 0;
};

}  // namespace merlon::answer
