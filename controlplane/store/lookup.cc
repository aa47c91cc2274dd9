// SPDX-License-Identifier: Apache-2.0
// Reading: sets and observations. A lookup of an address asks for the prefix of every length that
// covers it in one MultiGet (33 or 129 keys), one of a domain for the domain and its parents.
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "controlplane/store/store_impl.h"
#include "zones/name/name.h"

namespace merlon::store {
namespace {

// What a feed number means now.
struct FeedOfNumber {
  std::string id;
  int64_t last_good = 0;
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
      feed.last_good = stored->number == number ? stored->record.state.last_good : 0;
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

}  // namespace

// `values` are the indicators of `keys` as text, the narrowest first.
Result<std::vector<Observation>> Store::Impl::observations(
    const std::vector<std::string>& keys, const std::vector<std::string>& values) const {
  const View view(*database);
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
      part.push_back({.value = values[i],
                      .feed = (*feed)->id,
                      .first_seen = sighting.first_seen,
                      .last_seen = sighting.listed ? (*feed)->last_good : sighting.last_seen,
                      .listed = sighting.listed});
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
    keys.push_back(indicator_key(prefix));
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
    keys.push_back(domain_indicator_key(rest));
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
    if (!decode_value_key(at.value_key(), set)) {
      return database.damaged(fmt::format("the set of feed {} holds an unreadable entry", id));
    }
  }
  if (!at.status().ok()) {
    return database.failed(at.status());
  }
  return set;
}

}  // namespace merlon::store
