// SPDX-License-Identifier: Apache-2.0
// The categories that a feed definition may carry: the types of the Reference Security Incident
// Taxonomy (RSIT, https://github.com/enisaeu/Reference-Security-Incident-Taxonomy-Task-Force) as
// far as they can be said of an address or a name, plus `blacklist` and `tor`, which IntelMQ adds.
// The severity is what a definition gets when it names none:
// 0 none, 1 policy, 2 scan or spam, 3 minor attack, 4 serious, 5 command and control.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "zones/base/error.h"

namespace merlon::feeds {

struct Category {
  std::string_view name;
  std::string_view rsit_class;
  uint8_t severity;
  std::string_view description;
};

std::span<const Category> categories();                // by name
const Category* find_category(std::string_view name);  // nullptr when there is none
// The name with the smallest edit distance; "" when none is near enough to be meant.
std::string_view nearest_category(std::string_view name);
// Errors: invalid_argument, with the nearest name.
Status check_category(std::string_view name);

}  // namespace merlon::feeds
