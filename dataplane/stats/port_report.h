// SPDX-License-Identifier: Apache-2.0
// What a port says of itself, for `status` and `stats`: plain values, so that who reports them need
// not know DPDK.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace merlon::stats {

struct PortReport {
  std::string name;    // as in the settings
  std::string driver;  // net_af_xdp, net_ixgbe, ..
  std::string mac;
  uint32_t queue_count = 0;
  uint32_t mtu = 0;
  std::string checksums;  // who computes those of replies: "here" or "port"
  std::string exception;  // the interface through which the kernel sees the port, or ""
  std::string waiting;    // how idle workers wait for it: "descriptor", "interrupt", "doze", "poll"
  std::vector<std::pair<std::string, uint64_t>> counters;
};

}  // namespace merlon::stats
