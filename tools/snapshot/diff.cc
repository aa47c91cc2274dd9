// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "tools/snapshot/commands.h"
#include "tools/snapshot/contents.h"
#include "zones/wire/wire.h"

namespace merlon::tools::snapshot {
namespace {

using nlohmann::json;

using Records = std::map<uint16_t, std::vector<std::string>>;  // by type, sorted
using Names = std::map<name::Name, Records>;                   // canonical order

Status add_zone(const format::Directory& directory, const format::ManifestSegment& listed,
                Names& names) {
  const std::string path = directory.segment_path(listed.hash);
  auto segment = format::Segment::load(path, listed.kind, listed.hash);
  if (!segment) {
    return std::unexpected(segment.error());
  }
  const auto zone = ReadZone::open(std::move(*segment), directory.segments_path());
  if (!zone) {
    return in(path, zone.error());
  }
  for (const format::NodeEntry& node : zone->view().nodes()) {
    Records& records = names[*name::Name::from_wire(zone->view().name_of(node))];
    for (const format::RrsetEntry& rrset : zone->view().rrsets_of(node)) {
      const format::BodiesView* bodies = zone->bodies_of(rrset);
      if (bodies == nullptr) {
        return fail(ErrorCode::corruption, "{}: body {} of segment {} is missing", path, rrset.body,
                    zone->view().dependencies()[rrset.dependency - 1u].to_text());
      }
      records[rrset.type] = record_texts(bodies->body(rrset.body), rrset.type);
    }
  }
  return {};
}

// The names of the zones that the other generation does not have as they are.
Result<Names> read_changed(const format::Directory& directory, const format::Manifest& manifest,
                           const std::set<format::ContentHash>& unchanged) {
  Names names;
  for (const format::ManifestSegment& listed : manifest.segments) {
    if (listed.kind == format::SegmentKind::zone && !unchanged.contains(listed.hash)) {
      if (auto good = add_zone(directory, listed, names); !good) {
        return std::unexpected(good.error());
      }
    }
  }
  return names;
}

std::set<format::ContentHash> hashes_of(const format::Manifest& manifest) {
  std::set<format::ContentHash> hashes;
  for (const format::ManifestSegment& listed : manifest.segments) {
    hashes.insert(listed.hash);
  }
  return hashes;
}

std::vector<std::string> missing_from(const std::vector<std::string>& from,
                                      const std::vector<std::string>& in) {
  std::vector<std::string> missing;
  std::set_difference(from.begin(), from.end(), in.begin(), in.end(), std::back_inserter(missing));
  return missing;
}

json diff_types(const Records& before, const Records& after) {
  static const std::vector<std::string> kNone;
  json types = json::array();
  std::set<uint16_t> all;
  for (const Records* side : {&before, &after}) {
    for (const auto& [type, records] : *side) {
      all.insert(type);
    }
  }
  for (const uint16_t type : all) {
    const auto old = before.find(type);
    const auto now = after.find(type);
    const auto& a = old == before.end() ? kNone : old->second;
    const auto& b = now == after.end() ? kNone : now->second;
    if (a != b) {
      types.push_back({{"type", wire::type_to_text(type)},
                       {"added", missing_from(b, a)},
                       {"removed", missing_from(a, b)}});
    }
  }
  return types;
}

json diff_names(const Names& before, const Names& after) {
  json out = json::array();
  Names all = before;
  all.insert(after.begin(), after.end());
  for (const auto& [name, unused] : all) {
    const auto old = before.find(name);
    const auto now = after.find(name);
    json types = diff_types(old == before.end() ? Records{} : old->second,
                            now == after.end() ? Records{} : now->second);
    const char* change = old == before.end() ? "added" : now == after.end() ? "removed" : "changed";
    if (!types.empty() || *change != 'c') {
      out.push_back({{"name", name.to_text()}, {"change", change}, {"types", std::move(types)}});
    }
  }
  return out;
}

void print_names(const json& names) {
  for (const json& name : names) {
    const std::string change = name["change"].get<std::string>();
    fmt::print("{} {}\n",
               change == "added"     ? '+'
               : change == "removed" ? '-'
                                     : '~',
               name["name"].get<std::string>());
    for (const json& type : name["types"]) {
      fmt::print("    {}: {} added, {} removed\n", type["type"].get<std::string>(),
                 type["added"].size(), type["removed"].size());
      for (const json& record : type["removed"]) {
        fmt::print("      - {}\n", record.get<std::string>());
      }
      for (const json& record : type["added"]) {
        fmt::print("      + {}\n", record.get<std::string>());
      }
    }
  }
}

}  // namespace

Status diff(const DiffOptions& options) {
  const format::Directory directory(options.directory);
  const auto from = read_manifest(directory, options.from);
  if (!from) {
    return std::unexpected(from.error());
  }
  const auto to = read_manifest(directory, options.to);
  if (!to) {
    return std::unexpected(to.error());
  }
  const auto before = read_changed(directory, from->manifest, hashes_of(to->manifest));
  if (!before) {
    return std::unexpected(before.error());
  }
  const auto after = read_changed(directory, to->manifest, hashes_of(from->manifest));
  if (!after) {
    return std::unexpected(after.error());
  }
  const auto access_of = [](const format::Manifest& manifest) {
    const auto at = std::ranges::find(manifest.segments, format::SegmentKind::access,
                                      &format::ManifestSegment::kind);
    return at->hash;  // a manifest has exactly one
  };
  const bool access_changed = access_of(from->manifest) != access_of(to->manifest);
  const json names = diff_names(*before, *after);
  if (options.format == Format::json) {
    const json out = {{"schema_version", 1},
                      {"from", options.from},
                      {"to", options.to},
                      {"access_changed", access_changed},
                      {"names", names}};
    fmt::print("{}\n", out.dump(2));
    return {};
  }
  fmt::print("generation {} to {}: {} names differ, access {}\n", options.from, options.to,
             names.size(), access_changed ? "changed" : "is the same");
  print_names(names);
  return {};
}

}  // namespace merlon::tools::snapshot
