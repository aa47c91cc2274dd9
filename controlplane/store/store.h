// SPDX-License-Identifier: Apache-2.0
// The RocksDB store. Column families: feeds (definition + state), sets (what each feed lists now),
// indicators (who listed a value, since when), devices, meta (schema version, number sequences).
// Every change is one atomic write batch, so a killed process leaves the state before or after it.
// `last_seen` of a still-listed indicator is its feed's last_good and is not written per indicator:
// a refresh writes only what changed.
// Thread-safe; writers are serialised inside. Errors: not_found, invalid_argument (bad id, ...),
// conflict (id taken, source prefix belongs to another device), corruption, io.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "controlplane/store/model.h"
#include "zones/address/address.h"
#include "zones/base/error.h"

namespace merlon::store {

struct ApplySummary {
  uint64_t added = 0;
  uint64_t removed = 0;
  uint64_t unchanged = 0;
};

class Store {
 public:
  static Result<std::unique_ptr<Store>> open(const std::string& path);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  Status add_feed(const FeedDefinition& definition);      // conflict when the id is taken
  Status replace_feed(const FeedDefinition& definition);  // keeps state; not_found
  // Withdraws all it listed (history stays) and forgets definition, state and set.
  Status remove_feed(const std::string& id, int64_t now);
  Result<FeedRecord> feed(const std::string& id) const;
  Result<std::vector<FeedRecord>> feeds() const;  // by id

  // The attempt brought nothing to apply: stores the state, the set in force stays.
  Status set_feed_state(const std::string& id, const FeedState& state);
  // New good content: replaces the feed's set, opens and closes observations by the difference,
  // stores the state (its counts are set from `set`). `set` must be normalised. One batch.
  Result<ApplySummary> apply(const std::string& id, const FeedSet& set, const FeedState& state,
                             int64_t now);
  Result<FeedSet> set_of(const std::string& id) const;  // empty when never applied

  // Every observation of a prefix that covers the address (any length), or of exactly the domain or
  // one of its parents, listed ones first.
  Result<std::vector<Observation>> observations_of(const address::Address& address) const;
  Result<std::vector<Observation>> observations_of_domain(std::string_view domain) const;

  Result<Device> add_device(Device device, int64_t now);  // assigns numbers
  Status remove_device(const std::string& name);
  Result<std::vector<Device>> devices() const;  // by name

  // Grows with every change that can alter a compiled snapshot (sets, definitions, devices).
  uint64_t revision() const;

 private:
  struct Impl;
  explicit Store(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace merlon::store
