// SPDX-License-Identifier: Apache-2.0
// Sets and history. The new set and the stored one are both sorted, so the difference is one walk;
// what differs is looked up in `indicators` a thousand keys at a time and goes, changed, into one
// batch. Memory is that of the batch: about 50 bytes per changed entry, and as much again in
// RocksDB's write buffer until it is flushed; what did not change costs nothing.
// Entries that age (ageing.h) say so in the value of their key: how an entry stands after a content
// follows from how it stood, from whether the content names it, and from the feed's ageing.
#include <array>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "controlplane/store/ageing.h"
#include "controlplane/store/history.h"
#include "controlplane/store/store_impl.h"

namespace merlon::store {

SetCursor::SetCursor(const Database& database, uint32_t feed_number, const View& view)
    : first_(big_endian(feed_number)),
      // load_numbers() keeps numbers below 2^32-1, so this does not wrap.
      end_(big_endian(feed_number + 1)),
      end_slice_(end_) {
  rocksdb::ReadOptions options = view.options();
  options.iterate_upper_bound = &end_slice_;
  options.fill_cache = false;  // a whole set would push everything else out
  at_.reset(database.rocks()->NewIterator(options, database.column(Column::sets)));
  at_->Seek(first_);
}

namespace {

constexpr size_t kChangesPerRead = 1000;

bool counts(const std::optional<SetEntry>& entry) {
  return entry && entry->counts();
}

// How many of the set's entries count, by the first byte of their value keys.
struct EntryCounts {
  uint64_t v4 = 0;
  uint64_t v6 = 0;
  uint64_t domains = 0;

  void add(std::string_view value_key) {
    ++(value_key.front() == '4' ? v4 : value_key.front() == '6' ? v6 : domains);
  }
};

// Moves entries from how they stand to how they are to stand, in a batch. Each value at most once.
class ChangeWriter {
 public:
  struct Options {
    uint32_t feed_number = 0;
    int64_t now = 0;
    // An entry that becomes `limited` with time 0 ends this long after its interval began.
    uint32_t first_seen_span = 0;
  };
  ChangeWriter(const Database& database, const Options& options)
      : database_(database),
        feed_number_(options.feed_number),
        now_(to_stored_time(options.now)),
        span_(options.first_seen_span) {}

  Status move(std::string_view value_key, const std::optional<SetEntry>& before,
              const std::optional<SetEntry>& after) {
    changes_.push_back({std::string(value_key), before, after});
    return changes_.size() < kChangesPerRead ? Status{} : flush();
  }
  // It stands as it stood.
  void keep(std::string_view value_key) {
    counts_.add(value_key);
    ++summary_.unchanged;
  }

  // Moves what was added so far into the batch.
  Status flush() {
    std::vector<std::string> keys;
    keys.reserve(changes_.size());
    for (const Change& change : changes_) {
      keys.push_back(indicator_key(change.value_key));
    }
    const auto stored = database_.get_many(Column::indicators, keys);
    if (!stored) {
      return std::unexpected(stored.error());
    }
    for (size_t i = 0; i < changes_.size(); ++i) {
      if (auto put = write(changes_[i], keys[i], (*stored)[i].value_or("")); !put) {
        return put;
      }
    }
    changes_.clear();
    return {};
  }

  rocksdb::WriteBatch& batch() { return batch_; }
  const ApplySummary& summary() const { return summary_; }
  const EntryCounts& entry_counts() const { return counts_; }

 private:
  struct Change {
    std::string value_key;
    std::optional<SetEntry> before;
    std::optional<SetEntry> after;
  };

  Status write(Change& change, const std::string& key, std::string_view stored) {
    if (!decode_sightings(stored, sightings_)) {
      return database_.damaged("the sightings of an indicator are not readable");
    }
    Sighting* own = find();
    if ((own != nullptr && own->listed) != counts(change.before)) {
      return database_.damaged(
          fmt::format("set and history of feed number {} disagree", feed_number_));
    }
    set_limit(change, own);
    const bool listed = counts(change.after);
    if (listed != counts(change.before)) {
      update(own, listed);
      encode_sightings(sightings_, encoded_);
      const auto put = batch_.Put(database_.column(Column::indicators), key, encoded_);
      if (!put.ok()) {
        return database_.failed(put);
      }
    }
    if (listed) {
      counts_.add(change.value_key);
    }
    ++(listed && counts(change.before) ? summary_.unchanged
       : listed                        ? summary_.added
       : counts(change.before)         ? summary_.removed
                                       : nothing_);
    return write_entry(change);
  }

  Sighting* find() {
    for (Sighting& sighting : sightings_) {
      if (sighting.feed == feed_number_) {
        return &sighting;
      }
    }
    return nullptr;
  }

  // `own` is null for a value that the feed never listed. A value that comes back keeps its past.
  void update(Sighting* own, bool listed) {
    if (own == nullptr) {
      sightings_.push_back({feed_number_, now_, 0, true});
    } else if (listed) {
      open_interval(*own, now_, HistoryOptions{});
    } else {
      close_interval(*own, now_);
    }
  }

