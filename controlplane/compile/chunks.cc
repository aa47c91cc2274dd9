// SPDX-License-Identifier: Apache-2.0
#include "controlplane/compile/chunks.h"

#include <algorithm>
#include <optional>

#include "zones/base/assert.h"

namespace merlon::compile {
namespace {

// In hundredths of what the chunks can hold. Chosen with the histories of chunks_test: tighter
// ones move more and fill little better.
constexpr uint64_t kNew = 90;          // of a list that is cut for the first time
constexpr uint64_t kLoose = 72;        // a list below is packed
constexpr uint64_t kVeryLoose = 66;    // a list below is packed without room for growth
constexpr uint64_t kMergeAlways = 70;  // two chunks that fill less of one are merged
constexpr uint64_t kMergeLoose = 96;
constexpr uint64_t kFull = 94;  // a chunk above has nothing to give or take
constexpr size_t kReach = 8;    // how far a packed chunk looks for one to be merged with

// How many addresses lie in a chunk's range. `at` walks over the ranges, chunk by chunk.
template <class Bits>
uint64_t count_within(const std::vector<address::Range<Bits>>& ranges, size_t& at,
                      address::Range<Bits> chunk) {
  uint64_t count = 0;
  while (at < ranges.size() && ranges[at].first <= chunk.last) {
    const Bits from = std::max(ranges[at].first, chunk.first);
    const Bits to = std::min(ranges[at].last, chunk.last);
    count += static_cast<uint64_t>(to - from) + 1;
    if (ranges[at].last > chunk.last) {
      break;  // the rest belongs to the next chunk
    }
    ++at;
  }
  return count;
}

template <class Bits>
class Updater {
 public:
  Updater(const address::RangeSet<Bits>& addresses, uint32_t capacity)
      : ranges_(addresses.ranges()), capacity_(capacity) {}

  ChunkPlan<Bits> anew(uint32_t number_end) {
    const auto total = static_cast<uint64_t>(count_all());
    const uint64_t each = std::max<uint64_t>(1, capacity_ * kNew / 100);
    const uint64_t wanted = total <= capacity_ ? 1 : (total + each - 1) / each;
    std::vector<Chunk<Bits>> chunks = {{Bits{0}, 0, static_cast<uint32_t>(total)}};
    number_end_ = 1;
    chunks_ = std::move(chunks);
    changed_ = {true};
    if (wanted > 1) {
      split(0, wanted);
    }
    number_end_ = std::max(number_end_, number_end);
    return finish();
  }

  ChunkPlan<Bits> update(const ChunkPlan<Bits>& before) {
    chunks_ = before.chunks;
    number_end_ = before.number_end;
    recount();
    for (size_t i = 0; i < chunks_.size();) {
      i = changed_[i] ? settle(i) : i + 1;
    }
    return finish();
  }

 private:
  uint64_t share(uint64_t hundredths) const { return capacity_ * hundredths / 100; }
  bool is_full(size_t i) const { return chunks_[i].count > share(kFull); }
  uint64_t sum(size_t i, size_t k) const { return uint64_t{chunks_[i].count} + chunks_[k].count; }

  uint64_t count_all() const {
    size_t at = 0;
    return count_within<Bits>(ranges_, at, {0, address::kAllOnes<Bits>});
  }

  void recount() {
    changed_.assign(chunks_.size(), false);
    total_ = 0;
    size_t at = 0;
    for (size_t i = 0; i < chunks_.size(); ++i) {
      const Bits last = i + 1 < chunks_.size() ? static_cast<Bits>(chunks_[i + 1].first - 1)
                                               : address::kAllOnes<Bits>;
      const auto count =
          static_cast<uint32_t>(count_within<Bits>(ranges_, at, {chunks_[i].first, last}));
      changed_[i] = count != chunks_[i].count;
      chunks_[i].count = count;
      total_ += count;
    }
  }

