// SPDX-License-Identifier: Apache-2.0
#include "controlplane/coordinator/coordinator.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <system_error>

#include "controlplane/coordinator/membership.h"
#include "controlplane/feeds/declaration.h"
#include "controlplane/forward/forwarder.h"
#include "controlplane/store/ageing.h"

namespace merlon::coordinator {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr const char* kVersion = "0.1.0";
constexpr int kStatusTimeoutMs = 5000;
constexpr milliseconds kSigningTick{30'000};

}  // namespace

Coordinator::Coordinator(store::Store& store, publish::Publisher& publisher,
                         dns::SnapshotSlot& slot, Options options)
    : store_(store),
      publisher_(publisher),
      slot_(slot),
      options_(std::move(options)),
      builder_(store, publisher,
               {.compile = options_.compile,
                .log_path = options_.zone_log_path,
                .signer = options_.signer}),
      zones_(options_.zones, options_.compile.suffix),
      work_(std::max(1U, options_.fetch_threads / 2)),
      feed_memory_(options_.feed_memory_bytes) {}

Coordinator::~Coordinator() {
  stop();
}

Status Coordinator::start() {
  started_ = std::time(nullptr);
  if (auto loaded = load_net(); !loaded) {
    return loaded;
  }
  if (!options_.geo.empty()) {
    load_geo();
  }
  take_over_devices();
  bool build_needed = true;
  tell_certificates();
  const uint64_t revision = store_.revision();
  if (const auto current = publisher_.directory().current()) {
    auto snapshot = load(*current);
    const auto catalogue = load_catalogue(*current);
    resume(*current, snapshot ? snapshot->get() : nullptr);
    if (snapshot) {
      tell_forwarder();
      slot_.set(*snapshot);
      zones_.adopt(**snapshot);
      build_needed = !catalogue || catalogue->revision != revision || !options_.net.empty() ||
                     !options_.geo.empty() || !options_.zones.directory.empty() ||
                     !options_.zones.sources.empty();
    } else {
      spdlog::error("generation {} in force is not served: {}", *current, snapshot.error().message);
    }
  } else if (current.error().code != ErrorCode::not_found) {
    spdlog::error("{}; a new generation is built", current.error().message);
  }
  if (build_needed) {
    if (const auto built = build_snapshot(); !built) {
      // What was served goes on being served; `status` says why.
      spdlog::error("first build: {}", built.error().message);
    }
  } else {
    note_publications();
    const std::lock_guard lock(facts_mutex_);
    built_revision_ = revision;
  }
  build_thread_ = std::thread([this] { run_builder(); });
  schedule_thread_ = std::thread([this] { run_schedule(); });
  for (unsigned i = 0; i < options_.fetch_threads; ++i) {
    refreshers_.emplace_back([this] { run_refresher(); });
  }
  return {};
}

// What is in force need not be compiled again. Of a damaged generation what is whole stays.
void Coordinator::resume(uint64_t generation, const snapshot::Snapshot* served) {
  const auto manifest = publisher_.directory().manifest(generation, publisher_.public_key());
  if (!manifest) {
    return;
  }
  if (served == nullptr) {
    publisher_.audit(manifest->segments);
  } else {
    publisher_.trust(manifest->segments);
    builder_.resume(*manifest, *served);
  }
}

void Coordinator::stop() {
  {
    const std::lock_guard lock(wake_mutex_);
    stopping_ = true;
    cancel_waits();
  }
  wake_.notify_all();
  work_.close();
  for (std::thread* thread : {&build_thread_, &schedule_thread_}) {
    if (thread->joinable()) {
      thread->join();
    }
  }
  for (std::thread& refresher : refreshers_) {
    refresher.join();
  }
  refreshers_.clear();
}

void Coordinator::note_change(uint64_t edits) {
  {
    const std::lock_guard lock(wake_mutex_);
    ++change_count_;
    edit_count_ += edits;
  }
  wake_.notify_all();
}

void Coordinator::feed_changed() {
  note_change(0);
}

void Coordinator::changed() {
  note_change(1);
}

void Coordinator::run_builder() {
  {
    const std::lock_guard lock(build_mutex_);
    if (auto warm = builder_.warm_up(); !warm) {
      spdlog::error("reading feeds: {}", warm.error().message);
    }
  }
  uint64_t handled = 0;
  uint64_t edits = 0;
  std::unique_lock lock(wake_mutex_);
  bool failed = false;
  {
    const std::lock_guard facts_lock(facts_mutex_);
    failed = !last_build_error_.empty();
  }
  while (true) {
    const auto woken = [&] { return stopping_ || change_count_ != handled; };
    if (failed) {  // a full disk may have room again
      wake_.wait_for(lock, milliseconds(options_.build_retry_ms), woken);
    } else if (options_.signer != nullptr) {  // renewals and rollovers come by themselves
      wake_.wait_for(lock, kSigningTick, woken);
    } else {
      wake_.wait(lock, woken);
    }
    // Quiet for a moment, or changing for too long already, or somebody waits.
    const auto deadline = steady_clock::now() + milliseconds(options_.build_delay_max_ms);
    while (!stopping_ && change_count_ != handled && edit_count_ == edits &&
           steady_clock::now() < deadline) {
      handled = change_count_;
      wake_.wait_for(lock, milliseconds(options_.build_quiet_ms), woken);
    }
    if (!stopping_ && edit_count_ != edits) {
      wake_.wait_for(lock, milliseconds(options_.edit_quiet_ms), [&] { return stopping_; });
    }
    if (stopping_) {
      return;
    }
    handled = change_count_;
    edits = edit_count_;
    lock.unlock();
    failed = !build_if_stale();
    lock.lock();
  }
}

bool Coordinator::build_if_stale() {
  const std::lock_guard build_lock(build_mutex_);
  const int64_t now = std::time(nullptr);
  if (zones_.is_signing_due(options_.signer, now)) {
    zones_.want_signatures();
    build_wanted_ = true;
  }
  if (!build_wanted_.exchange(false)) {
    const std::lock_guard facts_lock(facts_mutex_);
    if (built_revision_ == store_.revision() && !builder_.is_signing_due(now)) {
      return true;
    }
  }
  const auto built = build_locked();
  if (!built) {
    build_wanted_ = true;
    spdlog::error("build: {}", built.error().message);
  }
  return built.has_value();
}

Result<api::ControlPlaneStatus> Coordinator::status() {
  api::ControlPlaneStatus status;
  status.version = kVersion;
  status.started = started_;
  const auto records = store_.feeds();
  const auto devices = store_.devices();
  if (!records || !devices) {
    return std::unexpected(records ? devices.error() : records.error());
  }
  status.feed_count = records->size();
  status.feed_unhealthy_count = static_cast<uint64_t>(
      std::count_if(records->begin(), records->end(), [](const store::FeedRecord& record) {
        return record.definition.enabled && record.state.health != store::FeedHealth::good;
      }));
  status.device_count = devices->size();
  status.generation = publisher_.directory().current().value_or(0);
  const auto served = slot_.get();
  status.tcp_generation = served == nullptr ? 0 : served->generation();
  status.suffix = options_.compile.suffix.to_text();
  status.dataplane = dataplane_word();
  status.dnssec = dnssec_word();
  const std::lock_guard lock(facts_mutex_);
  status.last_build_error = last_build_error_;
  status.problems = problems_;
  return status;
}

Result<std::vector<store::FeedRecord>> Coordinator::feeds() {
  return store_.feeds();
}
Result<store::FeedRecord> Coordinator::feed(const std::string& id) {
  return store_.feed(id);
}

Status Coordinator::add_feed(const store::FeedDefinition& definition) {
  if (definition.format != "auto") {
    const auto format = feeds::parse_declaration(store::format_with_ageing(definition));
    if (!format) {
      return std::unexpected(format.error());
    }
  }
  if (const auto good = fetch::check_source(definition.url, definition.credentials); !good) {
    return good;
  }
  auto added = store_.add_feed(definition);
  if (added) {
    spdlog::info("feed {} added: {}", definition.id, definition.url);
  }
  return added;
}

Status Coordinator::remove_feed(const std::string& id) {
  if (const auto known = store_.feed(id); !known) {  // no mutex for whatever name somebody sends
    return std::unexpected(known.error());
  }
  const std::lock_guard lock(mutex_of_feed(id));
  auto removed = store_.remove_feed(id, std::time(nullptr));
  if (removed) {
    if (!options_.feed_directory.empty()) {
      std::error_code ignored;
      std::filesystem::remove_all(options_.feed_directory + "/" + id, ignored);
    }
    spdlog::info("feed {} removed", id);
    release(id);
    remember(id, {});
    feed_changed();
  }
  return removed;
}

Result<std::vector<store::Device>> Coordinator::devices() {
  return store_.devices();
}

Result<store::Device> Coordinator::add_device(const store::Device& device) {
  auto added = store_.add_device(device, std::time(nullptr));
  if (added) {
    changed();
  }
  return added;
}

Result<store::Device> Coordinator::device(const std::string& name) {
  return store_.device(name);
}

Result<store::Device> Coordinator::replace_device(const store::Device& device) {
  auto replaced = store_.replace_device(device);
  if (replaced) {
    changed();
  }
  return replaced;
}

Status Coordinator::remove_device(const std::string& name) {
  auto removed = store_.remove_device(name);
  if (removed) {
    changed();
  }
  return removed;
}

Result<std::string> Coordinator::dataplane(const std::string& command) {
  if (options_.dataplane_socket.empty()) {
    return fail(ErrorCode::unsupported, "no data plane is configured: set dataplane_socket");
  }
  return publish::ask_dataplane({.socket_path = options_.dataplane_socket,
                                 .command = command,
                                 .timeout_ms = kStatusTimeoutMs,
                                 .stop = &stop_now_});
}

Result<api::Activity> Coordinator::activity() {
  api::Activity activity;
  if (dns_server_ != nullptr) {
    const dns::Statistics tcp = dns_server_->statistics();
    activity.tcp_connections_open = tcp.connections_open();
    for (size_t i = 0; i < tcp.counters.size(); ++i) {
      activity.tcp_counters.emplace_back(to_string(static_cast<dns::Counter>(i)), tcp.counters[i]);
    }
    for (size_t i = 0; i < tcp.closes.size(); ++i) {
      activity.tcp_closes.emplace_back(to_string(static_cast<dns::CloseReason>(i)), tcp.closes[i]);
    }
    for (size_t i = 0; i < tcp.outcomes.size(); ++i) {
      activity.tcp_outcomes.emplace_back(to_string(static_cast<answer::Outcome>(i)),
                                         tcp.outcomes[i]);
    }
    for (const auto& [subject, count] : dns_server_->subject_queries()) {
      activity.tcp_subjects.push_back({.account = subject.first,
                                       .device = subject.second,
                                       .queries = count.queries,
                                       .last = count.last});
    }
  }
  if (options_.forwarder != nullptr) {
    activity.forward_counters = options_.forwarder->report().counters;
  }
  const std::lock_guard lock(facts_mutex_);
  activity.builds = builds_;
  activity.builds_changed = builds_changed_;
  activity.build_failures = build_failures_;
  activity.last_build_seconds = last_build_seconds_;
  activity.refreshes = refreshes_;
  activity.refresh_failures = refresh_failures_;
  return activity;
}

Result<std::string> Coordinator::forwarding() {
  if (options_.forwarder == nullptr) {
    return fail(ErrorCode::unsupported, "this process does not forward");
  }
  return options_.forwarder->report().to_json();
}

}  // namespace merlon::coordinator
