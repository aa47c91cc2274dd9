// SPDX-License-Identifier: Apache-2.0
// Entries of the accounts' own lists. Every change of many is one batch.
#include <algorithm>
#include <map>

#include "controlplane/policy/protected_set.h"
#include "controlplane/store/rules.h"
#include "controlplane/store/store_impl.h"

namespace merlon::store {
namespace {

constexpr size_t kFaultValueSizeMax = 120;
constexpr size_t kExpiryBatchMax = 100'000;

// One entry that is to be written or removed.
struct Wanted {
  std::string key;   // OwnValue::key()
  size_t index = 0;  // in what was given
};

// Sorted by key; of equal ones the last given stays. Returns how many went.
uint64_t sort_and_unite(std::vector<Wanted>& wanted) {
  std::stable_sort(wanted.begin(), wanted.end(),
                   [](const Wanted& a, const Wanted& b) { return a.key < b.key; });
  size_t kept = 0;
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (i + 1 == wanted.size() || wanted[i].key != wanted[i + 1].key) {
      if (kept != i) {
        wanted[kept] = std::move(wanted[i]);
      }
      ++kept;
    }
  }
  const uint64_t gone = wanted.size() - kept;
  wanted.resize(kept);
  return gone;
}

Status check_batch_size(size_t count) {
  if (count <= kEntryBatchMax) {
    return {};
  }
  return fail(ErrorCode::invalid_argument,
              "{} entries at once, at most {} are possible: send parts", count, kEntryBatchMax);
}

EntryFault fault_of(size_t index, std::string_view value, const Error& error) {
  return {index, std::string(value.substr(0, kFaultValueSizeMax)), error.message};
}

// What may stand in the list, or why not.
Result<OwnValue> admitted(const CustomEntry& entry, const CustomList& list, int64_t now) {
  auto value = parse_own_value(entry.value);
  if (!value) {
    return value;
  }
  if (auto good = check_entry(entry, now); !good) {
    return in(value->text, good.error());
  }
  if (list.direction == Direction::block && value->kind != OwnValue::Kind::domain) {
    const std::string within = policy::protected_within(value->range);
    if (!within.empty()) {
      return fail(ErrorCode::invalid_argument,
                  "{} covers protected space, which is never blocked: {}", value->text, within);
    }
  }
  return value;
}

std::vector<std::string> keys_of(uint32_t list, const std::vector<Wanted>& wanted) {
  std::vector<std::string> keys;
  keys.reserve(wanted.size());
  for (const Wanted& one : wanted) {
    keys.push_back(entry_key(list, one.key));
  }
  return keys;
}

Change change_of(const CustomList& list) {
  return {.kind = Change::Kind::list, .account = list.account_number, .list = list.number};
}

// Writes one entry over what is stored of it.
class EntryWriter {
 public:
  EntryWriter(const Database& database, const CustomList& list, rocksdb::WriteBatch& batch,
              EntryReport& report)
      : database_(database), list_(list), batch_(batch), report_(report) {}

  Status put(const std::string& value_key, const CustomEntry& entry, int64_t now,
             const std::optional<std::string>& stored) {
    StoredEntry before;
    if (stored && !decode_entry(*stored, before)) {
      return database_.damaged(
          fmt::format("an entry of list number {} is malformed", list_.number));
    }
    const StoredEntry made{.created = stored ? before.created : to_stored_time(now),
                           .expires = to_stored_time(entry.expires),
                           .comment = entry.comment};
    if (stored && before.expires == made.expires && before.comment == made.comment) {
      ++report_.unchanged;
      return {};
    }
    ++(stored ? report_.replaced : report_.added);
    rocksdb::ColumnFamilyHandle* entries = database_.column(Column::entries);
    rocksdb::Status written;
    if (stored && before.expires != 0) {
      written = batch_.Delete(entries, expiry_key(before.expires, value_key));
    }
    if (written.ok() && made.expires != 0) {
      written = batch_.Put(entries, expiry_key(made.expires, value_key), rocksdb::Slice());
    }
    if (written.ok()) {
      written = batch_.Put(entries, entry_key(list_.number, value_key), encode_entry(made));
    }
    return written.ok() ? Status{} : database_.failed(written);
  }

 private:
  std::string expiry_key(uint32_t expires, const std::string& value_key) const {
    return encode_expiry_key({.expires = expires, .list = list_.number, .value_key = value_key});
  }

  const Database& database_;
  const CustomList& list_;
  rocksdb::WriteBatch& batch_;
  EntryReport& report_;
};

}  // namespace