  void set_limit(Change& change, const Sighting* own) const {
    if (!change.after || change.after->kind != SetEntry::Kind::limited || change.after->time != 0) {
      return;
    }
    const uint32_t from = counts(change.before) ? own->first_seen : now_;
    change.after->time = to_stored_time(int64_t{from} + span_);
    if (change.after->time <= now_) {
      change.after->kind = SetEntry::Kind::out;
    }
  }

  Status write_entry(const Change& change) {
    rocksdb::ColumnFamilyHandle* sets = database_.column(Column::sets);
    const std::string key = big_endian(feed_number_) + change.value_key;
    auto put = change.after ? batch_.Put(sets, key, encode_set_entry(*change.after))
                            : batch_.Delete(sets, key);
    const auto ageing_key = [&](const SetEntry& entry) {
      return encode_ageing_key(
          {.time = entry.time, .feed = feed_number_, .value_key = change.value_key});
    };
    if (put.ok() && change.before && change.before->ages()) {
      put = batch_.Delete(sets, ageing_key(*change.before));
    }
    if (put.ok() && change.after && change.after->ages()) {
      put = batch_.Put(sets, ageing_key(*change.after), "");
    }
    return put.ok() ? Status{} : database_.failed(put);
  }

  const Database& database_;
  const uint32_t feed_number_;
  const uint32_t now_;
  const uint32_t span_;
  rocksdb::WriteBatch batch_;
  std::vector<Change> changes_;
  std::vector<Sighting> sightings_;  // reused
  std::string encoded_;              // reused
  ApplySummary summary_;
  EntryCounts counts_;
  uint64_t nothing_ = 0;  // moved without counting before or after
};

// What the feed's ageing makes of an entry that a content names, and of one that it does not.
class Rules {
 public:
  struct Times {
    int64_t now = 0;
    int64_t last_good = 0;  // when the source was last known to name what it named; 0: never
  };
  Rules(const Ageing& ageing, const Times& times)
      : ageing_(ageing),
        now_(to_stored_time(times.now)),
        linger_until_(to_stored_time((times.last_good == 0 ? times.now : times.last_good) +
                                     int64_t{ageing.span_s})) {}

  Status set_expiries(std::span<const Expiry> expiries) {
    expiries_.reserve(expiries.size());
    std::string key;
    for (const Expiry& expiry : expiries) {
      const bool good = !expiry.domain.empty() ? encode_value_key(expiry.domain, key)
                        : expiry.prefix.family == address::Family::v4
                            ? encode_value_key(expiry.prefix.v4(), key)
                            : encode_value_key(expiry.prefix.v6(), key);
      if (!good) {
        return fail(ErrorCode::invalid_argument, "an expiry is of a malformed value");
      }
      uint32_t& time = expiries_[key];  // said twice: the later
      time = std::max(time, to_stored_time(expiry.time));
    }
    return {};
  }

  SetEntry named(const std::string& value_key, const std::optional<SetEntry>& before) const {
    using Kind = SetEntry::Kind;
    if (ageing_.kind == Ageing::Kind::first_seen) {
      const bool known = before && (before->kind == Kind::limited || before->kind == Kind::out);
      return known ? *before : SetEntry{.kind = Kind::limited, .time = 0};
    }
    if (ageing_.kind == Ageing::Kind::expires) {
      const auto expiry = expiries_.find(value_key);
      if (expiry != expiries_.end()) {
        return {.kind = expiry->second > now_ ? Kind::limited : Kind::out, .time = expiry->second};
      }
    }
    return {};
  }

  std::optional<SetEntry> missing(const SetEntry& before) const {
    using Kind = SetEntry::Kind;
    if (ageing_.kind != Ageing::Kind::last_seen || !before.counts()) {
      return std::nullopt;
    }
    if (before.kind == Kind::lingering) {
      return before.time > now_ ? std::optional(before) : std::nullopt;
    }
    return linger_until_ > now_
               ? std::optional(SetEntry{.kind = Kind::lingering, .time = linger_until_})
               : std::nullopt;
  }

 private:
  const Ageing& ageing_;
  const uint32_t now_;
  const uint32_t linger_until_;
  std::unordered_map<std::string, uint32_t> expiries_;  // by value key
};

// Walks the stored set beside a new one that is offered value by value.
class SetDifference {
 public:
  SetDifference(SetCursor& stored, const Rules& rules, ChangeWriter& changes)
      : stored_(stored), rules_(rules), changes_(changes) {}

  template <class Values>
  Status offer_all(const Values& values, std::string_view what) {
    for (size_t i = 0; i < values.size(); ++i) {
      if (!encode_value_key(values[i], offered_)) {
        return fail(ErrorCode::invalid_argument, "{} number {} of the set is malformed", what, i);
      }
      if (offered_ <= previous_) {
        return fail(ErrorCode::invalid_argument,
                    "the set is not normalised: {} number {} is out of order or there twice", what,
                    i);
      }
      if (auto moved = offer(); !moved) {
        return moved;
      }
      std::swap(previous_, offered_);
    }
    return {};
  }

