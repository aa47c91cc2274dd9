// SPDX-License-Identifier: Apache-2.0
// Endpoints as the system's calls take them.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>

#include "controlplane/dns/socket.h"

namespace merlon::forward {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

inline SocketAddress to_socket_address(const dns::Endpoint& endpoint) {
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

inline SocketAddress any_address(address::Family family, uint16_t port) {
  return to_socket_address({{family, 0}, port});
}

}  // namespace merlon::forward
