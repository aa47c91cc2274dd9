// SPDX-License-Identifier: Apache-2.0
#include "zones/address/range_set.h"

namespace merlon::address {
namespace {

// Appends a range to a vector that is being built in ascending order of first, merging what
// overlaps or touches its last element.
template <class Bits>
void append_merged(std::vector<Range<Bits>>& out, Range<Bits> range) {
  if (!out.empty()) {
    Range<Bits>& last = out.back();
    if (last.last == kAllOnes<Bits> || range.first <= static_cast<Bits>(last.last + 1)) {
      last.last = std::max(last.last, range.last);
      return;
    }
  }
  out.push_back(range);
}

}  // namespace

template <class Bits>
RangeSet<Bits> RangeSet<Bits>::from_unsorted(std::vector<Range<Bits>> ranges) {
  std::sort(ranges.begin(), ranges.end(),
            [](const Range<Bits>& a, const Range<Bits>& b) { return a.first < b.first; });
  RangeSet set;
  for (const Range<Bits>& range : ranges) {
    append_merged(set.ranges_, range);
  }
  return set;
}

template <class Bits>
bool RangeSet<Bits>::is_normal(const std::vector<Range<Bits>>& ranges) {
  for (size_t i = 0; i < ranges.size(); ++i) {
    if (ranges[i].last < ranges[i].first) {
      return false;
    }
    if (i > 0 && (ranges[i - 1].last == kAllOnes<Bits> ||
                  ranges[i].first <= static_cast<Bits>(ranges[i - 1].last + 1))) {
      return false;
    }
  }
  return true;
}

template <class Bits>
bool RangeSet<Bits>::contains(Bits address) const {
  return overlaps({address, address});
}

template <class Bits>
bool RangeSet<Bits>::overlaps(Range<Bits> range) const {
  const auto at = std::lower_bound(
      ranges_.begin(), ranges_.end(), range.first,
      [](const Range<Bits>& candidate, Bits first) { return candidate.last < first; });
  return at != ranges_.end() && at->first <= range.last;
}

template <class Bits>
Bits6 RangeSet<Bits>::address_count() const {
  Bits6 count = 0;
  for (const Range<Bits>& range : ranges_) {
    const Bits6 size_less_one = static_cast<Bits6>(range.last) - range.first;
    if (size_less_one == kAllOnes<Bits6>) {
      return kAllOnes<Bits6>;
    }
    count += size_less_one + 1;
  }
  return count;
}

template <class Bits>
RangeSet<Bits> RangeSet<Bits>::united(const RangeSet& other) const {
  RangeSet set;
  set.ranges_.reserve(ranges_.size() + other.ranges_.size());
  size_t a = 0;
  size_t b = 0;
  while (a < ranges_.size() || b < other.ranges_.size()) {
    const bool take_a = b == other.ranges_.size() ||
                        (a < ranges_.size() && ranges_[a].first <= other.ranges_[b].first);
    append_merged(set.ranges_, take_a ? ranges_[a++] : other.ranges_[b++]);
  }
  return set;
}

template <class Bits>
RangeSet<Bits> RangeSet<Bits>::minus(const RangeSet& other) const {
  RangeSet set;
  set.ranges_.reserve(ranges_.size());
  size_t b = 0;
  for (Range<Bits> rest : ranges_) {
    while (b < other.ranges_.size() && other.ranges_[b].last < rest.first) {
      ++b;
    }
    bool something_left = true;
    for (size_t k = b; k < other.ranges_.size() && other.ranges_[k].first <= rest.last; ++k) {
      const Range<Bits>& hole = other.ranges_[k];
      if (hole.first > rest.first) {
        set.ranges_.push_back({rest.first, static_cast<Bits>(hole.first - 1)});
      }
      if (hole.last >= rest.last) {
        something_left = false;
        break;
      }
      rest.first = static_cast<Bits>(hole.last + 1);
    }
    if (something_left) {
      set.ranges_.push_back(rest);
    }
  }
  return set;
}

template <class Bits>
RangeSet<Bits> RangeSet<Bits>::intersected(const RangeSet& other) const {
  RangeSet set;
  size_t a = 0;
  size_t b = 0;
  while (a < ranges_.size() && b < other.ranges_.size()) {
    const Bits first = std::max(ranges_[a].first, other.ranges_[b].first);
    const Bits last = std::min(ranges_[a].last, other.ranges_[b].last);
    if (first <= last) {
      set.ranges_.push_back({first, last});
    }
    if (ranges_[a].last < other.ranges_[b].last) {
      ++a;
    } else {
      ++b;
    }
  }
  return set;
}

template class RangeSet<Bits4>;
template class RangeSet<Bits6>;

}  // namespace merlon::address
