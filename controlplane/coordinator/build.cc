// SPDX-License-Identifier: Apache-2.0
// Builds, activations and what is known of generations.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <nlohmann/json.hpp>

#include "controlplane/coordinator/coordinator.h"
#include "controlplane/feeds/parse.h"
#include "controlplane/policy/lists.h"

namespace merlon::coordinator {
namespace {

using Json = nlohmann::json;

constexpr int kLoadTimeoutMs = 60'000;
constexpr int kWordTimeoutMs = 1'000;
constexpr size_t kReplyShownMax = 200;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// What the data plane's answer to "load" says against its serving this generation; "" when nothing.
// It comes from another process, so any of it may be of any type.
std::string fault_of_reply(const std::string& reply, uint64_t generation) {
  const Json json = Json::parse(reply, nullptr, false);
  if (!json.is_object()) {
    return fmt::format("not an answer to load: \"{}\"", feeds::printable(reply, kReplyShownMax));
  }
  if (json.contains("error")) {
    const Json& error = json["error"];
    return error.is_object() && error.contains("message") && error["message"].is_string()
               ? error["message"].get<std::string>()
               : feeds::printable(reply, kReplyShownMax);
  }
  if (json.contains("generation") && json["generation"].is_number_unsigned()) {
    const auto served = json["generation"].get<uint64_t>();
    return served == generation ? std::string()
                                : fmt::format("serves generation {}, not {}", served, generation);
  }
  return fmt::format("not an answer to load: \"{}\"", feeds::printable(reply, kReplyShownMax));
}

// The fewest prefixes that cover the set: an IPv6 address count says nothing to anybody.
uint64_t prefix_count(const address::IpSet& set) {
  uint64_t count = 0;
  const auto one_more = [&count](auto) { ++count; };
  set.v4.for_each_prefix(one_more);
  set.v6.for_each_prefix(one_more);
  return count;
}

}  // namespace

compile::Serials Coordinator::serials_in_force() const {
  compile::Serials serials;
  // After a rollback the serial in force is not the newest one that somebody may have seen.
  serials.next = std::max(static_cast<uint32_t>(std::time(nullptr)), newest_serial_ + 1);
  const auto served = slot_.get();
  if (served == nullptr) {
    return serials;
  }
  for (const auto& zone : served->zones()) {
    if (std::ranges::equal(zone->view().apex(), options_.compile.suffix.folded().wire())) {
      serials.in_force = zone->view().info().serial;
    }
  }
  serials.next = std::max(serials.next, serials.in_force + 1);
  const auto current = publisher_.directory().current();
  if (!current || served->generation() != *current) {
    return serials;
  }
  const auto manifest = publisher_.directory().manifest(*current, publisher_.public_key());
  if (!manifest) {
    return serials;
  }
  for (const snapshot::ManifestSegment& segment : manifest->segments) {
    if (segment.kind == snapshot::SegmentKind::zone && segment.apex == options_.compile.suffix) {
      serials.in_force_hash = segment.hash.to_text();
    }
  }
  return serials;
}

Result<Coordinator::Built> Coordinator::compile_now() {
  Built built;
  built.catalogue.revision = store_.revision();
  const auto stored = store_.feeds();
  const auto devices = store_.devices();
  if (!stored || !devices) {
    return std::unexpected(stored ? devices.error() : stored.error());
  }
  std::vector<store::FeedRecord> records;
  std::map<std::string, store::FeedSet> sets;
  std::map<std::string, int64_t> changed;
  for (const store::FeedRecord& record : *stored) {
    auto set = store_.set_of(record.definition.id);
    if (!set && set.error().code == ErrorCode::not_found) {
      continue;  // removed this moment; the build that follows that change sees it whole
    }
    if (!set) {
      return in(fmt::format("feed {}", record.definition.id), set.error());
    }
    sets[record.definition.id] = std::move(*set);
    changed[record.definition.id] = record.state.last_changed;
    records.push_back(record);
  }
  const policy::SetOf set_of = [&sets](const std::string& id) -> const store::FeedSet& {
    return sets.at(id);
  };
  const address::IpSet allowed = policy::allowed_addresses(records, set_of);
  compile::Input input;
  input.devices = *devices;
  for (const policy::ListDefinition& definition : policy::shared_lists(records)) {
    compile::ListInput list;
    list.definition = definition;
    list.content = policy::compose(definition, set_of, allowed,
                                   {.length4 = options_.compile.expand4_from_length,
                                    .length6 = options_.compile.expand6_from_length});
    for (const std::string& feed : definition.feeds) {
      list.changed = std::max(list.changed, changed[feed]);
    }
    input.lists.push_back(std::move(list));
  }
  auto compiled = compile::compile(input, options_.compile, serials_in_force());
  if (!compiled) {
    return std::unexpected(compiled.error());
  }
  for (size_t i = 0; i < input.lists.size(); ++i) {
    const compile::ListInput& list = input.lists[i];
    const compile::CompiledList& made = compiled->lists[i];
    const address::IpSet& out = list.content.taken_out_protected;
    built.catalogue.lists.push_back({.name = made.name,
                                     .kind = std::string(to_string(list.definition.kind)),
                                     .tier = list.definition.tier,
                                     .feeds = list.definition.feeds,
                                     .address4_count = made.address4_count,
                                     .address6_count = made.address6_count,
                                     .prefix_only_count = made.prefix_only_count,
                                     .protected_prefix_count = prefix_count(out),
                                     .domain_count = list.content.domains.size(),
                                     .names = made.names});
  }
  built.compiled = std::move(*compiled);
  built.operator_segments = operator_segments();
  return built;
}

Result<api::BuildReport> Coordinator::build_snapshot() {
  const std::lock_guard lock(build_mutex_);
  return build_locked();
}

Result<api::BuildReport> Coordinator::build_locked() {
  const auto compile_start = std::chrono::steady_clock::now();
  auto report = [&]() -> Result<api::BuildReport> {
    const auto built = compile_now();
    if (!built) {
      return in("compile", built.error());
    }
    const double compile_seconds = seconds_since(compile_start);
    auto made = publish_built(*built);
    if (!made) {
      return in("publish", made.error());
    }
    made->compile_seconds = compile_seconds;
    made->publish_seconds = seconds_since(compile_start) - compile_seconds;
    const std::lock_guard facts(facts_mutex_);
    built_revision_ = built->catalogue.revision;
    return made;
  }();
  if (report) {
    // Also of a generation that it should know: it may have met it damaged, or not met it yet.
    report->dataplane_error = tell_dataplane(report->generation);
  }
  if (report && (report->changed || report->segments_written != 0)) {
    spdlog::info("generation {}: {} lists, {} names, {} segments written, {} reused, {:.2f} s",
                 report->generation, report->list_count, report->name_count,
                 report->segments_written, report->segments_reused,
                 report->compile_seconds + report->publish_seconds);
  }
  const std::lock_guard facts(facts_mutex_);
  last_build_error_ = report ? std::string() : report.error().message;
  if (report) {
    ++builds_;
    builds_changed_ += report->changed ? 1u : 0u;
    last_build_seconds_ = report->compile_seconds + report->publish_seconds;
  } else {
    ++build_failures_;
  }
  return report;
}

Result<api::BuildReport> Coordinator::publish_built(const Built& built) {
  std::vector<publish::SegmentFile> files;
  for (const compile::CompiledSegment& segment : built.compiled.segments) {
    files.push_back({segment.listed, segment.bytes});
  }
  for (const OperatorSegment& segment : built.operator_segments) {
    files.push_back({segment.listed, *segment.bytes});
  }
  const auto written = publisher_.write(files, std::time(nullptr));
  if (!written) {
    return std::unexpected(written.error());
  }
  const auto served = slot_.get();
  if (written->changed || served == nullptr || served->generation() != written->generation) {
    if (auto done = check_and_put_in_force(written->generation, built.catalogue); !done) {
      if (written->changed) {  // refuses when it is in force after all
        static_cast<void>(publisher_.remove_generation(written->generation));
      }
      return std::unexpected(done.error());
    }
    newest_serial_ = std::max(newest_serial_, built.compiled.serial);
    clean_up();
  } else if (auto saved = save_catalogue(written->generation, built.catalogue); !saved) {
    return std::unexpected(saved.error());
  }
  return api::BuildReport{.generation = written->generation,
                          .changed = written->changed,
                          .segments_written = written->segments_written,
                          .segments_reused = written->segments_reused,
                          .list_count = built.compiled.lists.size(),
                          .name_count = built.compiled.name_count,
                          .dataplane_error = {}};
}

Status Coordinator::check_and_put_in_force(uint64_t generation, const Catalogue& catalogue) {
  auto snapshot = load(generation);
  if (!snapshot) {
    return in("does not read back", snapshot.error());
  }
  if (auto saved = save_catalogue(generation, catalogue); !saved) {
    return saved;
  }
  return put_in_force(generation, std::move(*snapshot));
}

void Coordinator::clean_up() {
  for (const Status& cleaned : {publisher_.clean_up(), clean_up_catalogues()}) {
    if (!cleaned) {
      spdlog::warn("clean up: {}", cleaned.error().message);
    }
  }
}

Result<std::shared_ptr<const snapshot::Snapshot>> Coordinator::load(uint64_t generation) {
  const auto manifest = publisher_.directory().manifest(generation, publisher_.public_key());
  if (!manifest) {
    return std::unexpected(manifest.error());
  }
  const auto before = slot_.get();
  return snapshot::Snapshot::load(publisher_.directory(), *manifest, index_key_, before.get());
}

Status Coordinator::put_in_force(uint64_t generation,
                                 std::shared_ptr<const snapshot::Snapshot> snapshot) {
  if (auto done = publisher_.set_current(generation); !done) {
    return done;
  }
  slot_.set(std::move(snapshot));
  return {};
}

// Returns what went wrong, or "".
std::string Coordinator::tell_dataplane(uint64_t generation) {
  if (options_.dataplane_socket.empty()) {
    return "";
  }
  const auto reply = publish::ask_dataplane({.socket_path = options_.dataplane_socket,
                                             .command = "load",
                                             .timeout_ms = kLoadTimeoutMs,
                                             .stop = &stop_now_});
  const std::string error = reply ? fault_of_reply(*reply, generation) : reply.error().message;
  if (!error.empty()) {
    spdlog::warn("data plane: {}", error);
  }
  return error;
}

// What it says now, not what it said at the last publish: it may have gone or started since.
std::string Coordinator::dataplane_word() const {
  if (options_.dataplane_socket.empty()) {
    return "none configured";
  }
  const auto reply = publish::ask_dataplane({.socket_path = options_.dataplane_socket,
                                             .command = "status",
                                             .timeout_ms = kWordTimeoutMs,
                                             .stop = &stop_now_});
  if (!reply) {
    return reply.error().message;
  }
  const Json json = Json::parse(*reply, nullptr, false);
  const bool understood = json.is_object() && json.contains("generation") &&
                          json["generation"].is_number_unsigned() &&
                          json.contains("last_load_error") && json["last_load_error"].is_string();
  if (!understood) {
    return fmt::format("not an answer to status: \"{}\"", feeds::printable(*reply, kReplyShownMax));
  }
  const std::string fault = json["last_load_error"].get<std::string>();
  const std::string word = json["generation"] == 0
                               ? std::string("serving nothing")
                               : fmt::format("serving generation {}", json["generation"].dump());
  return fault.empty() ? word : fmt::format("{}; {}", word, fault);
}

Result<std::vector<api::ListInfo>> Coordinator::lists() {
  const auto served = slot_.get();
  if (served == nullptr) {
    return fail(ErrorCode::not_found, "nothing is published yet; run `merlonctl snapshot build`");
  }
  const auto catalogue = load_catalogue(served->generation());
  if (!catalogue) {
    return std::unexpected(catalogue.error());
  }
  return catalogue->lists;
}

Result<api::ListInfo> Coordinator::list(const std::string& name) {
  const auto all = lists();
  if (!all) {
    return std::unexpected(all.error());
  }
  for (const api::ListInfo& list : *all) {
    if (list.name == name || std::ranges::find(list.names, name) != list.names.end()) {
      return list;
    }
  }
  return fail(ErrorCode::not_found, "no list \"{}\"; `merlonctl list list` shows those there are",
              name);
}

Result<std::vector<api::SnapshotInfo>> Coordinator::snapshots() {
  const auto generations = publisher_.directory().generations();
  if (!generations) {
    return std::unexpected(generations.error());
  }
  const uint64_t current = publisher_.directory().current().value_or(0);
  std::vector<api::SnapshotInfo> infos;
  for (const uint64_t generation : *generations) {
    const auto manifest = publisher_.directory().manifest(generation, publisher_.public_key());
    api::SnapshotInfo info;
    info.generation = generation;
    info.current = generation == current;
    if (manifest) {
      info.created = manifest->created;
      info.segment_count = manifest->segments.size();
      for (const snapshot::ManifestSegment& segment : manifest->segments) {
        info.size_bytes += segment.size_bytes;
      }
    }
    infos.push_back(info);
  }
  return infos;
}

Result<api::BuildReport> Coordinator::activate_snapshot(uint64_t generation) {
  const std::lock_guard lock(build_mutex_);
  return activate_locked(generation);
}

Result<api::BuildReport> Coordinator::activate_locked(uint64_t generation) {
  const auto start = std::chrono::steady_clock::now();
  // The operator chose this generation for the store as it is now: it is not built over until
  // something changes. Read once: a change that comes while we work is built.
  const uint64_t revision = store_.revision();
  auto snapshot = load(generation);
  if (!snapshot) {
    return in("activate", snapshot.error());
  }
  api::BuildReport report;
  report.generation = generation;
  report.changed = true;
  if (auto catalogue = load_catalogue(generation)) {
    catalogue->revision = revision;
    report.list_count = catalogue->lists.size();
    for (const api::ListInfo& list : catalogue->lists) {
      report.name_count += list.names.size();
    }
    if (auto saved = save_catalogue(generation, *catalogue); !saved) {
      return in("activate", saved.error());
    }
  }
  if (auto done = put_in_force(generation, std::move(*snapshot)); !done) {
    return in("activate", done.error());
  }
  {
    const std::lock_guard facts(facts_mutex_);
    built_revision_ = revision;
  }
  report.dataplane_error = tell_dataplane(generation);
  report.publish_seconds = seconds_since(start);
  spdlog::info("generation {} activated", generation);
  return report;
}

Result<api::BuildReport> Coordinator::rollback_snapshot() {
  const std::lock_guard lock(build_mutex_);
  auto current = publisher_.directory().current();
  const auto generations = publisher_.directory().generations();
  if (const auto served = slot_.get(); !current && served != nullptr) {
    current = served->generation();  // `current` on disk is damaged
  }
  if (!current || !generations) {
    return std::unexpected(current ? generations.error() : current.error());
  }
  const auto above = std::ranges::lower_bound(*generations, *current);
  if (above == generations->begin()) {
    return fail(ErrorCode::not_found, "there is no generation before {}", *current);
  }
  return activate_locked(*(above - 1));
}

Result<std::vector<std::string>> Coordinator::verify_snapshot(uint64_t generation) {
  const auto manifest = publisher_.directory().manifest(generation, publisher_.public_key());
  if (!manifest) {
    return std::unexpected(manifest.error());
  }
  std::vector<std::string> lines;
  lines.push_back(fmt::format("manifest: {} segments, signature good", manifest->segments.size()));
  const auto snapshot =
      snapshot::Snapshot::load(publisher_.directory(), *manifest, index_key_, nullptr);
  if (!snapshot) {
    return std::unexpected(snapshot.error());
  }
  lines.push_back(fmt::format("segments: {} bytes, hashes, checksums and every record good",
                              (*snapshot)->size_bytes()));
  for (const auto& zone : (*snapshot)->zones()) {
    const auto apex = name::Name::from_wire(zone->view().apex());
    lines.push_back(fmt::format("zone {}: serial {}, {} names, {} RRsets",
                                apex ? apex->to_text() : "?", zone->view().info().serial,
                                zone->view().nodes().size(), zone->view().rrsets().size()));
  }
  const snapshot::AccessView& access = (*snapshot)->access()->view;
  lines.push_back(fmt::format("access: {} devices, {} IPv4 and {} IPv6 sources",
                              access.subjects().size(), access.sources4().size(),
                              access.sources6().size()));
  return lines;
}

}  // namespace merlon::coordinator
