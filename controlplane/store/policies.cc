// SPDX-License-Identifier: Apache-2.0
// Policies: what an account blocks, and how.
#include <algorithm>
#include <set>

#include "controlplane/policy/lists.h"
#include "controlplane/store/rules.h"
#include "controlplane/store/store_impl.h"
#include "zones/base/nearest.h"

namespace merlon::store {
namespace {

// A misspelt name would match nothing, and nobody would notice.
Status check_known(std::string_view what, const std::vector<std::string>& wanted,
                   const std::set<std::string, std::less<>>& known) {
  for (const std::string& name : wanted) {
    if (known.contains(name)) {
      continue;
    }
    const std::vector<std::string_view> names(known.begin(), known.end());
    const std::string_view meant = nearest(name, names);
    return fail(ErrorCode::invalid_argument, "there is no {} {}{}", what, name,
                meant.empty() ? std::string() : fmt::format("; did you mean {}?", meant));
  }
  return {};
}

}  // namespace

Result<Policy> Store::Impl::load_policy(const std::string& account, const std::string& name) const {
  const auto owner = load_account(account);
  if (!owner) {
    return std::unexpected(owner.error());
  }
  const auto text = database->get(Column::policies, owned_key(owner->number, name));
  if (!text) {
    return std::unexpected(text.error());
  }
  if (!*text) {
    return fail(ErrorCode::not_found, "account {} has no policy {}", account, name);
  }
  auto policy = decode_policy(**text);
  if (!policy) {
    return in(fmt::format("store {}: policy {} of account {}", database->path(), name, account),
              policy.error());
  }
  return policy;
}

Status Store::Impl::put_policy(rocksdb::WriteBatch& batch, const Policy& policy) const {
  const auto text = encode_policy(policy);
  if (!text) {
    return std::unexpected(text.error());
  }
  const auto put = batch.Put(database->column(Column::policies),
                             owned_key(policy.account_number, policy.name), slice(*text));
  return put.ok() ? Status{} : database->failed(put);
}

Status Store::Impl::check_policy_names(const Policy& policy) const {
  const auto feeds = load_feeds({});
  const auto lists = load_lists(policy.account_number, uint64_t{policy.account_number} + 1);
  if (!feeds || !lists) {
    return std::unexpected(!feeds ? feeds.error() : lists.error());
  }
  std::set<std::string, std::less<>> feed_names;
  std::set<std::string, std::less<>> categories(policy::kCategoryNames.begin(),
                                                policy::kCategoryNames.end());
  for (const StoredFeed& feed : *feeds) {
    feed_names.insert(feed.record.definition.id);
    categories.insert(feed.record.definition.category);
  }
  std::set<std::string, std::less<>> list_names;
  for (const CustomList& list : *lists) {
    list_names.insert(list.name);
  }
  for (size_t i = 0; i < policy.targets.size(); ++i) {
    const Target& target = policy.targets[i];
    for (const Status& known : {check_known("feed", target.feeds, feed_names),
                                check_known("category", target.categories, categories)}) {
      if (!known) {
        return in(fmt::format("target {}", i + 1), known.error());
      }
    }
  }
  return check_known(fmt::format("list of account {} called", policy.account), policy.lists,
                     list_names);
}

Result<Policy> Store::add_policy(Policy policy, int64_t now) {
  if (auto good = check_policy(policy); !good) {
    return in("add policy", good.error());
  }
  const std::lock_guard lock(impl_->writing);
  const auto account = impl_->load_account(policy.account);
  if (!account) {
    return in("add policy", account.error());
  }
  policy.created = now;
  policy.changed = now;
  policy.number = impl_->next.policy;
  policy.account_number = account->number;
  const std::string context =
      fmt::format("add policy {} to account {}", policy.name, account->name);
  if (auto free = impl_->check_owned_name(*account, policy.name); !free) {
    return in(context, free.error());
  }
  if (auto known = impl_->check_policy_names(policy); !known) {
    return in(context, known.error());
  }
  rocksdb::WriteBatch batch;
  if (auto put = impl_->put_policy(batch, policy); !put) {
    return in(context, put.error());
  }
  put_number(batch, impl_->database->column(Column::meta), kNextPolicyKey,
             uint64_t{policy.number} + 1);
  const Change change{
      .kind = Change::Kind::policy, .account = policy.account_number, .policy = policy.number};
  if (auto written = impl_->commit(batch, {change}); !written) {
    return std::unexpected(written.error());
  }
  ++impl_->next.policy;
  return policy;
}

Result<Policy> Store::replace_policy(const Policy& policy, int64_t now) {
  if (auto good = check_policy(policy); !good) {
    return in("replace policy", good.error());
  }
  const std::lock_guard lock(impl_->writing);
  const auto stored = impl_->load_policy(policy.account, policy.name);
  if (!stored) {
    return in("replace policy", stored.error());
  }
  Policy made = policy;
  made.created = stored->created;
  made.changed = stored->changed;
  made.number = stored->number;
  made.account_number = stored->account_number;
  if (made == *stored) {
    return made;
  }
  made.changed = now;
  if (auto known = impl_->check_policy_names(made); !known) {
    return in(fmt::format("replace policy {} of account {}", made.name, made.account),
              known.error());
  }
  rocksdb::WriteBatch batch;
  if (auto put = impl_->put_policy(batch, made); !put) {
    return in("replace policy", put.error());
  }
  const Change change{
      .kind = Change::Kind::policy, .account = made.account_number, .policy = made.number};
  if (auto written = impl_->commit(batch, {change}); !written) {
    return std::unexpected(written.error());
  }
  return made;
}

Status Store::remove_policy(const std::string& account, const std::string& name) {
  const std::lock_guard lock(impl_->writing);
  const auto policy = impl_->load_policy(account, name);
  if (!policy) {
    return in("remove policy", policy.error());
  }
  const auto devices = impl_->load_devices_of(policy->account_number);
  if (!devices) {
    return in("remove policy", devices.error());
  }
  for (const Device& device : *devices) {
    if (device.dns_policy == name) {
      return fail(ErrorCode::conflict,
                  "remove policy {}: device {} recurses under it; give it another first", name,
                  device.name);
    }
  }
  rocksdb::WriteBatch batch;
  const auto removed = batch.Delete(impl_->database->column(Column::policies),
                                    owned_key(policy->account_number, name));
  if (!removed.ok()) {
    return impl_->database->failed(removed);
  }
  return impl_->commit(batch, {{.kind = Change::Kind::policy,
                                .account = policy->account_number,
                                .policy = policy->number}});
}

Result<Policy> Store::policy(const std::string& account, const std::string& name) const {
  return impl_->load_policy(account, name);
}

Result<std::vector<Policy>> Store::policies_of(const std::string& account) const {
  const auto found = impl_->load_account(account);
  if (!found) {
    return std::unexpected(found.error());
  }
  return impl_->load_policies(found->number, uint64_t{found->number} + 1);
}

Result<std::vector<Policy>> Store::policies() const {
  return impl_->load_policies(1, uint64_t{1} << 32);
}

}  // namespace merlon::store
