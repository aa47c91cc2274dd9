// SPDX-License-Identifier: Apache-2.0
#include "controlplane/dnssec/denial.h"

#include <algorithm>

#include "zones/wire/wire.h"

namespace merlon::dnssec {
namespace {

constexpr size_t kNone = SIZE_MAX;

// Both folded, uncompressed, valid.
bool is_below(Bytes name, Bytes ancestor) {
  size_t at = 0;
  while (name.size() - at > ancestor.size()) {
    at += name[at] + 1u;
  }
  return at > 0 && std::ranges::equal(name.subspan(at), ancestor);
}

}  // namespace

std::vector<Standing> standings_of(const snapshot::ZoneBuilder& zone) {
  std::vector<Standing> standings(zone.node_count(), Standing::authoritative);
  size_t occluder = kNone;
  for (size_t i = 0; i < zone.node_count(); ++i) {
    if (occluder != kNone && is_below(zone.name_of(i), zone.name_of(occluder))) {
      standings[i] = Standing::occluded;  // canonical order keeps what is below together
      continue;
    }
    occluder = kNone;
    if (i > 0 && zone.find(i, wire::type::ns) != nullptr) {
      standings[i] = Standing::cut;
      occluder = i;
    } else if (zone.find(i, wire::type::dname) != nullptr) {
      occluder = i;
    }
  }
  return standings;
}

std::vector<uint8_t> type_bitmap(std::span<const uint16_t> types) {
  std::vector<uint16_t> sorted(types.begin(), types.end());
  std::ranges::sort(sorted);
  std::vector<uint8_t> bitmap;
  for (size_t i = 0; i < sorted.size();) {
    const int window = sorted[i] >> 8;
    uint8_t bits[32] = {};
    size_t size = 0;
    for (; i < sorted.size() && sorted[i] >> 8 == window; ++i) {
      const size_t low = sorted[i] & 0xff;
      bits[low / 8] = static_cast<uint8_t>(bits[low / 8] | (0x80 >> (low % 8)));
      size = low / 8 + 1;
    }
    bitmap.push_back(static_cast<uint8_t>(window));
    bitmap.push_back(static_cast<uint8_t>(size));
    bitmap.insert(bitmap.end(), bits, bits + size);
  }
  return bitmap;
}

std::vector<uint8_t> nsec_rdata(Bytes next_name, std::span<const uint16_t> types) {
  std::vector<uint8_t> rdata(next_name.begin(), next_name.end());
  std::ranges::copy(type_bitmap(types), std::back_inserter(rdata));
  return rdata;
}

Sha1 nsec3_hash(Bytes folded_name) {
  return sha1({folded_name});
}

std::vector<uint8_t> nsec3_rdata(const Sha1& next, std::span<const uint16_t> types) {
  // Algorithm, flags, iterations, salt length; then hash length and the hash.
  std::vector<uint8_t> rdata{1, 0, 0, 0, 0, static_cast<uint8_t>(next.size())};
  rdata.insert(rdata.end(), next.begin(), next.end());
  std::ranges::copy(type_bitmap(types), std::back_inserter(rdata));
  return rdata;
}

std::vector<uint8_t> nsec3param_rdata() {
  return {1, 0, 0, 0, 0};
}

}  // namespace merlon::dnssec
