// SPDX-License-Identifier: Apache-2.0
// How values lie in the database. Definitions, states and devices are JSON with a version, easy to
// read with ldb and easy to extend; sets and observations are compact binary, for they are many.
//
// A *value key* is an indicator as bytes, in the order that FeedSet::normalise gives:
//   '4' address(4, network order) length(1)  |  '6' address(16) length(1)  |  'd' domain text
// A key of column `sets` is the feed number (4, network order) and a value key; its value is empty.
// A key of column `indicators` serves lookups instead: all prefixes that can cover an address, or
// all parents of a domain, are few exact keys:
//   '4' length(1) address(4)  |  '6' length(1) address(16)  |  'd' "com.example.www."
// Its value is a run of sightings: varint(feed number * 2 + listed), first_seen (4, network order)
// and, when not listed, last_seen (4): 5 bytes for most.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/store/model.h"
#include "zones/base/error.h"

namespace merlon::store {

inline constexpr size_t kDomainSizeMax = 253;

// A feed's word on one indicator, as stored. Feeds are numbers here; the numbers are never reused.
struct Sighting {
  uint32_t feed = 0;
  uint32_t first_seen = 0;
  uint32_t last_seen = 0;  // when withdrawn; 0 while listed
  bool listed = false;
  bool operator==(const Sighting&) const = default;
};

void encode_sightings(const std::vector<Sighting>& sightings, std::string& out);
// False when the bytes are not what encode_sightings writes.
bool decode_sightings(std::string_view bytes, std::vector<Sighting>& out);

// Unix seconds in 32 bits, good until 2106; what lies outside is moved to the nearest end.
uint32_t to_stored_time(int64_t seconds);

// Value keys; `out` is overwritten. False when the value is not one a set may hold (host bits set,
// a length beyond the width, a domain that is empty, too long or not folded).
bool encode_value_key(const address::Prefix<address::Bits4>& prefix, std::string& out);
bool encode_value_key(const address::Prefix<address::Bits6>& prefix, std::string& out);
bool encode_value_key(const std::string& domain, std::string& out);
// Appends the value to its part of the set; false when the bytes are not a value key.
bool decode_value_key(std::string_view key, FeedSet& into);

std::string indicator_key(std::string_view value_key);
std::string indicator_key(const address::AnyPrefix& prefix);
std::string domain_indicator_key(std::string_view domain);

std::string big_endian(uint32_t number);
bool parse_big_endian(std::string_view bytes, uint32_t& out);

struct StoredFeed {
  uint32_t number = 0;
  FeedRecord record;
};
// Errors: invalid_argument when a text is not UTF-8 (definitions and devices). In states such
// bytes, which come from sources, are replaced by U+FFFD.
Result<std::string> encode_feed(const StoredFeed& feed);
Result<StoredFeed> decode_feed(std::string_view text);  // corruption, unsupported
Result<std::string> encode_device(const Device& device);
Result<Device> decode_device(std::string_view text);  // corruption, unsupported

}  // namespace merlon::store
