// SPDX-License-Identifier: Apache-2.0
// What one packet costs the data plane between its engine's receive and send, stage by stage and in
// all. "in_cache" works on a generation of 1024 names and few sources, "out_of_cache" on 2^20
// names and 2^20 source prefixes, far more than the last-level cache holds; every name and source
// is asked in random order. Per-item time is per packet. "small" variants are what ctest runs.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <numeric>
#include <random>
#include <set>
#include <tuple>
#include <vector>

#include "bench/allocations.h"
#include "dataplane/access/source_table.h"
#include "dataplane/pipeline/burst.h"
#include "tests/support/snapshot_fixture.h"
#include "zones/answer/answer.h"

namespace merlon {
namespace {

using address::Address;
using bench::AllocationCounter;
using benchmark::State;
using tests::Fixture;

constexpr size_t kSmall = 1024;
constexpr size_t kLarge = size_t{1} << 20;

// ---- parse

void parse(State& state, const std::vector<uint8_t>& message) {
  answer::Query query;
  answer::Outcome outcome{};
  const AllocationCounter allocations(state);
  for (auto _ : state) {
    benchmark::DoNotOptimize(answer::parse_query(message, query, outcome));
    benchmark::DoNotOptimize(query);
  }
}

std::string name_of_size(size_t wire_size) {
  // Labels of 15 bytes as long as they fit, 0x20 case.
  std::string text;
  size_t left = wire_size - 1;
  while (left > 0) {
    const size_t label = std::min<size_t>(left - 1, 15);
    for (size_t i = 0; i < label; ++i) {
      text += static_cast<char>((i % 3 == 0 ? 'A' : 'a') + static_cast<int>(i));
    }
    text += '.';
    left -= label + 1;
  }
  return text;
}

void parse_small(State& state) {
  parse(state, tests::make_query({.name = name_of_size(static_cast<size_t>(state.range(0)))}));
}
void parse_edns(State& state) {
  parse(state, tests::make_query({.name = name_of_size(static_cast<size_t>(state.range(0))),
                                  .edns = true,
                                  .options = {0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8}}));
}
BENCHMARK(parse_small)
    ->Name("ParseQuery/small")
    ->ArgName("qname_bytes")
    ->Arg(24)
    ->Arg(65)
    ->Arg(255);
BENCHMARK(parse_edns)->Name("ParseQuery/edns_small")->ArgName("qname_bytes")->Arg(24);

// ---- sources

struct Sources {
  snapshot::Segment segment;
  std::shared_ptr<snapshot::LoadedAccess> access;
  std::unique_ptr<access::SourceTable> table;
  std::vector<Address> asked;  // one of each prefix, shuffled
};

// A quarter IPv4 /24, five eighths /32, everywhere; every eighth is an IPv6 /48 or /128.
address::AnyPrefix random_prefix(std::mt19937_64& random, size_t i) {
  if (i % 8 == 7) {
    const auto length = static_cast<uint8_t>(i % 16 == 15 ? 128 : 48);
    const address::Bits6 bits = (address::Bits6{0x20010000u | (random() & 0xffff)} << 96) |
                                (address::Bits6{random() & 0xffff} << 80) | random();
    return {address::Family::v6, length, bits & ~address::host_mask<address::Bits6>(length)};
  }
  const auto length = static_cast<uint8_t>(i % 4 == 0 ? 24 : 32);
  const auto bits = static_cast<address::Bits4>(random());
  return {address::Family::v4, length, bits & ~address::host_mask<address::Bits4>(length)};
}

Sources make_sources(size_t count) {
  std::mt19937_64 random(4711);
  snapshot::AccessBuilder builder;
  std::vector<Address> asked;
  std::set<std::tuple<address::Family, uint8_t, address::Bits6>> taken;
  for (uint32_t i = 0; asked.size() < count; ++i) {
    const address::AnyPrefix prefix = random_prefix(random, i);
    if (taken.emplace(prefix.family, prefix.length, prefix.bits).second) {
      builder.add_source(
          prefix, builder.add_subject({7, i, tests::kTierAll, snapshot::Verb::pass, {}, {}}));
      asked.push_back({prefix.family, prefix.bits});
    }
  }
  std::shuffle(asked.begin(), asked.end(), random);
  Sources sources;
  auto bytes = builder.finish();
  if (!bytes) {
    std::abort();
  }
  sources.access = std::make_shared<snapshot::LoadedAccess>();
  sources.access->segment = std::move(*snapshot::Segment::from_bytes(*bytes));
  sources.access->view = *snapshot::AccessView::open(sources.access->segment);
  sources.table = std::move(*access::SourceTable::build(sources.access->view));
  sources.asked = std::move(asked);
  return sources;
}

const Sources& sources_of(size_t count) {
  static const Sources small = make_sources(kSmall);
  if (count == kSmall) {
    return small;
  }
  static const Sources large = make_sources(kLarge);
  return large;
}

void find_source_single(State& state) {
  const Sources& sources = sources_of(static_cast<size_t>(state.range(0)));
  size_t at = 0;
  const AllocationCounter allocations(state);
  for (auto _ : state) {
    // Each lookup waits for the one before, as a lone packet does.
    const uint32_t found = sources.table->find(sources.asked[at]);
    at = (at + 1 + (found == snapshot::kNoSubject ? 1 : 0)) % sources.asked.size();
    benchmark::DoNotOptimize(at);
  }
}

void find_source_burst(State& state) {
  const Sources& sources = sources_of(static_cast<size_t>(state.range(0)));
  std::array<access::SourceTable::Probe, io::kBurstMax> probes;
  std::array<uint8_t, io::kBurstMax> order;
  std::iota(order.begin(), order.end(), uint8_t{0});
  size_t at = 0;
  uint64_t sum = 0;
  const AllocationCounter allocations(state);
  for (auto _ : state) {
    at = at + io::kBurstMax <= sources.asked.size() ? at : 0;
    const auto burst = std::span(sources.asked).subspan(at, io::kBurstMax);
    // Of one family, then of the other, as the pipeline does.
    const auto v6 = std::ranges::partition(
        order, [&](uint8_t i) { return burst[i].family == address::Family::v4; });
    const auto v4 = std::span(order.begin(), v6.begin());
    for (const uint8_t i : v4) {
      sources.table->prefetch4(static_cast<address::Bits4>(burst[i].bits));
    }
    for (const uint8_t i : v6) {
      sources.table->prefetch6(burst[i].bits);
    }
    for (const uint8_t i : v4) {
      probes[i] = sources.table->probe4(static_cast<address::Bits4>(burst[i].bits));
    }
    for (const uint8_t i : v6) {
      probes[i] = sources.table->probe6(burst[i].bits);
    }
    for (const uint8_t i : v4) {
      sum += sources.table->find4(static_cast<address::Bits4>(burst[i].bits), probes[i]);
    }
    for (const uint8_t i : v6) {
      sum += sources.table->find6(burst[i].bits, probes[i]);
    }
    at += io::kBurstMax;
  }
  benchmark::DoNotOptimize(sum);
  state.counters["table_MiB"] =
      static_cast<double>(sources.table->size_bytes()) / static_cast<double>(1 << 20);
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(io::kBurstMax));
}
BENCHMARK(find_source_single)->Name("FindSource/single_small")->ArgName("prefixes")->Arg(kSmall);
BENCHMARK(find_source_burst)->Name("FindSource/burst_small")->ArgName("prefixes")->Arg(kSmall);
BENCHMARK(find_source_single)->Name("FindSource/single")->ArgName("prefixes")->Arg(kLarge);
BENCHMARK(find_source_burst)->Name("FindSource/burst")->ArgName("prefixes")->Arg(kLarge);

// ---- names

const Fixture& fixture_of(size_t names) {
  static const Fixture small = tests::make_fixture({.extra_names = kSmall});
  if (names == kSmall) {
    return small;
  }
  static const Fixture large = tests::make_fixture({.extra_names = kLarge});
  return large;
}

enum class Kind : uint8_t { hit, miss, mixed };

// Queries for n0.. in random order, each name once before one is asked again; `mixed` is one miss
// in four. Packed as they would lie in receive buffers that the engine has fetched: in order.
class Questions {
 public:
  Questions(size_t names, Kind kind) {
    std::mt19937_64 random(4711);
    std::vector<uint32_t> order(names);
    std::iota(order.begin(), order.end(), 0u);
    std::shuffle(order.begin(), order.end(), random);
    for (size_t i = 0; i < names; ++i) {
      const bool miss = kind == Kind::miss || (kind == Kind::mixed && i % 4 == 3);
      const auto message = tests::make_query(
          {.name = fmt::format("{}{}.merlon.internal.", miss ? "x" : "n", order[i]),
           .id = static_cast<uint16_t>(i),
           .edns = true});
      offsets_.push_back(static_cast<uint32_t>(bytes_.size()));
      bytes_.insert(bytes_.end(), message.begin(), message.end());
    }
    offsets_.push_back(static_cast<uint32_t>(bytes_.size()));
  }
  Bytes next() {
    const Bytes message = Bytes(bytes_).subspan(offsets_[at_], offsets_[at_ + 1] - offsets_[at_]);
    at_ = at_ + 2 == offsets_.size() ? 0 : at_ + 1;
    return message;
  }

