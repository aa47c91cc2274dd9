// SPDX-License-Identifier: Apache-2.0
// The slow path: what the packet path does not answer itself is relayed to the control plane and
// its answer relayed back.
//
//   worker -> Outlet -> this thread -> Unix socket -> control plane
//   client <- engine's LateReplies <- this thread <- Unix socket <-'
//
// A message on the socket is a PROXYv2 header (zones/proxy) with the client's and our address, and
// the DNS message. Each relayed query has an entry in a table of fixed size; its number and its
// place are the header's unique id, which comes back with the answer. So an answer finds its asker
// whatever the ids of the queries are, and one that comes too late finds nobody.
//
// The socket is SOCK_SEQPACKET rather than SOCK_DGRAM: it keeps messages apart as well, but the
// kernel tells at once when the control plane goes away, answers need no second socket file that
// both processes may write to (or an abstract name, which ends at a network namespace), nobody else
// can put an answer in, and net.unix.max_dgram_qlen (10 on some systems) is no limit.
//
// Who was told "relayed" gets an answer: the control plane's, or SERVFAIL when it goes away or is
// silent for `patience`. When it is known to be away or stuck, offer() says so and the worker
// answers by itself; connecting is tried again with a growing pause.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "dataplane/io/packet_io.h"
#include "dataplane/slowpath/outlet.h"
#include "dataplane/stats/counters.h"
#include "zones/base/error.h"

namespace merlon::slowpath {

struct Options {
  using Milliseconds = std::chrono::milliseconds;

  std::string socket{};  // the control plane's
  uint32_t outstanding_max = 1024;
  uint32_t outstanding_per_source_max = 64;
  Milliseconds patience{2000};
  Milliseconds pause_min{50};  // between attempts to connect
  Milliseconds pause_max{1000};
};

class SlowPath {
 public:
  // One outlet for each worker's counters, which outlive it. A control plane that is not there is
  // no error. Errors: invalid_argument (the path is too long), io.
  static Result<std::unique_ptr<SlowPath>> start(const Options& options,
                                                 std::span<stats::WorkerCounters> workers);
  // Queries that are still open get nothing more.
  ~SlowPath();
  SlowPath(const SlowPath&) = delete;
  SlowPath& operator=(const SlowPath&) = delete;

  Outlet& outlet(size_t worker);
  // Where a worker's answers go. detach() returns when nothing of the engine is in use any more;
  // answers that come later are counted as drop_slow_path_send.
  void attach(size_t worker, io::LateReplies& engine);
  void detach(size_t worker);
  // Queries that are relayed and not answered.
  uint32_t outstanding() const;

 private:
  class Relay;
  explicit SlowPath(std::unique_ptr<Relay> relay);
  std::unique_ptr<Relay> relay_;
};

}  // namespace merlon::slowpath
