// SPDX-License-Identifier: Apache-2.0
// What domains cost on their way from a feed into a policy zone: text to canonical name, names to a
// set, sets to what decides, and the zone segment; and the difference of two such zones. The names
// are random with a fixed seed: one to three labels of 4 to 14 letters under 16 top names.
#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "controlplane/compile/difference.h"
#include "controlplane/compile/rpz.h"
#include "controlplane/domains/domain.h"
#include "controlplane/domains/domain_set.h"
#include "zones/base/assert.h"
#include "zones/snapshot/segment.h"

namespace merlon {
namespace {

using domains::DomainSet;

constexpr const char* kTops[] = {"com", "com", "com", "com", "net", "org",   "info",   "xyz",
                                 "top", "ru",  "de",  "cn",  "com", "co.uk", "com.br", "online"};

std::string random_name(std::mt19937_64& random) {
  std::string name;
  for (uint64_t labels = 1 + random() % 3; labels > 0; --labels) {
    for (uint64_t size = 4 + random() % 11; size > 0; --size) {
      name += "abcdefghijklmnopqrstuvwxyz0123456789-ABC"[random() % 40];
    }
    name += '.';
  }
  return name + kTops[random() % std::size(kTops)];
}

std::vector<std::string> random_names(size_t count, uint64_t seed = 4711) {
  std::mt19937_64 random(seed);
  std::vector<std::string> names(count);
  for (std::string& name : names) {
    name = random_name(random);
  }
  return names;
}

const domains::Canonicaliser& canonicaliser() {
  static const auto kMade = domains::Canonicaliser::make({}).value();
  return kMade;
}

DomainSet set_of(const std::vector<std::string>& names) {
  domains::DomainSetBuilder builder;
  for (const std::string& name : names) {
    if (const auto domain = canonicaliser().read(name)) {
      builder.add(*domain);
    }
  }
  return builder.finish();
}

void set_items(benchmark::State& state) {
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

void canonical(benchmark::State& state) {
  const auto names = random_names(static_cast<size_t>(state.range(0)));
  for (auto _ : state) {
    for (const std::string& name : names) {
      benchmark::DoNotOptimize(canonicaliser().read(name));
    }
  }
  set_items(state);
}

void text_to_set(benchmark::State& state) {
  const auto names = random_names(static_cast<size_t>(state.range(0)));
  for (auto _ : state) {
    const DomainSet set = set_of(names);
    state.counters["bytes_per_name"] =
        static_cast<double>(set.memory_bytes()) / static_cast<double>(set.size());
  }
  set_items(state);
}

void unite(benchmark::State& state) {
  const auto count = static_cast<size_t>(state.range(0)) / 2;
  const DomainSet a = set_of(random_names(count, 1));
  const DomainSet b = set_of(random_names(count, 2));
  for (auto _ : state) {
    benchmark::DoNotOptimize(a.united(b).size());
  }
  set_items(state);
}

void subtract(benchmark::State& state) {
  const auto count = static_cast<size_t>(state.range(0)) / 2;
  const DomainSet a = set_of(random_names(count, 1));
  const DomainSet b = set_of(random_names(count, 2));
  for (auto _ : state) {
    benchmark::DoNotOptimize(a.minus(b).kept.size());
  }
  set_items(state);
}

compile::CompiledRpz policy_zone(std::shared_ptr<const DomainSet> set, uint32_t serial) {
  static const compile::RpzSettings kSettings;
  const compile::RpzInput input{
      .apex = name::Name::from_text("policy.rpz.customer.merlon.internal").value(),
      .account = 1,
      .test_name = name::Name::from_text("blocked.merlon-test.net").value(),
      .rules = {{.action = compile::RpzAction::nxdomain, .domains = std::move(set)}}};
  return compile::compile_rpz(input, {.settings = kSettings, .next_serial = serial}, {}).value();
}

// The peak of the process is what it is after the largest: run it alone for that.
void set_to_zone(benchmark::State& state) {
  const auto set =
      std::make_shared<DomainSet>(set_of(random_names(static_cast<size_t>(state.range(0)))));
  for (auto _ : state) {
    const auto zone = policy_zone(set, 1);
    state.counters["bytes_per_domain"] =
        static_cast<double>(zone.bytes.size()) / static_cast<double>(set->size());
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  state.counters["peak_rss_mib"] = static_cast<double>(usage.ru_maxrss) / 1024;
  set_items(state);
}

void difference(benchmark::State& state) {
  auto names = random_names(static_cast<size_t>(state.range(0)));
  const auto before = policy_zone(std::make_shared<DomainSet>(set_of(names)), 1);
  const auto fresh = random_names(names.size() / 100 + 1, 3);
  std::copy(fresh.begin(), fresh.end(), names.begin());
  const auto after = policy_zone(std::make_shared<DomainSet>(set_of(names)), 2);
  const auto segment_before = snapshot::Segment::from_bytes(before.bytes).value();
  const auto segment_after = snapshot::Segment::from_bytes(after.bytes).value();
  const auto view_before = snapshot::ZoneView::open(segment_before).value();
  const auto view_after = snapshot::ZoneView::open(segment_after).value();
  for (auto _ : state) {
    const auto made = compile::diff({&view_before}, {&view_after}).value();
    const auto bytes = compile::encode(made);
    state.counters["bytes_per_record"] =
        static_cast<double>(bytes.size()) /
        static_cast<double>(made.removed.size() + made.added.size() + 1);
  }
  set_items(state);
}

constexpr int64_t kSmall = 1024;
constexpr int64_t kMillion = 1'000'000;

void sizes(benchmark::internal::Benchmark* bench) {
  bench->ArgName("names")->Unit(benchmark::kMillisecond)->Arg(kMillion);
}
void small(benchmark::internal::Benchmark* bench) {
  bench->ArgName("names")->Arg(kSmall);
}

BENCHMARK(canonical)->Name("CanonicalName/small")->Apply(small);
BENCHMARK(canonical)->Name("CanonicalName")->Apply(sizes);
BENCHMARK(text_to_set)->Name("NamesToSet/small")->Apply(small);
BENCHMARK(text_to_set)->Name("NamesToSet")->Apply(sizes)->Arg(5 * kMillion);
BENCHMARK(unite)->Name("DomainSetUnion/small")->Apply(small);
BENCHMARK(unite)->Name("DomainSetUnion")->Apply(sizes);
BENCHMARK(subtract)->Name("DomainSetMinus/small")->Apply(small);
BENCHMARK(subtract)->Name("DomainSetMinus")->Apply(sizes);
BENCHMARK(set_to_zone)->Name("SetToPolicyZone/small")->Apply(small);
BENCHMARK(set_to_zone)->Name("SetToPolicyZone")->Apply(sizes);
BENCHMARK(difference)->Name("PolicyZoneDifference/small")->Apply(small);
BENCHMARK(difference)->Name("PolicyZoneDifference")->Apply(sizes);

}  // namespace
}  // namespace merlon

BENCHMARK_MAIN();
