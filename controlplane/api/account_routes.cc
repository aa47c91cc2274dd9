// SPDX-License-Identifier: Apache-2.0
// /v1/accounts: accounts with their own lists, entries and policies; /v1/profiles.
//
// Entries come as JSON (one object, or an array of objects and of plain values) or as text/plain:
// one value a line, with a comment after '#'. ?invalid=skip takes the good ones of many; otherwise
// nothing is changed when one is refused, and the error lists which and why.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "controlplane/api/route.h"
#include "controlplane/policy/profiles.h"

namespace merlon::api {
namespace {

using store::CustomEntry;

constexpr std::string_view kBlanks = " \t\r";

// The body with the key "name" from the path; a body that names another is refused.
Result<Json> named(const Json& body, const std::string& name) {
  if (!body.is_object()) {
    return body;  // the reader says what is wrong
  }
  Json json = body;
  const auto given = json.find("name");
  if (given != json.end() && *given != name) {
    return fail(ErrorCode::invalid_argument,
                "\"name\": is not {}, which the path names; nothing is renamed", name);
  }
  json["name"] = name;
  return json;
}

Result<bool> parse_switch(std::string_view what, const std::string& text) {
  if (text.empty() || text == "false" || text == "true") {
    return text == "true";
  }
  return fail(ErrorCode::invalid_argument, "{} \"{}\": must be true or false", what, text);
}

Result<Json> add_account(const Arguments& a) {
  const auto account = account_from_json(a.body);
  if (!account) {
    return std::unexpected(account.error());
  }
  return wrap("account", a.operations.add_account(*account));
}

Result<Json> replace_account(const Arguments& a) {
  const auto body = named(a.body, a.captured[0]);
  if (!body) {
    return std::unexpected(body.error());
  }
  const auto account = account_from_json(*body);
  if (!account) {
    return std::unexpected(account.error());
  }
  return wrap("account", a.operations.replace_account(*account));
}

Result<Json> remove_account(const Arguments& a) {
  const auto with_contents = parse_switch("with_contents", a.query("with_contents"));
  if (!with_contents) {
    return std::unexpected(with_contents.error());
  }
  return removed("account", a.captured[0],
                 a.operations.remove_account(a.captured[0], {.with_contents = *with_contents}));
}

Result<Json> published(const Arguments& a) {
  const auto published = a.operations.published_of(a.captured[0]);
  if (!published) {
    return std::unexpected(published.error());
  }
  Json json{{"schema_version", kSchemaVersion}};
  json.update(to_json(*published));
  return json;
}

Result<Json> add_list(const Arguments& a) {
  auto list = list_from_json(a.body);
  if (!list) {
    return std::unexpected(list.error());
  }
  list->account = a.captured[0];
  return wrap("list", a.operations.add_list(*list));
}

Result<Json> add_policy(const Arguments& a) {
  auto policy = policy_from_json(a.body);
  if (!policy) {
    return std::unexpected(policy.error());
  }
  policy->account = a.captured[0];
  return wrap("policy", a.operations.add_policy(*policy));
}

Result<Json> replace_policy(const Arguments& a) {
  const auto body = named(a.body, a.captured[1]);
  if (!body) {
    return std::unexpected(body.error());
  }
  auto policy = policy_from_json(*body);
  if (!policy) {
    return std::unexpected(policy.error());
  }
  policy->account = a.captured[0];
  return wrap("policy", a.operations.replace_policy(*policy));
}

Result<Json> entries(const Arguments& a) {
  const auto limit = parse_count("limit", a.query("limit"), 1000, store::kEntryPageMax);
  if (!limit) {
    return std::unexpected(limit.error());
  }
  const auto page = a.operations.entries_of(a.captured[0], a.captured[1],
                                            {.after = a.query("after"), .limit = *limit});
  if (!page) {
    return std::unexpected(page.error());
  }
  Json json{{"schema_version", kSchemaVersion}};
  json.update(to_json(*page));
  return json;
}

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(kBlanks);
  return first == std::string_view::npos
             ? std::string_view()
             : text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

// What is to be added or removed, and where it stood.
struct Given {
  std::vector<CustomEntry> entries;
  std::vector<size_t> lines;  // of each entry, 1-based; empty when it came as JSON
};

Given from_lines(std::string_view text) {
  Given given;
  size_t line = 0;
  while (!text.empty()) {
    ++line;
    const std::string_view whole = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), whole.size() + 1));
    const size_t hash = std::min(whole.find('#'), whole.size());
    const std::string_view value = trimmed(whole.substr(0, hash));
    if (value.empty()) {
      continue;
    }
    CustomEntry& entry = given.entries.emplace_back();
    entry.value = value;
    entry.comment = trimmed(whole.substr(std::min(hash + 1, whole.size())));
    given.lines.push_back(line);
  }
  return given;
}