  // What is stored behind the last offered value is not named any more.
  Status finish() {
    while (stored_.valid()) {
      if (auto missed = miss(); !missed) {
        return missed;
      }
    }
    return changes_.flush();
  }

 private:
  Status offer() {
    while (stored_.valid() && stored_.value_key() < offered_) {
      if (auto missed = miss(); !missed) {
        return missed;
      }
    }
    std::optional<SetEntry> before;
    if (stored_.valid() && stored_.value_key() == offered_) {
      if (!decode_set_entry(stored_.value(), before.emplace())) {
        return fail(ErrorCode::corruption, "an entry of the set is not readable");
      }
      stored_.next();
    }
    return move(offered_, before, rules_.named(offered_, before));
  }

  Status miss() {
    SetEntry before;
    if (!decode_set_entry(stored_.value(), before)) {
      return fail(ErrorCode::corruption, "an entry of the set is not readable");
    }
    auto moved = move(stored_.value_key(), before, rules_.missing(before));
    stored_.next();
    return moved;
  }

  Status move(std::string_view value_key, const std::optional<SetEntry>& before,
              const std::optional<SetEntry>& after) {
    if (before != after) {
      return changes_.move(value_key, before, after);
    }
    if (counts(before)) {
      changes_.keep(value_key);
    }
    return {};
  }

  SetCursor& stored_;
  const Rules& rules_;
  ChangeWriter& changes_;
  std::string offered_;
  std::string previous_;
};

Status walk(SetDifference& difference, const FeedSet& set) {
  if (auto moved = difference.offer_all(set.v4, "IPv4 prefix"); !moved) {
    return moved;
  }
  if (auto moved = difference.offer_all(set.v6, "IPv6 prefix"); !moved) {
    return moved;
  }
  if (auto moved = difference.offer_all(set.domains, "domain"); !moved) {
    return moved;
  }
  return difference.finish();
}

}  // namespace

Result<ApplySummary> Store::apply(const std::string& id, const FeedSet& set, const FeedState& state,
                                  int64_t now, const ApplyOptions& options) {
  const std::lock_guard lock(impl_->writing);
  const Database& database = *impl_->database;
  auto feed = impl_->load_feed(id, {});
  if (!feed) {
    return in("apply", feed.error());
  }
  const std::string context = fmt::format("apply to feed {}", id);
  const auto ageing = parse_ageing(feed->record.definition.ageing);
  if (!ageing) {
    return in(context, ageing.error());
  }
  Rules rules(*ageing, {.now = now, .last_good = feed->record.state.last_good});
  if (auto taken = rules.set_expiries(options.expiries); !taken) {
    return in(context, taken.error());
  }
  ChangeWriter changes(
      database, {.feed_number = feed->number, .now = now, .first_seen_span = ageing->span_s});
  const View view(database);
  SetCursor stored(database, feed->number, view);
  SetDifference difference(stored, rules, changes);
  if (auto walked = walk(difference, set); !walked) {
    return in(context, walked.error());
  }
  if (!stored.status().ok()) {
    return database.failed(stored.status());
  }
  feed->record.state = state;
  feed->record.state.prefix4_count = changes.entry_counts().v4;
  feed->record.state.prefix6_count = changes.entry_counts().v6;
  feed->record.state.domain_count = changes.entry_counts().domains;
  const ApplySummary summary = changes.summary();
  const bool changed = summary.added != 0 || summary.removed != 0;
  if (options.change_time == ChangeTime::by_difference && changed) {
    feed->record.state.last_changed = now;
  }
  if (auto put = impl_->put_feed(changes.batch(), *feed); !put) {
    return in(context, put.error());
  }
  Change change{.kind = Change::Kind::feed_set, .feed = id};
  const Status written = changed ? impl_->commit(changes.batch(), {std::move(change)})
                                 : impl_->database->write(changes.batch(), Durability::synced);
  if (!written) {
    return in(context, written.error());
  }
  return summary;
}

Status Store::remove_feed(const std::string& id, int64_t now) {
  const std::lock_guard lock(impl_->writing);
  const Database& database = *impl_->database;
  const auto feed = impl_->load_feed(id, {});
  if (!feed) {
    return in("remove feed", feed.error());
  }
  const std::string context = fmt::format("remove feed {}", id);
  const Ageing at_once;
  const Rules rules(at_once, {.now = now});
  ChangeWriter changes(database, {.feed_number = feed->number, .now = now});
  const View view(database);
  SetCursor stored(database, feed->number, view);
  SetDifference difference(stored, rules, changes);
  if (auto walked = difference.finish(); !walked) {
    return in(context, walked.error());
  }
  if (!stored.status().ok()) {
    return database.failed(stored.status());
  }
  auto removed = changes.batch().Delete(database.column(Column::feeds), slice(id));
  if (removed.ok()) {
    removed = delete_content(database, changes.batch(), feed->number);
  }
  if (!removed.ok()) {
    return database.failed(removed);
  }
  return impl_->commit(changes.batch(), {{.kind = Change::Kind::feed_definition, .feed = id}});
}

}  // namespace merlon::store
