// SPDX-License-Identifier: Apache-2.0
// Feeds and devices as clients send them, and what all readers share.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/api/json.h"
#include "controlplane/api/read_object.h"
#include "zones/address/address.h"
#include "zones/base/nearest.h"

namespace merlon::api {

// The value as sent, short enough for a message.
std::string quoted(const Json& value) {
  constexpr size_t kQuotedSizeMax = 60;
  if (value.is_structured()) {
    return value.is_array() ? "an array" : "an object";
  }
  std::string text = to_text(value);
  if (text.size() > kQuotedSizeMax) {
    text.resize(kQuotedSizeMax);
    text += "...";
  }
  return text;
}

Status read_text(const Json& value, std::string& out) {
  if (!value.is_string()) {
    return fail(ErrorCode::invalid_argument, "must be a string, not {}", quoted(value));
  }
  out = value.get<std::string>();
  return {};
}

Status read_required_text(const Json& value, std::string& out) {
  const Status read = read_text(value, out);
  if (read && out.empty()) {
    return fail(ErrorCode::invalid_argument, "must not be empty");
  }
  return read;
}

Status read_switch(const Json& value, bool& out) {
  if (!value.is_boolean()) {
    return fail(ErrorCode::invalid_argument, "must be true or false, not {}", quoted(value));
  }
  out = value.get<bool>();
  return {};
}

Status read_tier(const Json& value, store::Tier& out) {
  if (!value.is_string() || !store::parse_tier(value.get<std::string>(), out)) {
    return fail(ErrorCode::invalid_argument,
                R"(must be "community", "basic", "advanced" or "operator", not {})", quoted(value));
  }
  return {};
}

Status read_direction(const Json& value, store::Direction& out) {
  if (!value.is_string() || !store::parse_direction(value.get<std::string>(), out)) {
    return fail(ErrorCode::invalid_argument, R"(must be "block" or "allow", not {})",
                quoted(value));
  }
  return {};
}

std::unexpected<Error> unknown_key(const std::string& key,
                                   std::span<const std::string_view> known) {
  const std::string name = quoted(Json(key));
  if (known.empty()) {
    return fail(ErrorCode::invalid_argument, "unknown key {}; this call takes no keys", name);
  }
  const std::string_view meant = nearest(key, known);
  if (!meant.empty()) {
    return fail(ErrorCode::invalid_argument, "unknown key {}; did you mean \"{}\"?", name, meant);
  }
  return fail(ErrorCode::invalid_argument, "unknown key {}; the keys are {}", name,
              fmt::join(known, ", "));
}

namespace {

// A source decides who is answered, so "192.0.2.1/24" is asked back instead of being widened.
Status read_source(const Json& value, address::AnyPrefix& out) {
  if (!value.is_string()) {
    return fail(ErrorCode::invalid_argument, "must be addresses or prefixes as strings, not {}",
                quoted(value));
  }
  const std::string text = value.get<std::string>();
  bool host_bits_set = false;
  const auto prefix = address::parse_prefix(text, &host_bits_set);
  if (!prefix) {
    return fail(ErrorCode::invalid_argument, "{} {}", quoted(value),
                address::explain(prefix.error()));
  }
  if (host_bits_set) {
    return fail(ErrorCode::invalid_argument, "{} has bits set behind its length: {} is the prefix",
                quoted(value), address::to_text(*prefix));
  }
  out = *prefix;
  return {};
}

Status read_sources(const Json& value, std::vector<address::AnyPrefix>& out) {
  if (!value.is_array() || value.empty()) {
    return fail(ErrorCode::invalid_argument,
                "must be an array of at least one address or prefix, not {}",
                value.is_array() ? "an empty one" : quoted(value));
  }
  for (const Json& item : value) {
    address::AnyPrefix source;
    const Status read = read_source(item, source);
    if (!read) {
      return read;
    }
    out.push_back(source);
  }
  return {};
}

Status read_texts(const Json& value, std::vector<std::string>& out) {
  if (!value.is_array()) {
    return fail(ErrorCode::invalid_argument, "must be an array of texts, not {}", quoted(value));
  }
  out.clear();
  for (const Json& item : value) {
    if (const Status read = read_required_text(item, out.emplace_back()); !read) {
      return read;
    }
  }
  return {};
}

// As tools print fingerprints: capitals and colons are taken.
Status read_fingerprint(const Json& value, std::string& out) {
  std::string text;
  if (const Status read = read_text(value, text); !read) {
    return read;
  }
  out.clear();
  if (text == "off") {
    return {};
  }
  for (const char c : text) {
    if (c != ':') {
      out.push_back(c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c);
    }
  }
  return {};
}

Status read_one_of(const Json& value, std::initializer_list<std::string_view> words,
                   std::string& out) {
  if (!value.is_string() ||
      std::ranges::find(words, value.get_ref<const std::string&>()) == words.end()) {
    return fail(ErrorCode::invalid_argument, "must be one of {}, not {}", fmt::join(words, ", "),
                quoted(value));
  }
  out = value.get<std::string>();
  return {};
}

using store::FeedDefinition;
constexpr uint32_t kSecondsMax = std::numeric_limits<uint32_t>::max();
constexpr uint64_t kSizeMax = uint64_t{1} << 40;

#define MERLON_READ(T, ...) [](const Json& v, T& out) -> Status { return __VA_ARGS__; }

constexpr auto kFeedFields = std::to_array<Field<FeedDefinition>>({
    {"id", Need::required, MERLON_READ(FeedDefinition, read_required_text(v, out.id))},
    {"title", Need::optional, MERLON_READ(FeedDefinition, read_text(v, out.title))},
    {"url", Need::required, MERLON_READ(FeedDefinition, read_required_text(v, out.url))},
    {"format", Need::optional, MERLON_READ(FeedDefinition, read_required_text(v, out.format))},
    {"category", Need::optional, MERLON_READ(FeedDefinition, read_required_text(v, out.category))},
    {"severity", Need::optional,
     MERLON_READ(FeedDefinition, read_integer<uint8_t>(v, 0, 5, out.severity))},
    {"confidence", Need::optional,
     MERLON_READ(FeedDefinition, read_integer<uint8_t>(v, 0, 100, out.confidence))},
    {"direction", Need::optional, MERLON_READ(FeedDefinition, read_direction(v, out.direction))},
    {"tier", Need::optional, MERLON_READ(FeedDefinition, read_tier(v, out.tier))},
    {"in_basic", Need::optional, MERLON_READ(FeedDefinition, read_switch(v, out.in_basic))},
    {"enabled", Need::optional, MERLON_READ(FeedDefinition, read_switch(v, out.enabled))},
    {"interval_s", Need::optional,
     MERLON_READ(FeedDefinition, read_integer<uint32_t>(v, 1, kSecondsMax, out.interval_s))},
    {"timeout_s", Need::optional,
     MERLON_READ(FeedDefinition, read_integer<uint32_t>(v, 1, kSecondsMax, out.timeout_s))},
    {"size_max_bytes", Need::optional,
     MERLON_READ(FeedDefinition, read_integer<uint64_t>(v, 1, kSizeMax, out.size_max_bytes))},
    {"provider", Need::optional, MERLON_READ(FeedDefinition, read_text(v, out.provider))},
    {"licence", Need::optional, MERLON_READ(FeedDefinition, read_text(v, out.licence))},
    {"homepage", Need::optional, MERLON_READ(FeedDefinition, read_text(v, out.homepage))},
    {"ageing", Need::optional, MERLON_READ(FeedDefinition, read_required_text(v, out.ageing))},
    {"copies", Need::optional, MERLON_READ(FeedDefinition, read_texts(v, out.copies))},
});

constexpr auto kDeviceFields = std::to_array<Field<DeviceRequest>>({
    {"name", Need::required, MERLON_READ(DeviceRequest, read_required_text(v, out.device.name))},
    {"account", Need::required,
     MERLON_READ(DeviceRequest, read_required_text(v, out.device.account))},
    {"tier", Need::optional, MERLON_READ(DeviceRequest, read_tier(v, out.device.tier))},
    {"sources", Need::required, MERLON_READ(DeviceRequest, read_sources(v, out.device.sources))},
    {"recursion", Need::optional, MERLON_READ(DeviceRequest, read_switch(v, out.device.recursion))},
    {"dns_policy", Need::optional, MERLON_READ(DeviceRequest, read_text(v, out.device.dns_policy))},
    {"tsig", Need::optional,
     MERLON_READ(DeviceRequest, read_one_of(v, {"hmac-sha256", "hmac-sha512", "off"}, out.tsig))},
    {"tsig_secret", Need::optional,
     MERLON_READ(DeviceRequest, read_required_text(v, out.device.tsig_secret))},
    {"notify", Need::optional, MERLON_READ(DeviceRequest, read_texts(v, out.device.notify))},
    {"certificate", Need::optional,
     MERLON_READ(DeviceRequest, read_fingerprint(v, out.device.certificate))},
    {"token", Need::optional,
     MERLON_READ(DeviceRequest, read_one_of(v, {"new", "off"}, out.token))},
});

#undef MERLON_READ

}  // namespace

Result<Json> parse_json(std::string_view text) {
  try {
    return Json::parse(text);
  } catch (const Json::exception& exception) {
    // "[json.exception.parse_error.101] parse error at line 1, column 5: ..."
    std::string_view what = exception.what();
    const size_t end_of_tag = what.find("] ");
    if (what.starts_with('[') && end_of_tag != std::string_view::npos) {
      what.remove_prefix(end_of_tag + 2);
    }
    return fail(ErrorCode::invalid_argument, "the body is not JSON: {}", what);
  }
}

Result<store::FeedDefinition> feed_from_json(const Json& json) {
  return read_object(json, kFeedFields);
}

Result<DeviceRequest> device_from_json(const Json& json) {
  return read_object(json, kDeviceFields);
}

Status nothing_from_json(const Json& json) {
  if (!json.is_object()) {
    return fail(ErrorCode::invalid_argument, "the body must be empty or {{}}, not {}",
                quoted(json));
  }
  if (!json.empty()) {
    return unknown_key(json.items().begin().key(), {});
  }
  return {};
}

}  // namespace merlon::api
