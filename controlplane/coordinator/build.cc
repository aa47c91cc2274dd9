// SPDX-License-Identifier: Apache-2.0
// Builds, activations and what is known of generations.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "controlplane/coordinator/coordinator.h"
#include "controlplane/policy/lists.h"
#include "zones/base/file.h"

namespace merlon::coordinator {
namespace {

using Json = nlohmann::json;

constexpr int kLoadTimeoutMs = 60'000;
constexpr uint64_t kCatalogueSizeMax = 256 << 20;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

Json to_json(const api::ListInfo& list) {
  return Json{{"name", list.name},
              {"kind", list.kind},
              {"tier", to_string(list.tier)},
              {"feeds", list.feeds},
              {"address4_count", list.address4_count},
              {"address6_count", list.address6_count},
              {"prefix_only_count", list.prefix_only_count},
              {"protected_address_count", list.protected_address_count},
              {"domain_count", list.domain_count},
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
  list.protected_address_count = json.at("protected_address_count");
  list.domain_count = json.at("domain_count");
  list.names = json.at("names").get<std::vector<std::string>>();
  return list;
}

uint64_t saturated(address::Bits6 count) {
  return count > UINT64_MAX ? UINT64_MAX : static_cast<uint64_t>(count);
}

}  // namespace

compile::Serials Coordinator::serials_in_force() const {
  compile::Serials serials;
  serials.next = static_cast<uint32_t>(std::time(nullptr));
  const auto served = slot_.get();
  const auto current = publisher_.directory().current();
  if (served == nullptr || !current) {
    return serials;
  }
  const auto manifest = publisher_.directory().manifest(*current, publisher_.public_key());
  if (!manifest || served->generation() != *current) {
    return serials;
  }
  for (const snapshot::ManifestSegment& segment : manifest->segments) {
    if (segment.kind == snapshot::SegmentKind::zone && segment.apex == options_.compile.suffix) {
      serials.in_force_hash = segment.hash.to_text();
    }
  }
  for (const auto& zone : served->zones()) {
    if (std::ranges::equal(zone->view().apex(), options_.compile.suffix.folded().wire())) {
      serials.in_force = zone->view().info().serial;
    }
  }
  serials.next = std::max(serials.next, serials.in_force + 1);
  return serials;
}

Result<Coordinator::Built> Coordinator::compile_now() {
  Built built;
  built.catalogue.revision = store_.revision();
  const auto records = store_.feeds();
  const auto devices = store_.devices();
  if (!records || !devices) {
    return std::unexpected(records ? devices.error() : records.error());
  }
  std::map<std::string, store::FeedSet> sets;
  std::map<std::string, int64_t> changed;
  for (const store::FeedRecord& record : *records) {
    auto set = store_.set_of(record.definition.id);
    if (!set) {
      return in(fmt::format("feed {}", record.definition.id), set.error());
    }
    sets[record.definition.id] = std::move(*set);
    changed[record.definition.id] = record.state.last_changed;
  }
  const policy::SetOf set_of = [&sets](const std::string& id) -> const store::FeedSet& {
    return sets.at(id);
  };
  const address::IpSet allowed = policy::allowed_addresses(*records, set_of);
  compile::Input input;
  input.devices = *devices;
  for (const policy::ListDefinition& definition : policy::shared_lists(*records)) {
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
    built.catalogue.lists.push_back(
        {.name = made.name,
         .kind = std::string(to_string(list.definition.kind)),
         .tier = list.definition.tier,
         .feeds = list.definition.feeds,
         .address4_count = made.address4_count,
         .address6_count = made.address6_count,
         .prefix_only_count = made.prefix_only_count,
         .protected_address_count = saturated(out.v4.address_count() + out.v6.address_count()),
         .domain_count = list.content.domains.size(),
         .names = made.names});
  }
  built.compiled = std::move(*compiled);
  return built;
}

Result<api::BuildReport> Coordinator::build_snapshot() {
  const std::lock_guard lock(build_mutex_);
  return build_locked();
}

Result<api::BuildReport> Coordinator::build_locked() {
  auto report = [&]() -> Result<api::BuildReport> {
    api::BuildReport made;
    const auto compile_start = std::chrono::steady_clock::now();
    auto built = compile_now();
    if (!built) {
      return in("compile", built.error());
    }
    made.compile_seconds = seconds_since(compile_start);
    made.list_count = built->compiled.lists.size();
    made.name_count = built->compiled.name_count;
    const auto publish_start = std::chrono::steady_clock::now();
    std::vector<publish::SegmentFile> files;
    for (const compile::CompiledSegment& segment : built->compiled.segments) {
      files.push_back({segment.listed, segment.bytes});
    }
    const auto written = publisher_.write(files, std::time(nullptr));
    if (!written) {
      return in("publish", written.error());
    }
    made.generation = written->generation;
    made.changed = written->changed;
    made.segments_written = written->segments_written;
    made.segments_reused = written->segments_reused;
    const auto served = slot_.get();
    if (written->changed || served == nullptr || served->generation() != written->generation) {
      // The generation is read back and checked whole before it is put in force.
      auto snapshot = load(written->generation);
      if (!snapshot) {
        if (written->changed) {
          static_cast<void>(publisher_.remove_generation(written->generation));
        }
        return in("publish: does not read back", snapshot.error());
      }
      if (auto saved = save_catalogue(written->generation, built->catalogue); !saved) {
        return in("publish", saved.error());
      }
      if (auto done = put_in_force(written->generation, std::move(*snapshot)); !done) {
        return in("publish", done.error());
      }
      made.dataplane_error = tell_dataplane();
      if (auto cleaned = publisher_.clean_up(); !cleaned) {
        spdlog::warn("clean up: {}", cleaned.error().message);
      }
    } else if (auto saved = save_catalogue(written->generation, built->catalogue); !saved) {
      return in("publish", saved.error());
    }
    made.publish_seconds = seconds_since(publish_start);
    const std::lock_guard facts(facts_mutex_);
    built_revision_ = built->catalogue.revision;
    return made;
  }();
  const std::lock_guard facts(facts_mutex_);
  last_build_error_ = report ? std::string() : report.error().message;
  if (report && report->changed) {
    spdlog::info("generation {}: {} lists, {} names, {} segments written, {} reused, {:.2f} s",
                 report->generation, report->list_count, report->name_count,
                 report->segments_written, report->segments_reused,
                 report->compile_seconds + report->publish_seconds);
  }
  return report;
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
std::string Coordinator::tell_dataplane() {
  std::string word;
  std::string error;
  if (options_.dataplane_socket.empty()) {
    word = "none configured";
  } else if (const auto reply =
                 publish::ask_dataplane({.socket_path = options_.dataplane_socket,
                                         .command = "load",
                                         .timeout_ms = kLoadTimeoutMs})) {
    const Json json = Json::parse(*reply, nullptr, false);
    if (json.is_object() && json.contains("generation")) {
      word = fmt::format("serving generation {}", json["generation"].dump());
    } else {
      error = json.is_object() && json.contains("error") && json["error"].contains("message")
                  ? json["error"]["message"].get<std::string>()
                  : *reply;
      word = error;
    }
  } else {
    error = reply.error().message;
    word = error;
  }
  if (!error.empty()) {
    spdlog::warn("data plane: {}", error);
  }
  const std::lock_guard lock(facts_mutex_);
  dataplane_word_ = word;
  return error;
}

std::string Coordinator::catalogue_file(uint64_t generation) const {
  return fmt::format("{}/{}.json", options_.catalogue_path, generation);
}

Status Coordinator::save_catalogue(uint64_t generation, const Catalogue& catalogue) const {
  Json lists = Json::array();
  for (const api::ListInfo& list : catalogue.lists) {
    lists.push_back(to_json(list));
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
  const auto start = std::chrono::steady_clock::now();
  auto snapshot = load(generation);
  if (!snapshot) {
    return in("activate", snapshot.error());
  }
  auto catalogue = load_catalogue(generation);
  api::BuildReport report;
  report.generation = generation;
  report.changed = true;
  if (catalogue) {
    // The operator chose this generation for the store as it is now: it is not built over until
    // something changes.
    catalogue->revision = store_.revision();
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
    built_revision_ = store_.revision();
  }
  report.dataplane_error = tell_dataplane();
  report.publish_seconds = seconds_since(start);
  spdlog::info("generation {} activated", generation);
  return report;
}

Result<api::BuildReport> Coordinator::rollback_snapshot() {
  const auto current = publisher_.directory().current();
  const auto generations = publisher_.directory().generations();
  if (!current || !generations) {
    return std::unexpected(current ? generations.error() : current.error());
  }
  uint64_t target = 0;
  for (const uint64_t generation : *generations) {
    if (generation < *current) {
      target = generation;
    }
  }
  if (target == 0) {
    return fail(ErrorCode::not_found, "there is no generation before {}", *current);
  }
  return activate_snapshot(target);
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
