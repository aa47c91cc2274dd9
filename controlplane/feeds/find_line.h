// SPDX-License-Identifier: Apache-2.0
// The line of a feed's content that a listed value came from, for showing it. Pure function.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "controlplane/feeds/declaration.h"

namespace merlon::feeds {

struct FoundLine {
  uint64_t number = 0;    // 1-based
  std::string text = {};  // at most 400 bytes, printable
};

// `value` is an entry of the set that the content was read as: "192.0.2.7", "192.0.2.0/24",
// "bad.example". First the value is looked for as it is written; where that fails and every line
// stands for itself, the lines are halved and read again until one is left. nullopt: the value is
// in the content in a form that has no line of its own, or not at all.
std::optional<FoundLine> find_line(std::string_view text, const Declaration& declaration,
                                   std::string_view value);

}  // namespace merlon::feeds
