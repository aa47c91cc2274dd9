// SPDX-License-Identifier: Apache-2.0
#include "dataplane/dpdk/device.h"

#include <dirent.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>

#include "dataplane/dpdk/eal.h"

namespace merlon::dpdk {
namespace {

constexpr uint16_t kRingSizeDefault = 1024;  // where the driver has no wish
constexpr uint32_t kPoolCacheSize = 256;
constexpr uint64_t kRxChecksums = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM;
constexpr uint64_t kTxChecksums = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM;
constexpr uint64_t kRssWanted = RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_TCP;

// AF_XDP sockets among our descriptors, ascending. The driver does not tell those that it opens;
// what is new after a queue's set-up is that queue's.
std::vector<int> af_xdp_sockets() {
  std::vector<int> result;
  DIR* folder = ::opendir("/proc/self/fd");
  if (folder == nullptr) {
    return result;
  }
  while (const dirent* entry = ::readdir(folder)) {
    const int fd = std::atoi(entry->d_name);
    int domain = 0;
    socklen_t size = sizeof domain;
    if (entry->d_name[0] != '.' && ::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 &&
        domain == AF_XDP) {
      result.push_back(fd);
    }
  }
  ::closedir(folder);
  std::ranges::sort(result);
  return result;
}

Status probe(Device& device) {
  const PortPlan& plan = device.plan;
  last_words();
  if (plan.bus == Bus::virtual_device) {
    const int done = ::rte_eal_hotplug_add("vdev", plan.device.c_str(), plan.arguments.c_str());
    if (done != 0) {
      return fail(ErrorCode::io, "the driver refused{}{}", because(done),
                  ::geteuid() == 0 ? ""
                                   : " (without root it needs CAP_NET_ADMIN, CAP_NET_RAW and, "
                                     "for af_xdp, CAP_BPF)");
    }
  }
  if (::rte_eth_dev_get_port_by_name(plan.device.c_str(), &device.id) != 0) {
    return fail(ErrorCode::not_found,
                "no driver took it{}; a PCI device must be bound to vfio-pci (dpdk-devbind.py), or "
                "be one whose driver shares it with the kernel (mlx5)",
                because(ENODEV));
  }
  return {};
}

rte_eth_conf choose_configuration(const rte_eth_dev_info& info, const DeviceOptions& options) {
  rte_eth_conf conf{};
  conf.rxmode.offloads = info.rx_offload_capa & kRxChecksums;
  if ((info.tx_offload_capa & kTxChecksums) == kTxChecksums) {
    conf.txmode.offloads |= kTxChecksums;
  }
  // Each queue sends only packets of its own pool, each referred to once.
  conf.txmode.offloads |= info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
  const uint64_t rss = info.flow_type_rss_offloads & kRssWanted;
  if (options.queue_count > 1 && rss != 0) {
    conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
    conf.rx_adv_conf.rss_conf.rss_hf = rss;
  }
  conf.intr_conf.rxq = options.want_interrupts ? 1 : 0;
  return conf;
}

Status check_queues(const rte_eth_dev_info& info, const DeviceOptions& options) {
  const uint16_t most = std::min(info.max_rx_queues, info.max_tx_queues);
  if (most < options.queue_count) {
    return fail(ErrorCode::invalid_argument,
                "it has {} queue{} for {} workers, each needs one; set workers to {}", most,
                most == 1 ? "" : "s", options.queue_count, most);
  }
  return {};
}

Status configure(Device& device, const DeviceOptions& options, rte_eth_dev_info& info,
                 rte_eth_conf& conf) {
  if (const int done = ::rte_eth_dev_info_get(device.id, &info); done != 0) {
    return fail(ErrorCode::io, "the driver does not describe it{}", because(done));
  }
  device.driver = info.driver_name;
  if (auto enough = check_queues(info, options); !enough) {
    return enough;
  }
  conf = choose_configuration(info, options);
  // Drivers that poll only say so with an error; net_tap is the virtual one that interrupts.
  const bool may_interrupt = device.plan.bus == Bus::pci || device.driver == "net_tap";
  conf.intr_conf.rxq = may_interrupt ? conf.intr_conf.rxq : 0;
  int done = ::rte_eth_dev_configure(device.id, options.queue_count, options.queue_count, &conf);
  if (done != 0 && conf.intr_conf.rxq != 0) {
    conf.intr_conf.rxq = 0;
    done = ::rte_eth_dev_configure(device.id, options.queue_count, options.queue_count, &conf);
  }
  if (done != 0) {
    return fail(ErrorCode::io, "the driver refused {} queues{}", options.queue_count,
                because(done));
  }
  device.interrupts = conf.intr_conf.rxq != 0;
  device.checks_received = conf.rxmode.offloads == kRxChecksums;
  device.checksums = (conf.txmode.offloads & kTxChecksums) == kTxChecksums ? frame::Checksums::port
                                                                           : frame::Checksums::here;
  return {};
}

Result<rte_mempool*> make_pool(int socket, uint32_t size) {
  static std::atomic<uint32_t> serial{0};
  const std::string name = fmt::format("merlon_{}", serial.fetch_add(1));
  rte_mempool* pool = ::rte_pktmbuf_pool_create(name.c_str(), size, kPoolCacheSize, 0,
                                                RTE_MBUF_DEFAULT_BUF_SIZE, socket);
  if (pool == nullptr) {
    const int error = rte_errno;
    return fail(ErrorCode::io, "no memory for {} packets ({} MB){}; {}", size,
                (size * kPacketSizeBytes) >> 20, because(error),
                eal_has_huge_pages() ? "raise vm.nr_hugepages"
                                     : "raise -m in dpdk_eal_arguments, or give it huge pages");
  }
  return pool;
}

Status set_up_queue(Device& device, uint16_t queue, const rte_eth_dev_info& info,
                    const rte_eth_conf& conf, uint16_t rx_size, uint16_t tx_size) {
  const int socket = ::rte_eth_dev_socket_id(device.id);
  const auto pool = make_pool(socket, kPoolSize + device.plan.preloaded);
  if (!pool) {
    return std::unexpected(pool.error());
  }
  device.pools.push_back(*pool);
  const std::vector<int> before = af_xdp_sockets();
  rte_eth_rxconf rx = info.default_rxconf;
  rx.offloads = conf.rxmode.offloads;
  const auto node = static_cast<unsigned>(socket);
  int done = ::rte_eth_rx_queue_setup(device.id, queue, rx_size, node, &rx, *pool);
  if (done != 0) {
    return fail(ErrorCode::io, "receive queue {}{}{}", queue, because(done),
                device.plan.interface.empty()
                    ? ""
                    : fmt::format(" (another XDP program on it? ip link set dev {} xdp off; memory "
                                  "lock limit? rights?)",
                                  device.plan.interface));
  }
  for (const int fd : af_xdp_sockets()) {
    if (!device.plan.interface.empty() && !std::ranges::binary_search(before, fd)) {
      device.af_xdp_sockets.push_back(fd);
    }
  }
  rte_eth_txconf tx = info.default_txconf;
  tx.offloads = conf.txmode.offloads;
  done = ::rte_eth_tx_queue_setup(device.id, queue, tx_size, node, &tx);
  if (done != 0) {
    return fail(ErrorCode::io, "transmit queue {}{}", queue, because(done));
  }
  return {};
}

Status set_up(Device& device, const DeviceOptions& options) {
  if (auto done = probe(device); !done) {
    return done;
  }
  rte_eth_dev_info info{};
  rte_eth_conf conf{};
  if (auto done = configure(device, options, info, conf); !done) {
    return done;
  }
  const auto or_default = [](uint16_t size) { return size == 0 ? kRingSizeDefault : size; };
  uint16_t rx_size = or_default(info.default_rxportconf.ring_size);
  uint16_t tx_size = or_default(info.default_txportconf.ring_size);
  if (const int done = ::rte_eth_dev_adjust_nb_rx_tx_desc(device.id, &rx_size, &tx_size);
      done != 0) {
    return fail(ErrorCode::io, "ring sizes{}", because(done));
  }
  device.ring_size = rx_size;
  for (uint16_t queue = 0; queue < options.queue_count; ++queue) {
    if (auto done = set_up_queue(device, queue, info, conf, rx_size, tx_size); !done) {
      return done;
    }
  }
  rte_ether_addr mac{};
  if (const int done = ::rte_eth_macaddr_get(device.id, &mac); done != 0) {
    return fail(ErrorCode::io, "its address{}", because(done));
  }
  std::copy_n(mac.addr_bytes, device.mac.size(), device.mac.begin());
  ::rte_ether_format_addr(device.mac_text.data(), static_cast<uint16_t>(device.mac_text.size()),
                          &mac);
  if (::rte_eth_dev_get_mtu(device.id, &device.mtu) != 0 || device.mtu > RTE_ETHER_MTU) {
    device.mtu = RTE_ETHER_MTU;
  }
  if (options.all_multicast) {
    ::rte_eth_allmulticast_enable(device.id);  // those that cannot, filter nothing
  }
  return {};
}

}  // namespace

Result<Device> open_device(PortPlan plan, const DeviceOptions& options) {
  Device device;
  device.plan = std::move(plan);
  device.id = RTE_MAX_ETHPORTS;
  if (auto done = set_up(device, options); !done) {
    close_device(device);
    return in(fmt::format("port {}", device.plan.text), done.error());
  }
  return device;
}

Status start_device(Device& device) {
  if (const int done = ::rte_eth_dev_start(device.id); done != 0) {
    return fail(ErrorCode::io, "port {}: it does not start{}", device.plan.text, because(done));
  }
  device.started = true;
  return {};
}

void close_device(Device& device) {
  if (device.id != RTE_MAX_ETHPORTS) {
    if (device.started) {
      ::rte_eth_dev_stop(device.id);
    }
    ::rte_eth_dev_close(device.id);  // detaches an XDP program
    if (device.plan.bus == Bus::virtual_device) {
      ::rte_eal_hotplug_remove("vdev", device.plan.device.c_str());
    }
    device.id = RTE_MAX_ETHPORTS;
  }
  for (rte_mempool* pool : device.pools) {
    ::rte_mempool_free(pool);
  }
  device.pools.clear();
  device.started = false;
}

}  // namespace merlon::dpdk
