// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <charconv>

#include "controlplane/feeds/collector.h"
#include "controlplane/feeds/columns.h"
#include "controlplane/feeds/lines.h"
#include "controlplane/feeds/time_field.h"
#include "controlplane/feeds/token.h"

namespace merlon::feeds {

bool ColumnReader::take_quoted(std::string_view& rest, std::string_view& field) {
  size_t close = rest.find('"', 1);
  if (close == rest.npos) {
    return false;
  }
  if (close + 1 < rest.size() && rest[close + 1] == '"') {
    std::string& text = unescaped_.emplace_back();
    size_t at = 1;
    while (true) {
      const size_t mark = rest.find('"', at);
      if (mark == rest.npos) {
        return false;
      }
      text += rest.substr(at, mark - at);
      if (mark + 1 >= rest.size() || rest[mark + 1] != '"') {
        close = mark;
        break;
      }
      text.push_back('"');
      at = mark + 2;
    }
    field = text;
  } else {
    field = rest.substr(1, close - 1);
  }
  rest.remove_prefix(close + 1);
  return true;
}

bool ColumnReader::read(std::string_view line, std::vector<std::string_view>& fields) {
  fields.clear();
  unescaped_.clear();
  std::string_view rest = line;
  while (true) {
    if (delimiter_ != '\t' && delimiter_ != ' ') {
      rest = trim_front(rest);
    }
    std::string_view field;
    if (rest.starts_with('"')) {
      if (!take_quoted(rest, field)) {
        return false;
      }
      const size_t next = rest.find(delimiter_);
      rest = next == rest.npos ? std::string_view{} : rest.substr(next);
    } else {
      const size_t next = rest.find(delimiter_);
      field = rest.substr(0, next);
      rest = next == rest.npos ? std::string_view{} : rest.substr(next);
    }
    fields.push_back(trim(field));
    if (rest.empty()) {
      return true;
    }
    rest.remove_prefix(1);
    while (delimiter_ == ' ' && !rest.empty() && is_blank(rest[0])) {
      rest.remove_prefix(1);
    }
  }
}

namespace {

constexpr size_t kRowSizeMax = 64 << 10;
constexpr uint64_t kRowLinesMax = 200;

}  // namespace

RowReader::RowReader(std::string_view text, char delimiter)
    : columns_(delimiter), rest_(text), delimiter_(delimiter) {
  if (rest_.starts_with("\xef\xbb\xbf")) {
    rest_.remove_prefix(3);
  }
}

std::string_view RowReader::take_line() {
  const size_t end = rest_.find('\n');
  const std::string_view line = rest_.substr(0, end);
  rest_.remove_prefix(end == rest_.npos ? rest_.size() : end + 1);
  return line;
}

// The row goes on until its quotation marks are even in number.
bool RowReader::join_lines() {
  const std::string_view after = rest_;
  const std::string_view first = text_;
  auto marks = std::count(text_.begin(), text_.end(), '"');
  while (marks % 2 != 0 && !rest_.empty() && line_count_ < kRowLinesMax &&
         text_.size() < kRowSizeMax) {
    const std::string_view line = take_line();
    marks += std::count(line.begin(), line.end(), '"');
    text_ = {first.data(), static_cast<size_t>(line.data() + line.size() - first.data())};
    ++line_count_;
  }
  if (marks % 2 == 0 && text_.size() < kRowSizeMax && columns_.read(text_, fields_)) {
    return true;
  }
  rest_ = after;
  text_ = first;
  line_count_ = 1;
  return false;
}

bool RowReader::next() {
  if (rest_.empty()) {
    return false;
  }
  number_ += line_count_ + (number_ == 0 ? 1 : 0);
  line_count_ = 1;
  text_ = take_line();
  const std::string_view line = trim(text_);
  if (line.empty() || (begins_comment(line) && line[0] != delimiter_)) {
    kind_ = Kind::nothing;
  } else if (text_.size() > kRowSizeMax) {
    kind_ = Kind::too_long;
  } else {
    kind_ = columns_.read(text_, fields_) || join_lines() ? Kind::fields : Kind::open_quote;
  }
  return true;
}

namespace {

struct Columns {
  std::vector<size_t> values;
  std::optional<size_t> start;
  std::optional<size_t> end;
  std::optional<size_t> prefix;
  std::optional<size_t> where;
  std::optional<size_t> expires;
  std::vector<std::string> wanted;  // what the column `where` must hold, in lower case
};

std::string folded(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    c = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  }
  return out;
}

std::optional<size_t> index_of(const std::string& column,
                               const std::vector<std::string_view>& names) {
  size_t number = 0;
  const char* last = column.data() + column.size();
  const auto [stop, error] = std::from_chars(column.data(), last, number);
  if (error == std::errc() && stop == last) {
    return number >= 1 && number <= 4096 ? std::optional(number - 1) : std::nullopt;
  }
  const auto found = std::find(names.begin(), names.end(), column);
  return found == names.end() ? std::nullopt
                              : std::optional(static_cast<size_t>(found - names.begin()));
}

Result<Columns> resolve(const Declaration& declaration,
                        const std::vector<std::string_view>& names) {
  Columns columns;
  const auto find = [&](const std::string& column) -> Result<size_t> {
    const auto index = index_of(column, names);
    if (!index) {
      std::string known;
      for (const std::string_view name : names) {
        known += fmt::format("{}{}", known.empty() ? "" : ", ", printable(name, 40));
      }
      return fail(ErrorCode::invalid_argument, "the table has no column \"{}\"; it has {}",
                  printable(column, 40), known.empty() ? "no header" : known);
    }
    return *index;
  };
  for (const std::string& column : declaration.columns) {
    const Result<size_t> index = find(column);
    if (!index) {
      return std::unexpected(index.error());
    }
    columns.values.push_back(*index);
  }
  for (const auto& [column, member] :
       {std::pair(&declaration.start, &Columns::start), std::pair(&declaration.end, &Columns::end),
        std::pair(&declaration.prefix, &Columns::prefix),
        std::pair(&declaration.expires, &Columns::expires)}) {
    if (!column->empty()) {
      const Result<size_t> index = find(*column);
      if (!index) {
        return std::unexpected(index.error());
      }
      columns.*member = *index;
    }
  }
  if (!declaration.where.empty()) {
    const size_t colon = declaration.where.find(':');
    const Result<size_t> index = find(declaration.where.substr(0, colon));
    if (!index) {
      return std::unexpected(index.error());
    }
    columns.where = *index;
    std::string_view rest = std::string_view(declaration.where).substr(colon + 1);
    while (!rest.empty()) {
      const size_t bar = rest.find('|');
      columns.wanted.push_back(folded(trim(rest.substr(0, bar))));
      rest = bar == rest.npos ? std::string_view{} : rest.substr(bar + 1);
    }
  }
  return columns;
}

bool is_nothing(std::string_view field) {
  return field.empty() || field == "-" || field == "N/A" || field == "NA" || field == "?" ||
         field == "null" || field == "NULL" || field == "None";
}

class TableReader {
 public:
  TableReader(const Declaration& declaration, Collector& collector, Columns columns)
      : reader_(declaration), collector_(collector), columns_(std::move(columns)) {}

