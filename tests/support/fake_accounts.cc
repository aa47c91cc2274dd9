// SPDX-License-Identifier: Apache-2.0
// The accounts of FakeOperations.
#include <algorithm>

#include "tests/support/fake_begin.h"
#include "tests/support/fake_operations.h"

namespace merlon::tests {
namespace {

bool is_label(const std::string& text) {
  return !text.empty() && text.size() <= 40 && text.front() != '-' && text.back() != '-' &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
         });
}

template <class Map>
auto values_of(const Map& map) {
  std::vector<typename Map::mapped_type> values;
  for (const auto& [name, value] : map) {
    values.push_back(value);
  }
  return values;
}

}  // namespace

Status check_label(std::string_view what, const std::string& text) {
  if (!is_label(text)) {
    return fail(ErrorCode::invalid_argument, "{} \"{}\": must be 1 to 40 of a-z, 0-9 and inner -",
                what, text);
  }
  return {};
}

FakeOperations::Account& FakeOperations::account_named(const std::string& name) {
  const auto [found, is_new] = accounts_.try_emplace(name);
  store::Account& account = found->second.account;
  if (is_new) {
    account.name = name;
    account.number = ++account_number_;
    account.created = clock_();
  }
  return found->second;
}

Result<FakeOperations::Account*> FakeOperations::find_account(const std::string& name) {
  const auto found = accounts_.find(name);
  if (found == accounts_.end()) {
    return fail(ErrorCode::not_found, "there is no account \"{}\"", name);
  }
  return &found->second;
}

Result<FakeOperations::OwnList*> FakeOperations::find_list(const std::string& account,
                                                           const std::string& name) {
  const auto owner = find_account(account);
  if (!owner) {
    return std::unexpected(owner.error());
  }
  const auto found = (*owner)->lists.find(name);
  if (found == (*owner)->lists.end()) {
    return fail(ErrorCode::not_found, "account {} has no list \"{}\"", account, name);
  }
  return &found->second;
}

Result<std::vector<store::Account>> FakeOperations::accounts() {
  MERLON_BEGIN();
  std::vector<store::Account> accounts;
  for (const auto& [name, account] : accounts_) {
    accounts.push_back(account.account);
  }
  return accounts;
}

Result<store::Account> FakeOperations::account(const std::string& name) {
  MERLON_BEGIN();
  const auto found = find_account(name);
  return found ? Result<store::Account>((*found)->account) : std::unexpected(found.error());
}

Result<store::Account> FakeOperations::add_account(const store::Account& account) {
  MERLON_BEGIN();
  if (const Status label = check_label("account", account.name); !label) {
    return std::unexpected(label.error());
  }
  if (accounts_.contains(account.name)) {
    return fail(ErrorCode::conflict, "account \"{}\" exists already", account.name);
  }
  store::Account& made = account_named(account.name).account;
  made.title = account.title;
  made.tier = account.tier;
  return made;
}

Result<store::Account> FakeOperations::replace_account(const store::Account& account) {
  MERLON_BEGIN();
  const auto found = find_account(account.name);
  if (!found) {
    return std::unexpected(found.error());
  }
  (*found)->account.title = account.title;
  (*found)->account.tier = account.tier;
  return (*found)->account;
}

Status FakeOperations::remove_account(const std::string& name,
                                      const store::RemoveAccount& options) {
  MERLON_BEGIN();
  const auto found = find_account(name);
  if (!found) {
    return std::unexpected(found.error());
  }
  const auto is_its = [&](const auto& device) { return device.second.account == name; };
  const bool has_devices = std::any_of(devices_.begin(), devices_.end(), is_its);
  if (!options.with_contents &&
      (has_devices || !(*found)->lists.empty() || !(*found)->policies.empty())) {
    return fail(ErrorCode::conflict, "account {} has devices, lists or policies", name);
  }
  std::erase_if(devices_, is_its);
  accounts_.erase(name);
  return {};
}

