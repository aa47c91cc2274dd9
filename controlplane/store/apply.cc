// SPDX-License-Identifier: Apache-2.0
// Sets and history. The new set and the stored one are both sorted, so the difference is one walk;
// what differs is looked up in `indicators` a thousand keys at a time and goes, changed, into one
// batch. Memory is that of the batch: about 50 bytes per changed entry, and as much again in
// RocksDB's write buffer until it is flushed; what did not change costs nothing.
#include <string>
#include <vector>

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

// Turns "lists it now" and "lists it no more" into entries of the batch. Each value at most once.
class ChangeWriter {
 public:
  ChangeWriter(const Database& database, uint32_t feed_number, int64_t now)
      : database_(database), feed_number_(feed_number), now_(to_stored_time(now)) {}

  Status list(std::string_view value_key) { return add(value_key, true); }
  Status withdraw(std::string_view value_key) { return add(value_key, false); }

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
  uint64_t listed_count() const { return listed_count_; }
  uint64_t withdrawn_count() const { return withdrawn_count_; }

 private:
  struct Change {
    std::string value_key;
    bool listed = false;
  };

  Status add(std::string_view value_key, bool listed) {
    changes_.push_back({std::string(value_key), listed});
    ++(listed ? listed_count_ : withdrawn_count_);
    return changes_.size() < kChangesPerRead ? Status{} : flush();
  }

  Status write(const Change& change, const std::string& key, std::string_view stored) {
    if (!decode_sightings(stored, sightings_)) {
      return database_.damaged("the sightings of an indicator are not readable");
    }
    if (!update(change.listed)) {
      return database_.damaged(
          fmt::format("set and history of feed number {} disagree", feed_number_));
    }
    encode_sightings(sightings_, encoded_);
    std::string set_key = big_endian(feed_number_);
    set_key += change.value_key;
    rocksdb::ColumnFamilyHandle* sets = database_.column(Column::sets);
    auto put = batch_.Put(database_.column(Column::indicators), key, encoded_);
    if (put.ok()) {
      put = change.listed ? batch_.Put(sets, set_key, "") : batch_.Delete(sets, set_key);
    }
    return put.ok() ? Status{} : database_.failed(put);
  }

  // A value that comes back keeps its first_seen. False when the history says already what the
  // change is to say, which cannot be while sets and history agree.
  bool update(bool listed) {
    for (Sighting& sighting : sightings_) {
      if (sighting.feed == feed_number_) {
        if (sighting.listed == listed) {
          return false;
        }
        sighting.listed = listed;
        sighting.last_seen = listed ? 0 : now_;
        return true;
      }
    }
    sightings_.push_back({feed_number_, now_, 0, true});
    return listed;
  }

  const Database& database_;
  const uint32_t feed_number_;
  const uint32_t now_;
  rocksdb::WriteBatch batch_;
  std::vector<Change> changes_;
  std::vector<Sighting> sightings_;  // reused
  std::string encoded_;              // reused
  uint64_t listed_count_ = 0;
  uint64_t withdrawn_count_ = 0;
};

// Walks the stored set beside a new one that is offered value by value.
class SetDifference {
 public:
  SetDifference(SetCursor& stored, ChangeWriter& changes) : stored_(stored), changes_(changes) {}

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

  // What is stored behind the last offered value is gone.
  Status finish() {
    while (stored_.valid()) {
      if (auto withdrawn = changes_.withdraw(stored_.value_key()); !withdrawn) {
        return withdrawn;
      }
      stored_.next();
    }
    return changes_.flush();
  }

  uint64_t unchanged_count() const { return unchanged_count_; }

 private:
  Status offer() {
    while (stored_.valid() && stored_.value_key() < offered_) {
      if (auto withdrawn = changes_.withdraw(stored_.value_key()); !withdrawn) {
        return withdrawn;
      }
      stored_.next();
    }
    if (stored_.valid() && stored_.value_key() == offered_) {
      ++unchanged_count_;
      stored_.next();
      return {};
    }
    return changes_.list(offered_);
  }

  SetCursor& stored_;
  ChangeWriter& changes_;
  std::string offered_;
  std::string previous_;
  uint64_t unchanged_count_ = 0;
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
                                  int64_t now) {
  const std::lock_guard lock(impl_->writing);
  const Database& database = *impl_->database;
  auto feed = impl_->load_feed(id, {});
  if (!feed) {
    return in("apply", feed.error());
  }
  const std::string context = fmt::format("apply to feed {}", id);
  ChangeWriter changes(database, feed->number, now);
  const View view(database);
  SetCursor stored(database, feed->number, view);
  SetDifference difference(stored, changes);
  if (auto walked = walk(difference, set); !walked) {
    return in(context, walked.error());
  }
  if (!stored.status().ok()) {
    return database.failed(stored.status());
  }
  feed->record.state = state;
  feed->record.state.prefix4_count = set.v4.size();
  feed->record.state.prefix6_count = set.v6.size();
  feed->record.state.domain_count = set.domains.size();
  if (auto put = impl_->put_feed(changes.batch(), *feed); !put) {
    return in(context, put.error());
  }
  const ApplySummary summary{.added = changes.listed_count(),
                             .removed = changes.withdrawn_count(),
                             .unchanged = difference.unchanged_count()};
  const bool changed = summary.added != 0 || summary.removed != 0;
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
  ChangeWriter changes(database, feed->number, now);
  const View view(database);
  SetCursor stored(database, feed->number, view);
  SetDifference difference(stored, changes);
  if (auto walked = difference.finish(); !walked) {
    return in(context, walked.error());
  }
  if (!stored.status().ok()) {
    return database.failed(stored.status());
  }
  const auto removed = changes.batch().Delete(database.column(Column::feeds), slice(id));
  if (!removed.ok()) {
    return database.failed(removed);
  }
  return impl_->commit(changes.batch(), {{.kind = Change::Kind::feed_definition, .feed = id}});
}

}  // namespace merlon::store
