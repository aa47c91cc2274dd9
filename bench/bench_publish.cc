// SPDX-License-Identifier: Apache-2.0
// One account's zone changes among many: what the control plane does to publish it and read it
// back, and what the data plane does to serve it. Each account has a zone and a bodies segment.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "bench/state.h"
#include "controlplane/publish/publisher.h"
#include "zones/snapshot/snapshot.h"
#include "zones/wire/wire.h"

namespace merlon::bench {
namespace {

using publish::SegmentFile;
using snapshot::SegmentKind;

uint64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  uint64_t pages = 0;
  statm >> pages >> pages;
  return pages * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

[[noreturn]] void give_up(const Error& error) {
  std::fprintf(stderr, "bench_publish: %s\n", error.message.c_str());
  std::abort();
}

template <class T>
T must(Result<T> result) {
  if (!result) {
    give_up(result.error());
  }
  return std::move(*result);
}

void must(const Status& status) {
  if (!status) {
    give_up(status.error());
  }
}

SegmentFile listed(SegmentKind kind, Bytes bytes, const name::Name& apex) {
  return {.listed = {.kind = kind,
                     .hash = snapshot::ContentHash::of(bytes),
                     .size_bytes = bytes.size(),
                     .apex = apex},
          .bytes = bytes};
}

// A published generation of `accounts` zones, and what it takes to make the next.
class Scene {
 public:
  explicit Scene(size_t accounts)
      : suffix_(must(name::Name::from_text("merlon.internal."))), publisher_(must(open(path_))) {
    for (size_t i = 0; i < accounts; ++i) {
      add_account(i);
    }
    const auto source = address::parse_prefix("192.0.2.0/24");
    keep(SegmentKind::access, must(sources_may_ask({&*source, 1})), name::Name());
    publish();
    resident_before_ = resident_bytes();
    served_ = load(nullptr);
    resident_after_ = resident_bytes();
  }
  ~Scene() { std::filesystem::remove_all(path_); }
  Scene(const Scene&) = delete;
  Scene& operator=(const Scene&) = delete;

  // Another body for account 0, as one edit of its list makes it.
  void change_one() {
    bytes_[1] = zone_of(0, ++edits_);
    files_[1] = listed(SegmentKind::zone, bytes_[1], files_[1].listed.apex);
  }
  void publish() {
    const auto written = must(publisher_.write(files_, 1));
    generation_ = written.generation;
    for (SegmentFile& file : files_) {
      file.bytes = {};
    }
  }
  void put_in_force() { must(publisher_.set_current(generation_)); }
  std::shared_ptr<const snapshot::Snapshot> load(const snapshot::Snapshot* before) {
    const auto manifest =
        must(publisher_.directory().manifest(generation_, publisher_.public_key()));
    return must(snapshot::Snapshot::load(publisher_.directory(), manifest, key_, before));
  }
  void clean_up() { must(publisher_.clean_up()); }
  void serve(std::shared_ptr<const snapshot::Snapshot> next) { served_ = std::move(next); }
  const snapshot::Snapshot* served() const { return served_.get(); }
  double resident_per_zone() const {
    return static_cast<double>(resident_after_ - resident_before_) /
           static_cast<double>(served_->zones().size());
  }

 private:
  static Result<publish::Publisher> open(std::string& path) {
    path = (std::filesystem::temp_directory_path() / "merlon-bench-publish-XXXXXX").string();
    if (::mkdtemp(path.data()) == nullptr) {
      return fail_errno(path, errno);
    }
    return publish::Publisher::open(path, snapshot::SigningKey::generate(), {});
  }
  name::Name apex_of(size_t account) const {
    return must(suffix_.child(fmt::format("account{:05}", account)));
  }
  std::vector<uint8_t> zone_of(size_t account, uint32_t salt) const {
    Zone zone(apex_of(account), Zone::Text::none);
    must(zone.add_apex());
    must(zone.add_addresses("block", 0x2D000000 + salt, 20));
    return must(zone.finish());
  }
  void add_account(size_t account) {
    snapshot::BodiesBuilder bodies;
    bodies.begin();
    for (uint32_t i = 0; i < 20; ++i) {
      std::array<uint8_t, 4> data{};
      address::store_network(
          address::Bits4{0x2D000000 + static_cast<uint32_t>(account) * 64 + i * 3}, data.data());
      bodies.add({.type = wire::type::a, .ttl = 900, .data = data});
    }
    must(bodies.end());
    keep(SegmentKind::bodies, bodies.finish(), name::Name());
    keep(SegmentKind::zone, zone_of(account, 0), apex_of(account));
  }
  void keep(SegmentKind kind, std::vector<uint8_t> bytes, const name::Name& apex) {
    bytes_.push_back(std::move(bytes));
    files_.push_back(listed(kind, bytes_.back(), apex));
  }

