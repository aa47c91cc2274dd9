// SPDX-License-Identifier: Apache-2.0
// /v1/feed-catalogue: the public feeds that are known, and defining one of them; and the content of
// feeds that users bring themselves.
#include <array>
#include <set>

#include "controlplane/api/route.h"
#include "controlplane/feed_catalogue/feed_catalogue.h"

namespace merlon::api {
namespace {

using feed_catalogue::Access;
using feed_catalogue::Entry;

Result<std::set<std::string>> defined(Operations& operations) {
  const auto records = operations.feeds();
  if (!records) {
    return std::unexpected(records.error());
  }
  std::set<std::string> ids;
  for (const store::FeedRecord& record : *records) {
    ids.insert(record.definition.id);
  }
  return ids;
}

Json entry_json(const Entry& entry, const std::set<std::string>& ids) {
  Json json = to_json(entry.definition);
  for (const char* key : {"enabled", "credentials", "private_hosts"}) {
    json.erase(key);
  }
  json["access"] = feed_catalogue::to_string(entry.access);
  json["key"] = entry.key;
  json["defined"] = ids.contains(entry.definition.id);
  return json;
}

Result<Json> list_entries(const Arguments& a) {
  const auto ids = defined(a.operations);
  if (!ids) {
    return std::unexpected(ids.error());
  }
  Json array = Json::array();
  for (const Entry& entry : feed_catalogue::entries()) {
    array.push_back(entry_json(entry, *ids));
  }
  Json json{{"schema_version", kSchemaVersion}};
  json["catalogue"] = std::move(array);
  return json;
}

Result<Json> show_entry(const Arguments& a) {
  const auto entry = feed_catalogue::find(a.captured[0]);
  if (!entry) {
    return std::unexpected(entry.error());
  }
  const auto ids = defined(a.operations);
  if (!ids) {
    return std::unexpected(ids.error());
  }
  Json json{{"schema_version", kSchemaVersion}};
  json["entry"] = entry_json(*entry, *ids);
  return json;
}

Result<Json> enable_entry(const Arguments& a) {
  const auto entry = feed_catalogue::find(a.captured[0]);
  if (!entry) {
    return std::unexpected(entry.error());
  }
  for (const auto& item : a.body.items()) {
    if (item.key() != "credentials" || !item.value().is_string()) {
      return fail(ErrorCode::invalid_argument,
                  "the body must be {{\"credentials\": TEXT}} or {{}}");
    }
  }
  store::FeedDefinition definition = entry->definition;
  definition.credentials = a.body.value("credentials", std::string());
  if (entry->access == Access::key && definition.credentials.empty()) {
    return fail(ErrorCode::invalid_argument,
                "{} needs a key: get one at {} and give the credentials, such as \"{}\"",
                definition.id, definition.homepage, entry->key);
  }
  // Of feeds that it copies, those that are not defined say nothing.
  const Status added = a.operations.add_feed(definition);
  if (!added) {
    return std::unexpected(added.error());
  }
  return wrap("feed", a.operations.feed(definition.id));
}

Result<Json> put_content(const Arguments& a) {
  const Status stored = a.operations.put_content(a.captured[0], a.text.value_or(""));
  if (!stored) {
    return std::unexpected(stored.error());
  }
  return wrap("refresh", a.operations.refresh_feed(a.captured[0]));
}

constexpr auto kRoutes = std::to_array<Route>({
    {"GET", "/v1/feed-catalogue", Takes::nothing, "", 200, list_entries},
    {"GET", "/v1/feed-catalogue/{id}", Takes::nothing, "", 200, show_entry},
    {"POST", "/v1/feed-catalogue/{id}", Takes::object, "", 201, enable_entry},
    {"PUT", "/v1/feeds/{id}/content", Takes::bytes, "", 200, put_content},
});

}  // namespace

std::span<const Route> feed_catalogue_routes() {
  return kRoutes;
}

}  // namespace merlon::api
