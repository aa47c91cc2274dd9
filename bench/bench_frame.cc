// SPDX-License-Identifier: Apache-2.0
// What the frame around a message costs an engine that takes frames from a port: the parser with
// and without the checksums, and the reply's headers. Times are per frame, over bursts of 64 whose
// names have different lengths. "round_trip" parses and turns around: the frames are from port 53
// to port 53, so that each reply is the next round's query. "smoke" variants are what ctest runs.
#include <benchmark/benchmark.h>

#include <vector>

#include "bench/allocations.h"
#include "dataplane/frame/frame.h"
#include "tests/support/frame_builder.h"
#include "zones/base/checksum.h"

namespace merlon::frame {
namespace {

using bench::AllocationCounter;
using benchmark::State;
using tests::FrameSpec;
using Buffer = std::vector<uint8_t>;

constexpr size_t kBurst = 64;

struct Work {
  Buffer frame;
  uint16_t message_sum = 0;
  size_t message_size = 0;
  Layout layout;
};

// Messages of 28 to 67 bytes: names of 12 to 51 bytes, as real ones have.
std::vector<Work> burst(const FrameSpec& like) {
  std::vector<Work> all;
  for (size_t i = 0; i < kBurst; ++i) {
    FrameSpec spec = like;
    spec.source_port = 53;
    spec.message.assign(28 + (i * 29) % 40, static_cast<uint8_t>(i));
    all.push_back({.frame = tests::build_frame(spec),
                   .message_sum = tests::slow_sum(spec.message),
                   .message_size = spec.message.size(),
                   .layout = {}});
  }
  return all;
}

FrameSpec spec_for(const std::string& kind) {
  if (kind == "v6") {
    return {.is_v6 = true};
  }
  if (kind == "vlan") {
    return {.tags = {{0x8100, 5}}};
  }
  if (kind == "options") {
    return {.options = {148, 4, 0, 0}};
  }
  return {};
}

void parse_frames(State& state, const std::string& kind, Checked checked) {
  std::vector<Work> frames = burst(spec_for(kind));
  const Filter filter{.port = 53,
                      .mac = tests::kServerMac,
                      .addresses = {tests::ip(tests::kServer4), tests::ip(tests::kServer6)}};
  address::Address source;
  size_t queries = 0;
  const AllocationCounter allocations(state);
  for (auto _ : state) {
    for (Work& work : frames) {
      queries +=
          parse(work.frame, filter, checked, work.layout, source) == Verdict::query ? 1u : 0u;
      benchmark::DoNotOptimize(source);
    }
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kBurst));
  if (queries != static_cast<size_t>(state.iterations()) * kBurst) {
    state.SkipWithError("not every frame was a query");
  }
}

void parse_not_ours(State& state) {
  const Buffer frame = tests::build_frame({.destination_port = 443});
  const Filter filter{.port = 53};
  Layout layout;
  address::Address source;
  for (auto _ : state) {
    benchmark::DoNotOptimize(parse(frame, filter, {}, layout, source));
  }
}

void round_trip(State& state, const std::string& kind, Checked checked, Checksums checksums) {
  std::vector<Work> frames = burst(spec_for(kind));
  const Filter filter{.port = 53};
  address::Address source;
  size_t queries = 0;
  const AllocationCounter allocations(state);
  for (auto _ : state) {
    for (Work& work : frames) {
      queries +=
          parse(work.frame, filter, checked, work.layout, source) == Verdict::query ? 1u : 0u;
      benchmark::DoNotOptimize(
          turn_around(work.frame, work.layout, work.message_size, work.message_sum, checksums));
    }
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kBurst));
  if (queries != static_cast<size_t>(state.iterations()) * kBurst) {
    state.SkipWithError("not every frame was a query");
  }
}

void sum(State& state) {
  const Buffer bytes(static_cast<size_t>(state.range(0)), 0x5a);
  for (auto _ : state) {
    benchmark::DoNotOptimize(checksum::fold(checksum::sum(bytes)));
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}

constexpr Checked kNothing;
constexpr Checked kBoth{.ip = true, .udp = true};

BENCHMARK_CAPTURE(parse_frames, v4_smoke, "v4", kNothing)->Name("ParseFrame/v4/smoke");
BENCHMARK_CAPTURE(parse_frames, v4_checked, "v4", kBoth)->Name("ParseFrame/v4_checked_by_port");
BENCHMARK_CAPTURE(parse_frames, v6, "v6", kNothing)->Name("ParseFrame/v6");
BENCHMARK_CAPTURE(parse_frames, vlan, "vlan", kNothing)->Name("ParseFrame/v4_vlan");
BENCHMARK_CAPTURE(parse_frames, options, "options", kNothing)->Name("ParseFrame/v4_options");
BENCHMARK(parse_not_ours)->Name("ParseFrame/not_ours");
BENCHMARK_CAPTURE(round_trip, v4_smoke, "v4", kNothing, Checksums::here)
    ->Name("RoundTrip/v4/smoke");
BENCHMARK_CAPTURE(round_trip, v4_port, "v4", kBoth, Checksums::port)
    ->Name("RoundTrip/v4_checksums_by_port");
BENCHMARK_CAPTURE(round_trip, v6, "v6", kNothing, Checksums::here)->Name("RoundTrip/v6");
BENCHMARK(sum)->Name("Checksum/smoke/bytes")->Arg(60);
BENCHMARK(sum)->Name("Checksum/bytes")->Arg(512)->Arg(1232)->Arg(65535);

}  // namespace
}  // namespace merlon::frame

BENCHMARK_MAIN();
