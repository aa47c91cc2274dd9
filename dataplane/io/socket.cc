// SPDX-License-Identifier: Apache-2.0
#include "dataplane/io/socket.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

namespace merlon::io {
namespace {

constexpr int kBufferSize = 8 << 20;

// How long the kernel may take to let go of a killed process's sockets: about 50 ms when idle.
constexpr int kFreeWaitMs = 2000;
constexpr int kFreePollMs = 5;

Status set_option(int fd, int level, int option, int value, std::string_view what) {
  if (::setsockopt(fd, level, option, &value, sizeof value) != 0) {
    return fail_errno(fmt::format("set {}", what), errno);  // tidy: start-up only
  }
  return {};
}

const sockaddr* generic(const sockaddr_storage& storage) {
  return reinterpret_cast<const sockaddr*>(&storage);
}

Status share_port(int fd) {
  return set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1, "SO_REUSEPORT");
}

Status configure(int fd, const Endpoint& endpoint) {
  if (endpoint.family() == AF_INET6) {
    if (auto done = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1, "IPV6_V6ONLY"); !done) {
      return done;
    }
  }
  // Large enough for a swap of cores and for a burst towards a slow port: the engines never wait
  // for room to send. Above net.core.[rw]mem_max only privileged processes; less is no error.
  if (::setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &kBufferSize, sizeof kBufferSize) != 0) {
    ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &kBufferSize, sizeof kBufferSize);
  }
  if (::setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &kBufferSize, sizeof kBufferSize) != 0) {
    ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &kBufferSize, sizeof kBufferSize);
  }
  // Answers must not carry a path MTU that an attacker talked us into (RFC 9715).
  if (endpoint.family() == AF_INET) {
    const int mode = IP_PMTUDISC_OMIT;
    ::setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &mode, sizeof mode);
  } else {
    const int mode = IPV6_PMTUDISC_OMIT;
    ::setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &mode, sizeof mode);
  }
  if (endpoint.is_wildcard()) {
    return endpoint.family() == AF_INET
               ? set_option(fd, IPPROTO_IP, IP_PKTINFO, 1, "IP_PKTINFO")
               : set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1, "IPV6_RECVPKTINFO");
  }
  return {};
}

}  // namespace

Result<Endpoint> Endpoint::parse(std::string_view text) {
  const size_t colon = text.rfind(':');
  unsigned port = 0;
  if (colon == std::string_view::npos) {
    return fail(ErrorCode::invalid_argument, "\"{}\" is no address:port", text);
  }
  const std::string_view digits = text.substr(colon + 1);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc{} || end != digits.data() + digits.size() || port > 65535) {
    return fail(ErrorCode::invalid_argument, "\"{}\": the port is no number up to 65535", text);
  }
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) {
    host = host.substr(1, host.size() - 2);
  }
  const auto address = address::parse_address(host);
  if (!address || bracketed != (host.find(':') != std::string_view::npos)) {
    return fail(ErrorCode::invalid_argument,
                "\"{}\": write 192.0.2.1:53 or [2001:db8::1]:53, with an address, not a name",
                text);
  }
  Endpoint endpoint;
  if (address->family == address::Family::v4) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(static_cast<uint16_t>(port));
    in.sin_addr.s_addr = htonl(static_cast<uint32_t>(address->bits));
    std::memcpy(&endpoint.storage, &in, sizeof in);
    endpoint.size = sizeof in;
  } else {
    sockaddr_in6 in{};
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(static_cast<uint16_t>(port));
    address::store_network(address->bits, in.sin6_addr.s6_addr);
    std::memcpy(&endpoint.storage, &in, sizeof in);
    endpoint.size = sizeof in;
  }
  return endpoint;
}

bool Endpoint::is_wildcard() const {
  address::Address address;
  uint16_t port = 0;
  return read_source(&storage, address, port) && address.bits == 0;
}

bool Endpoint::is_any_port() const {
  address::Address address;
  uint16_t port = 0;
  return read_source(&storage, address, port) && port == 0;
}

std::string Endpoint::to_text() const {  // tidy: start-up only
  address::Address address;
  uint16_t port = 0;
  read_source(&storage, address, port);
  // tidy: start-up only
  return family() == AF_INET6 ? fmt::format("[{}]:{}", address::to_text(address), port)
                              // tidy: start-up only
                              : fmt::format("{}:{}", address::to_text(address), port);
}

