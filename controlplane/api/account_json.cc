// SPDX-License-Identifier: Apache-2.0
// The JSON shapes of accounts, their own lists and policies, both ways.
#include <fmt/format.h>

#include <cstdio>
#include <ctime>
#include <string>
#include <vector>

#include "controlplane/api/json.h"
#include "controlplane/api/read_object.h"

namespace merlon::api {
namespace {

constexpr size_t kFaultsShownMax = 1000;

Json to_json(const store::Target& target, store::PolicyKind kind) {
  Json json{{"feeds", target.feeds},
            {"categories", target.categories},
            {"severity_min", target.severity_min},
            {"confidence_min", target.confidence_min},
            {"countries", target.countries},
            {"asns", target.asns}};
  if (kind == store::PolicyKind::dns) {
    json["action"] = store::to_string(target.action);
  }
  return json;
}

Status read_names(const Json& value, std::vector<std::string>& out) {
  if (!value.is_array()) {
    return fail(ErrorCode::invalid_argument, "must be an array of names, not {}", quoted(value));
  }
  for (const Json& item : value) {
    std::string name;
    if (const Status read = read_required_text(item, name); !read) {
      return read;
    }
    out.push_back(std::move(name));
  }
  return {};
}

Status read_action(const Json& value, store::Action& out) {
  if (!value.is_string() || !store::parse_action(value.get<std::string>(), out)) {
    return fail(
        ErrorCode::invalid_argument,
        R"(must be "nxdomain", "nodata", "passthru", "drop", "tcp-only" or "garden", not {})",
        quoted(value));
  }
  return {};
}

Status read_kind(const Json& value, store::PolicyKind& out) {
  if (!value.is_string() || !store::parse_policy_kind(value.get<std::string>(), out)) {
    return fail(ErrorCode::invalid_argument, R"(must be "ip" or "dns", not {})", quoted(value));
  }
  return {};
}

Status read_time(const Json& value, int64_t& out) {
  if (value.is_null()) {
    out = 0;
    return {};
  }
  const auto time =
      value.is_string()
          ? time_from_text(value.get<std::string>())
          : fail(ErrorCode::invalid_argument,
                 "must be a time as 2026-03-01T12:00:00Z, or null, not {}", quoted(value));
  if (!time) {
    return std::unexpected(time.error());
  }
  out = *time;
  return {};
}

using store::Account;
using store::CustomEntry;
using store::CustomList;
using store::Policy;
using store::Target;

#define MERLON_READ(T, ...) [](const Json& v, T& out) -> Status { return __VA_ARGS__; }

constexpr auto kAccountFields = std::to_array<Field<Account>>({
    {"name", Need::required, MERLON_READ(Account, read_required_text(v, out.name))},
    {"title", Need::optional, MERLON_READ(Account, read_text(v, out.title))},
    {"tier", Need::optional, MERLON_READ(Account, read_tier(v, out.tier))},
});

constexpr auto kListFields = std::to_array<Field<CustomList>>({
    {"name", Need::required, MERLON_READ(CustomList, read_required_text(v, out.name))},
    {"title", Need::optional, MERLON_READ(CustomList, read_text(v, out.title))},
    {"direction", Need::optional, MERLON_READ(CustomList, read_direction(v, out.direction))},
});

constexpr auto kEntryFields = std::to_array<Field<CustomEntry>>({
    {"value", Need::required, MERLON_READ(CustomEntry, read_text(v, out.value))},
    {"comment", Need::optional, MERLON_READ(CustomEntry, read_text(v, out.comment))},
    {"expires", Need::optional, MERLON_READ(CustomEntry, read_time(v, out.expires))},
});

Status read_asns(const Json& value, std::vector<uint32_t>& out) {
  if (!value.is_array()) {
    return fail(ErrorCode::invalid_argument, "must be an array of numbers, not {}", quoted(value));
  }
  for (const Json& item : value) {
    if (auto read = read_integer<uint32_t>(item, 1, UINT32_MAX, out.emplace_back()); !read) {
      return read;
    }
  }
  return {};
}

constexpr auto kTargetFields = std::to_array<Field<Target>>({
    {"feeds", Need::optional, MERLON_READ(Target, read_names(v, out.feeds))},
    {"categories", Need::optional, MERLON_READ(Target, read_names(v, out.categories))},
    {"severity_min", Need::optional,
     MERLON_READ(Target, read_integer<uint8_t>(v, 0, 5, out.severity_min))},
    {"confidence_min", Need::optional,
     MERLON_READ(Target, read_integer<uint8_t>(v, 0, 100, out.confidence_min))},
    {"action", Need::optional, MERLON_READ(Target, read_action(v, out.action))},
    {"countries", Need::optional, MERLON_READ(Target, read_names(v, out.countries))},
    {"asns", Need::optional, MERLON_READ(Target, read_asns(v, out.asns))},
});

Status read_targets(const Json& value, std::vector<Target>& out) {
  if (!value.is_array()) {
    return fail(ErrorCode::invalid_argument, "must be an array of objects, not {}", quoted(value));
  }
  for (const Json& item : value) {
    auto target = item.is_object() ? read_object(item, kTargetFields)
                                   : fail(ErrorCode::invalid_argument,
                                          "must be an array of objects, not of {}", quoted(item));
    if (!target) {
      return in(fmt::format("target {}", out.size() + 1), target.error());
    }
    out.push_back(std::move(*target));
  }
  return {};
}

constexpr auto kPolicyFields = std::to_array<Field<Policy>>({
    {"name", Need::required, MERLON_READ(Policy, read_required_text(v, out.name))},
    {"title", Need::optional, MERLON_READ(Policy, read_text(v, out.title))},
    {"kind", Need::required, MERLON_READ(Policy, read_kind(v, out.kind))},
    {"targets", Need::optional, MERLON_READ(Policy, read_targets(v, out.targets))},
    {"lists", Need::optional, MERLON_READ(Policy, read_names(v, out.lists))},
    {"list_action", Need::optional, MERLON_READ(Policy, read_action(v, out.list_action))},
    {"garden", Need::optional, MERLON_READ(Policy, read_text(v, out.garden))},
    {"profile", Need::optional, MERLON_READ(Policy, read_text(v, out.profile))},
    {"capacity", Need::optional,
     MERLON_READ(Policy, read_integer<uint64_t>(v, 0, uint64_t{1} << 40, out.capacity))},
});

#undef MERLON_READ

}  // namespace

Json to_json(const store::Account& account) {
  return Json{{"name", account.name},
              {"title", account.title},
              {"tier", store::to_string(account.tier)},
              {"created", time_to_json(account.created)},
              {"number", account.number}};
}

Json to_json(const store::CustomList& list) {
  return Json{{"account", list.account},
              {"name", list.name},
              {"title", list.title},
              {"direction", store::to_string(list.direction)},
              {"entry_count", list.entry_count},
              {"created", time_to_json(list.created)},
              {"changed", time_to_json(list.changed)},
              {"number", list.number}};
}

Json to_json(const store::CustomEntry& entry) {
  return Json{{"value", entry.value},
              {"comment", entry.comment},
              {"created", time_to_json(entry.created)},
              {"expires", time_to_json(entry.expires)}};
}

Json to_json(const store::EntryPage& page) {
  Json entries = Json::array();
  for (const store::CustomEntry& entry : page.entries) {
    entries.push_back(to_json(entry));
  }
  Json json{{"entries", std::move(entries)}, {"next", nullptr}};
  if (page.more) {
    json["next"] = page.entries.back().value;
  }
  return json;
}

Json to_json(const store::EntryFault& fault) {
  return Json{{"index", fault.index}, {"value", fault.value}, {"reason", fault.reason}};
}

Json to_json(const store::EntryReport& report) {
  Json faults = Json::array();
  for (const store::EntryFault& fault : report.faults) {
    if (faults.size() == kFaultsShownMax) {
      break;
    }
    faults.push_back(to_json(fault));
  }
  return Json{{"added_count", report.added},         {"replaced_count", report.replaced},
              {"unchanged_count", report.unchanged}, {"removed_count", report.removed},
              {"entry_count", report.entry_count},   {"fault_count", report.faults.size()},
              {"faults", std::move(faults)}};
}

Json to_json(const store::Policy& policy) {
  Json targets = Json::array();
  for (const store::Target& target : policy.targets) {
    targets.push_back(to_json(target, policy.kind));
  }
  Json json{{"account", policy.account},     {"name", policy.name},
            {"title", policy.title},         {"kind", store::to_string(policy.kind)},
            {"targets", std::move(targets)}, {"lists", policy.lists}};
  if (policy.kind == store::PolicyKind::dns) {
    json["list_action"] = store::to_string(policy.list_action);
    json["garden"] = policy.garden;
  } else {
    json["profile"] = policy.profile.empty() ? "default" : policy.profile;
    json["capacity"] = policy.capacity;
  }
  json["created"] = time_to_json(policy.created);
  json["changed"] = time_to_json(policy.changed);
  json["number"] = policy.number;
  return json;
}

Json to_json(const policy::Profile& profile) {
  return Json{{"name", profile.name},
              {"addresses4_per_name", profile.addresses4_per_name},
              {"addresses6_per_name", profile.addresses6_per_name},
              {"capacity", profile.capacity},
              {"what", profile.what}};
}

Result<int64_t> time_from_text(std::string_view text) {
  std::tm utc{};
  int read = 0;
  const std::string whole(text.substr(0, 32));
  const bool parsed =
      whole.size() == 20 &&
      std::sscanf(whole.c_str(), "%4d-%2d-%2dT%2d:%2d:%2dZ%n", &utc.tm_year, &utc.tm_mon,
                  &utc.tm_mday, &utc.tm_hour, &utc.tm_min, &utc.tm_sec, &read) == 6 &&
      read == 20;
  utc.tm_year -= 1900;
  utc.tm_mon -= 1;
  const int64_t time = parsed ? timegm(&utc) : 0;
  // What no calendar has (day 31 of a short month, blanks, signs) does not come back the same.
  if (!parsed || time_to_json(time) != whole) {
    return fail(ErrorCode::invalid_argument, "{} is no time; write it as 2026-03-01T12:00:00Z",
                quoted(Json(whole)));
  }
  return time;
}

Result<store::Account> account_from_json(const Json& json) {
  return read_object(json, kAccountFields);
}

Result<store::CustomList> list_from_json(const Json& json) {
  return read_object(json, kListFields);
}

Result<store::Policy> policy_from_json(const Json& json) {
  return read_object(json, kPolicyFields);
}

Result<std::vector<store::CustomEntry>> entries_from_json(const Json& json) {
  std::vector<store::CustomEntry> entries;
  if (!json.is_array()) {
    auto entry = read_object(json, kEntryFields);
    if (!entry) {
      return std::unexpected(entry.error());
    }
    entries.push_back(std::move(*entry));
    return entries;
  }
  entries.reserve(json.size());
  for (const Json& item : json) {
    if (item.is_string()) {
      entries.emplace_back().value = item.get<std::string>();
      continue;
    }
    auto entry = item.is_object() ? read_object(item, kEntryFields)
                                  : fail(ErrorCode::invalid_argument,
                                         "must be a value or an object, not {}", quoted(item));
    if (!entry) {
      return in(fmt::format("entry {}", entries.size()), entry.error());
    }
    entries.push_back(std::move(*entry));
  }
  return entries;
}

}  // namespace merlon::api
