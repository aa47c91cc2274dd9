// SPDX-License-Identifier: Apache-2.0
#include "dataplane/dpdk/plan.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>

#include "dataplane/xdp/attached.h"
#include "dataplane/xdp/filter.h"

#include "zones/base/file.h"

namespace merlon::dpdk {
namespace {

constexpr std::string_view kAfXdp = "af_xdp:";

// [domain:]bus:device.function, in hexadecimal.
bool is_pci_address(std::string_view text) {
  const size_t colons = static_cast<size_t>(std::ranges::count(text, ':'));
  const size_t dot = text.find('.');
  return (colons == 1 || colons == 2) && dot != std::string_view::npos && dot + 2 == text.size() &&
         std::ranges::all_of(
             text, [](unsigned char c) { return std::isxdigit(c) != 0 || c == ':' || c == '.'; });
}

// How many queue pairs the kernel's interface has; 0 when its driver does not tell.
uint32_t queue_count_of(const std::string& interface) {
  ethtool_channels channels{};
  channels.cmd = ETHTOOL_GCHANNELS;
  ifreq request{};
  interface.copy(request.ifr_name, IFNAMSIZ - 1);
  request.ifr_data = reinterpret_cast<char*>(&channels);
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const int done = ::ioctl(fd, SIOCETHTOOL, &request);
  ::close(fd);
  if (done != 0) {
    return 0;
  }
  return std::max(channels.combined_count, std::min(channels.rx_count, channels.tx_count));
}

// Our filter, configured: the path of the object.
Result<std::string> prepare_program(const dataplane::PortSettings& settings) {
  const auto object = settings.xdp_program.empty() ? xdp::installed_filter()
                                                   : Result<std::string>(settings.xdp_program);
  if (!object) {
    return object;
  }
  return xdp::prepare_filter({.object_path = *object,
                              .port = settings.port,
                              .addresses = settings.addresses,
                              .runtime_directory = settings.runtime_directory});
}

Status plan_af_xdp(const dataplane::PortSettings& settings, size_t index, size_t worker_count,
                   PortPlan& plan) {
  const std::string rest = plan.text.substr(kAfXdp.size());
  const size_t comma = std::min(rest.find(','), rest.size());
  plan.interface = rest.substr(0, comma);
  const std::string more = rest.substr(comma);  // with its comma
  if (plan.interface.empty() || plan.interface.size() >= IFNAMSIZ) {
    return fail(ErrorCode::invalid_argument, "write af_xdp: and the name of an interface");
  }
  if (::if_nametoindex(plan.interface.c_str()) == 0) {
    return fail(ErrorCode::not_found, "there is no interface {} (ip link shows those there are)",
                plan.interface);
  }
  const uint32_t queues = queue_count_of(plan.interface);
  if (queues != 0 && queues < worker_count) {
    return fail(ErrorCode::invalid_argument,
                "{} has {} queue{} for {} workers, each needs one; set workers to {}, or give it "
                "more (ethtool -L {} combined {})",
                plan.interface, queues, queues == 1 ? "" : "s", worker_count, queues,
                plan.interface, worker_count);
  }
  plan.device = fmt::format("net_af_xdp{}", index);
  plan.arguments =
      fmt::format("iface={},start_queue=0,queue_count={}", plan.interface, worker_count);
  // With an exception path the kernel is to see nothing: the driver's own program takes everything.
  if (settings.exception == dataplane::Exception::none &&
      more.find(",xdp_prog=") == std::string::npos) {
    const auto program = prepare_program(settings);
    if (!program) {
      return std::unexpected(program.error());
    }
    plan.arguments += fmt::format(",xdp_prog={}", *program);
  }
  plan.arguments += more;
  return xdp::detach_stale(plan.interface);
}

// The packets of a capture file; 0 when it is none, which the driver will say better.
uint32_t count_packets(const std::string& path) {
  constexpr size_t kFileHeader = 24;
  constexpr size_t kRecordHeader = 16;
  constexpr uint64_t kSizeMax = uint64_t{16} << 30;
  const auto file = read_file(path, kSizeMax);
  uint32_t count = 0;
  for (size_t at = kFileHeader; file && at + kRecordHeader <= file->size(); ++count) {
    uint32_t size = 0;  // in this machine's byte order, as the driver wants it
    std::memcpy(&size, file->data() + at + 8, sizeof size);
    at += kRecordHeader + size;
  }
  return count;
}

// net_pcap with infinite_rx=1 gives the packets of rx_pcap again and again, from copies that it
// takes out of the port's pool.
uint32_t preloaded_by(const PortPlan& plan) {
  constexpr std::string_view kFile = "rx_pcap=";
  const size_t at = plan.arguments.find(kFile);
  if (!plan.device.starts_with("net_pcap") || at == std::string::npos ||
      plan.arguments.find("infinite_rx=1") == std::string::npos) {
    return 0;
  }
  const size_t first = at + kFile.size();
  return count_packets(plan.arguments.substr(
      first, std::min(plan.arguments.find(',', first), plan.arguments.size()) - first));
}

Status plan_device(PortPlan& plan) {
  const size_t comma = std::min(plan.text.find(','), plan.text.size());
  plan.device = plan.text.substr(0, comma);
  plan.arguments = plan.text.substr(std::min(comma + 1, plan.text.size()));
  if (is_pci_address(plan.device)) {
    plan.bus = Bus::pci;
    if (std::ranges::count(plan.device, ':') == 1) {
      plan.device = "0000:" + plan.device;
    }
    return {};
  }
  if (!plan.device.starts_with("net_") && !plan.device.starts_with("virtio_user")) {
    return fail(ErrorCode::invalid_argument,
                "write af_xdp:<interface>, a PCI address (0000:03:00.0) or an EAL virtual device "
                "(net_tap0,iface=dns0)");
  }
  plan.preloaded = preloaded_by(plan);
  return {};
}

}  // namespace

Result<std::vector<PortPlan>> plan_ports(const dataplane::PortSettings& settings,
                                         size_t worker_count) {
  std::vector<PortPlan> result;
  for (size_t i = 0; i < settings.ports.size(); ++i) {
    PortPlan plan;
    plan.text = settings.ports[i];
    const Status done = plan.text.starts_with(kAfXdp) ? plan_af_xdp(settings, i, worker_count, plan)
                                                      : plan_device(plan);
    if (!done) {
      return in(fmt::format("port {}", plan.text), done.error());
    }
    for (const PortPlan& other : result) {
      if (other.device == plan.device ||
          (!plan.interface.empty() && other.interface == plan.interface)) {
        return fail(ErrorCode::invalid_argument, "port {}: named twice", plan.text);
      }
    }
    result.push_back(std::move(plan));
  }
  if (result.empty()) {
    return fail(ErrorCode::invalid_argument, "dpdk_ports names no port");
  }
  return result;
}

}  // namespace merlon::dpdk
