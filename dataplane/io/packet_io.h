// SPDX-License-Identifier: Apache-2.0
// What an I/O engine is to the pipeline: bursts of DNS messages with their sources in, replies in
// the same buffers out. The engine is a template parameter (no virtual call on the packet path);
// sockets by io_uring or recvmmsg, memory for tests, and DPDK ports all fit this shape.
#pragma once

#include <concepts>
#include <cstdint>
#include <span>

#include "zones/address/address.h"

namespace merlon::io {

inline constexpr size_t kBurstMax = 64;

struct Packet {
  uint8_t* message = nullptr;  // the DNS message; the reply is written over it
  uint32_t size = 0;
  uint32_t capacity = 0;    // room for the reply at `message`
  uint32_t reply_size = 0;  // 0: no reply
  uint32_t handle = 0;      // the engine's own
  address::Address source;
};

// receive() fills up to burst.size() packets and returns how many; it may wait, not longer than
// about 100 ms. Every received packet is handed to send() exactly once, replies and drops alike;
// after that its memory is the engine's again.
template <class T>
concept PacketIo = requires(T io, std::span<Packet> burst) {
  { io.receive(burst) } -> std::same_as<size_t>;
  { io.send(burst) } -> std::same_as<void>;
};

}  // namespace merlon::io
