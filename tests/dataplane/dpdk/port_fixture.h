// SPDX-License-Identifier: Apache-2.0
// Ports without a network card or rights: net_pcap takes frames from a file and writes replies to
// another, net_ring hands a test's own packets over. DPDK starts once, without huge pages.
#pragma once

#include <gtest/gtest.h>
#include <rte_mbuf.h>
#include <rte_ring.h>
#include <stdlib.h>

#include <array>
#include <filesystem>
#include <string>
#include <vector>

#include "dataplane/dpdk/ports.h"
#include "tests/support/port_frames.h"
#include "zones/wire/wire.h"

namespace merlon::dpdk {

class PortFixture : public testing::Test {
 protected:
  void SetUp() override {
    std::string folder = std::filesystem::temp_directory_path() / "merlon-dpdk-XXXXXX";
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    folder_ = folder;
    settings_.huge_pages = dataplane::HugePages::no;
    settings_.idle = dataplane::Idle::poll;
    settings_.eal_arguments = {"-m", "384"};
  }
  void TearDown() override {
    leave();
    std::filesystem::remove_all(folder_);
  }

  // A port that will receive these frames, as often as there are.
  void add_pcap_port(const std::vector<tests::FrameBytes>& frames) {
    const size_t i = settings_.ports.size();
    tests::write_pcap(file("in", i), frames);
    settings_.ports.push_back(
        fmt::format("net_pcap{},rx_pcap={},tx_pcap={}", i, file("in", i), file("out", i)));
  }
  // Received by ring(i), and where replies arrive.
  void add_ring_port() {
    settings_.ports.push_back(fmt::format("net_ring{}", settings_.ports.size()));
  }
  rte_ring* ring(size_t i) const {
    return ::rte_ring_lookup(fmt::format("ETH_RXTX0_net_ring{}", i).c_str());
  }

  void enter() {
    auto ports = Ports::open(settings_, std::span(&counters_, 1));
    ASSERT_TRUE(ports.has_value()) << ports.error().message;
    ports_ = std::move(*ports);
    auto io = ports_->enter(0);
    ASSERT_TRUE(io.has_value()) << io.error().message;
    io_ = *io;
  }
  void leave() {
    if (io_ != nullptr) {
      ports_->leave(0);
      io_ = nullptr;
    }
    ports_.reset();
  }

  // One turn: every message comes back with its bytes inverted, as often as `times`.
  size_t echo(size_t times = 1) {
    const size_t count = io_->receive(packets_);
    for (io::Packet& packet : std::span(packets_).first(count)) {
      invert(packet, times);
    }
    io_->send(std::span(packets_).first(count));
    return count;
  }
  static void invert(io::Packet& packet, size_t times) {
    ASSERT_LE(packet.size * times, packet.capacity);
    for (size_t i = packet.size * times; i-- > 0;) {
      packet.message[i] = static_cast<uint8_t>(~packet.message[i % packet.size]);
    }
    reply_with(packet, static_cast<uint32_t>(packet.size * times));
  }
  // What is at the message is the reply.
  static void reply_with(io::Packet& packet, uint32_t size) {
    packet.reply_size = size;
    packet.reply_sum = wire::checksum_partial({packet.message, size});
  }
  // Until nothing more comes.
  size_t echo_all() {
    size_t total = 0;
    for (int empty = 0; empty < 3;) {
      const size_t count = echo();
      total += count;
      empty = count == 0 ? empty + 1 : 0;
    }
    return total;
  }
  // What the pcap port sent.
  std::vector<tests::FrameBytes> sent(size_t i) const { return tests::read_pcap(file("out", i)); }
  uint64_t count(stats::IoCounter counter) const { return counters_.get(counter); }
  uint64_t port_counter(size_t port, std::string_view name) const {
    const auto reports = ports_->report();
    for (const auto& [own, value] : reports[port].counters) {
      if (own == name) {
        return value;
      }
    }
    ADD_FAILURE() << "port " << port << " has no counter " << name;
    return 0;
  }

  std::string file(std::string_view name, size_t i) const {
    return fmt::format("{}/{}{}.pcap", folder_, name, i);
  }

  std::string folder_;
  dataplane::PortSettings settings_;
  stats::WorkerCounters counters_;
  std::unique_ptr<Ports> ports_;
  DpdkIo* io_ = nullptr;
  std::array<io::Packet, io::kBurstMax> packets_;
};

}  // namespace merlon::dpdk
