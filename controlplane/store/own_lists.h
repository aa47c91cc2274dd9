// SPDX-License-Identifier: Apache-2.0
// Entries of an account's own lists: how a value is understood, and what is asked of and said by
// the store about many of them at once. Plain values, without the database.
//
// A value is written one way only, so that it is found whatever way it was typed:
//   an address "192.0.2.7", a prefix "192.0.2.0/24", a range "192.0.2.7-192.0.2.9" (IPv6 as in RFC
//   5952; a range that is a prefix is written as one), a domain "bad.example" (lower case, no final
//   dot), or "*.bad.example": all below the domain, without itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/store/model.h"
#include "zones/address/address.h"
#include "zones/base/error.h"

namespace merlon::store {

inline constexpr size_t kCommentSizeMax = 200;
inline constexpr size_t kEntryBatchMax = 100'000;     // of one call
inline constexpr uint64_t kListEntryMax = 1'000'000;  // of one list
inline constexpr size_t kEntryPageMax = 10'000;

struct OwnValue {
  enum class Kind : uint8_t { address4, address6, domain };

  Kind kind = Kind::domain;
  address::AnyRange range;  // address4, address6: all that the value covers
  std::string domain;       // domain: as in the text, with "*." when it has it
  std::string text;         // canonical

  // Bytes in the order '4' first(4) last(4) | '6' first(16) last(16) | 'd' domain: numbers in
  // network order, so values sort by family and address.
  std::string key() const;
  bool operator==(const OwnValue&) const = default;
};

// Errors: invalid_argument that names the text and what is wrong with it. Blanks around the text
// are taken off.
Result<OwnValue> parse_own_value(std::string_view text);
// False when the bytes are not a key().
bool decode_own_key(std::string_view key, OwnValue& out);
// The same into a set, without making texts: ranges are cut into prefixes, a domain is appended.
bool decode_own_set(std::string_view key, FeedSet& into);

// Why one of many entries was refused.
struct EntryFault {
  size_t index = 0;    // in what was given
  std::string value;   // as given, at most 120 bytes
  std::string reason;  // in full: "10.0.0.0/8 covers protected space: ..."
  bool operator==(const EntryFault&) const = default;
};

struct EntryReport {
  // False: nothing was changed, for there are faults and the caller wanted all or nothing.
  bool applied = false;
  uint64_t added = 0;
  uint64_t replaced = 0;   // were there with another comment or expiry
  uint64_t unchanged = 0;  // were there already; of a removal: were not there
  uint64_t removed = 0;
  uint64_t entry_count = 0;  // of the list afterwards
  std::vector<EntryFault> faults;
};

enum class OnFault : uint8_t { apply_nothing, apply_the_rest };

struct EntryOptions {
  int64_t now = 0;
  OnFault on_fault = OnFault::apply_nothing;
};

// Some of a list's entries, in the order of OwnValue::key().
struct EntryRange {
  std::string after;  // a value, present or not; "": from the first
  size_t limit = 1000;
};
struct EntryPage {
  std::vector<CustomEntry> entries;
  bool more = false;  // go on with `after` = the last entry's value
};

// What an expiry took out of one list.
struct ExpiredEntries {
  std::string account;
  std::string list;
  uint64_t removed = 0;
  bool operator==(const ExpiredEntries&) const = default;
};

struct RemoveAccount {
  bool with_contents = false;  // its devices, lists and policies too; else they are a conflict
};

}  // namespace merlon::store
