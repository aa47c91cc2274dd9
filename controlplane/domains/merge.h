// SPDX-License-Identifier: Apache-2.0
// One walk over several sets of domains in the order of their keys.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "controlplane/domains/domain_set.h"

namespace merlon::domains {

// An entry of the name that the walk is at.
struct Member {
  uint32_t set;  // place among the sets
  Scope scope;
};

// Calls use(std::string_view key, std::span<const Member>) for each name of any set, members by
// place of their set.
template <class Use>
void merge(std::span<const DomainSet* const> sets, Use&& use) {
  struct Cursor {
    std::string_view key;
    uint32_t set;
    size_t at;
  };
  const auto later = [](const Cursor& a, const Cursor& b) {
    const int order = a.key.compare(b.key);
    return order != 0 ? order > 0 : a.set > b.set;
  };
  std::vector<Cursor> heap;
  for (uint32_t i = 0; i < sets.size(); ++i) {
    if (!sets[i]->empty()) {
      heap.push_back({sets[i]->key(0), i, 0});
    }
  }
  std::ranges::make_heap(heap, later);
  std::vector<Member> members;
  while (!heap.empty()) {
    const std::string_view key = heap.front().key;
    members.clear();
    while (!heap.empty() && heap.front().key == key) {
      std::ranges::pop_heap(heap, later);
      Cursor& cursor = heap.back();
      const DomainSet& set = *sets[cursor.set];
      members.push_back({cursor.set, set.scope(cursor.at)});
      if (++cursor.at == set.size()) {
        heap.pop_back();
      } else {
        cursor.key = set.key(cursor.at);
        std::ranges::push_heap(heap, later);
      }
    }
    use(key, std::span<const Member>(members));
  }
}

}  // namespace merlon::domains
