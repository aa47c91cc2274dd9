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
namespace {

constexpr char kSourceKeyMark = '/';

std::string source_key(const address::AnyPrefix& source) {
  return kSourceKeyMark + indicator_key(source);
}

std::string account_key(std::string_view account) {
  return fmt::format("account/{}", account);
}

void put_number(rocksdb::WriteBatch& batch, rocksdb::ColumnFamilyHandle* meta, std::string_view key,
                uint64_t number) {
  // A batch of a few entries cannot exceed its limit, the only way in which Put fails.
  batch.Put(meta, slice(key), fmt::format("{}", number)).PermitUncheckedError();
}

}  // namespace

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
        std::pair{kNextAccountKey, &next.account}}) {
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
  return {};
}

Status Store::Impl::commit(rocksdb::WriteBatch& batch) {
  const uint64_t grown = revision.load() + 1;
  put_number(batch, database->column(Column::meta), kRevisionKey, grown);
  auto written = database->write(batch, Durability::synced);
  if (written) {
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
  if (auto written = impl_->commit(batch); !written) {
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
  if (auto free = impl_->check_list_names(definition); !free) {
    return in("replace feed", free.error());
  }
  feed->record.definition = definition;
  rocksdb::WriteBatch batch;
  if (auto put = impl_->put_feed(batch, *feed); !put) {
    return in("replace feed", put.error());
  }
  return impl_->commit(batch);
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

Status Store::Impl::check_source_free(const Device& device) const {
  std::vector<std::string> keys;
  keys.reserve(device.sources.size());
  for (const address::AnyPrefix& source : device.sources) {
    keys.push_back(source_key(source));
  }
  const auto owners = database->get_many(Column::devices, keys);
  if (!owners) {
    return std::unexpected(owners.error());
  }
  for (size_t i = 0; i < keys.size(); ++i) {
    if ((*owners)[i]) {
      return fail(ErrorCode::conflict, "source {} belongs to device {}; remove it there first",
                  address::to_text(device.sources[i]), *(*owners)[i]);
    }
  }
  return {};
}

Result<uint32_t> Store::Impl::account_number(const std::string& account, Numbers& numbers,
                                             rocksdb::WriteBatch& batch) const {
  const std::string key = account_key(account);
  const auto known = load_number(key, 0);
  if (!known) {
    return std::unexpected(known.error());
  }
  if (*known > std::numeric_limits<uint32_t>::max()) {
    return database->damaged(fmt::format("account {} has the number {}", account, *known));
  }
  if (*known != 0) {
    return static_cast<uint32_t>(*known);
  }
  const uint32_t number = numbers.account++;
  put_number(batch, database->column(Column::meta), key, number);
  put_number(batch, database->column(Column::meta), kNextAccountKey, numbers.account);
  return number;
}

Result<Device> Store::Impl::load_device(const std::string& name) const {
  const auto text = database->get(Column::devices, name);
  if (!text) {
    return std::unexpected(text.error());
  }
  // A name that begins with '/' would be a source's entry.
  if (!*text || name.starts_with(kSourceKeyMark)) {
    return fail(ErrorCode::not_found, "there is no device {}", name);
  }
  auto device = decode_device(**text);
  if (!device) {
    return in(fmt::format("store {}: device {}", database->path(), name), device.error());
  }
  return device;
}

Result<Device> Store::add_device(Device device, int64_t now) {
  if (auto good = check_device(device); !good) {
    return in("add device", good.error());
  }
  const std::lock_guard lock(impl_->writing);
  const auto present = impl_->database->get(Column::devices, device.name);
  if (!present) {
    return std::unexpected(present.error());
  }
  if (*present) {
    return fail(ErrorCode::conflict, "add device: there is a device {} already", device.name);
  }
  if (auto free = impl_->check_source_free(device); !free) {
    return in(fmt::format("add device {}", device.name), free.error());
  }
  rocksdb::WriteBatch batch;
  Impl::Numbers numbers = impl_->next;
  const auto account_number = impl_->account_number(device.account, numbers, batch);
  if (!account_number) {
    return std::unexpected(account_number.error());
  }
  device.created = now;
  device.number = numbers.device++;
  device.account_number = *account_number;
  const auto text = encode_device(device);
  if (!text) {
    return in("add device", text.error());
  }
  put_number(batch, impl_->database->column(Column::meta), kNextDeviceKey, numbers.device);
  rocksdb::ColumnFamilyHandle* devices = impl_->database->column(Column::devices);
  auto put = batch.Put(devices, slice(device.name), slice(*text));
  for (size_t i = 0; put.ok() && i < device.sources.size(); ++i) {
    put = batch.Put(devices, source_key(device.sources[i]), slice(device.name));
  }
  if (!put.ok()) {
    return impl_->database->failed(put);
  }
  if (auto written = impl_->commit(batch); !written) {
    return std::unexpected(written.error());
  }
  impl_->next = numbers;
  return device;
}

Status Store::remove_device(const std::string& name) {
  const std::lock_guard lock(impl_->writing);
  const auto device = impl_->load_device(name);
  if (!device) {
    return in("remove device", device.error());
  }
  rocksdb::WriteBatch batch;
  rocksdb::ColumnFamilyHandle* devices = impl_->database->column(Column::devices);
  auto removed = batch.Delete(devices, slice(name));
  for (size_t i = 0; removed.ok() && i < device->sources.size(); ++i) {
    removed = batch.Delete(devices, source_key(device->sources[i]));
  }
  if (!removed.ok()) {
    return impl_->database->failed(removed);
  }
  return impl_->commit(batch);
}

Result<std::vector<Device>> Store::devices() const {
  std::vector<Device> devices;
  const std::string first_name(1, kSourceKeyMark + 1);  // names begin with a letter or a digit
  const std::unique_ptr<rocksdb::Iterator> at(
      impl_->database->rocks()->NewIterator({}, impl_->database->column(Column::devices)));
  for (at->Seek(first_name); at->Valid(); at->Next()) {
    auto device = decode_device(at->value().ToStringView());
    if (!device) {
      return in(
          fmt::format("store {}: device {}", impl_->database->path(), at->key().ToStringView()),
          device.error());
    }
    devices.push_back(std::move(*device));
  }
  if (!at->status().ok()) {
    return impl_->database->failed(at->status());
  }
  return devices;
}

uint64_t Store::revision() const {
  return impl_->revision.load();
}

}  // namespace merlon::store
