// SPDX-License-Identifier: Apache-2.0
// One feed's turn: fetch, believe or quarantine, store.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <ctime>

#include "controlplane/coordinator/coordinator.h"
#include "controlplane/coordinator/refresh.h"
#include "controlplane/feeds/parse.h"
#include "controlplane/feeds/probe.h"
#include "controlplane/fetch/fetch.h"
#include "controlplane/store/ageing.h"

namespace merlon::coordinator {
namespace {

using store::FeedHealth;
using store::FeedState;

constexpr int64_t kRetryAfterMaxS = 24 * 3600;  // a server that says never is asked each day

}  // namespace

// What the parser found, as state. Counts of the set are the store's business.
void describe(const feeds::ParsedFeed& parsed, FeedState& state) {
  state.format = parsed.declaration;
  state.line_count = parsed.line_count;
  state.rejected_count = parsed.rejected_count;
  state.rejected_by_reason = parsed.rejected_by_reason;
  state.rejected_examples = parsed.rejected_examples;
}

Result<api::RefreshReport> Coordinator::refresh_feed(const std::string& id) {
  if (const auto known = store_.feed(id); !known) {  // no mutex for whatever name somebody sends
    return std::unexpected(known.error());
  }
  const std::lock_guard lock(mutex_of_feed(id));
  const auto record = store_.feed(id);
  if (!record) {
    return std::unexpected(record.error());
  }
  return refresh_and_count(*record);
}

Result<api::RefreshReport> Coordinator::refresh_and_count(const store::FeedRecord& record) {
  auto report = refresh_locked(record);
  const std::lock_guard lock(facts_mutex_);
  ++refreshes_;
  refresh_failures_ += report && report->state.health == FeedHealth::good ? 0u : 1u;
  return report;
}

Result<api::RefreshReport> Coordinator::refresh_locked(const store::FeedRecord& record) {
  const store::FeedDefinition& definition = record.definition;
  const std::string& id = definition.id;
  api::RefreshReport report;
  report.feed = id;
  report.state = record.state;
  FeedState& state = report.state;
  const int64_t now = std::time(nullptr);
  state.last_attempt = now;

  // The last good copy stays in force on every way out but the last one.
  const auto keep_last_good = [&](FeedHealth health,
                                  const std::string& reason) -> Result<api::RefreshReport> {
    state.health = health;
    state.reason = reason;
    spdlog::warn("feed {} {}: {}", id, to_string(health), reason);
    if (auto stored = store_.set_feed_state(id, state); !stored) {
      return std::unexpected(stored.error());
    }
    return report;
  };

  fetch::FetchRequest request = request_for(definition);
  request.etag = state.etag;
  request.last_modified = state.last_modified;
  request.memory = &feed_memory_;
  fetch::Advice advice;
  const auto start = std::chrono::steady_clock::now();
  auto fetched = fetch::fetch(request, &advice);
  state.last_duration_ms =
      static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                std::chrono::steady_clock::now() - start)
                                .count());
  state.not_before =
      advice.retry_after_s > 0 ? now + std::min(advice.retry_after_s, kRetryAfterMaxS) : 0;
  if (!fetched && stop_now_) {
    return std::unexpected(fetched.error());  // says nothing about the feed
  }
  if (!fetched) {
    return keep_last_good(FeedHealth::failed, fetched.error().message);
  }
  if (fetched->outcome == fetch::FetchResult::Outcome::not_modified) {
    return not_changed(std::move(report), now);
  }
  state.size_bytes = fetched->body.size();
  parse_slots_.acquire();
  const auto parsed = feeds::parse_feed(fetched->body, store::format_with_ageing(definition),
                                        definition.size_max_bytes);
  parse_slots_.release();
  if (!parsed) {
    // The validators of a copy that was not believed are not kept: it is fetched again.
    hold(id, *fetched, parsed.error().message);
    return keep_last_good(FeedHealth::quarantined, parsed.error().message);
  }
  const Judged judged = judge(record, fetched->body, *parsed);
  if (!judged.doubt.empty()) {
    hold(id, *fetched, judged.doubt);
    return keep_last_good(FeedHealth::quarantined, judged.doubt);
  }
  describe(*parsed, state);
  state.etag = fetched->etag;
  state.last_modified = fetched->last_modified;
  auto applied = apply(std::move(report), *parsed, now, judged);
  if (applied) {
    keep_lines(id, fetched->body);
  }
  return applied;
}

Result<api::RefreshReport> Coordinator::not_changed(api::RefreshReport report, int64_t now) {
  release(report.feed);
  report.not_modified = true;
  report.state.health = FeedHealth::good;
  report.state.reason.clear();
  report.state.last_good = now;
  if (auto stored = store_.set_feed_state(report.feed, report.state); !stored) {
    return std::unexpected(stored.error());
  }
  return report;
}

Result<api::ProbeReport> Coordinator::probe_feed(const std::string& url,
                                                 const std::string& format) {
  store::FeedDefinition usual;
  usual.url = url;
  const auto fetched = fetch::fetch(request_for(usual));
  if (!fetched) {
    return std::unexpected(fetched.error());
  }
  const feeds::Probe probe = feeds::probe(fetched->body, format);
  api::ProbeReport report;
  report.url = url;
  report.format = probe.format;
  report.problem = probe.problem;
  report.size_bytes = fetched->body.size();
  report.line_count = probe.feed.line_count;
  report.entry_count = probe.feed.entry_count;
  report.ignored_count = probe.feed.ignored_count;
  report.rejected_count = probe.feed.rejected_count;
  report.prefix4_count = probe.ipv4_count;
  report.prefix6_count = probe.ipv6_count;
  report.domain_count = probe.domain_count;
  report.examples = probe.examples;
  report.notes = probe.feed.notes;
  report.rejected_by_reason = probe.feed.rejected_by_reason;
  report.rejected_examples = probe.feed.rejected_examples;
  return report;
}

// For check(), which shows the line of an entry.
void Coordinator::keep_lines(const std::string& id, Bytes content) {
  if (auto kept = store_.keep_content(id, as_text(content)); !kept) {
    spdlog::warn("feed {}: its lines will not be shown: {}", id, kept.error().message);
  }
}

// The content is believed: the set in force becomes what it names and what lingers.
Result<api::RefreshReport> Coordinator::apply(api::RefreshReport report,
                                              const feeds::ParsedFeed& parsed, int64_t now,
                                              const Judged& judged) {
  FeedState& state = report.state;
  safety::Memory memory = judged.memory;
  state.health = FeedHealth::good;
  state.reason.clear();
  state.last_good = now;
  const FeedState before = state;
  state.last_changed = state.last_changed == 0 ? now : state.last_changed;
  const auto summary =
      store_.apply(report.feed, parsed.set, state, now,
                   {.expiries = parsed.expiries, .change_time = store::ChangeTime::by_difference});
  if (!summary) {
    return std::unexpected(summary.error());
  }
  if (before.last_changed == 0 || summary->added + summary->removed != 0) {
    safety::note_change(before, now, memory);
  }
  release(report.feed);
  memory.held.reset();
  remember(report.feed, memory);
  report.added = summary->added;
  report.removed = summary->removed;
  if (const auto stored = store_.feed(report.feed)) {
    state = stored->state;
  }
  spdlog::info("feed {} good: {} added, {} removed, {} unchanged, {} lines refused", report.feed,
               summary->added, summary->removed, summary->unchanged, state.rejected_count);
  feed_changed();
  return report;
}

}  // namespace merlon::coordinator
