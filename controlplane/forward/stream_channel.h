// SPDX-License-Identifier: Apache-2.0
// Queries over TCP (RFC 7766) and TLS (RFC 7858): a few connections, each with many queries at a
// time, answered in any order, closed when idle. TLS believes a certificate only when it is for the
// name that was configured, or for the address when there is no name.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "controlplane/forward/exchange.h"
#include "controlplane/forward/poller.h"
#include "controlplane/forward/random.h"

struct ssl_ctx_st;

namespace merlon::forward {

// The client's side of TLS, shared by all upstreams.
class TlsContext {
 public:
  // Errors: io (the file of certificates cannot be read).
  static Result<std::shared_ptr<const TlsContext>> make(const std::string& ca_file);
  explicit TlsContext(ssl_ctx_st* context) : context_(context) {}
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;
  ssl_ctx_st* get() const { return context_; }

 private:
  ssl_ctx_st* context_;
};

struct StreamTarget {
  dns::Endpoint endpoint{};
  std::shared_ptr<const TlsContext> tls{};  // nullptr: plain TCP
  std::string tls_name{};
};

class StreamChannel : public Channel {
 public:
  StreamChannel(Poller& poller, Random& random, ExchangeEvents& events, StreamTarget target);
  ~StreamChannel() override;

  bool send(uint64_t token, std::vector<uint8_t>& message) override;
  void cancel(uint64_t token) override;
  void sweep(uint64_t now_ms) override;

 private:
  class Link;

  Link* pick();
  std::unique_ptr<Link> open();

  Poller& poller_;
  Random& random_;
  ExchangeEvents& events_;
  const StreamTarget target_;
  uint64_t now_ms_ = 0;  // as sweep() said
  std::vector<std::unique_ptr<Link>> links_;
  std::unordered_map<uint64_t, Link*> by_token_;
};

}  // namespace merlon::forward