Result<Given> given_entries(const Arguments& a) {
  Given given;
  if (a.text) {
    given = from_lines(*a.text);
  } else {
    auto read = entries_from_json(a.body);
    if (!read) {
      return std::unexpected(read.error());
    }
    given.entries = std::move(*read);
  }
  const std::string comment = a.query("comment");
  int64_t expires = 0;
  if (const std::string text = a.query("expires"); !text.empty()) {
    const auto time = time_from_text(text);
    if (!time) {
      return in("expires", time.error());
    }
    expires = *time;
  }
  for (CustomEntry& entry : given.entries) {
    entry.comment = entry.comment.empty() ? comment : entry.comment;
    entry.expires = entry.expires == 0 ? expires : entry.expires;
  }
  if (given.entries.empty()) {
    return fail(ErrorCode::invalid_argument, "there is no entry in the body");
  }
  return given;
}

Result<store::OnFault> on_fault(const Arguments& a) {
  const std::string text = a.query("invalid");
  if (text.empty() || text == "refuse" || text == "skip") {
    return text == "skip" ? store::OnFault::apply_the_rest : store::OnFault::apply_nothing;
  }
  return fail(ErrorCode::invalid_argument, "invalid \"{}\": must be refuse or skip", text);
}

Result<Json> report_of(const Arguments& a, const Result<store::EntryReport>& report,
                       const Given& given) {
  if (!report) {
    return std::unexpected(report.error());
  }
  Json json = to_json(*report);
  if (!given.lines.empty()) {
    for (Json& fault : json["faults"]) {
      fault["line"] = given.lines[fault["index"].get<size_t>()];
    }
  }
  if (report->applied) {
    return Json{{"schema_version", kSchemaVersion}, {"report", std::move(json)}};
  }
  const store::EntryFault& first = report->faults.front();
  a.error_details["fault_count"] = report->faults.size();
  a.error_details["faults"] = std::move(json["faults"]);
  const std::string where = given.lines.empty() ? fmt::format("entry {}", first.index)
                                                : fmt::format("line {}", given.lines[first.index]);
  if (given.entries.size() == 1) {
    return fail(ErrorCode::invalid_argument, "{}", first.reason);
  }
  return fail(ErrorCode::invalid_argument,
              "{} of {} entries are refused, so nothing was changed; {}: {}", report->faults.size(),
              given.entries.size(), where, first.reason);
}

Result<Json> add_entries(const Arguments& a) {
  const auto given = given_entries(a);
  const auto wanted = on_fault(a);
  if (!given || !wanted) {
    return std::unexpected(given ? wanted.error() : given.error());
  }
  return report_of(
      a, a.operations.add_entries(a.captured[0], a.captured[1], given->entries, *wanted), *given);
}

