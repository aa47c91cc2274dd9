// SPDX-License-Identifier: Apache-2.0
#include "dataplane/io/mmsg_io.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace merlon::io {
namespace {

constexpr int kWaitMs = 100;

}  // namespace

std::unique_ptr<MmsgIo> MmsgIo::create(std::span<const UdpSocket> sockets,
                                       stats::WorkerCounters& counters) {
  return std::unique_ptr<MmsgIo>(new MmsgIo(sockets, counters));  // tidy: start-up only
}

MmsgIo::MmsgIo(std::span<const UdpSocket> sockets, stats::WorkerCounters& counters)
    : counters_(counters), paths_(sockets), slots_(kBurstMax) {
  for (const UdpSocket& socket : sockets) {
    polled_.push_back({socket.fd(), POLLIN, 0});
    needs_packet_info_.push_back(socket.needs_packet_info());
  }
}

size_t MmsgIo::receive(std::span<Packet> burst) {
  // The socket that had packets last time is asked first, without a poll; but not for ever, or a
  // busy one would starve the others.
  if (may_stay()) {
    if (const size_t count = receive_from(receiving_, burst); count != 0) {
      ++turns_in_a_row_;
      return count;
    }
  }
  turns_in_a_row_ = 0;
  if (::poll(polled_.data(), polled_.size(), kWaitMs) <= 0) {
    return 0;
  }
  for (size_t i = 1; i <= polled_.size(); ++i) {
    const size_t socket = (receiving_ + i) % polled_.size();
    if (polled_[socket].revents != 0) {
      receiving_ = socket;
      return receive_from(socket, burst);
    }
  }
  return 0;
}

size_t MmsgIo::receive_from(size_t socket, std::span<Packet> burst) {
  const size_t wanted = std::min(burst.size(), kBurstMax);
  for (size_t i = 0; i < wanted; ++i) {
    Slot& slot = slots_[i];
    slot.payload = {slot.message.data(), slot.message.size()};
    msghdr& header = headers_[i].msg_hdr;
    header = {};
    slot.source.ss_family = AF_UNSPEC;  // what the kernel does not write is not the packet before's
    header.msg_name = &slot.source;
    header.msg_namelen = sizeof slot.source;
    header.msg_iov = &slot.payload;
    header.msg_iovlen = 1;
    if (needs_packet_info_[socket]) {
      header.msg_control = slot.control.data();
      header.msg_controllen = slot.control.size();
    }
  }
  const int got = ::recvmmsg(polled_[socket].fd, headers_.data(), static_cast<unsigned>(wanted),
                             MSG_DONTWAIT, nullptr);
  if (got < 0) {
    if (errno != EAGAIN && errno != EINTR) {
      counters_.add(stats::IoCounter::receive_errors);
    }
    return 0;
  }
  size_t count = 0;
  for (size_t i = 0; i < static_cast<size_t>(got); ++i) {
    count += take_received(i, burst[count]) ? 1u : 0u;
  }
  return count;
}

bool MmsgIo::take_received(size_t index, Packet& packet) {
  Slot& slot = slots_[index];
  msghdr& header = headers_[index].msg_hdr;
  uint16_t port = 0;
  if (!read_source(&slot.source, packet.source, port)) {
    counters_.add(stats::IoCounter::drop_receive_malformed);
    return false;
  }
  packet.message = slot.message.data();
  packet.size = headers_[index].msg_len;
  packet.capacity = static_cast<uint32_t>(slot.message.size());
  packet.reply_size = 0;
  packet.handle = static_cast<uint32_t>(index);
  counters_.add(stats::IoCounter::rx_packets);
  counters_.add(stats::IoCounter::rx_bytes, packet.size);
  const bool truncated = (header.msg_flags & MSG_TRUNC) != 0;
  if (truncated || port == 0) {
    counters_.add(truncated ? stats::IoCounter::drop_receive_truncated
                            : stats::IoCounter::drop_source_port_zero);
    return false;
  }
  if (header.msg_control != nullptr) {
    prepare_control_for_sending(header);
  }
  return true;
}

Path MmsgIo::path_of(const Packet& packet) const {
  return paths_.path_of(receiving_, packet.source, headers_[packet.handle].msg_hdr);
}

void MmsgIo::send(std::span<Packet> burst) {
  // Replies move to the front of the header array; handles ascend, so nothing is overwritten.
  size_t count = 0;
  for (const Packet& packet : burst) {
    if (packet.reply_size == 0) {
      continue;
    }
    slots_[packet.handle].payload.iov_len = packet.reply_size;
    headers_[count] = headers_[packet.handle];
    headers_[count].msg_hdr.msg_flags = 0;
    ++count;
    counters_.add(stats::IoCounter::tx_packets);
    counters_.add(stats::IoCounter::tx_bytes, packet.reply_size);
  }
  size_t sent = 0;
  while (sent < count) {
    const int done = ::sendmmsg(polled_[receiving_].fd, headers_.data() + sent,
                                static_cast<unsigned>(count - sent), MSG_DONTWAIT);
    if (done < 0 && errno == EINTR) {
      continue;
    }
    if (done <= 0) {  // the first of the rest failed: count it and go on behind it
      counters_.add(stats::IoCounter::drop_send_failed);
      ++sent;
      continue;
    }
    sent += static_cast<size_t>(done);
  }
}

}  // namespace merlon::io
