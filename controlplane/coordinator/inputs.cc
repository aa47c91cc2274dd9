// SPDX-License-Identifier: Apache-2.0
#include "controlplane/coordinator/inputs.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <atomic>
#include <span>
#include <thread>

namespace merlon::coordinator {
namespace {

using Kind = store::Change::Kind;

constexpr unsigned kThreads = 2;

std::vector<uint64_t> hashes_of(const std::vector<std::string>& domains) {
  std::vector<uint64_t> hashes;
  hashes.reserve(domains.size());
  for (const std::string& domain : domains) {
    hashes.push_back(XXH3_64bits(domain.data(), domain.size()));
  }
  std::ranges::sort(hashes);
  return hashes;
}

bool is_used(const store::FeedRecord& record, store::Direction direction) {
  return record.definition.enabled && record.definition.direction == direction &&
         record.state.last_changed != 0;
}

// Side by side: a cold start spends a quarter of its time here.
std::vector<Result<store::FeedSet>> read_sets(const store::Store& store,
                                              std::span<const std::string> ids) {
  std::vector<Result<store::FeedSet>> sets(ids.size());
  std::atomic<size_t> next{0};
  const auto work = [&] {
    for (size_t i = next++; i < ids.size(); i = next++) {
      sets[i] = store.set_of(ids[i]);
    }
  };
  std::vector<std::thread> others;
  for (size_t i = 1; i < std::min<size_t>(kThreads, ids.size()); ++i) {
    others.emplace_back(work);
  }
  work();
  for (std::thread& other : others) {
    other.join();
  }
  return sets;
}

// Who is set up for transfers: with a key, with a certificate, or to be told of changes.
std::vector<std::string> secondaries_among(const std::vector<store::Device>& devices) {
  std::vector<std::string> names;
  for (const store::Device& device : devices) {
    if (!device.tsig_algorithm.empty() || !device.certificate.empty() || !device.notify.empty()) {
      names.push_back(device.name);
    }
  }
  return names;
}

}  // namespace

Result<Concerned> Inputs::update(const std::optional<std::vector<store::Change>>& changes) {
  Concerned concerned;
  const bool everything =
      !changes || std::ranges::any_of(*changes, [](const store::Change& change) {
        return change.kind == Kind::everything;
      });
  if (everything) {
    return read_everything();
  }
  std::set<std::string> definitions;
  std::set<std::string> sets;
  for (const store::Change& change : *changes) {
    switch (change.kind) {
      case Kind::feed_set:
        sets.insert(change.feed);
        break;
      case Kind::feed_definition:
        definitions.insert(change.feed);
        break;
      case Kind::devices:
        concerned.access = true;
        concerned.catalogs.insert(change.account);
        break;
      case Kind::account:
        concerned.access = true;
        concerned.accounts.insert(change.account);
        break;
      case Kind::list:
      case Kind::policy:
        concerned.accounts.insert(change.account);
        break;
      case Kind::everything:
        break;
    }
  }
  if (!sets.empty() || !definitions.empty()) {
    concerned.shared = true;
    for (const std::string& id : definitions) {  // as it was
      concern_feed(id, concerned);
    }
    if (auto read = read_feeds(); !read) {
      return std::unexpected(read.error());
    }
    for (const std::string& id : sets) {
      concern_feed(id, concerned);
      stale_.insert(id);
    }
    stale_.insert(definitions.begin(), definitions.end());
    universe_stale_ = true;
  }
  for (const uint32_t number : concerned.accounts) {
    if (auto read = read_account(number); !read) {
      return std::unexpected(read.error());
    }
  }
  for (auto at = concerned.catalogs.begin(); at != concerned.catalogs.end();) {
    const auto differs = read_secondaries(*at);
    if (!differs) {
      return std::unexpected(differs.error());
    }
    at = *differs ? std::next(at) : concerned.catalogs.erase(at);
  }
  if (!definitions.empty()) {
    concern_definitions(definitions, concerned);
  }
  return concerned;
}

Result<Concerned> Inputs::read_everything() {
  data_.clear();
  if (auto read = read_feeds(); !read) {
    return std::unexpected(read.error());
  }
  if (auto read = read_all_accounts(); !read) {
    return std::unexpected(read.error());
  }
  for (const store::FeedRecord& record : feeds_) {
    stale_.insert(record.definition.id);
  }
  universe_stale_ = true;
  return Concerned{
      .shared = true, .access = true, .all_accounts = true, .accounts = {}, .catalogs = {}};
}

Status Inputs::read_feeds() {
  auto records = store_.feeds();
  if (!records) {
    return std::unexpected(records.error());
  }
  feeds_ = std::move(*records);
  return {};
}

const store::FeedRecord* Inputs::find_feed(const std::string& id) const {
  const auto at = std::ranges::find(
      feeds_, id, [](const store::FeedRecord& record) { return record.definition.id; });
  return at == feeds_.end() ? nullptr : &*at;
}

// Of every account whose policies take the feed. What a feed allows is taken out of every list.
void Inputs::concern_feed(const std::string& id, Concerned& concerned) {
  const store::FeedRecord* record = find_feed(id);
  if (record != nullptr && record->definition.direction == store::Direction::allow) {
    concerned.all_accounts = true;
    return;
  }
  for (const auto& [number, inputs] : accounts_) {
    const bool takes = std::ranges::any_of(inputs.policy_feeds, [&](const auto& feeds) {
      return std::ranges::binary_search(feeds, id);
    });
    if (takes) {
      concerned.accounts.insert(number);
    }
  }
}

// Definitions changed: which feeds meet a target may be others now.
void Inputs::concern_definitions(const std::set<std::string>& ids, Concerned& concerned) {
  for (auto& [number, inputs] : accounts_) {
    for (size_t i = 0; i < inputs.policies.size(); ++i) {
      auto feeds = policy::feeds_of(inputs.policies[i], feeds_);
      if (feeds != inputs.policy_feeds[i]) {
        inputs.policy_feeds[i] = std::move(feeds);
        concerned.accounts.insert(number);
      }
    }
  }
  for (const std::string& id : ids) {
    concern_feed(id, concerned);
  }
}

Result<policy::OwnList> Inputs::read_list(const store::CustomList& list) const {
  policy::OwnList own{.list = list, .entries = {}};
  store::EntryRange range{.after = {}, .limit = store::kEntryPageMax};
  while (true) {
    auto page = store_.entries_of(list.account, list.name, range);
    if (!page) {
      return std::unexpected(page.error());
    }
    std::ranges::move(page->entries, std::back_inserter(own.entries));
    if (!page->more || own.entries.empty()) {
      return own;
    }
    range.after = own.entries.back().value;
  }
}

Result<AccountInputs> Inputs::read_contents(const store::Account& account) const {
  AccountInputs inputs;
  inputs.account = account;
  auto policies = store_.policies_of(account.name);
  const auto lists = store_.lists_of(account.name);
  const auto devices = store_.devices_of(account.name);
  if (!policies || !lists || !devices) {
    return std::unexpected(!policies ? policies.error() : !lists ? lists.error() : devices.error());
  }
  inputs.secondaries = secondaries_among(*devices);
  inputs.policies = std::move(*policies);
  for (const store::CustomList& list : *lists) {
    auto own = read_list(list);
    if (!own && own.error().code == ErrorCode::not_found) {
      continue;  // removed this moment; the build that follows that change sees it whole
    }
    if (!own) {
      return std::unexpected(own.error());
    }
    inputs.lists.push_back(std::move(*own));
  }
  for (const store::Policy& policy : inputs.policies) {
    inputs.policy_feeds.push_back(policy::feeds_of(policy, feeds_));
  }
  return inputs;
}

Status Inputs::read_account(uint32_t number) {
  const auto account = store_.account_of(number);
  if (!account && account.error().code != ErrorCode::not_found) {
    return std::unexpected(account.error());
  }
  if (!account) {
    accounts_.erase(number);
    return {};
  }
  auto inputs = read_contents(*account);
  if (!inputs && inputs.error().code == ErrorCode::not_found) {
    accounts_.erase(number);  // removed this moment
    return {};
  }
  if (!inputs) {
    return in(fmt::format("account {}", account->name), inputs.error());
  }
  accounts_[number] = std::move(*inputs);
  return {};
}

Result<bool> Inputs::read_secondaries(uint32_t number) {
  const auto inputs = accounts_.find(number);
  if (inputs == accounts_.end()) {
    return false;
  }
  const auto devices = store_.devices_of(inputs->second.account.name);
  if (!devices && devices.error().code != ErrorCode::not_found) {
    return std::unexpected(devices.error());
  }
  auto names = devices ? secondaries_among(*devices) : std::vector<std::string>{};
  const bool differs = names != inputs->second.secondaries;
  inputs->second.secondaries = std::move(names);
  return differs;
}

Status Inputs::read_all_accounts() {
  accounts_.clear();
  const auto accounts = store_.accounts();
  if (!accounts) {
    return std::unexpected(accounts.error());
  }
  for (const store::Account& account : *accounts) {
    if (auto read = read_account(account.number); !read) {
      return read;
    }
  }
  return {};
}

Status Inputs::load_sets() {
  const std::vector<std::string> ids(stale_.begin(), stale_.end());
  std::vector<Result<store::FeedSet>> sets = read_sets(store_, ids);
  for (size_t i = 0; i < ids.size(); ++i) {
    const std::string& id = ids[i];
    Result<store::FeedSet>& set = sets[i];
    if (find_feed(id) == nullptr || (!set && set.error().code == ErrorCode::not_found)) {
      data_.erase(id);
      continue;
    }
    if (!set) {
      return in(fmt::format("feed {}", id), set.error());
    }
    FeedData& data = data_[id];
    data.domain_hashes = hashes_of(set->domains);
    set->domains = {};
    data.addresses = std::make_shared<const store::FeedSet>(std::move(*set));
  }
  stale_.clear();
  if (!universe_stale_) {
    return {};
  }
  std::vector<policy::Universe::Feed> feeds;
  for (const store::FeedRecord& record : feeds_) {
    const auto data = data_.find(record.definition.id);
    if (is_used(record, store::Direction::block) && data != data_.end()) {
      feeds.push_back({.id = record.definition.id, .set = data->second.addresses.get()});
    }
  }
  universe_ = policy::Universe::build(feeds, {.narrow_from = narrow_from_, .threads = kThreads});
  static const store::FeedSet kNothing;
  allowed_ = policy::allowed_addresses(feeds_, [this](const std::string& id) -> const auto& {
    const auto data = data_.find(id);
    return data == data_.end() ? kNothing : *data->second.addresses;
  });
  universe_stale_ = false;
  return {};
}

address::IpSet Inputs::addresses_of(const std::string& feed) const {
  const auto data = data_.find(feed);
  return data == data_.end() ? address::IpSet{} : data->second.addresses->addresses();
}

int64_t Inputs::changed_of(const std::vector<std::string>& feeds) const {
  int64_t changed = 0;
  for (const std::string& id : feeds) {
    const store::FeedRecord* record = find_feed(id);
    changed = std::max(changed, record == nullptr ? 0 : record->state.last_changed);
  }
  return changed;
}

uint64_t Inputs::domain_count_of(const std::vector<std::string>& feeds) const {
  std::vector<uint64_t> all;
  for (const std::string& id : feeds) {
    if (const auto data = data_.find(id); data != data_.end()) {
      const auto middle = static_cast<ptrdiff_t>(all.size());
      all.insert(all.end(), data->second.domain_hashes.begin(), data->second.domain_hashes.end());
      std::inplace_merge(all.begin(), all.begin() + middle, all.end());
      all.erase(std::unique(all.begin(), all.end()), all.end());
    }
  }
  return all.size();
}

}  // namespace merlon::coordinator
