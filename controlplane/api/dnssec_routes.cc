// SPDX-License-Identifier: Apache-2.0
// /v1/dnssec: signed zones, their keys and rollovers, and the JSON of these.
#include <array>

#include "controlplane/api/read_object.h"
#include "controlplane/api/route.h"

namespace merlon::api {
namespace {

Json to_json(const DnssecKey& key) {
  return Json{{"tag", key.tag},
              {"role", key.role},
              {"algorithm", key.algorithm},
              {"state", key.state},
              {"trust_anchor", key.is_trust_anchor},
              {"created", time_to_json(key.created)},
              {"published", time_to_json(key.published)},
              {"active", time_to_json(key.active)},
              {"retired", time_to_json(key.retired)},
              {"removed", time_to_json(key.removed)}};
}

Status read_rollover_kind(const Json& value, std::string& out) {
  for (const std::string_view kind : {"ksk", "zsk", "algorithm"}) {
    if (value == kind) {
      out = kind;
      return {};
    }
  }
  return fail(ErrorCode::invalid_argument, R"(must be "ksk", "zsk" or "algorithm", not {})",
              quoted(value));
}

constexpr auto kRolloverFields = std::to_array<Field<RolloverRequest>>({
    {"kind", Need::required,
     [](const Json& v, RolloverRequest& out) { return read_rollover_kind(v, out.kind); }},
    {"algorithm", Need::optional,
     [](const Json& v, RolloverRequest& out) { return read_required_text(v, out.algorithm); }},
});

Result<Json> overview(const Arguments& a) {
  const auto dnssec = a.operations.dnssec_zones();
  if (!dnssec) {
    return std::unexpected(dnssec.error());
  }
  Json zones = Json::array();
  for (const DnssecZone& zone : dnssec->zones) {
    zones.push_back(api::to_json(zone));
  }
  return Json{{"schema_version", kSchemaVersion},
              {"enabled", dnssec->enabled},
              {"zones", std::move(zones)},
              {"signatures_made_count", dnssec->signatures_made},
              {"signatures_reused_count", dnssec->signatures_reused},
              {"trouble", dnssec->trouble}};
}

Result<Json> start_rollover(const Arguments& a) {
  const auto request = read_object(a.body, kRolloverFields);
  if (!request) {
    return std::unexpected(request.error());
  }
  if (request->algorithm.empty() == (request->kind == "algorithm")) {
    return fail(ErrorCode::invalid_argument,
                R"("algorithm": goes with "kind":"algorithm", and with no other kind)");
  }
  return wrap("zone", a.operations.start_rollover(a.captured[0], *request));
}

Result<Json> confirm_clock(const Arguments& a) {
  if (const Status done = a.operations.confirm_clock(); !done) {
    return std::unexpected(done.error());
  }
  return Json{{"schema_version", kSchemaVersion}, {"confirmed", true}};
}

constexpr auto kRoutes = std::to_array<Route>({
    {"GET", "/v1/dnssec", Takes::nothing, "", 200, overview},
    {"POST", "/v1/dnssec/confirm-clock", Takes::nothing, "", 200, confirm_clock},
    {"GET", "/v1/dnssec/{zone}", Takes::nothing, "", 200,
     MERLON_HANDLE(wrap("zone", a.operations.dnssec_zone(a.captured[0])))},
    {"POST", "/v1/dnssec/{zone}/rollover", Takes::object, "", 200, start_rollover},
    {"POST", "/v1/dnssec/{zone}/ds-seen", Takes::nothing, "", 200,
     MERLON_HANDLE(wrap("zone", a.operations.ds_seen(a.captured[0])))},
});

}  // namespace

Json to_json(const DnssecZone& zone) {
  Json keys = Json::array();
  for (const DnssecKey& key : zone.keys) {
    keys.push_back(to_json(key));
  }
  return Json{{"apex", zone.apex},
              {"signed", zone.is_signed},
              {"rollover", zone.rollover},
              {"step", zone.step},
              {"step_since", time_to_json(zone.step_since)},
              {"awaits_ds", zone.awaits_ds},
              {"next_step_at", time_to_json(zone.next_step_at)},
              {"keys", std::move(keys)},
              {"trust_anchors", zone.trust_anchors},
              {"ds", zone.ds}};
}

std::span<const Route> dnssec_routes() {
  return kRoutes;
}

}  // namespace merlon::api
