// SPDX-License-Identifier: Apache-2.0
// Every difference has a name: what differs, or an entry of the table of those that are meant.
#pragma once

#include <functional>
#include <string>

#include "tests/zones_differential/message.h"

namespace merlon::differential {

// "" when the two say the same. `allowed`: it is in the table, for the reason there.
struct Difference {
  std::string name;
  bool allowed = false;
};
// `has_name`: whether a zone file has records of this owner (folded text).
using HasName = std::function<bool(const std::string& owner)>;
Difference compare(const Answer& nsd, const Answer& merlon, const HasName& has_name);

// The table of what is meant, for people: a name and its argument each.
std::string explain_allowed();

}  // namespace merlon::differential
