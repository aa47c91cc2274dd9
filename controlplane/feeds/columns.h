// SPDX-License-Identifier: Apache-2.0
// One line of a table, cut into fields: RFC 4180's quoting, blanks around fields dropped.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/feeds/lines.h"

namespace merlon::feeds {

class ColumnReader {
 public:
  explicit ColumnReader(char delimiter) : delimiter_(delimiter) {}

  // False when a quotation mark stays open. The fields live until the next call.
  bool read(std::string_view line, std::vector<std::string_view>& fields);

 private:
  bool take_quoted(std::string_view& rest, std::string_view& field);

  char delimiter_;
  std::deque<std::string> unescaped_;
};

// The rows of a table. A field in quotes may go on over line ends: such a row has the number of its
// first line. A quotation mark that nothing closes within 200 lines spoils one line only.
class RowReader {
 public:
  enum class Kind : uint8_t { nothing, fields, too_long, open_quote };

  RowReader(std::string_view text, char delimiter);
  bool next();                         // false at the end
  Kind kind() const { return kind_; }  // nothing: a blank line or a comment
  uint64_t number() const { return number_; }
  uint64_t line_count() const { return line_count_; }  // of this row
  std::string_view text() const { return text_; }
  const std::vector<std::string_view>& fields() const { return fields_; }

 private:
  std::string_view take_line();
  bool join_lines();

  ColumnReader columns_;
  std::string_view rest_;
  std::string_view text_;
  std::vector<std::string_view> fields_;
  char delimiter_;
  Kind kind_ = Kind::nothing;
  uint64_t number_ = 0;
  uint64_t line_count_ = 0;
};

}  // namespace merlon::feeds
