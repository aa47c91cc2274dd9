// SPDX-License-Identifier: Apache-2.0
// Lists as sets: text in, sorted and merged text out. Made for speed: bare IPv4 addresses, which
// most lines of most lists are, are read by hand and sorted by radix; everything else takes the
// strict parsers of zones/address and zones/name.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "zones/address/range_set.h"
#include "zones/base/error.h"

namespace merlon::feed_sets {

struct Sets {
  address::IpSet addresses;
  std::vector<std::string> names;  // sorted, unique, lower case

  Sets united(const Sets& other) const;
  Sets minus(const Sets& other) const;
  Sets intersected(const Sets& other) const;
};

struct ReadReport {
  uint64_t refused_count = 0;
  std::string first_refused;  // "line 7: why: text"
};

// One value a line: an address, a prefix (length or netmask), a range a-b, or a host name; comments
// begin with # or ;, further columns are not read.
Sets read_sets(std::string_view text, ReadReport& report);

enum class Form : unsigned char { cidr, ranges, single };

// Errors: invalid_argument (more single addresses than anybody can want), io.
Status write_sets(const Sets& sets, Form form, int descriptor);

}  // namespace merlon::feed_sets
