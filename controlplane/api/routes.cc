// SPDX-License-Identifier: Apache-2.0
#include "controlplane/api/routes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <ctime>
#include <exception>
#include <iterator>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "controlplane/api/doctor.h"
#include "controlplane/api/exposition.h"
#include "controlplane/api/observe.h"
#include "controlplane/api/route.h"
#include "zones/base/nearest.h"

namespace merlon::api {

Result<Json> removed(std::string_view key, const std::string& name, const Status& status) {
  if (!status) {
    return std::unexpected(status.error());
  }
  Json json{{"schema_version", kSchemaVersion}};
  json["removed"] = Json{{std::string(key), name}};
  return json;
}

Result<uint64_t> parse_count(std::string_view what, const std::string& text, uint64_t otherwise,
                             uint64_t max) {
  uint64_t count = otherwise;
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, count);
  if (!text.empty() && (error != std::errc() || at != end || count == 0 || count > max)) {
    return fail(ErrorCode::invalid_argument, "{} \"{}\": must be a number from 1 to {}", what, text,
                max);
  }
  return count;
}

namespace {

Result<uint64_t> parse_generation(const std::string& text) {
  uint64_t generation = 0;
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, generation);
  if (error != std::errc() || at != end) {
    return fail(ErrorCode::invalid_argument, "generation \"{}\": must be a decimal number", text);
  }
  return generation;
}

Result<Json> add_feed(const Arguments& a) {
  const Result<store::FeedDefinition> definition = feed_from_json(a.body);
  if (!definition) {
    return std::unexpected(definition.error());
  }
  const Status added = a.operations.add_feed(*definition);
  if (!added) {
    return std::unexpected(added.error());
  }
  return wrap("feed", a.operations.feed(definition->id));
}

Result<Json> probe_feed(const Arguments& a) {
  for (const auto& item : a.body.items()) {
    if ((item.key() != "url" && item.key() != "format") || !item.value().is_string()) {
      return fail(ErrorCode::invalid_argument,
                  "the body must be {{\"url\": URL, \"format\": FORMAT or \"auto\"}}");
    }
  }
  const std::string url = a.body.value("url", std::string());
  if (url.empty()) {
    return fail(ErrorCode::invalid_argument, "url is missing: say what to probe");
  }
  return wrap("probe", a.operations.probe_feed(url, a.body.value("format", std::string("auto"))));
}

Result<Json> check_zone(const Arguments& a) {
  ZoneText zone;
  for (const auto& [key, into] :
       {std::pair{"apex", &zone.apex}, {"file", &zone.file}, {"text", &zone.text}}) {
    if (!a.body.contains(key) || !a.body[key].is_string()) {
      return fail(ErrorCode::invalid_argument,
                  "the body must be {{\"apex\": NAME, \"file\": NAME, \"text\": ZONE FILE}}");
    }
    *into = a.body[key].get<std::string>();
  }
  return wrap("zone", a.operations.check_zone(zone));
}

Result<Json> verify_snapshot(const Arguments& a) {
  const Result<uint64_t> generation = parse_generation(a.captured[0]);
  if (!generation) {
    return std::unexpected(generation.error());
  }
  const Result<std::vector<std::string>> lines = a.operations.verify_snapshot(*generation);
  if (!lines) {
    return std::unexpected(lines.error());
  }
  return Json{{"schema_version", kSchemaVersion},
              {"verify", Json{{"generation", *generation}, {"good", *lines}}}};
}

Result<Json> activate_snapshot(const Arguments& a) {
  const Result<uint64_t> generation = parse_generation(a.captured[0]);
  if (!generation) {
    return std::unexpected(generation.error());
  }
  return wrap("build", a.operations.activate_snapshot(*generation));
}

Result<Json> wrap_plain(std::string_view key, Result<Json> result) {
  if (!result) {
    return result;
  }
  Json json{{"schema_version", kSchemaVersion}};
  json[std::string(key)] = std::move(*result);
  return json;
}

Result<Json> from_dataplane(const Arguments& a, const std::string& command) {
  return wrap_plain("dataplane", ask_dataplane(a.operations, command));
}

Result<Json> forwarding(const Arguments& a) {
  const Result<std::string> said = a.operations.forwarding();
  if (!said) {
    return std::unexpected(said.error());
  }
  return wrap_plain("forward", Json::parse(*said));
}

