// SPDX-License-Identifier: Apache-2.0
// The way of one client's query from its question to its reply, under its account's policies.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "controlplane/forward/local_names.h"
#include "controlplane/forward/policy.h"
#include "controlplane/forward/reply.h"
#include "controlplane/forward/resolver.h"
#include "controlplane/forward/statistics.h"

namespace merlon::forward {

// A query that waits. Its `done` is called once: with the reply, or with nothing when it goes.
struct ClientQuery {
  ClientQuery(const dns::Request& request, dns::Done the_done)
      : asked(request),
        snapshot(request.snapshot),
        subject(request.subject),
        source(request.client.source),
        done(std::move(the_done)) {}
  ~ClientQuery() { reply({}); }
  ClientQuery(const ClientQuery&) = delete;
  ClientQuery& operator=(const ClientQuery&) = delete;

  void reply(std::vector<uint8_t> message) {
    if (on_end) {
      std::exchange(on_end, nullptr)();
    }
    if (done) {
      std::exchange(done, nullptr)(std::move(message));
    }
  }

  const Asked asked;
  const dns::SnapshotPointer snapshot;
  const snapshot::Subject subject;
  const address::Address source;
  dns::Done done;
  std::function<void()> on_end{};  // gives back what the query was counted for
};
using ClientQueryPointer = std::shared_ptr<ClientQuery>;

struct ClientContext {
  const LocalNames& local_names;
  PolicyIndex& policies;
  Resolver& resolver;
  Counters& counters;
  uint64_t now_ms = 0;
};

// `context` outlives every query.
void serve(ClientContext& context, const ClientQueryPointer& query, const DevicePolicies* devices);

}  // namespace merlon::forward
