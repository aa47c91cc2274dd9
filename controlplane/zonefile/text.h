// SPDX-License-Identifier: Apache-2.0
// Master files (RFC 1035 section 5) as entries of tokens: comments, quotes and parentheses are
// understood here, what the tokens mean is not. A file is in memory whole; tokens are views of it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "zones/base/error.h"
#include "zones/name/name.h"

namespace merlon::zonefile {

struct Token {
  std::string_view text;  // escapes as written, without the quotes around it
  bool quoted = false;
  uint32_t line = 0;
};

struct Entry {
  bool without_owner = false;  // the line begins with a blank: the owner before it
  uint32_t line = 0;           // of its first token
  std::vector<Token> tokens;
};

class EntryReader {
 public:
  explicit EntryReader(std::string_view text) : text_(text) {}

  // False at the end and after a fault. `entry` keeps its memory from call to call.
  bool next(Entry& entry);
  // "" or what is wrong at fault_line().
  std::string_view fault() const { return fault_; }
  uint32_t fault_line() const { return fault_line_; }

 private:
  bool fail(std::string_view what);
  bool take_quoted(Entry& entry);
  bool take_plain(Entry& entry);
  bool skip_escape();

  std::string_view text_;
  size_t at_ = 0;
  uint32_t line_ = 1;
  uint32_t open_line_ = 0;  // of the parenthesis that is open
  unsigned depth_ = 0;
  std::string_view fault_;
  uint32_t fault_line_ = 0;
};

// A name as written in a file: `@`, relative names, escapes. Returns "" or what is wrong. `name`
// receives its wire form, at most 255 bytes, as written (not folded).
struct WireName {
  uint8_t bytes[name::kWireSizeMax];
  size_t size = 0;
  Bytes wire() const { return {bytes, size}; }
};
std::string_view read_name(const Token& token, Bytes origin, WireName& name);

// A character-string's bytes with \c and \DDD resolved, appended. Returns "" or what is wrong.
std::string_view append_unescaped(std::string_view text, std::vector<uint8_t>& out);

// Seconds, also as 1w2d3h4m5s. False when it is no time, or above 2^31 - 1 (RFC 2181 section 8).
bool read_period(std::string_view text, uint32_t& seconds);
// A decimal number of at most `max`.
bool read_number(std::string_view text, uint64_t max, uint64_t& number);

}  // namespace merlon::zonefile
