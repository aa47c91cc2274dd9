// SPDX-License-Identifier: Apache-2.0
#include "controlplane/dns/socket.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>

namespace merlon::dns {
namespace {

constexpr int kBacklog = 4096;

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

SocketAddress to_sockaddr(const Endpoint& endpoint) {
  SocketAddress out;
  if (endpoint.address.family == address::Family::v4) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(endpoint.port);
    v4.sin_addr.s_addr = htonl(static_cast<uint32_t>(endpoint.address.bits));
    std::memcpy(&out.storage, &v4, sizeof v4);
    out.size = sizeof v4;
  } else {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(endpoint.port);
    address::store_network(endpoint.address.bits, v6.sin6_addr.s6_addr);
    std::memcpy(&out.storage, &v6, sizeof v6);
    out.size = sizeof v6;
  }
  return out;
}

const sockaddr* as_sockaddr(const SocketAddress& address) {
  return reinterpret_cast<const sockaddr*>(&address.storage);
}

bool set_option(int fd, int level, int option, int value) {
  return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

// A bound socket that is not listening yet.
Result<Fd> bind_to(const Endpoint& endpoint, PortUse port_use) {
  const bool v6 = endpoint.address.family == address::Family::v6;
  Fd fd(socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const std::string what = fmt::format("listen on {}", to_text(endpoint));
  if (!fd.valid() || !set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1) ||
      (v6 && !set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1)) ||
      (port_use == PortUse::shared && !set_option(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1))) {
    return fail_errno(what, errno);
  }
  const SocketAddress address = to_sockaddr(endpoint);
  if (bind(fd.get(), as_sockaddr(address), address.size) != 0) {
    return fail_errno(what, errno);
  }
  return fd;
}

}  // namespace

Fd::~Fd() {
  if (fd_ >= 0) {
    close(fd_);
  }
}

Result<Endpoint> parse_endpoint(std::string_view text) {
  const size_t colon = text.rfind(':');
  const auto bad = [text](std::string_view why) {
    return fail(ErrorCode::invalid_argument,
                "'{}' is not an address to listen on: {}; write 192.0.2.1:53 or [2001:db8::1]:53",
                text, why);
  };
  if (colon == std::string_view::npos) {
    return bad("no port");
  }
  std::string_view host = text.substr(0, colon);
  const std::string_view port_text = text.substr(colon + 1);
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return bad("IPv6 needs brackets");
  }
  const auto address = address::parse_address(host);
  if (!address) {
    return bad("the host part is no IP address");
  }
  Endpoint endpoint{*address, 0};
  const char* end = port_text.data() + port_text.size();
  const auto parsed = std::from_chars(port_text.data(), end, endpoint.port);
  if (parsed.ec != std::errc{} || parsed.ptr != end) {
    return bad("the port is no number from 0 to 65535");
  }
  return endpoint;
}

std::string to_text(const Endpoint& endpoint) {
  return endpoint.address.family == address::Family::v4
             ? fmt::format("{}:{}", address::to_text(endpoint.address), endpoint.port)
             : fmt::format("[{}]:{}", address::to_text(endpoint.address), endpoint.port);
}

Endpoint endpoint_of(const sockaddr_storage& storage) {
  if (storage.ss_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &storage, sizeof v4);
    return {address::Address::v4(ntohl(v4.sin_addr.s_addr)), ntohs(v4.sin_port)};
  }
  sockaddr_in6 v6{};
  std::memcpy(&v6, &storage, sizeof v6);
  const address::Bits6 bits = address::load_network_v6(v6.sin6_addr.s6_addr);
  const uint16_t port = ntohs(v6.sin6_port);
  if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
    return {address::Address::v4(static_cast<address::Bits4>(bits)), port};
  }
  return {address::Address::v6(bits), port};
}

Result<Fd> listen_on(const Endpoint& endpoint, const ListenOptions& options) {
  auto fd = bind_to(endpoint, options.port_use);
  if (!fd) {
    return fd;
  }
  const int unacknowledged = static_cast<int>(options.unacknowledged_max.count());
  const int unsent = static_cast<int>(options.kernel_unsent_bytes_max);
  if (!set_option(fd->get(), IPPROTO_TCP, TCP_NODELAY, 1) ||
      !set_option(fd->get(), IPPROTO_TCP, TCP_USER_TIMEOUT, unacknowledged) ||
      (unsent != 0 && !set_option(fd->get(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, unsent)) ||
      listen(fd->get(), kBacklog) != 0) {
    return fail_errno(fmt::format("listen on {}", to_text(endpoint)), errno);
  }
  return fd;
}

Result<Endpoint> local_endpoint(const Fd& socket) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (getsockname(socket.get(), reinterpret_cast<sockaddr*>(&storage), &size) != 0) {
    return fail_errno("read the address of a listening socket", errno);
  }
  return endpoint_of(storage);
}

Status check_port_is_free(const Endpoint& endpoint) {
  const auto probe = bind_to(endpoint, PortUse::exclusive);
  return probe ? Status{} : std::unexpected(probe.error());
}

}  // namespace merlon::dns
