// SPDX-License-Identifier: Apache-2.0
// Reading: sets and observations. A lookup of an address asks for the prefix of every length that
// covers it in one MultiGet (33 or 129 keys), one of a domain for the domain and its parents.
#include <algorithm>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "controlplane/store/ageing.h"
#include "controlplane/store/history.h"
#include "controlplane/store/store_impl.h"
#include "zones/name/name.h"

namespace merlon::store {
namespace {

// What a feed number means now.
struct FeedOfNumber {
  std::string id;
  int64_t last_good = 0;
  Ageing ageing = {};
};

class FeedNames {
 public:
  FeedNames(const Database& database, const View& view) : database_(database), view_(view) {}

  Result<const FeedOfNumber*> find(uint32_t number) {
    const auto known = known_.find(number);
    if (known != known_.end()) {
      return &known->second;
    }
    const auto id = database_.get(Column::meta, feed_number_key(number), view_.options());
    if (!id) {
      return std::unexpected(id.error());
    }
    if (!*id) {
      return database_.damaged(fmt::format("feed number {} has no name", number));
    }
    FeedOfNumber feed{.id = **id};
    const auto text = database_.get(Column::feeds, feed.id, view_.options());
    if (!text) {
      return std::unexpected(text.error());
    }
    if (*text) {  // otherwise the feed was removed and this is its history
      const auto stored = decode_feed(**text);
      if (!stored) {
        return in(fmt::format("store {}: feed {}", database_.path(), feed.id), stored.error());
      }
      if (stored->number == number) {
        feed.last_good = stored->record.state.last_good;
        feed.ageing = parse_ageing(stored->record.definition.ageing).value_or(Ageing{});
      }
    }
    return &known_.emplace(number, std::move(feed)).first->second;
  }

