// SPDX-License-Identifier: Apache-2.0
#include "controlplane/store/own_lists.h"

#include <fmt/format.h>

#include <array>

#include "zones/base/bytes.h"
#include "zones/name/name.h"

namespace merlon::store {
namespace {

constexpr size_t kQuotedSizeMax = 120;
constexpr std::string_view kWildcard = "*.";

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const size_t first = text.find_first_not_of(kBlanks);
  return first == std::string_view::npos
             ? std::string_view()
             : text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

template <class Bits>
void append_network(std::string& out, Bits bits) {
  std::array<uint8_t, sizeof(Bits)> bytes{};
  address::store_network(bits, bytes.data());
  out.append(as_text(bytes));
}

std::string text_of(const address::AnyRange& range) {
  return range.family == address::Family::v4 ? address::to_text(range.v4())
                                             : address::to_text(range.v6());
}

// All but the text.
bool decode_value(std::string_view key, OwnValue& out) {
  if (key.size() < 2) {
    return false;
  }
  const uint8_t* bytes = as_bytes(key).data() + 1;
  out.range = {};
  out.domain.clear();
  if (key.front() == '4' && key.size() == 9) {
    out.kind = OwnValue::Kind::address4;
    out.range = {address::Family::v4, address::load_network_v4(bytes),
                 address::load_network_v4(bytes + 4)};
    return out.range.first <= out.range.last;
  }
  if (key.front() == '6' && key.size() == 33) {
    out.kind = OwnValue::Kind::address6;
    out.range = {address::Family::v6, address::load_network_v6(bytes),
                 address::load_network_v6(bytes + 16)};
    return out.range.first <= out.range.last;
  }
  if (key.front() == 'd') {
    out.kind = OwnValue::Kind::domain;
    out.domain = key.substr(1);
    return true;
  }
  return false;
}

// "192.0.2.1/24" is asked back, not widened.
Result<OwnValue> from_range(std::string_view text, const address::AnyRange& range,
                            bool host_bits_set) {
  OwnValue value;
  value.kind =
      range.family == address::Family::v4 ? OwnValue::Kind::address4 : OwnValue::Kind::address6;
  value.range = range;
  value.text = text_of(range);
  if (host_bits_set) {
    return fail(ErrorCode::invalid_argument,
                "\"{}\" has bits set behind its length: {} is the prefix", text, value.text);
  }
  return value;
}

Result<OwnValue> from_domain(std::string_view text) {
  const bool wildcard = text.starts_with(kWildcard);
  const std::string_view host = wildcard ? text.substr(kWildcard.size()) : text;
  if (const auto fault = name::host_name_fault(host); !fault.empty()) {
    return fail(ErrorCode::invalid_argument,
                "\"{}\" is neither an address, prefix or range nor a domain ({})", text, fault);
  }
  const auto parsed = name::Name::from_text(host);
  if (!parsed) {
    return std::unexpected(parsed.error());
  }
  std::string folded = parsed->folded().to_text();
  folded.pop_back();
  OwnValue value;
  value.kind = OwnValue::Kind::domain;
  value.domain = fmt::format("{}{}", wildcard ? kWildcard : "", folded);
  value.text = value.domain;
  return value;
}

}  // namespace

std::string OwnValue::key() const {
  std::string key;
  switch (kind) {
    case Kind::address4:
      key.push_back('4');
      append_network(key, range.v4().first);
      append_network(key, range.v4().last);
      break;
    case Kind::address6:
      key.push_back('6');
      append_network(key, range.first);
      append_network(key, range.last);
      break;
    case Kind::domain:
      key.push_back('d');
      key.append(domain);
      break;
  }
  return key;
}

Result<OwnValue> parse_own_value(std::string_view given) {
  const std::string_view text = trimmed(given);
  const std::string_view shown = text.substr(0, kQuotedSizeMax);
  if (text.empty()) {
    return fail(ErrorCode::invalid_argument, "the value is empty");
  }
  bool host_bits_set = false;
  const auto range = address::parse_range(text, &host_bits_set);
  if (range) {
    return from_range(shown, *range, host_bits_set);
  }
  if (range.error() != address::Fault::not_an_address) {
    return fail(ErrorCode::invalid_argument, "\"{}\" {}", shown, address::explain(range.error()));
  }
  if (text.size() > name::kWireSizeMax + kWildcard.size()) {
    return fail(ErrorCode::invalid_argument, "\"{}...\" is longer than any domain", shown);
  }
  return from_domain(text);
}

bool decode_own_key(std::string_view key, OwnValue& out) {
  if (!decode_value(key, out)) {
    return false;
  }
  out.text = out.kind == OwnValue::Kind::domain ? out.domain : text_of(out.range);
  return true;
}

bool decode_own_set(std::string_view key, FeedSet& into) {
  OwnValue value;
  if (!decode_value(key, value)) {
    return false;
  }
  switch (value.kind) {
    case OwnValue::Kind::address4:
      address::for_each_prefix<address::Bits4>(
          value.range.v4(), [&](const auto& prefix) { into.v4.push_back(prefix); });
      break;
    case OwnValue::Kind::address6:
      address::for_each_prefix<address::Bits6>(
          value.range.v6(), [&](const auto& prefix) { into.v6.push_back(prefix); });
      break;
    case OwnValue::Kind::domain:
      into.domains.push_back(std::move(value.domain));
      break;
  }
  return true;
}

}  // namespace merlon::store
