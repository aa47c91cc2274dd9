// SPDX-License-Identifier: Apache-2.0
// One upstream: the ways to it, its health and how long it takes. Owned by the resolver's thread;
// the numbers may be read by any.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "controlplane/forward/exchange.h"
#include "controlplane/forward/message.h"
#include "controlplane/forward/options.h"
#include "controlplane/forward/stream_channel.h"
#include "controlplane/forward/udp_channel.h"

namespace merlon::forward {

// As it is now.
struct UpstreamStatus {
  std::string address{};
  bool is_up = true;
  double latency_ms = 0;  // smoothed; 0: never answered
  uint64_t queries = 0;
  uint64_t answers = 0;
  uint64_t timeouts = 0;
  uint64_t failures = 0;  // SERVFAIL, REFUSED, malformed, connections that failed
  uint64_t went_down = 0;
};

class Upstream {
 public:
  Upstream(UpstreamSpec spec, std::unique_ptr<Channel> first, std::unique_ptr<Channel> stream,
           unsigned failures_to_down)
      : spec_(std::move(spec)),
        first_(std::move(first)),
        stream_(std::move(stream)),
        failures_to_down_(failures_to_down) {}

  const UpstreamSpec& spec() const { return spec_; }
  // The stream is for what does not fit the first way, which may itself be one.
  Channel& first() { return first_ != nullptr ? *first_ : *stream_; }
  Channel& stream() { return *stream_; }
  Padding padding() const {
    return spec_.transport == Transport::tls ? Padding::blocks : Padding::none;
  }

  bool is_up() const { return is_up_.load(std::memory_order_relaxed); }
  double latency_ms() const { return latency_ms_.load(std::memory_order_relaxed); }
  // How long to wait for it before another is asked.
  uint64_t patience_ms() const;

  void note_query() { add(queries_); }
  void note_answer(uint64_t took_ms);
  void note_timeout();
  void note_failure(bool is_fault);
  void sweep(uint64_t now_ms);
  UpstreamStatus status() const;

  uint64_t probed_ms = 0;  // the resolver's: when it was last probed

 private:
  static void add(std::atomic<uint64_t>& number) { number.fetch_add(1, std::memory_order_relaxed); }
  void note_missing();

  const UpstreamSpec spec_;
  const std::unique_ptr<Channel> first_;  // UDP; nullptr: the stream
  const std::unique_ptr<Channel> stream_;
  const unsigned failures_to_down_;
  unsigned missing_ = 0;  // in a row
  std::atomic<bool> is_up_{true};
  std::atomic<double> latency_ms_{0};
  double deviation_ms_ = 0;
  std::atomic<uint64_t> queries_{0};
  std::atomic<uint64_t> answers_{0};
  std::atomic<uint64_t> timeouts_{0};
  std::atomic<uint64_t> failures_{0};
  std::atomic<uint64_t> went_down_{0};
};

}  // namespace merlon::forward
