// SPDX-License-Identifier: Apache-2.0
// The fallback socket engine: recvmmsg and sendmmsg, two system calls per burst and socket. Runs
// wherever UDP sockets do.
#pragma once

#include <poll.h>

#include <array>
#include <memory>
#include <span>
#include <vector>

#include "dataplane/io/packet_io.h"
#include "dataplane/io/socket.h"
#include "dataplane/io/socket_paths.h"
#include "dataplane/stats/counters.h"

namespace merlon::io {

class MmsgIo : public LateReplies {
 public:
  // The sockets must outlive the engine.
  static std::unique_ptr<MmsgIo> create(std::span<const UdpSocket> sockets,
                                        stats::WorkerCounters& counters);

  size_t receive(std::span<Packet> burst);
  void send(std::span<Packet> burst);
  Path path_of(const Packet& packet) const;
  bool send_late(const Path& path, Bytes reply) override { return paths_.send(path, reply); }

 private:
  static constexpr size_t kMessageSize = 2192;
  static constexpr unsigned kTurnsMax = 8;
  struct Slot {
    sockaddr_storage source{};
    iovec payload{};
    alignas(cmsghdr) std::array<uint8_t, kControlSize> control{};
    std::array<uint8_t, kMessageSize> message;
  };

  MmsgIo(std::span<const UdpSocket> sockets, stats::WorkerCounters& counters);
  size_t receive_from(size_t socket, std::span<Packet> burst);
  bool may_stay() const { return polled_.size() == 1 || turns_in_a_row_ < kTurnsMax; }
  bool take_received(size_t slot, Packet& packet);

  stats::WorkerCounters& counters_;
  const SocketPaths paths_;
  std::vector<pollfd> polled_;           // tidy: start-up only
  std::vector<bool> needs_packet_info_;  // tidy: start-up only
  std::vector<Slot> slots_;              // tidy: start-up only
  std::array<mmsghdr, kBurstMax> headers_{};
  size_t receiving_ = 0;         // the socket of the burst in hand
  unsigned turns_in_a_row_ = 0;  // bursts taken from it without asking the others
};
static_assert(PathIo<MmsgIo>);

}  // namespace merlon::io
