// SPDX-License-Identifier: Apache-2.0
// The RocksDB store. Column families: feeds (definition + state), sets (what each feed lists now),
// indicators (who listed a value, since when), devices, accounts, lists (the accounts' own, without
// their entries), entries, policies, contents (what feeds sent last), meta (schema version, number
// sequences, which generation was served when).
// Every change is one atomic write batch, so a killed process leaves the state before or after it.
// `last_seen` of a still-listed indicator is its feed's last_good and is not written per indicator:
// a refresh writes only what changed.
// Thread-safe; writers are serialised inside. Errors: not_found, invalid_argument (bad id, ...),
// conflict (id taken, source prefix belongs to another device), corruption, io.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/store/ageing.h"
#include "controlplane/store/changes.h"
#include "controlplane/store/model.h"
#include "controlplane/store/own_lists.h"
#include "zones/address/address.h"
#include "zones/base/error.h"

namespace merlon::store {

enum class ChangeTime : uint8_t {
  by_caller,      // last_changed is as in the state
  by_difference,  // and becomes `now` when entries came or went
};

struct ApplyOptions {
  std::span<const Expiry> expiries = {};  // for feeds whose ageing is expires=COLUMN
  ChangeTime change_time = ChangeTime::by_caller;
};

// What aged out of one feed's set.
struct AgedOut {
  std::string feed;
  uint64_t count = 0;
  bool operator==(const AgedOut&) const = default;
};

// One turn over the history.
struct HistorySweep {
  uint64_t visited = 0;
  uint64_t changed = 0;
  bool at_end = false;  // the next turn begins anew
};

struct GenerationAt {
  uint64_t generation = 0;  // 0: none, or not known
  int64_t since = 0;
  int64_t known_from = 0;  // nothing is remembered of the time before; 0: nothing at all
};

struct BackupInfo {
  uint32_t id = 0;
  int64_t created = 0;
  uint64_t size_bytes = 0;
  uint64_t schema_version = 0;
};

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
  // stores the state (its counts are set from what counts then). `set` must be normalised. What
  // the content does not name any more goes or lingers as the feed's ageing says. One batch.
  Result<ApplySummary> apply(const std::string& id, const FeedSet& set, const FeedState& state,
                             int64_t now, const ApplyOptions& options = {});
  Result<FeedSet> set_of(const std::string& id) const;  // what counts; empty when never applied
  // Takes out of the sets what has aged out by now; says of which feeds.
  Result<std::vector<AgedOut>> age_out(int64_t now);
  // Looks at the history of so many indicators more, and forgets what is too old (history.h).
  Result<HistorySweep> compact_history(int64_t now, size_t count_max);

  // The last good content as it came, for showing lines of it. More than kContentKeptMax is not
  // kept. Survives the process only when that ends in order.
  static constexpr size_t kContentKeptMax = 32 << 20;
  Status keep_content(const std::string& id, std::string_view content);
  Result<std::string> content_of(const std::string& id) const;  // "": none is kept

  // Which generation is served from now on, and which one was at a time.
  Status note_generation(uint64_t generation, int64_t now);
  Result<GenerationAt> generation_at(int64_t time) const;

  // Adds a backup of this moment to a directory of backups (made when there is none) and keeps the
  // newest seven there. Only what is new since the last one is copied. Errors: invalid_argument,
  // io.
  Result<BackupInfo> backup(const std::string& directory, int64_t now);
  // Makes a store of the newest backup there. Errors: conflict (there is a store already),
  // unsupported (written by a newer program), not_found (no backup), corruption, io.
  static Result<BackupInfo> restore(const std::string& directory, const std::string& path);

  // A text that others keep about a feed, one per kind; "" takes it away. It outlives the feed.
  Status set_note(std::string_view kind, const std::string& id, std::string_view text);
  Result<std::string> note(std::string_view kind, const std::string& id) const;  // "": none

