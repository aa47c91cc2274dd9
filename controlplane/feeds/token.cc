// SPDX-License-Identifier: Apache-2.0
#include "controlplane/feeds/token.h"

#include <idn2.h>

#include <algorithm>
#include <array>
#include <memory>

#include "controlplane/feeds/lines.h"

namespace merlon::feeds {
namespace {

struct Swap {
  std::string_view from;
  std::string_view to;
};

constexpr std::array<Swap, 14> kSwaps = {{
    {"[.]", "."},
    {"(.)", "."},
    {"{.}", "."},
    {"[.", "."},
    {".]", "."},
    {"[dot]", "."},
    {"(dot)", "."},
    {"[DOT]", "."},
    {"\\.", "."},
    {"[:]", ":"},
    {"[://]", "://"},
    {"[/]", "/"},
    {"[@]", "@"},
    {"[at]", "@"},
}};

bool starts_with_folded(std::string_view text, std::string_view head) {
  return text.size() >= head.size() &&
         std::equal(head.begin(), head.end(), text.begin(), [](char a, char b) {
           return a == (b >= 'A' && b <= 'Z' ? static_cast<char>(b | 0x20) : b);
         });
}

bool has_high_byte(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return (c & 0x80) != 0; });
}

}  // namespace

bool refang(std::string_view token, std::string& out) {
  const bool scheme = starts_with_folded(token, "hxxp") || starts_with_folded(token, "meow") ||
                      starts_with_folded(token, "fxp");
  if (!scheme && token.find_first_of("[({\\") == std::string_view::npos) {
    return false;
  }
  std::string plain;
  bool changed = false;
  if (scheme) {
    const size_t size = starts_with_folded(token, "fxp") ? 3 : 4;
    plain = size == 3 ? "ftp" : "http";
    token.remove_prefix(size);
    changed = true;
  }
  while (!token.empty()) {
    const auto* swap = std::find_if(kSwaps.begin(), kSwaps.end(),
                                    [&](const Swap& item) { return token.starts_with(item.from); });
    if (swap == kSwaps.end()) {
      plain.push_back(token[0]);
      token.remove_prefix(1);
      continue;
    }
    plain += swap->to;
    token.remove_prefix(swap->from.size());
    changed = true;
  }
  if (changed) {
    out = std::move(plain);
  }
  return changed;
}

std::string_view host_of_url(std::string_view url) {
  const size_t scheme = url.find("://");
  if (scheme != std::string_view::npos) {
    url.remove_prefix(scheme + 3);
  }
  url = url.substr(0, url.find_first_of("/?#\\"));
  const size_t at = url.rfind('@');
  return at == std::string_view::npos ? url : url.substr(at + 1);
}

Read<Value> TokenReader::typed(Read<Value> value) const {
  if (value && declaration_.types == Types::ip && value->kind == Value::Kind::name) {
    return std::unexpected(RejectReason::name_not_address);
  }
  if (value && declaration_.types == Types::domain && value->kind == Value::Kind::address) {
    return std::unexpected(RejectReason::address_not_name);
  }
  return value;
}

Read<Value> TokenReader::read(std::string_view token) {
  Read<Value> value = read_value(token);
  return typed(value ? value : rescue(token, value.error()));
}

Read<Value> TokenReader::rescue(std::string_view token, RejectReason reason) {
  switch (reason) {
    case RejectReason::url:
    case RejectReason::wildcard:
      // "https://a.example/*" is refused for its star before it is seen to be a URL.
      return declaration_.urls != Urls::refuse &&
                     (reason == RejectReason::url || token.find("://") != std::string_view::npos)
                 ? read_url(token)
                 : std::unexpected(reason);
    case RejectReason::defanged:
    case RejectReason::bad_domain:
    case RejectReason::unknown:
    case RejectReason::comma_columns:
      if (declaration_.defanged == Switch::yes && refang(token, plain_)) {
        const std::string_view plain = plain_;
        Read<Value> value = read_value(plain);
        return !value && value.error() == RejectReason::url && declaration_.urls != Urls::refuse
                   ? read_url(plain)
                   : value;
      }
      return has_high_byte(token) && reason == RejectReason::bad_domain ? read_idna(token)
                                                                        : std::unexpected(reason);
    case RejectReason::leading_zero:
      return declaration_.decimal_zeros == Switch::yes ? read_unpadded(token)
                                                       : std::unexpected(reason);
    default:
      return std::unexpected(reason);
  }
}

Read<Value> TokenReader::read_url(std::string_view token) {
  std::string_view host = host_of_url(token);
  if (declaration_.urls == Urls::bare) {
    const size_t after = token.find(host) + host.size();
    if (after < token.size() && token.substr(after) != "/") {
      return std::unexpected(RejectReason::url_with_path);
    }
  }
  // A host that is written in a defanged form is as good in a URL as without one.
  std::string plain;
  if (refang(host, plain)) {
    ascii_ = std::move(plain);
    host = ascii_;
  }
  Read<Value> value = read_value(host);
  if (!value && value.error() == RejectReason::bad_domain && has_high_byte(host)) {
    return read_idna(std::string(host));
  }
  return value;
}

Read<Value> TokenReader::read_unpadded(std::string_view token) {
  std::string plain;
  for (size_t i = 0; i < token.size(); ++i) {
    const bool number_begins = i == 0 || !is_digit(token[i - 1]);
    const bool more = i + 1 < token.size() && is_digit(token[i + 1]);
    if (number_begins && token[i] == '0' && more) {
      while (i + 1 < token.size() && token[i] == '0' && is_digit(token[i + 1])) {
        ++i;
      }
    }
    plain.push_back(token[i]);
  }
  plain_ = std::move(plain);
  return read_value(plain_);
}

Read<Value> TokenReader::read_idna(std::string_view token) {
  const std::string text(token);
  char* ascii = nullptr;
  const int code = idn2_to_ascii_8z(text.c_str(), &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
  const std::unique_ptr<char, void (*)(void*)> owner(ascii, &idn2_free);
  if (code != IDN2_OK || ascii == nullptr) {
    return std::unexpected(RejectReason::bad_domain);
  }
  ascii_ = ascii;
  return read_value(ascii_);
}

}  // namespace merlon::feeds
