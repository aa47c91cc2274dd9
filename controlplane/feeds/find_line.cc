// SPDX-License-Identifier: Apache-2.0
#include "controlplane/feeds/find_line.h"

#include <algorithm>

#include "controlplane/feeds/parse.h"
#include "zones/address/address.h"
#include "zones/base/bytes.h"
#include "zones/name/fold.h"

namespace merlon::feeds {
namespace {

constexpr size_t kShownSizeMax = 400;
constexpr size_t kCandidatesMax = 1000;

bool is_word(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
         c == '_' || static_cast<uint8_t>(c) >= 0x80;
}

// Nothing around the place makes it part of a longer name or number.
bool stands_alone(std::string_view text, size_t at, size_t size) {
  if (at > 0 && (is_word(text[at - 1]) || text[at - 1] == ':')) {
    return false;
  }
  if (at > 1 && text[at - 1] == '.' && is_word(text[at - 2])) {
    return false;
  }
  const size_t end = at + size;
  return end == text.size() ||
         (!is_word(text[end]) &&
          !(text[end] == '.' && end + 1 < text.size() && is_word(text[end + 1])));
}

std::string_view line_at(std::string_view text, size_t at) {
  const size_t start = at == 0 ? 0 : text.rfind('\n', at - 1) + 1;  // npos + 1 is 0
  const size_t end = text.find('\n', at);
  return text.substr(start, (end == text.npos ? text.size() : end) - start);
}

// Every line can be read without the others.
bool has_lines(Format format) {
  switch (format) {
    case Format::plain:
    case Format::domains:
    case Format::hosts:
    case Format::dshield:
    case Format::spamhaus_drop:
    case Format::wildcard:
    case Format::dnsmasq:
    case Format::unbound:
    case Format::adblock:
      return true;
    default:
      return false;
  }
}

bool lists(std::string_view text, const Declaration& declaration, std::string_view value) {
  const auto parsed = parse(as_bytes(text), declaration);
  if (!parsed) {
    return false;
  }
  const auto prefix = address::parse_prefix(value);
  if (!prefix) {
    return std::ranges::binary_search(parsed->set.domains, value);
  }
  return prefix->family == address::Family::v4
             ? std::ranges::find(parsed->set.v4, prefix->v4()) != parsed->set.v4.end()
             : std::ranges::find(parsed->set.v6, prefix->v6()) != parsed->set.v6.end();
}

std::optional<size_t> search(std::string_view text, const Declaration& declaration,
                             std::string_view written, std::string_view value) {
  size_t candidates = 0;
  for (size_t at = text.find(written); at != text.npos && candidates < kCandidatesMax;
       at = text.find(written, at + 1)) {
    if (!stands_alone(text, at, written.size())) {
      continue;
    }
    ++candidates;
    if (!has_lines(declaration.format) || lists(line_at(text, at), declaration, value)) {
      return at;
    }
  }
  return std::nullopt;
}

// REQUIRES: lists(text, ..).
size_t halve(std::string_view text, const Declaration& declaration, std::string_view value) {
  size_t start = 0;
  while (true) {
    const size_t middle = text.find('\n', text.size() / 2);
    const size_t cut = middle == text.npos || middle + 1 >= text.size()
                           ? text.rfind('\n', text.size() / 2) + 1
                           : middle + 1;
    if (cut == 0 || cut >= text.size()) {
      return start;
    }
    if (lists(text.substr(0, cut), declaration, value)) {
      text = text.substr(0, cut);
    } else {
      text.remove_prefix(cut);
      start += cut;
    }
  }
}

}  // namespace

std::optional<FoundLine> find_line(std::string_view text, const Declaration& declaration,
                                   std::string_view value) {
  std::optional<size_t> at = search(text, declaration, value, value);
  if (!at) {  // names may be in capitals
    std::string small(text);
    for (char& c : small) {
      c = static_cast<char>(name::fold(static_cast<uint8_t>(c)));
    }
    at = search(small, declaration, value, value);
  }
  const size_t slash = value.find('/');
  if (!at && slash != value.npos) {  // first and last, or a mask
    at = search(text, declaration, value.substr(0, slash), value);
  }
  if (!at && has_lines(declaration.format) && lists(text, declaration, value)) {
    at = halve(text, declaration, value);
  }
  if (!at) {
    return std::nullopt;
  }
  const auto lines = std::count(text.begin(), text.begin() + static_cast<ptrdiff_t>(*at), '\n');
  std::string_view line = line_at(text, *at);
  line = line.substr(0, line.find_last_not_of('\r') + 1);
  return FoundLine{.number = static_cast<uint64_t>(lines) + 1,
                   .text = printable(line, kShownSizeMax)};
}

}  // namespace merlon::feeds
