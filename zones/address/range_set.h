// SPDX-License-Identifier: Apache-2.0
// A set of addresses as sorted, disjoint, non-adjacent inclusive ranges. Every operation is one
// linear walk over sorted arrays (the iprange way), so a union of 1 M + 1 M ranges costs one pass
// over memory. Value type; no member function is safe to call while another thread writes.
#pragma once

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "zones/address/address.h"

namespace merlon::address {

template <class Bits>
class RangeSet {
 public:
  RangeSet() = default;

  // Any order, overlaps and adjacency allowed.
  static RangeSet from_unsorted(std::vector<Range<Bits>> ranges);
  // REQUIRES: sorted, disjoint and not adjacent; is_normal() checks it.
  static RangeSet from_normal(std::vector<Range<Bits>> ranges) {
    RangeSet set;
    set.ranges_ = std::move(ranges);
    return set;
  }
  static bool is_normal(const std::vector<Range<Bits>>& ranges);

  const std::vector<Range<Bits>>& ranges() const { return ranges_; }
  bool empty() const { return ranges_.empty(); }
  bool contains(Bits address) const;
  bool overlaps(Range<Bits> range) const;
  // Addresses in the set; saturates at the largest value of Bits6 for the whole IPv6 space.
  Bits6 address_count() const;

  RangeSet united(const RangeSet& other) const;
  // The union of many. Cut into slices of the space whose parts stay in cache; with two threads
  // each takes half of the slices, which pays from about a million ranges. The result is the same.
  static RangeSet united(std::span<const RangeSet* const> sets, unsigned threads = 1);
  RangeSet minus(const RangeSet& other) const;  // exact subtraction
  RangeSet intersected(const RangeSet& other) const;

  template <class Use>
  void for_each_prefix(Use&& use) const {
    for (const Range<Bits>& range : ranges_) {
      address::for_each_prefix<Bits>(range, use);
    }
  }

  // How many prefixes for_each_prefix() gives: the fewest that cover the set and nothing else.
  uint64_t prefix_count() const;

  bool operator==(const RangeSet&) const = default;

 private:
  std::vector<Range<Bits>> ranges_;
};

using RangeSet4 = RangeSet<Bits4>;
using RangeSet6 = RangeSet<Bits6>;

// Both families side by side: what a feed or a list holds.
struct IpSet {
  RangeSet4 v4;
  RangeSet6 v6;

  bool empty() const { return v4.empty() && v6.empty(); }
  bool contains(const Address& address) const {
    return address.family == Family::v4 ? v4.contains(static_cast<Bits4>(address.bits))
                                        : v6.contains(address.bits);
  }
  IpSet united(const IpSet& other) const { return {v4.united(other.v4), v6.united(other.v6)}; }
  IpSet minus(const IpSet& other) const { return {v4.minus(other.v4), v6.minus(other.v6)}; }
  IpSet intersected(const IpSet& other) const {
    return {v4.intersected(other.v4), v6.intersected(other.v6)};
  }
  bool operator==(const IpSet&) const = default;
};

extern template class RangeSet<Bits4>;
extern template class RangeSet<Bits6>;

}  // namespace merlon::address
