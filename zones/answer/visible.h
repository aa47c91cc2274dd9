// SPDX-License-Identifier: Apache-2.0
// Tenant safety: what a subject may see. The rules are the answer logic's (answer.h); they are
// asked of the question's name, and of every name that an alias leads to.
#pragma once

#include "zones/answer/answer.h"

namespace merlon::answer {

using snapshot::LabelledName;
using snapshot::Subject;

inline LabelledName labelled(const Query& query) {
  return {query.folded_qname(), query.label_offsets.data(), query.label_count};
}

inline uint32_t mask_of(const snapshot::LoadedZone& zone, const snapshot::Node* node) {
  const uint32_t own = node == nullptr ? 0 : node->tier_mask;
  return own != 0 ? own : zone.view().info().tier_mask;
}

// Of a zone that the subject may see.
inline bool may_see_node(const snapshot::LoadedZone& zone, const snapshot::Node* node,
                         const Subject& subject) {
  return zone.view().info().account != 0 || (mask_of(zone, node) & subject.tier_mask) != 0;
}

inline bool is_anothers(const Lookup& lookup, const Subject& subject) {
  if (lookup.zone == nullptr) {
    return false;
  }
  const uint32_t account = lookup.zone->view().info().account;
  return account != 0 && account != subject.account;
}

// The same lookup in the next zone above.
inline void look_above(const LabelledName& name, Lookup& lookup) {
  lookup.zone = lookup.snapshot->find_zone_above(*lookup.zone, name.name, name.label_offsets,
                                                 name.label_count);
  lookup.node = lookup.zone == nullptr ? nullptr : lookup.zone->find(lookup.hash, name.name);
}

// Passes over the zones of other accounts. Bounded by the number of labels.
inline Lookup as_seen_by(const LabelledName& name, Lookup lookup, const Subject& subject) {
  while (is_anothers(lookup, subject)) {
    look_above(name, lookup);
  }
  return lookup;
}

// REQUIRES: a lookup as_seen_by() the subject.
inline bool may_see(const LabelledName& name, const Lookup& lookup, const Subject& subject) {
  if (lookup.zone == nullptr) {
    return false;
  }
  if (lookup.zone->view().info().account != 0) {
    return true;
  }
  if ((mask_of(*lookup.zone, lookup.node) & subject.tier_mask) == 0) {
    return false;
  }
  if (lookup.node != nullptr || !lookup.snapshot->is_over_accounts(*lookup.zone)) {
    return true;
  }
  // The name is missing, so it is below the apex and has a first label.
  const Bytes parent = name.name.subspan(size_t{name.name[0]} + 1);
  return lookup.zone->find(lookup.snapshot->key().hash(parent), parent) != nullptr;
}

// The RRset that answers a type other than RRSIG by itself, or nullptr. RFC 8482: ANY gets one
// RRset; the smallest, which is the least useful to an amplifier, and not one that lists names.
inline const snapshot::Rrset* find_rrset(std::span<const snapshot::Rrset> rrsets, uint16_t qtype) {
  const snapshot::Rrset* found = nullptr;
  for (const snapshot::Rrset& rrset : rrsets) {
    if (rrset.type == qtype) {
      return &rrset;
    }
    if (qtype == wire::type::any && rrset.type != wire::type::nsec &&
        (found == nullptr || rrset.body.size < found->body.size)) {
      found = &rrset;
    }
  }
  return found;
}

}  // namespace merlon::answer
