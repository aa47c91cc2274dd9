// SPDX-License-Identifier: Apache-2.0
// Looks up names of others for sources that may recurse, under the DNS policies of their account.
// One thread does it all; clients' queries come to it through a list, answers leave through Done.
//
//   query -> special-use names -> policy (name) -> cache, upstreams -> policy (aliases, addresses)
//
// Bounded whatever clients and upstreams do: queries that wait (in all and by source), cache bytes,
// the time for an answer.
#pragma once

#include <memory>

#include "controlplane/dns/service.h"
#include "controlplane/forward/options.h"
#include "controlplane/forward/policy.h"
#include "controlplane/forward/statistics.h"

namespace merlon::forward {

class Forwarder : public dns::Forwarder {
 public:
  // Starts the thread. Errors: io.
  static Result<std::unique_ptr<Forwarder>> start(Options options);
  // Queries that wait get nothing more.
  ~Forwarder() override;
  Forwarder(const Forwarder&) = delete;
  Forwarder& operator=(const Forwarder&) = delete;

  void forward(const dns::Request& request, dns::Done done) override;
  // Which devices use one policy only; for queries that come from now on. Any thread.
  void set_policies(DevicePoliciesPointer policies);
  Report report() const;  // any thread

 private:
  class Loop;
  explicit Forwarder(std::unique_ptr<Loop> loop);
  std::unique_ptr<Loop> loop_;
};

}  // namespace merlon::forward
