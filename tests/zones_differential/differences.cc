// SPDX-License-Identifier: Apache-2.0
#include "tests/zones_differential/differences.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace merlon::differential {
namespace {

struct Allowed {
  std::string_view name;
  std::string_view argument;
  bool (*is_it)(const Answer& nsd, const Answer& merlon, const HasName& has_name);
};

bool is_same_but_for_glue(const Answer& nsd, const Answer& merlon) {
  return nsd.rcode == merlon.rcode && nsd.authoritative == merlon.authoritative &&
         nsd.answer == merlon.answer && nsd.authority == merlon.authority;
}

// All that NSD has more was made of a wildcard: no record of the zone has that owner.
bool is_glue_of_wildcard(const Answer& nsd, const Answer& merlon, const HasName& has_name) {
  if (!is_same_but_for_glue(nsd, merlon) ||
      !std::ranges::includes(nsd.additional, merlon.additional)) {
    return false;
  }
  return std::ranges::none_of(nsd.additional, [&](const std::string& record) {
    return !merlon.additional.contains(record) && has_name(record.substr(0, record.find(' ')));
  });
}

// Whether the record ("owner ttl TYPE data") is of this type.
bool is_of_type(const std::string& record, std::string_view type) {
  return record.find(fmt::format(" {} ", type)) != std::string::npos;
}

// Both answer with aliases alone, NSD with a part of ours.
bool is_long_chain(const Answer& nsd, const Answer& merlon, const HasName& /*has_name*/) {
  constexpr std::ptrdiff_t kFollowedByNsd = 31;
  const auto is_alias = [](const std::string& record) {
    return is_of_type(record, "CNAME") || is_of_type(record, "DNAME");
  };
  return nsd.rcode == merlon.rcode && nsd.authoritative == merlon.authoritative &&
         nsd.authority == merlon.authority && std::ranges::includes(merlon.answer, nsd.answer) &&
         std::ranges::all_of(nsd.answer, is_alias) &&
         std::ranges::count_if(nsd.answer, [](const std::string& record) {
           return is_of_type(record, "CNAME");
         }) >= kFollowedByNsd;
}

constexpr std::array<Allowed, 2> kAllowed = {{
    {"glue made of a wildcard",
     "NSD makes addresses for a delegation's server of a wildcard below the cut. A wildcard there "
     "is "
     "not the zone's to expand (RFC 1034 section 4.3.2 step 3b ends at the cut), and glue is what "
     "the zone holds of that very name (RFC 9471 section 2).",
     is_glue_of_wildcard},
    {"chain that NSD ends earlier",
     "DNAMEs that lead to each other make chains of dozens of CNAMEs. NSD ends them after 31, we "
     "after 64; RFC 1034 and RFC 6672 set no number, and a resolver goes on from where it ends.",
     is_long_chain},
}};

}  // namespace

Difference compare(const Answer& nsd, const Answer& merlon, const HasName& has_name) {
  std::string name;
  const auto differs = [&name](std::string_view what) {
    name += name.empty() ? "" : ", ";
    name += what;
  };
  if (nsd.rcode != merlon.rcode) {
    differs(fmt::format("rcode {} for {}", merlon.rcode, nsd.rcode));
  }
  if (nsd.authoritative != merlon.authoritative) {
    differs(merlon.authoritative ? "AA too much" : "AA missing");
  }
  if (nsd.answer != merlon.answer) {
    differs("answer");
  }
  if (nsd.authority != merlon.authority) {
    differs("authority");
  }
  if (nsd.is_referral() && nsd.additional != merlon.additional) {
    differs("glue");
  }
  if (name.empty()) {
    return {};
  }
  for (const Allowed& allowed : kAllowed) {
    if (allowed.is_it(nsd, merlon, has_name)) {
      return {std::string(allowed.name), true};
    }
  }
  return {name, false};
}

std::string explain_allowed() {
  std::string text;
  for (const Allowed& allowed : kAllowed) {
    text += fmt::format("  {}: {}\n", allowed.name, allowed.argument);
  }
  return text;
}

}  // namespace merlon::differential
