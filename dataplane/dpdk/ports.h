// SPDX-License-Identifier: Apache-2.0
// The ports of the dpdk engine: DPDK started, ports configured, one DpdkIo for each worker. A
// worker calls enter() on its own thread, runs, and calls leave(); then the ports may be closed.
//   ethdev port 0 --queue 0--> worker 0 (DpdkIo) ..     --not DNS--> exception path --> TAP mrl0
//                 --queue 1--> worker 1 (DpdkIo) ..
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "dataplane/dpdk/device.h"
#include "dataplane/dpdk/dpdk_io.h"
#include "dataplane/dpdk/exception.h"
#include "dataplane/settings/settings.h"
#include "dataplane/stats/counters.h"
#include "dataplane/stats/port_report.h"
#include "zones/base/error.h"

namespace merlon::dpdk {

class Ports {
 public:
  // One worker for each of `counters`, which must outlive the ports. Errors say which port, what
  // and what to do: not_found, invalid_argument, io, unsupported.
  static Result<std::unique_ptr<Ports>> open(const dataplane::PortSettings& settings,
                                             std::span<stats::WorkerCounters> counters);
  // Stops and closes the ports; XDP programs are detached. REQUIRES: every worker has left.
  ~Ports();
  Ports(const Ports&) = delete;
  Ports& operator=(const Ports&) = delete;

  // On the worker's thread, once. Errors: io.
  Result<DpdkIo*> enter(size_t worker);
  void leave(size_t worker);

  // Any thread.
  std::vector<stats::PortReport> report() const;
  size_t count() const { return devices_.size(); }

 private:
  explicit Ports(const dataplane::PortSettings& settings) : settings_(settings) {}
  Status open_devices(const std::vector<PortPlan>& plans, size_t worker_count);
  Status open_exception_path();
  void make_workers(std::span<stats::WorkerCounters> counters);
  frame::Filter filter_for(const Device& device) const;
  Idle::Sources idle_sources(size_t worker) const;
  std::string waiting(const Device& device) const;
  stats::PortReport report_of(size_t port) const;

  dataplane::PortSettings settings_;
  std::vector<Device> devices_;
  std::vector<std::unique_ptr<Doorbell>> bells_;  // of the workers
  std::vector<std::unique_ptr<DpdkIo>> workers_;
  std::unique_ptr<ExceptionPath> exception_;
};

}  // namespace merlon::dpdk
