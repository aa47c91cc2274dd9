// SPDX-License-Identifier: Apache-2.0
// Name lists in the dress of the programs that use them: wildcards, dnsmasq, Unbound, adblock. Only
// what blocks a name with all below it becomes an entry; a rule that says less than that, or the
// opposite, is refused by name.
#include <algorithm>
#include <array>

#include "controlplane/feeds/collector.h"
#include "controlplane/feeds/lines.h"
#include "controlplane/feeds/token.h"

namespace merlon::feeds {
namespace {

using Refused = std::unexpected<RejectReason>;

Read<Value> read_wildcard(std::string_view line, TokenReader& reader) {
  std::string_view token = take_token(line);
  if (token.starts_with("*.")) {
    token.remove_prefix(2);
  } else if (token.starts_with('.')) {
    token.remove_prefix(1);
  }
  return reader.read(token);
}

bool is_blocking_target(std::string_view target) {
  return target.empty() || target == "#" || is_sinkhole_address(target);
}

// address=/a/b/# : the parts between the slashes are names, what follows the last is the target.
std::optional<RejectReason> read_dnsmasq(std::string_view line, TokenReader& reader,
                                         Collector& collector) {
  const size_t equals = line.find('=');
  const std::string_view key = trim(line.substr(0, equals));
  if (equals == std::string_view::npos || (key != "address" && key != "server" && key != "local")) {
    return equals == std::string_view::npos ? RejectReason::not_a_rule : RejectReason::other_record;
  }
  std::string_view rest = trim(line.substr(equals + 1));
  rest = trim(rest.substr(0, rest.find(" #")));
  const size_t last = rest.rfind('/');
  if (!rest.starts_with('/') || last == 0) {
    return RejectReason::other_record;  // server=192.0.2.1: a resolver, no block
  }
  if (!is_blocking_target(rest.substr(last + 1))) {
    return RejectReason::other_record;
  }
  if (key == "server" && rest.substr(last + 1) == "#") {
    return RejectReason::allow_rule;  // asks the usual servers: an exception
  }
  std::string_view names = rest.substr(1, last - 1);
  std::optional<RejectReason> reason;
  while (true) {
    const size_t slash = names.find('/');
    std::string_view name = names.substr(0, slash);
    name.remove_prefix(name.starts_with('.') ? 1 : name.starts_with("*.") ? 2 : 0);
    const Read<Value> value = reader.read(name);
    if (value) {
      collector.add(*value);
    } else if (!reason) {
      reason = value.error();
    }
    if (slash == std::string_view::npos) {
      return reason;
    }
    names.remove_prefix(slash + 1);
  }
}

std::string_view take_quoted(std::string_view& text) {
  text = trim_front(text);
  if (!text.starts_with('"')) {
    return take_token(text);
  }
  const size_t close = text.find('"', 1);
  const std::string_view inside = text.substr(1, close == text.npos ? close : close - 1);
  text = close == text.npos ? std::string_view{} : trim_front(text.substr(close + 1));
  return inside;
}

constexpr std::array<std::string_view, 10> kBlockingZones = {
    "always_null", "always_nxdomain", "always_refuse", "always_deny", "always_nodata",
    "inform_deny", "refuse",          "deny",          "static",      "redirect",
};

Read<Value> read_unbound(std::string_view line, TokenReader& reader) {
  const size_t colon = line.find(':');
  const std::string_view key = trim(line.substr(0, colon));
  if (colon == std::string_view::npos) {
    return Refused(RejectReason::not_a_rule);
  }
  std::string_view rest = line.substr(colon + 1);
  if (key == "local-zone") {
    const std::string_view name = take_quoted(rest);
    const std::string_view type = take_quoted(rest);
    if (type == "transparent" || type == "always_transparent" || type == "typetransparent") {
      return Refused(RejectReason::allow_rule);
    }
    const bool blocks =
        std::find(kBlockingZones.begin(), kBlockingZones.end(), type) != kBlockingZones.end();
    return blocks ? reader.read(name) : Refused(RejectReason::other_record);
  }
  if (key == "local-data") {
    std::string_view record = take_quoted(rest);
    const std::string_view name = take_token(record);
    std::string_view last;
    while (!record.empty()) {
      last = take_token(record);
    }
    return is_sinkhole_address(last) ? reader.read(name) : Refused(RejectReason::other_record);
  }
  return Refused(RejectReason::other_record);
}

// Options that leave the meaning "this name and all below it".
bool is_harmless(std::string_view options) {
  while (!options.empty()) {
    const size_t comma = options.find(',');
    const std::string_view option = options.substr(0, comma);
    if (option != "important" && option != "all" && option != "document" && option != "doc" &&
        option != "popup") {
      return false;
    }
    options = comma == options.npos ? std::string_view{} : options.substr(comma + 1);
  }
  return true;
}

Read<Value> read_adblock(std::string_view line, TokenReader& reader) {
  if (line.starts_with("@@")) {
    return Refused(RejectReason::allow_rule);
  }
  if (line.find("##") != line.npos || line.find("#@#") != line.npos ||
      line.find("#?#") != line.npos || line.find("#$#") != line.npos) {
    return Refused(RejectReason::narrow_rule);
  }
  std::string_view rule = line;
  const size_t dollar = rule.find('$');
  if (dollar != rule.npos) {
    if (!is_harmless(rule.substr(dollar + 1))) {
      return Refused(RejectReason::narrow_rule);
    }
    rule = rule.substr(0, dollar);
  }
  if (rule.starts_with("||")) {
    rule.remove_prefix(2);
    if (rule.starts_with("*.")) {
      rule.remove_prefix(2);
    }
    if (!rule.ends_with('^')) {
      return Refused(RejectReason::narrow_rule);
    }
    rule.remove_suffix(1);
    return rule.find_first_of("/*^|") != rule.npos ? Refused(RejectReason::narrow_rule)
                                                   : reader.read(rule);
  }
  // Filter lists for DNS hold bare names, too; anything else is a pattern for URLs.
  const bool pattern = rule.find_first_of("/*^|=?&") != rule.npos;
  return pattern ? Refused(RejectReason::narrow_rule) : reader.read(rule);
}

void read_rule(uint64_t number, std::string_view line, const Declaration& declaration,
               TokenReader& reader, Collector& collector) {
  switch (declaration.format) {
    case Format::dnsmasq: {
      const auto reason = read_dnsmasq(line, reader, collector);
      reason ? collector.reject_line(number, line, *reason) : collector.take_line();
      return;
    }
    case Format::unbound:
      if (line.ends_with(':')) {
        collector.ignore_line();  // server: and other clauses
      } else {
        collector.add_line(number, line, read_unbound(line, reader));
      }
      return;
    case Format::adblock:
      collector.add_line(number, line, read_adblock(line, reader));
      return;
    default:
      collector.add_line(number, line, read_wildcard(line, reader));
  }
}

}  // namespace

uint64_t parse_rules(std::string_view text, const Declaration& declaration, Collector& collector) {
  TokenReader reader(declaration);
  const bool adblock = declaration.format == Format::adblock;
  LineReader lines(text);
  std::string_view line;
  while (lines.next(line)) {
    // In adblock lists "#" begins no comment but, doubled, a rule for elements of pages.
    const bool comment = adblock ? line.starts_with('!') || line.starts_with("[Adblock") ||
                                       (line.starts_with('#') && !line.starts_with("##") &&
                                        !line.starts_with("#@") && !line.starts_with("#?"))
                                 : begins_comment(line);
    if (line.empty() || comment) {
      collector.ignore_line();
    } else if (line.size() > kLineSizeMax) {
      collector.reject_too_long(lines.count(), line);
    } else {
      read_rule(lines.count(), line, declaration, reader, collector);
    }
  }
  return lines.count();
}

}  // namespace merlon::feeds
