// SPDX-License-Identifier: Apache-2.0
// What the forwarder is told at its start: whom it asks, and what it may take.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/dns/socket.h"
#include "zones/base/error.h"
#include "zones/name/name.h"

namespace merlon::forward {

enum class Transport : uint8_t { udp, tcp, tls };
std::string_view to_string(Transport transport);

struct UpstreamSpec {
  Transport transport = Transport::udp;  // over udp: TCP for what does not fit
  dns::Endpoint endpoint{};
  std::string tls_name{};  // what its certificate must be for; "": its address

  std::string to_text() const;
};

// "192.0.2.1", "192.0.2.1:5353", "[2001:db8::1]:53", "udp://..", "tcp://..", "tls://..#name"; port
// 53, or 853 for tls. Errors: invalid_argument.
Result<UpstreamSpec> parse_upstream(std::string_view text);

struct Options {
  using Milliseconds = std::chrono::milliseconds;

  std::vector<UpstreamSpec> upstreams{};  // empty: everything is REFUSED
  name::Name suffix{};                    // of the accounts' policy zones
  std::string tls_ca_file{};              // "": those of the system
  size_t cache_bytes_max = size_t{64} << 20;
  size_t outstanding_max = 10'000;  // queries of clients that wait for an answer
  size_t outstanding_per_source_max = 1'000;
  Milliseconds timeout{1900};              // in all, for a client; the data plane waits 2 s
  Milliseconds stale_after{1800};          // an expired answer is given when no other came by then
  std::chrono::seconds stale_max{86'400};  // how long after it expired; 0: never
  uint32_t ttl_max_s = 86'400;
  uint32_t negative_ttl_max_s = 3'600;
  unsigned failures_to_down = 5;  // in a row, until an upstream is only probed
  Milliseconds probe_every{1000};
  // Special-use names (local_names.h) that are looked up all the same, with what is below them.
  std::vector<name::Name> not_local{};
};

}  // namespace merlon::forward