  // Every observation of a prefix that covers the address (any length), or of exactly the domain or
  // one of its parents, listed ones first.
  Result<std::vector<Observation>> observations_of(const address::Address& address) const;
  Result<std::vector<Observation>> observations_of_domain(std::string_view domain) const;

  // Assigns numbers. An account that does not exist yet is added with the defaults of Account.
  Result<Device> add_device(Device device, int64_t now);
  // Name, account and numbers stay as they are; not_found. invalid_argument when its account has no
  // DNS policy of the name that it gives.
  Result<Device> replace_device(const Device& device);
  Status remove_device(const std::string& name);
  Result<Device> device(const std::string& name) const;
  // The one that was given the token of this digest; not_found.
  Result<Device> device_by_token(const std::string& digest) const;
  Result<std::vector<Device>> devices() const;  // by name
  Result<std::vector<Device>> devices_of(const std::string& account) const;

  // conflict when the name is taken, or is that of a shared list or of a part of one.
  Result<Account> add_account(Account account, int64_t now);
  Result<Account> replace_account(const Account& account);  // title and tier; not_found
  // conflict while it has devices, lists or policies, unless the options say that they go too.
  Status remove_account(const std::string& name, const RemoveAccount& options = {});
  Result<Account> account(const std::string& name) const;
  Result<Account> account_of(uint32_t number) const;
  Result<std::vector<Account>> accounts() const;  // by name

  // An account's lists and policies share one set of names, in which each owns its continuations
  // x1, x2, ...; "rpz", "catalog" and the names of the zone itself are reserved. conflict when
  // taken.
  Result<CustomList> add_list(CustomList list, int64_t now);
  Status remove_list(const std::string& account, const std::string& name);  // conflict: in use
  Result<CustomList> list(const std::string& account, const std::string& name) const;
  Result<std::vector<CustomList>> lists_of(const std::string& account) const;  // by name
  Result<std::vector<CustomList>> lists() const;  // by account number and name

  // At most kEntryBatchMax. Values are brought into canonical form; one of a block list that covers
  // protected space is a fault. What is there already gets the new comment and expiry. One batch.
  Result<EntryReport> add_entries(const std::string& account, const std::string& list,
                                  std::span<const CustomEntry> entries,
                                  const EntryOptions& options);
  // Values that cannot be understood are faults, those that are not there are not.
  Result<EntryReport> remove_entries(const std::string& account, const std::string& list,
                                     std::span<const std::string> values,
                                     const EntryOptions& options);
  Result<EntryPage> entries_of(const std::string& account, const std::string& list,
                               const EntryRange& range) const;
  // All entries of a list (by its number) as a feed's set: ranges cut into prefixes, domains with
  // their "*."; normalised. Empty when there is no such list.
  Result<FeedSet> set_of_list(uint32_t list_number) const;
  // Takes out what has expired by now; says of which lists, by account number.
  Result<std::vector<ExpiredEntries>> expire_entries(int64_t now);

  // Errors besides conflict: invalid_argument when a field is wrong or when a feed, category, list
  // or profile that it names does not exist.
  Result<Policy> add_policy(Policy policy, int64_t now);
  Result<Policy> replace_policy(const Policy& policy, int64_t now);  // keeps the number; not_found
  Status remove_policy(const std::string& account, const std::string& name);
  Result<Policy> policy(const std::string& account, const std::string& name) const;
  Result<std::vector<Policy>> policies_of(const std::string& account) const;  // by name
  Result<std::vector<Policy>> policies() const;  // by account number and name

  // Grows with every change that can alter a compiled snapshot: sets, definitions, devices,
  // accounts, lists, entries, policies.
  uint64_t revision() const;
  // What changed after that revision; nullopt when it is too long ago or before this start: then
  // everything may have. Ask for revision() first and read the data last, and nothing is missed.
  std::optional<std::vector<Change>> changes_since(uint64_t revision) const;

 private:
  struct Impl;
  explicit Store(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace merlon::store