Result<std::vector<store::CustomList>> FakeOperations::lists_of(const std::string& account) {
  MERLON_BEGIN();
  const auto found = find_account(account);
  if (!found) {
    return std::unexpected(found.error());
  }
  std::vector<store::CustomList> lists;
  for (const auto& [name, own] : (*found)->lists) {
    lists.push_back(own.list);
  }
  return lists;
}

Result<store::CustomList> FakeOperations::list_of(const std::string& account,
                                                  const std::string& name) {
  MERLON_BEGIN();
  const auto found = find_list(account, name);
  return found ? Result<store::CustomList>((*found)->list) : std::unexpected(found.error());
}

Result<store::CustomList> FakeOperations::add_list(const store::CustomList& list) {
  MERLON_BEGIN();
  const auto found = find_account(list.account);
  if (!found) {
    return std::unexpected(found.error());
  }
  if (const Status label = check_label("list name", list.name); !label) {
    return std::unexpected(label.error());
  }
  const auto [own, is_new] = (*found)->lists.try_emplace(list.name);
  if (!is_new) {
    return fail(ErrorCode::conflict, "list \"{}\" exists already", list.name);
  }
  own->second.list = list;
  own->second.list.created = clock_();
  own->second.list.number = ++list_number_;
  return own->second.list;
}

Status FakeOperations::remove_list(const std::string& account, const std::string& name) {
  MERLON_BEGIN();
  if (const auto found = find_list(account, name); !found) {
    return std::unexpected(found.error());
  }
  accounts_.at(account).lists.erase(name);
  return {};
}

Result<store::EntryPage> FakeOperations::entries_of(const std::string& account,
                                                    const std::string& list,
                                                    const store::EntryRange& range) {
  MERLON_BEGIN();
  const auto found = find_list(account, list);
  if (!found) {
    return std::unexpected(found.error());
  }
  const auto& entries = (*found)->entries;
  auto at = entries.begin();
  if (!range.after.empty()) {
    const auto after = store::parse_own_value(range.after);
    if (!after) {
      return std::unexpected(after.error());
    }
    at = entries.upper_bound(after->key());
  }
  store::EntryPage page;
  for (; at != entries.end() && page.entries.size() < range.limit; ++at) {
    page.entries.push_back(at->second);
  }
  page.more = at != entries.end();
  return page;
}

Result<store::EntryReport> FakeOperations::add_entries(const std::string& account,
                                                       const std::string& list,
                                                       std::span<const store::CustomEntry> entries,
                                                       store::OnFault on_fault) {
  MERLON_BEGIN();
  const auto found = find_list(account, list);
  if (!found) {
    return std::unexpected(found.error());
  }
  store::EntryReport report;
  std::map<std::string, store::CustomEntry> good;
  for (size_t i = 0; i < entries.size(); ++i) {
    const auto value = store::parse_own_value(entries[i].value);
    if (!value) {
      report.faults.push_back({i, entries[i].value, value.error().message});
      continue;
    }
    good[value->key()] = entries[i];
    good[value->key()].value = value->text;
    good[value->key()].created = clock_();
  }
  report.applied = report.faults.empty() || on_fault == store::OnFault::apply_the_rest;
  if (report.applied) {
    for (auto& [key, entry] : good) {
      const bool is_new = (*found)->entries.insert_or_assign(key, entry).second;
      ++(is_new ? report.added : report.replaced);
    }
  }
  report.entry_count = (*found)->entries.size();
  (*found)->list.entry_count = report.entry_count;
  return report;
}

Result<store::EntryReport> FakeOperations::remove_entries(const std::string& account,
                                                          const std::string& list,
                                                          std::span<const std::string> values,
                                                          store::OnFault on_fault) {
  MERLON_BEGIN();
  const auto found = find_list(account, list);
  if (!found) {
    return std::unexpected(found.error());
  }
  store::EntryReport report;
  std::vector<std::string> keys;
  for (size_t i = 0; i < values.size(); ++i) {
    const auto value = store::parse_own_value(values[i]);
    if (value) {
      keys.push_back(value->key());
    } else {
      report.faults.push_back({i, values[i], value.error().message});
    }
  }
  report.applied = report.faults.empty() || on_fault == store::OnFault::apply_the_rest;
  for (const std::string& key : keys) {
    const bool gone = report.applied && (*found)->entries.erase(key) != 0;
    ++(gone ? report.removed : report.unchanged);
  }
  report.entry_count = (*found)->entries.size();
  (*found)->list.entry_count = report.entry_count;
  return report;
}