  // The address that has `rank` of the set's between `from` and itself. REQUIRES: there is one.
  Bits address_at(Bits from, uint64_t rank) const {
    auto range = std::lower_bound(ranges_.begin(), ranges_.end(), from,
                                  [](const auto& candidate, Bits f) { return candidate.last < f; });
    while (true) {
      MERLON_ASSERT(range != ranges_.end());
      const Bits first = std::max(range->first, from);
      const auto size_less_one = static_cast<uint64_t>(range->last - first);
      if (rank <= size_less_one) {
        return static_cast<Bits>(first + rank);
      }
      rank -= size_less_one + 1;
      ++range;
    }
  }

  // One chunk whose content changed, with at most one neighbour of its own choice. Returns the
  // index to go on with.
  size_t settle(size_t i) {
    if (chunks_[i].count > capacity_) {
      return relieve(i);
    }
    if (chunks_.size() == 1) {
      return i + 1;
    }
    const size_t neighbour = emptier_neighbour(i);
    const uint64_t all = uint64_t{capacity_} * chunks_.size();
    const bool loose = total_ * 100 < all * kLoose;
    const bool very_loose = total_ * 100 < all * kVeryLoose;
    const uint64_t fits = very_loose ? capacity_ : share(loose ? kMergeLoose : kMergeAlways);
    if (sum(i, neighbour) <= fits) {
      const bool both_changed = changed_[i] && changed_[neighbour];
      merge(std::min(i, neighbour));
      // Where the neighbour changed anyway, another one may still be asked.
      return std::min(i, neighbour) + (both_changed ? 0 : 1);
    }
    if (loose) {
      pack(i);
    }
    return i + 1;
  }

  size_t emptier_neighbour(size_t i) const {
    if (i == 0) {
      return 1;
    }
    if (i + 1 == chunks_.size()) {
      return i - 1;
    }
    return chunks_[i - 1].count <= chunks_[i + 1].count ? i - 1 : i + 1;
  }

  // Too full: shares with a neighbour, or is split.
  size_t relieve(size_t i) {
    if (chunks_.size() > 1) {
      const size_t neighbour = emptier_neighbour(i);
      if (!is_full(neighbour) && sum(i, neighbour) <= 2 * share(kFull)) {
        const size_t left = std::min(i, neighbour);
        set_left(left, sum(i, neighbour) / 2);
        return std::max(i, neighbour) + 1;
      }
    }
    const uint64_t each = std::max<uint64_t>(1, share(kNew));
    const uint64_t parts = std::max<uint64_t>(2, (chunks_[i].count + each - 1) / each);
    split(i, parts);
    return i + parts;
  }

  // The list is loose, and i fits into no neighbour: fills one of the two, so that what is left in
  // the other can be merged by the next edit there.
  void pack(size_t i) {
    const auto left = nearest_loose(i, -1);
    const auto right = nearest_loose(i, +1);
    if (is_full(i)) {  // between two loose ones that could hold it together
      if (left == size_t{1} && right == size_t{1} &&
          sum(i - 1, i) + chunks_[i + 1].count <= 2 * uint64_t{capacity_}) {
        fill_left(i - 1);
      }
      return;
    }
    if (!left && !right) {
      return;
    }
    const bool to_right = !left || (right && *right <= *left);
    if (const size_t distance = to_right ? *right : *left; distance == 1) {
      const size_t k = to_right ? i + 1 : i - 1;
      fill_away_from(std::min(i, k));
    } else if (to_right) {  // the gap moves a step towards the other loose one
      fill_left(i);
    } else {
      fill_right(i - 1);
    }
  }

  // Fills one of the loose pair (left, left + 1): that whose far side is further from a loose one.
  void fill_away_from(size_t left) {
    const auto before = nearest_loose(left, -1);
    const auto after = nearest_loose(left + 1, +1);
    const bool gap_right = !before || (after && *after <= *before);
    gap_right ? fill_left(left) : fill_right(left);
  }

  // Of the pair (left, left + 1); two that fit in one stay as they are.
  void fill_left(size_t left) {
    if (sum(left, left + 1) > capacity_) {
      set_left(left, capacity_);
    }
  }
  void fill_right(size_t left) {
    if (sum(left, left + 1) > capacity_) {
      set_left(left, sum(left, left + 1) - capacity_);
    }
  }

