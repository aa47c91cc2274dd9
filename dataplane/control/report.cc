// SPDX-License-Identifier: Apache-2.0
#include "dataplane/control/report.h"

#include <nlohmann/json.hpp>

#include "dataplane/control/report_ports.h"

namespace merlon::control {
namespace {

using Json = nlohmann::ordered_json;

// Text in messages may hold bytes of damaged files; JSON must stay UTF-8.
std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json counters_json(std::span<const stats::WorkerCounters> workers) {
  Json outcomes = Json::object();
  for (size_t i = 0; i < answer::kOutcomeCount; ++i) {
    const auto outcome = static_cast<answer::Outcome>(i);
    uint64_t sum = 0;
    for (const stats::WorkerCounters& worker : workers) {
      sum += worker.get(outcome);
    }
    outcomes[std::string(answer::to_string(outcome))] = sum;
  }
  Json io = Json::object();
  for (size_t i = 0; i < stats::kIoCounterCount; ++i) {
    const auto counter = static_cast<stats::IoCounter>(i);
    uint64_t sum = 0;
    for (const stats::WorkerCounters& worker : workers) {
      sum += worker.get(counter);
    }
    io[std::string(stats::to_string(counter))] = sum;
  }
  return Json{{"outcomes", std::move(outcomes)}, {"io", std::move(io)}};
}

}  // namespace

std::string status_json(const StatusFacts& facts) {
  Json json{{"schema_version", 1},
            {"version", facts.version},
            {"engine", facts.engine},
            {"engine_note", facts.engine_note},
            {"worker_count", facts.worker_count},
            {"listen", facts.listen},
            {"ports", describe_ports(facts.ports)},
            {"started_unix_s", facts.started},
            {"generation", facts.served == nullptr ? 0 : facts.served->generation()},
            {"loaded_unix_s", facts.loaded},
            {"last_load_error", facts.last_load_error},
            {"zone_count", facts.served == nullptr ? 0 : facts.served->zones().size()},
            {"name_count", facts.served == nullptr ? 0 : facts.served->node_count()},
            {"snapshot_size_bytes", facts.served == nullptr ? 0 : facts.served->size_bytes()}};
  const uint64_t addresses = facts.served == nullptr ? 0 : facts.served->address_count();
  const uint64_t resident = facts.served == nullptr ? 0 : facts.served->resident_bytes();
  json["address_count"] = addresses;
  json["resident_bytes"] = resident;
  json["resident_bytes_per_address"] =
      addresses == 0 ? 0.0 : static_cast<double>(resident) / static_cast<double>(addresses);
  return dump(json);
}

std::string stats_json(uint64_t generation, std::span<const stats::WorkerCounters> workers,
                       std::span<const stats::PortReport> ports,
                       std::span<const StatsSection> sections) {
  Json json{{"schema_version", 1}, {"generation", generation}};
  json["total"] = counters_json(workers);
  Json each = Json::array();
  for (size_t i = 0; i < workers.size(); ++i) {
    each.push_back(counters_json(workers.subspan(i, 1)));
  }
  json["workers"] = std::move(each);
  json["ports"] = count_ports(ports);
  for (const StatsSection& section : sections) {
    json[std::string(section.name)] = Json::parse(section.json);
  }
  return dump(json);
}

std::string dnstap_json(const dnstap::TapNumbers& numbers) {
  return dump(Json{{"sampled", numbers.samples.sampled},
                   {"ring_full", numbers.samples.ring_full},
                   {"query_too_long", numbers.samples.query_too_long},
                   {"reply_too_long", numbers.samples.reply_too_long},
                   {"frames_written", numbers.frames_written},
                   {"frames_lost", numbers.frames_lost},
                   {"connects", numbers.connects},
                   {"connected", numbers.connected},
                   {"problem", numbers.problem}});
}

std::string loaded_json(uint64_t generation) {
  return dump(Json{{"schema_version", 1}, {"generation", generation}});
}

std::string error_json(const Error& error) {
  return dump(Json{{"schema_version", 1},
                   {"error", {{"code", to_string(error.code)}, {"message", error.message}}}});
}

}  // namespace merlon::control
