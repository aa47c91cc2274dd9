// SPDX-License-Identifier: Apache-2.0
// A zone of a generation as a zone file, for dnssec-verify, ldns-verify-zone, or any server.
#include <fmt/format.h>

#include <cstdio>

#include "tools/snapshot/commands.h"
#include "tools/snapshot/contents.h"
#include "tools/snapshot/record_text.h"
#include "zones/wire/wire.h"

namespace merlon::tools::snapshot {
namespace {

// The answer records of a body, all of which have the owner 0xC00C.
void print_body(const std::string& owner, const format::Body& body) {
  wire::Reader reader(body.bytes());
  for (unsigned i = 0; i < body.answer_count; ++i) {
    reader.skip(2);
    const uint16_t type = reader.u16();
    reader.skip(2);
    const uint32_t ttl = reader.u32();
    const Bytes data = reader.bytes(reader.u16());
    fmt::print("{} {} IN {} {}\n", owner, ttl, wire::type_to_text(type),
               zone_file_data(type, data));
  }
}

void print_own(const ReadZone& zone, const std::string& owner, uint32_t body) {
  if (body != format::kNoBody) {
    print_body(owner, zone.view().own_bodies().body(body));
  }
}

Status print_zone(const ReadZone& zone) {
  const format::ZoneView& view = zone.view();
  for (const format::NodeEntry& node : view.nodes()) {
    const std::string owner = name_text(view.name_of(node));
    for (size_t i = 0; i < node.rrset_count; ++i) {
      const size_t place = node.rrset_first + i;
      const format::RrsetEntry& rrset = view.rrsets()[place];
      const format::BodiesView* bodies = zone.bodies_of(rrset);
      if (bodies == nullptr) {
        return fail(ErrorCode::corruption, "{} {}: its bodies segment is missing or damaged", owner,
                    wire::type_to_text(rrset.type));
      }
      print_body(owner, bodies->body(rrset.body));
      print_own(zone, owner, view.signature_of(place));
    }
  }
  const std::string apex = name_text(view.apex());
  for (const format::Nsec3Entry& entry : view.nsec3()) {
    const std::string owner = fmt::format("{}.{}", base32hex(entry.hash), apex == "." ? "" : apex);
    print_own(zone, owner, entry.body);
    print_own(zone, owner, entry.signature);
  }
  return {};
}

}  // namespace

Status export_zone(const ExportOptions& options) {
  const auto apex = name::Name::from_text(options.apex);
  if (!apex) {
    return in("apex", apex.error());
  }
  const format::Directory directory(options.directory);
  const auto current =
      options.generation ? Result<uint64_t>(*options.generation) : directory.current();
  if (!current) {
    return std::unexpected(current.error());
  }
  const auto manifest = read_manifest(directory, *current);
  if (!manifest) {
    return std::unexpected(manifest.error());
  }
  for (const format::ManifestSegment& listed : manifest->manifest.segments) {
    if (listed.kind != format::SegmentKind::zone || !(listed.apex == *apex)) {
      continue;
    }
    auto segment =
        format::Segment::load(directory.segment_path(listed.hash), listed.kind, listed.hash);
    if (!segment) {
      return std::unexpected(segment.error());
    }
    const auto zone = ReadZone::open(std::move(*segment), directory.segments_path());
    if (!zone) {
      return std::unexpected(zone.error());
    }
    return print_zone(*zone);
  }
  return fail(ErrorCode::not_found, "generation {} has no zone {}", *current, apex->to_text());
}

}  // namespace merlon::tools::snapshot
