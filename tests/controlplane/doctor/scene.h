// SPDX-License-Identifier: Apache-2.0
// A healthy device, for the doctor's tests to spoil.
#pragma once

#include <string>
#include <vector>

#include "controlplane/doctor/doctor.h"

namespace merlon::doctor {

inline constexpr int64_t kNow = 1'800'000'000;
inline constexpr int64_t kHourS = 3600;
inline constexpr int64_t kDayS = 24 * kHourS;

// Asks small lists over UDP and large ones over TCP, every quarter of an hour.
inline Device healthy() {
  Device device{.account = "acme",
                .name = "fw1",
                .tier = "advanced",
                .sources = {*address::parse_prefix("192.0.2.7")},
                .created = kNow - 100 * kDayS,
                .key = "fw1.acme.merlon.internal. (hmac-sha256)",
                .has_udp = true,
                .udp = {.queries = 1000,
                        .last_seen = kNow - 300,
                        .last_useful = kNow - 300,
                        .nxdomain = 90,
                        .truncated = 400,
                        .truncated_times = {kNow - 300, kNow - 300, kNow - 1200, kNow - 1200},
                        .missed_last = kNow - 300,
                        .missed_name = "basic3.merlon.internal."},
                .tcp = {.queries = 400, .last = kNow - 300, .last_useful = kNow - 300}};
  for (const char* name : {"basic.merlon.internal.", "basic1.merlon.internal."}) {
    device.tcp.names.push_back({.name = name,
                                .type = "A",
                                .count = 190,
                                .last = kNow - 300,
                                .records = 4000,
                                .ttl_s = 900,
                                .within_ttl = 1});
  }
  device.tcp.names.push_back({.name = "basic2.merlon.internal.",
                              .type = "A",
                              .told = Told::missing,
                              .count = 20,
                              .last = kNow - 300});
  return device;
}

inline Input input_of(std::vector<Device> devices) {
  return {.now = kNow,
          .suffix = "merlon.internal.",
          .dataplane_started = kNow - 30 * kDayS,
          .tcp_started = kNow - 20 * kDayS,
          .devices = std::move(devices)};
}

// "error tcp_blocked fw1", one a finding.
inline std::vector<std::string> words(const std::vector<Finding>& findings) {
  std::vector<std::string> lines;
  for (const Finding& finding : findings) {
    lines.push_back(std::string(to_string(finding.severity)) + " " + finding.code +
                    (finding.device.empty() ? "" : " " + finding.device));
  }
  return lines;
}

inline std::vector<std::string> diagnosed(Device device) {
  return words(diagnose(input_of({std::move(device)})));
}

}  // namespace merlon::doctor
