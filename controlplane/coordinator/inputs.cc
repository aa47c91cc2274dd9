// SPDX-License-Identifier: Apache-2.0
#include "controlplane/coordinator/inputs.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <atomic>
#include <deque>
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

constexpr int kNarrowDevice4 = 24;
constexpr int kNarrowDevice6 = 48;

address::IpSet addresses_of_devices(const std::vector<store::Device>& devices, int from4,
                                    int from6) {
  std::vector<address::Range<address::Bits4>> v4;
  std::vector<address::Range<address::Bits6>> v6;
  for (const store::Device& device : devices) {
    for (const address::AnyPrefix& source : device.sources) {
      if (source.family == address::Family::v4 && source.length >= from4) {
        v4.push_back(source.v4().range());
      } else if (source.family == address::Family::v6 && source.length >= from6) {
        v6.push_back(source.v6().range());
      }
    }
  }
  return {address::RangeSet4::from_unsorted(std::move(v4)),
          address::RangeSet6::from_unsorted(std::move(v6))};
}

void put_devices(const std::vector<store::Device>& devices, AccountInputs& inputs) {
  inputs.secondaries = secondaries_among(devices);
  inputs.device_addresses = addresses_of_devices(devices, 0, 0);
  inputs.narrow_device_addresses = addresses_of_devices(devices, kNarrowDevice4, kNarrowDevice6);
}

template <class Bits>
address::RangeSet<Bits> part_of(std::span<const policy::ElementaryRange<Bits>> ranges,
                                const address::RangeSet<Bits>& set) {
  std::vector<address::Range<Bits>> parts;
  for (const address::Range<Bits>& wanted : set.ranges()) {
    auto at = std::ranges::lower_bound(ranges, wanted.first, {},
                                       [](const auto& range) { return range.last; });
    for (; at != ranges.end() && at->first <= wanted.last; ++at) {
      parts.push_back({std::max(at->first, wanted.first), std::min(at->last, wanted.last)});
    }
  }
  return address::RangeSet<Bits>::from_unsorted(std::move(parts));
}

}  // namespace

address::IpSet Inputs::listed_part(const address::IpSet& addresses) const {
  return {part_of<address::Bits4>(universe_.ranges4(), addresses.v4),
          part_of<address::Bits6>(universe_.ranges6(), addresses.v6)};
}

address::IpSet Inputs::narrow_device_addresses() const {
  std::vector<address::Range<address::Bits4>> v4;
  std::vector<address::Range<address::Bits6>> v6;
  for (const auto& [number, inputs] : accounts_) {
    const address::IpSet& own = inputs.narrow_device_addresses;
    v4.insert(v4.end(), own.v4.ranges().begin(), own.v4.ranges().end());
    v6.insert(v6.end(), own.v6.ranges().begin(), own.v6.ranges().end());
  }
  return {address::RangeSet4::from_unsorted(std::move(v4)),
          address::RangeSet6::from_unsorted(std::move(v6))};
}

bool Inputs::may_be_listed(const address::IpSet& before, const address::IpSet& after) const {
  if (before == after) {
    return false;
  }
  return universe_stale_ || !listed_part(before.minus(after).united(after.minus(before))).empty();
}

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
  if (auto read = read_concerned(concerned); !read) {
    return std::unexpected(read.error());
  }
  if (!definitions.empty()) {
    concern_definitions(definitions, concerned);
  }
  return concerned;
}

