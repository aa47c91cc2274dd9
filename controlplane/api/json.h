// SPDX-License-Identifier: Apache-2.0
// The JSON shapes of the REST API, one function a type. Keys carry their unit (interval_s,
// size_bytes); counts are raw integers; times are RFC 3339 UTC texts, null for never. What a client
// sends is read strictly: an unknown key, a wrong type or a missing key is an error that names it,
// because a misspelt "severity" that is silently dropped is found months later.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/api/operations.h"
#include "controlplane/policy/profiles.h"
#include "controlplane/store/model.h"
#include "controlplane/store/own_lists.h"
#include "zones/base/error.h"

namespace merlon::api {

using Json = nlohmann::ordered_json;

inline constexpr int kSchemaVersion = 1;

Json to_json(const store::FeedDefinition& definition);
Json to_json(const store::FeedState& state);
Json to_json(const store::FeedRecord& record);  // the definition's keys and "state"
Json to_json(const store::Observation& observation);
Json to_json(const store::Device& device);  // without its secret
Json to_json(const store::Account& account);
Json to_json(const store::CustomList& list);
Json to_json(const store::CustomEntry& entry);
Json to_json(const store::EntryPage& page);  // "next": the value to go on after, or null
Json to_json(const store::EntryReport& report);
Json to_json(const store::EntryFault& fault);
// With the keys of its kind: actions are those of DNS policies, profiles those of IP policies.
Json to_json(const store::Policy& policy);
Json to_json(const policy::Profile& profile);
Json to_json(const FeedSafety& safety);
Json to_json(const FeedsReport& report);
Json to_json(const RefreshReport& report);
Json to_json(const ProbeReport& report);
Json to_json(const ListInfo& list);
Json to_json(const Published& published);
Json to_json(const ZoneInfo& zone);
Json to_json(const DnssecZone& zone);
Json to_json(const SnapshotInfo& snapshot);
Json to_json(const BuildReport& report);
Json to_json(const CheckReport& report);
Json to_json(const BackupReport& report);
Json to_json(const ControlPlaneStatus& status);
Json to_json(const Error& error);  // {"code","message"}

// "2026-03-01T12:00:00Z", or null for 0 and for what no calendar reaches.
Json time_to_json(int64_t unix_seconds);

// The same text back. Errors: invalid_argument.
Result<int64_t> time_from_text(std::string_view text);

// One line of JSON. Bytes that are not UTF-8 (a feed may hold any) become U+FFFD.
std::string to_text(const Json& json);

// Errors: invalid_argument with line and column.
Result<Json> parse_json(std::string_view text);

// Keys that are absent keep the defaults of FeedDefinition. Errors: invalid_argument.
Result<store::FeedDefinition> feed_from_json(const Json& json);
// A device as a client wants it, with what the server makes for it.
struct DeviceRequest {
  store::Device device{};
  std::string tsig{};   // an algorithm: a new key of it; "off": none; "": as it is
  std::string token{};  // "new", "off"; "": as it is
};
Result<DeviceRequest> device_from_json(const Json& json);
Result<store::Account> account_from_json(const Json& json);
// The account is not in the body but in the path.
Result<store::CustomList> list_from_json(const Json& json);
Result<store::Policy> policy_from_json(const Json& json);
// One entry as an object, or an array of objects and of plain values. The error names the entry.
Result<std::vector<store::CustomEntry>> entries_from_json(const Json& json);
// For calls that take nothing: anything but an empty object is an error.
Status nothing_from_json(const Json& json);

}  // namespace merlon::api
