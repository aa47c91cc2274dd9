// SPDX-License-Identifier: Apache-2.0
#include "controlplane/feeds/parse.h"

#include <algorithm>

#include "controlplane/feeds/collector.h"
#include "controlplane/feeds/lines.h"

namespace merlon::feeds {
namespace {

// "192.0.2.0 192.0.2.255" may be a range and "192.0.2.0 255.255.255.0" a network: reading the first
// column alone would list something that was not meant.
bool is_second_address(std::string_view rest) {
  if (rest.empty() || !is_digit(rest[0])) {
    return false;
  }
  const std::string_view token = take_token(rest);
  return token.size() >= 7 && address::parse_prefix(token).has_value();
}

Read<Value> read_line(std::string_view line, Format format) {
  std::string_view rest = line;
  const std::string_view token = take_token(rest);
  if (format == Format::domains) {
    return read_name(token);
  }
  Read<Value> value = read_value(token);
  if (rest.empty()) {
    return value;
  }
  // first - last, first -last, first- last: the dash ends the token or begins the rest.
  const bool dash_ends = token.back() == '-';
  const std::string_view first = dash_ends ? token.substr(0, token.size() - 1) : token;
  if (joins_range(first, dash_ends ? line.substr(first.size()) : rest, value)) {
    return value;
  }
  if (value && value->kind == Value::Kind::address && is_second_address(rest)) {
    return std::unexpected(RejectReason::two_addresses);
  }
  return value;
}

}  // namespace

std::string_view to_string(RejectReason reason) {
  switch (reason) {
#define MERLON_X(name, text) \
  case RejectReason::name:   \
    return #name;
    MERLON_REJECT_REASONS(MERLON_X)
#undef MERLON_X
  }
  return "unknown";
}

std::string_view explain(RejectReason reason) {
  switch (reason) {
#define MERLON_X(name, text) \
  case RejectReason::name:   \
    return text;
    MERLON_REJECT_REASONS(MERLON_X)
#undef MERLON_X
  }
  return "is neither an address nor a name";
}

RejectReason from_fault(address::Fault fault) {
  switch (fault) {
#define MERLON_X(name, text) \
  case address::Fault::name: \
    return RejectReason::name;
    MERLON_ADDRESS_FAULTS(MERLON_X)
#undef MERLON_X
  }
  return RejectReason::not_an_address;
}

std::string_view to_string(Format format) {
  switch (format) {
#define MERLON_X(name, text) \
  case Format::name:         \
    return #name;
    MERLON_FEED_FORMATS(MERLON_X)
#undef MERLON_X
  }
  return "plain";
}

std::string_view describe(Format format) {
  switch (format) {
#define MERLON_X(name, text) \
  case Format::name:         \
    return text;
    MERLON_FEED_FORMATS(MERLON_X)
#undef MERLON_X
  }
  return "";
}

const std::vector<Format>& all_formats() {
  static const std::vector<Format> kFormats = {
#define MERLON_X(name, text) Format::name,
      MERLON_FEED_FORMATS(MERLON_X)
#undef MERLON_X
  };
  return kFormats;
}

std::optional<Format> format_from_name(std::string_view name) {
  const auto& formats = all_formats();
  const auto found = std::find_if(formats.begin(), formats.end(),
                                  [&](Format format) { return to_string(format) == name; });
  return found == formats.end() ? std::nullopt : std::optional(*found);
}

uint64_t parse_values(std::string_view text, Format format, Collector& collector) {
  LineReader lines(text);
  std::string_view line;
  while (lines.next(line)) {
    if (line.empty() || begins_comment(line)) {
      collector.ignore_line();
    } else if (line.size() > kLineSizeMax) {
      collector.reject_line(lines.count(), line, RejectReason::line_too_long);
    } else {
      collector.add_line(lines.count(), line, read_line(line, format));
    }
  }
  return lines.count();
}

Result<ParsedFeed> parse(Bytes content, Format format) {
  const std::string_view text = as_text(content);
  Collector collector(format, text);
  uint64_t line_count = 0;
  switch (format) {
    case Format::plain:
    case Format::domains:
      line_count = parse_values(text, format, collector);
      break;
    case Format::hosts:
      line_count = parse_hosts(text, collector);
      break;
    case Format::dshield:
      line_count = parse_dshield(text, collector);
      break;
    case Format::spamhaus_drop:
      line_count = parse_spamhaus_drop(text, collector);
      break;
    case Format::spamhaus_drop_json:
      line_count = parse_spamhaus_drop_json(text, collector);
      break;
  }
  return collector.finish(line_count);
}

}  // namespace merlon::feeds
