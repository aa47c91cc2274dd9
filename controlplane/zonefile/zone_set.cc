// SPDX-License-Identifier: Apache-2.0
#include "controlplane/zonefile/zone_set.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>
#include <thread>

#include "controlplane/zonefile/compile.h"
#include "controlplane/zonefile/zone_file.h"
#include "zones/snapshot/segment.h"
#include "zones/snapshot/zone.h"
#include "zones/wire/wire.h"

namespace merlon::zonefile {
namespace {

constexpr std::string_view kFileEnding = ".zone";
constexpr int64_t kRetryMin_s = 30;

// The times of a zone's SOA record (RFC 1035 section 3.3.13).
struct Timers {
  uint32_t refresh = 0;
  uint32_t retry = 0;
  uint32_t expire = 0;
};

Timers timers_of(const ZoneData& zone) {
  const ZoneData::Rrset* soa = zone.at_apex(wire::type::soa);
  const Bytes data = zone.data_of(*soa, 0);
  const uint8_t* times = data.data() + data.size() - 16;
  return {load_be32(times), load_be32(times + 4), load_be32(times + 8)};
}

// What a segment was made with besides its files.
struct Terms {
  uint32_t account = 0;
  uint32_t tier_mask = 0;
  Signing signing = Signing::as_it_came;
  bool operator==(const Terms&) const = default;
};

}  // namespace

std::string_view to_string(ZoneHealth health) {
  switch (health) {
    case ZoneHealth::good:
      return "good";
    case ZoneHealth::kept:
      return "kept";
    case ZoneHealth::refused:
      return "refused";
  }
  return "refused";
}

Result<ZoneSource> parse_source(std::string_view text) {
  ZoneSource source;
  std::string_view rest = text;
  bool has_apex = false;
  while (!rest.empty()) {
    const std::string_view word = rest.substr(0, rest.find(' '));
    rest.remove_prefix(std::min(rest.size(), word.size() + 1));
    if (word.empty()) {
      continue;
    }
    if (!has_apex) {
      const auto apex = name::Name::from_text(word);
      if (!apex) {
        return in(fmt::format("\"{}\"", text), apex.error());
      }
      source.apex = *apex;
      has_apex = true;
    } else if (word.starts_with("file=")) {
      source.file = word.substr(5);
    } else if (word.starts_with("primary=")) {
      source.primary = word.substr(8);
    } else if (word.starts_with("account=")) {
      source.account = word.substr(8);
    } else if (word == "sign") {
      source.signing = Signing::signed_by_us;
    } else {
      return fail(ErrorCode::invalid_argument,
                  "\"{}\": \"{}\" is none of file=, primary=, account= and sign", text, word);
    }
  }
  if (!has_apex || source.file.empty() == source.primary.empty()) {
    return fail(ErrorCode::invalid_argument,
                "\"{}\": an apex and either file=PATH or primary=ADDRESS", text);
  }
  if (!source.primary.empty()) {
    if (const auto primary = Primary::from_text(source.primary); !primary) {
      return std::unexpected(primary.error());
    }
  }
  return source;
}

struct ZoneSet::Zone {
  ZoneSource source;
  Terms terms;
  std::vector<FileState> files;  // as last read, good or not; of the file alone when it was not
  ZoneReport report;
  ZoneSegment segment;  // bytes nullptr: none
  bool attempted = false;
  bool was_read = false;  // by the load that is going on
  bool changed = false;
  // Zones of primaries.
  Timers timers;
  int64_t next_check = 0;
  int64_t confirmed = 0;  // when the primary last said what it has
};

ZoneSet::ZoneSet(ZoneSetOptions options) : options_(std::move(options)) {}
ZoneSet::~ZoneSet() = default;

void ZoneSet::adopt(const name::Name& apex, std::vector<uint8_t> segment) {
  const std::lock_guard lock(mutex_);
  adopted_[apex.folded()] = std::move(segment);
}

Result<std::vector<ZoneSource>> ZoneSet::find_sources() const {
  std::vector<ZoneSource> sources = options_.sources;
  if (options_.directory.empty()) {
    return sources;
  }
  std::error_code error;
  std::vector<std::string> names;
  for (auto at = std::filesystem::directory_iterator(options_.directory, error);
       !error && at != std::filesystem::directory_iterator(); at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (name.size() > kFileEnding.size() && name.ends_with(kFileEnding) && name[0] != '.') {
      names.push_back(name);
    }
  }
  if (error) {
    return fail(ErrorCode::io, "{}: {}; make the folder or correct `zone_directory`",
                options_.directory, error.message());
  }
  std::ranges::sort(names);
  for (const std::string& name : names) {
    const auto apex =
        name::Name::from_text(std::string_view(name).substr(0, name.size() - kFileEnding.size()));
    if (apex) {
      sources.push_back({.apex = *apex, .file = options_.directory + '/' + name});
    }
  }
  return sources;
}

Result<ZoneData> ZoneSet::read_source(const Zone& zone, const LoadContext& context) const {
  if (!zone.source.file.empty()) {
    return read_zone_file(zone.source.file,
                          {.apex = zone.source.apex, .size_max = options_.size_max});
  }
  const auto primary = Primary::from_text(zone.source.primary);
  if (!primary) {
    return std::unexpected(primary.error());
  }
  const bool has_data = zone.segment.bytes != nullptr && zone.confirmed != 0 &&
                        context.signatures == LoadContext::Signatures::keep;
  auto data = transfer_in({.primary = *primary,
                           .apex = zone.source.apex,
                           .serial = has_data ? std::optional(zone.report.serial) : std::nullopt,
                           .timeout_ms = options_.transfer_timeout_ms,
                           .size_max = options_.size_max,
                           .stop = context.stop});
  if (!data) {
    return std::unexpected(data.error());
  }
  if (!*data) {
    return fail(ErrorCode::busy, "nothing newer");
  }
  return std::move(**data);
}

// A zone with its new segment and report; everything else as in `zone`.
Result<std::shared_ptr<ZoneSet::Zone>> ZoneSet::read(const Zone& zone,
                                                     const LoadContext& context) const {
  if (context.is_reserved && context.is_reserved(zone.source.apex)) {
    return fail(ErrorCode::conflict, "{}: {} is a name of Merlon's own lists", zone.report.source,
                zone.source.apex.to_text());
  }
  if (!zone.source.account.empty() && zone.terms.account == 0) {
    return fail(ErrorCode::not_found, "{}: there is no account \"{}\"", zone.report.source,
                zone.source.account);
  }
  const auto data = read_source(zone, context);
  if (!data) {
    return std::unexpected(data.error());
  }
  auto bytes = zonefile::compile(
      *data, {.account = zone.terms.account,
              .tier_mask = zone.terms.tier_mask,
              .signer = zone.terms.signing == Signing::signed_by_us ? context.signer : nullptr});
  if (!bytes) {
    return std::unexpected(bytes.error());
  }
  auto made = std::make_shared<Zone>(zone);
  made->files = data->files();
  made->timers = timers_of(*data);
  made->report.notes = data->notes();
  made->report.record_count = data->record_count();
  made->report.serial = data->serial();
  made->report.is_signed = zone.terms.signing == Signing::signed_by_us ||
                           std::ranges::any_of(data->rrsets(), [](const ZoneData::Rrset& rrset) {
                             return rrset.covers == wire::type::soa;
                           });
  made->report.size_bytes = bytes->size();
  made->report.loaded = context.now;
  made->segment.hash = snapshot::ContentHash::of(*bytes);
  made->segment.bytes = std::make_shared<const std::vector<uint8_t>>(std::move(*bytes));
  return made;
}

bool ZoneSet::is_up_to_date(const Zone& zone, const LoadContext& context) {
  const bool renews = zone.terms.signing == Signing::signed_by_us &&
                      context.signatures == LoadContext::Signatures::renew;
  if (!zone.attempted || renews) {
    return false;
  }
  if (zone.source.file.empty()) {
    return context.transfers == LoadContext::Transfers::when_due && context.now < zone.next_check;
  }
  return !zone.files.empty() && std::ranges::all_of(zone.files, [](const FileState& file) {
    const auto now = file_state(file.path);
    return now && *now == file;
  });
}

void ZoneSet::confirm(Zone& zone, int64_t now) {
  zone.confirmed = now;
  zone.next_check = now + std::max<int64_t>(zone.timers.refresh, kRetryMin_s);
  zone.report.health = ZoneHealth::good;
  zone.report.error.clear();
}

void ZoneSet::refuse(Zone& zone, std::string error, int64_t now) {
  zone.report.error = std::move(error);
  zone.next_check = now + std::max<int64_t>(zone.timers.retry, kRetryMin_s);
  // What no primary has confirmed for that long is not to be believed (RFC 1034 section 4.3.5).
  if (zone.source.file.empty() && zone.confirmed != 0 && zone.segment.bytes != nullptr &&
      now - zone.confirmed > zone.timers.expire) {
    zone.changed = true;
    zone.segment.bytes = nullptr;
    zone.report.error += "; what was transferred before has expired";
  }
  zone.report.health = zone.segment.bytes != nullptr ? ZoneHealth::kept : ZoneHealth::refused;
}

void ZoneSet::load_zone(Zone& zone, const LoadContext& context) const {
  if (is_up_to_date(zone, context)) {
    return;
  }
  const bool had = zone.segment.bytes != nullptr;
  const snapshot::ContentHash before = zone.segment.hash;
  // Taken before reading: a file that changes meanwhile is read again next time.
  const auto state = zone.source.file.empty() ? Result<FileState>() : file_state(zone.source.file);
  auto made = read(zone, context);
  zone.attempted = true;
  zone.was_read = true;
  if (made) {
    zone = std::move(**made);
    zone.attempted = true;
    zone.was_read = true;
    zone.changed = !had || before != zone.segment.hash;
    confirm(zone, context.now);
    return;
  }
  if (zone.source.file.empty()) {
    const bool stopped = context.stop != nullptr && context.stop->load();
    if (made.error().code == ErrorCode::busy && had && !stopped) {  // nothing newer
      zone.was_read = false;
      confirm(zone, context.now);
      return;
    }
  } else {
    zone.files = state ? std::vector{*state} : std::vector<FileState>();
  }
  refuse(zone, made.error().message, context.now);
}

void ZoneSet::load_all(const Zones& zones, const LoadContext& context) const {
  std::vector<Zone*> work;
  for (const auto& [apex, zone] : zones) {
    work.push_back(zone.get());
  }
  std::atomic<size_t> next = 0;
  const auto run = [&] {
    for (size_t i = next++; i < work.size(); i = next++) {
      load_zone(*work[i], context);
    }
  };
  std::vector<std::thread> threads;
  for (unsigned i = 1; i < options_.threads && i < work.size(); ++i) {
    threads.emplace_back(run);
  }
  run();
  for (std::thread& thread : threads) {
    thread.join();
  }
}

ZoneSet::Zones ZoneSet::plan(const std::vector<ZoneSource>& sources, const Zones& before,
                             const LoadContext& context) const {
  Zones zones;
  for (const ZoneSource& source : sources) {
    const name::Name apex = source.apex.folded();
    if (zones.contains(apex)) {
      continue;  // the configuration's own goes before the folder's
    }
    const auto known = before.find(apex);
    auto zone =
        known == before.end() ? std::make_shared<Zone>() : std::make_shared<Zone>(*known->second);
    Terms terms{.signing = context.signer != nullptr ? source.signing : Signing::as_it_came};
    if (source.account.empty()) {
      terms.tier_mask = context.tier_mask;
    } else if (context.account_number) {
      terms.account = context.account_number(source.account);
    }
    zone->attempted = zone->attempted && zone->terms == terms && zone->source.file == source.file &&
                      zone->source.primary == source.primary;
    zone->changed = false;
    zone->was_read = false;
    zone->terms = terms;
    zone->source = source;
    zone->source.apex = apex;
    zone->segment.apex = apex;
    zone->report.apex = apex.to_text();
    zone->report.source = source.file.empty() ? source.primary : source.file;
    zone->report.account = source.account;
    zones.emplace(apex, std::move(zone));
  }
  return zones;
}

// Only what reads back is taken: a segment from disk.
void ZoneSet::take_adopted(Zones& zones) {
  for (auto& [apex, bytes] : adopted_) {
    const auto at = zones.find(apex);
    const auto segment = snapshot::Segment::from_bytes(bytes);
    if (at == zones.end() || at->second->segment.bytes != nullptr || !segment) {
      continue;
    }
    const auto view = snapshot::ZoneView::open(*segment);
    if (!view) {
      continue;
    }
    Zone& zone = *at->second;
    zone.report.serial = view->info().serial;
    zone.report.is_signed = view->is_signed();
    zone.report.size_bytes = bytes.size();
    zone.segment.hash = snapshot::ContentHash::of(bytes);
    zone.segment.bytes = std::make_shared<const std::vector<uint8_t>>(std::move(bytes));
  }
  adopted_.clear();
}

LoadReport ZoneSet::load(const LoadContext& context) {
  const std::lock_guard load_lock(load_mutex_);
  LoadReport report;
  auto sources = find_sources();
  Zones before;
  {
    const std::lock_guard lock(mutex_);
    before = zones_;
  }
  if (!sources) {
    report.error = sources.error().message;
    sources = options_.sources;
    for (const auto& [apex, zone] : before) {
      sources->push_back(zone->source);  // those of the configuration are in front
    }
  }
  Zones zones = plan(*sources, before, context);
  take_adopted(zones);
  load_all(zones, context);
  for (const auto& [apex, zone] : before) {
    report.changed += !zones.contains(apex) && zone->segment.bytes != nullptr ? 1u : 0u;
  }
  for (const auto& [apex, zone] : zones) {
    ++report.zones;
    report.changed += zone->changed ? 1u : 0u;
    report.read += zone->was_read ? 1u : 0u;
    report.refused += zone->report.health != ZoneHealth::good ? 1u : 0u;
  }
  const std::lock_guard lock(mutex_);
  zones_ = std::move(zones);
  return report;
}

std::vector<ZoneSegment> ZoneSet::segments() const {
  const std::lock_guard lock(mutex_);
  std::vector<ZoneSegment> segments;
  for (const auto& [apex, zone] : zones_) {
    if (zone->segment.bytes != nullptr) {
      segments.push_back(zone->segment);
    }
  }
  return segments;
}

std::vector<ZoneReport> ZoneSet::reports() const {
  const std::lock_guard lock(mutex_);
  std::vector<ZoneReport> reports;
  for (const auto& [apex, zone] : zones_) {
    reports.push_back(zone->report);
  }
  return reports;
}

}  // namespace merlon::zonefile
