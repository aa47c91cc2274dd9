// SPDX-License-Identifier: Apache-2.0
// /v1/devices: who may ask, and what they prove it with. Keys and tokens are made here when they
// are asked for: "tsig" names the algorithm of a new key (unless "tsig_secret" brings one), "token"
// is "new". The secret is shown by .../key alone, a token in the answer to the call that made it.
#include <array>
#include <mutex>

#include "controlplane/api/device_secrets.h"
#include "controlplane/api/route.h"

namespace merlon::api {
namespace {

constexpr size_t kSecretSize256 = 32;
constexpr size_t kSecretSize512 = 64;

// The request's key and token into its device, where `stored` has those of before. Returns the new
// token, or "".
Result<std::string> settle_secrets(DeviceRequest& request, const store::Device& stored) {
  store::Device& device = request.device;
  if (request.tsig.empty()) {
    if (!device.tsig_secret.empty()) {
      return fail(ErrorCode::invalid_argument,
                  "\"tsig_secret\": needs \"tsig\", the algorithm that it is for");
    }
    device.tsig_algorithm = stored.tsig_algorithm;
    device.tsig_secret = stored.tsig_secret;
  } else if (request.tsig == "off") {
    device.tsig_secret.clear();
  } else {
    device.tsig_algorithm = request.tsig;
    if (device.tsig_secret.empty()) {
      auto secret = random_base64(request.tsig == "hmac-sha512" ? kSecretSize512 : kSecretSize256);
      if (!secret) {
        return secret;
      }
      device.tsig_secret = std::move(*secret);
    }
  }
  if (request.token != "new") {
    device.token_digest = request.token.empty() ? stored.token_digest : "";
    return std::string();
  }
  auto token = random_token();
  auto digest = token ? digest_of_token(*token) : token;
  if (!digest) {
    return digest;
  }
  device.token_digest = std::move(*digest);
  return token;
}

Result<Json> with_token(const Result<store::Device>& device, const std::string& token) {
  auto json = wrap("device", device);
  if (json && !token.empty()) {
    (*json)["token"] = token;
  }
  return json;
}

Result<Json> add_device(const Arguments& a) {
  auto request = device_from_json(a.body);
  if (!request) {
    return std::unexpected(request.error());
  }
  const auto token = settle_secrets(*request, {});
  if (!token) {
    return std::unexpected(token.error());
  }
  return with_token(a.operations.add_device(request->device), *token);
}

// Keys that are absent stay as they are.
Result<Json> change_device(const Arguments& a) {
  // Two that change one device at once do not undo each other.
  static std::mutex changing;
  const std::lock_guard lock(changing);
  const auto stored = a.operations.device(a.captured[0]);
  if (!stored) {
    return std::unexpected(stored.error());
  }
  if (!a.body.is_object()) {
    return fail(ErrorCode::invalid_argument, "the body must be a JSON object of what changes");
  }
  Json body = to_json(*stored);
  for (const char* key : {"tsig", "has_token", "created", "number", "account_number"}) {
    body.erase(key);
  }
  for (const char* key : {"name", "account"}) {
    if (const auto given = a.body.find(key); given != a.body.end() && *given != body[key]) {
      return fail(ErrorCode::invalid_argument, "\"{}\": is {} and stays so", key,
                  body[key].get<std::string>());
    }
  }
  body.update(a.body);
  auto request = device_from_json(body);
  if (!request) {
    return std::unexpected(request.error());
  }
  request->device.created = stored->created;
  request->device.number = stored->number;
  request->device.account_number = stored->account_number;
  const auto token = settle_secrets(*request, *stored);
  if (!token) {
    return std::unexpected(token.error());
  }
  return with_token(a.operations.replace_device(request->device), *token);
}

Result<Json> show_key(const Arguments& a) {
  const auto device = a.operations.device(a.captured[0]);
  if (!device) {
    return std::unexpected(device.error());
  }
  if (device->tsig_algorithm.empty()) {
    return fail(ErrorCode::not_found,
                "device {} has no key; `merlonctl device set {} --tsig hmac-sha256` makes one",
                device->name, device->name);
  }
  const auto status = a.operations.status();
  if (!status) {
    return std::unexpected(status.error());
  }
  Json json{{"schema_version", kSchemaVersion}};
  json["key"] = Json{
      {"name", fmt::format("{}.{}.{}", device->name, device->account, status->suffix)},
      {"algorithm", device->tsig_algorithm},
      {"secret", device->tsig_secret},
  };
  return json;
}

constexpr auto kRoutes = std::to_array<Route>({
    {"GET", "/v1/devices", Takes::nothing, "", 200,
     MERLON_HANDLE(wrap("devices", a.operations.devices()))},
    {"POST", "/v1/devices", Takes::object, "", 201, add_device},
    {"GET", "/v1/devices/{name}", Takes::nothing, "", 200,
     MERLON_HANDLE(wrap("device", a.operations.device(a.captured[0])))},
    {"PATCH", "/v1/devices/{name}", Takes::object, "", 200, change_device},
    {"DELETE", "/v1/devices/{name}", Takes::nothing, "", 200,
     MERLON_HANDLE(removed("device", a.captured[0], a.operations.remove_device(a.captured[0])))},
    {"GET", "/v1/devices/{name}/key", Takes::nothing, "", 200, show_key},
});

}  // namespace

std::span<const Route> device_routes() {
  return kRoutes;
}

}  // namespace merlon::api
