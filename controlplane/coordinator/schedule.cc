// SPDX-License-Identifier: Apache-2.0
// Which feeds are due, and the threads that refresh them.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <ctime>

#include "controlplane/coordinator/coordinator.h"
#include "controlplane/coordinator/due.h"
#include "zones/base/bytes.h"

namespace merlon::coordinator {
namespace {

constexpr std::chrono::milliseconds kTick{1000};

}  // namespace

void Coordinator::run_schedule() {
  while (true) {
    {
      std::unique_lock lock(wake_mutex_);
      if (wake_.wait_for(lock, kTick, [&] { return stopping_; })) {
        return;
      }
    }
    expire_entries();
    age_out();
    compact_history();
    watch_net();
    const auto records = store_.feeds();
    if (!records) {
      spdlog::error("reading feeds: {}", records.error().message);
      continue;
    }
    const int64_t now = std::time(nullptr);
    std::vector<std::pair<int64_t, const store::FeedRecord*>> due;
    for (const store::FeedRecord& record : *records) {
      const int64_t when = next_attempt(record, now);
      if (record.definition.enabled && when <= now) {
        due.emplace_back(when, &record);
      }
    }
    // Who has waited longest comes first; of new ones, in their order.
    std::stable_sort(due.begin(), due.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    for (const auto& [when, record] : due) {
      work_.offer(record->definition.id, lane_of(*record));
    }
  }
}

void Coordinator::run_refresher() {
  while (const auto work = work_.take()) {
    refresh_if_due(work->id);
    work_.done(*work);
  }
}

// What was due may have been refreshed by hand meanwhile: whoever holds the feed's mutex and still
// finds it due refreshes it, the others pass on.
void Coordinator::refresh_if_due(const std::string& id) {
  const std::unique_lock lock(mutex_of_feed(id), std::try_to_lock);
  if (!lock.owns_lock()) {
    return;
  }
  const auto record = store_.feed(id);
  const int64_t now = std::time(nullptr);
  if (!record || !record->definition.enabled || next_attempt(*record, now) > now) {
    return;
  }
  if (const auto report = refresh_and_count(*record); !report && !stop_now_) {
    spdlog::error("refresh {}: {}", id, report.error().message);
  }
}

std::mutex& Coordinator::mutex_of_feed(const std::string& id) {
  const std::lock_guard lock(facts_mutex_);
  auto& mutex = feed_mutexes_[id];
  if (mutex == nullptr) {
    mutex = std::make_unique<std::mutex>();
  }
  return *mutex;
}

Status Coordinator::put_content(const std::string& id, std::string_view content) {
  const auto record = store_.feed(id);
  if (!record) {
    return std::unexpected(record.error());
  }
  const fetch::FetchRequest request = request_for(record->definition);
  const std::lock_guard lock(mutex_of_feed(id));
  return fetch::store_upload(request, as_bytes(content));
}

fetch::FetchRequest Coordinator::request_for(const store::FeedDefinition& definition) const {
  return {.url = definition.url,
          .timeout_s = definition.timeout_s,
          .size_max_bytes = definition.size_max_bytes,
          .contact = options_.contact,
          .credentials = definition.credentials,
          .hosts = definition.private_hosts ? fetch::Hosts::any : options_.feed_hosts,
          .proxy = options_.feed_proxy,
          .directory = options_.feed_directory.empty() || definition.id.empty()
                           ? std::string()
                           : fmt::format("{}/{}", options_.feed_directory, definition.id),
          .stop = &stop_now_};
}

}  // namespace merlon::coordinator
