// SPDX-License-Identifier: Apache-2.0
// The accounts' own lists, without their entries (entries.cc), and the names within an account.
#include <algorithm>
#include <limits>

#include "controlplane/policy/lists.h"
#include "controlplane/store/rules.h"
#include "controlplane/store/store_impl.h"

namespace merlon::store {
namespace {

// Keys of an owned column for accounts from `first` up to `end`.
struct Bounds {
  std::string first;
  std::string end;
};
Bounds bounds_of(uint32_t first_account, uint64_t end_account) {
  const bool to_the_end = end_account > std::numeric_limits<uint32_t>::max();
  return {big_endian(first_account),
          to_the_end ? std::string(5, '\xff') : big_endian(static_cast<uint32_t>(end_account))};
}

}  // namespace

Result<CustomList> Store::Impl::load_list(const std::string& account,
                                          const std::string& name) const {
  const auto owner = load_account(account);
  if (!owner) {
    return std::unexpected(owner.error());
  }
  const auto text = database->get(Column::lists, owned_key(owner->number, name));
  if (!text) {
    return std::unexpected(text.error());
  }
  if (!*text) {
    return fail(ErrorCode::not_found, "account {} has no list {}", account, name);
  }
  auto list = decode_list(**text);
  if (!list) {
    return in(fmt::format("store {}: list {} of account {}", database->path(), name, account),
              list.error());
  }
  return list;
}

Result<std::vector<CustomList>> Store::Impl::load_lists(uint32_t first_account,
                                                        uint64_t end_account) const {
  const Bounds bounds = bounds_of(first_account, end_account);
  std::vector<CustomList> lists;
  const auto walked =
      for_each_in(*database, Column::lists, bounds.first, bounds.end,
                  [&](std::string_view key, std::string_view record) -> Status {
                    auto list = decode_list(record);
                    if (!list) {
                      return in(fmt::format("store {}: list {}", database->path(), key.substr(4)),
                                list.error());
                    }
                    lists.push_back(std::move(*list));
                    return {};
                  });
  if (!walked) {
    return std::unexpected(walked.error());
  }
  return lists;
}

Result<std::vector<Policy>> Store::Impl::load_policies(uint32_t first_account,
                                                       uint64_t end_account) const {
  const Bounds bounds = bounds_of(first_account, end_account);
  std::vector<Policy> policies;
  const auto walked =
      for_each_in(*database, Column::policies, bounds.first, bounds.end,
                  [&](std::string_view key, std::string_view record) -> Status {
                    auto policy = decode_policy(record);
                    if (!policy) {
                      return in(fmt::format("store {}: policy {}", database->path(), key.substr(4)),
                                policy.error());
                    }
                    policies.push_back(std::move(*policy));
                    return {};
                  });
  if (!walked) {
    return std::unexpected(walked.error());
  }
  return policies;
}

Status Store::Impl::put_list(rocksdb::WriteBatch& batch, const CustomList& list) const {
  const auto text = encode_list(list);
  if (!text) {
    return std::unexpected(text.error());
  }
  const std::string key = owned_key(list.account_number, list.name);
  rocksdb::ColumnFamilyHandle* lists = database->column(Column::lists);
  auto put = batch.Put(lists, slice(key), slice(*text));
  if (put.ok()) {
    put = batch.Put(lists, list_number_key(list.number), slice(key));
  }
  return put.ok() ? Status{} : database->failed(put);
}

Status Store::Impl::delete_list(rocksdb::WriteBatch& batch, const CustomList& list) const {
  const std::string first = entry_key(list.number, "");
  const auto emptied =
      for_each_in(*database, Column::entries, first, end_of(first),
                  [&](std::string_view key, std::string_view stored) {
                    return remove_entry(batch, list.number, key.substr(first.size()), stored);
                  });
  if (!emptied) {
    return emptied;
  }
  rocksdb::ColumnFamilyHandle* lists = database->column(Column::lists);
  auto removed = batch.Delete(lists, owned_key(list.account_number, list.name));
  if (removed.ok()) {
    removed = batch.Delete(lists, list_number_key(list.number));
  }
  return removed.ok() ? Status{} : database->failed(removed);
}

Status Store::Impl::check_owned_name(const Account& account, const std::string& name) const {
  if (auto free = check_account_name(account.name); !free) {  // one of an upgraded database
    return free;
  }
  const auto lists = load_lists(account.number, uint64_t{account.number} + 1);
  const auto policies = load_policies(account.number, uint64_t{account.number} + 1);
  if (!lists || !policies) {
    return std::unexpected(!lists ? lists.error() : policies.error());
  }
  std::vector<std::string> names;
  for (const std::string_view own : {policy::kCatalogLabel, policy::kRpzLabel,
                                     policy::kNameServerLabel, policy::kMailboxLabel}) {
    names.emplace_back(own);
  }
  for (const CustomList& list : *lists) {
    names.push_back(list.name);
  }
  for (const Policy& policy : *policies) {
    names.push_back(policy.name);
  }
  const auto conflict = policy::list_name_conflict(names, name);
  if (!conflict.empty()) {
    return fail(ErrorCode::conflict, "{} (the lists and policies of an account share their names)",
                conflict);
  }
  return {};
}

Result<CustomList> Store::add_list(CustomList list, int64_t now) {
  if (auto good = check_list(list); !good) {
    return in("add list", good.error());
  }
  const std::lock_guard lock(impl_->writing);
  const auto account = impl_->load_account(list.account);
  if (!account) {
    return in("add list", account.error());
  }
  if (auto free = impl_->check_owned_name(*account, list.name); !free) {
    return in(fmt::format("add list {} to account {}", list.name, list.account), free.error());
  }
  list.created = now;
  list.changed = now;
  list.entry_count = 0;
  list.number = impl_->next.list;
  list.account_number = account->number;
  rocksdb::WriteBatch batch;
  if (auto put = impl_->put_list(batch, list); !put) {
    return in("add list", put.error());
  }
  put_number(batch, impl_->database->column(Column::meta), kNextListKey, uint64_t{list.number} + 1);
  const Change change{
      .kind = Change::Kind::list, .account = list.account_number, .list = list.number};
  if (auto written = impl_->commit(batch, {change}); !written) {
    return std::unexpected(written.error());
  }
  ++impl_->next.list;
  return list;
}

Status Store::remove_list(const std::string& account, const std::string& name) {
  const std::lock_guard lock(impl_->writing);
  const auto list = impl_->load_list(account, name);
  if (!list) {
    return in("remove list", list.error());
  }
  const auto policies =
      impl_->load_policies(list->account_number, uint64_t{list->account_number} + 1);
  if (!policies) {
    return in("remove list", policies.error());
  }
  for (const Policy& policy : *policies) {
    if (std::find(policy.lists.begin(), policy.lists.end(), name) != policy.lists.end()) {
      return fail(ErrorCode::conflict,
                  "remove list: policy {} of account {} uses list {}; take it out there first",
                  policy.name, account, name);
    }
  }
  rocksdb::WriteBatch batch;
  if (auto deleted = impl_->delete_list(batch, *list); !deleted) {
    return in("remove list", deleted.error());
  }
  return impl_->commit(
      batch, {{.kind = Change::Kind::list, .account = list->account_number, .list = list->number}});
}

Result<CustomList> Store::list(const std::string& account, const std::string& name) const {
  return impl_->load_list(account, name);
}

Result<std::vector<CustomList>> Store::lists_of(const std::string& account) const {
  const auto found = impl_->load_account(account);
  if (!found) {
    return std::unexpected(found.error());
  }
  return impl_->load_lists(found->number, uint64_t{found->number} + 1);
}

Result<std::vector<CustomList>> Store::lists() const {
  return impl_->load_lists(1, uint64_t{1} << 32);
}

}  // namespace merlon::store
