// SPDX-License-Identifier: Apache-2.0
// What a network interface is, as far as it matters to AF_XDP: asked of the kernel (ioctl, ethtool,
// netlink), nothing changed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/xdp/attached.h"
#include "dataplane/xdp/trial.h"
#include "zones/base/error.h"

namespace merlon::xdp {

// Frames above this do not fit one page with XDP's room; drivers refuse a program then.
inline constexpr uint32_t kMtuMax = 3498;

// Bits of the kernel's xdp-features (since 6.3).
inline constexpr uint64_t kFeatureBasic = 1;
inline constexpr uint64_t kFeatureRedirect = 2;
inline constexpr uint64_t kFeatureZeroCopy = 8;

struct InterfaceFacts {
  std::string name;
  uint32_t index = 0;  // 0: there is no such interface
  bool is_up = false;
  bool has_carrier = false;
  bool is_loopback = false;
  uint32_t mtu = 0;
  std::string driver;  // empty: it does not say
  std::string bus;     // PCI address; empty for virtual ones
  uint32_t queue_count = 1;
  uint32_t queue_count_max = 1;
  std::optional<uint64_t> xdp_features;     // nothing: the kernel does not say
  std::optional<bool> spreads_udp_by_port;  // receive hash of UDP over IPv4 covers the ports
  bool strips_vlan_tags = false;
  bool has_lro = false;
  bool has_gro = false;
  Attached attached;
  std::string attached_error;
  Support support;  // answers stay unknown when nothing was tried
};

enum class Trials : uint8_t {
  none,  // ask only
  all,   // attach and bind, when no program is attached (trial.h)
};

// Never fails: what could not be found out says so.
InterfaceFacts examine_interface(const std::string& name, Trials trials);

// All interfaces but loopback, in the kernel's order.
std::vector<std::string> list_interfaces();

// xdp-features of an interface by the kernel's "netdev" netlink family; nothing when it has none.
std::optional<uint64_t> ask_xdp_features(uint32_t index);

}  // namespace merlon::xdp