Result<EntryReport> Store::add_entries(const std::string& account, const std::string& list_name,
                                       std::span<const CustomEntry> entries,
                                       const EntryOptions& options) {
  if (auto fits = check_batch_size(entries.size()); !fits) {
    return in("add entries", fits.error());
  }
  const std::lock_guard lock(impl_->writing);
  auto list = impl_->load_list(account, list_name);
  if (!list) {
    return in("add entries", list.error());
  }
  EntryReport report;
  report.entry_count = list->entry_count;
  std::vector<Wanted> wanted;
  wanted.reserve(entries.size());
  for (size_t i = 0; i < entries.size(); ++i) {
    const auto value = admitted(entries[i], *list, options.now);
    if (value) {
      wanted.push_back({value->key(), i});
    } else {
      report.faults.push_back(fault_of(i, entries[i].value, value.error()));
    }
  }
  if (!report.faults.empty() && options.on_fault == OnFault::apply_nothing) {
    return report;
  }
  report.applied = true;
  report.unchanged = sort_and_unite(wanted);
  const auto stored = impl_->database->get_many(Column::entries, keys_of(list->number, wanted));
  if (!stored) {
    return in("add entries", stored.error());
  }
  rocksdb::WriteBatch batch;
  EntryWriter writer(*impl_->database, *list, batch, report);
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (auto put = writer.put(wanted[i].key, entries[wanted[i].index], options.now, (*stored)[i]);
        !put) {
      return in("add entries", put.error());
    }
  }
  if (report.added + report.replaced == 0) {
    return report;
  }
  if (list->entry_count + report.added > kListEntryMax) {
    return fail(
        ErrorCode::invalid_argument,
        "add entries: list {} has {} entries and would get {} more; at most {} are possible",
        list_name, list->entry_count, report.added, kListEntryMax);
  }
  list->entry_count += report.added;
  list->changed = options.now;
  report.entry_count = list->entry_count;
  if (auto put = impl_->put_list(batch, *list); !put) {
    return in("add entries", put.error());
  }
  if (auto written = impl_->commit(batch, {change_of(*list)}); !written) {
    return in("add entries", written.error());
  }
  return report;
}

Status Store::Impl::remove_entry(rocksdb::WriteBatch& batch, uint32_t list,
                                 std::string_view value_key, std::string_view stored) const {
  StoredEntry entry;
  if (!decode_entry(stored, entry)) {
    return database->damaged(fmt::format("an entry of list number {} is malformed", list));
  }
  rocksdb::ColumnFamilyHandle* entries = database->column(Column::entries);
  auto removed = batch.Delete(entries, entry_key(list, value_key));
  if (removed.ok() && entry.expires != 0) {
    removed = batch.Delete(entries, encode_expiry_key({.expires = entry.expires,
                                                       .list = list,
                                                       .value_key = std::string(value_key)}));
  }
  return removed.ok() ? Status{} : database->failed(removed);
}

Result<EntryReport> Store::remove_entries(const std::string& account, const std::string& list_name,
                                          std::span<const std::string> values,
                                          const EntryOptions& options) {
  if (auto fits = check_batch_size(values.size()); !fits) {
    return in("remove entries", fits.error());
  }
  const std::lock_guard lock(impl_->writing);
  auto list = impl_->load_list(account, list_name);
  if (!list) {
    return in("remove entries", list.error());
  }
  EntryReport report;
  report.entry_count = list->entry_count;
  std::vector<Wanted> wanted;
  for (size_t i = 0; i < values.size(); ++i) {
    const auto value = parse_own_value(values[i]);
    if (value) {
      wanted.push_back({value->key(), i});
    } else {
      report.faults.push_back(fault_of(i, values[i], value.error()));
    }
  }
  if (!report.faults.empty() && options.on_fault == OnFault::apply_nothing) {
    return report;
  }
  report.applied = true;
  report.unchanged = sort_and_unite(wanted);
  const auto stored = impl_->database->get_many(Column::entries, keys_of(list->number, wanted));
  if (!stored) {
    return in("remove entries", stored.error());
  }
  rocksdb::WriteBatch batch;
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (!(*stored)[i]) {
      ++report.unchanged;
      continue;
    }
    ++report.removed;
    if (auto removed = impl_->remove_entry(batch, list->number, wanted[i].key, *(*stored)[i]);
        !removed) {
      return in("remove entries", removed.error());
    }
  }
  if (report.removed == 0) {
    return report;
  }
  list->entry_count -= std::min(list->entry_count, report.removed);
  list->changed = options.now;
  report.entry_count = list->entry_count;
  if (auto put = impl_->put_list(batch, *list); !put) {
    return in("remove entries", put.error());
  }
  if (auto written = impl_->commit(batch, {change_of(*list)}); !written) {
    return in("remove entries", written.error());
  }
  return report;
}

Result<EntryPage> Store::entries_of(const std::string& account, const std::string& list_name,
                                    const EntryRange& range) const {
  const auto list = impl_->load_list(account, list_name);
  if (!list) {
    return std::unexpected(list.error());
  }
  const size_t limit = std::clamp<size_t>(range.limit, 1, kEntryPageMax);
  const std::string prefix = entry_key(list->number, "");
  std::string first = prefix;
  if (!range.after.empty()) {
    const auto after = parse_own_value(range.after);
    if (!after) {
      return in("after", after.error());
    }
    first += after->key();
    first.push_back('\0');  // the next possible key
  }
  EntryPage page;
  const Database& database = *impl_->database;
  rocksdb::ReadOptions options;
  const std::string end = end_of(prefix);
  const rocksdb::Slice end_slice = slice(end);
  options.iterate_upper_bound = &end_slice;
  const std::unique_ptr<rocksdb::Iterator> at(
      database.rocks()->NewIterator(options, database.column(Column::entries)));
  for (at->Seek(slice(first)); at->Valid(); at->Next()) {
    if (page.entries.size() == limit) {
      page.more = true;
      break;
    }
    OwnValue value;
    StoredEntry entry;
    if (!decode_own_key(at->key().ToStringView().substr(prefix.size()), value) ||
        !decode_entry(at->value().ToStringView(), entry)) {
      return database.damaged(fmt::format("an entry of list number {} is malformed", list->number));
    }
    page.entries.push_back({.value = std::move(value.text),
                            .comment = std::string(entry.comment),
                            .created = entry.created,
                            .expires = entry.expires});
  }
  if (!at->status().ok()) {
    return database.failed(at->status());
  }
  return page;
}

