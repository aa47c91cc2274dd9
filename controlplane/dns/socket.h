// SPDX-License-Identifier: Apache-2.0
// Descriptors and TCP endpoints of the DNS server.
#pragma once

#include <sys/socket.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "zones/address/address.h"
#include "zones/base/error.h"

namespace merlon::dns {

// Owns a file descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd();

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

struct Endpoint {
  address::Address address;
  uint16_t port = 0;
  bool operator==(const Endpoint&) const = default;
};

// "127.0.0.1:5300" or "[::1]:5300"; port 0 lets the system choose. Errors: invalid_argument.
Result<Endpoint> parse_endpoint(std::string_view text);
std::string to_text(const Endpoint& endpoint);

// The address and port of a peer. An IPv4-mapped IPv6 address is the IPv4 address it stands for, so
// that access entries for IPv4 sources apply on a socket that accepts both.
Endpoint endpoint_of(const sockaddr_storage& storage);

enum class PortUse : uint8_t { exclusive, shared };  // shared: SO_REUSEPORT between our workers

struct ListenOptions {
  PortUse port_use = PortUse::exclusive;
  // How long a peer may leave data unacknowledged before the kernel gives up, also after close().
  std::chrono::milliseconds unacknowledged_max{10'000};
  // How much not yet sent data the kernel queues for one connection.
  uint32_t kernel_unsent_bytes_max = 0;
};

// A listening, non-blocking TCP socket. Accepted sockets inherit TCP_NODELAY and the options above.
// Errors: io, naming the endpoint.
Result<Fd> listen_on(const Endpoint& endpoint, const ListenOptions& options);
Result<Endpoint> local_endpoint(const Fd& socket);

// Whether anybody else listens there already: with SO_REUSEPORT a second server would silently take
// a part of the connections. Errors: io, naming the endpoint.
Status check_port_is_free(const Endpoint& endpoint);

}  // namespace merlon::dns
