// SPDX-License-Identifier: Apache-2.0
// What a STIX 2 pattern names: the values of its comparisons of addresses, domains and URLs.
// "[ipv4-addr:value = '192.0.2.1' OR domain-name:value IN ('a.example', 'b.example')]". AND, OR and
// FOLLOWEDBY alike give the values of both sides: a list cannot say "only together".
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "controlplane/feeds/reject.h"
#include "controlplane/feeds/value.h"

namespace merlon::feeds {

struct StixTerm {
  std::string path = {};  // as written: "network-traffic:dst_ref.value"
  std::string value = {};
  RejectReason reason = RejectReason::unknown;  // why it is no entry, when !wanted
  bool wanted = false;
};

// Errors: bad_pattern.
Read<std::vector<StixTerm>> read_stix_pattern(std::string_view pattern);

}  // namespace merlon::feeds
