// SPDX-License-Identifier: Apache-2.0
#include "dataplane/xdp/mode.h"

#include <fmt/format.h>

#include <cerrno>

namespace merlon::xdp {
namespace {

Choice sockets(std::string why, std::string advice) {
  return {Mode::sockets, std::move(why), {std::move(advice)}};
}

// What keeps AF_XDP off an interface whatever its driver can do; nothing when nothing does.
std::optional<Choice> blocked(const HostFacts& host, const InterfaceFacts& interface) {
  if (interface.index == 0) {
    return sockets(fmt::format("there is no interface {}", interface.name),
                   "`ip link` lists the interfaces; names are those of this network namespace");
  }
  if (interface.is_loopback) {
    return sockets("loopback has no driver to take packets from",
                   "use engine io_uring or mmsg for local clients");
  }
  const Capabilities& has = host.capabilities;
  if (!has.net_admin || !has.net_raw || !(has.bpf || has.sys_admin)) {
    return sockets("this process may not attach programs or open AF_XDP sockets",
                   "start it with CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF (systemd: "
                   "AmbientCapabilities=), and CAP_SYS_ADMIN to recognise its own filter");
  }
  const Attached& attached = interface.attached;
  if (!interface.attached_error.empty()) {
    return sockets(interface.attached_error, "repair that first");
  }
  if (attached.owner == Owner::foreign) {
    return sockets(
        fmt::format("the XDP program \"{}\" (id {}, {}) is attached and is not ours",
                    attached.program_name, attached.program_id, to_string(attached.mode)),
        fmt::format("if it is not needed: ip link set dev {} xdp off", interface.name));
  }
  if (attached.owner == Owner::unknown) {
    return sockets(
        fmt::format("XDP program {} is attached and cannot be looked at without "
                    "CAP_SYS_ADMIN",
                    attached.program_id),
        fmt::format("give CAP_SYS_ADMIN, or: ip link set dev {} xdp off", interface.name));
  }
  if (!interface.is_up) {
    return sockets("the interface is down", fmt::format("ip link set dev {} up", interface.name));
  }
  if (interface.support.copy.answer == Answer::no &&
      interface.support.zero_copy.answer != Answer::yes) {
    return sockets(fmt::format("no AF_XDP socket: {}", interface.support.copy.why),
                   "use engine io_uring or mmsg, or a kernel with CONFIG_XDP_SOCKETS");
  }
  return std::nullopt;
}

// The driver has native mode and does not want it now. The kernel does not fall back by itself.
Choice refused(const InterfaceFacts& interface) {
  Choice choice{Mode::sockets,
                fmt::format("the driver {} has native XDP but refuses it: {}", interface.driver,
                            interface.support.native.why),
                {}};
  if (interface.mtu > kMtuMax) {
    choice.advice.push_back(fmt::format("MTU {} is too large for XDP: ip link set dev {} mtu {}",
                                        interface.mtu, interface.name, kMtuMax));
  }
  if (interface.queue_count > 1) {
    choice.advice.push_back(
        fmt::format("some drivers need free queues for XDP: ethtool -L {} combined {}",
                    interface.name, interface.queue_count / 2));
  }
  if (interface.has_lro) {
    choice.advice.push_back(fmt::format("ethtool -K {} lro off", interface.name));
  }
  choice.advice.push_back("`dmesg` has the driver's reason; of veth it is the peer's MTU");
  return choice;
}

bool is_unsupported(const Finding& finding) {
  return finding.answer == Answer::no && (finding.error == EOPNOTSUPP || finding.error == 0);
}

Choice by_driver(const InterfaceFacts& interface) {
  const Support& support = interface.support;
  const bool is_generic_now =
      interface.attached.owner != Owner::nobody && interface.attached.mode == AttachMode::generic;
  if (support.native.answer == Answer::yes && !is_generic_now) {
    if (support.zero_copy.answer == Answer::yes) {
      return {Mode::native_zero_copy, "driver and kernel offer it", {}};
    }
    if (support.zero_copy.answer == Answer::unknown) {
      return {Mode::native_copy,
              fmt::format("native XDP works; zero copy is used if the driver {} has it, which "
                          "could not be found out",
                          interface.driver),
              {}};
    }
    return {Mode::native_copy,
            fmt::format("native XDP works; no zero copy: {}", support.zero_copy.why),
            {}};
  }
  if (support.native.answer == Answer::no && !is_unsupported(support.native)) {
    return refused(interface);
  }
  if (is_generic_now || support.generic.answer == Answer::yes ||
      (support.native.answer == Answer::no && support.generic.answer == Answer::unknown)) {
    return {Mode::generic,
            fmt::format("the driver {} has no native XDP",
                        interface.driver.empty() ? "of this interface" : interface.driver),
            {"a card whose driver has native XDP is several times as fast; engine io_uring costs "
             "about the same here and needs no privilege"}};
  }
  if (support.native.answer == Answer::unknown) {
    return sockets("whether its driver has XDP was not tried",
                   "run preflight without --no-trials, as root");
  }
  return sockets(fmt::format("XDP is refused: {}", support.generic.why),
                 "use engine io_uring or mmsg");
}

// What lowers the speed or the share of queries served in a mode that works.
void add_advice(const HostFacts& host, const InterfaceFacts& interface, Choice& choice) {
  std::vector<std::string>& advice = choice.advice;
  const std::string& name = interface.name;
  if (interface.attached.owner == Owner::serving) {
    advice.push_back("a data plane serves here now; stop it before another starts");
  }
  if (interface.attached.owner == Owner::stale) {
    advice.push_back(
        "a filter was left behind by a data plane that was killed; the next start "
        "replaces it");
  }
  if (interface.queue_count > 1) {
    advice.push_back(fmt::format(
        "{} receive queues: start as many workers, or: ethtool -L {} combined <workers>; queries "
        "on a queue without a worker go to the kernel",
        interface.queue_count, name));
  }
  if (interface.queue_count > 1 && interface.spreads_udp_by_port == false) {
    advice.push_back(fmt::format(
        "queries of one client all reach one queue: ethtool -N {} rx-flow-hash udp4 sdfn, and udp6",
        name));
  }
  if (interface.strips_vlan_tags) {
    advice.push_back(fmt::format(
        "VLAN tags are stripped by the card: when queries come tagged, replies would go out "
        "untagged: ethtool -K {} rxvlan off",
        name));
  }
  if (interface.has_lro) {
    advice.push_back(fmt::format("many drivers refuse XDP with LRO: ethtool -K {} lro off", name));
  }
  if (interface.driver == "veth") {
    advice.push_back(
        "veth: packets of the peer carry unfinished checksums, which the data plane "
        "drops as wrong: on the peer, ethtool -K <peer> tx off");
  }
  if (!interface.has_carrier) {
    advice.push_back("the interface has no carrier now");
  }
  if (host.bpf_jit == 0) {
    advice.push_back("BPF programs are interpreted: sysctl net.core.bpf_jit_enable=1");
  }
}

}  // namespace

std::string_view to_string(Mode mode) {
  constexpr std::string_view kNames[] = {"native zero copy", "native copy", "generic", "sockets"};
  return kNames[static_cast<size_t>(mode)];
}

std::string_view explain(Mode mode) {
  constexpr std::string_view kTexts[] = {
      "the card writes packets into the data plane's memory",
      "the driver runs the filter, the kernel copies each packet once",
      "the kernel runs the filter on its own packets and copies each once",
      "no AF_XDP here: the io_uring and mmsg engines serve, the dpdk engine cannot"};
  return kTexts[static_cast<size_t>(mode)];
}

Choice choose_mode(const HostFacts& host, const InterfaceFacts& interface) {
  if (auto choice = blocked(host, interface)) {
    return *choice;
  }
  Choice choice = by_driver(interface);
  if (choice.mode != Mode::sockets) {
    add_advice(host, interface, choice);
  }
  return choice;
}

std::string to_text(const InterfaceFacts& interface, const Choice& choice) {
  std::string text = fmt::format("{}: {}: {}", interface.name, to_string(choice.mode), choice.why);
  for (const std::string& advice : choice.advice) {
    text += fmt::format("\n  {}", advice);
  }
  return text;
}

}  // namespace merlon::xdp
