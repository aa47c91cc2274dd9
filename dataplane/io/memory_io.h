// SPDX-License-Identifier: Apache-2.0
// The in-memory engine: serves queued messages and keeps the replies. For tests and benchmarks of
// the pipeline and the worker loop; it is one more engine, not a mode of another.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <span>
#include <vector>

#include "dataplane/io/packet_io.h"
#include "zones/base/bytes.h"

namespace merlon::io {

class MemoryIo : public LateReplies {
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
  // Replies that came late, and the numbers of the queries (the first queued is 1) that they are
  // for. Only when nobody sends any more.
  struct Late {
    uint64_t number = 0;
    Datagram datagram;
  };
  const std::vector<Late>& late() const { return late_; }  // tidy: start-up only

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
      numbers_[i] = ++received_;
      incoming_.pop_front();
    }
    return count;
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

  Path path_of(const Packet& packet) const {
    Path path;
    path.source = packet.source;
    path.destination = {packet.source.family, 1};
    path.source_port = kClientPort;
    path.destination_port = kPort;
    path.return_size = sizeof(uint64_t);
    std::memcpy(path.return_data.data(), &numbers_[packet.handle], sizeof(uint64_t));
    return path;
  }
  bool send_late(const Path& path, Bytes reply) override {
    Late late{0, {path.source, {reply.begin(), reply.end()}}};
    std::memcpy(&late.number, path.return_data.data(), sizeof late.number);
    late_.push_back(std::move(late));
    return true;
  }

  static constexpr uint16_t kClientPort = 40000;
  static constexpr uint16_t kPort = 53;

 private:
  std::deque<Datagram> incoming_;
  std::vector<Datagram> replies_;  // tidy: start-up only
  std::array<std::array<uint8_t, 2048>, kBurstMax> buffers_;
  std::array<uint64_t, kBurstMax> numbers_{};
  uint64_t received_ = 0;
  std::vector<Late> late_;  // tidy: start-up only
  size_t dropped_ = 0;
};
static_assert(PathIo<MemoryIo>);

}  // namespace merlon::io
