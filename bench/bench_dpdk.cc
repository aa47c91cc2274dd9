// SPDX-License-Identifier: Apache-2.0
// What the dpdk engine itself costs, with the driver that costs least: net_pcap repeats a few
// frames from memory and throws replies away. Compare with dpdk-testpmd on the same port.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <memory>

#include "dataplane/dpdk/eal.h"
#include "dataplane/dpdk/ports.h"
#include "tests/support/port_frames.h"

namespace merlon {
namespace {

constexpr size_t kFrameCount = 512;
constexpr size_t kQuerySize = 50;

// The one port, open as long as the program runs: DPDK starts once.
struct Engine {
  Engine() {
    std::vector<tests::FrameBytes> frames;
    for (size_t i = 0; i < kFrameCount; ++i) {
      tests::Datagram query{.source_port = static_cast<uint16_t>(1024 + i)};
      query.payload = tests::FrameBytes(kQuerySize, static_cast<uint8_t>(i));
      frames.push_back(tests::make_frame(query));
    }
    const std::string file = std::filesystem::temp_directory_path() /
                             fmt::format("merlon-bench-dpdk-{}.pcap", ::getpid());
    tests::write_pcap(file, frames);
    dataplane::PortSettings settings;
    settings.idle = dataplane::Idle::poll;
    settings.ports = {fmt::format("net_pcap0,rx_pcap={},infinite_rx=1", file)};
    auto opened = dpdk::Ports::open(settings, std::span(&counters, 1));
    std::filesystem::remove(file);
    if (!opened) {
      error = opened.error().message;
      return;
    }
    ports = std::move(*opened);
    const auto entered = ports->enter(0);
    io = entered ? *entered : nullptr;
  }
  ~Engine() {
    if (io != nullptr) {
      ports->leave(0);
    }
    ports.reset();
    dpdk::stop_eal();
  }

  stats::WorkerCounters counters;
  std::unique_ptr<dpdk::Ports> ports;
  dpdk::DpdkIo* io = nullptr;
  std::string error = "worker refused";
};

Engine& engine() {
  static Engine instance;
  return instance;
}

// Receive, parse, turn around, send; the message stays as it is.
void turn_around(benchmark::State& state) {
  dpdk::DpdkIo* io = engine().io;
  if (io == nullptr) {
    state.SkipWithError(engine().error.c_str());
    return;
  }
  std::array<io::Packet, io::kBurstMax> packets;
  int64_t total = 0;
  for (auto _ : state) {
    const size_t count = io->receive(packets);
    for (io::Packet& packet : std::span(packets).first(count)) {
      packet.reply_size = packet.size;
    }
    io->send(std::span(packets).first(count));
    total += static_cast<int64_t>(count);
  }
  state.SetItemsProcessed(total);
}
BENCHMARK(turn_around)->Name("DpdkEngine/turn_around/small");

// Receive, parse, drop.
void receive_only(benchmark::State& state) {
  dpdk::DpdkIo* io = engine().io;
  if (io == nullptr) {
    state.SkipWithError(engine().error.c_str());
    return;
  }
  std::array<io::Packet, io::kBurstMax> packets;
  int64_t total = 0;
  for (auto _ : state) {
    const size_t count = io->receive(packets);
    io->send(std::span(packets).first(count));
    total += static_cast<int64_t>(count);
  }
  state.SetItemsProcessed(total);
}
BENCHMARK(receive_only)->Name("DpdkEngine/receive_and_drop/small");

}  // namespace
}  // namespace merlon

BENCHMARK_MAIN();
