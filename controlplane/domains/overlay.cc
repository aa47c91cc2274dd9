// SPDX-License-Identifier: Apache-2.0
#include "controlplane/domains/overlay.h"

#include <algorithm>
#include <string>
#include <vector>

#include "controlplane/domains/merge.h"

namespace merlon::domains {
namespace {

// The entries above the name that the walk is at.
class Path {
 public:
  // Leaves what is not above `key`.
  void go_to(std::string_view key) {
    while (!steps_.empty() &&
           !key.starts_with(std::string_view(path_).substr(0, steps_.back().size))) {
      steps_.pop_back();
    }
  }
  uint16_t inherited() const { return steps_.empty() ? kNoRank : steps_.back().below; }
  size_t size() const { return steps_.empty() ? 0 : steps_.back().size; }
  void push(std::string_view key, uint16_t below) {
    path_ = key;
    steps_.push_back({key.size(), below});
  }

 private:
  struct Step {
    size_t size;  // of the entry's key, the beginning of path_
    uint16_t below;
  };
  std::string path_;
  std::vector<Step> steps_;
};

void count(std::span<const Member> members, std::span<const Layer> layers, uint16_t inherited,
           const Decision& decision, OverlayCounts& counts) {
  for (size_t i = 0; i < members.size(); ++i) {
    const uint16_t rank = layers[members[i].set].rank;
    const bool again =
        std::any_of(members.begin(), members.begin() + static_cast<std::ptrdiff_t>(i),
                    [&](const Member& other) { return layers[other.set].rank == rank; });
    const bool decides = (has_exact(members[i].scope) && decision.exact == rank) ||
                         (has_below(members[i].scope) && decision.below == rank);
    if (again) {
      ++counts.duplicates;
    } else if (inherited == rank) {
      ++counts.covered;
    } else if (!decides) {
      ++counts.outranked;
    }
  }
}

}  // namespace

OverlayCounts overlay(std::span<const Layer> layers,
                      const std::function<void(const Decision&)>& use) {
  OverlayCounts counts;
  std::vector<const DomainSet*> sets;
  for (const Layer& layer : layers) {
    sets.push_back(layer.set);
  }
  Path path;
  merge(sets, [&](std::string_view key, std::span<const Member> members) {
    path.go_to(key);
    const uint16_t inherited = path.inherited();
    Decision decision{key, inherited, inherited};
    for (const Member& member : members) {
      const uint16_t rank = layers[member.set].rank;
      decision.exact = has_exact(member.scope) ? std::min(decision.exact, rank) : decision.exact;
      decision.below = has_below(member.scope) ? std::min(decision.below, rank) : decision.below;
    }
    count(members, layers, inherited, decision, counts);
    if (decision.exact == inherited && decision.below == inherited) {
      return;
    }
    if (inherited != kNoRank) {
      for (size_t end = key.find('\0', path.size()) + 1; end < key.size();
           end = key.find('\0', end) + 1) {
        ++counts.filled;
        use({key.substr(0, end), inherited, inherited});
        path.push(key.substr(0, end), inherited);
      }
    }
    use(decision);
    path.push(key, decision.below);
  });
  return counts;
}

}  // namespace merlon::domains
