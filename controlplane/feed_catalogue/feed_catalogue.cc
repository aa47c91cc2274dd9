// SPDX-License-Identifier: Apache-2.0
#include "controlplane/feed_catalogue/feed_catalogue.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "zones/base/assert.h"
#include "zones/base/nearest.h"

namespace merlon::feed_catalogue {
namespace {

using Json = nlohmann::json;

Result<Access> access_of(const std::string& text) {
  for (const Access access : {Access::free, Access::terms, Access::key}) {
    if (text == to_string(access)) {
      return access;
    }
  }
  return fail(ErrorCode::invalid_argument, "access \"{}\": must be free, terms or key", text);
}

// May throw what the JSON library throws.
Result<Entry> entry_of(const Json& json) {
  Entry entry;
  store::FeedDefinition& d = entry.definition;
  d.id = json.at("id");
  d.title = json.at("title");
  d.url = json.at("url");
  d.provider = json.at("provider");
  d.homepage = json.at("homepage");
  d.licence = json.at("licence");
  d.format = json.at("format");
  d.category = json.at("category");
  d.severity = json.at("severity");
  d.confidence = json.at("confidence");
  d.interval_s = json.at("interval_s");
  d.timeout_s = json.value("timeout_s", d.timeout_s);
  d.size_max_bytes = json.value("size_max_bytes", d.size_max_bytes);
  d.in_basic = json.value("in_basic", d.in_basic);
  d.copies = json.value("copies", d.copies);
  d.direction = json.value("direction", std::string("block")) == "allow" ? store::Direction::allow
                                                                         : store::Direction::block;
  entry.key = json.value("key", std::string());
  const auto access = access_of(json.at("access"));
  if (!access) {
    return std::unexpected(access.error());
  }
  entry.access = *access;
  if ((entry.access == Access::key) == entry.key.empty()) {
    return fail(ErrorCode::invalid_argument, "\"key\" belongs to access \"key\", and only there");
  }
  return entry;
}

}  // namespace

std::string_view to_string(Access access) {
  switch (access) {
    case Access::free:
      return "free";
    case Access::terms:
      return "terms";
    case Access::key:
      return "key";
  }
  return "";
}

Result<std::vector<Entry>> parse(std::string_view json) {
  std::string at = "the document";
  try {
    std::vector<Entry> entries;
    const Json document = Json::parse(json);
    for (const Json& item : document.at("feeds")) {
      at = item.value("id", fmt::format("entry {}", entries.size() + 1));
      auto entry = entry_of(item);
      if (!entry) {
        return in(fmt::format("feed catalogue: {}", at), entry.error());
      }
      entries.push_back(std::move(*entry));
    }
    std::sort(entries.begin(), entries.end(),
              [](const Entry& a, const Entry& b) { return a.definition.id < b.definition.id; });
    return entries;
  } catch (const Json::exception& exception) {
    return fail(ErrorCode::invalid_argument, "feed catalogue: {}: {}", at, exception.what());
  }
}

const std::vector<Entry>& entries() {
  static const std::vector<Entry> kEntries = [] {
    auto parsed = parse(embedded_json());
    MERLON_ASSERT(parsed.has_value());  // a test reads it
    return std::move(*parsed);
  }();
  return kEntries;
}

Result<Entry> find(std::string_view id) {
  std::vector<std::string_view> ids;
  for (const Entry& entry : entries()) {
    if (entry.definition.id == id) {
      return entry;
    }
    ids.push_back(entry.definition.id);
  }
  const std::string_view meant = nearest(id, ids);
  return fail(ErrorCode::not_found, "the catalogue has no feed \"{}\"{}", id.substr(0, 60),
              meant.empty() ? std::string() : fmt::format("; did you mean \"{}\"?", meant));
}

}  // namespace merlon::feed_catalogue
