// SPDX-License-Identifier: Apache-2.0
// The coordinator's side of the safety net and the guard: their files, and what they remember.
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <ctime>

#include "controlplane/coordinator/coordinator.h"
#include "controlplane/coordinator/refresh.h"
#include "controlplane/feeds/decode.h"
#include "controlplane/fetch/fetch.h"
#include "zones/base/file.h"

namespace merlon::coordinator {
namespace {

constexpr std::string_view kGuardNote = "guard";
constexpr int64_t kLookEveryS = 2;
constexpr int64_t kLatelyS = 30 * 86'400;

// Changes when one of the files does.
std::string stamp_of(std::span<const std::string> paths) {
  std::string stamp;
  for (const std::string& path : paths) {
    struct stat status{};
    if (::stat(path.c_str(), &status) == 0) {
      stamp += fmt::format("{} {} {}.{};", status.st_ino, status.st_size, status.st_mtim.tv_sec,
                           status.st_mtim.tv_nsec);
    } else {
      stamp += "-;";
    }
  }
  return stamp;
}

std::string stamp_of(const safety::NetOptions& options) {
  return stamp_of(options.allow_files) + stamp_of(options.top_domain_files);
}

std::string stamp_of(const enrich::GeoOptions& options) {
  return stamp_of(std::array{options.country_file, options.asn_file});
}

}  // namespace

std::shared_ptr<const safety::Net> Coordinator::net() const {
  const std::lock_guard lock(watched_.mutex);
  return watched_.net;
}

std::shared_ptr<const enrich::Geo> Coordinator::geo() const {
  const std::lock_guard lock(watched_.mutex);
  return watched_.geo;
}

Status Coordinator::load_net() {
  if (options_.net.empty()) {
    return {};
  }
  const std::string stamp = stamp_of(options_.net);
  auto loaded = safety::Net::load(options_.net);
  const std::lock_guard lock(watched_.mutex);
  watched_.net_stamp = stamp;
  if (!loaded) {
    return in("safety net", loaded.error());
  }
  watched_.net = std::make_shared<const safety::Net>(std::move(*loaded));
  watched_.net_changed = true;
  return {};
}

void Coordinator::load_geo() {
  const std::string stamp = stamp_of(options_.geo);
  auto loaded = enrich::Geo::load(options_.geo);
  const std::lock_guard lock(watched_.mutex);
  watched_.geo_stamp = stamp;
  if (!loaded) {
    spdlog::error("places of addresses: {}; tools/get-geo brings a database",
                  loaded.error().message);
    return;
  }
  watched_.geo = std::make_shared<const enrich::Geo>(std::move(*loaded));
  watched_.geo_changed = true;
}

// Takes over files that changed.
void Coordinator::watch_net() {
  if (options_.net.empty() && options_.geo.empty()) {
    return;
  }
  bool net_differs = false;
  bool geo_differs = false;
  {
    const std::lock_guard lock(watched_.mutex);
    const int64_t now = std::time(nullptr);
    if (now - watched_.net_looked < kLookEveryS && now >= watched_.net_looked) {
      return;
    }
    watched_.net_looked = now;
    net_differs = !options_.net.empty() && stamp_of(options_.net) != watched_.net_stamp;
    geo_differs = !options_.geo.empty() && stamp_of(options_.geo) != watched_.geo_stamp;
  }
  if (net_differs) {
    if (auto loaded = load_net(); !loaded) {
      spdlog::error("{}; the net stays as it was", loaded.error().message);
      net_differs = false;
    } else {
      spdlog::info("safety net: read again");
    }
  }
  if (geo_differs) {
    load_geo();
  }
  if (net_differs || geo_differs) {
    build_wanted_ = true;
    changed();
  }
}

std::vector<safety::Protected> Coordinator::own_addresses() const {
  std::vector<safety::Protected> own;
  const auto devices = store_.devices();
  if (!devices) {
    spdlog::error("devices: {}", devices.error().message);
    return own;
  }
  for (const store::Device& device : *devices) {
    for (const address::AnyPrefix& source : device.sources) {
      const bool v4 = source.family == address::Family::v4;
      const address::Bits6 last = v4 ? source.v4().range().last : source.v6().range().last;
      own.push_back({.range = {source.family, source.bits, last},
                     .why = fmt::format("device {} of account {}", device.name, device.account)});
    }
  }
  return own;
}

safety::Memory Coordinator::memory_of(const std::string& id) const {
  const auto text = store_.note(kGuardNote, id);
  if (!text) {
    spdlog::error("feed {}: {}", id, text.error().message);
    return {};
  }
  if (text->empty()) {
    return {};
  }
  auto memory = safety::decode_memory(*text);
  if (!memory) {
    spdlog::error("feed {}: {}; the guard begins anew", id, memory.error().message);
    return {};
  }
  return *memory;
}

void Coordinator::remember(const std::string& id, const safety::Memory& memory) {
  const std::string text =
      memory == safety::Memory{} ? std::string() : safety::encode_memory(memory);
  if (auto stored = store_.set_note(kGuardNote, id, text); !stored) {
    spdlog::error("feed {}: {}", id, stored.error().message);
  }
}

std::string Coordinator::other_feed_with(uint64_t set_hash,
                                         const store::FeedDefinition& definition) const {
  const auto names = [](const std::vector<std::string>& ids, const std::string& id) {
    return std::ranges::find(ids, id) != ids.end();
  };
  const auto records = store_.feeds();
  for (const store::FeedRecord& other : records ? *records : std::vector<store::FeedRecord>{}) {
    const store::FeedDefinition& feed = other.definition;
    if (feed.id != definition.id && feed.enabled && !names(feed.copies, definition.id) &&
        !names(definition.copies, feed.id) && memory_of(feed.id).set_hash == set_hash) {
      return feed.id;
    }
  }
  return "";
}

Judged Coordinator::judge(const store::FeedRecord& record, Bytes body,
                          const feeds::ParsedFeed& parsed) {
  Judged judged{.memory = memory_of(record.definition.id)};
  safety::Candidate candidate{
      .definition = record.definition,
      .before = record.state,
      .memory = judged.memory,
      .format = parsed.declaration,
      .entries = parsed.set.v4.size() + parsed.set.v6.size() + parsed.set.domains.size(),
      .lines = parsed.line_count,
      .rejected = parsed.rejected_count,
      .set_hash = safety::hash_of(parsed.set)};
  if (parsed.format == feeds::Format::csv) {
    const auto decoded = feeds::decode(body, {.size_max_bytes = record.definition.size_max_bytes});
    candidate.shape = decoded ? safety::shape_of(decoded->text()) : "";
  }
  if (candidate.set_hash != judged.memory.set_hash) {
    candidate.same_as = other_feed_with(candidate.set_hash, record.definition);
  }
  judged.doubt = safety::doubt(candidate);
  judged.memory.same_as =
      candidate.set_hash == judged.memory.set_hash ? judged.memory.same_as : candidate.same_as;
  judged.memory.set_hash = candidate.set_hash;
  judged.memory.shape = candidate.shape;
  judged.memory.findings = {};
  if (record.definition.direction == store::Direction::block) {
    judged.memory.findings = net()->examine(parsed.set, own_addresses());
  }
  if (judged.memory.findings.count() != 0) {
    judged.memory.found_at = std::time(nullptr);
  }
  return judged;
}

std::string Coordinator::held_file(const std::string& id) const {
  return fmt::format("{}/{}", options_.held_path, id);
}

void Coordinator::hold(const std::string& id, const fetch::FetchResult& fetched,
                       const std::string& reason) {
  safety::Memory memory = memory_of(id);
  ++memory.quarantines;
  memory.held.reset();
  if (!options_.held_path.empty()) {
    if (auto written = write_file_durably(held_file(id), fetched.body, 0600); !written) {
      spdlog::error("feed {}: quarantined content is not kept: {}", id, written.error().message);
    } else {
      memory.held = safety::Held{.at = std::time(nullptr),
                                 .reason = reason,
                                 .etag = fetched.etag,
                                 .last_modified = fetched.last_modified};
    }
  }
  remember(id, memory);
}

void Coordinator::release(const std::string& id) {
  safety::Memory memory = memory_of(id);
  if (memory.held) {
    memory.held.reset();
    remember(id, memory);
  }
  if (!options_.held_path.empty()) {
    ::unlink(held_file(id).c_str());
  }
}

Result<api::RefreshReport> Coordinator::accept_feed(const std::string& id) {
  if (const auto known = store_.feed(id); !known) {  // no mutex for whatever name somebody sends
    return std::unexpected(known.error());
  }
  const std::lock_guard lock(mutex_of_feed(id));
  const auto record = store_.feed(id);
  if (!record) {
    return std::unexpected(record.error());
  }
  const safety::Memory memory = memory_of(id);
  if (!memory.held || record->state.health != store::FeedHealth::quarantined) {
    return fail(ErrorCode::conflict, "feed {} has no content in quarantine; it is {}", id,
                to_string(record->state.health));
  }
  const store::FeedDefinition& definition = record->definition;
  const auto body = read_file(held_file(id), definition.size_max_bytes);
  if (!body) {
    return in(fmt::format("feed {}: content in quarantine", id), body.error());
  }
  const auto parsed = feeds::parse_feed(*body, store::format_with_ageing(definition),
                                        definition.size_max_bytes, feeds::Belief::accepted);
  if (!parsed) {
    return in(fmt::format("feed {}: nothing in it can be accepted", id), parsed.error());
  }
  api::RefreshReport report;
  report.feed = id;
  report.state = record->state;
  describe(*parsed, report.state);
  report.state.size_bytes = body->size();
  report.state.etag = memory.held->etag;
  report.state.last_modified = memory.held->last_modified;
  spdlog::info("feed {}: quarantined content accepted ({})", id, memory.held->reason);
  auto applied =
      apply(std::move(report), *parsed, std::time(nullptr), judge(*record, *body, *parsed));
  if (applied) {
    keep_lines(id, *body);
  }
  return applied;
}

Result<api::FeedSafety> Coordinator::feed_safety(const std::string& id) {
  const auto record = store_.feed(id);
  if (!record) {
    return std::unexpected(record.error());
  }
  const store::FeedState& state = record->state;
  const safety::Memory memory = memory_of(id);
  const int64_t now = std::time(nullptr);
  api::FeedSafety report;
  report.feed = id;
  report.taken_out4 = memory.findings.count4;
  report.taken_out6 = memory.findings.count6;
  report.taken_out_domains = memory.findings.domains;
  report.taken_out_at = memory.found_at;
  report.by_reason = {memory.findings.by_reason.begin(), memory.findings.by_reason.end()};
  for (const safety::TakenOut& one : memory.findings.examples) {
    report.examples.push_back({one.entry, one.protected_by, one.why});
  }
  report.stale = safety::staleness(*record, memory, now);
  report.same_as = memory.same_as;
  report.quarantines = memory.quarantines;
  if (memory.held) {
    report.held_at = memory.held->at;
    report.held_reason = memory.held->reason;
  }
  report.trust = safety::trust_of(
      {.taken_out = memory.findings.count(),
       .entries = state.prefix4_count + state.prefix6_count + state.domain_count,
       .taken_out_lately = memory.found_at != 0 && now - memory.found_at < kLatelyS,
       .lines = state.line_count,
       .rejected = state.rejected_count,
       .quarantined = state.health == store::FeedHealth::quarantined,
       .stale = !report.stale.empty()});
  return report;
}

}  // namespace merlon::coordinator
