// SPDX-License-Identifier: Apache-2.0
#include "controlplane/dnssec/state_file.h"

#include <nlohmann/json.hpp>

namespace merlon::dnssec {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kVersion = 1;

Json key_to_json(const name::Name& apex, const KeyState& key) {
  const std::vector<uint8_t> dnskey = key.dnskey();
  return {{"id", key.id},
          {"role", to_string(key.role)},
          {"flags", flags_of(key.role)},
          {"algorithm", to_string(key.algorithm)},
          {"tag", key_tag(dnskey)},
          {"public_key", to_hex(key.public_key)},
          {"dnskey", dnskey_text(apex, dnskey)},
          {"created", key.created},
          {"publish", key.publish},
          {"active", key.active},
          {"retire", key.retire},
          {"remove", key.remove}};
}

Result<KeyState> key_from_json(const Json& json) {
  const auto role = parse_role(json.at("role").get<std::string>());
  const auto algorithm = parse_algorithm(json.at("algorithm").get<std::string>());
  if (!role || !algorithm) {
    return std::unexpected(role ? algorithm.error() : role.error());
  }
  KeyState key{.id = json.at("id").get<uint32_t>(), .role = *role, .algorithm = *algorithm};
  key.public_key.resize(*algorithm == Algorithm::ed25519 ? 32 : 64);
  if (!from_hex(json.at("public_key").get<std::string>(), key.public_key)) {
    return fail(ErrorCode::corruption, "key {}: public_key is not hex of its size", key.id);
  }
  key.created = json.at("created").get<int64_t>();
  key.publish = json.at("publish").get<int64_t>();
  key.active = json.at("active").get<int64_t>();
  key.retire = json.at("retire").get<int64_t>();
  key.remove = json.at("remove").get<int64_t>();
  if (key_tag(key.dnskey()) != json.at("tag").get<uint16_t>()) {
    return fail(ErrorCode::corruption, "key {}: its tag is not that of its public key", key.id);
  }
  return key;
}

Result<ZoneKeys> zone_from_json(const name::Name& apex, const Json& json) {
  if (json.at("version").get<int>() > kVersion) {
    return fail(ErrorCode::unsupported, "written by a newer program; run that one");
  }
  if (const auto zone = json.at("zone").get<std::string>(); zone != apex.to_text()) {
    return fail(ErrorCode::conflict, "belongs to zone {}", zone);
  }
  ZoneKeys out;
  out.zone_ttl_max_s = json.at("zone_ttl_max_s").get<int64_t>();
  out.dnskey_ttl_max_s = json.at("dnskey_ttl_max_s").get<int64_t>();
  const Json& rollover = json.at("rollover");
  const auto kind = parse_rollover_kind(rollover.at("kind").get<std::string>());
  const auto step = parse_step(rollover.at("step").get<std::string>());
  if (!kind || !step) {
    return std::unexpected(kind ? step.error() : kind.error());
  }
  out.rollover = {.kind = *kind,
                  .step = *step,
                  .first_new_id = rollover.at("first_new_id").get<uint32_t>(),
                  .since = rollover.at("since").get<int64_t>(),
                  .ds_seen = rollover.at("ds_seen").get<int64_t>()};
  for (const Json& item : json.at("keys")) {
    auto key = key_from_json(item);
    if (!key) {
      return std::unexpected(key.error());
    }
    out.keys.push_back(std::move(*key));
  }
  return out;
}

}  // namespace

std::string to_state_text(const name::Name& apex, const ZoneKeys& zone) {
  Json keys = Json::array();
  for (const KeyState& key : zone.keys) {
    keys.push_back(key_to_json(apex, key));
  }
  const Json json = {{"version", kVersion},
                     {"zone", apex.to_text()},
                     {"zone_ttl_max_s", zone.zone_ttl_max_s},
                     {"dnskey_ttl_max_s", zone.dnskey_ttl_max_s},
                     {"rollover",
                      {{"kind", to_string(zone.rollover.kind)},
                       {"step", to_string(zone.rollover.step)},
                       {"first_new_id", zone.rollover.first_new_id},
                       {"since", zone.rollover.since},
                       {"ds_seen", zone.rollover.ds_seen}}},
                     {"keys", keys}};
  return json.dump(2) + "\n";
}

Result<ZoneKeys> parse_state(const name::Name& apex, std::string_view text) {
  try {
    auto zone = zone_from_json(apex, Json::parse(text));
    if (!zone && zone.error().code == ErrorCode::invalid_argument) {
      return fail(ErrorCode::corruption, "{}", zone.error().message);
    }
    return zone;
  } catch (const Json::exception& error) {
    return fail(ErrorCode::corruption, "{}", error.what());
  }
}

std::optional<name::Name> zone_of_state(std::string_view text) {
  const Json json = Json::parse(text, nullptr, false);
  const auto zone = json.is_object() ? json.find("zone") : json.end();
  if (!json.is_object() || zone == json.end() || !zone->is_string()) {
    return std::nullopt;
  }
  const auto name = name::Name::from_text(zone->get<std::string>());
  return name ? std::optional(*name) : std::nullopt;
}

}  // namespace merlon::dnssec
