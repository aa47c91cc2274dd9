// SPDX-License-Identifier: Apache-2.0
// What an account's policy takes: which feeds its targets name, what its own lists add and take
// out, what its devices can hold. Also what a policy depends on, so that a change compiles again
// only what it touches. Pure functions, thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "controlplane/policy/sweep.h"
#include "controlplane/store/model.h"
#include "zones/base/error.h"

namespace merlon::policy {

// A custom list with its entries.
struct OwnList {
  store::CustomList list;
  std::vector<store::CustomEntry> entries;
};

// Ids of the enabled block feeds that meet at least one target, sorted: what a policy (of either
// kind) depends on besides its own lists.
std::vector<std::string> feeds_of(const store::Policy& policy,
                                  std::span<const store::FeedRecord> feeds);
bool meets(const store::Target& target, const store::FeedDefinition& feed);

// A target that names places takes a part of a feed, which is a feed of its own in the universe.
std::string places_of(const store::Target& target);  // "DE,FR/3320"; "": anywhere
std::string part_id(const std::string& feed, std::string_view places);
// The ids in the universe of what a policy takes, sorted: feeds whole and parts of others.
std::vector<std::string> parts_of(const store::Policy& policy,
                                  std::span<const store::FeedRecord> feeds);
// Of a set, what lies in these addresses; neighbours are not merged.
store::FeedSet part_of(const store::FeedSet& set, const address::IpSet& within);

// The addresses of a list's entries in force at `now` (entries of domains are left out).
struct OwnAddresses {
  address::IpSet all;
  address::IpSet narrow;  // entries in prefixes (or ranges of such) no wider than NarrowFrom
};
OwnAddresses addresses_of(const OwnList& list, const NarrowFrom& narrow_from, int64_t now);
// When the next entry of these lists ends; 0: never.
int64_t next_expiry(std::span<const OwnList> lists, int64_t now);

// What policies and shared lists are selected from.
struct SelectionContext {
  const Universe& universe;
  std::span<const store::FeedRecord> feeds;
  NarrowFrom narrow_from{};
  int64_t now = 0;
};
// `lists` are the account's; those that the policy does not name are left aside. The capacity is
// the smaller of the policy's and its profile's, less the two test addresses. Errors:
// invalid_argument (no such profile), not_found (no such list).
Result<Selection> select_policy(const store::Policy& policy, std::span<const OwnList> lists,
                                const SelectionContext& context);
// A shared list: its feeds, all of what they list.
Selection select_shared(const ListDefinition& list, const SelectionContext& context);
// A block list published under its own name, less what the account allows.
Selection select_own_list(const OwnList& list, std::span<const OwnList> allow_lists,
                          const SelectionContext& context);

// Own entries must not cover addresses that are never blocked. Errors: invalid_argument with the
// range, why it is protected, the list and the policy (feeds that list such addresses are no error:
// what they list there is taken out, see Composed and listed_by).
Status check_own_entries(const store::Policy& policy, std::span<const OwnList> lists,
                         const address::IpSet& never, int64_t now);

}  // namespace merlon::policy