Result<std::vector<store::Policy>> FakeOperations::policies_of(const std::string& account) {
  MERLON_BEGIN();
  const auto found = find_account(account);
  return found ? Result<std::vector<store::Policy>>(values_of((*found)->policies))
               : std::unexpected(found.error());
}

Result<store::Policy> FakeOperations::policy(const std::string& account, const std::string& name) {
  MERLON_BEGIN();
  const auto found = find_account(account);
  if (!found) {
    return std::unexpected(found.error());
  }
  const auto policy = (*found)->policies.find(name);
  if (policy == (*found)->policies.end()) {
    return fail(ErrorCode::not_found, "account {} has no policy \"{}\"", account, name);
  }
  return policy->second;
}

Result<store::Policy> FakeOperations::add_policy(const store::Policy& policy) {
  MERLON_BEGIN();
  const auto found = find_account(policy.account);
  if (!found) {
    return std::unexpected(found.error());
  }
  if (const Status label = check_label("policy name", policy.name); !label) {
    return std::unexpected(label.error());
  }
  const auto [made, is_new] = (*found)->policies.try_emplace(policy.name, policy);
  if (!is_new) {
    return fail(ErrorCode::conflict, "policy \"{}\" exists already", policy.name);
  }
  made->second.created = clock_();
  made->second.number = ++policy_number_;
  return made->second;
}

Result<store::Policy> FakeOperations::replace_policy(const store::Policy& policy) {
  MERLON_BEGIN();
  const auto found = find_account(policy.account);
  if (!found) {
    return std::unexpected(found.error());
  }
  const auto stored = (*found)->policies.find(policy.name);
  if (stored == (*found)->policies.end()) {
    return fail(ErrorCode::not_found, "account {} has no policy \"{}\"", policy.account,
                policy.name);
  }
  const uint32_t number = stored->second.number;
  const int64_t created = stored->second.created;
  stored->second = policy;
  stored->second.number = number;
  stored->second.created = created;
  return stored->second;
}

Status FakeOperations::remove_policy(const std::string& account, const std::string& name) {
  MERLON_BEGIN();
  const auto found = find_account(account);
  if (!found) {
    return std::unexpected(found.error());
  }
  if ((*found)->policies.erase(name) == 0) {
    return fail(ErrorCode::not_found, "account {} has no policy \"{}\"", account, name);
  }
  return {};
}

Result<store::Device> FakeOperations::device(const std::string& name) {
  MERLON_BEGIN();
  const auto found = devices_.find(name);
  if (found == devices_.end()) {
    return fail(ErrorCode::not_found, "there is no device \"{}\"", name);
  }
  return found->second;
}

Result<store::Device> FakeOperations::replace_device(const store::Device& device) {
  MERLON_BEGIN();
  const auto found = devices_.find(device.name);
  if (found == devices_.end()) {
    return fail(ErrorCode::not_found, "there is no device \"{}\"", device.name);
  }
  if (device.account != found->second.account) {
    return fail(ErrorCode::invalid_argument, "a device stays with its account");
  }
  found->second = device;
  ++revision_;
  return device;
}

Result<api::ZoneFile> FakeOperations::zone_file(const std::string& token_digest,
                                                const std::string& apex,
                                                const std::string& /*source*/) {
  MERLON_BEGIN();
  for (const auto& [name, device] : devices_) {
    if (!token_digest.empty() && device.token_digest == token_digest) {
      if (apex == device.account + ".merlon.internal") {
        return api::ZoneFile{.serial = 42, .text = apex + ". 300 IN NS ns1.merlon.internal.\n"};
      }
      return fail(ErrorCode::conflict, "no such zone");
    }
  }
  return fail(ErrorCode::not_found, "no such token");
}

}  // namespace merlon::tests
