// SPDX-License-Identifier: Apache-2.0
// DNS over TCP (RFC 7766) out of the snapshot in force: answers of up to 65,535 bytes, which is why
// clients come over TCP at all. Answers come from the answer logic that UDP uses.
//
// Each worker is a thread with its own listening sockets (SO_REUSEPORT), its own epoll and its own
// connections; workers share the snapshot, the count of connections per source, nothing else. There
// is no thread per connection. Answers leave in the order of the queries, many in one write, a
// large body straight from the snapshot's memory; only what is looked up elsewhere comes when it
// is known (RFC 7766 section 6.2.1.1). A transfer is made piece by piece as its client takes it, a
// piece per turn, so that others do not wait for it.
//
// Memory is bounded whatever clients do:
//   per connection             ~0.3 kB (10,000 idle ones: 2.2 MB), with TLS 14 kB
//   per connection that waits for its client to read: one OutputQueue, 36 kB (with TLS 66 kB, a
//     record and what OpenSSL holds of it included); bodies are not copied but shared with the
//     snapshot, which lives until its last answer is sent; of a transfer one piece of
//     kStreamPartSize
//   answers that cannot be shared (looked up elsewhere, assembled, patched): of a client that does
//     not read up to unsent_bytes_max and the answer that goes beyond it; those still looked up
//     when that is reached come on top, pipeline_max x 64 kB at most
//   received, not yet answered: input_bytes_max in all
//   per worker                 ~0.1 MB and up to 64 spare output queues
//   in the kernel, per connection whose client does not read: kernel_unsent_bytes_max and its
//     overhead (~370 kB), beside what is in flight (the congestion window, net.ipv4.tcp_wmem at
//     most); net.ipv4.tcp_mem bounds the sum
// so with the defaults, when all 16,384 connections are of clients that do not read, 0.6 GB in this
// process without TLS and 1.1 GB with it, and 64 MB of queries; 10,000 idle ones and 1,000 slow
// readers take 34 MB (bench/run --tcp). What cannot be shared has no total but
// connections_per_source_max of each source. Who never reads holds his part for write_stall_timeout
// and is then reset, which frees the kernel's part too.
//
// Writing is plain sendmsg on purpose. Measured on loopback with 64 kB from anonymous memory:
// copying 3.5 GB/s, vmsplice + splice 2.5 GB/s, MSG_ZEROCOPY 1.6 GB/s (loopback copies it all the
// same and adds the completions). A network card may turn that around.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/dns/service.h"
#include "controlplane/dns/snapshot_slot.h"
#include "controlplane/dns/statistics.h"
#include "controlplane/dns/subject_queries.h"
#include "controlplane/dns/tls.h"
#include "zones/answer/identity.h"
#include "zones/base/error.h"
#include "zones/cookie/cookie.h"

namespace merlon::dns {

struct ServerOptions {
  using Milliseconds = std::chrono::milliseconds;

  std::vector<std::string> listen = {"127.0.0.1:5300", "[::1]:5300"};  // port 0: any free port
  // The same over TLS; what it needs is in `tls`.
  std::vector<std::string> listen_tls{};
  TlsOptions tls{};
  // TLS must be agreed on within this time.
  Milliseconds handshake_timeout{5'000};
  unsigned threads = 1;
  size_t connections_max = 16'384;
  size_t connections_per_source_max = 512;  // an IPv6 source is a /64
  // A connection without a query or an unsent answer is closed after this time; not while its
  // client still takes what the kernel holds for it.
  Milliseconds idle_timeout{10'000};
  // A query must be complete within this time of its first byte, however steadily it trickles.
  Milliseconds message_timeout{5'000};
  // A client that takes none of its answers for this time is closed.
  Milliseconds write_stall_timeout{10'000};
  // Reading stops while so many answers or so many bytes wait for the client; at least 1.
  size_t pipeline_max = 64;
  size_t unsent_bytes_max = size_t{1} << 20;
  // Incomplete or not yet answered queries of all connections together.
  size_t input_bytes_max = size_t{64} << 20;
  // What the kernel may queue for a connection before sending it (TCP_NOTSENT_LOWAT).
  uint32_t kernel_unsent_bytes_max = 256u << 10;
  answer::Identity identity{};  // answers NSID and CHAOS questions; says nothing by default
  // Cookies are answered when there are secrets: the data plane's, so that what TCP gives is good
  // over UDP.
  std::optional<cookie::Secrets> cookie_secrets{};
  // A query that is being looked up elsewhere keeps its connection open for this time; the lookup
  // itself gives up long before.
  Milliseconds forward_timeout{30'000};
  Services services{};
};

// Thread-safe after start().
class Server {
 public:
  // Listens and starts the workers. `snapshots` outlives the server; while it is empty, clients are
  // closed. Errors: invalid_argument (options), io (an address is in use, ...).
  static Result<std::unique_ptr<Server>> start(const ServerOptions& options,
                                               const SnapshotSlot& snapshots);
  // Closes all connections and waits for the workers.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Where it listens, in the order of the options, with the ports that the system chose.
  const std::vector<std::string>& addresses() const;
  const std::vector<std::string>& tls_addresses() const;
  // What devices must show over TLS from now on; one that shows another is as good as a stranger.
  void set_certificates(DeviceCertificates::Table table);
  Statistics statistics() const;
  SubjectCounts subject_queries() const;
  AskedReport asked() const;

 private:
  struct Parts;
  explicit Server(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace merlon::dns
