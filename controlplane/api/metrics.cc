// SPDX-License-Identifier: Apache-2.0
// GET /metrics. Names and labels are a contract with dashboards and alerts: they stay. Every list
// of samples is bounded: workers, outcomes, stages, feeds, and the subjects that ask most.
#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "controlplane/api/exposition.h"
#include "controlplane/api/observe.h"

namespace merlon::api {
namespace {

constexpr uint64_t kSubjectCountMax = 100;

double number_of(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_number() ? found->get<double>() : 0;
}
uint64_t count_of(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_number_unsigned() ? found->get<uint64_t>() : 0;
}
std::string text_of(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

void write_status(const Json& status, Operations& operations, int64_t now, Exposition& out) {
  const auto generation = count_of(status, "generation");
  out.gauge("merlon_dataplane_start_time_seconds", "When the data plane started, Unix time.",
            number_of(status, "started_unix_s"));
  out.gauge("merlon_dataplane_workers", "Worker threads.", number_of(status, "worker_count"));
  out.family("merlon_dataplane_info", MetricType::gauge,
             "Version of the data plane and engine in use; always 1.");
  out.sample({{"version", text_of(status, "version")}, {"engine", text_of(status, "engine")}},
             uint64_t{1});
  out.gauge("merlon_dataplane_snapshot_generation", "Generation served over UDP; 0: none.",
            static_cast<double>(generation));
  out.gauge("merlon_dataplane_snapshot_loaded_timestamp_seconds",
            "When that generation was loaded, Unix time.", number_of(status, "loaded_unix_s"));
  out.gauge("merlon_dataplane_snapshot_size_bytes", "Size of the segments served.",
            number_of(status, "snapshot_size_bytes"));
  out.gauge("merlon_dataplane_snapshot_zones", "Zones served.", number_of(status, "zone_count"));
  out.gauge("merlon_dataplane_snapshot_names", "Names served.", number_of(status, "name_count"));
  out.gauge("merlon_dataplane_last_load_failed",
            "1 when the last load failed and the generation before is still served.",
            text_of(status, "last_load_error").empty() ? 0 : 1);
  const auto snapshots = operations.snapshots();
  for (size_t i = 0; snapshots && i < snapshots->size(); ++i) {
    const SnapshotInfo& snapshot = (*snapshots)[i];
    if (snapshot.generation == generation && generation != 0) {
      out.gauge("merlon_dataplane_snapshot_age_seconds",
                "Age of what is served over UDP, since it was compiled.",
                static_cast<double>(std::max<int64_t>(0, now - snapshot.created)));
    }
  }
}

void write_workers(const Json& stats, Exposition& out) {
  struct Group {
    const char* key;
    const char* name;
    const char* label;
    const char* help;
  };
  constexpr std::array kGroups{Group{"outcomes", "merlon_dataplane_outcomes_total", "outcome",
                                     "What became of queries, by worker."},
                               Group{"io", "merlon_dataplane_io_total", "counter",
                                     "What the engine counted, by worker: packets, bytes, drops."}};
  if (!stats.contains("workers") || !stats["workers"].is_array()) {
    return;
  }
  for (const Group& group : kGroups) {
    out.family(group.name, MetricType::counter, group.help);
    size_t number = 0;
    for (const Json& worker : stats["workers"]) {
      const std::string index = fmt::format("{}", number++);
      for (const auto& [name, value] : worker.at(group.key).items()) {
        out.sample({{"worker", index}, {group.label, name}}, value.get<uint64_t>());
      }
    }
  }
}

void write_ports(const Json& stats, Exposition& out) {
  if (!stats.contains("ports") || !stats["ports"].is_array() || stats["ports"].empty()) {
    return;
  }
  out.family("merlon_dataplane_port_total", MetricType::counter,
             "What the dpdk engine's ports counted.");
  for (const Json& port : stats["ports"]) {
    for (const auto& [name, value] : port.at("counters").items()) {
      out.sample({{"port", text_of(port, "port")}, {"counter", name}}, value.get<uint64_t>());
    }
  }
}

void write_dnstap(const Json& stats, Exposition& out) {
  if (!stats.contains("dnstap")) {
    return;
  }
  const Json& dnstap = stats["dnstap"];
  out.gauge("merlon_dataplane_dnstap_connected", "1 while a reader takes the samples.",
            dnstap.value("connected", false) ? 1 : 0);
  out.family("merlon_dataplane_dnstap_total", MetricType::counter,
             "Samples taken, lost and written.");
  for (const auto& [name, value] : dnstap.items()) {
    if (value.is_number_unsigned()) {
      out.sample({{"counter", name}}, value.get<uint64_t>());
    }
  }
}

void write_subjects(const Json& report, Exposition& out) {
  constexpr std::array kCounters{"answered",        "nodata",  "nxdomain", "truncated",
                                 "refused_by_verb", "refused", "dropped",  "other"};
  out.gauge("merlon_dataplane_subjects", "Devices with numbers of their own.",
            number_of(report, "subject_count"));
  out.gauge("merlon_dataplane_subjects_without_slot",
            "Devices beyond the table, counted together as nobody.",
            number_of(report, "without_slot"));
  const Json& rows = report.at("subjects");
  const auto each = [&](auto&& use) {
    for (const Json& row : rows) {
      use(row, text_of(row, "account"), text_of(row, "device"));
    }
  };
  out.family("merlon_dataplane_subject_outcomes_total", MetricType::counter,
             fmt::format("Queries over UDP of the {} devices that ask most, by what they came to.",
                         kSubjectCountMax));
  each([&](const Json& row, const std::string& account, const std::string& device) {
    for (const char* counter : kCounters) {
      out.sample({{"account", account}, {"device", device}, {"outcome", counter}},
                 count_of(row, counter));
    }
  });
  out.family("merlon_subject_tcp_queries_total", MetricType::counter,
             "Queries over TCP of those devices.");
  each([&](const Json& row, const std::string& account, const std::string& device) {
    out.sample({{"account", account}, {"device", device}}, count_of(row, "tcp_queries"));
  });
  out.family("merlon_dataplane_subject_last_seen_timestamp_seconds", MetricType::gauge,
             "When those devices were last heard over UDP, Unix time; 0: never.");
  each([&](const Json& row, const std::string& account, const std::string& device) {
    out.sample({{"account", account}, {"device", device}}, number_of(row, "last_seen_unix_s"));
  });
}

void write_profile(const Json& profile, Exposition& out) {
  if (!profile.contains("stages") || profile["stages"].empty()) {
    return;
  }
  out.family("merlon_dataplane_stage_nanoseconds", MetricType::summary,
             "Cost of a packet by stage, from the last profile.");
  for (const Json& stage : profile["stages"]) {
    const std::string name = text_of(stage, "stage");
    for (const auto& [quantile, key] :
         {std::pair{"0.5", "p50_ns"}, std::pair{"0.9", "p90_ns"}, std::pair{"0.99", "p99_ns"}}) {
      out.sample({{"stage", name}, {"quantile", quantile}}, number_of(stage, key));
    }
    out.sample({{"stage", name}}, number_of(stage, "sum_ns"), "_sum");
    out.sample({{"stage", name}}, count_of(stage, "packets"), "_count");
  }
  out.gauge("merlon_dataplane_profile_timestamp_seconds", "When the last profile began, Unix time.",
            number_of(profile, "started_unix_s"));
}

void write_dataplane(Operations& operations, int64_t now, Exposition& out) {
  const auto status = ask_dataplane(operations, "status");
  const auto stats = ask_dataplane(operations, "stats");
  const bool up = status && stats && status->is_object() && stats->is_object();
  out.gauge("merlon_dataplane_up", "1 when the data plane answers on its control socket.",
            up ? 1 : 0);
  if (!up) {
    return;
  }
  write_status(*status, operations, now, out);
  write_workers(*stats, out);
  write_ports(*stats, out);
  write_dnstap(*stats, out);
  if (const auto report =
          subjects_json(operations, {.account = "", .count_max = kSubjectCountMax})) {
    write_subjects(*report, out);
  }
  if (const auto profile = ask_dataplane(operations, "profile")) {
    write_profile(*profile, out);
  }
}

void write_feeds(const std::vector<store::FeedRecord>& feeds, Exposition& out) {
  out.family("merlon_feed_healthy", MetricType::gauge,
             "1 when the feed's last attempt was good; 0 also before its first.");
  for (const auto& [definition, state] : feeds) {
    out.sample({{"feed", definition.id}},
               uint64_t{state.health == store::FeedHealth::good ? 1u : 0u});
  }
  out.family("merlon_feed_last_good_timestamp_seconds", MetricType::gauge,
             "When the source last confirmed or renewed its content, Unix time; 0: never.");
  for (const auto& [definition, state] : feeds) {
    out.sample({{"feed", definition.id}}, static_cast<double>(state.last_good));
  }
  out.family("merlon_feed_entries", MetricType::gauge, "What the feed lists now.");
  for (const auto& [definition, state] : feeds) {
    out.sample({{"feed", definition.id}, {"kind", "prefix4"}}, state.prefix4_count);
    out.sample({{"feed", definition.id}, {"kind", "prefix6"}}, state.prefix6_count);
    out.sample({{"feed", definition.id}, {"kind", "domain"}}, state.domain_count);
  }
  out.family("merlon_feed_rejected_lines", MetricType::gauge,
             "Lines of the feed's last content that were not understood.");
  for (const auto& [definition, state] : feeds) {
    out.sample({{"feed", definition.id}}, state.rejected_count);
  }
}

void write_named(std::string_view name, std::string_view help, const char* label,
                 const std::vector<std::pair<std::string, uint64_t>>& counts, Exposition& out) {
  out.family(name, MetricType::counter, help);
  for (const auto& [key, value] : counts) {
    out.sample({{label, key}}, value);
  }
}

void write_activity(const Activity& activity, Exposition& out) {
  out.counter("merlon_controlplane_builds_total", "Builds that went well.", activity.builds);
  out.counter("merlon_controlplane_builds_changed_total", "Builds that made a new generation.",
              activity.builds_changed);
  out.counter("merlon_controlplane_build_failures_total", "Builds that failed.",
              activity.build_failures);
  out.gauge("merlon_controlplane_last_build_seconds", "Duration of the last good build.",
            activity.last_build_seconds);
  out.counter("merlon_controlplane_refreshes_total", "Feed refreshes, good and bad.",
              activity.refreshes);
  out.counter("merlon_controlplane_refresh_failures_total",
              "Feed refreshes after which the last good copy stayed in force.",
              activity.refresh_failures);
  out.gauge("merlon_tcp_connections_open", "Connections open now.",
            static_cast<double>(activity.tcp_connections_open));
  write_named("merlon_tcp_total", "What the DNS server over TCP counted.", "counter",
              activity.tcp_counters, out);
  write_named("merlon_tcp_closes_total", "Connections closed, by reason.", "reason",
              activity.tcp_closes, out);
  write_named("merlon_tcp_outcomes_total", "What became of queries over TCP.", "outcome",
              activity.tcp_outcomes, out);
  write_named("merlon_forward_total", "What the forwarder counted.", "counter",
              activity.forward_counters, out);
}

void write_controlplane(Operations& operations, Exposition& out) {
  if (const auto status = operations.status()) {
    out.family("merlon_controlplane_info", MetricType::gauge,
               "Version of the control plane; always 1.");
    out.sample({{"version", status->version}}, uint64_t{1});
    out.gauge("merlon_controlplane_start_time_seconds", "When the control plane started.",
              static_cast<double>(status->started));
    out.gauge("merlon_controlplane_generation", "Generation that is current on disk.",
              static_cast<double>(status->generation));
    out.gauge("merlon_tcp_generation", "Generation served over TCP.",
              static_cast<double>(status->tcp_generation));
    out.gauge("merlon_controlplane_devices", "Devices that are answered.",
              static_cast<double>(status->device_count));
    out.gauge("merlon_controlplane_feeds", "Feeds that are defined.",
              static_cast<double>(status->feed_count));
    out.gauge("merlon_controlplane_feeds_unhealthy", "Enabled feeds that are not good.",
              static_cast<double>(status->feed_unhealthy_count));
    out.gauge("merlon_controlplane_last_build_failed", "1 when the last build failed.",
              status->last_build_error.empty() ? 0 : 1);
  }
  if (const auto activity = operations.activity()) {
    write_activity(*activity, out);
  }
  if (const auto feeds = operations.feeds()) {
    write_feeds(*feeds, out);
  }
}

}  // namespace

std::string metrics_text(Operations& operations, int64_t now) {
  Exposition out;
  write_dataplane(operations, now, out);
  write_controlplane(operations, out);
  return out.text();
}

}  // namespace merlon::api