 private:
  const Database& database_;
  const View& view_;
  std::map<uint32_t, FeedOfNumber> known_;
};

template <class Bits>
address::AnyPrefix covering(const address::Address& address, int length) {
  const Bits mask = address::host_mask<Bits>(length);
  const Bits bits = static_cast<Bits>(static_cast<Bits>(address.bits) & static_cast<Bits>(~mask));
  return {address.family, static_cast<uint8_t>(length), bits};
}

// Folded, without the final dot. Errors: invalid_argument.
Result<std::string> to_stored_domain(std::string_view text) {
  auto name = name::Name::from_text(text);
  if (!name) {
    return std::unexpected(name.error());
  }
  std::string domain = name->folded().to_text();
  domain.pop_back();
  if (domain.empty()) {
    return fail(ErrorCode::invalid_argument, "the root is not a domain that a feed can list");
  }
  return domain;
}

Observation make_observation(const std::string& value, const FeedOfNumber& feed,
                             const Sighting& sighting) {
  Observation one{.value = value,
                  .feed = feed.id,
                  .first_seen = first_seen_of(sighting),
                  .last_seen = sighting.listed ? feed.last_good : sighting.last_seen,
                  .listed = sighting.listed};
  one.intervals.reserve(sighting.earlier.size() + 1);
  for (const StoredInterval& interval : sighting.earlier) {
    one.intervals.push_back({interval.from, interval.until});
  }
  one.intervals.push_back({sighting.first_seen, sighting.last_seen});
  return one;
}

// What the set knows beside the history, of feeds whose entries age.
Status add_ageing(const Database& database, const View& view, const std::string& set_key,
                  const Ageing& ageing, Observation& one) {
  const auto stored = database.get(Column::sets, set_key, view.options());
  if (!stored) {
    return std::unexpected(stored.error());
  }
  SetEntry entry;
  if (!*stored || !decode_set_entry(**stored, entry)) {
    return database.damaged(fmt::format("set and history of feed {} disagree", one.feed));
  }
  one.ages_out = entry.ages() ? entry.time : 0;
  one.gone = entry.kind == SetEntry::Kind::lingering;
  if (one.gone && ageing.kind == Ageing::Kind::last_seen) {
    one.last_seen = std::max(one.ages_out - int64_t{ageing.span_s}, one.intervals.back().from);
  }
  return {};
}

}  // namespace

// `values` are the indicators of `value_keys` as text, the narrowest first.
Result<std::vector<Observation>> Store::Impl::observations(
    const std::vector<std::string>& value_keys, const std::vector<std::string>& values) const {
  const View view(*database);
  std::vector<std::string> keys;
  keys.reserve(value_keys.size());
  for (const std::string& value_key : value_keys) {
    keys.push_back(indicator_key(value_key));
  }
  const auto found = database->get_many(Column::indicators, keys, view.options());
  if (!found) {
    return std::unexpected(found.error());
  }
  FeedNames names(*database, view);
  std::vector<Observation> observations;  // the listed ones, and in the end all
  std::vector<Observation> withdrawn;
  std::vector<Sighting> sightings;
  for (size_t i = 0; i < keys.size(); ++i) {
    if (!(*found)[i]) {
      continue;
    }
    if (!decode_sightings(*(*found)[i], sightings)) {
      return database->damaged(fmt::format("the sightings of {} are not readable", values[i]));
    }
    for (const Sighting& sighting : sightings) {
      const auto feed = names.find(sighting.feed);
      if (!feed) {
        return std::unexpected(feed.error());
      }
      std::vector<Observation>& part = sighting.listed ? observations : withdrawn;
      part.push_back(make_observation(values[i], **feed, sighting));
      if (sighting.listed && (*feed)->ageing.kind != Ageing::Kind::sudden_death) {
        if (auto added = add_ageing(*database, view, big_endian(sighting.feed) + value_keys[i],
                                    (*feed)->ageing, part.back());
            !added) {
          return std::unexpected(added.error());
        }
      }
    }
  }
  observations.insert(observations.end(), std::make_move_iterator(withdrawn.begin()),
                      std::make_move_iterator(withdrawn.end()));
  return observations;
}

Result<std::vector<Observation>> Store::observations_of(const address::Address& address) const {
  const bool v4 = address.family == address::Family::v4;
  std::vector<std::string> keys;
  std::vector<std::string> values;
  for (int length = v4 ? 32 : 128; length >= 0; --length) {
    const address::AnyPrefix prefix =
        v4 ? covering<address::Bits4>(address, length) : covering<address::Bits6>(address, length);
    const bool good = v4 ? encode_value_key(prefix.v4(), keys.emplace_back())
                         : encode_value_key(prefix.v6(), keys.emplace_back());
    if (!good) {
      return fail(ErrorCode::internal, "the prefix {} has no key", address::to_text(prefix));
    }
    values.push_back(address::to_text(prefix));
  }
  return impl_->observations(keys, values);
}

Result<std::vector<Observation>> Store::observations_of_domain(std::string_view domain) const {
  const auto stored = to_stored_domain(domain);
  if (!stored) {
    return in(fmt::format("domain \"{}\"", domain), stored.error());
  }
  std::vector<std::string> keys;
  std::vector<std::string> values;
  std::string_view rest = *stored;
  while (true) {
    keys.push_back(fmt::format("d{}", rest));
    values.emplace_back(rest);
    const size_t dot = rest.find('.');
    if (dot == std::string_view::npos) {
      break;
    }
    rest.remove_prefix(dot + 1);
  }
  return impl_->observations(keys, values);
}

Result<FeedSet> Store::set_of(const std::string& id) const {
  const Database& database = *impl_->database;
  const View view(database);
  const auto feed = impl_->load_feed(id, view.options());
  if (!feed) {
    return in("set of feed", feed.error());
  }
  FeedSet set;
  set.v4.reserve(feed->record.state.prefix4_count);
  set.v6.reserve(feed->record.state.prefix6_count);
  set.domains.reserve(feed->record.state.domain_count);
  SetCursor at(database, feed->number, view);
  for (; at.valid(); at.next()) {
    SetEntry entry;
    if (!decode_set_entry(at.value(), entry)) {
      return database.damaged(fmt::format("the set of feed {} holds an unreadable entry", id));
    }
    if (entry.counts() && !decode_value_key(at.value_key(), set)) {
      return database.damaged(fmt::format("the set of feed {} holds an unreadable entry", id));
    }
  }
  if (!at.status().ok()) {
    return database.failed(at.status());
  }
  return set;
}

}  // namespace merlon::store