Result<Json> top_sources(const Arguments& a) {
  const auto limit = parse_count("limit", a.query("limit"), 20, 1000);
  return limit ? from_dataplane(a, fmt::format("top {}", *limit)) : std::unexpected(limit.error());
}

Result<Json> subjects(const Arguments& a) {
  const auto limit = parse_count("limit", a.query("limit"), 1000, 10'000);
  if (!limit) {
    return std::unexpected(limit.error());
  }
  return wrap_plain("dataplane", subjects_json(a.operations, {.account = a.query("account"),
                                                              .count_max = *limit}));
}

Result<Json> start_profile(const Arguments& a) {
  const Json& body = a.body;
  if (!body.is_object() || body.size() != 1 || !body.contains("seconds") ||
      !body["seconds"].is_number_unsigned()) {
    return fail(ErrorCode::invalid_argument, "the body must be {{\"seconds\": N}}");
  }
  return from_dataplane(a, fmt::format("profile {}", body["seconds"].get<uint64_t>()));
}

Result<Json> doctor(const Arguments& a) {
  return wrap_plain("doctor", doctor_json(a.operations, a.query("device"), std::time(nullptr)));
}

constexpr auto kRoutes = std::to_array<Route>({
    {"GET", "/v1/status", Takes::nothing, "", 200,
     MERLON_HANDLE(wrap("status", a.operations.status()))},
    {"GET", "/v1/feeds", Takes::nothing, "", 200,
     MERLON_HANDLE(wrap("feeds", a.operations.feeds()))},
    {"POST", "/v1/feeds", Takes::object, "", 201, add_feed},
    {"POST", "/v1/feeds/probe", Takes::object, "", 200, probe_feed},
    {"GET", "/v1/feeds/{id}", Takes::nothing, "", 200,
     MERLON_HANDLE(wrap("feed", a.operations.feed(a.captured[0])))},
    {"DELETE", "/v1/feeds/{id}", Takes::nothing, "", 200,
     MERLON_HANDLE(removed("feed", a.captured[0], a.operations.remove_feed(a.captured[0])))},
    {"POST", "/v1/feeds/{id}/refresh", Takes::nothing, "", 200,
     MERLON_HANDLE(wrap("refresh", a.operations.refresh_feed(a.captured[0])))},
    {"GET", "/v1/lists", Takes::nothing, "", 200,
     MERLON_HANDLE(wrap("lists", a.operations.lists()))},
    {"GET", "/v1/lists/{name}", Takes::nothing, "", 200,
     MERLON_HANDLE(wrap("list", a.operations.list(a.captured[0])))},
    {"GET", "/v1/zones", Takes::nothing, "", 200,
     MERLON_HANDLE(wrap("zones", a.operations.zones()))},
    {"POST", "/v1/zones/reload", Takes::nothing, "", 200,
     MERLON_HANDLE(wrap("zones", a.operations.reload_zones()))},
    {"POST", "/v1/zones/check", Takes::object, "", 200, check_zone},
    {"GET", "/v1/snapshots", Takes::nothing, "", 200,
     MERLON_HANDLE(wrap("snapshots", a.operations.snapshots()))},
    {"POST", "/v1/snapshots", Takes::nothing, "", 200,
     MERLON_HANDLE(wrap("build", a.operations.build_snapshot()))},
    {"GET", "/v1/snapshots/{generation}/verify", Takes::nothing, "", 200, verify_snapshot},
    {"POST", "/v1/snapshots/{generation}/activate", Takes::nothing, "", 200, activate_snapshot},
    {"POST", "/v1/snapshots/rollback", Takes::nothing, "", 200,
     MERLON_HANDLE(wrap("build", a.operations.rollback_snapshot()))},
    {"GET", "/v1/forward", Takes::nothing, "", 200, forwarding},
    {"GET", "/v1/dataplane/status", Takes::nothing, "", 200,
     MERLON_HANDLE(from_dataplane(a, "status"))},
    {"GET", "/v1/dataplane/stats", Takes::nothing, "", 200,
     MERLON_HANDLE(from_dataplane(a, "stats"))},
    {"GET", "/v1/dataplane/top", Takes::nothing, "limit?", 200, top_sources},
    {"GET", "/v1/dataplane/subjects", Takes::nothing, "account? limit?", 200, subjects},
    {"GET", "/v1/dataplane/profile", Takes::nothing, "", 200,
     MERLON_HANDLE(from_dataplane(a, "profile"))},
    {"POST", "/v1/dataplane/profile", Takes::object, "", 200, start_profile},
    {"GET", "/v1/doctor", Takes::nothing, "device?", 200, doctor},
    {"GET", "/metrics", Takes::nothing, "", 200, nullptr,
     [](Operations& operations) { return metrics_text(operations, std::time(nullptr)); }},
});

// In the order in which they are listed; the first that fits is taken, so that /v1/feeds/report
// stands before /v1/feeds/{id}.
constexpr auto kTables = std::to_array<std::span<const Route> (*)()>(
    {safety_routes, []() -> std::span<const Route> { return kRoutes; }, check_routes, device_routes,
     account_routes, dnssec_routes, transfer_routes, feed_catalogue_routes});

int http_status_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::not_found:
      return 404;
    case ErrorCode::invalid_argument:
      return 400;
    case ErrorCode::conflict:
      return 409;
    case ErrorCode::unsupported:
      return 422;
    case ErrorCode::busy:
      return 503;
    case ErrorCode::corruption:
    case ErrorCode::io:
    case ErrorCode::internal:
      return 500;
  }
  return 500;
}

