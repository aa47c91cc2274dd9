// SPDX-License-Identifier: Apache-2.0
#include "controlplane/zonefile/text.h"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace merlon::zonefile {
namespace {

constexpr unsigned kDepthMax = 16;  // of parentheses, which RFC 1035 does not nest
constexpr size_t kTokensMax = 70'000;

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Reads what follows a backslash at text[at]; at moves behind it. Returns -1 when it is no escape.
int read_escape(std::string_view text, size_t& at) {
  if (at >= text.size()) {
    return -1;
  }
  if (!is_digit(text[at])) {
    return static_cast<uint8_t>(text[at++]);
  }
  if (text.size() - at < 3 || !is_digit(text[at + 1]) || !is_digit(text[at + 2])) {
    return -1;
  }
  const int value = (text[at] - '0') * 100 + (text[at + 1] - '0') * 10 + (text[at + 2] - '0');
  at += 3;
  return value <= 255 ? value : -1;
}

}  // namespace

bool EntryReader::fail(std::string_view what) {
  fault_ = what;
  fault_line_ = line_;
  at_ = text_.size();
  return false;
}

// at_ is behind a backslash.
bool EntryReader::skip_escape() {
  if (at_ >= text_.size() || text_[at_] == '\n') {
    return fail("a backslash at the end of the line");
  }
  ++at_;
  return true;
}

// at_ is at the opening quote.
bool EntryReader::take_quoted(Entry& entry) {
  const size_t first = ++at_;
  while (at_ < text_.size() && text_[at_] != '"') {
    if (text_[at_] == '\n') {
      return fail("a string without its closing quote");
    }
    if (text_[at_++] == '\\' && !skip_escape()) {
      return false;
    }
  }
  if (at_ >= text_.size()) {
    return fail("a string without its closing quote");
  }
  entry.tokens.push_back({text_.substr(first, at_ - first), true, line_});
  ++at_;
  return true;
}

bool EntryReader::take_plain(Entry& entry) {
  const size_t first = at_;
  while (at_ < text_.size()) {
    const char c = text_[at_];
    if (is_blank(c) || c == '\n' || c == ';' || c == '(' || c == ')') {
      break;
    }
    if (c == '\0') {
      return fail("a zero byte");
    }
    ++at_;
    if (c == '\\') {
      if (!skip_escape()) {
        return false;
      }
    } else if (c == '"') {
      if (at_ - 1 == first || text_[at_ - 2] != '=') {  // key="value", RFC 9460 section 2.1
        --at_;
        break;
      }
      while (at_ < text_.size() && text_[at_] != '"' && text_[at_] != '\n') {
        if (text_[at_++] == '\\' && !skip_escape()) {
          return false;
        }
      }
      if (at_ >= text_.size() || text_[at_] == '\n') {
        return fail("a string without its closing quote");
      }
      ++at_;
    }
  }
  entry.tokens.push_back({text_.substr(first, at_ - first), false, line_});
  return true;
}

bool EntryReader::next(Entry& entry) {
  entry.tokens.clear();
  bool line_start = true;
  while (at_ < text_.size()) {
    const char c = text_[at_];
    if (line_start && depth_ == 0 && entry.tokens.empty()) {
      entry.without_owner = is_blank(c);
    }
    line_start = false;
    if (c == '\n') {
      ++at_;
      ++line_;
      if (depth_ == 0) {
        if (!entry.tokens.empty()) {
          return true;
        }
        line_start = true;
      }
      continue;
    }
    if (is_blank(c)) {
      ++at_;
      continue;
    }
    if (c == ';') {
      at_ = std::min(text_.find('\n', at_), text_.size());
      continue;
    }
    if (c == '(' || c == ')') {
      if (c == ')' && depth_ == 0) {
        return fail("a closing parenthesis without an opening one");
      }
      if (c == '(' && depth_ == kDepthMax) {
        return fail("parentheses nested too deep");
      }
      open_line_ = c == '(' && depth_ == 0 ? line_ : open_line_;
      depth_ = c == '(' ? depth_ + 1 : depth_ - 1;
      ++at_;
      continue;
    }
    if (entry.tokens.empty()) {
      entry.line = line_;
    }
    if (entry.tokens.size() == kTokensMax) {
      return fail("too many fields");
    }
    if (!(c == '"' ? take_quoted(entry) : take_plain(entry))) {
      return false;
    }
  }
  if (depth_ != 0 && fault_.empty()) {
    line_ = open_line_;
    return fail("a parenthesis that is never closed");
  }
  return fault_.empty() && !entry.tokens.empty();
}

