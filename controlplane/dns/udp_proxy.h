// SPDX-License-Identifier: Apache-2.0
// The slow path's end: UDP queries that data planes did not answer themselves. Each comes as one
// message on a Unix socket: a PROXYv2 header (zones/proxy) with the client's and the asked address
// and a unique id, and the query. Its answer goes back behind a header with the addresses swapped
// and the same unique id; no bytes behind the header mean that nothing is to be sent.
//
// The source in the header is trusted as a UDP packet's is: it decides what may be seen. So the
// socket is for the data plane alone, by the file's mode (owner and group).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "controlplane/dns/service.h"
#include "controlplane/dns/snapshot_slot.h"
#include "zones/answer/identity.h"
#include "zones/base/error.h"
#include "zones/cookie/cookie.h"

namespace merlon::dns {

struct UdpProxyOptions {
  std::string socket_path{};
  mode_t mode = 0660;
  // The largest answer over UDP, as the data plane's setting of this name.
  uint16_t udp_size_max = 1232;
  answer::Identity identity{};  // answers NSID and CHAOS questions; says nothing by default
  // The data plane's, so that its cookies are good here; none: the COOKIE option is left out.
  std::optional<cookie::Secrets> cookie_secrets{};
  Services services{};
};

// Why a message on the socket, or its answer, is lost. One list: enum, name, explanation, counter.
#define MERLON_UDP_PROXY_COUNTERS(X)                                               \
  X(queries, "queries taken")                                                      \
  X(answers, "answers handed to a data plane")                                     \
  X(special, "of the answers, those to signed queries, opcodes, transfers, ..")    \
  X(forwarded, "queries handed to be looked up elsewhere")                         \
  X(too_late, "answers from elsewhere whose data plane was gone")                  \
  X(silent, "queries whose source or form gets no answer")                         \
  X(no_snapshot, "SERVFAIL: no snapshot is loaded yet")                            \
  X(malformed, "messages without a good PROXYv2 header, unique id and DNS header") \
  X(send_failed, "answers that a data plane did not take")                         \
  X(connections, "data planes that connected")                                     \
  X(connections_refused, "connections over the limit")

enum class UdpProxyCounter : uint8_t {
#define MERLON_X(name, text) name,
  MERLON_UDP_PROXY_COUNTERS(MERLON_X)
#undef MERLON_X
      count_
};
inline constexpr size_t kUdpProxyCounterCount = static_cast<size_t>(UdpProxyCounter::count_);
std::string_view to_string(UdpProxyCounter counter);

class UdpProxyServer {
 public:
  // Listens and starts a thread. `snapshots` outlives the server. Errors: conflict,
  // not_found (no such folder), invalid_argument, io.
  static Result<std::unique_ptr<UdpProxyServer>> start(const UdpProxyOptions& options,
                                                       const SnapshotSlot& snapshots);
  ~UdpProxyServer();
  UdpProxyServer(const UdpProxyServer&) = delete;
  UdpProxyServer& operator=(const UdpProxyServer&) = delete;

  uint64_t count(UdpProxyCounter counter) const;  // any thread

 private:
  class Loop;
  explicit UdpProxyServer(std::unique_ptr<Loop> loop);
  std::unique_ptr<Loop> loop_;
};

}  // namespace merlon::dns
