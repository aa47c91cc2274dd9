// SPDX-License-Identifier: Apache-2.0
// Queries over UDP from a pool of connected sockets, each with a random port: the kernel lets in
// nothing but what comes from the upstream's address and port. A query goes out of a random socket
// of the pool with a random id; a socket is replaced by one with another port after some queries,
// so that no port can be learned and used for long (RFC 5452).
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "controlplane/forward/exchange.h"
#include "controlplane/forward/poller.h"
#include "controlplane/forward/random.h"

namespace merlon::forward {

class UdpChannel : public Channel {
 public:
  UdpChannel(Poller& poller, Random& random, ExchangeEvents& events, const dns::Endpoint& upstream);
  ~UdpChannel() override;

  bool send(uint64_t token, std::vector<uint8_t>& message) override;
  void cancel(uint64_t token) override;
  void sweep(uint64_t now_ms) override;

 private:
  class Socket;

  Socket* pick();
  std::unique_ptr<Socket> open();
  void remove_if_done(Socket& socket);

  Poller& poller_;
  Random& random_;
  ExchangeEvents& events_;
  const dns::Endpoint upstream_;
  std::vector<std::unique_ptr<Socket>> pool_;      // in use
  std::vector<std::unique_ptr<Socket>> retiring_;  // wait for their last answers
  std::unordered_map<uint64_t, Socket*> by_token_;
};

}  // namespace merlon::forward
