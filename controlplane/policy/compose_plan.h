// SPDX-License-Identifier: Apache-2.0
// Inside of compose_all: what each list takes of each class, and where its capacity ends.
//
// Every address has a hash. A list whose room ends within a group of classes of equal score keeps
// those of the group with the lowest hashes: below the bucket in which the room ends all, in that
// bucket the first few. Where that is comes from one count of addresses by class and bucket, made
// for all lists together.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "controlplane/policy/sweep.h"
#include "zones/address/range_set.h"

namespace merlon::policy::sweeping {

uint64_t hash_of(address::Bits4 bits);
uint64_t hash_of(address::Bits6 bits);

// Ranges that no list may hold, ascending: never, and allowed but for those.
template <class Bits>
struct SpecialRange {
  Bits first;
  Bits last;
  bool never;
};
template <class Bits>
using Specials = std::vector<SpecialRange<Bits>>;

// Calls plain(first, last, class) and special(first, last, class, never) for the parts of the
// ranges, in order.
template <class Bits, class Plain, class Special>
void for_each_part(std::span<const ElementaryRange<Bits>> ranges, const Specials<Bits>& specials,
                   Plain&& plain, Special&& special) {
  size_t next = 0;
  for (const ElementaryRange<Bits>& range : ranges) {
    while (next < specials.size() && specials[next].last < range.first) {
      ++next;
    }
    Bits from = range.first;
    bool something_left = true;
    for (size_t k = next; k < specials.size() && specials[k].first <= range.last; ++k) {
      if (specials[k].first > from) {
        plain(from, static_cast<Bits>(specials[k].first - 1), range.class_number);
        from = specials[k].first;
      }
      const Bits last = std::min(specials[k].last, range.last);
      special(from, last, range.class_number, specials[k].never);
      something_left = last != range.last;
      if (!something_left) {
        break;
      }
      from = static_cast<Bits>(last + 1);
    }
    if (something_left) {
      plain(from, range.last, range.class_number);
    }
  }
}

// What all lists of one call have in common.
struct Common {
  const Universe& universe;
  const address::IpSet& never;
  const address::IpSet& allowed;
  Specials<address::Bits4> specials4{};
  Specials<address::Bits6> specials6{};
  std::vector<uint64_t> class_addresses{};  // that are not special; both families
  std::vector<uint32_t> class_ranges{};

  static Common make(const Universe& universe, const ComposeOptions& options);
};

// What a list takes of a class.
struct Take {
  uint32_t class_number;
  uint32_t score;  // as in FallenOff
  bool narrow;     // some chosen feed lists it in narrow prefixes
  bool wide;       // some in wide ones
};

// A part of the universe that a list's own entries concern.
template <class Bits>
struct OwnPart {
  Bits first;
  Bits last;
  uint32_t class_number;
};
struct OwnParts {
  std::vector<OwnPart<address::Bits4>> v4{};
  std::vector<OwnPart<address::Bits6>> v6{};
};

// One list. Addresses with a hash below `limit_low` are kept of the boundary's classes, and of
// those below `limit_high` the first `rest` in the order of their hashes.
struct Plan {
  const Selection* selection = nullptr;
  std::vector<int32_t> score_by_feed{};  // -1: not chosen
  // Own entries without what is never blocked or allowed.
  address::IpSet block{};
  address::IpSet block_narrow{};
  OwnParts allowed_parts{};       // of what is taken out by the own allow lists
  OwnParts replaced_parts{};      // of what own entries say themselves
  address::IpSet own_lost_set{};  // own narrow addresses that the capacity has no room for
  uint64_t own_lost = 0;          // how many

  bool cut = false;
  uint32_t boundary_score = 0;  // classes above stay whole, classes below fall off
  std::vector<uint32_t> boundary_classes{};
  uint64_t room = 0;  // addresses of the boundary's classes
  uint64_t limit_low = 0;
  uint64_t limit_high = 0;
  uint64_t rest = 0;

  std::vector<Take> takes(const Universe& universe) const;
};

Plan make_plan(const Selection& selection, const Common& common);

// Addresses by class and by the first bits of their hash, for classes at some list's boundary.
class Histogram {
 public:
  Histogram(const Common& common, std::vector<bool> wanted, unsigned threads);

  // Sets the limits of a plan that is cut.
  void set_limits(Plan& plan) const;

 private:
  static constexpr uint32_t kNotWanted = UINT32_MAX;
  void count(const Common& common, std::vector<uint32_t>& counts, unsigned part, unsigned parts);
  size_t bucket_of(uint64_t hash) const { return hash >> (64 - bucket_bits_); }

  unsigned bucket_bits_;
  std::vector<uint32_t> row_of_class_;
  std::vector<uint32_t> counts_;  // rows of 2^bucket_bits_
};

}  // namespace merlon::policy::sweeping
