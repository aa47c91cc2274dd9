// SPDX-License-Identifier: Apache-2.0
// What the settings say about ports, as DPDK wants to be told; checked as far as that is possible
// without DPDK, so that mistakes get an answer in our words.
//   af_xdp:eth0[,busy_budget=0,..]  the kernel's interface; our filter takes DNS, the kernel the
//   rest 0000:03:00.0[,..]               a PCI device net_tap0,iface=dns0             any EAL
//   virtual device
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
  std::string device;       // net_af_xdp0, 0000:03:00.0
  std::string arguments;    // of the device, without its name
  std::string interface;    // the kernel's name of an AF_XDP port, else ""
  std::string xdp_program;  // the BPF object of an AF_XDP port, "" for the driver's own
  uint32_t preloaded = 0;   // packets that the driver takes from each pool at start and keeps
};

// `program_directory`: where the BPF object is that was built with this program.
// Errors: not_found (interface, BPF object), invalid_argument.
Result<std::vector<PortPlan>> plan_ports(const dataplane::PortSettings& settings,
                                         size_t worker_count, const std::string& program_directory);

// The folder of the running program.
std::string own_directory();

}  // namespace merlon::dpdk
