// SPDX-License-Identifier: Apache-2.0
// The socket engines' way back to a client that is answered late: which socket, whose name, and
// which of our addresses was asked. It fits Path::return_data, so whoever holds a path holds all
// that is needed, and the reply leaves by a system call of its own.
#pragma once

#include <span>
#include <vector>

#include "dataplane/io/packet_io.h"
#include "dataplane/io/socket.h"

namespace merlon::io {

// Fixed once made. The sockets must outlive it.
class SocketPaths {
 public:
  explicit SocketPaths(std::span<const UdpSocket> sockets);

  // `message` carries the client's name and the control data, both as they are used for sending.
  Path path_of(size_t socket, const address::Address& source, const msghdr& message) const;
  // From any thread; never waits.
  bool send(const Path& path, Bytes reply) const;

 private:
  struct Local {
    int fd = -1;
    address::Address address;
    uint16_t port = 0;
  };
  std::vector<Local> sockets_;  // tidy: start-up only
};

}  // namespace merlon::io