// ?value= one that must be there, or a body as for adding.
Result<Json> remove_entries(const Arguments& a) {
  const std::string value = a.query("value");
  Given given;
  if (!value.empty()) {
    if (a.text || !a.body.empty()) {
      return fail(ErrorCode::invalid_argument, "give either value or a body, not both");
    }
    given.entries.emplace_back().value = value;
  } else {
    auto read = given_entries(a);
    if (!read) {
      return std::unexpected(read.error());
    }
    given = std::move(*read);
  }
  const auto wanted = on_fault(a);
  if (!wanted) {
    return std::unexpected(wanted.error());
  }
  std::vector<std::string> values;
  values.reserve(given.entries.size());
  for (const CustomEntry& entry : given.entries) {
    values.push_back(entry.value);
  }
  const auto report = a.operations.remove_entries(a.captured[0], a.captured[1], values, *wanted);
  if (report && report->applied && !value.empty() && report->removed == 0 &&
      report->faults.empty()) {
    return fail(ErrorCode::not_found, "list {} of account {} has no entry {}", a.captured[1],
                a.captured[0], value);
  }
  return report_of(a, report, given);
}

Result<Json> profiles(const Arguments&) {
  Json array = Json::array();
  for (const policy::Profile& profile : policy::profiles()) {
    array.push_back(to_json(profile));
  }
  return Json{{"schema_version", kSchemaVersion}, {"profiles", std::move(array)}};
}

constexpr auto kRoutes = std::to_array<Route>({
    {"GET", "/v1/accounts", Takes::nothing, "", 200,
     MERLON_HANDLE(wrap("accounts", a.operations.accounts()))},
    {"POST", "/v1/accounts", Takes::object, "", 201, add_account},
    {"GET", "/v1/accounts/{account}", Takes::nothing, "", 200,
     MERLON_HANDLE(wrap("account", a.operations.account(a.captured[0])))},
    {"PUT", "/v1/accounts/{account}", Takes::object, "", 200, replace_account},
    {"DELETE", "/v1/accounts/{account}", Takes::nothing, "with_contents?", 200, remove_account},
    {"GET", "/v1/accounts/{account}/published", Takes::nothing, "", 200, published},
    {"GET", "/v1/accounts/{account}/lists", Takes::nothing, "", 200,
     MERLON_HANDLE(wrap("lists", a.operations.lists_of(a.captured[0])))},
    {"POST", "/v1/accounts/{account}/lists", Takes::object, "", 201, add_list},
    {"GET", "/v1/accounts/{account}/lists/{list}", Takes::nothing, "", 200,
     MERLON_HANDLE(wrap("list", a.operations.list_of(a.captured[0], a.captured[1])))},
    {"DELETE", "/v1/accounts/{account}/lists/{list}", Takes::nothing, "", 200,
     MERLON_HANDLE(
         removed("list", a.captured[1], a.operations.remove_list(a.captured[0], a.captured[1])))},
    {"GET", "/v1/accounts/{account}/lists/{list}/entries", Takes::nothing, "after? limit?", 200,
     entries},
    {"POST", "/v1/accounts/{account}/lists/{list}/entries", Takes::json_or_text,
     "invalid? comment? expires?", 200, add_entries},
    {"DELETE", "/v1/accounts/{account}/lists/{list}/entries", Takes::json_or_text,
     "value? invalid?", 200, remove_entries},
    {"GET", "/v1/accounts/{account}/policies", Takes::nothing, "", 200,
     MERLON_HANDLE(wrap("policies", a.operations.policies_of(a.captured[0])))},
    {"POST", "/v1/accounts/{account}/policies", Takes::object, "", 201, add_policy},
    {"GET", "/v1/accounts/{account}/policies/{policy}", Takes::nothing, "", 200,
     MERLON_HANDLE(wrap("policy", a.operations.policy(a.captured[0], a.captured[1])))},
    {"PUT", "/v1/accounts/{account}/policies/{policy}", Takes::object, "", 200, replace_policy},
    {"DELETE", "/v1/accounts/{account}/policies/{policy}", Takes::nothing, "", 200,
     MERLON_HANDLE(removed("policy", a.captured[1],
                           a.operations.remove_policy(a.captured[0], a.captured[1])))},
    {"GET", "/v1/profiles", Takes::nothing, "", 200, profiles},
});

}  // namespace

std::span<const Route> account_routes() {
  return kRoutes;
}

}  // namespace merlon::api
