// SPDX-License-Identifier: Apache-2.0
// The exception path: what is not DNS between ports that the kernel does not see and an interface
// that it does (ARP, ND, ICMP, TCP, BGP). A thread of its own makes the system calls, one for each
// frame; the workers only move pointers through rings, and pay nothing while there is nothing.
//   any worker  --to_kernel ring-->   thread --> TAP
//   worker 0    <--from_kernel ring-- thread <-- TAP    (and sends on queue 0)
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "dataplane/dpdk/idle.h"
#include "dataplane/dpdk/tap.h"
#include "dataplane/settings/settings.h"
#include "zones/base/error.h"

struct rte_mempool;
struct rte_ring;

namespace merlon::dpdk {

class ExceptionPath {
 public:
  struct LinkOptions {
    TapOptions tap;               // the interface's name, and the port's address and MTU
    rte_mempool* pool = nullptr;  // of the port's queue 0
  };
  struct Counts {
    uint64_t to_kernel = 0;
    uint64_t from_kernel = 0;
    uint64_t dropped = 0;  // by the interface, or for want of memory or of room in the ring
  };

  // One link for each port. `first_worker` is rung when there is something to send.
  // Errors: io, unsupported (virtio_user without vhost-net).
  static Result<std::unique_ptr<ExceptionPath>> start(dataplane::Exception kind,
                                                      const std::vector<LinkOptions>& links,
                                                      Doorbell& first_worker);
  ~ExceptionPath();
  ExceptionPath(const ExceptionPath&) = delete;
  ExceptionPath& operator=(const ExceptionPath&) = delete;

  size_t link_count() const { return links_.size(); }
  rte_ring* to_kernel(size_t link) const { return links_[link]->to_kernel; }
  rte_ring* from_kernel(size_t link) const { return links_[link]->from_kernel; }
  const std::string& name(size_t link) const { return links_[link]->options.tap.name; }
  Counts counts(size_t link) const;
  Doorbell& doorbell() { return doorbell_; }

 private:
  struct Link {
    LinkOptions options;
    int fd = -1;        // the TAP
    uint16_t port = 0;  // or the virtio_user port
    bool is_virtio = false;
    rte_ring* to_kernel = nullptr;
    rte_ring* from_kernel = nullptr;
    std::atomic<uint64_t> given{0};
    std::atomic<uint64_t> taken{0};
    std::atomic<uint64_t> dropped{0};
  };

  explicit ExceptionPath(Doorbell& first_worker) : first_worker_(first_worker) {}
  Status open_link(dataplane::Exception kind, const LinkOptions& options);
  Status open_virtio(Link& link);
  void run();
  bool turn();
  bool give(Link& link);
  bool take(Link& link);
  size_t read_tap(Link& link);
  size_t read_virtio(Link& link);
  void wait();

  Doorbell& first_worker_;
  Doorbell doorbell_;
  std::vector<std::unique_ptr<Link>> links_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace merlon::dpdk