// The accounts that changed, and of others the devices.
Status Inputs::read_concerned(Concerned& concerned) {
  const auto narrow_of = [this](uint32_t number) {
    const auto at = accounts_.find(number);
    return at == accounts_.end() ? address::IpSet{} : at->second.narrow_device_addresses;
  };
  for (const uint32_t number : concerned.accounts) {
    const address::IpSet before = narrow_of(number);
    if (auto read = read_account(number); !read) {
      return std::unexpected(read.error());
    }
    concerned.shared = concerned.shared || may_be_listed(before, narrow_of(number));
  }
  for (auto at = concerned.catalogs.begin(); at != concerned.catalogs.end();) {
    const auto differs = read_devices(*at);
    if (!differs) {
      return std::unexpected(differs.error());
    }
    if (differs->addresses) {
      concerned.accounts.insert(*at);
      concerned.shared = true;
    }
    at = differs->secondaries ? std::next(at) : concerned.catalogs.erase(at);
  }
  return {};
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
  put_devices(*devices, inputs);
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

Result<Inputs::Differs> Inputs::read_devices(uint32_t number) {
  const auto at = accounts_.find(number);
  if (at == accounts_.end()) {
    return Differs{};
  }
  AccountInputs& inputs = at->second;
  const auto devices = store_.devices_of(inputs.account.name);
  if (!devices && devices.error().code != ErrorCode::not_found) {
    return std::unexpected(devices.error());
  }
  const std::vector<std::string> secondaries = std::move(inputs.secondaries);
  const address::IpSet addresses = std::move(inputs.device_addresses);
  put_devices(devices ? *devices : std::vector<store::Device>{}, inputs);
  return Differs{.secondaries = secondaries != inputs.secondaries,
                 .addresses = may_be_listed(addresses, inputs.device_addresses)};
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
  auto parts = wanted_parts();
  const bool same = std::ranges::equal(
      parts, parts_, {}, [](const auto& one) { return one.first; },
      [](const auto& one) { return one.first; });
  if (!universe_stale_ && same) {
    return {};
  }
  parts_ = std::move(parts);
  build_universe();
  universe_stale_ = false;
  return {};
}

std::map<std::string, Inputs::Part> Inputs::wanted_parts() const {
  std::map<std::string, Part> parts;
  for (const auto& [number, inputs] : accounts_) {
    for (const store::Policy& policy : inputs.policies) {
      for (const store::Target& target : policy.targets) {
        const std::string places = policy::places_of(target);
        if (places.empty() || policy.kind != store::PolicyKind::ip || !addresses_at(target)) {
          continue;
        }
        for (const store::FeedRecord& record : feeds_) {
          if (is_used(record, store::Direction::block) &&
              policy::meets(target, record.definition)) {
            const std::string& feed = record.definition.id;
            parts.try_emplace(policy::part_id(feed, places), Part{feed, target});
          }
        }
      }
    }
  }
  return parts;
}

void Inputs::build_universe() {
  std::vector<policy::Universe::Feed> feeds;
  for (const store::FeedRecord& record : feeds_) {
    const auto data = data_.find(record.definition.id);
    if (is_used(record, store::Direction::block) && data != data_.end()) {
      feeds.push_back({.id = record.definition.id, .set = data->second.addresses.get()});
    }
  }
  std::deque<store::FeedSet> parts;
  for (const auto& [id, part] : parts_) {
    const auto data = data_.find(part.feed);
    const auto within = addresses_at(part.target);
    if (data != data_.end() && within && feeds.size() < policy::Universe::kFeedCountMax) {
      parts.push_back(policy::part_of(*data->second.addresses, *within));
      feeds.push_back({.id = id, .set = &parts.back()});
    }
  }
  universe_ = policy::Universe::build(feeds, {.narrow_from = narrow_from_, .threads = kThreads});
  static const store::FeedSet kNothing;
  allowed_ = policy::allowed_addresses(feeds_, [this](const std::string& id) -> const auto& {
    const auto data = data_.find(id);
    return data == data_.end() ? kNothing : *data->second.addresses;
  });
}

void Inputs::set_geo(std::shared_ptr<const enrich::Geo> geo) {
  geo_ = std::move(geo);
  geo_sets_.clear();
  universe_stale_ = true;
}

Result<address::IpSet> Inputs::addresses_at(const store::Target& target) const {
  const std::string places = policy::places_of(target);
  const auto known = geo_sets_.find(places);
  if (known != geo_sets_.end()) {
    return known->second;
  }
  auto made = geo_->addresses_of(target.countries, target.asns);
  if (made) {
    geo_sets_.emplace(places, *made);
  }
  return made;
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
