// SPDX-License-Identifier: Apache-2.0
#include "tools/merlonctl/table.h"

#include <algorithm>
#include <clocale>
#include <cstdint>
#include <cwchar>

#include "zones/base/assert.h"

namespace merlon::merlonctl {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";
constexpr std::string_view kGap = "  ";

struct Decoded {
  uint32_t character = 0;
  size_t size = 0;  // bytes; 0: not UTF-8 here
};

// One character of UTF-8 (RFC 3629): no overlong forms, no surrogates.
Decoded decode(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint32_t>(static_cast<uint8_t>(text[i])); };
  const uint32_t lead = byte(0);
  if (lead < 0x80) {
    return {lead, 1};
  }
  const size_t size = lead >= 0xc2 && lead < 0xe0   ? 2
                      : lead >= 0xe0 && lead < 0xf0 ? 3
                      : lead >= 0xf0 && lead < 0xf5 ? 4
                                                    : 0;
  if (size == 0 || text.size() < size) {
    return {};
  }
  uint32_t character = lead & (0x7fu >> size);
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) {
      return {};
    }
    character = character << 6 | (byte(i) & 0x3f);
  }
  const bool overlong = (size == 3 && character < 0x800) || (size == 4 && character < 0x10000);
  const bool surrogate = character >= 0xd800 && character < 0xe000;
  return overlong || surrogate || character > 0x10ffff ? Decoded{} : Decoded{character, size};
}

bool is_control(uint32_t c) {
  return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 || c == 0x061c ||
         c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

// wcwidth() follows the locale; this tool needs the widths of UTF-8 whatever the user's is.
int width_of(uint32_t character) {
  static const bool utf8 = std::setlocale(LC_CTYPE, "C.UTF-8") != nullptr;
  if (!utf8 || character < 0x80) {
    return 1;
  }
  const int width = ::wcwidth(static_cast<wchar_t>(character));
  return width < 0 ? 1 : width;
}

std::string_view escape_of(Tone tone) {
  switch (tone) {
    case Tone::good:
      return "\x1b[32m";
    case Tone::warning:
      return "\x1b[33m";
    case Tone::bad:
      return "\x1b[31m";
    case Tone::plain:
      return "";
  }
  return "";
}

void append_padded(std::string& line, const std::string& text, std::string_view escape,
                   size_t blanks, Align align) {
  if (align == Align::right) {
    line.append(blanks, ' ');
  }
  line += escape;
  line += text;
  line += escape.empty() ? "" : "\x1b[0m";
  if (align == Align::left) {
    line.append(blanks, ' ');
  }
}

void end_line(std::string& out, std::string line) {
  line.erase(line.find_last_not_of(' ') + 1);
  out += line;
  out += '\n';
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const Decoded decoded = decode(text);
    if (decoded.size == 0 || is_control(decoded.character)) {
      out += kReplacement;
    } else {
      out += text.substr(0, decoded.size);
    }
    text.remove_prefix(std::max<size_t>(decoded.size, 1));
  }
  return out;
}

size_t display_width(std::string_view text) {
  size_t width = 0;
  while (!text.empty()) {
    const Decoded decoded = decode(text);
    width += decoded.size == 0 ? 1 : static_cast<size_t>(width_of(decoded.character));
    text.remove_prefix(std::max<size_t>(decoded.size, 1));
  }
  return width;
}

void Table::add(std::vector<Cell> cells) {
  MERLON_ASSERT(cells.size() == columns_.size());
  for (Cell& cell : cells) {
    cell.text = printable(cell.text);
  }
  rows_.push_back(std::move(cells));
}

std::string Table::text(Colour colour) const {
  std::vector<size_t> widths;
  for (size_t c = 0; c < columns_.size(); ++c) {
    size_t width = display_width(columns_[c].title);
    for (const std::vector<Cell>& row : rows_) {
      width = std::max(width, display_width(row[c].text));
    }
    widths.push_back(width);
  }
  std::string out;
  std::string header;
  for (size_t c = 0; c < columns_.size(); ++c) {
    header += c == 0 ? "" : kGap;
    append_padded(header, columns_[c].title, colour == Colour::on ? "\x1b[1m" : "",
                  widths[c] - display_width(columns_[c].title), columns_[c].align);
  }
  end_line(out, std::move(header));
  for (const std::vector<Cell>& row : rows_) {
    std::string line;
    for (size_t c = 0; c < columns_.size(); ++c) {
      line += c == 0 ? "" : kGap;
      append_padded(line, row[c].text, colour == Colour::on ? escape_of(row[c].tone) : "",
                    widths[c] - display_width(row[c].text), columns_[c].align);
    }
    end_line(out, std::move(line));
  }
  return out;
}

std::string details_text(const std::vector<std::pair<std::string, std::string>>& rows) {
  size_t width = 0;
  for (const auto& [name, value] : rows) {
    width = std::max(width, display_width(printable(name)));
  }
  std::string out;
  for (const auto& [name, value] : rows) {
    std::string line;
    const std::string key = printable(name);
    append_padded(line, key, "", width - display_width(key), Align::left);
    line += kGap;
    line += printable(value);
    end_line(out, std::move(line));
  }
  return out;
}

}  // namespace merlon::merlonctl
