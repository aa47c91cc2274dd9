// SPDX-License-Identifier: Apache-2.0
// UDP sockets for the socket engines: bound with SO_REUSEPORT so that each worker has its own.
#pragma once

#include <netinet/in.h>

#include <string>
#include <string_view>
#include <vector>

#include "zones/address/address.h"
#include "zones/base/error.h"

namespace merlon::io {

struct Endpoint {
  sockaddr_storage storage{};
  socklen_t size = 0;

  // "192.0.2.1:53" or "[2001:db8::1]:53". Errors: invalid_argument.
  static Result<Endpoint> parse(std::string_view text);
  int family() const { return storage.ss_family; }
  bool is_wildcard() const;
  bool is_any_port() const;     // port 0: the kernel chooses
  std::string to_text() const;  // tidy: start-up only
};

class UdpSocket {
 public:
  // Sockets with SO_REUSEPORT share a port with any other of the same user, so a second data plane
  // would silently take half of the first one's queries. Waits a moment: the sockets of a process
  // that was killed live on in the kernel until it has taken its io_uring apart. Errors: conflict.
  static Status wait_until_free(const Endpoint& endpoint);
  // Errors: io with the endpoint and what to do.
  static Result<UdpSocket> bind(const Endpoint& endpoint);
  UdpSocket(UdpSocket&& other) noexcept;
  UdpSocket& operator=(UdpSocket&& other) noexcept;
  ~UdpSocket();

  int fd() const { return fd_; }
  // Bound to 0.0.0.0 or [::]: the kernel reports, and must be told, our own address per packet.
  bool needs_packet_info() const { return needs_packet_info_; }
  Endpoint local() const;  // with the port that the kernel chose for port 0

 private:
  explicit UdpSocket(int fd) : fd_(fd) {}
  int fd_ = -1;
  bool needs_packet_info_ = false;
};

// Enough for IP_PKTINFO or IPV6_PKTINFO.
inline constexpr size_t kControlSize = 64;

// Reads address and port. False when the family is neither IPv4 nor IPv6. IPv4-mapped IPv6
// addresses become IPv4.
bool read_source(const sockaddr_storage* from, address::Address& source, uint16_t& port);

// Received packet information is sent back as it is, but without the interface: routing decides.
void prepare_control_for_sending(msghdr& message);

}  // namespace merlon::io
