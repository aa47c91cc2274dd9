// SPDX-License-Identifier: Apache-2.0
#include "controlplane/coordinator/operator_zones.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "controlplane/coordinator/coordinator.h"
#include "controlplane/zonefile/compile.h"
#include "controlplane/zonefile/zone_file.h"

namespace merlon::coordinator {
namespace {

constexpr int64_t kLookAgain_s = 60;
constexpr uint32_t kAllTiers = 15;

api::ZoneInfo info_of(const zonefile::ZoneReport& report) {
  return {.apex = report.apex,
          .source = report.source,
          .account = report.account,
          .health = std::string(to_string(report.health)),
          .error = report.error,
          .notes = report.notes,
          .serial = report.serial,
          .record_count = report.record_count,
          .size_bytes = report.size_bytes,
          .is_signed = report.is_signed,
          .loaded = report.loaded};
}

}  // namespace

OperatorZones::OperatorZones(zonefile::ZoneSetOptions options, const name::Name& suffix)
    : suffix_(suffix.folded()), set_(std::move(options)) {}

void OperatorZones::adopt(const snapshot::Snapshot& in_force) {
  for (const auto& zone : in_force.zones()) {
    const auto apex = name::Name::from_wire(zone->view().apex());
    if (apex && !apex->is_at_or_below(suffix_)) {
      const Bytes bytes = zone->segment_bytes();
      set_.adopt(*apex, {bytes.begin(), bytes.end()});
    }
  }
}

std::vector<OperatorSegment> OperatorZones::segments(const Context& context) {
  if (reload_wanted_.exchange(false) || context.now - loaded_ >= kLookAgain_s) {
    using Signatures = zonefile::LoadContext::Signatures;
    const bool renews = signatures_wanted_.exchange(false);
    const auto report = set_.load(
        {.now = context.now,
         .tier_mask = kAllTiers,
         .signer = context.signer,
         .account_number = context.account_number,
         .is_reserved = [this](const name::Name& apex) { return apex.is_at_or_below(suffix_); },
         .signatures = renews ? Signatures::renew : Signatures::keep,
         .stop = context.stop});
    loaded_ = context.now;
    if (!report.error.empty()) {
      spdlog::error("zones: {}", report.error);
    }
    if (report.read != 0 || report.changed != 0) {
      spdlog::info("zones: {} in all, {} read, {} changed, {} refused", report.zones, report.read,
                   report.changed, report.refused);
    }
  }
  std::vector<OperatorSegment> segments;
  for (const zonefile::ZoneSegment& zone : set_.segments()) {
    segments.push_back({.listed = {.kind = snapshot::SegmentKind::zone,
                                   .hash = zone.hash,
                                   .size_bytes = zone.bytes->size(),
                                   .apex = zone.apex},
                        .bytes = zone.bytes});
  }
  return segments;
}

// A zone that came with its signatures is none of ours: the signer knows no time for it.
bool OperatorZones::is_signing_due(const compile::ZoneSigner* signer, int64_t now) const {
  if (signer == nullptr) {
    return false;
  }
  return std::ranges::any_of(set_.reports(), [&](const zonefile::ZoneReport& report) {
    const auto apex = name::Name::from_text(report.apex);
    const int64_t due = report.is_signed && apex ? signer->due_at(*apex) : 0;
    return due != 0 && due <= now;
  });
}

std::vector<api::ZoneInfo> OperatorZones::zones() const {
  std::vector<api::ZoneInfo> infos;
  for (const zonefile::ZoneReport& report : set_.reports()) {
    infos.push_back(info_of(report));
  }
  return infos;
}

Result<std::vector<api::ZoneInfo>> Coordinator::zones() {
  return zones_.zones();
}

Result<std::vector<api::ZoneInfo>> Coordinator::reload_zones() {
  zones_.want_reload();
  const auto built = build_snapshot();
  if (!built) {
    return std::unexpected(built.error());
  }
  return zones_.zones();
}

Result<api::ZoneInfo> Coordinator::check_zone(const api::ZoneText& text) {
  const auto apex = name::Name::from_text(text.apex);
  if (!apex) {
    return in("apex", apex.error());
  }
  api::ZoneInfo info{.apex = apex->folded().to_text(), .source = text.file, .health = "refused"};
  const auto zone = zonefile::read_zone_text(text.text, text.file, {.apex = *apex});
  if (!zone) {
    info.error = zone.error().message;
    return info;
  }
  info.notes = zone->notes();
  info.record_count = zone->record_count();
  info.serial = zone->serial();
  const auto bytes = zonefile::compile(*zone, {.tier_mask = kAllTiers});
  if (!bytes) {
    info.error = bytes.error().message;
    return info;
  }
  info.health = "good";
  info.size_bytes = bytes->size();
  return info;
}

std::vector<OperatorSegment> Coordinator::operator_segments() {
  std::map<std::string, uint32_t> numbers;
  if (const auto devices = store_.devices()) {
    for (const store::Device& device : *devices) {
      numbers[device.account] = device.account_number;
    }
  }
  return zones_.segments({.now = std::time(nullptr),
                          .signer = options_.signer,
                          .account_number =
                              [&numbers](const std::string& account) {
                                const auto at = numbers.find(account);
                                return at == numbers.end() ? 0 : at->second;
                              },
                          .stop = &stop_now_});
}

}  // namespace merlon::coordinator
