// SPDX-License-Identifier: Apache-2.0
#include "controlplane/api/json.h"

#include <fmt/format.h>

#include <ctime>
#include <string>
#include <vector>

#include "zones/address/address.h"

namespace merlon::api {
namespace {

template <class T>
Json array_of(const std::vector<T>& items) {
  Json array = Json::array();
  for (const T& item : items) {
    array.push_back(to_json(item));
  }
  return array;
}

}  // namespace

Json time_to_json(int64_t unix_seconds) {
  const std::time_t time = unix_seconds;
  std::tm utc{};
  if (unix_seconds == 0 || gmtime_r(&time, &utc) == nullptr || utc.tm_year + 1900 > 9999 ||
      utc.tm_year + 1900 < 0) {
    return nullptr;
  }
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", utc.tm_year + 1900, utc.tm_mon + 1,
                     utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec);
}

Json to_json(const store::FeedDefinition& definition) {
  return Json{{"id", definition.id},
              {"title", definition.title},
              {"url", definition.url},
              {"format", definition.format},
              {"category", definition.category},
              {"severity", definition.severity},
              {"confidence", definition.confidence},
              {"direction", store::to_string(definition.direction)},
              {"tier", store::to_string(definition.tier)},
              {"in_basic", definition.in_basic},
              {"enabled", definition.enabled},
              {"interval_s", definition.interval_s},
              {"timeout_s", definition.timeout_s},
              {"size_max_bytes", definition.size_max_bytes},
              {"provider", definition.provider},
              {"licence", definition.licence},
              {"homepage", definition.homepage},
              {"credentials", definition.credentials},
              {"private_hosts", definition.private_hosts},
              {"ageing", definition.ageing},
              {"copies", definition.copies}};
}

namespace {

Json reasons_to_json(const std::vector<std::pair<std::string, uint64_t>>& reasons) {
  Json json = Json::object();
  for (const auto& [reason, count] : reasons) {
    json[reason] = count;
  }
  return json;
}

Json lines_to_json(const std::vector<store::RejectedLine>& lines) {
  Json json = Json::array();
  for (const store::RejectedLine& line : lines) {
    json.push_back(Json{{"line", line.line}, {"reason", line.reason}, {"text", line.text}});
  }
  return json;
}

}  // namespace

Json to_json(const store::FeedState& state) {
  return Json{{"health", store::to_string(state.health)},
              {"reason", state.reason},
              {"last_attempt", time_to_json(state.last_attempt)},
              {"last_good", time_to_json(state.last_good)},
              {"last_changed", time_to_json(state.last_changed)},
              {"not_before", time_to_json(state.not_before)},
              {"last_duration_ms", state.last_duration_ms},
              {"format", state.format},
              {"etag", state.etag},
              {"last_modified", state.last_modified},
              {"size_bytes", state.size_bytes},
              {"line_count", state.line_count},
              {"rejected_count", state.rejected_count},
              {"rejected_by_reason", reasons_to_json(state.rejected_by_reason)},
              {"rejected_examples", lines_to_json(state.rejected_examples)},
              {"prefix4_count", state.prefix4_count},
              {"prefix6_count", state.prefix6_count},
              {"domain_count", state.domain_count}};
}

Json to_json(const store::FeedRecord& record) {
  Json json = to_json(record.definition);
  json["state"] = to_json(record.state);
  return json;
}

Json to_json(const store::Observation& observation) {
  Json intervals = Json::array();
  for (const store::Interval& interval : observation.intervals) {
    intervals.push_back(
        {{"from", time_to_json(interval.from)}, {"until", time_to_json(interval.until)}});
  }
  return Json{{"value", observation.value},
              {"feed", observation.feed},
              {"first_seen", time_to_json(observation.first_seen)},
              {"last_seen", time_to_json(observation.last_seen)},
              {"listed", observation.listed},
              {"intervals", std::move(intervals)},
              {"ages_out", time_to_json(observation.ages_out)},
              {"gone", observation.gone}};
}

