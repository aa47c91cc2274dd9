// SPDX-License-Identifier: Apache-2.0
// Tables: the delimiter that cuts most rows alike, and the columns whose fields are indicators.
#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "controlplane/feeds/columns.h"
#include "controlplane/feeds/guess.h"
#include "controlplane/feeds/token.h"

namespace merlon::feeds {
namespace {

constexpr size_t kRowsMax = 500;
constexpr size_t kColumnsMax = 64;
constexpr std::array<char, 4> kDelimiters = {',', '\t', ';', '|'};

enum class Field : uint8_t { nothing, address, name, url, foreign, other };

Field kind_of(std::string_view field) {
  if (field.empty() || field == "-" || field == "N/A" || field == "NA" || field == "?") {
    return Field::nothing;
  }
  const Read<Value> value = read_value(field);
  if (value) {
    return value->kind == Value::Kind::address ? Field::address : Field::name;
  }
  switch (value.error()) {
    case RejectReason::url:
      return Field::url;
    case RejectReason::defanged:
    case RejectReason::leading_zero:
    case RejectReason::too_wide:
    case RejectReason::unspecified:
      return Field::address;
    case RejectReason::hash:
    case RejectReason::email:
    case RejectReason::path_only:
      return Field::foreign;
    default:
      return Field::other;
  }
}

struct Column {
  std::array<size_t, 6> counts{};
  size_t of(Field field) const { return counts[static_cast<size_t>(field)]; }
  size_t indicators() const { return of(Field::address) + of(Field::name); }
  size_t filled(size_t rows) const { return rows - of(Field::nothing); }
  // Mostly addresses and names, or a column of mixed indicators with enough of them.
  bool lists(size_t rows) const {
    const size_t other = of(Field::other);
    return indicators() > 0 && indicators() * 10 >= filled(rows) &&
           indicators() * 4 >= (indicators() + other) * 3;
  }
  bool lists_urls(size_t rows) const { return of(Field::url) * 4 >= filled(rows) * 3; }
};

using Rows = std::vector<std::vector<std::string>>;

Rows read_rows(std::string_view text, char delimiter) {
  Rows rows;
  RowReader reader(text, delimiter);
  while (rows.size() < kRowsMax && reader.next()) {
    if (reader.kind() == RowReader::Kind::fields) {
      rows.emplace_back(reader.fields().begin(), reader.fields().end());
    }
  }
  return rows;
}

// How many rows have the most frequent number of columns, when that is two or more.
size_t agreement(const Rows& rows) {
  std::map<size_t, size_t> sizes;
  for (const auto& row : rows) {
    ++sizes[row.size()];
  }
  size_t most = 0;
  size_t all = 0;
  for (const auto& [size, count] : sizes) {
    if (size >= 2 && size <= kColumnsMax) {
      most = std::max(most, count);
      all += count;
    }
  }
  return most * 2 >= rows.size() && all * 10 >= rows.size() * 6 ? most : 0;
}

std::vector<Column> tally(const Rows& rows, size_t first) {
  std::vector<Column> columns;
  for (size_t i = first; i < rows.size(); ++i) {
    columns.resize(std::max(columns.size(), std::min(rows[i].size(), kColumnsMax)));
    for (size_t c = 0; c < columns.size(); ++c) {
      const Field field = c < rows[i].size() ? kind_of(rows[i][c]) : Field::nothing;
      ++columns[c].counts[static_cast<size_t>(field)];
    }
  }
  for (Column& column : columns) {  // rows before the table grew wider
    size_t seen = 0;
    for (const size_t count : column.counts) {
      seen += count;
    }
    column.counts[0] += rows.size() - first - seen;
  }
  return columns;
}

std::string fold(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    c = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  }
  return out;
}

bool names_indicators(std::string_view header) {
  std::string name(header);
  for (char& c : name) {
    c = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c == ' ' || c == '-' ? '_' : c;
  }
  static constexpr std::array<std::string_view, 26> kNames = {
      "ip",        "ips",     "ip_address",  "ipaddress", "ip_addr",        "ipv4",    "ipv6",
      "dst_ip",    "src_ip",  "source_ip",   "address",   "cidr",           "network", "prefix",
      "domain",    "domains", "domain_name", "host",      "hostname",       "fqdn",    "value",
      "indicator", "ioc",     "ioc_value",   "c2",        "indicator_value"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

std::string spell(const Rows& rows, bool header, size_t column) {
  const std::string name = header && column < rows[0].size() ? rows[0][column] : "";
  const bool plain = !name.empty() && name.find_first_of(",;=") == name.npos &&
                     !is_digit(name[0]) && printable(name, 100) == name &&
                     std::count(rows[0].begin(), rows[0].end(), name) == 1;
  return plain ? name : fmt::format("{}", column + 1);
}

void choose_columns(const Rows& rows, bool header, Declaration& declaration) {
  const std::vector<Column> columns = tally(rows, header ? 1 : 0);
  const size_t count = rows.size() - (header ? 1 : 0);
  std::vector<size_t> listed;
  std::vector<size_t> named;
  for (size_t c = 0; c < columns.size(); ++c) {
    // Where each row says what it is, the others of a column do not matter.
    const bool typed = !declaration.where.empty() && columns[c].indicators() > 0 &&
                       c < rows[0].size() && names_indicators(rows[0][c]);
    if (typed || columns[c].lists(count)) {
      listed.push_back(c);
      if (header && c < rows[0].size() && names_indicators(rows[0][c])) {
        named.push_back(c);
      }
    }
  }
  // Without a header that says more, the first is the subject and the others are about it.
  if (named.empty() && !listed.empty()) {
    named.push_back(listed.front());
  }
  for (size_t c = 0; named.empty() && c < columns.size(); ++c) {
    if (columns[c].lists_urls(count) && columns[c].of(Field::url) > 0) {
      named.push_back(c);
      declaration.urls = Urls::host;
    }
  }
  for (const size_t c : named) {
    declaration.columns.push_back(spell(rows, header, c));
  }
}

// An address, or a name with a port: what no other kind of row holds by chance.
bool has_certain_indicator(const std::vector<std::string>& row) {
  return std::any_of(row.begin(), row.end(), [](const std::string& field) {
    const Read<Value> value = read_value(field);
    return value && (value->kind == Value::Kind::address || value->had_port);
  });
}

bool names_an_indicator(std::string_view kind) {
  static constexpr std::array<std::string_view, 4> kKinds = {"ip", "domain", "host", "fqdn"};
  return kind.find("url") == kind.npos &&
         std::any_of(kKinds.begin(), kKinds.end(),
                     [&](std::string_view word) { return kind.find(word) != kind.npos; });
}

// The kinds of rows, by column `c`, that are addresses and names.
std::set<std::string> kinds_listed(const Rows& rows, size_t c) {
  constexpr size_t kKindSizeMax = 20;
  std::set<std::string> kinds;
  for (size_t i = 1; i < rows.size(); ++i) {
    const std::string kind = c < rows[i].size() ? fold(rows[i][c]) : std::string();
    if (!kind.empty() && kind.size() < kKindSizeMax && kind.find_first_of("|,;=") == kind.npos &&
        (names_an_indicator(kind) || has_certain_indicator(rows[i]))) {
      kinds.insert(kind);
    }
  }
  return kinds;
}

// A column that says what each row is: the rows that are addresses and names.
std::string guess_where(const Rows& rows, const Declaration& declaration) {
  if (declaration.header == Switch::no) {
    return "";
  }
  for (size_t c = 0; c < rows[0].size(); ++c) {
    const std::string name = fold(rows[0][c]);
    if (name != "type" && name != "ioc_type" && name != "indicator_type") {
      continue;
    }
    std::string where;
    for (const std::string& kind : kinds_listed(rows, c)) {
      where += fmt::format("{}{}", where.empty() ? rows[0][c] + ":" : "|", kind);
    }
    return where;
  }
  return "";
}

bool has_indicator(const std::vector<std::string>& row) {
  return std::any_of(row.begin(), row.end(), [](const std::string& field) {
    const Field kind = kind_of(field);
    return kind == Field::address || kind == Field::name || kind == Field::url ||
           kind == Field::foreign;
  });
}

}  // namespace

std::optional<Declaration> guess_table(std::string_view text) {
  Rows best;
  Declaration declaration;
  declaration.format = Format::csv;
  size_t most = 0;
  for (const char delimiter : kDelimiters) {
    Rows rows = read_rows(text, delimiter);
    const size_t agreed = agreement(rows);
    if (agreed > most) {
      most = agreed;
      best = std::move(rows);
      declaration.delimiter = delimiter;
    }
  }
  if (most == 0) {
    return std::nullopt;
  }
  const bool header = best.size() > 1 && !has_indicator(best[0]);
  declaration.header = header ? Switch::yes : Switch::no;
  declaration.where = guess_where(best, declaration);
  choose_columns(best, header, declaration);
  if (declaration.columns.empty()) {
    return std::nullopt;
  }
  for (const auto& row : best) {
    for (const std::string& field : row) {
      const Read<Value> value = read_value(field);
      if (!value && value.error() == RejectReason::defanged) {
        declaration.defanged = Switch::yes;
      }
    }
  }
  return declaration;
}

}  // namespace merlon::feeds
