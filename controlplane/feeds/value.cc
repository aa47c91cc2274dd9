// SPDX-License-Identifier: Apache-2.0
#include "controlplane/feeds/value.h"

#include <algorithm>
#include <array>

#include "controlplane/feeds/lines.h"
#include "controlplane/feeds/parse.h"
#include "zones/name/name.h"

namespace merlon::feeds {
namespace {

using address::AnyRange;
using address::Bits4;
using address::Bits6;
using address::Family;

constexpr std::string_view kDigitsAndDots = "0123456789.";

bool only_has(std::string_view text, std::string_view characters) {
  return text.find_first_not_of(characters) == std::string_view::npos;
}

// The last two rules that an address has to pass: not absurdly wide, not the unspecified address.
Read<Value> believable(const AnyRange& range) {
  const Bits6 widest = range.family == Family::v4 ? Bits6{address::host_mask<Bits4>(kWidestV4)}
                                                  : address::host_mask<Bits6>(kWidestV6);
  if (range.last - range.first > widest) {
    return std::unexpected(RejectReason::too_wide);
  }
  if (range.first == 0) {
    return std::unexpected(RejectReason::unspecified);
  }
  Value value;
  value.range = range;
  return value;
}

bool is_port(std::string_view text) {
  if (text.empty() || text.size() > 5 || !only_has(text, "0123456789")) {
    return false;
  }
  unsigned port = 0;
  for (const char c : text) {
    port = port * 10 + static_cast<unsigned>(c - '0');
  }
  return port >= 1 && port <= 65535;
}

// What stands behind "address:" or "name:".
Read<Value> with_port(Read<Value> value, std::string_view port) {
  if (!value) {
    return value;
  }
  if (port.find('/') != std::string_view::npos) {
    return std::unexpected(RejectReason::url);
  }
  if (!is_port(port)) {
    return std::unexpected(RejectReason::bad_port);
  }
  value->had_port = true;
  return value;
}

Read<Value> read_bracketed(std::string_view token) {
  const size_t close = token.find(']');
  if (close == std::string_view::npos) {
    return std::unexpected(RejectReason::unknown);
  }
  const std::string_view inside = token.substr(1, close - 1);
  const std::string_view after = token.substr(close + 1);
  if (inside.find(':') == std::string_view::npos) {
    return std::unexpected(RejectReason::unknown);
  }
  const auto parsed = address::parse_address(inside);
  if (!parsed) {
    return std::unexpected(from_fault(parsed.error()));
  }
  Read<Value> value = believable({parsed->family, parsed->bits, parsed->bits});
  if (after.empty() || !value) {
    return value;
  }
  return after[0] == ':'
             ? with_port(value, after.substr(1))
             : std::unexpected(after[0] == '/' ? RejectReason::url : RejectReason::unknown);
}

// 192.0.2.0/0.0.0.255: as routers write it; read as a netmask it would mean another network.
bool has_wildcard_mask(std::string_view token) {
  const size_t slash = token.find('/');
  const auto mask =
      slash == token.npos ? address::parse_v4("") : address::parse_v4(token.substr(slash + 1));
  return mask && *mask != 0 && (*mask & (*mask + 1)) == 0;
}

// Digits and dots, perhaps with a prefix length, that are no dotted quad: 1.2.3, 10.0/16,
// 3232235777, 1.2.3.4.5.
Read<Value> refuse_number_like(std::string_view token, address::Fault fault) {
  if (fault == address::Fault::bad_netmask && has_wildcard_mask(token)) {
    return std::unexpected(RejectReason::wildcard_mask);
  }
  if (fault != address::Fault::not_an_address) {
    return std::unexpected(from_fault(fault));
  }
  const std::string_view number = token.substr(0, token.find('/'));
  size_t dots = 0;
  for (const char c : number) {
    dots += c == '.' ? 1U : 0U;
  }
  const bool short_form = dots < 3 && !number.empty() && number.back() != '.';
  return std::unexpected(short_form ? RejectReason::short_form : RejectReason::not_an_address);
}

bool is_hash(std::string_view token) {
  const size_t size = token.size();
  return (size == 32 || size == 40 || size == 64 || size == 96 || size == 128) &&
         only_has(token, "0123456789abcdefABCDEF");
}

// Endings that are no top-level domain and never will be: programs, documents and data.
bool is_file_name(std::string_view token) {
  static constexpr std::array<std::string_view, 30> kEndings = {
      "exe",  "dll", "txt", "doc", "docx", "docm", "xls",  "xlsx", "xlsm", "pdf",
      "html", "htm", "php", "jsp", "asp",  "aspx", "json", "xml",  "csv",  "log",
      "bin",  "dat", "tmp", "vbs", "ps1",  "lnk",  "scr",  "hta",  "jpg",  "png"};
  const std::string_view last = token.substr(token.rfind('.') + 1);
  if (last.size() < 3 || last.size() > 4) {
    return false;
  }
  return std::any_of(kEndings.begin(), kEndings.end(), [&](std::string_view ending) {
    return std::equal(last.begin(), last.end(), ending.begin(), ending.end(),
                      [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a | 0x20 : a) == b; });
  });
}

Read<Value> read_host_name(std::string_view token) {
  if (!name::host_name_fault(token).empty()) {
    return std::unexpected(RejectReason::bad_domain);
  }
  if (is_file_name(token)) {
    return std::unexpected(RejectReason::file_name);
  }
  if (token.back() == '.') {  // one final dot is good; the check above refused two
    token.remove_suffix(1);
  }
  Value value;
  value.kind = Value::Kind::name;
  value.name = token;
  return value;
}

// "value/rest" that is no prefix: a URL without its scheme when the value is an address or a name.
Read<Value> refuse_slash(std::string_view token, size_t slash) {
  const std::string_view host = token.substr(0, slash);
  const bool url = read_host_name(host.substr(0, host.find(':'))).has_value() ||
                   address::parse_v4(host.substr(0, host.find(':'))).has_value();
  return std::unexpected(url ? RejectReason::url : RejectReason::unknown);
}

// What is certainly neither an address nor a name, by one telling character.
bool refuse_shape(std::string_view token, RejectReason& reason) {
  if (token[0] == '/') {
    reason = RejectReason::path_only;
  } else if (token.find("://") != std::string_view::npos) {
    reason = RejectReason::url;
  } else if (token.find_first_of(",;") != std::string_view::npos) {
    reason = RejectReason::comma_columns;
  } else if (token.find("[.]") != std::string_view::npos ||
             token.find("(.)") != std::string_view::npos ||
             token.find("[dot]") != std::string_view::npos) {
    reason = RejectReason::defanged;
  } else if (token[0] == '.' || token.find('*') != std::string_view::npos) {
    reason = RejectReason::wildcard;
  } else {
    return false;
  }
  return true;
}

Read<Value> read_other(std::string_view token, address::Fault fault) {
  RejectReason reason = RejectReason::unknown;
  if (refuse_shape(token, reason)) {
    return std::unexpected(reason);
  }
  if (token[0] == '[') {
    return read_bracketed(token);
  }
  const size_t slash = token.find('/');
  const size_t colon = token.find(':');
  if (only_has(token.substr(0, slash), kDigitsAndDots)) {
    // 1.2.3.4/x.php is a URL, 1.2.3.4/33 and 1.2.3.4/ are bad prefixes, 1.2.3/8 a short form.
    const bool path =
        slash != std::string_view::npos && !only_has(token.substr(slash + 1), kDigitsAndDots);
    return path ? refuse_slash(token, slash) : refuse_number_like(token, fault);
  }
  const bool one_colon =
      colon != std::string_view::npos && token.find(':', colon + 1) == std::string_view::npos;
  if (one_colon && (slash == std::string_view::npos || colon < slash)) {
    const std::string_view host = token.substr(0, colon);
    const auto v4 = address::parse_v4(host);
    if (v4) {
      return with_port(believable({Family::v4, *v4, *v4}), token.substr(colon + 1));
    }
    return only_has(host, kDigitsAndDots)
               ? refuse_number_like(host, v4.error())
               : with_port(read_host_name(host), token.substr(colon + 1));
  }
  if (colon != std::string_view::npos && (slash == std::string_view::npos || colon < slash) &&
      token.find('@') == std::string_view::npos) {
    return std::unexpected(from_fault(fault));  // several colons: an IPv6 address gone wrong
  }
  if (token.find('@') != std::string_view::npos) {
    return std::unexpected(RejectReason::email);
  }
  if (slash != std::string_view::npos) {
    return refuse_slash(token, slash);
  }
  // a-b of two dotted quads failed for a reason of its own (reversed, an octet too large).
  if (only_has(token, "0123456789.-") && token.find('-') != std::string_view::npos) {
    return std::unexpected(from_fault(fault));
  }
  return is_hash(token) ? std::unexpected(RejectReason::hash) : read_host_name(token);
}

}  // namespace

