// SPDX-License-Identifier: Apache-2.0
// Why is it listed, since when, by whom: what the store remembers, what the snapshots carry, and
// what neither can know, said so.
#include <algorithm>
#include <map>
#include <set>

#include "controlplane/coordinator/coordinator.h"
#include "controlplane/coordinator/membership.h"
#include "controlplane/feeds/decode.h"
#include "controlplane/feeds/find_line.h"
#include "controlplane/policy/lists.h"
#include "controlplane/policy/policies.h"
#include "controlplane/store/merge.h"

namespace merlon::coordinator {
namespace {

constexpr size_t kContentsRead = 30;  // of feeds, for their lines, in one answer

// A value as it was understood.
struct Asked {
  std::optional<address::Address> address;
  name::Name domain;  // without an address
  std::string text;
};

Result<Asked> understand(const std::string& value) {
  Asked asked;
  if (const auto address = address::parse_address(value)) {
    asked.address = *address;
    asked.text = address::to_text(*address);
    return asked;
  } else if (address.error() != address::Fault::not_an_address) {
    return fail(ErrorCode::invalid_argument, "\"{}\" {}", value, explain(address.error()));
  }
  if (address::parse_prefix(value)) {
    return fail(ErrorCode::invalid_argument, "\"{}\" is a prefix; give one address of it", value);
  }
  if (const auto fault = name::host_name_fault(value); !fault.empty()) {
    return fail(ErrorCode::invalid_argument,
                "\"{}\" is neither an IP address nor a domain name ({}); give one address or name",
                value, fault);
  }
  const auto parsed = name::Name::from_text(value);
  if (!parsed) {
    return std::unexpected(parsed.error());
  }
  asked.domain = parsed->folded();
  asked.text = asked.domain.to_text();
  asked.text.pop_back();  // domains are stored without the final dot
  return asked;
}

bool counted_at(const store::Observation& one, int64_t at) {
  return at == 0 ? one.listed
                 : std::ranges::any_of(one.intervals, [at](const store::Interval& interval) {
                     return interval.from <= at && (interval.until == 0 || at < interval.until);
                   });
}

using FeedsById = std::map<std::string, const store::FeedRecord*>;

FeedsById by_id(const std::vector<store::FeedRecord>& records) {
  FeedsById feeds;
  for (const store::FeedRecord& record : records) {
    feeds[record.definition.id] = &record;
  }
  return feeds;
}

// Fills in what the feeds are, what they say together, and who allows the value.
void describe(const FeedsById& feeds, api::CheckReport& report) {
  std::vector<store::Claim> claims;
  for (const store::Observation& one : report.observations) {
    api::CheckSource& source = report.sources.emplace_back();
    source.counted_then = counted_at(one, report.at);
    report.listed = report.listed || source.counted_then;
    const auto feed = feeds.find(one.feed);
    source.removed = feed == feeds.end();
    if (source.removed) {
      continue;
    }
    const store::FeedDefinition& definition = feed->second->definition;
    source.category = definition.category;
    source.severity = definition.severity;
    source.confidence = definition.confidence;
    source.direction = definition.direction;
    source.provider = definition.provider;
    source.reference = definition.homepage.empty() ? definition.url : definition.homepage;
    if (definition.direction == store::Direction::block) {
      claims.push_back({.feed = one.feed,
                        .confidence = definition.confidence,
                        .listed = source.counted_then,
                        .first_seen = one.first_seen,
                        .last_seen = one.last_seen,
                        .copies = definition.copies});
    } else if (source.counted_then && definition.enabled &&
               !std::ranges::count(report.allowed_by, one.feed)) {
      report.allowed_by.push_back(one.feed);
    }
  }
  report.merged = store::merge_claims(claims);
}

void put_line(const store::FeedRecord& feed, const std::string& content, const std::string& value,
              api::CheckSource& source) {
  if (content.empty()) {
    source.line_note = "the feed's last content is not kept";
    return;
  }
  const auto declaration = feeds::parse_declaration(feed.state.format);
  const auto text = feeds::decode(as_bytes(content));
  if (!declaration || !text) {
    source.line_note = declaration ? text.error().message : declaration.error().message;
    return;
  }
  const auto line = feeds::find_line(text->text(), *declaration, value);
  if (!line) {
    source.line_note = "the feed's last content names it in a form that has no line of its own";
    return;
  }
  source.line_number = line->number;
  source.line = line->text;
}

bool covers(const store::CustomEntry& entry, const Asked& asked) {
  const auto own = store::parse_own_value(entry.value);
  if (!own) {
    return false;
  }
  if (asked.address) {
    return own->kind != store::OwnValue::Kind::domain &&
           own->range.family == asked.address->family && own->range.first <= asked.address->bits &&
           asked.address->bits <= own->range.last;
  }
  if (own->kind != store::OwnValue::Kind::domain) {
    return false;
  }
  const bool below = own->domain.starts_with("*.");
  const auto name = name::Name::from_text(below ? own->domain.substr(2) : own->domain);
  return name && asked.domain.is_at_or_below(*name) && (!below || !(asked.domain == *name));
}

}  // namespace

// What was served at a time: the generation of then if it is still there, else nullptr.
std::shared_ptr<const snapshot::Snapshot> Coordinator::snapshot_of(api::CheckReport& report) {
  auto served = slot_.get();
  if (report.at == 0) {
    report.generation = served == nullptr ? 0 : served->generation();
    report.lists_from = "generation";
    return served;
  }
  const auto then = store_.generation_at(report.at);
  if (!then || then->generation == 0) {
    report.unknown.push_back(
        !then ? then.error().message
        : then->known_from == 0
            ? "which generation was served then: nothing was noted yet"
            : "which generation was served then: that is remembered only since later");
    return nullptr;
  }
  report.generation = then->generation;
  report.generation_since = then->since;
  if (served != nullptr && served->generation() == then->generation) {
    report.lists_from = "generation";
    return served;
  }
  const auto manifest = publisher_.directory().manifest(then->generation, publisher_.public_key());
  if (manifest) {
    auto loaded =
        snapshot::Snapshot::load(publisher_.directory(), *manifest, index_key_, served.get());
    if (loaded) {
      report.lists_from = "generation";
      return *loaded;
    }
  }
  report.unknown.push_back(
      fmt::format("what generation {} carried exactly: it is not kept any more; the lists are "
                  "replayed from what feeds listed then and from today's definitions",
                  then->generation));
  return nullptr;
}

// Lists and policies as they are defined now, over what the feeds listed then.
Status Coordinator::replay_lists(const std::vector<store::FeedRecord>& records,
                                 const CheckScope& scope, api::CheckReport& report) {
  report.lists_from = "history";
  const FeedsById feeds = by_id(records);
  std::set<std::string> listing;
  for (size_t i = 0; i < report.observations.size(); ++i) {
    if (report.sources[i].counted_then && !report.sources[i].removed &&
        report.sources[i].direction == store::Direction::block) {
      listing.insert(report.observations[i].feed);
    }
    if (report.sources[i].counted_then && report.sources[i].removed) {
      report.unknown.push_back(
          fmt::format("which lists carried it because of feed {}, which is removed",
                      report.observations[i].feed));
    }
  }
  if (!report.protected_by.empty() || !report.allowed_by.empty()) {
    return {};
  }
  const auto takes = [&](const std::vector<std::string>& ids) {
    return std::ranges::any_of(ids, [&](const std::string& id) { return listing.contains(id); });
  };
  const std::string suffix = options_.compile.suffix.to_text();
  const bool address = report.kind == "address";
  for (const policy::ListDefinition& list : policy::shared_lists(records)) {
    if (address && takes(list.feeds)) {
      report.lists.push_back(fmt::format("{}.{}", list.name, suffix));
    }
  }
  const auto policies = scope.name.empty() ? store_.policies() : store_.policies_of(scope.name);
  if (!policies) {
    return std::unexpected(policies.error());
  }
  for (const store::Policy& policy : *policies) {
    const bool fits = address || policy.kind == store::PolicyKind::dns;
    if (!fits || policy.created > report.at || !takes(policy::feeds_of(policy, records))) {
      continue;
    }
    report.lists.push_back(
        policy.kind == store::PolicyKind::dns
            ? fmt::format("{}.{}.{}.{}", policy.name, policy::kRpzLabel, policy.account, suffix)
            : fmt::format("{}.{}.{}", policy.name, policy.account, suffix));
    if (policy.changed > report.at) {
      report.unknown.push_back(fmt::format("what policy {}/{} was then: it was changed since",
                                           policy.account, policy.name));
    }
  }
  report.unknown.emplace_back("what accounts' own lists held then: their entries have no history");
  return {};
}

// The account's own allow lists, as they are now.
Status Coordinator::add_own_allowed(const CheckScope& scope, const std::string& value,
                                    api::CheckReport& report) {
  const auto asked = understand(value);
  const auto lists = store_.lists_of(scope.name);
  if (!asked || !lists) {
    return std::unexpected(asked ? lists.error() : asked.error());
  }
  for (const store::CustomList& list : *lists) {
    if (list.direction != store::Direction::allow) {
      continue;
    }
    store::EntryRange range{.after = {}, .limit = store::kEntryPageMax};
    for (bool more = true; more;) {
      const auto page = store_.entries_of(list.account, list.name, range);
      if (!page) {
        return std::unexpected(page.error());
      }
      if (std::ranges::any_of(page->entries, [&](const auto& e) { return covers(e, *asked); })) {
        report.allowed_by.push_back(fmt::format("{}/{}", list.account, list.name));
        break;
      }
      more = page->more && !page->entries.empty();
      range.after = more ? page->entries.back().value : "";
    }
  }
  return {};
}

Result<Coordinator::CheckScope> Coordinator::scope_of(const api::CheckOptions& options) const {
  CheckScope scope{.name = options.account, .number = std::nullopt};
  if (!options.account.empty()) {
    const auto account = store_.account(options.account);
    if (!account) {
      return std::unexpected(account.error());
    }
    scope.number = account->number;
  }
  return scope;
}

// What the store says; the lists are left open.
Result<api::CheckReport> Coordinator::look_up(const std::string& value, int64_t at) {
  const auto asked = understand(value);
  if (!asked) {
    return std::unexpected(asked.error());
  }
  api::CheckReport report;
  report.value = asked->text;
  report.kind = asked->address ? "address" : "domain";
  report.at = at;
  if (asked->address) {
    report.protected_by = net()->protected_by(*asked->address, own_addresses());
    enrich::Place place = geo()->place_of(*asked->address);
    report.country = std::move(place.country);
    report.asn = place.asn;
    report.organisation = std::move(place.organisation);
  } else {
    report.protected_by = net()->protected_by(report.value);
  }
  auto observations = asked->address ? store_.observations_of(*asked->address)
                                     : store_.observations_of_domain(report.value);
  if (!observations) {
    return std::unexpected(observations.error());
  }
  report.observations = std::move(*observations);
  return report;
}

Result<api::CheckReport> Coordinator::check(const std::string& value,
                                            const api::CheckOptions& options) {
  const auto scope = scope_of(options);
  const auto records = store_.feeds();
  if (!scope || !records) {
    return std::unexpected(scope ? records.error() : scope.error());
  }
  auto report = look_up(value, options.at);
  if (!report) {
    return report;
  }
  const FeedsById feeds = by_id(*records);
  describe(feeds, *report);
  if (const auto snapshot = snapshot_of(*report); snapshot != nullptr) {
    if (const auto address = address::parse_address(report->value)) {
      report->lists = names_that_carry(*snapshot, *address, scope->number);
    } else if (const auto domain = name::Name::from_text(report->value)) {
      PolicyZones zones = policy_zones_of(*snapshot, *domain, scope->number);
      report->lists = std::move(zones.blocking);
      std::ranges::move(zones.passing, std::back_inserter(report->allowed_by));
    }
  } else if (options.at != 0) {
    if (auto replayed = replay_lists(*records, *scope, *report); !replayed) {
      return std::unexpected(replayed.error());
    }
  }
  if (!scope->name.empty()) {
    if (auto added = add_own_allowed(*scope, value, *report); !added) {
      return std::unexpected(added.error());
    }
  }
  add_lines(feeds, *report);
  return report;
}

// The lines of the last content, for what is in it.
void Coordinator::add_lines(const std::map<std::string, const store::FeedRecord*>& feeds,
                            api::CheckReport& report) {
  std::map<std::string, std::string> contents;
  for (size_t i = 0; i < report.observations.size(); ++i) {
    const store::Observation& one = report.observations[i];
    const auto feed = feeds.find(one.feed);
    if (feed == feeds.end() || !one.listed || one.gone) {
      continue;
    }
    if (!contents.contains(one.feed) && contents.size() == kContentsRead) {
      report.sources[i].line_note = "too many feeds list it to read all of them";
      continue;
    }
    const auto [content, is_new] = contents.try_emplace(one.feed);
    if (is_new) {
      content->second = store_.content_of(one.feed).value_or("");
    }
    put_line(*feed->second, content->second, one.value, report.sources[i]);
  }
}

Result<std::vector<api::CheckReport>> Coordinator::check_many(
    const std::vector<std::string>& values, const api::CheckOptions& options) {
  if (values.size() > api::kCheckValuesMax) {
    return fail(ErrorCode::invalid_argument, "{} values are too many for one call; {} are allowed",
                values.size(), api::kCheckValuesMax);
  }
  const auto scope = scope_of(options);
  const auto records = store_.feeds();
  if (!scope || !records) {
    return std::unexpected(scope ? records.error() : scope.error());
  }
  const FeedsById feeds = by_id(*records);
  std::vector<api::CheckReport> reports;
  std::vector<address::Address> addresses;
  std::vector<size_t> places;  // of the addresses' reports
  for (const std::string& value : values) {
    auto report = look_up(value, options.at);
    if (!report && report.error().code != ErrorCode::invalid_argument) {
      return std::unexpected(report.error());
    }
    if (!report) {
      api::CheckReport refused;
      refused.value = value;
      refused.error = report.error().message;
      reports.push_back(std::move(refused));
      continue;
    }
    describe(feeds, *report);
    if (report->kind == "address") {
      addresses.push_back(address::parse_address(report->value).value());
      places.push_back(reports.size());
    }
    reports.push_back(std::move(*report));
  }
  api::CheckReport common;
  common.at = options.at;
  const auto snapshot = snapshot_of(common);
  if (snapshot != nullptr) {
    auto names = names_that_carry(*snapshot, addresses, scope->number);
    for (size_t i = 0; i < places.size(); ++i) {
      reports[places[i]].lists = std::move(names[i]);
    }
  }
  for (api::CheckReport& report : reports) {
    report.generation = common.generation;
    report.generation_since = common.generation_since;
    report.lists_from = common.lists_from;
    report.unknown = common.unknown;
    if (!report.error.empty()) {
      continue;
    }
    if (snapshot == nullptr && options.at != 0) {
      if (auto replayed = replay_lists(*records, *scope, report); !replayed) {
        return std::unexpected(replayed.error());
      }
    } else if (snapshot != nullptr && report.kind == "domain") {
      if (const auto domain = name::Name::from_text(report.value)) {
        report.lists = policy_zones_of(*snapshot, *domain, scope->number).blocking;
      }
    }
  }
  return reports;
}

Result<api::BackupReport> Coordinator::backup(const std::string& directory) {
  const auto made = store_.backup(directory, std::time(nullptr));
  if (!made) {
    return std::unexpected(made.error());
  }
  return api::BackupReport{.directory = directory,
                           .id = made->id,
                           .created = made->created,
                           .size_bytes = made->size_bytes,
                           .schema_version = made->schema_version};
}

}  // namespace merlon::coordinator
