// SPDX-License-Identifier: Apache-2.0
#include "dataplane/xdp/interface.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace merlon::xdp {
namespace {

// ioctl() requests about one interface.
class Ioctl {
 public:
  explicit Ioctl(const std::string& name)
      : socket_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)), name_(name) {}

  // Fills `request`; false when the kernel or the driver refuses.
  bool ask(unsigned long code, ifreq& request) const {
    std::memcpy(request.ifr_name, name_.c_str(), std::min(name_.size() + 1, size_t{IFNAMSIZ - 1}));
    return ::ioctl(socket_.get(), code, &request) == 0;
  }
  template <class T>
  bool ask_ethtool(uint32_t command, T& value) const {
    value.cmd = command;
    ifreq request{};
    request.ifr_data = reinterpret_cast<char*>(&value);
    return ask(SIOCETHTOOL, request);
  }

 private:
  Descriptor socket_;
  const std::string& name_;
};

std::string text_of(const char* text, size_t size) {
  return std::string(text, ::strnlen(text, size));
}

void ask_ethtool(const Ioctl& ioctl, InterfaceFacts& facts) {
  ethtool_drvinfo driver{};
  if (ioctl.ask_ethtool(ETHTOOL_GDRVINFO, driver)) {
    facts.driver = text_of(driver.driver, sizeof driver.driver);
    facts.bus = text_of(driver.bus_info, sizeof driver.bus_info);
  }
  ethtool_channels channels{};
  if (ioctl.ask_ethtool(ETHTOOL_GCHANNELS, channels)) {
    facts.queue_count = std::max({1u, channels.combined_count, channels.rx_count});
    facts.queue_count_max = std::max({1u, channels.max_combined, channels.max_rx});
  }
  ethtool_rxnfc hash{};
  hash.flow_type = UDP_V4_FLOW;
  if (ioctl.ask_ethtool(ETHTOOL_GRXFH, hash)) {
    constexpr uint64_t kPorts = RXH_L4_B_0_1 | RXH_L4_B_2_3;
    facts.spreads_udp_by_port = (hash.data & kPorts) == kPorts;
  }
  ethtool_value value{};
  if (ioctl.ask_ethtool(ETHTOOL_GFLAGS, value)) {
    facts.strips_vlan_tags = (value.data & ETH_FLAG_RXVLAN) != 0;
    facts.has_lro = (value.data & ETH_FLAG_LRO) != 0;
  }
  value = {};
  if (ioctl.ask_ethtool(ETHTOOL_GGRO, value)) {
    facts.has_gro = value.data != 0;
  }
}

// What the kernel tells, where nothing was tried.
void merge_features(InterfaceFacts& facts) {
  if (!facts.xdp_features) {
    return;
  }
  const uint64_t features = *facts.xdp_features;
  Support& support = facts.support;
  if (support.native.answer == Answer::unknown) {
    support.native = {(features & kFeatureBasic) != 0 ? Answer::yes : Answer::no,
                      "by the kernel's xdp-features, not tried", 0};
  }
  if (support.zero_copy.answer == Answer::unknown) {
    const bool has = (features & kFeatureZeroCopy) != 0 && support.native.answer == Answer::yes;
    support.zero_copy = {
        has ? Answer::yes : Answer::no,
        has ? "by the kernel's xdp-features" : "the driver does not offer it (xdp-features)", 0};
  }
}

}  // namespace

InterfaceFacts examine_interface(const std::string& name, Trials trials) {
  InterfaceFacts facts;
  facts.name = name;
  facts.index = name.size() < IFNAMSIZ ? ::if_nametoindex(name.c_str()) : 0;
  if (facts.index == 0) {
    return facts;
  }
  const Ioctl ioctl(name);
  ifreq request{};
  if (ioctl.ask(SIOCGIFFLAGS, request)) {
    facts.is_up = (request.ifr_flags & IFF_UP) != 0;
    facts.has_carrier = (request.ifr_flags & IFF_RUNNING) != 0;
    facts.is_loopback = (request.ifr_flags & IFF_LOOPBACK) != 0;
  }
  request = {};
  if (ioctl.ask(SIOCGIFMTU, request)) {
    facts.mtu = static_cast<uint32_t>(request.ifr_mtu);
  }
  ask_ethtool(ioctl, facts);
  facts.xdp_features = ask_xdp_features(facts.index);
  auto attached = query_attached(name);
  if (attached) {
    facts.attached = std::move(*attached);
  } else {
    facts.attached_error = attached.error().message;
  }
  if (trials == Trials::all && facts.attached.owner == Owner::nobody &&
      facts.attached_error.empty()) {
    facts.support =
        try_out({.interface_index = facts.index,
                 .queue = facts.queue_count - 1,
                 .zero_copy = facts.xdp_features ? ZeroCopyTrial::no : ZeroCopyTrial::yes});
  }
  if (facts.attached.mode == AttachMode::native) {
    facts.support.native = {Answer::yes, "a program is attached in native mode", 0};
  }
  merge_features(facts);
  return facts;
}

std::vector<std::string> list_interfaces() {
  std::vector<std::string> names;
  struct if_nameindex* list = ::if_nameindex();
  if (list == nullptr) {
    return names;
  }
  for (const struct if_nameindex* at = list; at->if_index != 0; ++at) {
    const std::string name = at->if_name;
    ifreq request{};
    if (!Ioctl(name).ask(SIOCGIFFLAGS, request) || (request.ifr_flags & IFF_LOOPBACK) == 0) {
      names.push_back(name);
    }
  }
  ::if_freenameindex(list);
  return names;
}

}  // namespace merlon::xdp