Json to_json(const store::Device& device) {
  Json sources = Json::array();
  for (const address::AnyPrefix& source : device.sources) {
    sources.push_back(address::to_text(source));
  }
  return Json{{"name", device.name},
              {"account", device.account},
              {"tier", store::to_string(device.tier)},
              {"sources", std::move(sources)},
              {"recursion", device.recursion},
              {"dns_policy", device.dns_policy},
              {"tsig", device.tsig_algorithm.empty() ? "off" : device.tsig_algorithm},
              {"notify", device.notify},
              {"certificate", device.certificate.empty() ? "off" : device.certificate},
              {"has_token", !device.token_digest.empty()},
              {"created", time_to_json(device.created)},
              {"number", device.number},
              {"account_number", device.account_number}};
}

Json to_json(const RefreshReport& report) {
  return Json{{"feed", report.feed},
              {"not_modified", report.not_modified},
              {"added_count", report.added},
              {"removed_count", report.removed},
              {"state", to_json(report.state)}};
}

Json to_json(const ProbeReport& report) {
  return Json{{"url", report.url},
              {"format", report.format},
              {"problem", report.problem},
              {"size_bytes", report.size_bytes},
              {"line_count", report.line_count},
              {"entry_count", report.entry_count},
              {"ignored_count", report.ignored_count},
              {"rejected_count", report.rejected_count},
              {"prefix4_count", report.prefix4_count},
              {"prefix6_count", report.prefix6_count},
              {"domain_count", report.domain_count},
              {"examples", report.examples},
              {"notes", report.notes},
              {"rejected_by_reason", reasons_to_json(report.rejected_by_reason)},
              {"rejected_examples", lines_to_json(report.rejected_examples)}};
}

Json to_json(const ListInfo& list) {
  return Json{{"name", list.name},
              {"kind", list.kind},
              {"tier", store::to_string(list.tier)},
              {"feeds", list.feeds},
              {"address4_count", list.address4_count},
              {"address6_count", list.address6_count},
              {"prefix_only_count", list.prefix_only_count},
              {"protected_prefix_count", list.protected_prefix_count},
              {"domain_count", list.domain_count},
              {"fallen_off_count", list.fallen_off_count},
              {"names", list.names}};
}

Json to_json(const Published& published) {
  const auto zones_json = [](const std::vector<PolicyZone>& zones) {
    Json json = Json::array();
    for (const PolicyZone& zone : zones) {
      json.push_back(
          Json{{"apex", zone.apex}, {"serial", zone.serial}, {"name_count", zone.name_count}});
    }
    return json;
  };
  return Json{{"lists", array_of(published.lists)},
              {"policy_zones", zones_json(published.policy_zones)},
              {"catalogs", zones_json(published.catalogs)},
              {"problems", published.problems}};
}

Json to_json(const ZoneInfo& zone) {
  return Json{{"apex", zone.apex},
              {"source", zone.source},
              {"account", zone.account},
              {"health", zone.health},
              {"error", zone.error},
              {"notes", zone.notes},
              {"serial", zone.serial},
              {"record_count", zone.record_count},
              {"size_bytes", zone.size_bytes},
              {"signed", zone.is_signed},
              {"loaded", time_to_json(zone.loaded)}};
}

Json to_json(const SnapshotInfo& snapshot) {
  return Json{{"generation", snapshot.generation},
              {"created", time_to_json(snapshot.created)},
              {"current", snapshot.current},
              {"segment_count", snapshot.segment_count},
              {"size_bytes", snapshot.size_bytes}};
}

Json to_json(const BuildReport& report) {
  return Json{{"generation", report.generation},
              {"changed", report.changed},
              {"segments_written_count", report.segments_written},
              {"segments_reused_count", report.segments_reused},
              {"list_count", report.list_count},
              {"name_count", report.name_count},
              {"compile_s", report.compile_seconds},
              {"publish_s", report.publish_seconds},
              {"dataplane_error", report.dataplane_error}};
}

Json to_json(const ControlPlaneStatus& status) {
  return Json{{"version", status.version},
              {"started", time_to_json(status.started)},
              {"feed_count", status.feed_count},
              {"feed_unhealthy_count", status.feed_unhealthy_count},
              {"device_count", status.device_count},
              {"generation", status.generation},
              {"tcp_generation", status.tcp_generation},
              {"suffix", status.suffix},
              {"last_build_error", status.last_build_error},
              {"problems", status.problems},
              {"dataplane", status.dataplane},
              {"dnssec", status.dnssec}};
}

Json to_json(const Error& error) {
  return Json{{"code", to_string(error.code)}, {"message", error.message}};
}

std::string to_text(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace merlon::api
