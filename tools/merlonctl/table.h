// SPDX-License-Identifier: Apache-2.0
// Text for people: aligned columns by what a terminal shows, not by bytes. Everything printed here
// passes printable(): a feed's title or a rejected line may hold terminal escapes.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace merlon::merlonctl {

enum class Align : unsigned char { left, right };
enum class Tone : unsigned char { plain, good, warning, bad };
enum class Colour : unsigned char { off, on };

struct Column {
  std::string title;
  Align align = Align::left;
};

struct Cell {
  std::string text;
  Tone tone = Tone::plain;
};

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // REQUIRES: as many cells as columns.
  void add(std::vector<Cell> cells);
  bool empty() const { return rows_.empty(); }
  // A header line, then the rows; no blanks at the ends of lines.
  std::string text(Colour colour) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

// "name   value" lines with the values below each other.
std::string details_text(const std::vector<std::pair<std::string, std::string>>& rows);

// Control characters (C0, DEL, C1, line separators, bidirectional controls) and what is not UTF-8
// become U+FFFD.
std::string printable(std::string_view text);

// Columns of a terminal; `text` must be printable. Wide characters take two, combining ones none.
size_t display_width(std::string_view text);

}  // namespace merlon::merlonctl
