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

// A port that takes nothing so many times in a row is full: its replies are dropped, not queued.
constexpr unsigned kSendTries = 32;
constexpr unsigned kRingBurst = 32;
constexpr uint64_t kAttached = RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL;

// What the port has to do to a reply before it sends it.
void request_checksums(rte_mbuf* mbuf, const frame::Layout& layout) {
  constexpr uint64_t kIpv4 = RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_UDP_CKSUM;
  constexpr uint64_t kIpv6 = RTE_MBUF_F_TX_IPV6 | RTE_MBUF_F_TX_UDP_CKSUM;
  constexpr uint64_t kIpv4Size = 20;
  constexpr uint64_t kIpv6Size = 40;
  mbuf->ol_flags |= layout.is_v6 ? kIpv6 : kIpv4;
  mbuf->l2_len = layout.ip & 0x7f;
  mbuf->l3_len = layout.is_v6 ? kIpv6Size : kIpv4Size;
}

}  // namespace

void DpdkIo::send(std::span<io::Packet> burst) {
  const Queue& queue = queues_[current_];
  std::array<rte_mbuf*, io::kBurstMax> replies;
  std::array<rte_mbuf*, io::kBurstMax> drops;
  size_t count = 0;
  size_t drop_count = 0;
  uint64_t bytes = 0;
  for (const io::Packet& packet : burst) {
    rte_mbuf* mbuf = mbufs_[packet.handle];
    if (packet.reply_size == 0) {
      drops[drop_count++] = mbuf;
      continue;
    }
    const frame::Layout& layout = layouts_[packet.handle];
    const MutableBytes frame{rte_pktmbuf_mtod(mbuf, uint8_t*),
                             size_t{layout.message} + packet.reply_size};
    const frame::Reply reply =
        frame::turn_around(frame, layout, packet.reply_size, packet.reply_sum, queue.checksums);
    mbuf->data_off = static_cast<uint16_t>(mbuf->data_off + reply.offset);
    mbuf->data_len = reply.size;
    mbuf->pkt_len = reply.size;
    mbuf->ol_flags &= kAttached;
    if (queue.checksums == frame::Checksums::port) {
      request_checksums(mbuf, layout);
    }
    bytes += packet.reply_size;
    replies[count++] = mbuf;
  }
  if (drop_count != 0) {
    ::rte_pktmbuf_free_bulk(drops.data(), static_cast<unsigned>(drop_count));
  }
  const size_t sent = transmit(queue, replies.data(), count);
  counters_.add(IoCounter::tx_packets, sent);
  // Of a burst that did not go whole, its share.
  counters_.add(IoCounter::tx_bytes, sent == count ? bytes : bytes * sent / count);
  counters_.add(IoCounter::drop_send_failed, count - sent);
}

size_t DpdkIo::transmit(const Queue& queue, rte_mbuf** frames, size_t count) {
  size_t sent = 0;
  for (unsigned tries = 0; sent < count && tries < kSendTries; ++tries) {
    const uint16_t done = ::rte_eth_tx_burst(queue.port, queue.queue, frames + sent,
                                             static_cast<uint16_t>(count - sent));
    sent += done;
    tries = done == 0 ? tries : 0;
  }
  if (sent != count) {
    ::rte_pktmbuf_free_bulk(frames + sent, static_cast<unsigned>(count - sent));
  }
  return sent;
}

bool DpdkIo::send_late(const io::Path& path, Bytes reply) {
  frame::Layout layout;
  constexpr size_t kHeadersAt = 1 + sizeof layout;
  if (path.return_size < kHeadersAt) {
    return false;
  }
  LateRing::Slot* slot = late_.claim();
  if (slot == nullptr) {
    return false;
  }
  const Bytes data{path.return_data.data(), path.return_size};
  std::memcpy(&layout, data.data() + 1, sizeof layout);
  slot->port = data[0];
  const Queue& queue = queues_[slot->port];
  const size_t room = std::min<size_t>(slot->frame.size(), size_t{queue.mtu} + layout.ip);
  slot->size = static_cast<uint16_t>(frame::build_reply(data.subspan(kHeadersAt), layout, reply,
                                                        MutableBytes(slot->frame).first(room)));
  if (slot->size == 0) {
    return false;
  }
  late_.publish();
  own_bell_.ring();
  return true;
}

void DpdkIo::send_late_replies() {
  for (unsigned i = 0; i < kRingBurst && !late_.empty(); ++i) {
    const LateRing::Slot& slot = late_.front();
    const Queue& queue = queues_[slot.port];
    rte_mbuf* mbuf = ::rte_pktmbuf_alloc(queue.pool);
    if (mbuf == nullptr) {
      counters_.add(IoCounter::drop_send_failed);
      late_.pop();
      continue;
    }
    std::memcpy(rte_pktmbuf_mtod(mbuf, void*), slot.frame.data(), slot.size);
    mbuf->data_len = slot.size;
    mbuf->pkt_len = slot.size;
    late_.pop();
    const size_t sent = transmit(queue, &mbuf, 1);
    counters_.add(IoCounter::late_replies, sent);
    counters_.add(IoCounter::drop_send_failed, 1 - sent);
  }
}

void DpdkIo::send_from_kernel(Queue& queue) {
  std::array<rte_mbuf*, kRingBurst> frames;
  const unsigned count = ::rte_ring_sc_dequeue_burst(
      queue.from_kernel, reinterpret_cast<void**>(frames.data()), kRingBurst, nullptr);
  const size_t sent = transmit(queue, frames.data(), count);
  counters_.add(IoCounter::from_kernel, sent);
  counters_.add(IoCounter::drop_from_kernel, count - sent);
}

}  // namespace merlon::dpdk
