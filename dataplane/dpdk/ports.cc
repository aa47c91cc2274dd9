// SPDX-License-Identifier: Apache-2.0
#include "dataplane/dpdk/ports.h"

#include <rte_errno.h>
#include <rte_lcore.h>

#include "dataplane/dpdk/eal.h"
#include "dataplane/dpdk/plan.h"

namespace merlon::dpdk {
namespace {

// DPDK's own, the drivers' rings, and room to spare.
constexpr size_t kMemoryBaseMb = 96;
constexpr std::string_view kAfXdpDriver = "net_af_xdp";
constexpr std::string_view kAfPacketDriver = "net_af_packet";

EalOptions eal_options(const dataplane::PortSettings& settings, const std::vector<PortPlan>& plans,
                       size_t worker_count) {
  EalOptions options{.pci_devices = {},
                     .huge_pages = settings.huge_pages,
                     .memory_mb = kMemoryBaseMb + plans.size() * worker_count * kPoolSizeMb,
                     .arguments = settings.eal_arguments};
  for (const PortPlan& plan : plans) {
    options.memory_mb += (worker_count * plan.preloaded * kPacketSizeBytes) >> 20;
    if (plan.bus == Bus::pci) {
      options.pci_devices.push_back(plan.arguments.empty() ? plan.device
                                                           : plan.device + "," + plan.arguments);
    }
  }
  return options;
}

}  // namespace

Result<std::unique_ptr<Ports>> Ports::open(const dataplane::PortSettings& settings,
                                           std::span<stats::WorkerCounters> counters) {
  const auto plans = plan_ports(settings, counters.size());
  if (!plans) {
    return std::unexpected(plans.error());
  }
  if (auto started = start_eal(eal_options(settings, *plans, counters.size())); !started) {
    return std::unexpected(started.error());
  }
  std::unique_ptr<Ports> ports(new Ports(settings));
  for (size_t i = 0; i < counters.size(); ++i) {
    ports->bells_.push_back(std::make_unique<Doorbell>());
  }
  if (auto done = ports->open_devices(*plans, counters.size()); !done) {
    return std::unexpected(done.error());
  }
  if (auto done = ports->open_exception_path(); !done) {
    return std::unexpected(done.error());
  }
  ports->make_workers(counters);
  for (Device& device : ports->devices_) {
    if (auto done = start_device(device); !done) {
      return std::unexpected(done.error());
    }
  }
  return ports;
}

Ports::~Ports() {
  exception_.reset();  // its rings hold packets of the devices' pools
  for (Device& device : devices_) {
    close_device(device);
  }
}

Status Ports::open_devices(const std::vector<PortPlan>& plans, size_t worker_count) {
  const DeviceOptions options{.queue_count = static_cast<uint16_t>(worker_count),
                              .all_multicast = settings_.exception != dataplane::Exception::none,
                              .want_interrupts = settings_.idle == dataplane::Idle::sleep};
  for (const PortPlan& plan : plans) {
    auto device = open_device(plan, options);
    if (!device) {
      return std::unexpected(device.error());
    }
    devices_.push_back(std::move(*device));
  }
  return {};
}

Status Ports::open_exception_path() {
  if (settings_.exception == dataplane::Exception::none) {
    return {};
  }
  std::vector<ExceptionPath::LinkOptions> links;
  for (const Device& device : devices_) {
    links.push_back({.tap = {.name = fmt::format("{}{}", settings_.exception_name, links.size()),
                             .mac = device.mac,
                             .mtu = device.mtu},
                     .pool = device.pools.front()});
  }
  auto path = ExceptionPath::start(settings_.exception, links, *bells_.front());
  if (!path) {
    return std::unexpected(path.error());
  }
  exception_ = std::move(*path);
  return {};
}

// Ports of the network take only what is addressed to them, as a kernel's interface does; those
// that replay or loop frames back have no address that anybody knows.
frame::Filter Ports::filter_for(const Device& device) const {
  frame::Filter filter;
  filter.port = settings_.port;
  filter.addresses = settings_.addresses;
  if (device.plan.bus == Bus::pci || device.driver == kAfXdpDriver ||
      device.driver == kAfPacketDriver) {
    filter.mac = device.mac;
  }
  return filter;
}

void Ports::make_workers(std::span<stats::WorkerCounters> counters) {
  for (size_t worker = 0; worker < counters.size(); ++worker) {
    std::vector<Queue> queues;
    for (size_t i = 0; i < devices_.size(); ++i) {
      const Device& device = devices_[i];
      Queue& queue = queues.emplace_back();
      queue.port = device.id;
      queue.queue = static_cast<uint16_t>(worker);
      queue.mtu = device.mtu;
      queue.checksums = device.checksums;
      queue.pool = device.pools[worker];
      queue.to_kernel = exception_ == nullptr ? nullptr : exception_->to_kernel(i);
      queue.from_kernel =
          exception_ == nullptr || worker != 0 ? nullptr : exception_->from_kernel(i);
      queue.filter = filter_for(device);
    }
    workers_.push_back(std::make_unique<DpdkIo>(
        std::move(queues), *bells_[worker],
        exception_ == nullptr ? nullptr : &exception_->doorbell(), counters[worker]));
  }
}

Idle::Sources Ports::idle_sources(size_t worker) const {
  Idle::Sources sources;
  sources.complete = true;
  for (const Device& device : devices_) {
    if (worker < device.af_xdp_sockets.size()) {
      sources.descriptors.push_back(device.af_xdp_sockets[worker]);
    } else if (device.interrupts) {
      sources.interrupts.push_back({.port = device.id, .queue = static_cast<uint16_t>(worker)});
    } else {
      sources.complete = false;
    }
  }
  return sources;
}

Result<DpdkIo*> Ports::enter(size_t worker) {
  // Its number finds a thread's own cache in the packet pools.
  if (::rte_thread_register() != 0) {
    return fail(ErrorCode::io, "worker {}: DPDK has no room for its thread{}", worker,
                because(rte_errno));
  }
  DpdkIo& io = *workers_[worker];
  io.idle().open(settings_.idle, idle_sources(worker), io.doorbell());
  return &io;
}

void Ports::leave(size_t worker) {
  workers_[worker]->idle().close();
  ::rte_thread_unregister();
}

}  // namespace merlon::dpdk
