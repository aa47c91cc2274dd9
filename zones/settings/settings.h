// SPDX-License-Identifier: Apache-2.0
// One section of a TOML file, read against a table of options: name, kind, default, range, meaning.
// Both processes read the same file, each its own section, so a box has one file. Unknown keys and
// values out of range are errors that say where and what was meant.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "zones/base/error.h"

namespace merlon::settings {

enum class Kind : uint8_t { text, text_list, number, boolean };

struct Option {
  std::string_view key;
  Kind kind;
  std::string_view default_value;  // as written in TOML
  int64_t min = 0;                 // numbers only
  int64_t max = INT64_MAX;
  std::string_view summary;  // with the unit
};

class Section {
 public:
  // `file_name` is for messages. An absent section or key means the default; other sections are
  // another process's. Errors: invalid_argument with file, line and the nearest known name, also
  // for a key outside of every section and a section almost called like this one.
  static Result<Section> parse(std::string_view toml, std::string_view file_name,
                               std::string_view section, std::span<const Option> options);
  static Result<Section> load(const std::string& path, std::string_view section,
                              std::span<const Option> options);

  // REQUIRES: the key is in the table with this kind.
  const std::string& text(std::string_view key) const;
  const std::vector<std::string>& text_list(std::string_view key) const;
  int64_t number(std::string_view key) const;
  bool boolean(std::string_view key) const;

 private:
  using Value = std::variant<std::string, std::vector<std::string>, int64_t, bool>;
  friend class Reader;
  std::map<std::string, Value, std::less<>> values_;
};

// The section with all defaults and explanations, as a user would write it.
std::string example(std::string_view section, std::span<const Option> options);

}  // namespace merlon::settings
