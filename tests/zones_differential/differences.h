// SPDX-License-Identifier: Apache-2.0
// Every difference has a name: what differs, or an entry of the table of those that are meant.
#pragma once

#include <string>

#include "tests/zones_differential/message.h"
#include "tests/zones_differential/names.h"

namespace merlon::differential {

// "" when the two say the same. `allowed`: it is in the table, for the reason there.
struct Difference {
  std::string name;
  bool allowed = false;
};
Difference compare(const Question& question, const Answer& nsd, const Answer& merlon,
                   const Names& names);

// The table of what is meant, for people: a name and its argument each.
std::string explain_allowed();

}  // namespace merlon::differential
