// SPDX-License-Identifier: Apache-2.0
#include "dataplane/control/report_ports.h"

namespace merlon::control {

using Json = nlohmann::ordered_json;

Json describe_ports(std::span<const stats::PortReport> ports) {
  Json result = Json::array();
  for (const stats::PortReport& port : ports) {
    result.push_back({{"port", port.name},
                      {"driver", port.driver},
                      {"mac", port.mac},
                      {"queue_count", port.queue_count},
                      {"mtu", port.mtu},
                      {"checksums", port.checksums},
                      {"exception", port.exception},
                      {"waiting", port.waiting}});
  }
  return result;
}

Json count_ports(std::span<const stats::PortReport> ports) {
  Json result = Json::array();
  for (const stats::PortReport& port : ports) {
    Json counters = Json::object();
    for (const auto& [name, value] : port.counters) {
      counters[name] = value;
    }
    result.push_back(
        {{"port", port.name}, {"driver", port.driver}, {"counters", std::move(counters)}});
  }
  return result;
}

}  // namespace merlon::control