Reply refused(const Error& error) {
  return error_reply(http_status_of(error.code), to_string(error.code), error.message);
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// RFC 3986 section 2.1, without the form rule that + is a blank. nullopt: a broken escape or NUL.
std::optional<std::string> percent_decoded(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded.push_back(text[i]);
      continue;
    }
    const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
    if (high < 0 || low < 0 || (high == 0 && low == 0)) {
      return std::nullopt;
    }
    decoded.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return decoded;
}

// The first part of "a/b/c"; `rest` becomes "b/c", or "" at the end.
std::string_view next_part(std::string_view& rest) {
  const size_t slash = rest.find('/');
  const std::string_view part = rest.substr(0, slash);
  rest = slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
  return part;
}

// The decoded {parts} when the path has the pattern's form. Matching works on the encoded path, so
// that an encoded slash stays inside its part.
std::optional<std::vector<std::string>> matched(std::string_view pattern, std::string_view path) {
  if (std::count(pattern.begin(), pattern.end(), '/') !=
      std::count(path.begin(), path.end(), '/')) {
    return std::nullopt;
  }
  std::vector<std::string> captured;
  while (!pattern.empty() || !path.empty()) {
    const std::string_view expected = next_part(pattern);
    const std::string_view part = next_part(path);
    if (!expected.starts_with('{')) {
      if (part != expected) {
        return std::nullopt;
      }
      continue;
    }
    std::optional<std::string> decoded = percent_decoded(part);
    if (!decoded || decoded->empty()) {
      return std::nullopt;
    }
    captured.push_back(std::move(*decoded));
  }
  return captured;
}

struct QueryParameter {
  std::string_view name;
  bool required = true;
};

// "value" or "account? limit?" taken apart.
std::vector<QueryParameter> query_parameters(std::string_view text) {
  std::vector<QueryParameter> parameters;
  while (!text.empty()) {
    std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    const bool required = !word.ends_with('?');
    word.remove_suffix(required ? 0 : 1);
    parameters.push_back({word, required});
  }
  return parameters;
}

template <class Use>
void for_each_route(Use&& use) {
  for (const auto table : kTables) {
    for (const Route& route : table()) {
      use(route);
    }
  }
}

Reply no_such_path(std::string_view path) {
  Json routes = Json::array();
  for_each_route([&routes](const Route& route) {
    std::string line = fmt::format("{} {}", route.method, route.path);
    char before = '?';
    for (const QueryParameter& parameter : query_parameters(route.query)) {
      line += fmt::format("{}{}=", before, parameter.name);
      before = '&';
    }
    routes.push_back(std::move(line));
  });
  Reply reply = error_reply(
      404, "not_found",
      fmt::format("there is no path {}; \"routes\" lists those that exist", path.substr(0, 200)));
  reply.body["error"]["routes"] = std::move(routes);
  return reply;
}

