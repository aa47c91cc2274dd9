// SPDX-License-Identifier: Apache-2.0
#include <linux/if_xdp.h>
#include <rte_ethdev.h>
#include <rte_mempool.h>
#include <sys/socket.h>

#include "dataplane/dpdk/ports.h"

#ifndef SOL_XDP
#define SOL_XDP 283
#endif

namespace merlon::dpdk {
namespace {

using Counters = std::vector<std::pair<std::string, uint64_t>>;

void add_basic(const Device& device, Counters& out) {
  rte_eth_stats stats{};
  if (::rte_eth_stats_get(device.id, &stats) != 0) {
    return;
  }
  out.insert(out.end(), {{"rx_packets", stats.ipackets},
                         {"rx_bytes", stats.ibytes},
                         {"rx_missed", stats.imissed},
                         {"rx_errors", stats.ierrors},
                         {"rx_no_buffer", stats.rx_nombuf},
                         {"tx_packets", stats.opackets},
                         {"tx_bytes", stats.obytes},
                         {"tx_errors", stats.oerrors}});
}

// The driver's own, those that are not zero: some have hundreds.
void add_extended(const Device& device, Counters& out) {
  const int count = ::rte_eth_xstats_get_names(device.id, nullptr, 0);
  if (count <= 0) {
    return;
  }
  std::vector<rte_eth_xstat_name> names(static_cast<size_t>(count));
  std::vector<rte_eth_xstat> values(names.size());
  if (::rte_eth_xstats_get_names(device.id, names.data(), static_cast<unsigned>(count)) != count ||
      ::rte_eth_xstats_get(device.id, values.data(), static_cast<unsigned>(count)) != count) {
    return;
  }
  for (const rte_eth_xstat& value : values) {
    if (value.value != 0 && value.id < names.size()) {
      out.emplace_back(fmt::format("driver_{}", names[value.id].name), value.value);
    }
  }
}

void add_af_xdp(const Device& device, Counters& out) {
  xdp_statistics sum{};
  for (const int fd : device.af_xdp_sockets) {
    xdp_statistics own{};
    socklen_t size = sizeof own;
    if (::getsockopt(fd, SOL_XDP, XDP_STATISTICS, &own, &size) == 0) {
      sum.rx_dropped += own.rx_dropped;
      sum.rx_invalid_descs += own.rx_invalid_descs;
      sum.tx_invalid_descs += own.tx_invalid_descs;
      sum.rx_ring_full += own.rx_ring_full;
      sum.rx_fill_ring_empty_descs += own.rx_fill_ring_empty_descs;
      sum.tx_ring_empty_descs += own.tx_ring_empty_descs;
    }
  }
  out.insert(out.end(), {{"af_xdp_rx_dropped", sum.rx_dropped},
                         {"af_xdp_rx_invalid_descs", sum.rx_invalid_descs},
                         {"af_xdp_tx_invalid_descs", sum.tx_invalid_descs},
                         {"af_xdp_rx_ring_full", sum.rx_ring_full},
                         {"af_xdp_rx_fill_ring_empty", sum.rx_fill_ring_empty_descs},
                         {"af_xdp_tx_ring_empty", sum.tx_ring_empty_descs}});
}

}  // namespace

std::string Ports::waiting(const Device& device) const {
  if (settings_.idle == dataplane::Idle::poll) {
    return "poll";
  }
  if (!idle_sources(0).complete) {
    return "doze";
  }
  return device.af_xdp_sockets.empty() ? "interrupt" : "descriptor";
}

stats::PortReport Ports::report_of(size_t port) const {
  const Device& device = devices_[port];
  stats::PortReport report{
      .name = device.plan.text,
      .driver = device.driver,
      .mac = device.mac_text.data(),
      .queue_count = static_cast<uint32_t>(device.pools.size()),
      .mtu = device.mtu,
      .checksums = device.checksums == frame::Checksums::here ? "here" : "port",
      .exception = exception_ == nullptr ? "" : exception_->name(port),
      .waiting = waiting(device),
      .counters = {}};
  add_basic(device, report.counters);
  add_extended(device, report.counters);
  if (!device.af_xdp_sockets.empty()) {
    add_af_xdp(device, report.counters);
  }
  for (size_t queue = 0; queue < device.pools.size(); ++queue) {
    report.counters.emplace_back(fmt::format("buffers_free_queue{}", queue),
                                 ::rte_mempool_avail_count(device.pools[queue]));
  }
  if (exception_ != nullptr) {
    const ExceptionPath::Counts counts = exception_->counts(port);
    report.counters.insert(report.counters.end(), {{"exception_to_kernel", counts.to_kernel},
                                                   {"exception_from_kernel", counts.from_kernel},
                                                   {"exception_dropped", counts.dropped}});
  }
  return report;
}

std::vector<stats::PortReport> Ports::report() const {
  std::vector<stats::PortReport> result;
  for (size_t port = 0; port < devices_.size(); ++port) {
    result.push_back(report_of(port));
  }
  return result;
}

}  // namespace merlon::dpdk
