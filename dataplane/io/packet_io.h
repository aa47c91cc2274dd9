// SPDX-License-Identifier: Apache-2.0
// What an I/O engine is to the pipeline: bursts of DNS messages with their sources in, replies in
// the same buffers out. The engine is a template parameter (no virtual call on the packet path);
// sockets by io_uring or recvmmsg, memory for tests, and DPDK ports all fit this shape.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <span>

#include "zones/address/address.h"
#include "zones/base/bytes.h"

namespace merlon::io {

inline constexpr size_t kBurstMax = 64;

struct Packet {
  uint8_t* message = nullptr;  // the DNS message; the reply is written over it
  uint32_t size = 0;
  uint32_t capacity = 0;    // room for the reply at `message`
  uint32_t reply_size = 0;  // 0: no reply
  uint32_t handle = 0;      // the engine's own
  // Ones' complement sum of the reply, as if it began at an even address, folded; set only for
  // engines that build their own UDP headers (kWantsReplySum).
  uint16_t reply_sum = 0;
  address::Address source;
};

// The way a packet came and a reply goes, for what outlives its burst: the slow path, samples.
// Asked of the engine only for the packets that need it.
struct Path {
  static constexpr size_t kReturnSizeMax = 160;

  address::Address source;
  address::Address destination;  // unspecified when the engine does not know
  uint16_t source_port = 0;
  uint16_t destination_port = 0;
  uint16_t return_size = 0;
  std::array<uint8_t, kReturnSizeMax> return_data;  // the engine's own: headers, or socket and name
};

// Where replies go that were not ready within their burst. Called by one thread, not a worker's.
class LateReplies {
 public:
  virtual ~LateReplies() = default;  // tidy: start-up only  // tidy: start-up only
  // False when it could not be taken (a full ring, a full socket); the caller counts it.
  // tidy: start-up only
  // No packet of a burst comes by here, so one virtual call a reply is cheap enough.
  virtual bool send_late(const Path& path, Bytes reply) = 0;  // tidy: start-up only
};

// receive() fills up to burst.size() packets and returns how many; it may wait, not longer than
// about 100 ms. Every received packet is handed to send() exactly once, replies and drops alike;
// after that its memory is the engine's again.
template <class T>
concept PacketIo = requires(T io, std::span<Packet> burst) {
  { io.receive(burst) } -> std::same_as<size_t>;
  { io.send(burst) } -> std::same_as<void>;
};

// An engine that can say how a packet came, as the slow path needs it. Asked between receive() and
// send().
template <class T>
concept PathIo = PacketIo<T> && requires(T io, const Packet& packet) {
  { io.path_of(packet) } -> std::same_as<Path>;
};

}  // namespace merlon::io
