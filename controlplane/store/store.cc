// SPDX-License-Identifier: Apache-2.0
#include "controlplane/store/store.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <set>

#include "controlplane/policy/lists.h"
#include "controlplane/store/rules.h"
#include "controlplane/store/store_impl.h"

namespace merlon::store {
void put_number(rocksdb::WriteBatch& batch, rocksdb::ColumnFamilyHandle* meta, std::string_view key,
                uint64_t number) {
  // A batch of a few entries cannot exceed its limit, the only way in which Put fails.
  batch.Put(meta, slice(key), fmt::format("{}", number)).PermitUncheckedError();
}

std::string end_of(std::string prefix) {
  while (static_cast<uint8_t>(prefix.back()) == 0xff) {
    prefix.pop_back();
  }
  prefix.back() = static_cast<char>(static_cast<uint8_t>(prefix.back()) + 1);
  return prefix;
}

Store::Store(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Store::~Store() = default;

Result<std::unique_ptr<Store>> Store::open(const std::string& path) {
  auto database = Database::open(path);
  if (!database) {
    return std::unexpected(database.error());
  }
  auto impl = std::make_unique<Impl>(std::move(*database));
  if (auto loaded = impl->load_numbers(); !loaded) {
    return std::unexpected(loaded.error());
  }
  if (auto upgraded = impl->upgrade(); !upgraded) {
    return in(fmt::format("upgrade of the store {}", path), upgraded.error());
  }
  impl->changes.start(impl->revision);
  return std::unique_ptr<Store>(new Store(std::move(impl)));
}

Result<uint64_t> Store::Impl::load_number(std::string_view key, uint64_t otherwise) const {
  const auto text = database->get(Column::meta, key);
  if (!text) {
    return std::unexpected(text.error());
  }
  if (!*text) {
    return otherwise;
  }
  uint64_t number = 0;
  const char* end = (*text)->data() + (*text)->size();
  const auto parsed = std::from_chars((*text)->data(), end, number);
  if (parsed.ec != std::errc{} || parsed.ptr != end) {
    return database->damaged(fmt::format("\"{}\" is not a number", key));
  }
  return number;
}

Status Store::Impl::load_numbers() {
  const auto stored_revision = load_number(kRevisionKey, 0);
  if (!stored_revision) {
    return std::unexpected(stored_revision.error());
  }
  revision = *stored_revision;
  for (const auto& [key, number] :
       {std::pair{kNextFeedKey, &next.feed}, std::pair{kNextDeviceKey, &next.device},
        std::pair{kNextAccountKey, &next.account}, std::pair{kNextListKey, &next.list},
        std::pair{kNextPolicyKey, &next.policy}}) {
    const auto stored = load_number(key, 1);
    if (!stored) {
      return std::unexpected(stored.error());
    }
    if (*stored == 0 || *stored >= std::numeric_limits<uint32_t>::max()) {
      return database->damaged(fmt::format("\"{}\" is {}, outside its range", key, *stored));
    }
    *number = static_cast<uint32_t>(*stored);
  }
  return {};
}

Result<StoredFeed> Store::Impl::load_feed(const std::string& id,
                                          const rocksdb::ReadOptions& options) const {
  const auto text = database->get(Column::feeds, id, options);
  if (!text) {
    return std::unexpected(text.error());
  }
  if (!*text) {
    return fail(ErrorCode::not_found, "there is no feed {}", id);
  }
  auto feed = decode_feed(**text);
  if (!feed) {
    return in(fmt::format("store {}: feed {}", database->path(), id), feed.error());
  }
  return feed;
}

Result<std::vector<StoredFeed>> Store::Impl::load_feeds(const rocksdb::ReadOptions& options) const {
  std::vector<StoredFeed> feeds;
  const std::unique_ptr<rocksdb::Iterator> at(
      database->rocks()->NewIterator(options, database->column(Column::feeds)));
  for (at->SeekToFirst(); at->Valid(); at->Next()) {
    auto feed = decode_feed(at->value().ToStringView());
    if (!feed) {
      return in(fmt::format("store {}: feed {}", database->path(), at->key().ToStringView()),
                feed.error());
    }
    feeds.push_back(std::move(*feed));
  }
  if (!at->status().ok()) {
    return database->failed(at->status());
  }
  return feeds;
}

Status Store::Impl::put_feed(rocksdb::WriteBatch& batch, const StoredFeed& feed) const {
  const auto text = encode_feed(feed);
  if (!text) {
    return std::unexpected(text.error());
  }
  const auto put =
      batch.Put(database->column(Column::feeds), slice(feed.record.definition.id), slice(*text));
  return put.ok() ? Status{} : database->failed(put);
}

namespace {

// A list and an account's zone would be one name: <list>.<suffix> and <account>.<suffix>.
Status check_accounts_keep_names(const Database& database, const FeedDefinition& definition) {
  for (const std::string& list : {definition.id, definition.category}) {
    auto kept = for_each_in(database, Column::accounts, list, end_of(list),
                            [&](std::string_view account, std::string_view) -> Status {
                              if (!policy::owns_name(list, account)) {
                                return {};
                              }
                              return fail(ErrorCode::conflict,
                                          "feed {}: the names of its list {} would include that of "
                                          "account {}; choose another",
                                          definition.id, list, account);
                            });
    if (!kept) {
      return kept;
    }
  }
  return {};
}

}  // namespace

Status Store::Impl::check_list_names(const FeedDefinition& definition) const {
  const auto feeds = load_feeds({});
  if (!feeds) {
    return std::unexpected(feeds.error());
  }
  std::vector<std::string> names = policy::reserved_list_names();
  std::set<std::string> categories(names.begin(), names.end());
  std::vector<std::string> ids;
  for (const StoredFeed& feed : *feeds) {
    const FeedDefinition& other = feed.record.definition;
    if (other.id == definition.id) {
      continue;
    }
    ids.push_back(other.id);
    if (categories.insert(other.category).second) {
      names.push_back(other.category);
    }
  }
  const bool reserved =
      std::ranges::find(policy::kOwnLabels, definition.category) != policy::kOwnLabels.end();
  const bool shared = !reserved && categories.contains(definition.category);
  names.insert(names.end(), ids.begin(), ids.end());
  if (!shared) {  // a new name; a category that others have is a list that feeds share
    const auto conflict = policy::list_name_conflict(names, definition.category);
    if (!conflict.empty()) {
      return fail(ErrorCode::conflict, "category {}: {}", definition.category, conflict);
    }
    names.push_back(definition.category);
  }
  const auto conflict = policy::list_name_conflict(names, definition.id);
  if (!conflict.empty()) {
    return fail(ErrorCode::conflict, "feed {}: {}; choose another id", definition.id, conflict);
  }
  return check_accounts_keep_names(*database, definition);
}

Status Store::Impl::commit(rocksdb::WriteBatch& batch, std::vector<Change> changed) {
  const uint64_t grown = revision.load() + 1;
  put_number(batch, database->column(Column::meta), kRevisionKey, grown);
  auto written = database->write(batch, Durability::synced);
  if (written) {
    changes.add(grown, std::move(changed));  // first: who sees the revision finds its changes
    revision.store(grown);
  }
  return written;
}

Status Store::add_feed(const FeedDefinition& definition) {
  if (auto good = check_definition(definition); !good) {
    return in("add feed", good.error());
  }
  const std::lock_guard lock(impl_->writing);
  const auto present = impl_->database->get(Column::feeds, definition.id);
  if (!present) {
    return std::unexpected(present.error());
  }
  if (*present) {
    return fail(ErrorCode::conflict, "add feed: there is a feed {} already", definition.id);
  }
  if (auto free = impl_->check_list_names(definition); !free) {
    return in("add feed", free.error());
  }
  StoredFeed feed;
  feed.number = impl_->next.feed;
  feed.record.definition = definition;
  rocksdb::WriteBatch batch;
  if (auto put = impl_->put_feed(batch, feed); !put) {
    return in("add feed", put.error());
  }
  rocksdb::ColumnFamilyHandle* meta = impl_->database->column(Column::meta);
  put_number(batch, meta, kNextFeedKey, uint64_t{feed.number} + 1);
  const auto named = batch.Put(meta, feed_number_key(feed.number), slice(definition.id));
  if (!named.ok()) {
    return impl_->database->failed(named);
  }
  Change change{.kind = Change::Kind::feed_definition, .feed = definition.id};
  if (auto written = impl_->commit(batch, {std::move(change)}); !written) {
    return written;
  }
  ++impl_->next.feed;
  return {};
}

Status Store::replace_feed(const FeedDefinition& definition) {
  if (auto good = check_definition(definition); !good) {
    return in("replace feed", good.error());
  }
  const std::lock_guard lock(impl_->writing);
  auto feed = impl_->load_feed(definition.id, {});
  if (!feed) {
    return in("replace feed", feed.error());
  }
  if (feed->record.definition == definition) {
    return {};
  }
  if (definition.category != feed->record.definition.category) {  // else no name is new
    if (auto free = impl_->check_list_names(definition); !free) {
      return in("replace feed", free.error());
    }
  }
  feed->record.definition = definition;
  rocksdb::WriteBatch batch;
  if (auto put = impl_->put_feed(batch, *feed); !put) {
    return in("replace feed", put.error());
  }
  return impl_->commit(batch, {{.kind = Change::Kind::feed_definition, .feed = definition.id}});
}

Result<FeedRecord> Store::feed(const std::string& id) const {
  auto feed = impl_->load_feed(id, {});
  if (!feed) {
    return std::unexpected(feed.error());
  }
  return std::move(feed->record);
}

Result<std::vector<FeedRecord>> Store::feeds() const {
  auto feeds = impl_->load_feeds({});
  if (!feeds) {
    return std::unexpected(feeds.error());
  }
  std::vector<FeedRecord> records;
  records.reserve(feeds->size());
  for (StoredFeed& feed : *feeds) {
    records.push_back(std::move(feed.record));
  }
  return records;
}

Status Store::set_feed_state(const std::string& id, const FeedState& state) {
  const std::lock_guard lock(impl_->writing);
  auto feed = impl_->load_feed(id, {});
  if (!feed) {
    return in("set feed state", feed.error());
  }
  // The counts describe the set in force, and that stays.
  FeedState kept = state;
  kept.prefix4_count = feed->record.state.prefix4_count;
  kept.prefix6_count = feed->record.state.prefix6_count;
  kept.domain_count = feed->record.state.domain_count;
  feed->record.state = std::move(kept);
  rocksdb::WriteBatch batch;
  if (auto put = impl_->put_feed(batch, *feed); !put) {
    return in("set feed state", put.error());
  }
  return impl_->database->write(batch, Durability::process);
}

uint64_t Store::revision() const {
  return impl_->revision.load();
}

std::optional<std::vector<Change>> Store::changes_since(uint64_t revision) const {
  return impl_->changes.since(revision);
}

}  // namespace merlon::store
