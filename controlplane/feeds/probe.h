// SPDX-License-Identifier: Apache-2.0
// What would become of a content as a feed, for the person who is about to define it: the
// declaration that fits, what it reads, what it refuses and why.
#pragma once

#include <string>
#include <vector>

#include "controlplane/feeds/parse.h"

namespace merlon::feeds {

struct Probe {
  std::string format;   // a declaration for the feed's definition; "" when nothing fits
  std::string problem;  // why it would be quarantined all the same; "" when it would be taken
  ParsedFeed feed;      // without the set
  uint64_t ipv4_count = 0;
  uint64_t ipv6_count = 0;
  uint64_t domain_count = 0;
  std::vector<std::string> examples;  // the first few of each kind, as text
};

// `format`: "auto" to guess. Never fails: what does not fit is told in `problem`.
Probe probe(Bytes content, std::string_view format = "auto",
            uint64_t size_max_bytes = kContentSizeMax);

}  // namespace merlon::feeds