Result<FeedSet> Store::set_of_list(uint32_t list_number) const {
  const Database& database = *impl_->database;
  const std::string prefix = entry_key(list_number, "");
  FeedSet set;
  const auto walked = for_each_in(database, Column::entries, prefix, end_of(prefix),
                                  [&](std::string_view key, std::string_view) -> Status {
                                    if (!decode_own_set(key.substr(prefix.size()), set)) {
                                      return database.damaged(fmt::format(
                                          "an entry of list number {} is malformed", list_number));
                                    }
                                    return {};
                                  });
  if (!walked) {
    return std::unexpected(walked.error());
  }
  set.normalise();
  return set;
}

Result<bool> Store::Impl::something_expires(int64_t now) const {
  bool found = false;
  const auto walked =
      for_each_in(*database, Column::entries, big_endian(0),
                  encode_expiry_key({.expires = now + 1, .list = 0, .value_key = ""}),
                  [&found](std::string_view, std::string_view) -> Status {
                    found = true;
                    return fail(ErrorCode::conflict, "the first is enough");
                  });
  if (!found && !walked) {
    return std::unexpected(walked.error());
  }
  return found;
}

// The oldest of what has expired, as much as fits into one batch.
Result<std::vector<ExpiredEntries>> Store::Impl::expire_some(int64_t now) {
  rocksdb::WriteBatch batch;
  rocksdb::ColumnFamilyHandle* entries = database->column(Column::entries);
  std::map<uint32_t, uint64_t> removed;  // by list
  size_t count = 0;
  const auto walked =
      for_each_in(*database, Column::entries, big_endian(0),
                  encode_expiry_key({.expires = now + 1, .list = 0, .value_key = ""}),
                  [&](std::string_view bytes, std::string_view) -> Status {
                    ExpiryKey key;
                    if (!decode_expiry_key(bytes, key)) {
                      return database->damaged("an expiry is malformed");
                    }
                    if (count == kExpiryBatchMax) {
                      return {};
                    }
                    ++count;
                    ++removed[key.list];
                    auto gone = batch.Delete(entries, slice(bytes));
                    if (gone.ok()) {
                      gone = batch.Delete(entries, entry_key(key.list, key.value_key));
                    }
                    return gone.ok() ? Status{} : database->failed(gone);
                  });
  if (!walked) {
    return std::unexpected(walked.error());
  }
  std::vector<ExpiredEntries> expired;
  std::vector<Change> changed;
  for (const auto& [number, gone] : removed) {
    const auto key = database->get(Column::lists, list_number_key(number));
    if (!key) {
      return std::unexpected(key.error());
    }
    const auto text = database->get(Column::lists, key->value_or(""));
    if (!text) {
      return std::unexpected(text.error());
    }
    auto list = decode_list(text->value_or(""));
    if (!list) {
      return in(fmt::format("store {}: list number {}", database->path(), number), list.error());
    }
    list->entry_count -= std::min(list->entry_count, gone);
    list->changed = now;
    if (auto put = put_list(batch, *list); !put) {
      return std::unexpected(put.error());
    }
    expired.push_back({list->account, list->name, gone});
    changed.push_back(change_of(*list));
  }
  if (changed.empty()) {
    return expired;
  }
  if (auto written = commit(batch, std::move(changed)); !written) {
    return std::unexpected(written.error());
  }
  return expired;
}

// Asked every second: as long as nothing has expired it does not wait for those who write.
Result<std::vector<ExpiredEntries>> Store::expire_entries(int64_t now) {
  const auto some_expires = impl_->something_expires(now);
  if (!some_expires) {
    return in("expire entries", some_expires.error());
  }
  if (!*some_expires) {
    return std::vector<ExpiredEntries>{};
  }
  const std::lock_guard lock(impl_->writing);
  std::vector<ExpiredEntries> all;
  while (true) {
    auto some = impl_->expire_some(now);
    if (!some) {
      return in("expire entries", some.error());
    }
    if (some->empty()) {
      return all;
    }
    for (ExpiredEntries& expired : *some) {
      const auto known = std::find_if(all.begin(), all.end(), [&](const ExpiredEntries& one) {
        return one.account == expired.account && one.list == expired.list;
      });
      if (known == all.end()) {
        all.push_back(std::move(expired));
      } else {
        known->removed += expired.removed;
      }
    }
  }
}

}  // namespace merlon::store
