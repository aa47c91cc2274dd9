// SPDX-License-Identifier: Apache-2.0
#include "tests/zones_differential/differences.h"

#include <fmt/format.h>

#include <array>
#include <string_view>

namespace merlon::differential {
namespace {

struct Allowed {
  std::string_view name;
  std::string_view argument;
  bool (*is_it)(const Question& question, const Answer& nsd, const Answer& merlon);
};

constexpr std::array<Allowed, 0> kAllowed = {};

}  // namespace

Difference compare(const Question& question, const Answer& nsd, const Answer& merlon) {
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
    if (allowed.is_it(question, nsd, merlon)) {
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