std::string_view read_name(const Token& token, Bytes origin, WireName& name) {
  const std::string_view text = token.text;
  if (text == "@" && !token.quoted) {
    if (origin.empty()) {
      return "a relative name, and no $ORIGIN";
    }
    std::memcpy(name.bytes, origin.data(), origin.size());
    name.size = origin.size();
    return "";
  }
  if (text == ".") {
    name.bytes[0] = 0;
    name.size = 1;
    return "";
  }
  if (text.empty()) {
    return "an empty name";
  }
  size_t label = 0;  // the place of the open label's length
  size_t size = 1;
  for (size_t at = 0; at < text.size();) {
    const char c = text[at++];
    if (c == '.') {
      if (size == label + 1) {
        return "an empty label";
      }
      name.bytes[label] = static_cast<uint8_t>(size - label - 1);
      label = size++;
      continue;
    }
    const int value = c == '\\' ? read_escape(text, at) : static_cast<uint8_t>(c);
    if (value < 0) {
      return "an escape that is not \\DDD with at most 255";
    }
    if (size - label - 1 == name::kLabelSizeMax) {
      return "a label of more than 63 bytes";
    }
    if (size >= name::kWireSizeMax) {
      return "a name of more than 255 bytes";
    }
    name.bytes[size++] = static_cast<uint8_t>(value);
  }
  if (size == label + 1) {  // ended with a dot: absolute
    if (size > name::kWireSizeMax) {
      return "a name of more than 255 bytes";
    }
    name.bytes[label] = 0;
    name.size = size;
    return "";
  }
  name.bytes[label] = static_cast<uint8_t>(size - label - 1);
  if (origin.empty()) {
    return "a relative name, and no $ORIGIN";
  }
  if (size + origin.size() > name::kWireSizeMax) {
    return "a name of more than 255 bytes";
  }
  std::memcpy(name.bytes + size, origin.data(), origin.size());
  name.size = size + origin.size();
  return "";
}

std::string_view append_unescaped(std::string_view text, std::vector<uint8_t>& out) {
  for (size_t at = 0; at < text.size();) {
    const char c = text[at++];
    const int value = c == '\\' ? read_escape(text, at) : static_cast<uint8_t>(c);
    if (value < 0) {
      return "an escape that is not \\DDD with at most 255";
    }
    out.push_back(static_cast<uint8_t>(value));
  }
  return "";
}

bool read_number(std::string_view text, uint64_t max, uint64_t& number) {
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && at == end && !text.empty() && number <= max;
}

bool read_period(std::string_view text, uint32_t& seconds) {
  uint64_t total = 0;
  uint64_t number = 0;
  bool digits = false;
  bool units = false;
  for (const char c : text) {
    if (is_digit(c)) {
      number = number * 10 + static_cast<uint64_t>(c - '0');
      digits = true;
      if (number > INT32_MAX) {
        return false;
      }
      continue;
    }
    uint64_t unit = 0;
    switch (c | 0x20) {
      case 's':
        unit = 1;
        break;
      case 'm':
        unit = 60;
        break;
      case 'h':
        unit = 3600;
        break;
      case 'd':
        unit = 86400;
        break;
      case 'w':
        unit = 604800;
        break;
      default:
        return false;
    }
    if (!digits) {
      return false;
    }
    total += number * unit;
    number = 0;
    digits = false;
    units = true;
    if (total > INT32_MAX) {
      return false;
    }
  }
  if (text.empty() || (!digits && !units)) {
    return false;
  }
  total += number;
  seconds = static_cast<uint32_t>(total);
  return total <= INT32_MAX;
}

}  // namespace merlon::zonefile
