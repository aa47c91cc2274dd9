// SPDX-License-Identifier: Apache-2.0
// A TAP interface: the kernel's end of the exception path.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "zones/base/error.h"

namespace merlon::dpdk {

struct TapOptions {
  std::string name;
  std::array<uint8_t, 6> mac{};  // all zero: the kernel chooses
  uint16_t mtu = 1500;
};

// Makes the interface (or takes a persistent one of that name) and brings it up; returns its
// descriptor, which does not block. The interface goes with it. Errors: io.
Result<int> open_tap(const TapOptions& options);

// Sets address and MTU of an existing interface and brings it up. Errors: io.
Status bring_up(const TapOptions& options);

}  // namespace merlon::dpdk
