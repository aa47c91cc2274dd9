// SPDX-License-Identifier: Apache-2.0
// Which way packets take, for every kind of interface and process. Pure.
#include "dataplane/xdp/mode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <functional>

namespace merlon::xdp {
namespace {

using testing::HasSubstr;

HostFacts root() {
  HostFacts host;
  host.capabilities = {.net_admin = true,
                       .net_raw = true,
                       .bpf = true,
                       .sys_admin = true,
                       .ipc_lock = true,
                       .net_bind_service = true};
  host.bpf_jit = 1;
  return host;
}

// A good card: native, zero copy, one queue.
InterfaceFacts card() {
  InterfaceFacts facts;
  facts.name = "eth0";
  facts.index = 2;
  facts.is_up = facts.has_carrier = true;
  facts.mtu = 1500;
  facts.driver = "ice";
  facts.support = {.native = {Answer::yes, "", 0},
                   .generic = {Answer::yes, "", 0},
                   .copy = {Answer::yes, "", 0},
                   .zero_copy = {Answer::yes, "", 0}};
  return facts;
}

struct Row {
  const char* name;
  std::function<void(InterfaceFacts&)> change;
  Mode mode;
  const char* why;     // is said
  const char* advice;  // "" : none is given
};

const Row kRows[] = {
    {"good card", [](auto&) {}, Mode::native_zero_copy, "offer it", ""},
    {"no zero copy",
     [](auto& f) { f.support.zero_copy = {Answer::no, "EINVAL of the driver", EINVAL}; },
     Mode::native_copy, "no zero copy: EINVAL of the driver", ""},
    {"zero copy unknown", [](auto& f) { f.support.zero_copy = {}; }, Mode::native_copy,
     "could not be found out", ""},
    {"no native", [](auto& f) { f.support.native = {Answer::no, "not supported", EOPNOTSUPP}; },
     Mode::generic, "ice has no native XDP", "several times as fast"},
    {"no native says the kernel, nothing tried",
     [](auto& f) {
       f.support = {};
       f.support.native = {Answer::no, "xdp-features", 0};
     },
     Mode::generic, "no native XDP", "several times as fast"},
    {"native refused for its MTU",
     [](auto& f) {
       f.support.native = {Answer::no, "attach: Invalid argument", EINVAL};
       f.mtu = 9000;
     },
     Mode::sockets, "refuses it: attach: Invalid argument", "ip link set dev eth0 mtu 3498"},
    {"native refused for its queues",
     [](auto& f) {
       f.support.native = {Answer::no, "attach: Not enough", ENOMEM};
       f.queue_count = 8;
     },
     Mode::sockets, "refuses it", "ethtool -L eth0 combined 4"},
    {"native refused for LRO",
     [](auto& f) {
       f.support.native = {Answer::no, "attach: Invalid argument", EINVAL};
       f.has_lro = true;
     },
     Mode::sockets, "refuses it", "ethtool -K eth0 lro off"},
    {"missing", [](auto& f) { f.index = 0; }, Mode::sockets, "there is no interface eth0",
     "ip link"},
    {"loopback", [](auto& f) { f.is_loopback = true; }, Mode::sockets, "loopback", "io_uring"},
    {"down", [](auto& f) { f.is_up = false; }, Mode::sockets, "is down", "ip link set dev eth0 up"},
    {"no carrier", [](auto& f) { f.has_carrier = false; }, Mode::native_zero_copy, "offer it",
     "no carrier"},
    {"foreign program",
     [](auto& f) { f.attached = {AttachMode::native, Owner::foreign, 7, "xdp_dispatcher"}; },
     Mode::sockets, "\"xdp_dispatcher\" (id 7, native)", "ip link set dev eth0 xdp off"},
    {"program that cannot be looked at",
     [](auto& f) { f.attached = {AttachMode::native, Owner::unknown, 7, ""}; }, Mode::sockets,
     "cannot be looked at", "CAP_SYS_ADMIN"},
    {"left behind",
     [](auto& f) { f.attached = {AttachMode::native, Owner::stale, 7, "merlon_filter"}; },
     Mode::native_zero_copy, "offer it", "the next start replaces it"},
    {"serving",
     [](auto& f) { f.attached = {AttachMode::native, Owner::serving, 7, "merlon_filter"}; },
     Mode::native_zero_copy, "offer it", "a data plane serves here now"},
    {"serving in generic mode",
     [](auto& f) { f.attached = {AttachMode::generic, Owner::serving, 7, "merlon_filter"}; },
     Mode::generic, "no native XDP", "a data plane serves here now"},
    {"attached unknown", [](auto& f) { f.attached_error = "netlink said no"; }, Mode::sockets,
     "netlink said no", "repair"},
    {"no AF_XDP in the kernel",
     [](auto& f) {
       f.support.copy = {Answer::no, "this kernel has no AF_XDP", 0};
       f.support.zero_copy = {Answer::no, "", 0};
     },
     Mode::sockets, "this kernel has no AF_XDP", "CONFIG_XDP_SOCKETS"},
    {"several queues", [](auto& f) { f.queue_count = 4; }, Mode::native_zero_copy, "offer it",
     "ethtool -L eth0 combined <workers>"},
    {"one client on one queue",
     [](auto& f) {
       f.queue_count = 4;
       f.spreads_udp_by_port = false;
     },
     Mode::native_zero_copy, "offer it", "ethtool -N eth0 rx-flow-hash udp4 sdfn"},
    {"tags stripped", [](auto& f) { f.strips_vlan_tags = true; }, Mode::native_zero_copy,
     "offer it", "ethtool -K eth0 rxvlan off"},
    {"LRO on", [](auto& f) { f.has_lro = true; }, Mode::native_zero_copy, "offer it", "lro off"},
    {"veth", [](auto& f) { f.driver = "veth"; }, Mode::native_zero_copy, "offer it",
     "on the peer, ethtool -K <peer> tx off"},
    {"nothing tried", [](auto& f) { f.support = {}; }, Mode::sockets, "was not tried",
     "without --no-trials"},
    {"generic refused too",
     [](auto& f) {
       f.support.native = {Answer::no, "not supported", EOPNOTSUPP};
       f.support.generic = {Answer::no, "attach in generic mode: no", EINVAL};
     },
     Mode::sockets, "attach in generic mode: no", "io_uring"},
};

TEST(Mode, IsChosenByWhatWasFound) {
  for (const Row& row : kRows) {
    InterfaceFacts facts = card();
    row.change(facts);
    const Choice choice = choose_mode(root(), facts);
    EXPECT_EQ(to_string(choice.mode), to_string(row.mode)) << row.name;
    EXPECT_THAT(choice.why, HasSubstr(row.why)) << row.name;
    const std::string text = to_text(facts, choice);
    EXPECT_THAT(text, HasSubstr(std::string("eth0: ") + std::string(to_string(row.mode)) + ": "));
    if (*row.advice == '\0') {
      EXPECT_TRUE(choice.advice.empty()) << row.name << ": " << choice.advice[0];
    } else {
      EXPECT_THAT(text, HasSubstr(row.advice)) << row.name;
    }
  }
}

TEST(Mode, NeedsTheCapabilitiesAndNamesThem) {
  const auto without = [](bool Capabilities::* which) {
    HostFacts host = root();
    host.capabilities.*which = false;
    return choose_mode(host, card());
  };
  EXPECT_EQ(without(&Capabilities::net_admin).mode, Mode::sockets);
  EXPECT_EQ(without(&Capabilities::net_raw).mode, Mode::sockets);
  EXPECT_THAT(without(&Capabilities::net_raw).advice.at(0), HasSubstr("CAP_NET_RAW"));
  // Either of the two loads programs.
  EXPECT_EQ(without(&Capabilities::bpf).mode, Mode::native_zero_copy);
  EXPECT_EQ(without(&Capabilities::sys_admin).mode, Mode::native_zero_copy);
}

TEST(Mode, SaysThatProgramsAreInterpreted) {
  HostFacts host = root();
  host.bpf_jit = 0;
  EXPECT_THAT(choose_mode(host, card()).advice.at(0), HasSubstr("bpf_jit_enable=1"));
}

TEST(Mode, IsExplained) {
  for (const Mode mode :
       {Mode::native_zero_copy, Mode::native_copy, Mode::generic, Mode::sockets}) {
    EXPECT_FALSE(explain(mode).empty());
  }
}

}  // namespace
}  // namespace merlon::xdp