// The route's query parameters out of "name=value&name=value". A + is a +, as in RFC 3986.
Status read_query(const Route& route, std::string_view query,
                  std::map<std::string, std::string>& out) {
  const std::vector<QueryParameter> known = query_parameters(route.query);
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    const size_t equals = std::min(pair.find('='), pair.size());
    const std::string_view name = pair.substr(0, equals);
    if (std::ranges::find(known, name, &QueryParameter::name) == known.end()) {
      std::vector<std::string_view> names;
      std::ranges::transform(known, std::back_inserter(names), &QueryParameter::name);
      const std::string_view meant = nearest(name, names);
      return fail(ErrorCode::invalid_argument, "unknown query parameter \"{}\"{}",
                  name.substr(0, 60),
                  meant.empty() ? std::string() : fmt::format("; did you mean \"{}\"?", meant));
    }
    std::optional<std::string> value =
        percent_decoded(pair.substr(std::min(equals + 1, pair.size())));
    if (!value) {
      return fail(ErrorCode::invalid_argument, "the query parameter \"{}\" has a broken % escape",
                  name);
    }
    if (value->empty() || !out.emplace(name, std::move(*value)).second) {
      return fail(ErrorCode::invalid_argument,
                  "the query parameter \"{}\" must be given once and not be empty", name);
    }
  }
  for (const QueryParameter& parameter : known) {
    if (parameter.required && !out.contains(std::string(parameter.name))) {
      return fail(ErrorCode::invalid_argument,
                  "the query parameter \"{}\" must be given once and not be empty", parameter.name);
    }
  }
  return {};
}

Reply run(Operations& operations, const Route& route, std::vector<std::string> captured,
          const Call& call) {
  Json details;
  Arguments arguments{.operations = operations,
                      .captured = std::move(captured),
                      .queried = {},
                      .body = Json::object(),
                      .text = std::nullopt,
                      .error_details = details};
  const size_t query_at = std::min(call.target.find('?'), call.target.size());
  const std::string_view query_text =
      call.target.substr(std::min(query_at + 1, call.target.size()));
  const Status query = read_query(route, query_text, arguments.queried);
  if (!query) {
    return refused(query.error());
  }
  if (route.text != nullptr) {
    return Reply{.http_status = route.http_status,
                 .body = {},
                 .allow = "",
                 .text = route.text(operations),
                 .content_type = std::string(kExpositionContentType)};
  }
  if (route.method != "GET") {
    if (route.takes == Takes::bytes ||
        (route.takes == Takes::json_or_text && call.content_type.starts_with("text/plain"))) {
      arguments.text = call.body;
    } else if (!call.body.empty()) {
      Result<Json> body = parse_json(call.body);
      if (!body) {
        return refused(body.error());
      }
      arguments.body = std::move(*body);
    }
    if (route.takes == Takes::nothing) {
      const Status nothing = nothing_from_json(arguments.body);
      if (!nothing) {
        return refused(nothing.error());
      }
    }
  }
  Result<Json> result = route.handle(arguments);
  if (!result) {
    Reply reply = refused(result.error());
    for (auto& [key, value] : details.items()) {
      reply.body["error"][key] = std::move(value);
    }
    return reply;
  }
  return Reply{.http_status = route.http_status, .body = std::move(*result), .allow = ""};
}

}  // namespace

Reply error_reply(int http_status, std::string_view code, std::string_view message) {
  Reply reply;
  reply.http_status = http_status;
  reply.body = Json{{"schema_version", kSchemaVersion},
                    {"error", Json{{"code", code}, {"message", message}}}};
  return reply;
}

Reply answer(Operations& operations, const Call& call) {
  try {
    const std::string_view path = call.target.substr(0, call.target.find('?'));
    const std::string_view method = call.method == "HEAD" ? "GET" : call.method;
    std::vector<std::string_view> allowed;
    const Route* wanted = nullptr;
    std::vector<std::string> captured;
    for_each_route([&](const Route& route) {
      std::optional<std::vector<std::string>> parts = matched(route.path, path);
      if (!parts) {
        return;
      }
      allowed.push_back(route.method);
      if (route.method == method && wanted == nullptr) {
        wanted = &route;
        captured = std::move(*parts);
      }
    });
    if (wanted != nullptr) {
      return run(operations, *wanted, std::move(captured), call);
    }
    if (allowed.empty()) {
      return no_such_path(path);
    }
    Reply reply = error_reply(405, "method_not_allowed",
                              fmt::format("{} cannot be asked with {}; it takes {}", path,
                                          call.method, fmt::join(allowed, " and ")));
    reply.allow = fmt::format("{}", fmt::join(allowed, ", "));
    return reply;
  } catch (const std::exception& exception) {
    return error_reply(500, to_string(ErrorCode::internal), exception.what());
  } catch (...) {
    return error_reply(500, to_string(ErrorCode::internal), "an exception of an unknown type");
  }
}

}  // namespace merlon::api
