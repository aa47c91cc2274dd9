// SPDX-License-Identifier: Apache-2.0
// How values lie in the database. Definitions, states and devices are JSON with a version, easy to
// read with ldb and easy to extend; sets and observations are compact binary, for they are many.
//
// A *value key* is an indicator as bytes, in the order that FeedSet::normalise gives:
//   '4' address(4, network order) length(1)  |  '6' address(16) length(1)  |  'd' domain text
// A key of column `sets` is the feed number (4, network order) and a value key; its value is empty,
// or for an entry that ages a kind ('u', 'g', 'o') and a time (4): SetEntry. Beside them, for those
// that change by themselves: 0(4) time(4) feed number(4) value key -> "".
// A key of column `indicators` serves lookups instead: all prefixes that can cover an address, or
// all parents of a domain, are few exact keys:
//   '4' length(1) address(4)  |  '6' length(1) address(16)  |  'd' "com.example.www."
// Its value is a run of sightings: varint(feed number * 2 + listed), first_seen (4, network order)
// and, when not listed, last_seen (4): 5 bytes for most. One of several intervals is 0, varint(feed
// number * 2 + listed), varint(earlier intervals), the first's start (4), and varints: for each
// earlier one its length and the break after it, then, when not listed, the last one's length.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/store/model.h"
#include "zones/base/error.h"

namespace merlon::store {

inline constexpr size_t kDomainSizeMax = 253;

struct StoredInterval {
  uint32_t from = 0;
  uint32_t until = 0;
  bool operator==(const StoredInterval&) const = default;
};

// A feed's word on one indicator, as stored. Feeds are numbers here; the numbers are never reused.
struct Sighting {
  uint32_t feed = 0;
  uint32_t first_seen = 0;  // of the latest interval
  uint32_t last_seen = 0;   // when withdrawn; 0 while listed
  bool listed = false;
  std::vector<StoredInterval> earlier = {};  // oldest first, apart from each other
  bool operator==(const Sighting&) const = default;
};

// How a feed's entry stands.
struct SetEntry {
  enum class Kind : uint8_t {
    listed,     // as long as the source names it
    limited,    // the same, but not beyond `time`
    lingering,  // the source names it no more; it counts until `time`
    out,        // aged out at `time`, though the source goes on naming it
  };

  Kind kind = Kind::listed;
  uint32_t time = 0;

  bool counts() const { return kind != Kind::out; }
  bool ages() const { return kind == Kind::limited || kind == Kind::lingering; }
  bool operator==(const SetEntry&) const = default;
};
std::string encode_set_entry(const SetEntry& entry);
// False when the bytes are not what encode_set_entry writes.
bool decode_set_entry(std::string_view bytes, SetEntry& out);

struct AgeingKey {
  uint32_t time = 0;
  uint32_t feed = 0;
  std::string_view value_key;  // into the decoded bytes
};
std::string encode_ageing_key(const AgeingKey& key);
bool decode_ageing_key(std::string_view bytes, AgeingKey& out);
// Up to which key those of `time` and before reach.
std::string ageing_keys_end(uint32_t time);

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
