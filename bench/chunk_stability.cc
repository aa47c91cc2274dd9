// SPDX-License-Identifier: Apache-2.0
// How many names change when one address of a list comes or goes: the distribution over random
// edits, as JSON. `merlon-chunk-stability --edits 10000 --addresses 100000 --capacity 3999`
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "controlplane/compile/chunks.h"

namespace {

using merlon::address::Bits4;
using merlon::compile::ChunkPlan;

struct Options {
  size_t edits = 10'000;
  size_t addresses = 100'000;
  uint32_t capacity = 3'999;
  uint64_t seed = 4711;
};

merlon::address::RangeSet4 set_of(const std::set<Bits4>& addresses) {
  std::vector<merlon::address::Range<Bits4>> ranges;
  ranges.reserve(addresses.size());
  for (const Bits4 bits : addresses) {
    ranges.push_back({bits, bits});
  }
  return merlon::address::RangeSet4::from_unsorted(std::move(ranges));
}

// First address, end and count of each number's chunk.
using Names = std::map<uint32_t, std::pair<uint64_t, uint64_t>>;

Names names_of(const ChunkPlan<Bits4>& plan) {
  Names names;
  for (size_t i = 0; i < plan.chunks.size(); ++i) {
    const uint64_t end =
        i + 1 < plan.chunks.size() ? plan.chunks[i + 1].first : uint64_t{UINT32_MAX} + 1;
    names[plan.chunks[i].number] = {plan.chunks[i].first, end};
  }
  return names;
}

size_t changed_names(const Names& before, const Names& after, Bits4 edited) {
  std::set<uint32_t> changed;
  for (const auto& [number, range] : after) {
    const auto at = before.find(number);
    const bool holds = range.first <= edited && edited < range.second;
    if (at == before.end() || at->second != range || holds) {
      changed.insert(number);
    }
  }
  for (const auto& [number, range] : before) {
    if (!after.contains(number)) {
      changed.insert(number);
    }
  }
  return changed.size();
}

void run(const Options& options) {
  std::mt19937_64 random(options.seed);
  std::set<Bits4> addresses;
  while (addresses.size() < options.addresses) {
    addresses.insert(static_cast<Bits4>(random()));
  }
  auto plan = merlon::compile::update_chunks<Bits4>({}, set_of(addresses), options.capacity);
  std::vector<size_t> costs;
  double fill_min = 1;
  for (size_t i = 0; i < options.edits; ++i) {
    auto edited = static_cast<Bits4>(random());
    if (random() % 2 == 0 && !addresses.empty()) {
      auto at = addresses.lower_bound(edited);
      at = at == addresses.end() ? addresses.begin() : at;
      edited = *at;
      addresses.erase(at);
    } else {
      addresses.insert(edited);
    }
    const Names before = names_of(plan);
    plan = merlon::compile::update_chunks(plan, set_of(addresses), options.capacity);
    costs.push_back(changed_names(before, names_of(plan), edited));
    fill_min = std::min(fill_min, static_cast<double>(addresses.size()) /
                                      static_cast<double>(plan.chunks.size() * options.capacity));
  }
  std::ranges::sort(costs);
  const auto at = [&](size_t percent) { return costs[(costs.size() - 1) * percent / 100]; };
  fmt::print(
      "{{\"edits\": {}, \"addresses\": {}, \"capacity\": {}, \"names\": {}, "
      "\"names_changed_median\": {}, \"names_changed_p99\": {}, \"names_changed_max\": {}, "
      "\"edits_of_two_names\": {}, \"fill_min\": {:.3f}}}\n",
      options.edits, options.addresses, options.capacity, plan.chunks.size(), at(50), at(99),
      at(100), std::ranges::count(costs, size_t{2}), fill_min);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Names of a list that change per edit of one address");
  app.add_option("--edits", options.edits)->check(CLI::PositiveNumber);
  app.add_option("--addresses", options.addresses)->check(CLI::PositiveNumber);
  app.add_option("--capacity", options.capacity, "addresses per name")->check(CLI::PositiveNumber);
  app.add_option("--seed", options.seed);
  CLI11_PARSE(app, argc, argv);
  run(options);
  return 0;
}
