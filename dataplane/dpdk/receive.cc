// SPDX-License-Identifier: Apache-2.0
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include <algorithm>
#include <cstring>

#include "dataplane/dpdk/dpdk_io.h"

namespace merlon::dpdk {
namespace {

using stats::IoCounter;

// Frames whose headers are fetched ahead of the one that is parsed; the messages are prefetched by
// the pipeline, from the same line for most.
constexpr size_t kPrefetchAhead = 4;

constexpr IoCounter counter_of(frame::Drop drop) {
  switch (drop) {
    case frame::Drop::truncated:
      return IoCounter::drop_frame_truncated;
    case frame::Drop::ip_header:
      return IoCounter::drop_frame_ip_header;
    case frame::Drop::ip_checksum:
      return IoCounter::drop_frame_ip_checksum;
    case frame::Drop::ip_options:
      return IoCounter::drop_frame_ip_options;
    case frame::Drop::udp_length:
      return IoCounter::drop_frame_udp_length;
    case frame::Drop::udp_checksum:
      return IoCounter::drop_frame_udp_checksum;
    case frame::Drop::source_port_zero:
      return IoCounter::drop_source_port_zero;
    case frame::Drop::source_address:
      return IoCounter::drop_frame_source_address;
    case frame::Drop::count_:
      break;
  }
  return IoCounter::drop_receive_malformed;
}

frame::Checked checked_by_port(const rte_mbuf* mbuf) {
  return {.ip = (mbuf->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_GOOD,
          .udp = (mbuf->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_GOOD};
}

}  // namespace

DpdkIo::DpdkIo(std::vector<Queue> queues, Doorbell& own_bell,  // tidy: start-up only
               Doorbell* kernel_bell, stats::WorkerCounters& counters)
    : queues_(std::move(queues)),
      own_bell_(own_bell),
      kernel_bell_(kernel_bell),
      counters_(counters) {
  for (const Queue& queue : queues_) {
    serves_kernel_ |= queue.from_kernel != nullptr;
  }
}

size_t DpdkIo::receive(std::span<io::Packet> burst) {
  if (serve_rings()) {
    idle_.busy();
  }
  if (const size_t received = poll_ports(burst); received != 0) {
    return received;
  }
  return idle_.tired() ? rest(burst) : 0;
}

// The next port that has frames; 0 also when none of them was a query.
size_t DpdkIo::poll_ports(std::span<io::Packet> burst) {
  const auto wanted = static_cast<uint16_t>(std::min(burst.size(), io::kBurstMax));
  for (size_t i = 0; i < queues_.size(); ++i) {
    current_ = current_ + 1 >= queues_.size() ? 0 : current_ + 1;
    const Queue& queue = queues_[current_];
    const size_t received = ::rte_eth_rx_burst(queue.port, queue.queue, mbufs_.data(), wanted);
    if (received != 0) {
      idle_.busy();
      return take_burst(received, burst);
    }
  }
  return 0;
}

size_t DpdkIo::take_burst(size_t received, std::span<io::Packet> burst) {
  for (size_t i = 0; i < std::min(received, kPrefetchAhead); ++i) {
    ::rte_prefetch0(rte_pktmbuf_mtod(mbufs_[i], const void*));
  }
  size_t count = 0;
  uint64_t bytes = 0;
  for (size_t i = 0; i < received; ++i) {
    if (i + kPrefetchAhead < received) {
      ::rte_prefetch0(rte_pktmbuf_mtod(mbufs_[i + kPrefetchAhead], const void*));
    }
    rte_mbuf* mbuf = mbufs_[i];
    io::Packet& packet = burst[count];
    if (take_frame(mbuf, layouts_[count], packet)) [[likely]] {
      packet.handle = static_cast<uint32_t>(count);
      bytes += packet.size;
      mbufs_[count++] = mbuf;  // count <= i: what it overwrites has been looked at
    }
  }
  if (aside_count_ != 0) {
    give_to_kernel();
  }
  counters_.add(IoCounter::rx_packets, count);
  counters_.add(IoCounter::rx_bytes, bytes);
  return count;
}

// False: the frame is no query, and no longer the caller's.
bool DpdkIo::take_frame(rte_mbuf* mbuf, frame::Layout& layout, io::Packet& packet) {
  const Queue& queue = queues_[current_];
  if (mbuf->nb_segs != 1 && ::rte_pktmbuf_linearize(mbuf) != 0) [[unlikely]] {
    counters_.add(IoCounter::drop_receive_truncated);
    ::rte_pktmbuf_free(mbuf);
    return false;
  }
  uint8_t* data = rte_pktmbuf_mtod(mbuf, uint8_t*);
  switch (frame::parse({data, mbuf->data_len}, queue.filter, checked_by_port(mbuf), layout,
                       packet.source)) {
    [[likely]] case frame::Verdict::query: {
      // Up to the MTU, and to the end of the buffer.
      const size_t room =
          std::min<size_t>(queue.mtu + layout.ip, size_t{mbuf->buf_len} - mbuf->data_off);
      packet.message = data + layout.message;
      packet.size = layout.message_size;
      packet.capacity =
          static_cast<uint32_t>(std::max<size_t>(room, layout.message) - layout.message);
      packet.reply_size = 0;
      return true;
    }
    case frame::Verdict::not_ours:
      if (queue.to_kernel != nullptr) {
        put_aside(mbuf);
        return false;
      }
      counters_.add(IoCounter::drop_not_ours);
      break;
    case frame::Verdict::drop:
      counters_.add(counter_of(layout.drop));
      break;
  }
  ::rte_pktmbuf_free(mbuf);
  return false;
}

void DpdkIo::give_to_kernel() {
  const unsigned given = ::rte_ring_mp_enqueue_burst(queues_[current_].to_kernel,
                                                     reinterpret_cast<void**>(aside_.data()),
                                                     static_cast<unsigned>(aside_count_), nullptr);
  kernel_bell_->ring();
  counters_.add(IoCounter::to_kernel, given);
  if (given != aside_count_) {
    counters_.add(IoCounter::drop_to_kernel, aside_count_ - given);
    ::rte_pktmbuf_free_bulk(aside_.data() + given, static_cast<unsigned>(aside_count_ - given));
  }
  aside_count_ = 0;
}

bool DpdkIo::serve_rings() {
  bool any = false;
  if (!late_.empty()) [[unlikely]] {
    send_late_replies();
    any = true;
  }
  if (serves_kernel_) {
    for (Queue& queue : queues_) {
      if (::rte_ring_empty(queue.from_kernel) == 0) [[unlikely]] {
        send_from_kernel(queue);
        any = true;
      }
    }
  }
  return any;
}

// Nothing came for a while.
size_t DpdkIo::rest(std::span<io::Packet> burst) {
  if (!idle_.waits_on_descriptors()) {
    idle_.doze();
    return 0;
  }
  // What came between the last look and arming is seen by the look after it.
  idle_.arm();
  const bool served = serve_rings();
  const size_t received = poll_ports(burst);
  if (received != 0 || served) {
    idle_.disarm();
  } else {
    idle_.wait();
  }
  return received;
}

io::Path DpdkIo::path_of(const io::Packet& packet) const {
  const rte_mbuf* mbuf = mbufs_[packet.handle];
  const frame::Layout& layout = layouts_[packet.handle];
  const uint8_t* data = rte_pktmbuf_mtod(mbuf, const uint8_t*);
  io::Path path;
  path.source = packet.source;
  path.source_port = layout.source_port;
  path.destination_port = load_be16(data + layout.udp + 2);
  path.destination = layout.is_v6
                         ? address::Address::v6(address::load_network_v6(data + layout.ip + 24))
                         : address::Address::v4(address::load_network_v4(data + layout.ip + 16));
  // The port's number, the layout, the headers.
  const size_t size = 1 + sizeof layout + layout.message;
  if (size > path.return_data.size()) {
    path.return_size = 0;  // more headers than there are; send_late() refuses it
    return path;
  }
  path.return_data[0] = static_cast<uint8_t>(current_);
  std::memcpy(path.return_data.data() + 1, &layout, sizeof layout);
  std::memcpy(path.return_data.data() + 1 + sizeof layout, data, layout.message);
  path.return_size = static_cast<uint16_t>(size);
  return path;
}

}  // namespace merlon::dpdk
