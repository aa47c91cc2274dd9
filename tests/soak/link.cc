// SPDX-License-Identifier: Apache-2.0
#include "tests/soak/link.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>

namespace merlon::soak {
namespace {

constexpr size_t kBatchMax = 64;
constexpr unsigned kSlotSize = 2048;
constexpr unsigned kBlockSize = 1U << 16;
constexpr unsigned kBlockCount = 1024;
constexpr size_t kSlotCount = size_t{kBlockSize} / kSlotSize * kBlockCount;

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

template <class Value>
Status set(int socket, int level, int name, const Value& value, const char* what) {
  if (::setsockopt(socket, level, name, &value, sizeof value) != 0) {
    return fail(ErrorCode::io, "{}: {}", what, std::strerror(errno));
  }
  return {};
}

Status bind_to(int socket, int index, uint16_t protocol) {
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(protocol);
  address.sll_ifindex = index;
  if (::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return fail(ErrorCode::io, "bind of a packet socket: {}", std::strerror(errno));
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Link>> Link::open(const std::string& interface) {
  const unsigned index = ::if_nametoindex(interface.c_str());
  if (index == 0) {
    return fail(ErrorCode::io, "{}: no such interface in this network namespace", interface);
  }
  std::unique_ptr<Link> link(new Link);
  Status done = link->open_receiver(static_cast<int>(index));
  if (done) {
    done = link->open_sender(static_cast<int>(index));
  }
  if (!done) {
    return std::unexpected(done.error());
  }
  return link;
}

Link::~Link() {
  if (ring_ != nullptr) {
    ::munmap(ring_, size_t{kBlockSize} * kBlockCount);
  }
  for (const int socket : {sender_, receiver_}) {
    if (socket >= 0) {
      ::close(socket);
    }
  }
}

Status Link::open_sender(int index) {
  sender_ = ::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
  if (sender_ < 0) {
    return fail(ErrorCode::io, "packet socket: {}; it needs root", std::strerror(errno));
  }
  Status done = set(sender_, SOL_PACKET, PACKET_QDISC_BYPASS, 1, "PACKET_QDISC_BYPASS");
  return done ? bind_to(sender_, index, 0) : done;
}

Status Link::open_receiver(int index) {
  receiver_ = ::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
  if (receiver_ < 0) {
    return fail(ErrorCode::io, "packet socket: {}; it needs root", std::strerror(errno));
  }
  const tpacket_req request{.tp_block_size = kBlockSize,
                            .tp_block_nr = kBlockCount,
                            .tp_frame_size = kSlotSize,
                            .tp_frame_nr = static_cast<unsigned>(kSlotCount)};
  Status done = set(receiver_, SOL_PACKET, PACKET_VERSION, int{TPACKET_V2}, "PACKET_VERSION");
  if (done) {
    done = set(receiver_, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1, "PACKET_IGNORE_OUTGOING");
  }
  if (done) {
    done = set(receiver_, SOL_PACKET, PACKET_RX_RING, request, "PACKET_RX_RING");
  }
  if (!done) {
    return done;
  }
  void* ring = ::mmap(nullptr, size_t{kBlockSize} * kBlockCount, PROT_READ | PROT_WRITE, MAP_SHARED,
                      receiver_, 0);
  if (ring == MAP_FAILED) {
    return fail(ErrorCode::io, "mmap of a packet ring: {}", std::strerror(errno));
  }
  ring_ = static_cast<uint8_t*>(ring);
  return bind_to(receiver_, index, ETH_P_ALL);
}

size_t Link::send(std::span<const Buffer> frames) {
  std::array<mmsghdr, kBatchMax> messages{};
  std::array<iovec, kBatchMax> parts{};
  const size_t count = std::min(frames.size(), kBatchMax);
  for (size_t i = 0; i < count; ++i) {
    // sendmmsg reads only.
    parts[i] = {.iov_base = const_cast<uint8_t*>(frames[i].data()), .iov_len = frames[i].size()};
    messages[i].msg_hdr.msg_iov = &parts[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  size_t taken = 0;
  for (size_t at = 0; at < count;) {
    const int sent = ::sendmmsg(sender_, &messages[at], static_cast<unsigned>(count - at), 0);
    if (sent > 0) {
      taken += static_cast<size_t>(sent);
      at += static_cast<size_t>(sent);
    } else if (errno != EINTR) {
      ++at;  // this one was refused
    }
  }
  return taken;
}

size_t Link::receive(const std::function<void(Bytes)>& take) {
  size_t count = 0;
  for (;; ++count) {
    uint8_t* slot = ring_ + next_ * kSlotSize;
    auto* header = reinterpret_cast<tpacket2_hdr*>(slot);
    std::atomic_ref<uint32_t> status(header->tp_status);
    const uint32_t seen = status.load(std::memory_order_acquire);
    if ((seen & TP_STATUS_USER) == 0) {
      return count;
    }
    const uint8_t* data = slot + header->tp_mac;
    frame_.assign(data, data + header->tp_snaplen);
    if ((seen & TP_STATUS_VLAN_VALID) != 0 && frame_.size() >= 12) {
      const unsigned type =
          (seen & TP_STATUS_VLAN_TPID_VALID) != 0 ? header->tp_vlan_tpid : unsigned{ETH_P_8021Q};
      const uint8_t tag[] = {static_cast<uint8_t>(type >> 8), static_cast<uint8_t>(type),
                             static_cast<uint8_t>(header->tp_vlan_tci >> 8),
                             static_cast<uint8_t>(header->tp_vlan_tci)};
      frame_.insert(frame_.begin() + 12, std::begin(tag), std::end(tag));
    }
    status.store(TP_STATUS_KERNEL, std::memory_order_release);
    next_ = (next_ + 1) % kSlotCount;
    take(frame_);
  }
}

uint64_t Link::missed() {
  tpacket_stats stats{};
  socklen_t size = sizeof stats;
  if (::getsockopt(receiver_, SOL_PACKET, PACKET_STATISTICS, &stats, &size) == 0) {
    missed_ += stats.tp_drops;  // since the last call
  }
  return missed_;
}

}  // namespace merlon::soak
