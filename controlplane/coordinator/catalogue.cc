// SPDX-License-Identifier: Apache-2.0
// What each generation's lists are made of: one JSON file per generation, beside the snapshots.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "controlplane/coordinator/catalogue.h"
#include "controlplane/coordinator/coordinator.h"
#include "zones/base/file.h"

namespace merlon::coordinator {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr uint64_t kCatalogueSizeMax = 256 << 20;

}  // namespace

Json list_to_json(const api::ListInfo& list) {
  return Json{{"name", list.name},
              {"kind", list.kind},
              {"tier", to_string(list.tier)},
              {"feeds", list.feeds},
              {"address4_count", list.address4_count},
              {"address6_count", list.address6_count},
              {"prefix_only_count", list.prefix_only_count},
              {"protected_prefix_count", list.protected_prefix_count},
              {"domain_count", list.domain_count},
              {"fallen_off_count", list.fallen_off_count},
              {"names", list.names}};
}

api::ListInfo list_from_json(const Json& json) {
  api::ListInfo list;
  list.name = json.at("name");
  list.kind = json.at("kind");
  store::parse_tier(json.at("tier").get<std::string>(), list.tier);
  list.feeds = json.at("feeds").get<std::vector<std::string>>();
  list.address4_count = json.at("address4_count");
  list.address6_count = json.at("address6_count");
  list.prefix_only_count = json.at("prefix_only_count");
  list.protected_prefix_count = json.at("protected_prefix_count");
  list.domain_count = json.at("domain_count");
  list.fallen_off_count = json.value("fallen_off_count", uint64_t{0});
  list.names = json.at("names").get<std::vector<std::string>>();
  return list;
}

std::string Coordinator::catalogue_file(uint64_t generation) const {
  return fmt::format("{}/{}.json", options_.catalogue_path, generation);
}

Status Coordinator::save_catalogue(uint64_t generation, const Catalogue& catalogue) const {
  Json lists = Json::array();
  for (const api::ListInfo& list : catalogue.lists) {
    lists.push_back(list_to_json(list));
  }
  const std::string text =
      Json{{"schema_version", 1}, {"revision", catalogue.revision}, {"lists", std::move(lists)}}
          .dump();
  return write_file_durably(catalogue_file(generation), as_bytes(text));
}

Result<Coordinator::Catalogue> Coordinator::load_catalogue(uint64_t generation) const {
  const std::string path = catalogue_file(generation);
  const auto content = read_file(path, kCatalogueSizeMax);
  if (!content) {
    return std::unexpected(content.error());
  }
  try {
    const Json json = Json::parse(as_text(*content));
    Catalogue catalogue;
    catalogue.revision = json.at("revision");
    for (const Json& list : json.at("lists")) {
      catalogue.lists.push_back(list_from_json(list));
    }
    return catalogue;
  } catch (const Json::exception& error) {
    return fail(ErrorCode::corruption, "{}: {}; `snapshot build` writes it again", path,
                error.what());
  }
}

// Catalogues go with their generation; a file that a killed process left half written goes too.
Status Coordinator::clean_up_catalogues() const {
  const auto generations = publisher_.directory().generations();
  if (!generations) {
    return std::unexpected(generations.error());
  }
  std::error_code error;
  for (auto at = fs::directory_iterator(options_.catalogue_path, error);
       !error && at != fs::directory_iterator(); at.increment(error)) {
    const std::string file = at->path().filename().string();
    const std::string stem = at->path().stem().string();
    const bool catalogue = at->path().extension() == ".json" && !stem.empty() &&
                           std::ranges::all_of(stem, [](char c) { return c >= '0' && c <= '9'; });
    const bool kept = std::ranges::any_of(
        *generations, [&](uint64_t generation) { return std::to_string(generation) == stem; });
    if ((catalogue && !kept) || file.find(".json.partial-") != std::string::npos) {
      std::error_code ignored;
      fs::remove(at->path(), ignored);
    }
  }
  if (error) {
    return fail(ErrorCode::io, "list {}: {}", options_.catalogue_path, error.message());
  }
  return {};
}

}  // namespace merlon::coordinator
