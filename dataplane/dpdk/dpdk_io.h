// SPDX-License-Identifier: Apache-2.0
// The dpdk engine of one worker: frames from its queue of every port, replies in place to the same
// queue. A burst comes from one port; the ports take turns. Replies that come late (LateReplies)
// and frames of the kernel (exception path) wait in rings, looked at once a turn.
//
// All on the worker's thread but send_late(), which one other thread may call.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "dataplane/dpdk/idle.h"
#include "dataplane/dpdk/late_ring.h"
#include "dataplane/frame/frame.h"
#include "dataplane/io/packet_io.h"
#include "dataplane/stats/counters.h"

struct rte_mbuf;
struct rte_mempool;
struct rte_ring;

namespace merlon::dpdk {

// A worker's queue of one port.
struct Queue {
  uint16_t port = 0;
  uint16_t queue = 0;
  uint16_t mtu = 0;
  frame::Checksums checksums = frame::Checksums::here;
  rte_mempool* pool = nullptr;
  rte_ring* to_kernel = nullptr;    // exception path, nullptr without one
  rte_ring* from_kernel = nullptr;  // of one worker only
  frame::Filter filter;
};

class DpdkIo final : public io::LateReplies {
 public:
  static constexpr bool kWantsReplySum = true;

  // `kernel_bell`: of the exception path's thread, nullptr without one.
  // `own_bell` wakes this worker; the ports own it, because who rings it may be older.
  DpdkIo(std::vector<Queue> queues, Doorbell& own_bell, Doorbell* kernel_bell,
         stats::WorkerCounters& counters);

  size_t receive(std::span<io::Packet> burst);
  void send(std::span<io::Packet> burst);

  // The way of a packet of the burst in hand. REQUIRES: not sent yet.
  io::Path path_of(const io::Packet& packet) const;
  bool send_late(const io::Path& path, Bytes reply) override;

  Idle& idle() { return idle_; }
  Doorbell& doorbell() { return own_bell_; }

 private:
  static_assert(io::kBurstMax <= UINT8_MAX);

  size_t poll_ports(std::span<io::Packet> burst);
  size_t take_burst(size_t received, std::span<io::Packet> burst);
  bool take_frame(rte_mbuf* mbuf, frame::Layout& layout, io::Packet& packet);
  void put_aside(rte_mbuf* mbuf) { aside_[aside_count_++] = mbuf; }
  void give_to_kernel();
  bool serve_rings();  // whether there was anything in them
  void send_late_replies();
  void send_from_kernel(Queue& queue);
  // Returns how many of them went; the others are freed.
  size_t transmit(const Queue& queue, rte_mbuf** frames, size_t count);
  size_t rest(std::span<io::Packet> burst);

  std::vector<Queue> queues_;
  Doorbell& own_bell_;
  Doorbell* kernel_bell_;
  stats::WorkerCounters& counters_;
  bool serves_kernel_ = false;
  size_t current_ = 0;  // the port of the burst in hand

  // The burst in hand: a packet's handle is its place in both arrays.
  std::array<rte_mbuf*, io::kBurstMax> mbufs_{};
  std::array<frame::Layout, io::kBurstMax> layouts_{};
  std::array<rte_mbuf*, io::kBurstMax> aside_{};  // frames for the kernel
  size_t aside_count_ = 0;

  Idle idle_;
  LateRing late_;
};
static_assert(io::PacketIo<DpdkIo>);

}  // namespace merlon::dpdk