  // Steps from i to the nearest chunk that is not full.
  std::optional<size_t> nearest_loose(size_t i, int direction) const {
    for (size_t step = 1; step <= kReach; ++step) {
      if (direction < 0 ? step > i : i + step >= chunks_.size()) {
        return std::nullopt;
      }
      if (!is_full(direction < 0 ? i - step : i + step)) {
        return step;
      }
    }
    return std::nullopt;
  }

  // Moves addresses so that chunk `left` holds `count` of what it and the next one hold.
  void set_left(size_t left, uint64_t count) {
    const uint64_t both = sum(left, left + 1);
    chunks_[left + 1].first = address_at(chunks_[left].first, count);
    chunks_[left].count = static_cast<uint32_t>(count);
    chunks_[left + 1].count = static_cast<uint32_t>(both - count);
  }

  void merge(size_t left) {
    Chunk<Bits>& kept = chunks_[left];
    kept.count += chunks_[left + 1].count;
    kept.number = std::min(kept.number, chunks_[left + 1].number);
    chunks_.erase(chunks_.begin() + static_cast<std::ptrdiff_t>(left) + 1);
    changed_.erase(changed_.begin() + static_cast<std::ptrdiff_t>(left) + 1);
  }

  void split(size_t i, uint64_t parts) {
    const Chunk<Bits> whole = chunks_[i];
    std::vector<uint32_t> numbers = free_numbers();
    std::vector<Chunk<Bits>> made = {{whole.first, whole.number, 0}};
    uint64_t done = 0;
    for (uint64_t part = 1; part <= parts; ++part) {
      const uint64_t end = uint64_t{whole.count} * part / parts;
      made.back().count = static_cast<uint32_t>(end - done);
      if (part < parts) {
        const Bits first = address_at(made.back().first, end - done);
        const uint32_t number = numbers.empty() ? number_end_++ : numbers.back();
        if (!numbers.empty()) {
          numbers.pop_back();
        }
        made.push_back({first, number, 0});
      }
      done = end;
    }
    const auto at = static_cast<std::ptrdiff_t>(i);
    chunks_[i] = made.front();
    chunks_.insert(chunks_.begin() + at + 1, made.begin() + 1, made.end());
    changed_.insert(changed_.begin() + at + 1, parts - 1, false);
  }

  // The numbers that no chunk has, lowest last.
  std::vector<uint32_t> free_numbers() const {
    std::vector<bool> used(number_end_, false);
    for (const Chunk<Bits>& chunk : chunks_) {
      used[chunk.number] = true;
    }
    std::vector<uint32_t> numbers;
    for (uint32_t number = number_end_; number-- > 0;) {
      if (!used[number]) {
        numbers.push_back(number);
      }
    }
    return numbers;
  }

  ChunkPlan<Bits> finish() {
    return {.capacity = capacity_, .chunks = std::move(chunks_), .number_end = number_end_};
  }

  const std::vector<address::Range<Bits>>& ranges_;
  uint32_t capacity_;
  uint64_t total_ = 0;
  std::vector<Chunk<Bits>> chunks_;
  std::vector<bool> changed_;
  uint32_t number_end_ = 0;
};

}  // namespace

template <class Bits>
ChunkPlan<Bits> update_chunks(const ChunkPlan<Bits>& before,
                              const address::RangeSet<Bits>& addresses, uint32_t capacity) {
  MERLON_ASSERT(capacity > 0);
  if (before.chunks.empty() && addresses.empty()) {
    return {.capacity = capacity, .chunks = {}, .number_end = before.number_end};
  }
  Updater<Bits> updater(addresses, capacity);
  return before.chunks.empty() || before.capacity != capacity ? updater.anew(before.number_end)
                                                              : updater.update(before);
}

template ChunkPlan<address::Bits4> update_chunks(const ChunkPlan<address::Bits4>&,
                                                 const address::RangeSet4&, uint32_t);
template ChunkPlan<address::Bits6> update_chunks(const ChunkPlan<address::Bits6>&,
                                                 const address::RangeSet6&, uint32_t);

}  // namespace merlon::compile
