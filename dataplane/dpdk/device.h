// SPDX-License-Identifier: Apache-2.0
// One ethdev port, configured: a receive and a transmit queue and a packet pool for each worker.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "dataplane/dpdk/plan.h"
#include "dataplane/frame/frame.h"
#include "zones/base/error.h"

struct rte_mempool;

namespace merlon::dpdk {

// Packets of one queue: those in its rings, in the caches of three threads and on the exception
// path.
inline constexpr uint32_t kPoolSize = 10239;
inline constexpr size_t kPoolSizeMb = 27;
inline constexpr size_t kPacketSizeBytes = 2560;  // what one takes of a pool, with room to spare

struct Device {
  PortPlan plan;
  uint16_t id = 0;
  std::string driver;
  std::array<uint8_t, 6> mac{};
  uint16_t mtu = 0;
  uint16_t ring_size = 0;  // of the receive queues
  frame::Checksums checksums = frame::Checksums::here;
  bool checks_received = false;     // its receive checksum flags say something
  bool interrupts = false;          // queues have receive interrupts
  std::vector<rte_mempool*> pools;  // per queue
  std::vector<int> af_xdp_sockets;  // per queue, for an AF_XDP port
  std::array<char, 18> mac_text{};  // "02:00:00:00:00:01"
  bool started = false;
};

struct DeviceOptions {
  uint16_t queue_count = 1;
  bool all_multicast = false;    // the kernel behind it wants neighbour discovery
  bool want_interrupts = false;  // for workers that sleep
};

// Leaves nothing behind when it fails. Errors: io, invalid_argument.
Result<Device> open_device(PortPlan plan, const DeviceOptions& options);
Status start_device(Device& device);
void close_device(Device& device);

}  // namespace merlon::dpdk
