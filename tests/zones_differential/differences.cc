// SPDX-License-Identifier: Apache-2.0
#include "tests/zones_differential/differences.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <string_view>

#include "zones/wire/wire.h"

namespace merlon::differential {
namespace {

struct Allowed {
  std::string_view name;
  std::string_view argument;
  bool (*is_it)(const Question& question, const Answer& nsd, const Answer& merlon,
                const Names& names);
};

bool is_same_but_for_glue(const Answer& nsd, const Answer& merlon) {
  return nsd.rcode == merlon.rcode && nsd.authoritative == merlon.authoritative &&
         nsd.answer == merlon.answer && nsd.authority == merlon.authority;
}

// All that NSD has more was made of a wildcard: no record of the zone has that owner.
bool is_glue_of_wildcard(const Question&, const Answer& nsd, const Answer& merlon,
                         const Names& names) {
  if (!is_same_but_for_glue(nsd, merlon) ||
      !std::ranges::includes(nsd.additional, merlon.additional)) {
    return false;
  }
  return std::ranges::none_of(nsd.additional, [&](const std::string& record) {
    return !merlon.additional.contains(record) &&
           names.has_record(record.substr(0, record.find(' ')));
  });
}

// The question's name, or the target of an alias in one of the answers.
bool is_any_name(const Question& question, const Answer& nsd, const Answer& merlon,
                 const std::function<bool(const name::Name&)>& is_it) {
  const auto has_target = [&is_it](const Answer& answer) {
    return std::ranges::any_of(answer.targets, is_it);
  };
  return is_it(question.name) || has_target(nsd) || has_target(merlon);
}

bool is_name_of_another_zone(const Question& question, const Answer& nsd, const Answer& merlon,
                             const Names& names) {
  return nsd.authoritative && merlon.authoritative &&
         is_any_name(question, nsd, merlon,
                     [&](const name::Name& name) { return names.is_elsewhere(name); });
}

bool is_ds_without_parent(const Question& question, const Answer& nsd, const Answer& merlon,
                          const Names& names) {
  return question.type == wire::type::ds && nsd.answer == merlon.answer && merlon.authoritative &&
         merlon.rcode == 0 && !merlon.authority.empty() &&
         is_any_name(question, nsd, merlon,
                     [&](const name::Name& name) { return names.has_no_parent(name); });
}

constexpr std::array<Allowed, 3> kAllowed = {{
    {"glue made of a wildcard",
     "NSD makes addresses for a delegation's server of a wildcard below the cut. A wildcard there "
     "is not the zone's to expand (RFC 1034 section 4.3.2 step 3b ends at the cut), and glue is "
     "what "
     "the zone holds of that very name (RFC 9471 section 2).",
     is_glue_of_wildcard},
    {"a name of another zone",
     "NSD keeps the names of all its zones in one tree, so glue in a parent's file makes a name of "
     "the child exist, and the apex of a child names of the parent: it says NODATA, or passes over "
     "a wildcard. RFC 1034 section 4.3.2 matches labels in the one zone that is nearest (step 2), "
     "and what is in none of its records does not exist there (RFC 4592 section 2.2.3).",
     is_name_of_another_zone},
    {"DS without a parent",
     "NSD takes any of its zones with an NS record at the child for the parent, be it below "
     "another "
     "delegation or above a zone between. The nearest zone above that does not delegate to the "
     "child is no parent, and a server that has the child and not the parent says that the child "
     "has no DS (RFC 4035 section 3.1.4.1).",
     is_ds_without_parent},
}};

}  // namespace

Difference compare(const Question& question, const Answer& nsd, const Answer& merlon,
                   const Names& names) {
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
    if (allowed.is_it(question, nsd, merlon, names)) {
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