Result<UdpSocket> UdpSocket::bind(const Endpoint& endpoint) {
  const int fd = ::socket(endpoint.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    // tidy: start-up only
    return fail_errno(fmt::format("UDP socket for {}", endpoint.to_text()), errno);
  }
  UdpSocket socket(fd);
  // A port that the kernel chooses is shared only once it is ours: with SO_REUSEPORT the kernel
  // also takes one that another program of this user shares, and would split the queries between
  // us.
  const bool any_port = endpoint.is_any_port();
  auto configured = any_port ? Status{} : share_port(fd);
  if (configured) {
    configured = configure(fd, endpoint);
  }
  if (!configured) {
    // tidy: start-up only
    return in(fmt::format("listen on UDP {}", endpoint.to_text()), configured.error());
  }
  if (::bind(fd, generic(endpoint.storage), endpoint.size) != 0) {
    const int error_number = errno;
    std::string_view advice;
    if (error_number == EACCES) {
      advice = " (ports below 1024 need CAP_NET_BIND_SERVICE)";
    } else if (error_number == EADDRINUSE) {
      advice = " (another program listens there)";
    }
    // tidy: start-up only
    return fail_errno(fmt::format("listen on UDP {}{}", endpoint.to_text(), advice), error_number);
  }
  if (any_port) {
    if (auto shared = share_port(fd); !shared) {
      // tidy: start-up only
      return in(fmt::format("listen on UDP {}", endpoint.to_text()), shared.error());
    }
  }
  socket.needs_packet_info_ = endpoint.is_wildcard();
  return socket;
}

Status UdpSocket::wait_until_free(const Endpoint& endpoint) {
  for (int waited_ms = 0;; waited_ms += kFreePollMs) {
    const UdpSocket probe(::socket(endpoint.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (endpoint.family() == AF_INET6) {
      const int on = 1;
      ::setsockopt(probe.fd(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    }
    if (::bind(probe.fd(), generic(endpoint.storage), endpoint.size) == 0 || errno != EADDRINUSE) {
      return {};  // what else is wrong, bind() says
    }
    if (waited_ms >= kFreeWaitMs) {
      return fail(ErrorCode::conflict,
                  "listen on UDP {}: another program listens there; stop it, or choose another "
                  "address or port",
                  endpoint.to_text());
    }
    ::usleep(kFreePollMs * 1000);
  }
}

UdpSocket::UdpSocket(UdpSocket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), needs_packet_info_(other.needs_packet_info_) {}

UdpSocket& UdpSocket::operator=(UdpSocket&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(needs_packet_info_, other.needs_packet_info_);
  return *this;
}

UdpSocket::~UdpSocket() {
  if (fd_ >= 0) {
    ::close(fd_);
  }
}

Endpoint UdpSocket::local() const {
  Endpoint endpoint;
  endpoint.size = sizeof endpoint.storage;
  ::getsockname(fd_, reinterpret_cast<sockaddr*>(&endpoint.storage), &endpoint.size);
  return endpoint;
}

bool read_source(const sockaddr_storage* from, address::Address& source, uint16_t& port) {
  if (from->ss_family == AF_INET) {
    sockaddr_in in;
    std::memcpy(&in, from, sizeof in);
    source = address::Address::v4(ntohl(in.sin_addr.s_addr));
    port = ntohs(in.sin_port);
    return true;
  }
  if (from->ss_family == AF_INET6) {
    sockaddr_in6 in;
    std::memcpy(&in, from, sizeof in);
    const address::Bits6 bits = address::load_network_v6(in.sin6_addr.s6_addr);
    source = (bits >> 32) == 0xffff ? address::Address::v4(static_cast<uint32_t>(bits))
                                    : address::Address::v6(bits);
    port = ntohs(in.sin6_port);
    return true;
  }
  return false;
}

void prepare_control_for_sending(msghdr& message) {
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header == nullptr) {
    message.msg_control = nullptr;
    message.msg_controllen = 0;
    return;
  }
  if (header->cmsg_level == IPPROTO_IP && header->cmsg_type == IP_PKTINFO) {
    in_pktinfo info;
    std::memcpy(&info, CMSG_DATA(header), sizeof info);
    info.ipi_ifindex = 0;
    info.ipi_spec_dst = info.ipi_addr;
    std::memcpy(CMSG_DATA(header), &info, sizeof info);
    message.msg_controllen = CMSG_SPACE(sizeof info);
  } else if (header->cmsg_level == IPPROTO_IPV6 && header->cmsg_type == IPV6_PKTINFO) {
    in6_pktinfo info;
    std::memcpy(&info, CMSG_DATA(header), sizeof info);
    if (!IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr)) {
      info.ipi6_ifindex = 0;
    }
    std::memcpy(CMSG_DATA(header), &info, sizeof info);
    message.msg_controllen = CMSG_SPACE(sizeof info);
  } else {
    message.msg_control = nullptr;
    message.msg_controllen = 0;
  }
}

}  // namespace merlon::io