 private:
  HugeVector<uint8_t> bytes_;
  HugeVector<uint32_t> offsets_;
  size_t at_ = 0;
};

// Parsing is not part of the time.
void find_name(State& state, Kind kind) {
  const auto names = static_cast<size_t>(state.range(0));
  const Fixture& fixture = fixture_of(names);
  Questions questions(names, kind);
  std::array<answer::Query, io::kBurstMax> queries;
  std::array<answer::Lookup, io::kBurstMax> lookups;
  std::array<const snapshot::Node*, io::kBurstMax> candidates;
  const AllocationCounter allocations(state);
  for (auto _ : state) {
    for (answer::Query& query : queries) {
      answer::Outcome outcome{};
      answer::parse_query(questions.next(), query, outcome);
    }
    const auto start = std::chrono::steady_clock::now();
    for (size_t i = 0; i < io::kBurstMax; ++i) {
      answer::find_zone(*fixture.snapshot, queries[i], lookups[i]);
    }
    for (size_t i = 0; i < io::kBurstMax; ++i) {
      candidates[i] = answer::find_candidate(lookups[i]);
    }
    for (size_t i = 0; i < io::kBurstMax; ++i) {
      answer::find_node(queries[i], lookups[i], candidates[i]);
    }
    benchmark::DoNotOptimize(lookups);
    state.SetIterationTime(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(io::kBurstMax));
}
BENCHMARK_CAPTURE(find_name, hit, Kind::hit)
    ->Name("FindName/hit_small")
    ->UseManualTime()
    ->ArgName("names")
    ->Arg(kSmall);
BENCHMARK_CAPTURE(find_name, miss, Kind::miss)
    ->Name("FindName/miss_small")
    ->UseManualTime()
    ->ArgName("names")
    ->Arg(kSmall);
BENCHMARK_CAPTURE(find_name, hit, Kind::hit)
    ->Name("FindName/hit")
    ->UseManualTime()
    ->ArgName("names")
    ->Arg(kLarge);
BENCHMARK_CAPTURE(find_name, miss, Kind::miss)
    ->Name("FindName/miss")
    ->UseManualTime()
    ->ArgName("names")
    ->Arg(kLarge);

// ---- compose

void compose(State& state, const tests::QuerySpec& spec) {
  static const Fixture fixture = tests::make_fixture({.basic_count = 70});
  const answer::Limits limits{.transport = answer::Transport::udp, .udp_size_max = 1452};
  const std::vector<uint8_t> message = tests::make_query(spec);
  answer::Query query;
  const answer::Reply reply =
      answer::answer(*fixture.snapshot, message, fixture.subject("192.0.2.10"), limits, query);
  std::vector<uint8_t> buffer(2048);
  std::copy(message.begin(), message.end(), buffer.begin());
  size_t size = 0;
  const AllocationCounter allocations(state);
  for (auto _ : state) {
    answer::Reply copy = reply;
    size = answer::compose(query, copy, limits, buffer, message.size());
    benchmark::DoNotOptimize(buffer.data());
    benchmark::ClobberMemory();
  }
  state.counters["reply_bytes"] = static_cast<double>(size);
}
BENCHMARK_CAPTURE(compose, one, {.name = "tiny.merlon.internal.", .edns = true})
    ->Name("Compose/small/records:1");
BENCHMARK_CAPTURE(compose, seventy,
                  {.name = "basic.merlon.internal.", .edns = true, .payload = 1452})
    ->Name("Compose/small/records:70");
BENCHMARK_CAPTURE(compose, missing, {.name = "nothing.merlon.internal.", .edns = true})
    ->Name("Compose/small/nxdomain");

// ---- the whole burst

// A 64-packet engine over prepared messages: copying a message in is part of the time, as receiving
// into a buffer is.
struct BurstBench {
  std::unique_ptr<swap::Live> live;
  Questions questions;
  const Sources& sources;
  stats::WorkerCounters counters;
  pipeline::BurstState state;
  // Not a power of two apart, which would put all of them into the same few lines of the cache.
  std::array<std::array<uint8_t, 2048 + 192>, io::kBurstMax> buffers{};
  std::array<io::Packet, io::kBurstMax> packets;
  size_t next_source = 0;

  BurstBench(size_t names, size_t prefixes, Kind kind)
      : questions(names, kind), sources(sources_of(prefixes)) {
    const Fixture& fixture = fixture_of(names);
    live = std::make_unique<swap::Live>();
    live->snapshot =
        *snapshot::Snapshot::assemble(1, fixture.snapshot->zones(), sources.access, fixture.key);
    live->sources =
        std::shared_ptr<const access::SourceTable>(sources.table.get(), [](const auto*) {});
  }
  std::span<io::Packet> receive() {
    for (size_t i = 0; i < packets.size(); ++i) {
      const Bytes message = questions.next();
      std::memcpy(buffers[i].data(), message.data(), message.size());
      packets[i] = {.message = buffers[i].data(),
                    .size = static_cast<uint32_t>(message.size()),
                    .capacity = static_cast<uint32_t>(buffers[i].size()),
                    .reply_size = 0,
                    .handle = static_cast<uint32_t>(i),
                    .source = sources.asked[next_source]};
      next_source = next_source + 1 == sources.asked.size() ? 0 : next_source + 1;
    }
    return packets;
  }
};

void answer_burst(State& state, Kind kind) {
  const auto bench = std::make_unique<BurstBench>(static_cast<size_t>(state.range(0)),
                                                  static_cast<size_t>(state.range(1)), kind);
  const answer::Limits limits;
  const AllocationCounter allocations(state);
  for (auto _ : state) {
    const auto burst = bench->receive();
    pipeline::answer_burst(*bench->live, limits, burst, bench->state, bench->counters);
    benchmark::ClobberMemory();
  }
  const auto answers = state.iterations() * static_cast<int64_t>(io::kBurstMax);
  state.SetItemsProcessed(answers);
  state.counters["answered"] = static_cast<double>(bench->counters.get(answer::Outcome::answered)) /
                               static_cast<double>(answers);
}
BENCHMARK_CAPTURE(answer_burst, hit, Kind::hit)
    ->Name("AnswerBurst/in_cache_small")
    ->ArgNames({"names", "sources"})
    ->Args({kSmall, kSmall});
BENCHMARK_CAPTURE(answer_burst, mixed, Kind::mixed)
    ->Name("AnswerBurst/mixed_small")
    ->ArgNames({"names", "sources"})
    ->Args({kSmall, kSmall});
BENCHMARK_CAPTURE(answer_burst, hit, Kind::hit)
    ->Name("AnswerBurst/out_of_cache")
    ->ArgNames({"names", "sources"})
    ->Args({kLarge, kLarge});
BENCHMARK_CAPTURE(answer_burst, mixed, Kind::mixed)
    ->Name("AnswerBurst/mixed_out_of_cache")
    ->ArgNames({"names", "sources"})
    ->Args({kLarge, kLarge});

// ---- load

// Container checks, zone checks and the index; the bytes are the zone segment's.
void load_zone(State& state) {
  const Fixture fixture = tests::make_fixture({.extra_names = static_cast<size_t>(state.range(0))});
  const auto& bytes = fixture.segment(snapshot::SegmentKind::zone, "merlon.internal.").bytes;
  const auto& bodies = fixture.snapshot->zones()[0]->bodies();
  for (auto _ : state) {
    auto segment = snapshot::Segment::from_bytes(bytes);
    auto zone = snapshot::LoadedZone::make(std::move(*segment), bodies, fixture.key);
    if (!zone) {
      state.SkipWithError(zone.error().message.c_str());
      break;
    }
    state.counters["memory_bytes_per_name"] =
        static_cast<double>((*zone)->memory_bytes()) / static_cast<double>(state.range(0));
    benchmark::DoNotOptimize(zone);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(bytes.size()));
}
BENCHMARK(load_zone)
    ->Name("LoadZone/small")
    ->ArgName("names")
    ->Arg(kSmall)
    ->Unit(benchmark::kMillisecond);
BENCHMARK(load_zone)
    ->Name("LoadZone/large")
    ->ArgName("names")
    ->Arg(kLarge)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace merlon

BENCHMARK_MAIN();
