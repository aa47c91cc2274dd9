// SPDX-License-Identifier: Apache-2.0
// Accounts, their own lists and policies: the store's word, and the builder's when it changed.
#include <spdlog/spdlog.h>

#include <ctime>

#include "controlplane/coordinator/coordinator.h"

namespace merlon::coordinator {
namespace {

constexpr size_t kSweepCount = 20'000;  // indicators of a turn over the history
constexpr int64_t kSweepPauseS = 86400;

}  // namespace

// `result` is handed on; the builder hears of it when it is good.
template <class T>
T Coordinator::told(T result) {
  if (result) {
    changed();
  }
  return result;
}

Result<std::vector<store::Account>> Coordinator::accounts() {
  return store_.accounts();
}

Result<store::Account> Coordinator::account(const std::string& name) {
  return store_.account(name);
}

Result<store::Account> Coordinator::add_account(const store::Account& account) {
  return told(store_.add_account(account, std::time(nullptr)));
}

Result<store::Account> Coordinator::replace_account(const store::Account& account) {
  return told(store_.replace_account(account));
}

Status Coordinator::remove_account(const std::string& name, const store::RemoveAccount& options) {
  auto removed = told(store_.remove_account(name, options));
  if (removed) {
    spdlog::info("account {} removed{}", name, options.with_contents ? " with all it had" : "");
  }
  return removed;
}

Result<api::Published> Coordinator::published_of(const std::string& account) {
  const auto known = store_.account(account);
  if (!known) {
    return std::unexpected(known.error());
  }
  const std::lock_guard lock(facts_mutex_);
  api::Published published;
  if (const auto found = published_.find(known->number); found != published_.end()) {
    published = found->second;
  }
  if (const auto found = account_problems_.find(known->number); found != account_problems_.end()) {
    published.problems.push_back(found->second);
  }
  return published;
}

// The builder is its own thread's; who asks gets what it said last.
void Coordinator::note_publications() {
  auto changed = builder_.take_publications();
  const std::lock_guard lock(facts_mutex_);
  for (auto& [number, published] : changed) {
    if (published.lists.empty() && published.policy_zones.empty() && published.catalogs.empty()) {
      published_.erase(number);
    } else {
      published_[number] = std::move(published);
    }
  }
}

Result<std::vector<store::CustomList>> Coordinator::lists_of(const std::string& account) {
  return store_.lists_of(account);
}

Result<store::CustomList> Coordinator::list_of(const std::string& account,
                                               const std::string& name) {
  return store_.list(account, name);
}

Result<store::CustomList> Coordinator::add_list(const store::CustomList& list) {
  return told(store_.add_list(list, std::time(nullptr)));
}

Status Coordinator::remove_list(const std::string& account, const std::string& name) {
  return told(store_.remove_list(account, name));
}

Result<store::EntryPage> Coordinator::entries_of(const std::string& account,
                                                 const std::string& list,
                                                 const store::EntryRange& range) {
  return store_.entries_of(account, list, range);
}

Result<store::EntryReport> Coordinator::add_entries(const std::string& account,
                                                    const std::string& list,
                                                    std::span<const store::CustomEntry> entries,
                                                    store::OnFault on_fault) {
  return told(store_.add_entries(account, list, entries,
                                 {.now = std::time(nullptr), .on_fault = on_fault}));
}

Result<store::EntryReport> Coordinator::remove_entries(const std::string& account,
                                                       const std::string& list,
                                                       std::span<const std::string> values,
                                                       store::OnFault on_fault) {
  return told(store_.remove_entries(account, list, values,
                                    {.now = std::time(nullptr), .on_fault = on_fault}));
}

Result<std::vector<store::Policy>> Coordinator::policies_of(const std::string& account) {
  return store_.policies_of(account);
}

Result<store::Policy> Coordinator::policy(const std::string& account, const std::string& name) {
  return store_.policy(account, name);
}

Result<store::Policy> Coordinator::add_policy(const store::Policy& policy) {
  return told(store_.add_policy(policy, std::time(nullptr)));
}

Result<store::Policy> Coordinator::replace_policy(const store::Policy& policy) {
  return told(store_.replace_policy(policy, std::time(nullptr)));
}

Status Coordinator::remove_policy(const std::string& account, const std::string& name) {
  return told(store_.remove_policy(account, name));
}

void Coordinator::expire_entries() {
  const auto expired = store_.expire_entries(std::time(nullptr));
  if (!expired) {
    spdlog::error("{}", expired.error().message);
    return;
  }
  for (const store::ExpiredEntries& one : *expired) {
    spdlog::info("list {} of account {}: {} entries have expired", one.list, one.account,
                 one.removed);
  }
  if (!expired->empty()) {
    changed();
  }
}

void Coordinator::age_out() {
  const auto aged = store_.age_out(std::time(nullptr));
  if (!aged) {
    spdlog::error("{}", aged.error().message);
    return;
  }
  for (const store::AgedOut& one : *aged) {
    spdlog::info("feed {}: {} entries have aged out", one.feed, one.count);
  }
  if (!aged->empty()) {
    feed_changed();
  }
}

// A turn a second until all was seen, then not for a day. One thread's business at a time.
void Coordinator::compact_history() {
  const int64_t now = std::time(nullptr);
  int64_t due = next_sweep_;
  if (now < due || !next_sweep_.compare_exchange_strong(due, now + 1)) {
    return;
  }
  const auto sweep = store_.compact_history(now, kSweepCount);
  if (!sweep) {
    spdlog::error("history: {}", sweep.error().message);
  }
  if (!sweep || sweep->at_end) {
    next_sweep_ = now + kSweepPauseS;
  }
}

}  // namespace merlon::coordinator
