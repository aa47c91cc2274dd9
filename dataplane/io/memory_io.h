// SPDX-License-Identifier: Apache-2.0
// The in-memory engine: serves queued messages and keeps the replies. For tests and benchmarks of
// the pipeline and the worker loop; it is one more engine, not a mode of another.
#pragma once

#include <algorithm>
#include <array>
#include <deque>
#include <span>
#include <vector>

#include "dataplane/io/packet_io.h"
#include "zones/base/bytes.h"

namespace merlon::io {

class MemoryIo {
 public:
  struct Datagram {
    address::Address peer;
    std::vector<uint8_t> bytes;  // tidy: start-up only
  };

  void queue(const address::Address& source, Bytes message) {
    incoming_.push_back({source, {message.begin(), message.end()}});
  }
  const std::vector<Datagram>& replies() const { return replies_; }  // tidy: start-up only
  size_t dropped() const { return dropped_; }
  bool drained() const { return incoming_.empty(); }

  size_t receive(std::span<Packet> burst) {
    const size_t count = std::min({burst.size(), incoming_.size(), kBurstMax});
    for (size_t i = 0; i < count; ++i) {
      const Datagram& datagram = incoming_.front();
      const size_t size = std::min(datagram.bytes.size(), buffers_[i].size());
      std::copy_n(datagram.bytes.begin(), size, buffers_[i].begin());
      burst[i] = {.message = buffers_[i].data(),
                  .size = static_cast<uint32_t>(size),
                  .capacity = static_cast<uint32_t>(buffers_[i].size()),
                  .reply_size = 0,
                  .handle = static_cast<uint32_t>(i),
                  .source = datagram.peer};
      incoming_.pop_front();
    }
    return count;
  }

  static Path path_of(const Packet& packet) {
    Path path;
    path.source = packet.source;
    return path;
  }

  void send(std::span<Packet> burst) {
    for (const Packet& packet : burst) {
      if (packet.reply_size == 0) {
        ++dropped_;
        continue;
      }
      replies_.push_back({packet.source, {packet.message, packet.message + packet.reply_size}});
    }
  }

 private:
  std::deque<Datagram> incoming_;
  std::vector<Datagram> replies_;  // tidy: start-up only
  std::array<std::array<uint8_t, 2048>, kBurstMax> buffers_;
  size_t dropped_ = 0;
};
static_assert(PacketIo<MemoryIo>);

}  // namespace merlon::io
