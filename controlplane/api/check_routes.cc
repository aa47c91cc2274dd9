// SPDX-License-Identifier: Apache-2.0
// Who lists a value and why, one or many; and backups of what the answers come from.
#include <algorithm>
#include <array>
#include <string>

#include "controlplane/api/route.h"

namespace merlon::api {
namespace {

Json source_to_json(const store::Observation& observation, const CheckSource& source) {
  Json json = to_json(observation);
  json["counted_then"] = source.counted_then;
  json["feed_removed"] = source.removed;
  json["category"] = source.category;
  json["severity"] = source.severity;
  json["confidence"] = source.confidence;
  json["direction"] = store::to_string(source.direction);
  json["provider"] = source.provider;
  json["reference"] = source.reference;
  json["line_number"] = source.line_number == 0 ? Json() : Json(source.line_number);
  json["line"] = source.line;
  json["line_note"] = source.line_note;
  return json;
}

Result<CheckOptions> options_from(const std::string& at, const std::string& account) {
  CheckOptions options{.at = 0, .account = account};
  if (!at.empty()) {
    const auto time = time_from_text(at);
    if (!time) {
      return in("at", time.error());
    }
    if (*time <= 0) {
      return fail(ErrorCode::invalid_argument, "at: {} is before all times that are known", at);
    }
    options.at = *time;
  }
  return options;
}

Result<Json> check(const Arguments& a) {
  const auto options = options_from(a.query("at"), a.query("account"));
  if (!options) {
    return std::unexpected(options.error());
  }
  return wrap("check", a.operations.check(a.query("value"), *options));
}

// Lines of text: blank ones and those that begin with # are left out.
std::vector<std::string> values_of_lines(std::string_view text) {
  std::vector<std::string> values;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
    line = line.substr(0, line.find_last_not_of(" \t\r") + 1);
    const size_t start = line.find_first_not_of(" \t");
    if (start != line.npos && line[start] != '#') {
      values.emplace_back(line.substr(start));
    }
  }
  return values;
}

Result<Json> check_many(const Arguments& a) {
  std::vector<std::string> values;
  if (a.text) {
    values = values_of_lines(*a.text);
  } else {
    const bool good =
        a.body.is_object() && a.body.size() == 1 && a.body.contains("values") &&
        a.body["values"].is_array() &&
        std::ranges::all_of(a.body["values"], [](const Json& one) { return one.is_string(); });
    if (!good) {
      return fail(ErrorCode::invalid_argument,
                  "the body must be {{\"values\": [TEXT, ..]}}, or text/plain with one a line");
    }
    values = a.body["values"].get<std::vector<std::string>>();
  }
  const auto options = options_from(a.query("at"), a.query("account"));
  if (!options) {
    return std::unexpected(options.error());
  }
  return wrap("checks", a.operations.check_many(values, *options));
}

Result<Json> backup(const Arguments& a) {
  if (!a.body.is_object() || a.body.size() != 1 || !a.body.contains("directory") ||
      !a.body["directory"].is_string()) {
    return fail(ErrorCode::invalid_argument,
                "the body must be {{\"directory\": ABSOLUTE PATH ON THE SERVER}}");
  }
  return wrap("backup", a.operations.backup(a.body["directory"].get<std::string>()));
}

constexpr auto kRoutes = std::to_array<Route>({
    {"GET", "/v1/check", Takes::nothing, "value at? account?", 200, check},
    {"POST", "/v1/check", Takes::json_or_text, "at? account?", 200, check_many},
    {"POST", "/v1/backups", Takes::object, "", 201, backup},
});

}  // namespace

std::span<const Route> check_routes() {
  return kRoutes;
}

Json to_json(const CheckReport& report) {
  if (!report.error.empty()) {
    return Json{{"value", report.value}, {"error", report.error}};
  }
  Json observations = Json::array();
  for (size_t i = 0; i < report.observations.size(); ++i) {
    const bool known = i < report.sources.size();
    observations.push_back(
        source_to_json(report.observations[i], known ? report.sources[i] : CheckSource{}));
  }
  const store::Merged& merged = report.merged;
  return Json{{"value", report.value},
              {"kind", report.kind},
              {"at", time_to_json(report.at)},
              {"listed", report.listed},
              {"merged",
               {{"sources", merged.sources},
                {"independent", merged.independent},
                {"confidence", merged.confidence},
                {"combined_confidence", merged.combined},
                {"first_seen", time_to_json(merged.first_seen)},
                {"last_seen", time_to_json(merged.last_seen)}}},
              {"observations", std::move(observations)},
              {"lists", report.lists},
              {"lists_from", report.lists_from},
              {"generation", report.generation == 0 ? Json() : Json(report.generation)},
              {"generation_since", time_to_json(report.generation_since)},
              {"protected_by", report.protected_by},
              {"country", report.country},
              {"asn", report.asn},
              {"organisation", report.organisation},
              {"allowed_by", report.allowed_by},
              {"unknown", report.unknown}};
}

Json to_json(const BackupReport& report) {
  return Json{{"directory", report.directory},
              {"id", report.id},
              {"created", time_to_json(report.created)},
              {"size_bytes", report.size_bytes},
              {"schema_version", report.schema_version}};
}

}  // namespace merlon::api
