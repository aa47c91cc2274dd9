// SPDX-License-Identifier: Apache-2.0
// The sweep. The address space is cut into slices of about as many prefixes each; in a slice the
// beginnings and ends of all feeds' prefixes are sorted (in cache) and walked, with a bit per feed
// and kind for what covers the place. Each thread takes half of the slices.
#include "controlplane/policy/sweep.h"

#include <algorithm>
#include <bit>
#include <thread>
#include <unordered_map>

#include "zones/base/assert.h"

namespace merlon::policy {
namespace {

using address::Bits4;
using address::Bits6;
using address::Prefix;
using address::Range;

constexpr size_t kPrefixesPerSlice = 16'384;
constexpr uint32_t kNoClass = UINT32_MAX;

uint64_t mixed(uint64_t x) {  // splitmix64
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

// Bit 2 * feed: some narrow prefix of the feed covers the place; the next bit: some wide one.
using Words = std::vector<uint64_t>;

// Sets of bits with numbers in order of appearance.
class ClassTable {
 public:
  explicit ClassTable(size_t word_count) : word_count_(word_count) {}

  uint32_t number_of(uint64_t hash, const Words& words) {
    auto [at, end] = numbers_.equal_range(hash);
    for (; at != end; ++at) {
      if (std::equal(words.begin(), words.end(), words_of(at->second))) {
        return at->second;
      }
    }
    const auto number = static_cast<uint32_t>(hashes_.size());
    numbers_.emplace(hash, number);
    hashes_.push_back(hash);
    words_.insert(words_.end(), words.begin(), words.end());
    return number;
  }
  size_t size() const { return hashes_.size(); }
  uint64_t hash_of(uint32_t number) const { return hashes_[number]; }
  Words::const_iterator words_of(uint32_t number) const {
    return words_.begin() + static_cast<std::ptrdiff_t>(number * word_count_);
  }
  Words copy_of(uint32_t number) const {
    return {words_of(number), words_of(number) + static_cast<std::ptrdiff_t>(word_count_)};
  }

 private:
  size_t word_count_;
  Words words_;
  std::vector<uint64_t> hashes_;
  std::unordered_multimap<uint64_t, uint32_t> numbers_;
};

// What covers the place where the sweep is.
class Cover {
 public:
  explicit Cover(size_t feed_count) : words_((2 * feed_count + 63) / 64), counts_(2 * feed_count) {}

  void clear() {
    std::ranges::fill(words_, 0);
    std::ranges::fill(counts_, 0);
    hash_ = 0;
    set_bits_ = 0;
  }
  void add(uint32_t bit) {
    if (counts_[bit]++ == 0) {
      flip(bit);
      ++set_bits_;
    }
  }
  void remove(uint32_t bit) {
    if (--counts_[bit] == 0) {
      flip(bit);
      --set_bits_;
    }
  }
  bool empty() const { return set_bits_ == 0; }
  uint64_t hash() const { return hash_; }
  const Words& words() const { return words_; }

 private:
  void flip(uint32_t bit) {
    words_[bit / 64] ^= uint64_t{1} << (bit % 64);
    hash_ ^= mixed(bit);
  }

  Words words_;
  std::vector<uint32_t> counts_;
  uint64_t hash_ = 0;
  uint32_t set_bits_ = 0;
};

template <class Bits>
struct Event {
  Bits place;
  uint32_t code;  // 2 * bit + (1: begins)
  bool operator<(const Event& other) const {
    return place != other.place ? place < other.place : code < other.code;
  }
};
// One comparison instead of two.
template <>
struct Event<Bits4> {
  Event(Bits4 at, uint32_t what) : place(at), code(what) {}
  bool operator<(const Event& other) const { return key() < other.key(); }
  uint64_t key() const { return uint64_t{place} << 32 | code; }
  Bits4 place;
  uint32_t code;
};

template <class Bits>
void append(std::vector<ElementaryRange<Bits>>& out, const ElementaryRange<Bits>& range) {
  if (!out.empty() && out.back().class_number == range.class_number &&
      out.back().last != address::kAllOnes<Bits> &&
      static_cast<Bits>(out.back().last + 1) == range.first) {
    out.back().last = range.last;
  } else {
    out.push_back(range);
  }
}

template <class Bits>
class Sweeper {
 public:
  using Prefixes = std::vector<Prefix<Bits>>;

  Sweeper(std::span<const Prefixes* const> feeds, int narrow_from)
      : classes((2 * feeds.size() + 63) / 64),
        feeds_(feeds),
        narrow_from_(narrow_from),
        cover_(feeds.size()) {}

  // What came out so far; the numbers are those of `classes`.
  ClassTable classes;
  std::vector<ElementaryRange<Bits>> ranges;

  void sweep(Range<Bits> slice) {
    cover_.clear();
    events_.clear();
    for (size_t feed = 0; feed < feeds_.size(); ++feed) {
      collect(static_cast<uint32_t>(feed), slice);
    }
    std::sort(events_.begin(), events_.end());
    Bits from = slice.first;
    uint32_t at_from = class_here();
    for (size_t i = 0; i < events_.size();) {
      const Bits place = events_[i].place;
      for (; i < events_.size() && events_[i].place == place; ++i) {
        const uint32_t bit = events_[i].code >> 1;
        (events_[i].code & 1) != 0 ? cover_.add(bit) : cover_.remove(bit);
      }
      if (place != from && at_from != kNoClass) {
        append(ranges, {from, static_cast<Bits>(place - 1), at_from});
      }
      from = place;
      at_from = class_here();
    }
    if (at_from != kNoClass) {
      append(ranges, {from, slice.last, at_from});
    }
  }

 private:
  uint32_t bit_of(uint32_t feed, const Prefix<Bits>& prefix) const {
    return 2 * feed + (prefix.length >= narrow_from_ ? 0u : 1u);
  }
  uint32_t class_here() {
    return cover_.empty() ? kNoClass : classes.number_of(cover_.hash(), cover_.words());
  }
  void add_end(uint32_t bit, Bits last, Bits slice_last) {
    if (last < slice_last) {
      events_.push_back({static_cast<Bits>(last + 1), 2 * bit});
    }
  }

  void collect(uint32_t feed, Range<Bits> slice) {
    const Prefixes& prefixes = *feeds_[feed];
    const auto before = [](const Prefix<Bits>& a, const Prefix<Bits>& b) {
      return a.bits != b.bits ? a.bits < b.bits : a.length < b.length;
    };
    // Those that begin before the slice and reach into it.
    for (int length = 0; length < address::kWidth<Bits>; ++length) {
      const Prefix<Bits> candidate{
          static_cast<Bits>(slice.first & ~address::host_mask<Bits>(length)),
          static_cast<uint8_t>(length)};
      if (candidate.bits != slice.first &&
          std::binary_search(prefixes.begin(), prefixes.end(), candidate, before)) {
        const uint32_t bit = bit_of(feed, candidate);
        cover_.add(bit);
        add_end(bit, candidate.range().last, slice.last);
      }
    }
    for (auto at = std::lower_bound(prefixes.begin(), prefixes.end(), Prefix<Bits>{slice.first, 0},
                                    before);
         at != prefixes.end() && at->bits <= slice.last; ++at) {
      const uint32_t bit = bit_of(feed, *at);
      events_.push_back({at->bits, 2 * bit + 1});
      add_end(bit, at->range().last, slice.last);
    }
  }

  std::span<const Prefixes* const> feeds_;
  int narrow_from_;
  Cover cover_;
  std::vector<Event<Bits>> events_;
};

// The first addresses of slices that hold about as many prefixes each.
template <class Bits>
std::vector<Bits> slice_starts(std::span<const std::vector<Prefix<Bits>>* const> feeds) {
  constexpr size_t kSampleStep = 256;
  std::vector<Bits> samples;
  for (const auto* prefixes : feeds) {
    for (size_t i = kSampleStep / 2; i < prefixes->size(); i += kSampleStep) {
      samples.push_back((*prefixes)[i].bits);
    }
  }
  std::ranges::sort(samples);
  std::vector<Bits> starts = {Bits{0}};
  for (size_t i = kPrefixesPerSlice / kSampleStep; i < samples.size();
       i += kPrefixesPerSlice / kSampleStep) {
    if (samples[i] != starts.back()) {
      starts.push_back(samples[i]);
    }
  }
  return starts;
}

// Sweeps one family; `classes` gets the classes that it had not yet.
template <class Bits>
std::vector<ElementaryRange<Bits>> swept(std::span<const std::vector<Prefix<Bits>>* const> feeds,
                                         int narrow_from, unsigned threads, ClassTable& classes) {
  const std::vector<Bits> starts = slice_starts<Bits>(feeds);
  const size_t parts = std::clamp<size_t>(threads, 1, starts.size());
  std::vector<Sweeper<Bits>> sweepers(parts, Sweeper<Bits>(feeds, narrow_from));
  const auto work = [&](size_t part) {
    for (size_t i = starts.size() * part / parts; i < starts.size() * (part + 1) / parts; ++i) {
      const Bits last =
          i + 1 < starts.size() ? static_cast<Bits>(starts[i + 1] - 1) : address::kAllOnes<Bits>;
      sweepers[part].sweep({starts[i], last});
    }
  };
  {
    std::vector<std::jthread> workers;
    for (size_t part = 1; part < parts; ++part) {
      workers.emplace_back(work, part);
    }
    work(0);
  }
  std::vector<ElementaryRange<Bits>> all;
  for (Sweeper<Bits>& sweeper : sweepers) {
    std::vector<uint32_t> numbers;
    for (uint32_t i = 0; i < sweeper.classes.size(); ++i) {
      numbers.push_back(classes.number_of(sweeper.classes.hash_of(i), sweeper.classes.copy_of(i)));
    }
    for (ElementaryRange<Bits>& range : sweeper.ranges) {
      range.class_number = numbers[range.class_number];
    }
    if (all.empty()) {
      all = std::move(sweeper.ranges);
    } else if (!sweeper.ranges.empty()) {
      append(all, sweeper.ranges.front());
      all.insert(all.end(), sweeper.ranges.begin() + 1, sweeper.ranges.end());
    }
    sweeper.ranges = {};
  }
  all.shrink_to_fit();
  return all;
}

template <class Bits, class Use>
void for_each_listed(std::span<const ElementaryRange<Bits>> ranges,
                     const address::RangeSet<Bits>& set, Use&& use) {
  for (const Range<Bits>& wanted : set.ranges()) {
    auto at = std::ranges::lower_bound(ranges, wanted.first, {},
                                       [](const auto& range) { return range.last; });
    for (; at != ranges.end() && at->first <= wanted.last; ++at) {
      use(std::max(at->first, wanted.first), std::min(at->last, wanted.last), at->class_number);
    }
  }
}

}  // namespace

Universe Universe::build(std::span<const Feed> feeds, const Options& options) {
  MERLON_ASSERT(feeds.size() <= kFeedCountMax);
  Universe universe;
  std::vector<const std::vector<Prefix<Bits4>>*> v4;
  std::vector<const std::vector<Prefix<Bits6>>*> v6;
  for (const Feed& feed : feeds) {
    universe.feeds_.push_back(feed.id);
    v4.push_back(&feed.set->v4);
    v6.push_back(&feed.set->v6);
  }
  ClassTable classes((2 * feeds.size() + 63) / 64);
  universe.ranges4_ = swept<Bits4>(v4, options.narrow_from.length4, options.threads, classes);
  universe.ranges6_ = swept<Bits6>(v6, options.narrow_from.length6, options.threads, classes);
  universe.class_first_.push_back(0);
  for (uint32_t i = 0; i < classes.size(); ++i) {
    const Words words = classes.copy_of(i);
    for (size_t feed = 0; feed < feeds.size(); ++feed) {
      const uint64_t bits = words[2 * feed / 64] >> (2 * feed % 64);
      if ((bits & 3) != 0) {
        universe.members_.push_back({.feed = static_cast<uint16_t>(feed),
                                     .narrow = (bits & 1) != 0,
                                     .wide = (bits & 2) != 0});
      }
    }
    universe.class_first_.push_back(static_cast<uint32_t>(universe.members_.size()));
  }
  return universe;
}

int Universe::feed_number(std::string_view id) const {
  const auto at = std::ranges::find(feeds_, id);
  return at == feeds_.end() ? -1 : static_cast<int>(at - feeds_.begin());
}

size_t Universe::memory_bytes() const {
  return ranges4_.capacity() * sizeof(ranges4_[0]) + ranges6_.capacity() * sizeof(ranges6_[0]) +
         members_.capacity() * sizeof(members_[0]) +
         class_first_.capacity() * sizeof(class_first_[0]);
}

std::vector<FeedShare> listed_by(const Universe& universe, const address::IpSet& set) {
  std::vector<FeedShare> shares(universe.feeds().size());
  for_each_listed(universe.ranges4(), set.v4, [&](Bits4 first, Bits4 last, uint32_t number) {
    for (const Membership& member : universe.members_of(number)) {
      shares[member.feed].addresses4 += uint64_t{last} - first + 1;
    }
  });
  for_each_listed(universe.ranges6(), set.v6, [&](Bits6, Bits6, uint32_t number) {
    for (const Membership& member : universe.members_of(number)) {
      ++shares[member.feed].ranges6;
    }
  });
  std::vector<FeedShare> found;
  for (size_t feed = 0; feed < shares.size(); ++feed) {
    if (shares[feed].addresses4 != 0 || shares[feed].ranges6 != 0) {
      shares[feed].feed = universe.feeds()[feed];
      found.push_back(std::move(shares[feed]));
    }
  }
  return found;
}

}  // namespace merlon::policy
