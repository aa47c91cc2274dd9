// SPDX-License-Identifier: Apache-2.0
#include "controlplane/policy/compose_plan.h"

#include <bit>
#include <thread>
#include <unordered_map>

namespace merlon::policy::sweeping {
namespace {

using address::Bits4;
using address::Bits6;
using address::IpSet;
using address::Range;
using address::RangeSet;

uint64_t mixed(uint64_t x) {  // splitmix64
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

template <class Bits>
uint64_t size_of(Bits first, Bits last) {
  const Bits less_one = static_cast<Bits>(last - first);
  constexpr uint64_t kMax = UINT64_MAX / 4;  // sums must not overflow; nobody writes that many out
  return less_one >= kMax ? kMax : static_cast<uint64_t>(less_one) + 1;
}

template <class Bits>
Specials<Bits> specials_of(const RangeSet<Bits>& never, const RangeSet<Bits>& allowed) {
  Specials<Bits> specials;
  for (const Range<Bits>& range : never.ranges()) {
    specials.push_back({range.first, range.last, true});
  }
  const RangeSet<Bits> only_allowed = allowed.minus(never);
  for (const Range<Bits>& range : only_allowed.ranges()) {
    specials.push_back({range.first, range.last, false});
  }
  std::ranges::sort(specials, {}, [](const auto& range) { return range.first; });
  return specials;
}

template <class Bits>
std::vector<OwnPart<Bits>> parts_of(std::span<const ElementaryRange<Bits>> ranges,
                                    const RangeSet<Bits>& set) {
  std::vector<OwnPart<Bits>> parts;
  for (const Range<Bits>& wanted : set.ranges()) {
    auto at = std::ranges::lower_bound(ranges, wanted.first, {},
                                       [](const auto& range) { return range.last; });
    for (; at != ranges.end() && at->first <= wanted.last; ++at) {
      parts.push_back(
          {std::max(at->first, wanted.first), std::min(at->last, wanted.last), at->class_number});
    }
  }
  return parts;
}

OwnParts parts_of(const Universe& universe, const IpSet& set) {
  return {parts_of<Bits4>(universe.ranges4(), set.v4), parts_of<Bits6>(universe.ranges6(), set.v6)};
}

template <class Use>
void for_each_part_of(const OwnParts& parts, Use&& use) {
  for (const auto& part : parts.v4) {
    use(part);
  }
  for (const auto& part : parts.v6) {
    use(part);
  }
}

// The own narrow addresses with the lowest hashes, as many as there is room for.
IpSet lowest(const IpSet& set, uint64_t room) {
  struct Hashed {
    uint64_t hash;
    address::Address address;
  };
  std::vector<Hashed> all;
  const auto collect = [&all](const auto& ranges, address::Family family) {
    for (const auto& range : ranges) {
      for (auto bits = range.first;; ++bits) {
        all.push_back({hash_of(bits), {family, bits}});
        if (bits == range.last) {
          break;
        }
      }
    }
  };
  collect(set.v4.ranges(), address::Family::v4);
  collect(set.v6.ranges(), address::Family::v6);
  std::ranges::sort(all, [](const Hashed& a, const Hashed& b) {
    return a.hash != b.hash ? a.hash < b.hash : a.address.bits < b.address.bits;
  });
  std::vector<Range<Bits4>> v4;
  std::vector<Range<Bits6>> v6;
  for (const Hashed& kept : std::span(all).first(std::min<size_t>(all.size(), room))) {
    if (kept.address.family == address::Family::v4) {
      const auto bits = static_cast<Bits4>(kept.address.bits);
      v4.push_back({bits, bits});
    } else {
      v6.push_back({kept.address.bits, kept.address.bits});
    }
  }
  return {RangeSet<Bits4>::from_unsorted(std::move(v4)),
          RangeSet<Bits6>::from_unsorted(std::move(v6))};
}

uint64_t count_of(const IpSet& set) {
  constexpr Bits6 kMax = UINT64_MAX / 4;
  return static_cast<uint64_t>(std::min(kMax, set.v4.address_count())) +
         static_cast<uint64_t>(std::min(kMax, set.v6.address_count()));
}

// Own entries first: what they take of the capacity, and what of the universe they stand for.
uint64_t take_own(Plan& plan, const Common& common) {
  const Selection& selection = *plan.selection;
  uint64_t room = selection.capacity;
  const bool none = selection.block.empty() && selection.allow.empty();
  if (!none) {
    const auto clean = [&](const IpSet& set) {
      return set.minus(common.never).minus(common.allowed).minus(selection.allow);
    };
    plan.block = clean(selection.block);
    plan.block_narrow = clean(selection.block_narrow);
    const uint64_t own = count_of(plan.block_narrow);
    if (selection.capacity != 0 && own > selection.capacity) {
      const IpSet kept = lowest(plan.block_narrow, selection.capacity);
      plan.own_lost_set = plan.block_narrow.minus(kept);
      plan.block = plan.block.minus(plan.own_lost_set);
      plan.own_lost = own - selection.capacity;
      plan.replaced_parts = parts_of(common.universe, plan.block_narrow);
      plan.block_narrow = kept;
    } else {
      plan.replaced_parts = parts_of(common.universe, plan.block_narrow);
    }
    plan.allowed_parts =
        parts_of(common.universe, selection.allow.minus(common.never).minus(common.allowed));
    room -= std::min(room, own);
  }
  return room;
}

// How many addresses of a class are the list's to decide upon: those that own entries do not.
class OwnCounts {
 public:
  explicit OwnCounts(const Plan& plan) {
    const auto add = [this](const auto& part) {
      counts_[part.class_number] += size_of(part.first, part.last);
    };
    for_each_part_of(plan.allowed_parts, add);
    for_each_part_of(plan.replaced_parts, add);
  }
  uint64_t left_of(uint32_t class_number, const Common& common) const {
    const uint64_t all = common.class_addresses[class_number];
    const auto own = counts_.empty() ? counts_.end() : counts_.find(class_number);
    return own == counts_.end() ? all : all - std::min(all, own->second);
  }

 private:
  std::unordered_map<uint32_t, uint64_t> counts_;
};

}  // namespace

uint64_t hash_of(Bits4 bits) {
  return mixed(bits);
}
uint64_t hash_of(Bits6 bits) {
  return mixed(mixed(static_cast<uint64_t>(bits >> 64)) ^ static_cast<uint64_t>(bits));
}

Common Common::make(const Universe& universe, const ComposeOptions& options) {
  Common common{.universe = universe, .never = options.never, .allowed = options.allowed};
  common.specials4 = specials_of(options.never.v4, options.allowed.v4);
  common.specials6 = specials_of(options.never.v6, options.allowed.v6);
  common.class_addresses.resize(universe.class_count());
  common.class_ranges.resize(universe.class_count());
  const auto count = [&common](auto first, auto last, uint32_t number) {
    uint64_t& addresses = common.class_addresses[number];
    addresses = std::min(UINT64_MAX / 4, addresses + size_of(first, last));
    ++common.class_ranges[number];
  };
  const auto skip = [](auto, auto, uint32_t, bool) {};
  for_each_part(universe.ranges4(), common.specials4, count, skip);
  for_each_part(universe.ranges6(), common.specials6, count, skip);
  return common;
}

std::vector<Take> Plan::takes(const Universe& universe) const {
  std::vector<Take> takes;
  for (uint32_t number = 0; number < universe.class_count(); ++number) {
    Take take{number, 0, false, false};
    int32_t best = -1;
    uint32_t feeds = 0;
    for (const Membership& member : universe.members_of(number)) {
      const int32_t score = score_by_feed[member.feed];
      if (score >= 0) {
        best = std::max(best, score);
        ++feeds;
        take.narrow = take.narrow || member.narrow;
        take.wide = take.wide || member.wide;
      }
    }
    if (best >= 0) {
      take.score = static_cast<uint32_t>(best) << 8 | std::min<uint32_t>(feeds, 255);
      takes.push_back(take);
    }
  }
  return takes;
}

Plan make_plan(const Selection& selection, const Common& common) {
  Plan plan;
  plan.selection = &selection;
  plan.score_by_feed.assign(common.universe.feeds().size(), -1);
  for (const Selection::Chosen& chosen : selection.feeds) {
    plan.score_by_feed[chosen.feed] = chosen.score;
  }
  uint64_t room = take_own(plan, common);
  if (selection.capacity == 0) {
    return plan;
  }
  struct Weighed {
    uint32_t score;
    uint64_t addresses;
  };
  std::vector<Weighed> weighed;
  uint64_t total = 0;
  const OwnCounts own(plan);
  const std::vector<Take> takes = plan.takes(common.universe);
  for (const Take& take : takes) {
    if (take.narrow) {
      weighed.push_back({take.score, own.left_of(take.class_number, common)});
      total = std::min(UINT64_MAX / 4, total + weighed.back().addresses);
    }
  }
  if (total <= room) {
    return plan;
  }
  plan.cut = true;
  std::ranges::sort(weighed, std::ranges::greater(), &Weighed::score);
  for (size_t i = 0; i < weighed.size();) {
    uint64_t group = 0;
    const uint32_t score = weighed[i].score;
    for (; i < weighed.size() && weighed[i].score == score; ++i) {
      group = std::min(UINT64_MAX / 4, group + weighed[i].addresses);
    }
    if (group > room) {
      plan.boundary_score = score;
      plan.room = room;
      break;
    }
    room -= group;
  }
  for (const Take& take : takes) {
    if (take.narrow && take.score == plan.boundary_score) {
      plan.boundary_classes.push_back(take.class_number);
    }
  }
  return plan;
}

Histogram::Histogram(const Common& common, std::vector<bool> wanted, unsigned threads) {
  constexpr size_t kCells = 16 << 20;
  size_t rows = 0;
  for (const bool one : wanted) {
    row_of_class_.push_back(one ? static_cast<uint32_t>(rows++) : kNotWanted);
  }
  const size_t most = kCells / std::max<size_t>(rows, 1);
  bucket_bits_ = std::clamp<unsigned>(static_cast<unsigned>(std::bit_width(most)), 7, 13) - 1;
  counts_.assign(rows << bucket_bits_, 0);
  if (rows == 0) {
    return;
  }
  const unsigned parts = std::max(1u, threads);
  std::vector<std::vector<uint32_t>> others(parts - 1);
  {
    std::vector<std::jthread> workers;
    for (unsigned part = 1; part < parts; ++part) {
      workers.emplace_back([&, part] {
        others[part - 1].assign(counts_.size(), 0);
        count(common, others[part - 1], part, parts);
      });
    }
    count(common, counts_, 0, parts);
  }
  for (const std::vector<uint32_t>& other : others) {
    std::ranges::transform(counts_, other, counts_.begin(), std::plus());
  }
}

void Histogram::count(const Common& common, std::vector<uint32_t>& counts, unsigned part,
                      unsigned parts) {
  const auto plain = [&](auto first, auto last, uint32_t number) {
    const uint32_t row = row_of_class_[number];
    if (row == kNotWanted) {
      return;
    }
    uint32_t* const buckets = &counts[size_t{row} << bucket_bits_];
    for (auto bits = first;; ++bits) {
      ++buckets[bucket_of(hash_of(bits))];
      if (bits == last) {
        break;
      }
    }
  };
  const auto skip = [](auto, auto, uint32_t, bool) {};
  const auto share = [&](auto ranges) {
    const size_t from = ranges.size() * part / parts;
    return ranges.subspan(from, ranges.size() * (part + 1) / parts - from);
  };
  for_each_part(share(common.universe.ranges4()), common.specials4, plain, skip);
  for_each_part(share(common.universe.ranges6()), common.specials6, plain, skip);
}

void Histogram::set_limits(Plan& plan) const {
  if (!plan.cut) {
    return;
  }
  std::vector<uint64_t> sums(size_t{1} << bucket_bits_);
  std::vector<bool> at_boundary(row_of_class_.size());
  for (const uint32_t number : plan.boundary_classes) {
    at_boundary[number] = true;
    const uint32_t* row = &counts_[size_t{row_of_class_[number]} << bucket_bits_];
    for (size_t bucket = 0; bucket < sums.size(); ++bucket) {
      sums[bucket] += row[bucket];
    }
  }
  const auto subtract = [&](const auto& part) {
    for (auto bits = part.first; at_boundary[part.class_number]; ++bits) {
      --sums[bucket_of(hash_of(bits))];
      if (bits == part.last) {
        break;
      }
    }
  };
  for_each_part_of(plan.allowed_parts, subtract);
  for_each_part_of(plan.replaced_parts, subtract);
  uint64_t below = 0;
  size_t bucket = 0;
  while (bucket + 1 < sums.size() && below + sums[bucket] <= plan.room) {
    below += sums[bucket++];
  }
  const unsigned shift = 64 - bucket_bits_;
  plan.limit_low = uint64_t{bucket} << shift;
  plan.limit_high = bucket + 1 == sums.size() ? UINT64_MAX : (uint64_t{bucket} + 1) << shift;
  plan.rest = plan.room - below;
}

}  // namespace merlon::policy::sweeping
