// SPDX-License-Identifier: Apache-2.0
#include "zones/answer/denial.h"

#include <cstring>

#include "zones/name/name.h"
#include "zones/name/nsec3.h"

namespace merlon::answer {

using snapshot::Denial;
using snapshot::LabelledName;
using snapshot::LoadedZone;

namespace {

Denial denial_of(const LoadedZone& zone) {
  return zone.view().info().denial;
}

name::Sha1Digest hash_of(const LoadedZone& zone, Bytes name) {
  return name::nsec3_hash(name, zone.nsec3_parameters());
}

uint32_t nsec3_of(const LoadedZone& zone, Bytes name) {
  return zone.nsec3_at_or_before(hash_of(zone, name));
}

}  // namespace

void Proofs::add(const LoadedZone& zone, uint32_t number) {
  if (number == snapshot::kNoBody || count_ == kCountMax) {
    return;
  }
  for (const Proof& proof : all()) {
    if (proof.zone == &zone && proof.number == number) {
      return;
    }
  }
  proofs_[count_++] = {&zone, number};
}

// The closest encloser that has an NSEC3 record, and the record that covers the next closer name
// (RFC 5155 section 7.2.1). Under opt-out an empty non-terminal above nothing but insecure
// delegations has none, so the one above it serves. Returns its depth.
size_t Proofs::add_encloser(const LoadedZone& zone, const LabelledName& name, size_t depth) {
  while (true) {  // ends at the apex, if not before
    const name::Sha1Digest hash = hash_of(zone, name.suffix(depth));
    const uint32_t number = zone.nsec3_at_or_before(hash);
    const bool matches = zone.view().nsec3()[number].hash == hash;
    if (matches) {
      add(zone, number);
    }
    if (matches || depth <= zone.apex_depth()) {
      break;
    }
    --depth;
  }
  prove_no_closer(zone, name, depth);
  return depth;
}

void Proofs::prove_no_type(const LoadedZone& zone, const LabelledName& name) {
  if (denial_of(zone) == Denial::nsec) {
    add(zone, zone.nsec_at_or_before(name.name));
  } else if (denial_of(zone) == Denial::nsec3) {
    const name::Sha1Digest hash = hash_of(zone, name.name);
    const uint32_t number = zone.nsec3_at_or_before(hash);
    if (zone.view().nsec3()[number].hash == hash) {
      add(zone, number);
    } else if (name.label_count > zone.apex_depth()) {
      add_encloser(zone, name, name.label_count - 1);
    }
  }
}

void Proofs::prove_no_closer(const LoadedZone& zone, const LabelledName& name, size_t depth) {
  if (denial_of(zone) == Denial::nsec) {
    add(zone, zone.nsec_at_or_before(name.name));
  } else if (denial_of(zone) == Denial::nsec3 && depth < name.label_count) {
    add(zone, nsec3_of(zone, name.suffix(depth + 1)));
  }
}

void Proofs::prove_no_wildcard(const LoadedZone& zone, const LabelledName& name, size_t depth) {
  if (denial_of(zone) == Denial::nsec3) {
    depth = add_encloser(zone, name, depth);
  } else {
    prove_no_closer(zone, name, depth);
  }
  // The name has a label more than its encloser, so there is room for `*`.
  std::array<uint8_t, name::kWireSizeMax> bytes = {1, '*'};
  const Bytes encloser = name.suffix(depth);
  std::memcpy(bytes.data() + 2, encloser.data(), encloser.size());
  const Bytes wildcard = Bytes(bytes).first(2 + encloser.size());
  if (denial_of(zone) == Denial::nsec) {
    add(zone, zone.nsec_at_or_before(wildcard));
  } else if (denial_of(zone) == Denial::nsec3) {
    add(zone, nsec3_of(zone, wildcard));
  }
}

}  // namespace merlon::answer
