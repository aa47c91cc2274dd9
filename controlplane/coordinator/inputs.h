// SPDX-License-Identifier: Apache-2.0
// What zones are compiled from, kept in memory, and what depends on what:
//
//   feed -> target -> policy -> list -> zone      own list -> policy, list -> zone
//   device, account -> access segment
//
// update() takes over what changed in the store and says which zones that concerns. The sets of the
// feeds and the universe that is swept of them (policy/sweep.h) are read when a zone first needs
// them. Not thread-safe; what the const methods give may be read by several threads until the next
// update().
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "controlplane/enrich/geo.h"
#include "controlplane/policy/policies.h"
#include "controlplane/policy/sweep.h"
#include "controlplane/safety/net.h"
#include "controlplane/store/store.h"

namespace merlon::coordinator {

// What an account's zone is made of.
struct AccountInputs {
  store::Account account;
  std::vector<store::Policy> policies;
  std::vector<policy::OwnList> lists;
  std::vector<std::vector<std::string>> policy_feeds;  // of each policy: what it depends on
  std::vector<std::string> secondaries;                // devices that transfer, by name
  address::IpSet device_addresses;                     // never in a list of this account's
  // Of them, prefixes so narrow that they are kept out of the shared lists, too: nobody takes a
  // whole network out of everybody's lists by registering it.
  address::IpSet narrow_device_addresses;
};

// What has to be compiled.
struct Concerned {
  bool shared = false;
  bool access = false;
  bool all_accounts = false;
  std::set<uint32_t> accounts;  // numbers; such that are gone, too
  std::set<uint32_t> catalogs;  // of accounts of which nothing else changed

  bool any() const {
    return shared || access || all_accounts || !accounts.empty() || !catalogs.empty();
  }
};

class Inputs {
 public:
  Inputs(const store::Store& store, const policy::NarrowFrom& narrow_from)
      : store_(store), narrow_from_(narrow_from) {}

  // nullopt: everything may have changed. On an error what is here may be of different times: the
  // next update() must be given nullopt.
  Result<Concerned> update(const std::optional<std::vector<store::Change>>& changes);
  // What protects addresses and domains from now on; everything is to be compiled again.
  void set_net(std::shared_ptr<const safety::Net> net) { net_ = std::move(net); }
  const safety::Net& net() const { return *net_; }
  // Where addresses are from now on; as set_net().
  void set_geo(std::shared_ptr<const enrich::Geo> geo);
  // Where a target's addresses are. Errors: unsupported when no database says so.
  Result<address::IpSet> addresses_at(const store::Target& target) const;
  // What of these addresses any feed lists.
  address::IpSet listed_part(const address::IpSet& addresses) const;
  address::IpSet narrow_device_addresses() const;  // of all accounts
  // Brings sets and universe up to date. Errors: the store's.
  Status load_sets();

  const std::vector<store::FeedRecord>& feeds() const { return feeds_; }
  const std::map<uint32_t, AccountInputs>& accounts() const { return accounts_; }
  const policy::Universe& universe() const { return universe_; }
  const address::IpSet& allowed() const { return allowed_; }
  address::IpSet addresses_of(const std::string& feed) const;
  policy::SelectionContext context(int64_t now) const {
    return {.universe = universe_, .feeds = feeds_, .narrow_from = narrow_from_, .now = now};
  }
  // When the newest of these feeds changed; 0: never.
  int64_t changed_of(const std::vector<std::string>& feeds) const;
  // How many different domains these feeds list.
  uint64_t domain_count_of(const std::vector<std::string>& feeds) const;

 private:
  struct FeedData {
    std::shared_ptr<const store::FeedSet> addresses;  // without the domains
    std::vector<uint64_t> domain_hashes;              // sorted
  };

  Result<Concerned> read_everything();
  Status read_concerned(Concerned& concerned);
  Status read_feeds();
  Status read_account(uint32_t number);
  struct Differs {
    bool secondaries = false;  // other devices of the account transfer than before
    bool addresses = false;    // its devices have other addresses, of which some are listed
  };
  Result<Differs> read_devices(uint32_t number);
  bool may_be_listed(const address::IpSet& before, const address::IpSet& after) const;
  Status read_all_accounts();
  Result<AccountInputs> read_contents(const store::Account& account) const;
  Result<policy::OwnList> read_list(const store::CustomList& list) const;
  const store::FeedRecord* find_feed(const std::string& id) const;
  void concern_feed(const std::string& id, Concerned& concerned);
  void concern_definitions(const std::set<std::string>& ids, Concerned& concerned);

  // Part id -> feed and places, of all policies that name places and can be met.
  struct Part {
    std::string feed;
    store::Target target;
  };
  std::map<std::string, Part> wanted_parts() const;
  void build_universe();

  const store::Store& store_;
  std::shared_ptr<const enrich::Geo> geo_ = std::make_shared<const enrich::Geo>();
  mutable std::map<std::string, address::IpSet> geo_sets_;  // by places_of()
  std::map<std::string, Part> parts_;                       // in the universe
  std::shared_ptr<const safety::Net> net_ = std::make_shared<const safety::Net>();
  const policy::NarrowFrom narrow_from_;
  std::vector<store::FeedRecord> feeds_;
  std::map<uint32_t, AccountInputs> accounts_;
  std::map<std::string, FeedData> data_;
  std::set<std::string> stale_;  // feeds whose data is to be read
  bool universe_stale_ = true;
  policy::Universe universe_;
  address::IpSet allowed_;
};

}  // namespace merlon::coordinator
