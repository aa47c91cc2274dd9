// SPDX-License-Identifier: Apache-2.0
// How packets will reach the data plane on an interface, and why: decided in one place, said at
// start by the dpdk engine and beforehand by `merlon-dataplane preflight`. Pure: facts in, a choice
// and advice out.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "dataplane/xdp/host.h"
#include "dataplane/xdp/interface.h"

namespace merlon::xdp {

enum class Mode : uint8_t {
  native_zero_copy,  // the card writes into our memory
  native_copy,       // the driver runs the filter, the kernel copies each frame once
  generic,           // the kernel runs the filter after it made its own packet of the frame
  sockets,           // no AF_XDP: the io_uring and mmsg engines serve, the dpdk engine cannot
};
std::string_view to_string(Mode mode);
std::string_view explain(Mode mode);

struct Choice {
  Mode mode = Mode::sockets;
  std::string why;                  // one sentence
  std::vector<std::string> advice;  // what to do for a better mode, or to be served at all
};

Choice choose_mode(const HostFacts& host, const InterfaceFacts& interface);

// "eth0: native zero copy: <why>" and the advice, one line each: for the log at start.
std::string to_text(const InterfaceFacts& interface, const Choice& choice);

}  // namespace merlon::xdp
