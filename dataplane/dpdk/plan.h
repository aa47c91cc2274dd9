// SPDX-License-Identifier: Apache-2.0
// What the settings say about ports, as DPDK wants to be told; checked as far as that is possible
// without DPDK, so that mistakes get an answer in our words. A port is an interface of the kernel
// (af_xdp:eth0), of which our filter takes DNS and leaves the rest; a PCI device (0000:03:00.0); or
// an EAL virtual device (net_tap0,iface=dns0). A comma and arguments of its driver may follow.
#pragma once

#include <string>
#include <vector>

#include "dataplane/settings/settings.h"
#include "zones/base/error.h"

namespace merlon::dpdk {

enum class Bus : uint8_t { virtual_device, pci };

struct PortPlan {
  std::string text;  // as the settings have it
  Bus bus = Bus::virtual_device;
  std::string device;      // net_af_xdp0, 0000:03:00.0
  std::string arguments;   // of the device, without its name
  std::string interface;   // the kernel's name of an AF_XDP port, else ""
  uint32_t preloaded = 0;  // packets that the driver takes from each pool at start and keeps
};

// Makes an AF_XDP interface ready: our filter configured, one that a killed data plane left
// removed. Errors: not_found (interface, BPF object), invalid_argument, busy or conflict (another
// program is attached), io.
Result<std::vector<PortPlan>> plan_ports(const dataplane::PortSettings& settings,
                                         size_t worker_count);

}  // namespace merlon::dpdk
