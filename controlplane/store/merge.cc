// SPDX-License-Identifier: Apache-2.0
#include "controlplane/store/merge.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

namespace merlon::store {
namespace {

constexpr double kCombinedMax = 99;

// Which sources are one: a forest of indexes into them.
class Groups {
 public:
  explicit Groups(size_t count) : parent_(count) {
    std::iota(parent_.begin(), parent_.end(), size_t{0});
  }
  size_t root(size_t i) {
    while (parent_[i] != i) {
      i = parent_[i] = parent_[parent_[i]];
    }
    return i;
  }
  void join(size_t a, size_t b) { parent_[root(a)] = root(b); }

 private:
  std::vector<size_t> parent_;
};

}  // namespace

Merged merge_claims(std::span<const Claim> claims) {
  Merged merged;
  std::map<std::string, size_t> numbers;  // of those that list it, by feed
  std::vector<uint8_t> confidences;
  for (const Claim& claim : claims) {
    merged.first_seen =
        merged.first_seen == 0 ? claim.first_seen : std::min(merged.first_seen, claim.first_seen);
    merged.last_seen = std::max(merged.last_seen, claim.last_seen);
    if (!claim.listed) {
      continue;
    }
    const auto [at, is_new] = numbers.emplace(claim.feed, numbers.size());
    if (is_new) {
      confidences.push_back(0);
    }
    uint8_t& confidence = confidences[at->second];
    confidence = std::max(confidence, std::min<uint8_t>(claim.confidence, 100));
    merged.confidence = std::max(merged.confidence, confidence);
  }
  merged.sources = static_cast<uint32_t>(confidences.size());
  Groups groups(confidences.size());
  for (const Claim& claim : claims) {
    for (const std::string& copied : claim.copies) {
      const auto from = numbers.find(claim.feed);
      const auto to = numbers.find(copied);
      if (claim.listed && from != numbers.end() && to != numbers.end()) {
        groups.join(from->second, to->second);
      }
    }
  }
  std::map<size_t, uint8_t> witnesses;  // by root
  for (size_t i = 0; i < confidences.size(); ++i) {
    uint8_t& confidence = witnesses[groups.root(i)];
    confidence = std::max(confidence, confidences[i]);
  }
  merged.independent = static_cast<uint32_t>(witnesses.size());
  double doubt = 1;
  for (const auto& [root, confidence] : witnesses) {
    doubt *= 1 - static_cast<double>(confidence) / 100;
  }
  const double sure =
      std::min(100 * (1 - doubt), std::max<double>(kCombinedMax, merged.confidence));
  merged.combined = static_cast<uint8_t>(std::lround(sure));
  return merged;
}

}  // namespace merlon::store
