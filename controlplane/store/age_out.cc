// SPDX-License-Identifier: Apache-2.0
// What happens as time goes by: entries age out of their feeds' sets, and old history gets smaller.
// Both take the writers' lock for a short turn at a time.
#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "controlplane/store/history.h"
#include "controlplane/store/store_impl.h"

namespace merlon::store {
namespace {

constexpr size_t kAgeingBatchMax = 20'000;

void count_down(FeedState& state, std::string_view value_key) {
  uint64_t& count = value_key.front() == '4'   ? state.prefix4_count
                    : value_key.front() == '6' ? state.prefix6_count
                                               : state.domain_count;
  count -= std::min<uint64_t>(count, 1);
}

}  // namespace

struct Store::Impl::Ended {
  std::vector<std::string> value_keys;
  std::vector<uint32_t> times;
};

Result<bool> Store::Impl::something_aged(int64_t now) const {
  bool found = false;
  const auto walked =
      for_each_in(*database, Column::sets, big_endian(0), ageing_keys_end(to_stored_time(now)),
                  [&found](std::string_view, std::string_view) -> Status {
                    found = true;
                    return fail(ErrorCode::conflict, "the first is enough");
                  });
  if (!found && !walked) {
    return std::unexpected(walked.error());
  }
  return found;
}

// The oldest of what has aged, as much as fits into a batch.
Result<std::vector<AgedOut>> Store::Impl::age_some_out(int64_t now) {
  std::map<uint32_t, Ended> ended;  // by feed number
  size_t count = 0;
  const auto walked =
      for_each_in(*database, Column::sets, big_endian(0), ageing_keys_end(to_stored_time(now)),
                  [&](std::string_view bytes, std::string_view) -> Status {
                    AgeingKey key;
                    if (!decode_ageing_key(bytes, key)) {
                      return database->damaged("a time at which an entry ages out is malformed");
                    }
                    if (count == kAgeingBatchMax) {
                      return fail(ErrorCode::busy, "as much as fits into a batch");
                    }
                    ++count;
                    Ended& own = ended[key.feed];
                    own.value_keys.emplace_back(key.value_key);
                    own.times.push_back(key.time);
                    return {};
                  });
  if (!walked && count != kAgeingBatchMax) {
    return std::unexpected(walked.error());
  }
  std::vector<AgedOut> all;
  for (const auto& [number, own] : ended) {
    auto aged = end_entries(number, own, now);
    if (!aged) {
      return std::unexpected(aged.error());
    }
    all.push_back(std::move(*aged));
  }
  return all;
}

Result<AgedOut> Store::Impl::end_entries(uint32_t feed_number, const Ended& ended, int64_t now) {
  const auto id = database->get(Column::meta, feed_number_key(feed_number));
  if (!id) {
    return std::unexpected(id.error());
  }
  auto feed = load_feed(id->value_or(""), {});
  if (!feed) {
    return std::unexpected(feed.error());
  }
  std::vector<std::string> set_keys;
  std::vector<std::string> keys;
  for (const std::string& value_key : ended.value_keys) {
    set_keys.push_back(big_endian(feed_number) + value_key);
    keys.push_back(indicator_key(value_key));
  }
  const auto entries = database->get_many(Column::sets, set_keys);
  const auto histories = database->get_many(Column::indicators, keys);
  if (!entries || !histories) {
    return std::unexpected(!entries ? entries.error() : histories.error());
  }
  rocksdb::WriteBatch batch;
  rocksdb::ColumnFamilyHandle* sets = database->column(Column::sets);
  std::vector<Sighting> sightings;
  std::string encoded;
  for (size_t i = 0; i < keys.size(); ++i) {
    SetEntry entry;
    const bool good = decode_set_entry((*entries)[i].value_or("?"), entry) && entry.ages() &&
                      entry.time == ended.times[i] &&
                      decode_sightings((*histories)[i].value_or(""), sightings);
    const auto own = std::ranges::find(sightings, feed_number, &Sighting::feed);
    if (!good || own == sightings.end() || !own->listed) {
      return database->damaged(
          fmt::format("an entry of feed {} that ages out is not in its set", *id.value()));
    }
    close_interval(*own, entry.time);
    encode_sightings(sightings, encoded);
    const SetEntry out{.kind = SetEntry::Kind::out, .time = entry.time};
    auto put = batch.Put(database->column(Column::indicators), keys[i], encoded);
    if (put.ok()) {  // what the source still names is remembered as such
      put = entry.kind == SetEntry::Kind::limited
                ? batch.Put(sets, set_keys[i], encode_set_entry(out))
                : batch.Delete(sets, set_keys[i]);
    }
    if (put.ok()) {
      put = batch.Delete(
          sets, encode_ageing_key(
                    {.time = entry.time, .feed = feed_number, .value_key = ended.value_keys[i]}));
    }
    if (!put.ok()) {
      return database->failed(put);
    }
    count_down(feed->record.state, ended.value_keys[i]);
  }
  feed->record.state.last_changed = now;
  if (auto put = put_feed(batch, *feed); !put) {
    return std::unexpected(put.error());
  }
  if (auto written = commit(batch, {{.kind = Change::Kind::feed_set, .feed = **id}}); !written) {
    return std::unexpected(written.error());
  }
  return AgedOut{.feed = **id, .count = keys.size()};
}

// Asked every second: as long as nothing has aged it does not wait for those who write.
Result<std::vector<AgedOut>> Store::age_out(int64_t now) {
  std::vector<AgedOut> all;
  while (true) {
    const auto some_aged = impl_->something_aged(now);
    if (!some_aged) {
      return in("age out", some_aged.error());
    }
    if (!*some_aged) {
      return all;
    }
    const std::lock_guard lock(impl_->writing);  // a turn: those who write come between
    auto some = impl_->age_some_out(now);
    if (!some) {
      return in("age out", some.error());
    }
    for (AgedOut& aged : *some) {
      const auto known = std::ranges::find(all, aged.feed, &AgedOut::feed);
      if (known == all.end()) {
        all.push_back(std::move(aged));
      } else {
        known->count += aged.count;
      }
    }
  }
}

Result<HistorySweep> Store::compact_history(int64_t now, size_t count_max) {
  const std::lock_guard lock(impl_->writing);
  const Database& database = *impl_->database;
  rocksdb::ColumnFamilyHandle* indicators = database.column(Column::indicators);
  const HistoryOptions options;
  rocksdb::WriteBatch batch;
  HistorySweep sweep;
  std::vector<Sighting> sightings;
  std::string encoded;
  rocksdb::ReadOptions reading;
  reading.fill_cache = false;
  const std::unique_ptr<rocksdb::Iterator> at(database.rocks()->NewIterator(reading, indicators));
  for (at->Seek(slice(impl_->sweep_at)); at->Valid() && sweep.visited < count_max; at->Next()) {
    ++sweep.visited;
    if (!decode_sightings(at->value().ToStringView(), sightings)) {
      return database.damaged("the sightings of an indicator are not readable");
    }
    if (!compact(sightings, to_stored_time(now), options)) {
      continue;
    }
    ++sweep.changed;
    encode_sightings(sightings, encoded);
    const auto put = sightings.empty() ? batch.Delete(indicators, at->key())
                                       : batch.Put(indicators, at->key(), encoded);
    if (!put.ok()) {
      return database.failed(put);
    }
  }
  if (!at->status().ok()) {
    return database.failed(at->status());
  }
  sweep.at_end = !at->Valid();
  impl_->sweep_at = sweep.at_end ? std::string() : at->key().ToString();
  if (sweep.at_end && now > int64_t{options.keep_s}) {
    const auto old = to_stored_time(now - int64_t{options.keep_s});
    const auto gone =
        batch.DeleteRange(database.column(Column::meta), generation_key(0), generation_key(old));
    if (!gone.ok()) {
      return database.failed(gone);
    }
  }
  if (batch.Count() != 0) {
    if (auto written = impl_->database->write(batch, Durability::process); !written) {
      return std::unexpected(written.error());
    }
  }
  return sweep;
}

}  // namespace merlon::store
