// SPDX-License-Identifier: Apache-2.0
// One sweep over what all feeds list gives every pair at once (policy/sweep.h): there are far fewer
// classes of ranges, by which feeds list them, than ranges.
#include "controlplane/report/value.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <map>

#include "controlplane/policy/sweep.h"

namespace merlon::report {
namespace {

// Adds what a set of feeds lists together.
void count(std::span<const uint16_t> members, uint64_t size, Overlap& overlap) {
  for (const uint16_t a : members) {
    for (const uint16_t b : members) {
      overlap.shared[a * overlap.feeds.size() + b] += size;
    }
  }
  if (members.size() == 1) {
    overlap.unique[members.front()] += size;
  }
}

void count_addresses(const policy::Universe& universe, Overlap& overlap) {
  std::vector<uint64_t> sizes(universe.class_count());
  for (const auto& range : universe.ranges4()) {
    sizes[range.class_number] += uint64_t{range.last} - range.first + 1;
  }
  for (const auto& range : universe.ranges6()) {
    ++sizes[range.class_number];
  }
  // The universe's numbers are of its own order.
  std::vector<uint16_t> place(overlap.feeds.size());
  for (size_t i = 0; i < overlap.feeds.size(); ++i) {
    if (const int number = universe.feed_number(overlap.feeds[i]); number >= 0) {
      place[static_cast<size_t>(number)] = static_cast<uint16_t>(i);
    }
  }
  std::vector<uint16_t> members;
  for (uint32_t number = 0; number < universe.class_count(); ++number) {
    members.clear();
    for (const policy::Membership& member : universe.members_of(number)) {
      members.push_back(place[member.feed]);
    }
    count(members, sizes[number], overlap);
  }
}

void count_domains(std::span<const FeedInput> feeds, Overlap& overlap) {
  std::vector<std::pair<uint64_t, uint16_t>> all;
  for (size_t i = 0; i < feeds.size(); ++i) {
    for (const uint64_t hash : feeds[i].domain_hashes) {
      all.emplace_back(hash, static_cast<uint16_t>(i));
    }
  }
  std::ranges::sort(all);
  std::vector<uint16_t> members;
  for (size_t i = 0; i < all.size();) {
    members.clear();
    const uint64_t hash = all[i].first;
    for (; i < all.size() && all[i].first == hash; ++i) {
      members.push_back(all[i].second);
    }
    count(members, 1, overlap);
  }
}

int64_t median(std::vector<int64_t>& values) {
  if (values.empty()) {
    return 0;
  }
  const auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

struct Collected {
  std::vector<int64_t> leads;
  std::vector<int64_t> ages;
  std::vector<int64_t> stays;
};

}  // namespace

std::vector<uint64_t> domain_hashes_of(const store::FeedSet& set) {
  std::vector<uint64_t> hashes;
  hashes.reserve(set.domains.size());
  for (const std::string& domain : set.domains) {
    hashes.push_back(XXH3_64bits(domain.data(), domain.size()));
  }
  std::ranges::sort(hashes);
  hashes.erase(std::unique(hashes.begin(), hashes.end()), hashes.end());
  return hashes;
}

Overlap overlap_of(std::span<const FeedInput> feeds) {
  Overlap overlap;
  std::vector<policy::Universe::Feed> listed;
  for (const FeedInput& feed : feeds) {
    overlap.feeds.push_back(feed.id);
    listed.push_back({.id = feed.id, .set = feed.addresses});
  }
  overlap.shared.resize(feeds.size() * feeds.size());
  overlap.unique.resize(feeds.size());
  count_addresses(policy::Universe::build(listed, {}), overlap);
  count_domains(feeds, overlap);
  return overlap;
}

std::vector<Timing> timings_of(std::span<const std::string> feeds,
                               std::span<const std::vector<store::Observation>> values,
                               int64_t now) {
  std::map<std::string_view, size_t> numbers;
  for (size_t i = 0; i < feeds.size(); ++i) {
    numbers.emplace(feeds[i], i);
  }
  std::vector<Timing> timings(feeds.size());
  std::vector<Collected> collected(feeds.size());
  for (const std::vector<store::Observation>& observations : values) {
    for (const store::Observation& one : observations) {
      const auto number = numbers.find(one.feed);
      if (number == numbers.end()) {
        continue;
      }
      Timing& timing = timings[number->second];
      Collected& into = collected[number->second];
      if (one.listed) {
        into.ages.push_back(now - one.first_seen);
      } else {
        into.stays.push_back(one.last_seen - one.first_seen);
      }
      int64_t others = INT64_MAX;
      for (const store::Observation& other : observations) {
        if (other.feed != one.feed && numbers.contains(other.feed)) {
          others = std::min(others, other.first_seen);
        }
      }
      if (others != INT64_MAX) {
        ++timing.shared;
        timing.first += one.first_seen <= others ? 1u : 0u;
        into.leads.push_back(others - one.first_seen);
      }
    }
  }
  for (size_t i = 0; i < feeds.size(); ++i) {
    timings[i].lead_s = median(collected[i].leads);
    timings[i].age_s = median(collected[i].ages);
    timings[i].retention_s = median(collected[i].stays);
    timings[i].withdrawn = collected[i].stays.size();
  }
  return timings;
}

std::vector<std::string> sample_of(const store::FeedSet& set, size_t count_max) {
  std::vector<std::string> sample;
  const size_t all = set.v4.size() + set.v6.size() + set.domains.size();
  const size_t step = std::max<size_t>(all / std::max<size_t>(count_max, 1), 1);
  for (size_t i = step / 2; i < all && sample.size() < count_max; i += step) {
    if (i < set.v4.size()) {
      sample.push_back(address::to_text_v4(set.v4[i].bits));
    } else if (i < set.v4.size() + set.v6.size()) {
      sample.push_back(address::to_text_v6(set.v6[i - set.v4.size()].bits));
    } else {
      sample.push_back(set.domains[i - set.v4.size() - set.v6.size()]);
    }
  }
  return sample;
}

}  // namespace merlon::report
