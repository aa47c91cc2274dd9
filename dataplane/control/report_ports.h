// SPDX-License-Identifier: Apache-2.0
// The dpdk engine's ports in `status` and `stats`.
#pragma once

#include <nlohmann/json.hpp>
#include <span>

#include "dataplane/stats/port_report.h"

namespace merlon::control {

// What they are.
nlohmann::ordered_json describe_ports(std::span<const stats::PortReport> ports);
// What they counted, by name.
nlohmann::ordered_json count_ports(std::span<const stats::PortReport> ports);

}  // namespace merlon::control
