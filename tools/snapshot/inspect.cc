// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tools/snapshot/commands.h"
#include "tools/snapshot/contents.h"
#include "zones/address/address.h"
#include "zones/base/file.h"
#include "zones/wire/wire.h"

namespace merlon::tools::snapshot {
namespace {

using nlohmann::json;

std::string_view verb_text(format::Verb verb) {
  switch (verb) {
    case format::Verb::pass:
      return "pass";
    case format::Verb::refuse:
      return "refuse";
    case format::Verb::empty:
      return "empty";
    case format::Verb::ignore:
      return "ignore";
  }
  return "unknown";
}

json describe_body(const format::BodiesView& bodies, uint32_t index) {
  const format::Body body = bodies.body(index);
  const uint16_t type = bodies.answer_type(index);
  return {{"body", index},
          {"type", type == 0 ? "mixed" : wire::type_to_text(type)},
          {"answer_count", body.answer_count},
          {"authority_count", body.authority_count},
          {"additional_count", body.additional_count},
          {"size_bytes", body.size}};
}

json describe_rrset(const ReadZone& zone, const format::RrsetEntry& rrset) {
  json out = {{"type", wire::type_to_text(rrset.type)},
              {"dependency", rrset.dependency},
              {"body", rrset.body}};
  if (const format::BodiesView* bodies = zone.bodies_of(rrset); bodies != nullptr) {
    const format::Body body = bodies->body(rrset.body);
    out["record_count"] = body.answer_count;
    out["size_bytes"] = body.size;
  }
  return out;
}

Result<json> describe_bodies(const format::Segment& segment) {
  const auto view = format::BodiesView::open(segment);
  if (!view) {
    return std::unexpected(view.error());
  }
  json out = {{"bodies", json::array()}};
  for (uint32_t i = 0; i < view->size(); ++i) {
    out["bodies"].push_back(describe_body(*view, i));
  }
  return out;
}

Result<json> describe_zone(format::Segment segment, const std::string& segments_path) {
  const auto zone = ReadZone::open(std::move(segment), segments_path);
  if (!zone) {
    return std::unexpected(zone.error());
  }
  const format::ZoneInfo& info = zone->view().info();
  json out = {{"apex", name_text(zone->view().apex())},
              {"serial", info.serial},
              {"account", info.account},
              {"tier_mask", info.tier_mask},
              {"dependencies", json::array()},
              {"names", json::array()}};
  for (const format::ContentHash& hash : zone->view().dependencies()) {
    out["dependencies"].push_back(hash.to_text());
  }
  for (const format::NodeEntry& node : zone->view().nodes()) {
    json name = {{"name", name_text(zone->view().name_of(node))},
                 {"tier_mask", node.tier_mask},
                 {"rrsets", json::array()}};
    for (const format::RrsetEntry& rrset : zone->view().rrsets_of(node)) {
      name["rrsets"].push_back(describe_rrset(*zone, rrset));
    }
    out["names"].push_back(std::move(name));
  }
  return out;
}

Result<json> describe_access(const format::Segment& segment) {
  const auto view = format::AccessView::open(segment);
  if (!view) {
    return std::unexpected(view.error());
  }
  json out = {{"subjects", json::array()}, {"sources", json::array()}};
  for (const format::Subject& subject : view->subjects()) {
    out["subjects"].push_back({{"account", subject.account},
                               {"device", subject.device},
                               {"tier_mask", subject.tier_mask},
                               {"verb", verb_text(subject.verb)}});
  }
  for (const format::SourceEntry4& source : view->sources4()) {
    const address::AnyPrefix prefix{address::Family::v4, source.length, source.address};
    out["sources"].push_back({{"prefix", to_text(prefix)}, {"subject", source.subject}});
  }
  for (const format::SourceEntry6& source : view->sources6()) {
    const address::AnyPrefix prefix{address::Family::v6, source.length, source.prefix().bits};
    out["sources"].push_back({{"prefix", to_text(prefix)}, {"subject", source.subject}});
  }
  return out;
}

Result<json> describe_segment(const std::string& path) {
  const auto content = read_file(path, format::kSegmentSizeMax);
  if (!content) {
    return std::unexpected(content.error());
  }
  auto segment = format::Segment::from_bytes(*content);
  if (!segment) {
    return in(path, segment.error());
  }
  json out = {{"path", path},
              {"kind", to_string(segment->kind())},
              {"size_bytes", content->size()},
              {"hash", format::ContentHash::of(*content).to_text()},
              {"sections", json::array()}};
  for (const format::SectionEntry& entry : segment->sections()) {
    out["sections"].push_back({{"name", to_string(format::SectionKind{entry.kind})},
                               {"offset", entry.offset},
                               {"size_bytes", entry.size},
                               {"checksum", fmt::format("{:016x}", entry.checksum)}});
  }
  Result<json> summary = json::object();
  switch (segment->kind()) {
    case format::SegmentKind::bodies:
      summary = describe_bodies(*segment);
      break;
    case format::SegmentKind::zone:
      summary =
          describe_zone(std::move(*segment), std::filesystem::path(path).parent_path().string());
      break;
    case format::SegmentKind::access:
      summary = describe_access(*segment);
      break;
    case format::SegmentKind::transfer:
      break;  // the container is all that is known here
  }
  if (!summary) {
    return in(path, summary.error());
  }
  out.update(*summary);
  return out;
}

void print_zone(const json& zone) {
  fmt::print("zone {} serial {} account {} tiers {:#x}, {} names\n",
             zone["apex"].get<std::string>(), zone["serial"].get<uint32_t>(),
             zone["account"].get<uint32_t>(), zone["tier_mask"].get<uint32_t>(),
             zone["names"].size());
  for (const json& name : zone["names"]) {
    fmt::print("  {}", name["name"].get<std::string>());
    if (name["tier_mask"].get<uint32_t>() != 0) {
      fmt::print(" tiers {:#x}", name["tier_mask"].get<uint32_t>());
    }
    if (name["rrsets"].empty()) {
      fmt::print(" (empty non-terminal)");
    }
    fmt::print("\n");
    for (const json& rrset : name["rrsets"]) {
      fmt::print("    {:<8}", rrset["type"].get<std::string>());
      if (rrset.contains("record_count")) {
        fmt::print(" {:>5} records {:>6} bytes", rrset["record_count"].get<unsigned>(),
                   rrset["size_bytes"].get<unsigned>());
      } else {
        fmt::print(" body {} of dependency {}, which is not here", rrset["body"].get<unsigned>(),
                   rrset["dependency"].get<unsigned>());
      }
      fmt::print("\n");
    }
  }
}

void print_bodies(const json& bodies) {
  fmt::print("{:>8}  {:<8} {:>7} {:>9} {:>10} {:>6}\n", "body", "type", "answers", "authority",
             "additional", "bytes");
  for (const json& body : bodies) {
    fmt::print("{:>8}  {:<8} {:>7} {:>9} {:>10} {:>6}\n", body["body"].get<unsigned>(),
               body["type"].get<std::string>(), body["answer_count"].get<unsigned>(),
               body["authority_count"].get<unsigned>(), body["additional_count"].get<unsigned>(),
               body["size_bytes"].get<unsigned>());
  }
}

void print_access(const json& segment) {
  for (const json& source : segment["sources"]) {
    const json& subject = segment["subjects"].at(source["subject"].get<size_t>());
    fmt::print("  {:<40} account {} device {} tiers {:#x} {}\n",
               source["prefix"].get<std::string>(), subject["account"].get<uint32_t>(),
               subject["device"].get<uint32_t>(), subject["tier_mask"].get<uint32_t>(),
               subject["verb"].get<std::string>());
  }
}

void print_segment(const json& segment) {
  fmt::print("{}: {} segment, {} bytes\nhash {}\n", segment["path"].get<std::string>(),
             segment["kind"].get<std::string>(), segment["size_bytes"].get<uint64_t>(),
             segment["hash"].get<std::string>());
  fmt::print("{:<14} {:>10} {:>10}  {}\n", "section", "offset", "bytes", "checksum");
  for (const json& section : segment["sections"]) {
    fmt::print("{:<14} {:>10} {:>10}  {}\n", section["name"].get<std::string>(),
               section["offset"].get<uint64_t>(), section["size_bytes"].get<uint64_t>(),
               section["checksum"].get<std::string>());
  }
  if (segment.contains("names")) {
    print_zone(segment);
  } else if (segment.contains("bodies")) {
    print_bodies(segment["bodies"]);
  } else if (segment.contains("sources")) {
    print_access(segment);
  }
}

Result<json> describe_directory(const InspectOptions& options) {
  const format::Directory directory(options.path);
  uint64_t generation = options.generation.value_or(0);
  if (!options.generation) {
    const auto current = directory.current();
    if (!current) {
      return std::unexpected(current.error());
    }
    generation = *current;
  }
  const auto read = read_manifest(directory, generation);
  if (!read) {
    return std::unexpected(read.error());
  }
  json out = {{"generation", read->manifest.generation},
              {"created", read->manifest.created},
              {"signer", to_hex(read->signer)},
              {"segments", json::array()}};
  for (const format::ManifestSegment& listed : read->manifest.segments) {
    auto segment = describe_segment(directory.segment_path(listed.hash));
    if (!segment) {
      return std::unexpected(segment.error());
    }
    out["segments"].push_back(std::move(*segment));
  }
  return out;
}

}  // namespace

Status inspect(const InspectOptions& options) {
  const bool directory = std::filesystem::is_directory(options.path);
  auto described = directory ? describe_directory(options) : describe_segment(options.path);
  if (!described) {
    return std::unexpected(described.error());
  }
  if (options.format == Format::json) {
    (*described)["schema_version"] = 1;
    fmt::print("{}\n", described->dump(2));
    return {};
  }
  if (!directory) {
    print_segment(*described);
    return {};
  }
  fmt::print("generation {} created {} signed by {} (not compared with a trusted key)\n",
             (*described)["generation"].get<uint64_t>(), (*described)["created"].get<int64_t>(),
             (*described)["signer"].get<std::string>());
  for (const json& segment : (*described)["segments"]) {
    fmt::print("\n");
    print_segment(segment);
  }
  return {};
}

}  // namespace merlon::tools::snapshot
