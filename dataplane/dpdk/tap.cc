// SPDX-License-Identifier: Apache-2.0
#include "dataplane/dpdk/tap.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace merlon::dpdk {
namespace {

ifreq request_for(const std::string& name) {
  ifreq request{};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  return request;
}

Status set_up(int control, const TapOptions& options) {
  ifreq request = request_for(options.name);
  request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
  std::ranges::copy(options.mac, request.ifr_hwaddr.sa_data);
  const bool has_mac = options.mac != std::array<uint8_t, 6>{};
  if (has_mac && ::ioctl(control, SIOCSIFHWADDR, &request) != 0) {
    return fail_errno(fmt::format("{}: set its address", options.name), errno);
  }
  request = request_for(options.name);
  request.ifr_mtu = options.mtu;
  if (::ioctl(control, SIOCSIFMTU, &request) != 0) {
    return fail_errno(fmt::format("{}: set MTU {}", options.name, options.mtu), errno);
  }
  request = request_for(options.name);
  if (::ioctl(control, SIOCGIFFLAGS, &request) != 0) {
    return fail_errno(fmt::format("{}: read its flags", options.name), errno);
  }
  request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
  if (::ioctl(control, SIOCSIFFLAGS, &request) != 0) {
    return fail_errno(fmt::format("{}: bring it up", options.name), errno);
  }
  return {};
}

}  // namespace

Status bring_up(const TapOptions& options) {
  const int control = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (control < 0) {
    return fail_errno("socket", errno);
  }
  Status done = set_up(control, options);
  ::close(control);
  return done;
}

Result<int> open_tap(const TapOptions& options) {
  const int fd = ::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) {
    return fail_errno("/dev/net/tun (modprobe tun?)", errno);
  }
  ifreq request = request_for(options.name);
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  if (::ioctl(fd, TUNSETIFF, &request) != 0) {
    const int error = errno;
    ::close(fd);
    return fail_errno(
        fmt::format("TAP {} (it needs CAP_NET_ADMIN, and a name of its own)", options.name), error);
  }
  if (auto done = bring_up(options); !done) {
    ::close(fd);
    return std::unexpected(done.error());
  }
  return fd;
}

}  // namespace merlon::dpdk
