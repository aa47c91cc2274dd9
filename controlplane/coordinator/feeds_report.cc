// SPDX-License-Identifier: Apache-2.0
// What feeds are worth beside each other (report/value.h), of what the store holds.
#include <algorithm>
#include <ctime>
#include <deque>
#include <set>

#include "controlplane/coordinator/coordinator.h"
#include "controlplane/report/value.h"

namespace merlon::coordinator {
namespace {

constexpr size_t kSampleMax = 4000;  // values of all feeds together
constexpr size_t kSamplePerFeedMin = 20;

// Of exactly the value, which covering prefixes and parent domains are not.
Result<std::vector<store::Observation>> observations_of(const store::Store& store,
                                                        const std::string& value) {
  const auto address = address::parse_address(value);
  auto observations =
      address ? store.observations_of(*address) : store.observations_of_domain(value);
  if (observations) {
    std::erase_if(*observations, [&](const auto& one) { return one.value != value; });
  }
  return observations;
}

}  // namespace

Result<std::vector<std::string>> Coordinator::feeds_to_report(
    const std::vector<std::string>& wanted) const {
  const auto records = store_.feeds();
  if (!records) {
    return std::unexpected(records.error());
  }
  std::vector<std::string> ids;
  for (const store::FeedRecord& record : *records) {
    const std::string& id = record.definition.id;
    const bool named = std::ranges::find(wanted, id) != wanted.end();
    const bool lists = record.definition.enabled && record.state.last_changed != 0 &&
                       record.definition.direction == store::Direction::block;
    if (named || (wanted.empty() && lists)) {
      ids.push_back(id);
    }
  }
  for (const std::string& id : wanted) {
    if (std::ranges::find(ids, id) == ids.end()) {
      return fail(ErrorCode::not_found, "no feed {}", id);
    }
  }
  return ids;
}

Result<api::FeedsReport> Coordinator::feeds_report(const std::vector<std::string>& wanted) {
  const auto ids = feeds_to_report(wanted);
  if (!ids) {
    return std::unexpected(ids.error());
  }
  std::vector<report::FeedInput> inputs;
  std::deque<store::FeedSet> sets;
  std::set<std::string> sample;
  const size_t per_feed =
      std::max(kSampleMax / std::max<size_t>(ids->size(), 1), kSamplePerFeedMin);
  for (const std::string& id : *ids) {
    auto set = store_.set_of(id);
    if (!set) {
      return std::unexpected(set.error());
    }
    for (std::string& value : report::sample_of(*set, per_feed)) {
      sample.insert(std::move(value));
    }
    std::vector<uint64_t> hashes = report::domain_hashes_of(*set);
    set->domains = {};
    sets.push_back(std::move(*set));
    inputs.push_back({.id = id, .addresses = &sets.back(), .domain_hashes = std::move(hashes)});
  }
  std::vector<std::vector<store::Observation>> values;
  for (const std::string& value : sample) {
    auto observations = observations_of(store_, value);
    if (!observations) {
      return std::unexpected(observations.error());
    }
    values.push_back(std::move(*observations));
  }
  const report::Overlap overlap = report::overlap_of(inputs);
  const auto timings = report::timings_of(*ids, values, std::time(nullptr));
  api::FeedsReport made;
  for (size_t i = 0; i < ids->size(); ++i) {
    auto safety = feed_safety((*ids)[i]);
    if (!safety) {
      return std::unexpected(safety.error());
    }
    const report::Timing& timing = timings[i];
    made.feeds.push_back({.feed = (*ids)[i],
                          .size = overlap.shared_of(i, i),
                          .unique = overlap.unique[i],
                          .sampled_shared = timing.shared,
                          .sampled_first = timing.first,
                          .lead_s = timing.lead_s,
                          .age_s = timing.age_s,
                          .retention_s = timing.retention_s,
                          .sampled_withdrawn = timing.withdrawn,
                          .safety = std::move(*safety)});
    std::vector<uint64_t>& row = made.shared.emplace_back();
    for (size_t j = 0; j < ids->size(); ++j) {
      row.push_back(overlap.shared_of(i, j));
    }
  }
  return made;
}

}  // namespace merlon::coordinator
