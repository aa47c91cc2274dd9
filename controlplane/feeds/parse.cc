// SPDX-License-Identifier: Apache-2.0
#include "controlplane/feeds/parse.h"

#include <algorithm>

#include "controlplane/feeds/collector.h"
#include "controlplane/feeds/lines.h"
#include "controlplane/feeds/token.h"

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

Read<Value> read_line(std::string_view line, TokenReader& reader) {
  std::string_view rest = line;
  const std::string_view token = take_token(rest);
  Read<Value> value = read_value(token);
  if (!value) {
    value = reader.rescue(token, value.error());
  }
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

// Names only: what is refused for another reason keeps it, but an address is no name.
Read<Value> read_domain_line(std::string_view line, TokenReader& reader) {
  const std::string_view token = take_token(line);
  Read<Value> value = read_name(token);
  return value ? value : reader.rescue(token, value.error());
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

std::optional<RejectReason> reject_reason_from_name(std::string_view name) {
  for (size_t i = 0; i < kRejectReasonCount; ++i) {
    const auto reason = static_cast<RejectReason>(i);
    if (to_string(reason) == name) {
      return reason;
    }
  }
  return std::nullopt;
}

bool is_foreign(RejectReason reason) {
  switch (reason) {
    case RejectReason::url:
    case RejectReason::url_with_path:
    case RejectReason::path_only:
    case RejectReason::email:
    case RejectReason::hash:
    case RejectReason::file_name:
    case RejectReason::other_indicator:
    case RejectReason::allow_rule:
    case RejectReason::narrow_rule:
    case RejectReason::other_record:
    case RejectReason::observable_only:
    case RejectReason::revoked:
    case RejectReason::negated:
    case RejectReason::not_for_detection:
    case RejectReason::no_value:
      return true;
    default:
      return false;
  }
}

uint64_t parse_values(std::string_view text, const Declaration& declaration, Collector& collector) {
  TokenReader reader(declaration);
  if (declaration.format == Format::domains) {
    return for_each_line(
        text, kLineSizeMax, collector, [&](uint64_t number, std::string_view line) {
          collector.add_line(number, line, reader.typed(read_domain_line(line, reader)));
        });
  }
  if (declaration.types != Types::any) {
    return for_each_line(text, kLineSizeMax, collector,
                         [&](uint64_t number, std::string_view line) {
                           collector.add_line(number, line, reader.typed(read_line(line, reader)));
                         });
  }
  return for_each_line(text, kLineSizeMax, collector, [&](uint64_t number, std::string_view line) {
    collector.add_line(number, line, read_line(line, reader));
  });
}

namespace {

Result<uint64_t> parse_into(std::string_view text, const Declaration& declaration,
                            Collector& collector) {
  switch (declaration.format) {
    case Format::plain:
    case Format::domains:
      return parse_values(text, declaration, collector);
    case Format::hosts:
      return parse_hosts(text, collector);
    case Format::dshield:
      return parse_dshield(text, collector);
    case Format::spamhaus_drop:
      return parse_spamhaus_drop(text, collector);
    case Format::spamhaus_drop_json:
      return parse_spamhaus_drop_json(text, collector);
    case Format::wildcard:
    case Format::dnsmasq:
    case Format::unbound:
    case Format::adblock:
      return parse_rules(text, declaration, collector);
    case Format::rpz:
      return parse_rpz(text, declaration, collector);
    case Format::csv:
      return parse_csv(text, declaration, collector);
    case Format::json:
    case Format::ndjson:
      return parse_json(text, declaration, collector);
    case Format::stix2:
      return parse_stix2(text, declaration, collector);
    case Format::stix1:
      return trim_front(text).starts_with('{') ? parse_stix1_json(text, declaration, collector)
                                               : parse_xml(text, declaration, collector);
    case Format::misp:
      return parse_misp(text, declaration, collector);
    case Format::openioc:
    case Format::rss:
      return parse_xml(text, declaration, collector);
    case Format::prose:
      return parse_prose(text, declaration, collector);
  }
  return 0;
}

}  // namespace

Result<ParsedFeed> parse(Bytes content, const Declaration& declaration) {
  const std::string_view text = as_text(content);
  Collector collector(declaration, text);
  const Result<uint64_t> line_count = parse_into(text, declaration, collector);
  if (!line_count) {
    return std::unexpected(line_count.error());
  }
  return collector.finish(*line_count);
}

Result<ParsedFeed> parse(Bytes content, Format format) {
  Declaration declaration;
  declaration.format = format;
  if (format == Format::csv) {
    declaration.columns = {"1"};
  } else if (format == Format::json || format == Format::ndjson) {
    declaration.paths = {"..ip"};
  }
  return parse(content, declaration);
}

}  // namespace merlon::feeds
