// SPDX-License-Identifier: Apache-2.0
#include "controlplane/feeds/declaration.h"

#include <algorithm>
#include <array>
#include <utility>

#include "controlplane/feeds/lines.h"

namespace merlon::feeds {
namespace {

constexpr size_t kTextSizeMax = 1000;
constexpr size_t kItemsMax = 16;

std::unexpected<Error> refuse(std::string_view what, std::string_view value,
                              std::string_view form) {
  return fail(ErrorCode::invalid_argument, "feed format: {} \"{}\": must be {}", what,
              printable(value, 40), form);
}

constexpr std::array<std::pair<std::string_view, char>, 5> kDelimiters = {
    {{"tab", '\t'}, {"comma", ','}, {"semicolon", ';'}, {"pipe", '|'}, {"space", ' '}}};

constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kAliases = {
    {{"netset", "plain; type=ip"},
     {"cidr", "plain; type=ip"},
     {"ranges", "plain; type=ip"},
     {"tsv", "csv; delimiter=tab"},
     {"taxii", "stix2"}}};

// "a,b,c"; a comma inside brackets or quotes does not occur in what these options hold.
std::vector<std::string> split_items(std::string_view value) {
  std::vector<std::string> items;
  while (!value.empty()) {
    const size_t comma = value.find(',');
    const std::string_view item = trim(value.substr(0, comma));
    if (!item.empty()) {
      items.emplace_back(item);
    }
    value = comma == std::string_view::npos ? std::string_view{} : value.substr(comma + 1);
  }
  return items;
}

template <class T>
struct Word {
  std::string_view text;
  T value;
};

template <class T, size_t kCount>
Status read_word(std::string_view key, std::string_view value,
                 const std::array<Word<T>, kCount>& words, T& out) {
  std::string form;
  for (const Word<T>& word : words) {
    if (word.text == value) {
      out = word.value;
      return {};
    }
    form += form.empty() ? std::string(word.text) : fmt::format(" or {}", word.text);
  }
  return refuse(key, value, form);
}

constexpr std::array<Word<Types>, 3> kTypes = {
    {{"any", Types::any}, {"ip", Types::ip}, {"domain", Types::domain}}};
constexpr std::array<Word<Urls>, 3> kUrls = {
    {{"refuse", Urls::refuse}, {"bare", Urls::bare}, {"host", Urls::host}}};
constexpr std::array<Word<Take>, 3> kTakes = {
    {{"marked", Take::marked}, {"addresses", Take::addresses}, {"all", Take::all}}};
constexpr std::array<Word<Switch>, 2> kSwitches = {{{"no", Switch::no}, {"yes", Switch::yes}}};
constexpr std::array<Word<Switch>, 1> kZeros = {{{"decimal", Switch::yes}}};
constexpr std::array<Word<Switch>, 1> kToIds = {{{"any", Switch::yes}}};

Status read_items(std::string_view key, std::string_view value, std::vector<std::string>& out) {
  out = split_items(value);
  return out.empty() || out.size() > kItemsMax
             ? Status(refuse(key, value, fmt::format("1 to {} items", kItemsMax)))
             : Status();
}

Status read_delimiter(std::string_view value, char& out) {
  for (const auto& [name, character] : kDelimiters) {
    if (value == name) {
      out = character;
      return {};
    }
  }
  const bool fits = value.size() == 1 && value[0] > 0x20 && value[0] < 0x7f && value[0] != '"';
  if (!fits) {
    return refuse("delimiter", value, "one character, or tab, comma, semicolon, pipe or space");
  }
  out = value[0];
  return {};
}

Status read_option(std::string_view key, std::string_view value, Declaration& out) {
  if (key == "type") {
    return read_word(key, value, kTypes, out.types);
  }
  if (key == "urls") {
    return read_word(key, value, kUrls, out.urls);
  }
  if (key == "take") {
    return read_word(key, value, kTakes, out.take);
  }
  if (key == "defanged") {
    return read_word(key, value, kSwitches, out.defanged);
  }
  if (key == "header") {
    return read_word(key, value, kSwitches, out.header);
  }
  if (key == "zeros") {
    return read_word(key, value, kZeros, out.decimal_zeros);
  }
  if (key == "to_ids") {
    return read_word(key, value, kToIds, out.any_to_ids);
  }
  if (key == "column") {
    return read_items(key, value, out.columns);
  }
  if (key == "path") {
    return read_items(key, value, out.paths);
  }
  if (key == "delimiter") {
    return read_delimiter(value, out.delimiter);
  }
  for (const auto& [name, member] :
       {std::pair("start", &Declaration::start), std::pair("end", &Declaration::end),
        std::pair("prefix", &Declaration::prefix), std::pair("where", &Declaration::where),
        std::pair("expires", &Declaration::expires)}) {
    if (key == name && !value.empty()) {
      out.*member = value;
      return {};
    }
  }
  return refuse(
      "option", key,
      "type, urls, defanged, zeros, column, start, end, prefix, where, expires, delimiter, "
      "header, path, take or to_ids, with a value");
}

std::string names_of_formats() {
  std::string names = "auto";
  for (const Format format : all_formats()) {
    names += fmt::format(", {}", to_string(format));
  }
  for (const auto& [alias, meaning] : kAliases) {
    names += fmt::format(", {}", alias);
  }
  return names;
}

Status check(const Declaration& declaration) {
  const bool table = declaration.format == Format::csv;
  const bool json = declaration.format == Format::json || declaration.format == Format::ndjson;
  const bool columns = !declaration.columns.empty() || !declaration.start.empty();
  if (columns != table) {
    return fail(ErrorCode::invalid_argument, "feed format: {}",
                table ? "csv needs column=, or start= with end= or prefix="
                      : "only csv has column= and start=");
  }
  if (table && !declaration.start.empty() && declaration.end.empty() &&
      declaration.prefix.empty()) {
    return fail(ErrorCode::invalid_argument, "feed format: start= needs end= or prefix=");
  }
  const size_t colon = declaration.where.find(':');
  if (!declaration.where.empty() && (!table || colon == 0 || colon == std::string::npos ||
                                     colon + 1 == declaration.where.size())) {
    return fail(ErrorCode::invalid_argument,
                "feed format: where= is for csv and must be COLUMN:VALUE|VALUE..");
  }
  if (declaration.paths.empty() == json) {
    return fail(ErrorCode::invalid_argument, "feed format: {}",
                json ? "json and ndjson need path=, such as path=objects[*].ip"
                     : "only json and ndjson have path=");
  }
  return {};
}

template <class T, size_t kCount>
void put_word(std::string& text, std::string_view key, T value, T usual,
              const std::array<Word<T>, kCount>& words) {
  for (const Word<T>& word : words) {
    if (word.value == value && value != usual) {
      text += fmt::format("; {}={}", key, word.text);
      return;
    }
  }
}

void put_items(std::string& text, std::string_view key, const std::vector<std::string>& items) {
  std::string_view before = "; ";
  for (const std::string& item : items) {
    text += before == "," ? fmt::format(",{}", item) : fmt::format("; {}={}", key, item);
    before = ",";
  }
}

std::string delimiter_text(char delimiter) {
  for (const auto& [name, character] : kDelimiters) {
    if (character == delimiter) {
      return std::string(name);
    }
  }
  return std::string(1, delimiter);
}

}  // namespace

Result<Declaration> parse_declaration(std::string_view text) {
  if (text.size() > kTextSizeMax) {
    return fail(ErrorCode::invalid_argument, "feed format: more than {} bytes", kTextSizeMax);
  }
  const size_t end = text.find(';');
  const std::string_view name = trim(text.substr(0, end));
  std::string_view rest = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
  Declaration declaration;
  const auto format = format_from_name(name);
  const auto* alias = std::find_if(kAliases.begin(), kAliases.end(),
                                   [&](const auto& item) { return item.first == name; });
  if (format) {
    declaration.format = *format;
  } else if (alias != kAliases.end()) {
    declaration.format = *format_from_name(alias->second.substr(0, alias->second.find(';')));
    declaration.types =
        alias->second.find("type=ip") == std::string_view::npos ? Types::any : Types::ip;
    declaration.delimiter = name == "tsv" ? '\t' : ',';
  } else {
    return fail(ErrorCode::invalid_argument, "unknown feed format \"{}\"; known: {}",
                printable(name, 40), names_of_formats());
  }
  while (!rest.empty()) {
    const size_t stop = rest.find(';');
    const std::string_view option = trim(rest.substr(0, stop));
    rest = stop == std::string_view::npos ? std::string_view{} : rest.substr(stop + 1);
    if (option.empty()) {
      continue;
    }
    const size_t equals = option.find('=');
    if (equals == std::string_view::npos) {
      return refuse("option", option, "key=value");
    }
    const Status read =
        read_option(trim(option.substr(0, equals)), trim(option.substr(equals + 1)), declaration);
    if (!read) {
      return std::unexpected(read.error());
    }
  }
  const Status fits = check(declaration);
  if (!fits) {
    return std::unexpected(fits.error());
  }
  return declaration;
}

std::string to_text(const Declaration& declaration) {
  std::string text(to_string(declaration.format));
  put_items(text, "column", declaration.columns);
  for (const auto& [key, value] :
       {std::pair("start", &declaration.start), std::pair("end", &declaration.end),
        std::pair("prefix", &declaration.prefix), std::pair("where", &declaration.where),
        std::pair("expires", &declaration.expires)}) {
    if (!value->empty()) {
      text += fmt::format("; {}={}", key, *value);
    }
  }
  if (declaration.delimiter != ',') {
    text += fmt::format("; delimiter={}", delimiter_text(declaration.delimiter));
  }
  put_word(text, "header", declaration.header, Switch::no, kSwitches);
  put_items(text, "path", declaration.paths);
  put_word(text, "type", declaration.types, Types::any, kTypes);
  put_word(text, "urls", declaration.urls, Urls::refuse, kUrls);
  put_word(text, "defanged", declaration.defanged, Switch::no, kSwitches);
  put_word(text, "zeros", declaration.decimal_zeros, Switch::no, kZeros);
  put_word(text, "take", declaration.take, Take::addresses, kTakes);
  put_word(text, "to_ids", declaration.any_to_ids, Switch::no, kToIds);
  return text;
}

}  // namespace merlon::feeds
