// SPDX-License-Identifier: Apache-2.0
#include "dataplane/dpdk/exception.h"

#include <poll.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_ring.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "dataplane/dpdk/eal.h"

namespace merlon::dpdk {
namespace {

constexpr unsigned kToKernelSize = 1024;
constexpr unsigned kFromKernelSize = 512;
constexpr unsigned kBurst = 64;
constexpr const char* kVhostNet = "/dev/vhost-net";
constexpr uint16_t kVirtioQueueSize = 1024;
// vhost-net has no descriptor that tells of frames: how often it is asked.
constexpr timespec kVirtioPeriod{.tv_sec = 0, .tv_nsec = 250'000};
constexpr timespec kTapPeriod{.tv_sec = 0, .tv_nsec = 100'000'000};

void add(std::atomic<uint64_t>& counter, size_t count) {
  counter.store(counter.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
}

rte_ring* make_ring(unsigned size, unsigned flags) {
  static std::atomic<uint32_t> serial{0};
  const std::string name = fmt::format("merlon_ring_{}", serial.fetch_add(1));
  return ::rte_ring_create(name.c_str(), size, SOCKET_ID_ANY, flags);
}

void empty_and_free(rte_ring* ring) {
  void* frame = nullptr;
  while (ring != nullptr && ::rte_ring_dequeue(ring, &frame) == 0) {
    ::rte_pktmbuf_free(static_cast<rte_mbuf*>(frame));
  }
  ::rte_ring_free(ring);
}

}  // namespace

Result<std::unique_ptr<ExceptionPath>> ExceptionPath::start(dataplane::Exception kind,
                                                            const std::vector<LinkOptions>& links,
                                                            Doorbell& first_worker) {
  std::unique_ptr<ExceptionPath> path(new ExceptionPath(first_worker));
  for (const LinkOptions& options : links) {
    if (auto done = path->open_link(kind, options); !done) {
      return in("exception path", done.error());
    }
  }
  path->thread_ = std::thread([raw = path.get()] { raw->run(); });
  return path;
}

ExceptionPath::~ExceptionPath() {
  stop_.store(true);
  doorbell_.ring();
  if (thread_.joinable()) {
    thread_.join();
  }
  for (const auto& link : links_) {
    empty_and_free(link->to_kernel);
    empty_and_free(link->from_kernel);
    if (link->is_virtio) {
      ::rte_eth_dev_stop(link->port);
      ::rte_eth_dev_close(link->port);
    }
    if (link->fd >= 0) {
      ::close(link->fd);
    }
  }
}

Status ExceptionPath::open_link(dataplane::Exception kind, const LinkOptions& options) {
  Link& link = *links_.emplace_back(std::make_unique<Link>());
  link.options = options;
  link.to_kernel = make_ring(kToKernelSize, RING_F_SC_DEQ);
  link.from_kernel = make_ring(kFromKernelSize, RING_F_SP_ENQ | RING_F_SC_DEQ);
  if (link.to_kernel == nullptr || link.from_kernel == nullptr) {
    return fail(ErrorCode::io, "no memory for its rings{}", because(rte_errno));
  }
  if (kind == dataplane::Exception::virtio_user) {
    return open_virtio(link);
  }
  const auto tap = open_tap(options.tap);
  if (!tap) {
    return std::unexpected(tap.error());
  }
  link.fd = *tap;
  return {};
}

Status ExceptionPath::open_virtio(Link& link) {
  if (::access(kVhostNet, R_OK | W_OK) != 0) {
    return fail(ErrorCode::unsupported,
                "virtio_user needs {} (modprobe vhost-net): {}; "
                "dpdk_exception = \"tap\" does without",
                kVhostNet, std::strerror(errno));
  }
  const TapOptions& tap = link.options.tap;
  const std::string device = fmt::format("virtio_user{}", links_.size());
  const std::string arguments = fmt::format(
      "path={},queues=1,queue_size={},iface={},mac={:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}",
      kVhostNet, kVirtioQueueSize, tap.name, tap.mac[0], tap.mac[1], tap.mac[2], tap.mac[3],
      tap.mac[4], tap.mac[5]);
  last_words();
  if (::rte_eal_hotplug_add("vdev", device.c_str(), arguments.c_str()) != 0 ||
      ::rte_eth_dev_get_port_by_name(device.c_str(), &link.port) != 0) {
    return fail(ErrorCode::io, "{},{}{}", device, arguments, because(rte_errno));
  }
  link.is_virtio = true;
  const rte_eth_conf conf{};
  const auto node = static_cast<unsigned>(SOCKET_ID_ANY);
  if (::rte_eth_dev_configure(link.port, 1, 1, &conf) != 0 ||
      ::rte_eth_rx_queue_setup(link.port, 0, kVirtioQueueSize, node, nullptr, link.options.pool) !=
          0 ||
      ::rte_eth_tx_queue_setup(link.port, 0, kVirtioQueueSize, node, nullptr) != 0 ||
      ::rte_eth_dev_start(link.port) != 0) {
    return fail(ErrorCode::io, "{} does not start{}", device, because(rte_errno));
  }
  return bring_up(tap);
}

ExceptionPath::Counts ExceptionPath::counts(size_t link) const {
  const Link& from = *links_[link];
  return {.to_kernel = from.given.load(std::memory_order_relaxed),
          .from_kernel = from.taken.load(std::memory_order_relaxed),
          .dropped = from.dropped.load(std::memory_order_relaxed)};
}

void ExceptionPath::run() {
  ::rte_thread_register();  // for a cache of the pools; without one it is only slower
  while (!stop_.load(std::memory_order_relaxed)) {
    if (turn()) {
      continue;
    }
    doorbell_.announce();
    if (!turn() && !stop_.load(std::memory_order_relaxed)) {
      wait();
    }
    doorbell_.awake();
  }
  ::rte_thread_unregister();
}

// Whether there was anything to do.
bool ExceptionPath::turn() {
  bool any = false;
  for (const auto& link : links_) {
    any |= give(*link);
    any |= take(*link);
  }
  return any;
}

bool ExceptionPath::give(Link& link) {
  std::array<rte_mbuf*, kBurst> frames;
  const unsigned count = ::rte_ring_dequeue_burst(
      link.to_kernel, reinterpret_cast<void**>(frames.data()), kBurst, nullptr);
  if (count == 0) {
    return false;
  }
  size_t given = 0;
  if (link.is_virtio) {
    given = ::rte_eth_tx_burst(link.port, 0, frames.data(), static_cast<uint16_t>(count));
    ::rte_pktmbuf_free_bulk(frames.data() + given, static_cast<unsigned>(count - given));
  } else {
    for (unsigned i = 0; i < count; ++i) {
      const rte_mbuf* frame = frames[i];
      const void* data = rte_pktmbuf_mtod(frame, const void*);
      given += ::write(link.fd, data, frame->data_len) == frame->data_len ? 1u : 0u;
    }
    ::rte_pktmbuf_free_bulk(frames.data(), count);
  }
  add(link.given, given);
  add(link.dropped, count - given);
  return true;
}

bool ExceptionPath::take(Link& link) {
  if (::rte_ring_full(link.from_kernel) != 0) {
    return false;  // the kernel holds, and then drops, what does not fit
  }
  const size_t count = link.is_virtio ? read_virtio(link) : read_tap(link);
  if (count == 0) {
    return false;
  }
  add(link.taken, count);
  first_worker_.ring();
  return true;
}

size_t ExceptionPath::read_tap(Link& link) {
  size_t count = 0;
  for (unsigned i = 0; i < kBurst; ++i) {
    rte_mbuf* frame = ::rte_pktmbuf_alloc(link.options.pool);
    if (frame == nullptr) {
      add(link.dropped, 1);
      break;
    }
    const ssize_t size =
        ::read(link.fd, rte_pktmbuf_mtod(frame, void*), rte_pktmbuf_tailroom(frame));
    if (size <= 0) {
      ::rte_pktmbuf_free(frame);
      break;
    }
    frame->data_len = static_cast<uint16_t>(size);
    frame->pkt_len = static_cast<uint32_t>(size);
    if (::rte_ring_sp_enqueue(link.from_kernel, frame) != 0) {
      ::rte_pktmbuf_free(frame);
      add(link.dropped, 1);
      break;
    }
    ++count;
  }
  return count;
}

size_t ExceptionPath::read_virtio(Link& link) {
  std::array<rte_mbuf*, kBurst> frames;
  const unsigned got = ::rte_eth_rx_burst(link.port, 0, frames.data(), kBurst);
  const unsigned kept = ::rte_ring_sp_enqueue_burst(
      link.from_kernel, reinterpret_cast<void**>(frames.data()), got, nullptr);
  ::rte_pktmbuf_free_bulk(frames.data() + kept, got - kept);
  add(link.dropped, got - kept);
  return kept;
}

void ExceptionPath::wait() {
  std::vector<pollfd> polled = {{doorbell_.fd(), POLLIN, 0}};
  const timespec* period = &kTapPeriod;
  for (const auto& link : links_) {
    if (link->is_virtio) {
      period = &kVirtioPeriod;
    } else if (::rte_ring_full(link->from_kernel) == 0) {
      polled.push_back({link->fd, POLLIN, 0});
    } else {
      period = &kVirtioPeriod;  // until the worker has taken some
    }
  }
  ::ppoll(polled.data(), polled.size(), period, nullptr);
}

}  // namespace merlon::dpdk
