// SPDX-License-Identifier: Apache-2.0
// One row of the tables of routes, and what handlers share. For the sources of this folder.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/api/json.h"
#include "controlplane/api/operations.h"

namespace merlon::api {

// What a handler sees of a call that fits its route.
struct Arguments {
  Operations& operations;
  std::vector<std::string> captured;           // the path's {parts}, decoded
  std::map<std::string, std::string> queried;  // query parameters by name
  Json body;
  std::optional<std::string_view> text;  // instead of `body`, when text/plain was sent, or bytes
  Json& error_details;  // an object here adds its keys to the error that the handler returns

  // "" when it was not given.
  std::string query(const std::string& name) const {
    const auto found = queried.find(name);
    return found == queried.end() ? std::string() : found->second;
  }
};

using Handler = Result<Json> (*)(const Arguments&);

enum class Takes : uint8_t { nothing, object, json_or_text, bytes };

struct Route {
  std::string_view method;
  std::string_view path;
  Takes takes;
  std::string_view query;  // its query parameters, as "value" (required) or "account? limit?"
  int http_status;         // of a success
  Handler handle;
  std::string (*text)(Operations&) = nullptr;  // instead of `handle`, for what is no JSON
};

std::span<const Route> account_routes();
std::span<const Route> check_routes();
std::span<const Route> device_routes();
std::span<const Route> dnssec_routes();
std::span<const Route> feed_catalogue_routes();
std::span<const Route> safety_routes();
std::span<const Route> transfer_routes();

// {"schema_version":1, "<key>": value} of a Result.
template <class T>
Result<Json> wrap(std::string_view key, const Result<T>& result) {
  if (!result) {
    return std::unexpected(result.error());
  }
  Json json{{"schema_version", kSchemaVersion}};
  json[std::string(key)] = to_json(*result);
  return json;
}

template <class T>
Result<Json> wrap(std::string_view key, const Result<std::vector<T>>& result) {
  if (!result) {
    return std::unexpected(result.error());
  }
  Json array = Json::array();
  for (const T& item : *result) {
    array.push_back(to_json(item));
  }
  Json json{{"schema_version", kSchemaVersion}};
  json[std::string(key)] = std::move(array);
  return json;
}

Result<Json> removed(std::string_view key, const std::string& name, const Status& status);

// A decimal number from 1 to `max`; `otherwise` when the text is empty.
Result<uint64_t> parse_count(std::string_view what, const std::string& text, uint64_t otherwise,
                             uint64_t max);

#define MERLON_HANDLE(...) [](const Arguments& a) -> Result<Json> { return __VA_ARGS__; }

}  // namespace merlon::api
