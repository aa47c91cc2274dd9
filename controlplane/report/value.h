// SPDX-License-Identifier: Apache-2.0
// What feeds are worth beside each other: how much of what they list others list too, what they
// alone bring, who is earlier, how long entries stay. Sizes are of what a list blocks: IPv4
// addresses, domains, and for IPv6 ranges, as an address count says nothing there. Pure functions.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "controlplane/store/model.h"

namespace merlon::report {

struct FeedInput {
  std::string id{};
  const store::FeedSet* addresses = nullptr;  // its domains are not looked at
  std::vector<uint64_t> domain_hashes{};      // sorted and unique
};

struct Overlap {
  std::vector<std::string> feeds{};
  std::vector<uint64_t> shared{};  // row by row: what both list; the diagonal: what one lists
  std::vector<uint64_t> unique{};  // what no other of these lists
  uint64_t shared_of(size_t a, size_t b) const { return shared[a * feeds.size() + b]; }
};
// REQUIRES: at most 65535 feeds, each once.
Overlap overlap_of(std::span<const FeedInput> feeds);

std::vector<uint64_t> domain_hashes_of(const store::FeedSet& set);

// Of a sample of entries. Medians; 0 where nothing could be measured.
struct Timing {
  uint64_t shared = 0;      // sampled entries that another feed has listed as well
  uint64_t first = 0;       // of them: this feed was the first, or as early as the first
  int64_t lead_s = 0;       // before the earliest of the others; behind it when negative
  int64_t age_s = 0;        // of entries that it lists
  int64_t retention_s = 0;  // of entries that it has withdrawn: how long it had listed them
  uint64_t withdrawn = 0;   // how many of those were in the sample
  bool operator==(const Timing&) const = default;
};
// `values`: all observations of one value each (of exactly this value). Feeds as in `feeds`.
std::vector<Timing> timings_of(std::span<const std::string> feeds,
                               std::span<const std::vector<store::Observation>> values,
                               int64_t now);

// Evenly spread entries of a set, as text: single addresses and domains.
std::vector<std::string> sample_of(const store::FeedSet& set, size_t count_max);

}  // namespace merlon::report
