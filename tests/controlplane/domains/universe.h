// SPDX-License-Identifier: Apache-2.0
// A small world of names, in which what a set stands for can be written down name by name.
#pragma once

#include <random>
#include <set>
#include <string>
#include <vector>

#include "controlplane/domains/domain_set.h"

namespace merlon::domains {

inline std::string key_of_text(std::string_view text) {
  return key_of(name::Name::from_text(text).value());
}

// All names of up to `depth` labels a, b-, c below "com" and "x".
inline std::vector<std::string> universe(size_t depth) {
  std::vector<std::string> all;
  std::vector<std::string> last = {std::string("com\0", 4), std::string("x\0", 2)};
  for (size_t i = 0; i < depth; ++i) {
    std::vector<std::string> next;
    for (const std::string& parent : last) {
      for (const std::string_view label : {"a", "b-", "c"}) {
        next.push_back(parent + std::string(label) + '\0');
      }
    }
    all.insert(all.end(), next.begin(), next.end());
    last = std::move(next);
  }
  return all;
}

// Entries as they were given, and the names that they stand for by looking at each.
struct NaiveSet {
  std::vector<std::pair<std::string, Scope>> entries;

  bool covers(const std::string& key) const {
    for (const auto& [entry, scope] : entries) {
      const bool below = key != entry && key.starts_with(entry);
      if ((key == entry && has_exact(scope)) || (below && has_below(scope))) {
        return true;
      }
    }
    return false;
  }
  DomainSet set(Dropped* dropped = nullptr) const {
    DomainSetBuilder builder;
    for (const auto& [entry, scope] : entries) {
      builder.add(entry, scope);
    }
    return builder.finish(dropped);
  }
};

// Entries of up to three labels, so that the names of four or five are still below them.
inline NaiveSet random_set(std::mt19937_64& random, size_t size_max) {
  static const std::vector<std::string> kNames = universe(3);
  NaiveSet made;
  const size_t size = random() % (size_max + 1);
  for (size_t i = 0; i < size; ++i) {
    made.entries.emplace_back(kNames[random() % kNames.size()],
                              static_cast<Scope>(1 + random() % 3));
  }
  return made;
}

}  // namespace merlon::domains