  void read(uint64_t number, std::string_view line, const std::vector<std::string_view>& fields);

 private:
  Read<Value> read_span(const std::vector<std::string_view>& fields);

  TokenReader reader_;
  Collector& collector_;
  Columns columns_;
  std::string text_;
};

Read<Value> TableReader::read_span(const std::vector<std::string_view>& fields) {
  const size_t second = columns_.end ? *columns_.end : *columns_.prefix;
  if (std::max(*columns_.start, second) >= fields.size()) {
    return std::unexpected(RejectReason::missing_column);
  }
  text_ = fmt::format("{}{}{}", fields[*columns_.start], columns_.end ? "-" : "/", fields[second]);
  Read<Value> value = read_value(text_);
  if (value && columns_.end && columns_.prefix && *columns_.prefix < fields.size()) {
    const auto network =
        read_network(fmt::format("{}/{}", fields[*columns_.start], fields[*columns_.prefix]));
    if (!network || !(network->range == value->range)) {
      return std::unexpected(RejectReason::mask_mismatch);
    }
  }
  return value;
}

void TableReader::read(uint64_t number, std::string_view line,
                       const std::vector<std::string_view>& fields) {
  if (columns_.where) {
    const std::string kind =
        *columns_.where < fields.size() ? folded(fields[*columns_.where]) : std::string();
    if (std::find(columns_.wanted.begin(), columns_.wanted.end(), kind) == columns_.wanted.end()) {
      collector_.reject_line(number, line, RejectReason::other_indicator);
      return;
    }
  }
  int64_t ends = 0;
  if (columns_.expires && *columns_.expires < fields.size() &&
      !is_nothing(fields[*columns_.expires])) {
    const auto time = read_time(fields[*columns_.expires]);
    if (!time) {
      collector_.note(fmt::format("line {}: \"{}\" is not a time, the entry has no end", number,
                                  fields[*columns_.expires]));
    }
    ends = time.value_or(0);
  }
  std::optional<RejectReason> reason;
  bool added = false;
  const auto take = [&](const Read<Value>& value) {
    if (value) {
      collector_.add(*value, ends);
      added = true;
    } else if (!reason) {
      reason = value.error();
    }
  };
  if (columns_.start) {
    take(read_span(fields));
  }
  for (const size_t column : columns_.values) {
    if (column >= fields.size()) {
      reason = reason.value_or(RejectReason::missing_column);
    } else if (!is_nothing(fields[column])) {
      take(reader_.read(fields[column]));
    }
  }
  if (reason) {
    collector_.reject_line(number, line, *reason);
  } else if (added) {
    collector_.take_line();
  } else {
    collector_.reject_line(number, line, RejectReason::no_value);
  }
}

}  // namespace

Result<uint64_t> parse_csv(std::string_view text, const Declaration& declaration,
                           Collector& collector) {
  RowReader rows(text, declaration.delimiter);
  bool wants_header = declaration.header == Switch::yes;
  std::optional<TableReader> table;
  uint64_t line_count = 0;
  while (rows.next()) {
    line_count = rows.number() + rows.line_count() - 1;
    for (uint64_t i = 1; i < rows.line_count(); ++i) {
      collector.ignore_line();  // the further lines of one row
    }
    if (rows.kind() == RowReader::Kind::nothing) {
      collector.ignore_line();
      continue;
    }
    if (rows.kind() != RowReader::Kind::fields) {
      collector.reject_line(rows.number(), trim(rows.text()),
                            rows.kind() == RowReader::Kind::too_long ? RejectReason::line_too_long
                                                                     : RejectReason::open_quote);
      continue;
    }
    if (!table) {
      Result<Columns> columns =
          resolve(declaration, wants_header ? rows.fields() : std::vector<std::string_view>{});
      if (!columns) {
        return std::unexpected(columns.error());
      }
      table.emplace(declaration, collector, std::move(*columns));
    }
    if (wants_header) {
      wants_header = false;
      collector.ignore_line();
    } else {
      table->read(rows.number(), trim(rows.text()), rows.fields());
    }
  }
  return line_count;
}

}  // namespace merlon::feeds
