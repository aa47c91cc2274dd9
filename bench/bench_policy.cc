// SPDX-License-Identifier: Apache-2.0
// Many policies at once: the sweep over what 40 feeds list, and the lists of 1,000 different
// policies composed from it. Indicators have the spread of real feeds: mostly single addresses,
// crowded into some networks, a few per cent of prefixes, some IPv6, feeds of very different sizes
// that repeat each other.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "controlplane/policy/protected_set.h"
#include "controlplane/policy/sweep.h"

namespace merlon::policy {
namespace {

using address::Bits4;
using address::Bits6;

constexpr size_t kFeedCount = 40;
constexpr uint64_t kSeed = 4711;

// An address of a network that many feeds know.
Bits4 crowded(std::mt19937_64& random) {
  const uint64_t network = random() % 200'000;
  const auto bits = static_cast<Bits4>(network * 0x9e3779b97f4a7c15 >> 32);
  return (bits & 0xffff'ff00) | static_cast<Bits4>(random() & 0xff);
}

std::vector<store::FeedSet> make_feeds(size_t indicators) {
  std::mt19937_64 random(kSeed);
  std::vector<store::FeedSet> feeds(kFeedCount);
  std::vector<Bits4> shared(indicators / 5);  // what several feeds list
  for (Bits4& bits : shared) {
    bits = static_cast<Bits4>(random());
  }
  size_t weights = 0;
  for (size_t i = 0; i < kFeedCount; ++i) {
    weights += 1 + i * i;
  }
  for (size_t i = 0; i < kFeedCount; ++i) {
    store::FeedSet& feed = feeds[i];
    for (size_t left = indicators * (1 + i * i) / weights; left > 0; --left) {
      const uint64_t kind = random() % 1000;
      if (kind < 20) {
        const auto length = static_cast<uint8_t>(kind == 0 ? 16 + random() % 8 : 24 + random() % 8);
        const auto bits = static_cast<Bits4>(random());
        feed.v4.push_back({bits & ~address::host_mask<Bits4>(length), length});
      } else if (kind < 50) {
        feed.v6.push_back({(Bits6{0x26000000} << 96) | (Bits6{random()} << 32) | 1, 128});
      } else if (kind < 200) {
        feed.v4.push_back({shared[random() % shared.size()], 32});
      } else if (kind < 450) {
        feed.v4.push_back({crowded(random), 32});
      } else {
        feed.v4.push_back({static_cast<Bits4>(random()), 32});
      }
    }
    feed.normalise();
  }
  return feeds;
}

Universe sweep(const std::vector<store::FeedSet>& feeds, unsigned threads) {
  std::vector<Universe::Feed> named;
  for (size_t i = 0; i < feeds.size(); ++i) {
    named.push_back({"feed" + std::to_string(i), &feeds[i]});
  }
  return Universe::build(named, {.narrow_from = {}, .threads = threads});
}

// Every one different; one in 250 without limit.
std::vector<Selection> make_selections(size_t count, uint64_t capacity_divisor) {
  std::mt19937_64 random(kSeed + 1);
  std::vector<Selection> selections(count);
  for (size_t i = 0; i < count; ++i) {
    for (uint16_t feed = 0; feed < kFeedCount; ++feed) {
      if (random() % 3 == 0) {
        selections[i].feeds.push_back(
            {feed, score_of(static_cast<uint8_t>(1 + feed % 5), static_cast<uint8_t>(feed * 2))});
      }
    }
    const uint64_t capacity = (30'000 + random() % 120'000) / capacity_divisor;
    selections[i].capacity = i % 250 == 249 ? 0 : capacity;
    const auto own = static_cast<Bits4>(random());
    selections[i].block.v4 = address::RangeSet4::from_normal({{own, own}});
    selections[i].block_narrow = selections[i].block;
  }
  return selections;
}

void sweep_feeds(benchmark::State& state) {
  const auto feeds = make_feeds(static_cast<size_t>(state.range(0)));
  for (auto _ : state) {
    const Universe universe = sweep(feeds, static_cast<unsigned>(state.range(1)));
    state.counters["ranges"] =
        static_cast<double>(universe.ranges4().size() + universe.ranges6().size());
    state.counters["classes"] = static_cast<double>(universe.class_count());
    state.counters["bytes_per_indicator"] =
        static_cast<double>(universe.memory_bytes()) / static_cast<double>(state.range(0));
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

// As a compile does it: some hundred policies at a time, whose lists are dropped after each.
void compose_policies(benchmark::State& state) {
  constexpr size_t kAtATime = 256;
  const auto feeds = make_feeds(static_cast<size_t>(state.range(0)));
  const Universe universe = sweep(feeds, 2);
  const auto selections =
      make_selections(static_cast<size_t>(state.range(1)),
                      std::max<uint64_t>(1, 10'000'000 / static_cast<uint64_t>(state.range(0))));
  const address::IpSet allowed;
  uint64_t addresses = 0;
  uint64_t fallen = 0;
  for (auto _ : state) {
    addresses = fallen = 0;
    for (size_t first = 0; first < selections.size(); first += kAtATime) {
      const size_t count = std::min(kAtATime, selections.size() - first);
      for (const Composed& list :
           compose_all(universe, std::span(selections).subspan(first, count),
                       {.never = protected_addresses(), .allowed = allowed, .threads = 2})) {
        addresses += static_cast<uint64_t>(list.content->narrow.v4.address_count() +
                                           list.content->narrow.v6.address_count());
        fallen += list.fallen_off.addresses;
      }
    }
  }
  state.counters["addresses_out"] = static_cast<double>(addresses);
  state.counters["fallen_off"] = static_cast<double>(fallen);
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(addresses));
}

BENCHMARK(sweep_feeds)
    ->Name("Sweep/small")
    ->ArgNames({"indicators", "threads"})
    ->Args({20'000, 1})
    ->UseRealTime();
BENCHMARK(sweep_feeds)
    ->Name("Sweep")
    ->ArgNames({"indicators", "threads"})
    ->Args({10'000'000, 1})
    ->Args({10'000'000, 2})
    ->UseRealTime()
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);
BENCHMARK(compose_policies)
    ->Name("ComposeAll/small")
    ->ArgNames({"indicators", "policies"})
    ->Args({20'000, 20})
    ->UseRealTime();
BENCHMARK(compose_policies)
    ->Name("ComposeAll")
    ->ArgNames({"indicators", "policies"})
    ->Args({10'000'000, 1'000})
    ->UseRealTime()
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace merlon::policy

BENCHMARK_MAIN();
