// SPDX-License-Identifier: Apache-2.0
// The ways to an upstream: queries out, whatever comes back in. A channel knows ids and sockets;
// whether a message answers a question is for who asked (message.h).
#pragma once

#include <cstdint>
#include <vector>

#include "controlplane/dns/socket.h"
#include "zones/base/bytes.h"

namespace merlon::forward {

// Who has asked something. `token` is theirs.
class ExchangeEvents {
 public:
  virtual ~ExchangeEvents() = default;
  // A message with the id of that query, from the upstream's address. False: it is not the answer,
  // and the query stays open; else it is closed.
  virtual bool on_message(uint64_t token, Bytes message) = 0;
  // The query cannot be answered any more on this way; it is closed.
  virtual void on_fault(uint64_t token) = 0;
  virtual void on_stray() = 0;  // a message that belongs to no open query
};

class Channel {
 public:
  virtual ~Channel() = default;
  // Takes a whole message, whose id it sets. False: it cannot be sent now.
  virtual bool send(uint64_t token, std::vector<uint8_t>& message) = 0;
  // No answer is wanted any more.
  virtual void cancel(uint64_t token) = 0;
  // Called now and then: closes what is idle.
  virtual void sweep(uint64_t now_ms) = 0;
};

}  // namespace merlon::forward
