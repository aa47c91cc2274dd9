// SPDX-License-Identifier: Apache-2.0
#include "zones/base/nearest.h"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace merlon {
namespace {

// Longer words are never compared: the table of distances stays small whatever was sent.
constexpr size_t kWordSizeMax = 64;

size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1);  // the row of i - 2
  std::vector<size_t> above(b.size() + 1);   // the row of i - 1
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) {
    row[j] = j;
  }
  for (size_t i = 1; i <= a.size(); ++i) {
    std::swap(before, above);
    std::swap(above, row);
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t change = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
  }
  return row[b.size()];
}

}  // namespace

std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates) {
  std::string_view best;
  size_t best_distance = 0;
  for (const std::string_view candidate : candidates) {
    const size_t longer = std::max(word.size(), candidate.size());
    if (longer > kWordSizeMax) {
      continue;
    }
    const size_t far = distance(word, candidate);
    if (far <= (longer + 2) / 3 && far < longer && (best.empty() || far < best_distance)) {
      best = candidate;
      best_distance = far;
    }
  }
  return best;
}

}  // namespace merlon
