// SPDX-License-Identifier: Apache-2.0
// Accounts, and what goes with one that is removed.
#include <limits>

#include "controlplane/policy/lists.h"
#include "controlplane/store/rules.h"
#include "controlplane/store/store_impl.h"

namespace merlon::store {

Result<Account> Store::Impl::load_account(const std::string& name) const {
  const auto text = database->get(Column::accounts, name);
  if (!text) {
    return std::unexpected(text.error());
  }
  if (!*text || name.starts_with('/')) {
    return fail(ErrorCode::not_found, "there is no account {}", name);
  }
  auto account = decode_account(**text);
  if (!account) {
    return in(fmt::format("store {}: account {}", database->path(), name), account.error());
  }
  return account;
}

Status Store::Impl::put_account(rocksdb::WriteBatch& batch, const Account& account) const {
  const auto text = encode_account(account);
  if (!text) {
    return std::unexpected(text.error());
  }
  rocksdb::ColumnFamilyHandle* accounts = database->column(Column::accounts);
  auto put = batch.Put(accounts, slice(account.name), slice(*text));
  if (put.ok()) {
    put = batch.Put(accounts, account_number_key(account.number), slice(account.name));
  }
  return put.ok() ? Status{} : database->failed(put);
}

Status Store::Impl::check_account_name(const std::string& name) const {
  std::vector<std::string> lists = policy::reserved_list_names();
  const auto feeds = load_feeds({});
  if (!feeds) {
    return std::unexpected(feeds.error());
  }
  for (const StoredFeed& feed : *feeds) {
    lists.push_back(feed.record.definition.id);
    lists.push_back(feed.record.definition.category);
  }
  for (const std::string& list : lists) {
    if (policy::owns_name(list, name)) {
      return fail(ErrorCode::conflict,
                  "account {}: the shared list {} has this name, or may come to have it for one of "
                  "its parts; choose another",
                  name, list);
    }
  }
  return {};
}

Result<Account> Store::Impl::make_account(Account account, Numbers& numbers,
                                          rocksdb::WriteBatch& batch) const {
  if (auto free = check_account_name(account.name); !free) {
    return std::unexpected(free.error());
  }
  const std::string known_key = known_account_key(account.name);
  const auto known = load_number(known_key, 0);
  if (!known) {
    return std::unexpected(known.error());
  }
  if (*known > std::numeric_limits<uint32_t>::max()) {
    return database->damaged(fmt::format("account {} has the number {}", account.name, *known));
  }
  rocksdb::ColumnFamilyHandle* meta = database->column(Column::meta);
  account.number = static_cast<uint32_t>(*known);
  if (account.number != 0) {
    if (const auto removed = batch.Delete(meta, slice(known_key)); !removed.ok()) {
      return database->failed(removed);
    }
  } else {
    account.number = numbers.account++;
    put_number(batch, meta, kNextAccountKey, numbers.account);
  }
  if (auto put = put_account(batch, account); !put) {
    return std::unexpected(put.error());
  }
  return account;
}

Result<Account> Store::add_account(Account account, int64_t now) {
  if (auto good = check_account(account); !good) {
    return in("add account", good.error());
  }
  const std::lock_guard lock(impl_->writing);
  const auto present = impl_->database->get(Column::accounts, account.name);
  if (!present) {
    return std::unexpected(present.error());
  }
  if (*present) {
    return fail(ErrorCode::conflict, "add account: there is an account {} already", account.name);
  }
  account.created = now;
  rocksdb::WriteBatch batch;
  Impl::Numbers numbers = impl_->next;
  auto made = impl_->make_account(std::move(account), numbers, batch);
  if (!made) {
    return in("add account", made.error());
  }
  if (auto written =
          impl_->commit(batch, {{.kind = Change::Kind::account, .account = made->number}});
      !written) {
    return std::unexpected(written.error());
  }
  impl_->next = numbers;
  return made;
}

Result<Account> Store::replace_account(const Account& account) {
  if (auto good = check_account(account); !good) {
    return in("replace account", good.error());
  }
  const std::lock_guard lock(impl_->writing);
  auto stored = impl_->load_account(account.name);
  if (!stored) {
    return in("replace account", stored.error());
  }
  const Account before = *stored;
  stored->title = account.title;
  stored->tier = account.tier;
  if (*stored == before) {
    return stored;
  }
  rocksdb::WriteBatch batch;
  if (auto put = impl_->put_account(batch, *stored); !put) {
    return in("replace account", put.error());
  }
  if (auto written =
          impl_->commit(batch, {{.kind = Change::Kind::account, .account = stored->number}});
      !written) {
    return std::unexpected(written.error());
  }
  return stored;
}

Status Store::Impl::remove_contents(rocksdb::WriteBatch& batch, const Account& account,
                                    const RemoveAccount& options) const {
  const auto devices = load_devices_of(account.number);
  const auto lists = load_lists(account.number, uint64_t{account.number} + 1);
  const auto policies = load_policies(account.number, uint64_t{account.number} + 1);
  if (!devices || !lists || !policies) {
    return std::unexpected(!devices ? devices.error() : !lists ? lists.error() : policies.error());
  }
  if (!options.with_contents && (!devices->empty() || !lists->empty() || !policies->empty())) {
    return fail(ErrorCode::conflict,
                "account {} has devices ({}), lists ({}) or policies ({}); remove them first, or "
                "ask for them to go with it",
                account.name, devices->size(), lists->size(), policies->size());
  }
  for (const Device& device : *devices) {
    if (auto deleted = delete_device(batch, device); !deleted) {
      return deleted;
    }
  }
  for (const CustomList& list : *lists) {
    if (auto deleted = delete_list(batch, list); !deleted) {
      return deleted;
    }
  }
  for (const Policy& policy : *policies) {
    const auto deleted =
        batch.Delete(database->column(Column::policies), owned_key(account.number, policy.name));
    if (!deleted.ok()) {
      return database->failed(deleted);
    }
  }
  return {};
}

Status Store::remove_account(const std::string& name, const RemoveAccount& options) {
  const std::lock_guard lock(impl_->writing);
  const auto account = impl_->load_account(name);
  if (!account) {
    return in("remove account", account.error());
  }
  rocksdb::WriteBatch batch;
  if (auto emptied = impl_->remove_contents(batch, *account, options); !emptied) {
    return in("remove account", emptied.error());
  }
  rocksdb::ColumnFamilyHandle* accounts = impl_->database->column(Column::accounts);
  auto removed = batch.Delete(accounts, slice(name));
  if (removed.ok()) {
    removed = batch.Delete(accounts, account_number_key(account->number));
  }
  if (!removed.ok()) {
    return impl_->database->failed(removed);
  }
  return impl_->commit(batch, {{.kind = Change::Kind::account, .account = account->number},
                               {.kind = Change::Kind::devices, .account = account->number}});
}

Result<Account> Store::account(const std::string& name) const {
  return impl_->load_account(name);
}

Result<Account> Store::account_of(uint32_t number) const {
  const auto name = impl_->database->get(Column::accounts, account_number_key(number));
  if (!name) {
    return std::unexpected(name.error());
  }
  if (!*name) {
    return fail(ErrorCode::not_found, "there is no account number {}", number);
  }
  return impl_->load_account(**name);
}

Result<std::vector<Account>> Store::accounts() const {
  const Database& database = *impl_->database;
  std::vector<Account> accounts;
  const auto walked = for_each_in(
      database, Column::accounts, "0", "~",
      [&](std::string_view name, std::string_view record) -> Status {
        auto account = decode_account(record);
        if (!account) {
          return in(fmt::format("store {}: account {}", database.path(), name), account.error());
        }
        accounts.push_back(std::move(*account));
        return {};
      });
  if (!walked) {
    return std::unexpected(walked.error());
  }
  return accounts;
}

}  // namespace merlon::store
