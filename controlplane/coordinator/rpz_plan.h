// SPDX-License-Identifier: Apache-2.0
// What an account's DNS policy becomes: the rules of its response policy zone. Domains are kept as
// sets per feed, read when a policy first takes the feed. Not thread-safe.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "controlplane/compile/rpz.h"
#include "controlplane/coordinator/inputs.h"
#include "controlplane/domains/domain.h"
#include "controlplane/domains/domain_set.h"
#include "controlplane/store/store.h"

namespace merlon::coordinator {

class RpzPlanner {
 public:
  RpzPlanner(const store::Store& store, const name::Name& suffix)
      : store_(store), suffix_(suffix) {}

  // The feed lists something else now.
  void forget(const std::string& feed) {
    domains_.erase(feed);
    holes_.erase(feed);
  }
  void forget_all() {
    domains_.clear();
    holes_.clear();
  }

  // `policy` is one of the account's. Errors: the store's, invalid_argument (a name too long, a
  // garden that is none).
  Result<compile::RpzInput> plan(const AccountInputs& account, const store::Policy& policy,
                                 const Inputs& inputs, int64_t now);
  compile::RpzSettings settings() const;

 private:
  using SetPointer = std::shared_ptr<const domains::DomainSet>;
  struct Rule {
    compile::RpzAction action = compile::RpzAction::nxdomain;
    std::vector<SetPointer> domains;
    address::IpSet addresses;
  };

  Status prepare();
  Result<SetPointer> domains_of(const store::FeedDefinition& feed, const safety::Net& net);
  // Protected names below what the targets' feeds list, but for what the account blocks itself.
  void add_holes(const store::Policy& policy, const AccountInputs& account, const Inputs& inputs,
                 int64_t now, std::vector<Rule>& rules) const;
  SetPointer domains_of(const policy::OwnList& list, int64_t now) const;
  Status add_targets(const store::Policy& policy, const Inputs& inputs, std::vector<Rule>& rules);
  void add_own_lists(const AccountInputs& account, const store::Policy& policy,
                     const Inputs& inputs, int64_t now, std::vector<Rule>& rules) const;

  const store::Store& store_;
  const name::Name suffix_;
  std::unique_ptr<domains::Canonicaliser> block_;
  std::unique_ptr<domains::Canonicaliser> allow_;
  std::map<std::string, SetPointer> domains_;
  std::map<std::string, SetPointer> holes_;  // of those feeds that have any
};

}  // namespace merlon::coordinator
