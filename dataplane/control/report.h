// SPDX-License-Identifier: Apache-2.0
// The JSON that the control socket answers with.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/dnstap/tap.h"
#include "dataplane/stats/counters.h"
#include "dataplane/stats/port_report.h"
#include "zones/base/error.h"
#include "zones/snapshot/snapshot.h"

namespace merlon::control {

struct StatusFacts {
  std::string version;
  std::string engine;       // in use
  std::string engine_note;  // why not the one that was wanted, or ""
  size_t worker_count = 0;
  std::vector<std::string> listen;
  std::vector<stats::PortReport> ports = {};  // of the dpdk engine
  int64_t started = 0;                        // Unix seconds
  int64_t loaded = 0;
  std::string last_load_error;  // "" when the last load went well
  const snapshot::Snapshot* served = nullptr;
};

std::string status_json(const StatusFacts& facts);
// A part of the statistics that somebody else counts: subjects, dnstap, a program in the kernel.
struct StatsSection {
  std::string_view name;
  std::string json;  // an object or array; numbers that only grow, by name
};
std::string stats_json(uint64_t generation, std::span<const stats::WorkerCounters> workers,
                       std::span<const stats::PortReport> ports = {},
                       std::span<const StatsSection> sections = {});
std::string dnstap_json(const dnstap::TapNumbers& numbers);
std::string loaded_json(uint64_t generation);
std::string error_json(const Error& error);

}  // namespace merlon::control
