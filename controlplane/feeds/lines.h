// SPDX-License-Identifier: Apache-2.0
// Lines, blanks and comments, the same for every text format. LF and CRLF end a line; a byte order
// mark before the first line is no part of it. Nothing is copied.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace merlon::feeds {

inline bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}
inline bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

inline std::string_view trim_front(std::string_view text) {
  size_t at = 0;
  while (at < text.size() && is_blank(text[at])) {
    ++at;
  }
  return text.substr(at);
}

inline std::string_view trim(std::string_view text) {
  text = trim_front(text);
  size_t size = text.size();
  while (size > 0 && is_blank(text[size - 1])) {
    --size;
  }
  return text.substr(0, size);
}

// `text` begins with # ; or //. Ask this at the start of a line or after a blank only.
inline bool begins_comment(std::string_view text) {
  return !text.empty() && (text[0] == '#' || text[0] == ';' || text.starts_with("//"));
}

// Takes the characters up to the next blank off the front, and the blanks behind them.
inline std::string_view take_token(std::string_view& text) {
  size_t size = 0;
  while (size < text.size() && !is_blank(text[size])) {
    ++size;
  }
  const std::string_view token = text.substr(0, size);
  text = trim_front(text.substr(size));
  return token;
}

class LineReader {
 public:
  explicit LineReader(std::string_view text) : rest_(text) {
    if (rest_.starts_with("\xef\xbb\xbf")) {
      rest_.remove_prefix(3);
    }
  }

  // The next line, trimmed on both sides; false at the end.
  bool next(std::string_view& line) {
    if (rest_.empty()) {
      return false;
    }
    const void* end = std::memchr(rest_.data(), '\n', rest_.size());
    const size_t size = end == nullptr
                            ? rest_.size()
                            : static_cast<size_t>(static_cast<const char*>(end) - rest_.data());
    raw_ = rest_.substr(0, size);
    line = trim(raw_);
    rest_.remove_prefix(end == nullptr ? size : size + 1);
    ++count_;
    return true;
  }

  uint64_t count() const { return count_; }  // lines given so far: the number of the last one
  std::string_view rest() const { return rest_; }
  std::string_view raw() const { return raw_; }  // the last line as it stands, without its LF

 private:
  std::string_view rest_;
  std::string_view raw_;
  uint64_t count_ = 0;
};

// Calls use(number, line) for each line that is neither blank nor a comment; `collector` hears of
// those, and of lines that are too long. Returns the number of lines.
template <class Collector, class Use>
uint64_t for_each_line(std::string_view text, size_t size_max, Collector& collector, Use&& use) {
  LineReader lines(text);
  std::string_view line;
  while (lines.next(line)) {
    if (line.empty() || begins_comment(line)) {
      collector.ignore_line();
    } else if (line.size() > size_max) {
      collector.reject_too_long(lines.count(), line);
    } else {
      use(lines.count(), line);
    }
  }
  return lines.count();
}

}  // namespace merlon::feeds
