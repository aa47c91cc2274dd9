// SPDX-License-Identifier: Apache-2.0
#include "zones/address/range_set.h"

#include <thread>

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

template <class Bits>
void merge(std::span<const Range<Bits>> a, std::span<const Range<Bits>> b,
           std::vector<Range<Bits>>& out) {
  size_t at_a = 0;
  size_t at_b = 0;
  while (at_a < a.size() && at_b < b.size()) {
    append_merged(out, a[at_a].first <= b[at_b].first ? a[at_a++] : b[at_b++]);
  }
  for (const Range<Bits>& range : a.subspan(at_a)) {
    append_merged(out, range);
  }
  for (const Range<Bits>& range : b.subspan(at_b)) {
    append_merged(out, range);
  }
}

// The ranges of many sets that begin in one slice of the space, united two by two.
template <class Bits>
class SliceUnion {
 public:
  using Ranges = std::vector<Range<Bits>>;

  void unite(std::span<const RangeSet<Bits>* const> sets, Range<Bits> slice, Ranges& out) {
    parts_.clear();
    for (const RangeSet<Bits>* set : sets) {
      const auto by_first = [](const Range<Bits>& range) { return range.first; };
      const auto begin = std::ranges::lower_bound(set->ranges(), slice.first, {}, by_first);
      const auto end = std::ranges::upper_bound(set->ranges(), slice.last, {}, by_first);
      if (begin != end) {
        parts_.push_back({begin, end});
      }
    }
    // Each level is built in a buffer of its own, so that spans of the level below stay good.
    for (size_t level = 0; parts_.size() > 1; level ^= 1) {
      Ranges& buffer = buffers_[level];
      size_t total = 0;
      for (const auto& part : parts_) {
        total += part.size();
      }
      buffer.clear();
      buffer.reserve(total);  // no reallocation below
      size_t kept = 0;
      for (size_t i = 0; i < parts_.size(); i += 2) {
        const size_t from = buffer.size();
        scratch_.clear();
        merge(parts_[i], i + 1 < parts_.size() ? parts_[i + 1] : std::span<const Range<Bits>>(),
              scratch_);
        buffer.insert(buffer.end(), scratch_.begin(), scratch_.end());
        parts_[kept++] = std::span<const Range<Bits>>(buffer).subspan(from);
      }
      parts_.resize(kept);
    }
    for (size_t i = 0; i < parts_.size(); ++i) {
      for (const Range<Bits>& range : parts_[i]) {
        append_merged(out, range);
      }
    }
  }

 private:
  std::vector<std::span<const Range<Bits>>> parts_;
  Ranges buffers_[2];
  Ranges scratch_;
};

// The first addresses of slices in which about as many ranges begin.
template <class Bits>
std::vector<Bits> slice_starts(std::span<const RangeSet<Bits>* const> sets) {
  constexpr size_t kRangesPerSlice = 32'768;
  constexpr size_t kSampleStep = 256;
  std::vector<Bits> samples;
  for (const RangeSet<Bits>* set : sets) {
    for (size_t i = kSampleStep / 2; i < set->ranges().size(); i += kSampleStep) {
      samples.push_back(set->ranges()[i].first);
    }
  }
  std::sort(samples.begin(), samples.end());
  std::vector<Bits> starts = {Bits{0}};
  for (size_t i = kRangesPerSlice / kSampleStep; i < samples.size();
       i += kRangesPerSlice / kSampleStep) {
    if (samples[i] != starts.back()) {
      starts.push_back(samples[i]);
    }
  }
  return starts;
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
RangeSet<Bits> RangeSet<Bits>::united(std::span<const RangeSet* const> sets, unsigned threads) {
  const std::vector<Bits> starts = slice_starts<Bits>(sets);
  const size_t parts = std::clamp<size_t>(threads, 1, starts.size());
  std::vector<std::vector<Range<Bits>>> made(parts);
  const auto work = [&](size_t part) {
    SliceUnion<Bits> slices;
    for (size_t i = starts.size() * part / parts; i < starts.size() * (part + 1) / parts; ++i) {
      const bool is_last = i + 1 == starts.size();
      const Bits last = is_last ? kAllOnes<Bits> : static_cast<Bits>(starts[i + 1] - 1);
      slices.unite(sets, {starts[i], last}, made[part]);
    }
  };
  std::vector<std::thread> workers;
  for (size_t part = 1; part < parts; ++part) {
    workers.emplace_back(work, part);
  }
  work(0);
  for (std::thread& worker : workers) {
    worker.join();
  }
  RangeSet set = from_normal(std::move(made.front()));
  for (size_t part = 1; part < parts; ++part) {
    // What reaches over from the part before swallows the first of this one.
    for (const Range<Bits>& range : made[part]) {
      append_merged(set.ranges_, range);
    }
  }
  return set;
}

template <class Bits>
uint64_t RangeSet<Bits>::prefix_count() const {
  uint64_t count = 0;
  for_each_prefix([&count](Prefix<Bits>) { ++count; });
  return count;
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
