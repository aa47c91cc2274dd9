// SPDX-License-Identifier: Apache-2.0
// Content names: the BLAKE2b-256 of a file. Two segments with one hash are one segment.
#pragma once

#include <array>
#include <compare>
#include <cstring>
#include <string>

#include "zones/base/bytes.h"
#include "zones/base/error.h"

namespace merlon::snapshot {

struct ContentHash {
  std::array<uint8_t, 32> bytes{};

  static ContentHash of(Bytes content);
  static Result<ContentHash> from_text(std::string_view hex);
  std::string to_text() const { return to_hex(bytes); }
  auto operator<=>(const ContentHash&) const = default;
};

struct ContentHashHasher {
  size_t operator()(const ContentHash& hash) const {
    size_t value;
    std::memcpy(&value, hash.bytes.data(), sizeof value);  // already uniform
    return value;
  }
};

}  // namespace merlon::snapshot