Read<Value> read_value(std::string_view token) {
  if (token.empty()) {
    return std::unexpected(RejectReason::unknown);
  }
  // Most feeds hold bare IPv4 addresses, and most names do not begin with a digit: neither pays
  // for the other.
  address::Fault fault = address::Fault::not_an_address;
  const bool digit_first = is_digit(token[0]);
  if (digit_first) {
    const auto v4 = address::parse_v4(token);
    if (v4) {
      return believable({Family::v4, *v4, *v4});
    }
    fault = v4.error();
  }
  if (digit_first || token.find(':') != std::string_view::npos) {
    bool host_bits_set = false;
    const auto range = address::parse_range(token, &host_bits_set);
    if (range) {
      Read<Value> value = believable(*range);
      if (value) {
        value->host_bits_set = host_bits_set;
      }
      return value;
    }
    fault = range.error();
  }
  return read_other(token, fault);
}

Read<Value> read_name(std::string_view token) {
  Read<Value> value = read_value(token);
  if (value && value->kind == Value::Kind::address) {
    return std::unexpected(RejectReason::address_not_name);
  }
  if (!value && value.error() == RejectReason::unspecified) {
    return std::unexpected(RejectReason::address_not_name);
  }
  return value;
}

Read<Value> read_network(std::string_view token) {
  bool host_bits_set = false;
  const auto prefix = address::parse_prefix(token, &host_bits_set);
  if (!prefix) {
    return std::unexpected(from_fault(prefix.error()));
  }
  AnyRange range{prefix->family, prefix->bits, prefix->bits};
  range.last |= prefix->family == Family::v4 ? Bits6{address::host_mask<Bits4>(prefix->length)}
                                             : address::host_mask<Bits6>(prefix->length);
  Read<Value> value = believable(range);
  if (value) {
    value->host_bits_set = host_bits_set;
  }
  return value;
}

bool joins_range(std::string_view first, std::string_view rest, Read<Value>& out) {
  const auto low = address::parse_address(first);
  if (!low || rest.empty() || rest[0] != '-') {
    return false;
  }
  rest = trim_front(rest.substr(1));
  const std::string_view last = take_token(rest);
  // "192.0.2.1 - seen in May" is an address with a remark; a dash before digits is a range.
  if (last.find_first_of(".:") == std::string_view::npos ||
      !only_has(last, "0123456789abcdefABCDEF.:")) {
    return false;
  }
  const auto high = address::parse_address(last);
  if (!high) {
    out = std::unexpected(from_fault(high.error()));
  } else if (high->family != low->family) {
    out = std::unexpected(RejectReason::families_differ);
  } else if (high->bits < low->bits) {
    out = std::unexpected(RejectReason::range_reversed);
  } else {
    out = believable({low->family, low->bits, high->bits});
  }
  return true;
}

}  // namespace merlon::feeds
