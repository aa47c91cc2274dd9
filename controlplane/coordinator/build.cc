// SPDX-License-Identifier: Apache-2.0
// Builds, activations and what is known of generations.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <nlohmann/json.hpp>

#include "controlplane/coordinator/coordinator.h"
#include "controlplane/feeds/parse.h"
#include "controlplane/forward/forwarder.h"

namespace merlon::coordinator {
namespace {

using Json = nlohmann::json;

constexpr int kLoadTimeoutMs = 60'000;
constexpr int kWordTimeoutMs = 1'000;
constexpr size_t kReplyShownMax = 200;
constexpr unsigned kLoadThreads = 2;

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

}  // namespace

// The operator's word: what is on disk is looked at, too, and written again where it is damaged.
Result<api::BuildReport> Coordinator::build_snapshot() {
  const std::lock_guard lock(build_mutex_);
  publisher_.audit(builder_.segments());
  return build_locked();
}

Result<api::BuildReport> Coordinator::build_locked() {
  const auto before = slot_.get();
  {
    const std::lock_guard lock(watched_.mutex);
    if (watched_.net_changed) {
      builder_.set_net(watched_.net);
      watched_.net_changed = false;
    }
    if (watched_.geo_changed) {
      builder_.set_geo(watched_.geo);
      watched_.geo_changed = false;
    }
  }
  auto report = build_and_publish();
  if (report) {
    // Also of a generation that it should know: it may have met it damaged, or not met it yet.
    Told told = tell_dataplane(report->generation);
    if (told.answered && !told.error.empty() && publisher_.audit(builder_.segments()) != 0) {
      auto healed = build_and_publish();
      if (healed) {
        report->segments_written += healed->segments_written;
        report->generation = healed->generation;
        told = tell_dataplane(report->generation);
      }
    }
    report->dataplane_error = told.error;
    tell_transfers(before);
    if (report->changed) {
      clean_up();
    }
  }
  if (report && (report->changed || report->segments_written != 0)) {
    spdlog::info("generation {}: {} lists, {} names, {} segments written, {} reused, {:.3f} s",
                 report->generation, report->list_count, report->name_count,
                 report->segments_written, report->segments_reused,
                 report->compile_seconds + report->publish_seconds);
  }
  const auto problems = builder_.problems();
  const std::lock_guard facts(facts_mutex_);
  for (const std::string& problem : problems) {
    if (std::ranges::find(problems_, problem) == problems_.end()) {
      spdlog::error("{}", problem);
    }
  }
  problems_ = problems;
  account_problems_ = builder_.problems_by_account();
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

Result<api::BuildReport> Coordinator::build_and_publish() {
  const auto start = std::chrono::steady_clock::now();
  auto built = builder_.build(std::time(nullptr));
  if (!built) {
    return in("compile", built.error());
  }
  const auto operators = operator_segments();  // holds the bytes until they are written
  for (const OperatorSegment& segment : operators) {
    built->segments.push_back({segment.listed, *segment.bytes});
  }
  tell_certificates();
  const double compile_seconds = seconds_since(start);
  auto made = publish_built(*built);
  if (!made) {
    return in("publish", made.error());
  }
  made->compile_seconds = compile_seconds;
  made->publish_seconds = seconds_since(start) - compile_seconds;
  note_publications();
  const std::lock_guard facts(facts_mutex_);
  built_revision_ = built->revision;
  return made;
}

// Before the access entries of the same devices are in force, so that a new device with a
// certificate is never served without it.
void Coordinator::tell_certificates() {
  const auto devices = store_.devices();
  if (dns_server_ == nullptr || !devices) {
    return;
  }
  dns::DeviceCertificates::Table table;
  for (const store::Device& device : *devices) {
    if (!device.certificate.empty()) {
      table[{device.account_number, device.number}] = device.certificate;
    }
  }
  dns_server_->set_certificates(std::move(table));
}

Result<api::BuildReport> Coordinator::publish_built(const Builder::Build& built) {
  const auto written = publisher_.write(built.segments, std::time(nullptr));
  if (!written) {
    return std::unexpected(written.error());
  }
  const Catalogue catalogue{.revision = built.revision, .lists = builder_.shared_lists()};
  const auto served = slot_.get();
  if (written->changed || served == nullptr || served->generation() != written->generation) {
    if (auto done = check_and_put_in_force(written->generation, catalogue); !done) {
      if (written->changed) {  // refuses when it is in force after all
        static_cast<void>(publisher_.remove_generation(written->generation));
      }
      return std::unexpected(done.error());
    }
  } else if (auto saved = save_catalogue(written->generation, catalogue); !saved) {
    return std::unexpected(saved.error());
  } else {
    tell_forwarder();  // which policy a device uses is in no segment
  }
  builder_.keep(written->generation);
  const uint64_t segments_written = built.stored.segments_written + written->segments_written;
  return api::BuildReport{
      .generation = written->generation,
      .changed = written->changed,
      .segments_written = segments_written,
      .segments_reused =
          built.segments.size() - std::min<uint64_t>(built.segments.size(), segments_written),
      .list_count = built.list_count,
      .name_count = built.name_count,
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
  // What the builder has just made, checked and written is not read again.
  return snapshot::Snapshot::load(publisher_.directory(), *manifest, index_key_, before.get(),
                                  {.threads = kLoadThreads, .made = &builder_.made()});
}

Status Coordinator::put_in_force(uint64_t generation,
                                 std::shared_ptr<const snapshot::Snapshot> snapshot) {
  if (auto done = publisher_.set_current(generation); !done) {
    return done;
  }
  tell_forwarder();
  slot_.set(std::move(snapshot));
  if (auto noted = store_.note_generation(generation, std::time(nullptr)); !noted) {
    spdlog::warn("when generation {} was put in force is not remembered: {}", generation,
                 noted.error().message);
  }
  return {};
}

// Before the snapshot that has their policies.
void Coordinator::tell_forwarder() {
  if (options_.forwarder == nullptr) {
    return;
  }
  const auto devices = store_.devices();
  if (!devices) {
    spdlog::error("forwarding goes on with the policies before: {}", devices.error().message);
    return;
  }
  auto policies = std::make_shared<forward::DevicePolicies>();
  for (const store::Device& device : *devices) {
    if (device.recursion && !device.dns_policy.empty()) {
      policies->by_device.emplace(device.number, device.dns_policy);
    }
  }
  options_.forwarder->set_policies(std::move(policies));
}

Coordinator::Told Coordinator::tell_dataplane(uint64_t generation) {
  if (options_.dataplane_socket.empty()) {
    return {};
  }
  const auto reply = publish::ask_dataplane({.socket_path = options_.dataplane_socket,
                                             .command = "load",
                                             .timeout_ms = kLoadTimeoutMs,
                                             .stop = &stop_now_});
  const std::string error = reply ? fault_of_reply(*reply, generation) : reply.error().message;
  if (!error.empty()) {
    spdlog::warn("data plane: {}", error);
  }
  return {.answered = reply.has_value(), .error = error};
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
  const std::lock_guard lock(infos_mutex_);
  std::erase_if(infos_, [&](const auto& info) {
    return !std::ranges::binary_search(*generations, info.first);
  });
  for (const uint64_t generation : *generations) {
    if (!infos_.contains(generation)) {
      const auto manifest = publisher_.directory().manifest(generation, publisher_.public_key());
      api::SnapshotInfo info;
      info.generation = generation;
      if (!manifest) {
        infos.push_back(info);
        infos.back().current = generation == current;
        continue;
      }
      info.created = manifest->created;
      info.segment_count = manifest->segments.size();
      for (const snapshot::ManifestSegment& segment : manifest->segments) {
        info.size_bytes += segment.size_bytes;
      }
      infos_[generation] = info;
    }
    infos.push_back(infos_[generation]);
    infos.back().current = generation == current;
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
  const auto before = slot_.get();
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
  report.dataplane_error = tell_dataplane(generation).error;
  tell_transfers(before);
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
    const std::lock_guard lock(build_mutex_);
    publisher_.audit(manifest->segments);  // the next build writes what is damaged again
    return std::unexpected(snapshot.error());
  }
  lines.push_back(fmt::format("segments: {} bytes, hashes, checksums and every record good",
                              (*snapshot)->size_bytes()));
  const uint64_t addresses = (*snapshot)->address_count();
  lines.push_back(fmt::format(
      "memory: {} bytes, {:.1f} for each of {} addresses", (*snapshot)->resident_bytes(),
      addresses == 0
          ? 0.0
          : static_cast<double>((*snapshot)->resident_bytes()) / static_cast<double>(addresses),
      addresses));
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
