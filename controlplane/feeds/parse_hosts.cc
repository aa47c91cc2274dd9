// SPDX-License-Identifier: Apache-2.0
// Hosts files. The head that such files copy from a real /etc/hosts (localhost, broadcasthost, the
// ip6- names, "0.0.0.0 0.0.0.0") is skipped, whatever address it carries.
#include <algorithm>
#include <array>

#include "controlplane/feeds/collector.h"
#include "controlplane/feeds/lines.h"

namespace merlon::feeds {
namespace {

constexpr std::array<std::string_view, 9> kLocalNames = {
    "localhost",     "localhost.localdomain",   "localhost4", "localhost4.localdomain4",
    "localhost6",    "localhost6.localdomain6", "local",      "loopback",
    "broadcasthost",
};

void parse_line(uint64_t number, std::string_view line, Collector& collector) {
  std::string_view rest = line;
  const std::string_view address = take_token(rest);
  const bool sinkhole = is_sinkhole_address(address);
  bool named = false;
  bool added = false;
  std::optional<RejectReason> reason;
  while (!rest.empty() && !begins_comment(rest)) {
    const std::string_view token = take_token(rest);
    named = true;
    if (is_local_name(token) || token == address) {
      continue;
    }
    const Read<Value> value =
        sinkhole ? read_name(token) : std::unexpected(RejectReason::not_a_sinkhole);
    if (value) {
      collector.add(*value);
      added = true;
    } else if (!reason) {
      reason = value.error();
    }
  }
  if (!named) {
    reason = sinkhole ? RejectReason::no_name : RejectReason::not_a_sinkhole;
  }
  if (reason) {
    collector.reject_line(number, line, *reason);
  } else if (added) {
    collector.take_line();
  } else {
    collector.ignore_line();
  }
}

}  // namespace

bool is_sinkhole_address(std::string_view token) {
  return token == "0.0.0.0" || token == "127.0.0.1" || token == "::" || token == "::1";
}

bool is_local_name(std::string_view name) {
  return name.starts_with("ip6-") ||
         std::find(kLocalNames.begin(), kLocalNames.end(), name) != kLocalNames.end();
}

uint64_t parse_hosts(std::string_view text, Collector& collector) {
  LineReader lines(text);
  std::string_view line;
  while (lines.next(line)) {
    if (line.empty() || begins_comment(line)) {
      collector.ignore_line();
    } else if (line.size() > kLineSizeMax) {
      collector.reject_line(lines.count(), line, RejectReason::line_too_long);
    } else {
      parse_line(lines.count(), line, collector);
    }
  }
  return lines.count();
}

}  // namespace merlon::feeds