  std::string path_;
  name::Name suffix_;
  publish::Publisher publisher_;
  snapshot::IndexKey key_ = snapshot::IndexKey::random();
  std::vector<std::vector<uint8_t>> bytes_;
  std::vector<SegmentFile> files_;
  uint64_t generation_ = 0;
  uint32_t edits_ = 0;
  std::shared_ptr<const snapshot::Snapshot> served_;
  uint64_t resident_before_ = 0;
  uint64_t resident_after_ = 0;
};

void write_one_change(benchmark::State& state) {
  Scene scene(static_cast<size_t>(state.range(0)));
  for (auto _ : state) {
    state.PauseTiming();
    scene.change_one();
    state.ResumeTiming();
    scene.publish();
  }
}

// As the data plane does it, and the control plane before it puts a generation in force.
void load_one_change(benchmark::State& state) {
  Scene scene(static_cast<size_t>(state.range(0)));
  for (auto _ : state) {
    state.PauseTiming();
    scene.change_one();
    scene.publish();
    scene.put_in_force();
    state.ResumeTiming();
    scene.serve(scene.load(scene.served()));
  }
  state.counters["resident_bytes_per_zone"] = scene.resident_per_zone();
}

void clean_up_after_one_change(benchmark::State& state) {
  Scene scene(static_cast<size_t>(state.range(0)));
  scene.put_in_force();
  scene.clean_up();
  for (auto _ : state) {
    state.PauseTiming();
    scene.change_one();
    scene.publish();
    scene.put_in_force();
    state.ResumeTiming();
    scene.clean_up();
  }
}

void load_cold(benchmark::State& state) {
  Scene scene(static_cast<size_t>(state.range(0)));
  for (auto _ : state) {
    benchmark::DoNotOptimize(scene.load(nullptr));
  }
  state.counters["resident_bytes_per_zone"] = scene.resident_per_zone();
}

constexpr int64_t kSmall = 100;
constexpr int64_t kAccounts = 10'000;
constexpr int64_t kManyAccounts = 100'000;

BENCHMARK(write_one_change)->Name("WriteOneChange/small")->ArgName("zones")->Arg(kSmall);
BENCHMARK(write_one_change)
    ->Name("WriteOneChange")
    ->ArgName("zones")
    ->Arg(kAccounts)
    ->Unit(benchmark::kMillisecond);
BENCHMARK(load_one_change)->Name("LoadOneChange/small")->ArgName("zones")->Arg(kSmall);
BENCHMARK(load_one_change)
    ->Name("LoadOneChange")
    ->ArgName("zones")
    ->Arg(kAccounts)
    ->Unit(benchmark::kMillisecond);
BENCHMARK(clean_up_after_one_change)->Name("CleanUp/small")->ArgName("zones")->Arg(kSmall);
BENCHMARK(clean_up_after_one_change)
    ->Name("CleanUp")
    ->ArgName("zones")
    ->Arg(kAccounts)
    ->Unit(benchmark::kMillisecond)
    ->Iterations(40);
BENCHMARK(load_cold)->Name("LoadCold/small")->ArgName("zones")->Arg(kSmall);
BENCHMARK(load_cold)
    ->Name("LoadCold")
    ->ArgName("zones")
    ->Arg(kAccounts)
    ->Unit(benchmark::kMillisecond);
BENCHMARK(load_cold)
    ->Name("LoadCold")
    ->ArgName("zones")
    ->Arg(kManyAccounts)
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace merlon::bench

BENCHMARK_MAIN();
