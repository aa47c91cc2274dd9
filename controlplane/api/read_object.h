// SPDX-License-Identifier: Apache-2.0
// Reading what clients send. A type is one constexpr table of its keys; read_object() walks the
// body against the table, so that "unknown key", "missing key" and "wrong type" are said in one
// place and in one form. For the sources of this folder.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/api/json.h"

namespace merlon::api {

enum class Need : uint8_t { required, optional };

template <class T>
struct Field {
  std::string_view key;
  Need need;
  Status (*read)(const Json& value, T& out);
};

// The value as sent, short enough for a message.
std::string quoted(const Json& value);

Status read_text(const Json& value, std::string& out);
Status read_required_text(const Json& value, std::string& out);
Status read_switch(const Json& value, bool& out);
Status read_tier(const Json& value, store::Tier& out);
Status read_direction(const Json& value, store::Direction& out);

template <std::unsigned_integral T>
Status read_integer(const Json& value, T minimum, T maximum, T& out) {
  if (!value.is_number_unsigned() || value.get<uint64_t>() < minimum ||
      value.get<uint64_t>() > maximum) {
    return fail(ErrorCode::invalid_argument, "must be an integer from {} to {}, not {}", minimum,
                maximum, quoted(value));
  }
  out = static_cast<T>(value.get<uint64_t>());
  return {};
}

std::unexpected<Error> unknown_key(const std::string& key, std::span<const std::string_view> known);

template <class T, size_t kCount>
Result<T> read_object(const Json& json, const std::array<Field<T>, kCount>& fields) {
  if (!json.is_object()) {
    return fail(ErrorCode::invalid_argument, "the body must be a JSON object, not {}",
                quoted(json));
  }
  std::vector<std::string_view> known;
  for (const Field<T>& field : fields) {
    known.push_back(field.key);
  }
  for (const auto& item : json.items()) {
    if (std::find(known.begin(), known.end(), item.key()) == known.end()) {
      return unknown_key(item.key(), known);
    }
  }
  T out;
  for (const Field<T>& field : fields) {
    const auto found = json.find(field.key);
    if (found == json.end()) {
      if (field.need == Need::required) {
        return fail(ErrorCode::invalid_argument, "missing key \"{}\"", field.key);
      }
      continue;
    }
    const Status read = field.read(*found, out);
    if (!read) {
      return in(fmt::format("\"{}\"", field.key), read.error());
    }
  }
  return out;
}

}  // namespace merlon::api
