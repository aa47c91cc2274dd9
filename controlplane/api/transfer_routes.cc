// SPDX-License-Identifier: Apache-2.0
// /v1/transfers: who fetches which zones, who was told of changes, whose signatures were turned
// away. Numbers become names here; nothing of it is for customers.
#include <array>
#include <map>
#include <utility>

#include "controlplane/api/route.h"

namespace merlon::api {
namespace {

struct Names {
  std::string account;
  std::string device;
};
using NamesByNumber = std::map<std::pair<uint32_t, uint32_t>, Names>;

Json to_json(const Secondary& one, const NamesByNumber& names) {
  const auto found = names.find({one.account, one.device});
  const bool known = found != names.end();
  return Json{{"account", known ? found->second.account : fmt::format("#{}", one.account)},
              {"device", known ? found->second.device : fmt::format("#{}", one.device)},
              {"source", one.source},
              {"apex", one.apex},
              {"kind", one.kind},
              {"serial_given", one.serial_given},
              {"serial_current", one.serial_current},
              {"given", time_to_json(one.given)},
              {"asked", time_to_json(one.asked)},
              {"behind_since", time_to_json(one.behind_since)},
              {"transfers", one.transfers},
              {"refused", one.refused}};
}

Json to_json(const Notified& one) {
  return Json{{"device", one.device},
              {"target", one.target},
              {"apex", one.apex},
              {"serial", one.serial},
              {"sent", time_to_json(one.sent)},
              {"acknowledged", time_to_json(one.acknowledged)},
              {"tries", one.tries},
              {"error", one.error}};
}

Json to_json(const KeyFailure& one) {
  return Json{{"key", one.key},     {"source", one.source},
              {"error", one.error}, {"clock_skew_s", one.clock_skew_s},
              {"count", one.count}, {"last", time_to_json(one.last)}};
}

Result<Json> transfers(const Arguments& a) {
  const auto devices = a.operations.devices();
  if (!devices) {
    return std::unexpected(devices.error());
  }
  const auto facts = a.operations.transfers();
  if (!facts) {
    return std::unexpected(facts.error());
  }
  NamesByNumber names;
  for (const store::Device& device : *devices) {
    names[{device.account_number, device.number}] = {device.account, device.name};
  }
  Json secondaries = Json::array();
  for (const Secondary& one : facts->secondaries) {
    secondaries.push_back(to_json(one, names));
  }
  Json notified = Json::array();
  for (const Notified& one : facts->notified) {
    notified.push_back(to_json(one));
  }
  Json failures = Json::array();
  for (const KeyFailure& one : facts->key_failures) {
    failures.push_back(to_json(one));
  }
  return Json{{"schema_version", kSchemaVersion},
              {"secondaries", std::move(secondaries)},
              {"notified", std::move(notified)},
              {"key_failures", std::move(failures)}};
}

constexpr auto kRoutes = std::to_array<Route>({
    {"GET", "/v1/transfers", Takes::nothing, "", 200, transfers},
});

}  // namespace

std::span<const Route> transfer_routes() {
  return kRoutes;
}

}  // namespace merlon::api
