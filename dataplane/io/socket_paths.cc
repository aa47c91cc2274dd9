// SPDX-License-Identifier: Apache-2.0
#include "dataplane/io/socket_paths.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace merlon::io {
namespace {

// What lies in Path::return_data.
struct Return {
  uint32_t socket = 0;
  uint16_t name_size = 0;
  uint16_t control_size = 0;
  std::array<uint8_t, sizeof(sockaddr_in6)> name;
  alignas(cmsghdr) std::array<uint8_t, kControlSize> control;
};
static_assert(sizeof(Return) <= Path::kReturnSizeMax);

// Our address that was asked, from control data that is ready for sending.
bool read_own_address(const msghdr& message, address::Address& own) {
  msghdr readable = message;
  const cmsghdr* header = message.msg_control == nullptr ? nullptr : CMSG_FIRSTHDR(&readable);
  if (header == nullptr) {
    return false;
  }
  if (header->cmsg_level == IPPROTO_IP && header->cmsg_type == IP_PKTINFO) {
    in_pktinfo info;
    std::memcpy(&info, CMSG_DATA(header), sizeof info);
    own = address::Address::v4(ntohl(info.ipi_spec_dst.s_addr));
    return true;
  }
  if (header->cmsg_level == IPPROTO_IPV6 && header->cmsg_type == IPV6_PKTINFO) {
    in6_pktinfo info;
    std::memcpy(&info, CMSG_DATA(header), sizeof info);
    own = address::Address::v6(address::load_network_v6(info.ipi6_addr.s6_addr));
    return true;
  }
  return false;
}

}  // namespace

SocketPaths::SocketPaths(std::span<const UdpSocket> sockets) {
  for (const UdpSocket& socket : sockets) {
    Local local{.fd = socket.fd(), .address = {}, .port = 0};
    const Endpoint endpoint = socket.local();
    read_source(&endpoint.storage, local.address, local.port);
    sockets_.push_back(local);
  }
}

Path SocketPaths::path_of(size_t socket, const address::Address& source,
                          const msghdr& message) const {
  Path path;
  path.source = source;
  path.destination = sockets_[socket].address;
  path.destination_port = sockets_[socket].port;
  read_own_address(message, path.destination);
  Return back{};
  back.socket = static_cast<uint32_t>(socket);
  // A name of IPv4 or IPv6: read_source() has seen it.
  back.name_size = static_cast<uint16_t>(std::min<size_t>(message.msg_namelen, back.name.size()));
  std::memcpy(back.name.data(), message.msg_name, back.name_size);
  if (message.msg_control != nullptr) {
    back.control_size = static_cast<uint16_t>(std::min(message.msg_controllen, kControlSize));
    std::memcpy(back.control.data(), message.msg_control, back.control_size);
  }
  sockaddr_storage name{};
  std::memcpy(&name, back.name.data(), back.name_size);
  address::Address ignored;
  read_source(&name, ignored, path.source_port);
  path.return_size = sizeof back;
  std::memcpy(path.return_data.data(), &back, sizeof back);
  return path;
}

bool SocketPaths::send(const Path& path, Bytes reply) const {
  Return back;
  if (path.return_size != sizeof back) {
    return false;
  }
  std::memcpy(&back, path.return_data.data(), sizeof back);
  if (back.socket >= sockets_.size() || back.name_size > back.name.size() ||
      back.control_size > back.control.size()) {
    return false;
  }
  iovec payload{const_cast<uint8_t*>(reply.data()), reply.size()};
  msghdr message{};
  message.msg_name = back.name.data();
  message.msg_namelen = back.name_size;
  message.msg_iov = &payload;
  message.msg_iovlen = 1;
  message.msg_control = back.control_size == 0 ? nullptr : back.control.data();
  message.msg_controllen = back.control_size;
  while (true) {
    const ssize_t n = ::sendmsg(sockets_[back.socket].fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n >= 0) {
      return static_cast<size_t>(n) == reply.size();
    }
    if (errno != EINTR) {
      return false;
    }
  }
}

}  // namespace merlon::io
