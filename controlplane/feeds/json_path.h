// SPDX-License-Identifier: Apache-2.0
// Where in a JSON document the values are: "objects[*].ip", "prefixes.ipv4[*]", "*.address",
// "..ip_address" (at any depth). A document is read in one pass, in memory that depends on its
// depth only.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "zones/base/error.h"

namespace merlon::feeds {

struct JsonStep {
  enum class Kind : uint8_t { key, any_key, any_item, any_depth };
  Kind kind = Kind::key;
  std::string key = {};
};
using JsonPath = std::vector<JsonStep>;

inline constexpr size_t kJsonDepthMax = 100;
inline constexpr size_t kJsonStepsMax = 31;

// Errors: invalid_argument.
Result<JsonPath> parse_json_path(std::string_view text);

enum class JsonLeaf : uint8_t { text, other };

// Calls use(value, leaf, path) for each leaf: `path` is its place, with [*] for items. Errors:
// invalid_argument (malformed, cut off, too deep), with the byte.
using JsonUse = std::function<void(std::string_view value, JsonLeaf leaf, const std::string& path)>;
Status walk_json(std::string_view text, const JsonUse& use);

// The same for the leaves at one of `paths` only, without their place.
using JsonMatch = std::function<void(std::string_view value, JsonLeaf leaf)>;
Status match_json(std::string_view text, const std::vector<JsonPath>& paths, const JsonMatch& use);

}  // namespace merlon::feeds
