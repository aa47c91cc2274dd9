// SPDX-License-Identifier: Apache-2.0
// What a feed costs before anything else happens to it: text to numbers, numbers to a sorted set,
// and the set algebra over it. "text" benchmarks report the bytes of text per second. The inputs
// are random with a fixed seed and the same in every run; "small" and "smoke" sizes stay in cache.
#include <benchmark/benchmark.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "zones/address/address.h"
#include "zones/address/range_set.h"

namespace merlon::address {
namespace {

enum class Kind : uint8_t { v4, v6, mixed };

Bits6 random_v6(std::mt19937_64& random) {
  return (Bits6{0x20010db8} << 96) | (Bits6{random() & 0xffff} << 64) | random();
}

// One entry a line, as feeds have them: mostly addresses, every sixteenth line of `mixed` a prefix
// and every sixteenth an IPv6 address.
std::string feed_text(size_t lines, Kind kind) {
  std::mt19937_64 random(4711);
  std::string text;
  for (size_t i = 0; i < lines; ++i) {
    const Bits4 bits = static_cast<Bits4>(random());
    if (kind == Kind::v6 || (kind == Kind::mixed && i % 16 == 5)) {
      text += to_text_v6(random_v6(random));
    } else if (kind == Kind::mixed && i % 16 == 11) {
      text += to_text(AnyPrefix{Family::v4, 24, bits & 0xffffff00});
    } else {
      text += to_text_v4(bits);
    }
    text += '\n';
  }
  return text;
}

template <class Use>
void for_each_line(std::string_view text, Use&& use) {
  while (!text.empty()) {
    const void* end = std::memchr(text.data(), '\n', text.size());
    const size_t size = end == nullptr
                            ? text.size()
                            : static_cast<size_t>(static_cast<const char*>(end) - text.data());
    use(text.substr(0, size));
    text.remove_prefix(std::min(size + 1, text.size()));
  }
}

RangeSet4 random_set(size_t ranges, uint64_t seed) {
  std::mt19937_64 random(seed);
  // One range in each stride, so that the set has exactly this many.
  const uint64_t stride = (uint64_t{1} << 32) / ranges;
  std::vector<Range<Bits4>> made;
  for (uint64_t i = 0; i < ranges; ++i) {
    const auto first = static_cast<Bits4>(i * stride + random() % (stride / 2));
    made.push_back({first, static_cast<Bits4>(first + random() % (stride / 2 - 1))});
  }
  return RangeSet4::from_unsorted(std::move(made));
}

void parse(benchmark::State& state, Kind kind) {
  const auto lines = static_cast<size_t>(state.range(0));
  const std::string text = feed_text(lines, kind);
  for (auto _ : state) {
    for_each_line(text, [](std::string_view line) { benchmark::DoNotOptimize(parse_range(line)); });
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(text.size()));
}

void text_to_set(benchmark::State& state, Kind kind) {
  const std::string text = feed_text(static_cast<size_t>(state.range(0)), kind);
  for (auto _ : state) {
    std::vector<Range<Bits4>> v4;
    std::vector<Range<Bits6>> v6;
    for_each_line(text, [&](std::string_view line) {
      if (const auto range = parse_range(line)) {
        range->family == Family::v4 ? v4.push_back(range->v4()) : v6.push_back(range->v6());
      }
    });
    const IpSet set{RangeSet4::from_unsorted(std::move(v4)),
                    RangeSet6::from_unsorted(std::move(v6))};
    benchmark::DoNotOptimize(set.v4.ranges().data());
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(text.size()));
}

void set_from_unsorted(benchmark::State& state) {
  std::mt19937_64 random(4711);
  std::vector<Range<Bits4>> ranges(static_cast<size_t>(state.range(0)));
  for (auto& range : ranges) {
    range.first = range.last = static_cast<Bits4>(random());
  }
  for (auto _ : state) {
    benchmark::DoNotOptimize(RangeSet4::from_unsorted(ranges));
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

using Operation = RangeSet4 (RangeSet4::*)(const RangeSet4&) const;

void combine(benchmark::State& state, Operation operation) {
  const RangeSet4 a = random_set(static_cast<size_t>(state.range(0)), 1);
  const RangeSet4 b = random_set(static_cast<size_t>(state.range(0)), 2);
  for (auto _ : state) {
    benchmark::DoNotOptimize((a.*operation)(b));
  }
  state.SetItemsProcessed(state.iterations() * 2 * state.range(0));
}

// What 40 feeds list together: state.range(0) ranges in all, mostly single addresses.
void unite_many(benchmark::State& state, unsigned threads) {
  constexpr size_t kSets = 40;
  std::mt19937_64 random(4711);
  std::vector<RangeSet4> sets;
  std::vector<const RangeSet4*> pointers;
  for (size_t i = 0; i < kSets; ++i) {
    std::vector<Range<Bits4>> ranges(static_cast<size_t>(state.range(0)) / kSets);
    for (auto& range : ranges) {
      range.first = range.last = static_cast<Bits4>(random());
    }
    sets.push_back(RangeSet4::from_unsorted(std::move(ranges)));
  }
  for (const RangeSet4& set : sets) {
    pointers.push_back(&set);
  }
  for (auto _ : state) {
    benchmark::DoNotOptimize(RangeSet4::united(pointers, threads));
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

void contains(benchmark::State& state) {
  const RangeSet4 set = random_set(static_cast<size_t>(state.range(0)), 1);
  Bits4 address = 1;
  for (auto _ : state) {
    address = address * 1664525 + 1013904223;  // about half of them are in the set
    benchmark::DoNotOptimize(set.contains(address));
  }
  state.SetItemsProcessed(state.iterations());
}

void cover(benchmark::State& state) {
  const RangeSet4 set = random_set(static_cast<size_t>(state.range(0)), 1);
  size_t prefixes = 0;
  for (auto _ : state) {
    prefixes = 0;
    set.for_each_prefix([&](Prefix<Bits4> prefix) {
      benchmark::DoNotOptimize(prefix);
      ++prefixes;
    });
  }
  state.counters["prefixes"] = static_cast<double>(prefixes);
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(prefixes));
}

constexpr int64_t kSmall = 1024;
constexpr int64_t kMillion = 1048576;

BENCHMARK_CAPTURE(parse, smoke, Kind::mixed)->Name("ParseAddress/smoke")->Arg(64);
BENCHMARK_CAPTURE(parse, v4, Kind::v4)->Name("ParseAddress/v4")->ArgName("lines")->Arg(kMillion);
BENCHMARK_CAPTURE(parse, v6, Kind::v6)->Name("ParseAddress/v6")->ArgName("lines")->Arg(kMillion);
BENCHMARK_CAPTURE(parse, mixed, Kind::mixed)
    ->Name("ParseAddress/mixed")
    ->ArgName("lines")
    ->Arg(kMillion);
BENCHMARK_CAPTURE(text_to_set, small, Kind::mixed)
    ->Name("TextToSet/small")
    ->ArgName("lines")
    ->Arg(kSmall);
BENCHMARK_CAPTURE(text_to_set, v4, Kind::v4)->Name("TextToSet/v4")->ArgName("lines")->Arg(kMillion);
BENCHMARK_CAPTURE(text_to_set, mixed, Kind::mixed)
    ->Name("TextToSet/mixed")
    ->ArgName("lines")
    ->Arg(kMillion);
BENCHMARK(set_from_unsorted)->Name("SetFromUnsorted/small")->ArgName("ranges")->Arg(kSmall);
BENCHMARK(set_from_unsorted)->Name("SetFromUnsorted")->ArgName("ranges")->Arg(kMillion);
BENCHMARK_CAPTURE(combine, union, &RangeSet4::united)
    ->Name("RangeSetUnion/small")
    ->ArgName("ranges")
    ->Arg(kSmall);
BENCHMARK_CAPTURE(combine, union, &RangeSet4::united)
    ->Name("RangeSetUnion")
    ->ArgName("ranges")
    ->Arg(kMillion);
BENCHMARK_CAPTURE(unite_many, small, 1)->Name("UnionOf40/small")->ArgName("ranges")->Arg(kSmall);
BENCHMARK_CAPTURE(unite_many, one, 1)
    ->Name("UnionOf40/threads:1")
    ->ArgName("ranges")
    ->Arg(8 * kMillion)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(unite_many, two, 2)
    ->Name("UnionOf40/threads:2")
    ->ArgName("ranges")
    ->Arg(8 * kMillion)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(combine, minus, &RangeSet4::minus)
    ->Name("RangeSetMinus/small")
    ->ArgName("ranges")
    ->Arg(kSmall);
BENCHMARK_CAPTURE(combine, minus, &RangeSet4::minus)
    ->Name("RangeSetMinus")
    ->ArgName("ranges")
    ->Arg(kMillion);
BENCHMARK_CAPTURE(combine, intersection, &RangeSet4::intersected)
    ->Name("RangeSetIntersection/small")
    ->ArgName("ranges")
    ->Arg(kSmall);
BENCHMARK_CAPTURE(combine, intersection, &RangeSet4::intersected)
    ->Name("RangeSetIntersection")
    ->ArgName("ranges")
    ->Arg(kMillion);
BENCHMARK(contains)->Name("RangeSetContains/small")->ArgName("ranges")->Arg(kSmall);
BENCHMARK(contains)->Name("RangeSetContains")->ArgName("ranges")->Arg(kMillion);
BENCHMARK(cover)->Name("Cover/small")->ArgName("ranges")->Arg(kSmall);
BENCHMARK(cover)->Name("Cover")->ArgName("ranges")->Arg(kMillion);

}  // namespace
}  // namespace merlon::address

BENCHMARK_MAIN();
