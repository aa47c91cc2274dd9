// SPDX-License-Identifier: Apache-2.0
#include "zones/settings/settings.h"

#include <toml++/toml.h>
#include <algorithm>

#include "zones/base/assert.h"
#include "zones/base/bytes.h"
#include "zones/base/file.h"
#include "zones/base/nearest.h"

namespace merlon::settings {
namespace {

constexpr uint64_t kFileSizeMax = 1 << 20;

std::string_view kind_name(Kind kind) {
  switch (kind) {
    case Kind::text:
      return "a string";
    case Kind::text_list:
      return "a list of strings";
    case Kind::number:
      return "a whole number";
    case Kind::boolean:
      return "true or false";
  }
  return "a value";
}

}  // namespace

// Turns a parsed table into values. Lives for one parse.
class Reader {
 public:
  Reader(std::string_view file_name, std::string_view section) : file_(file_name), name_(section) {}

  Status read(const toml::table& table, std::span<const Option> options, Section& section) {
    std::vector<std::string_view> known;
    for (const Option& option : options) {
      known.push_back(option.key);
    }
    for (const auto& [key, node] : table) {
      const std::string_view name = key.str();
      const auto at = std::find_if(options.begin(), options.end(),
                                   [name](const Option& option) { return option.key == name; });
      if (at == options.end()) {
        const std::string_view near = nearest(key.str(), known);
        return fail(ErrorCode::invalid_argument, "{}:{}: [{}] has no key \"{}\"{}", file_,
                    key.source().begin.line, name_, key.str(),
                    near.empty() ? std::string() : fmt::format("; did you mean \"{}\"?", near));
      }
      if (auto done = read_value(*at, node, section); !done) {
        return done;
      }
    }
    return {};
  }

  // What is in the file beside our section belongs to another process, unless it looks like a slip:
  // a key in no section at all, or a section that is almost called like ours.
  Status check_outside(const toml::table& file) const {
    for (const auto& [key, node] : file) {
      if (key.str() == name_) {
        continue;
      }
      if (!node.is_table() && !node.is_array_of_tables()) {
        return fail(ErrorCode::invalid_argument,
                    "{}:{}: \"{}\" is in no section; put [{}] above the keys of this process",
                    file_, key.source().begin.line, key.str(), name_);
      }
      if (const std::string_view ours[] = {name_}; !nearest(key.str(), ours).empty()) {
        return fail(ErrorCode::invalid_argument, "{}:{}: no section [{}]; did you mean [{}]?",
                    file_, key.source().begin.line, key.str(), name_);
      }
    }
    return {};
  }

 private:
  Status read_value(const Option& option, const toml::node& node, Section& section) {
    Section::Value& value = section.values_[std::string(option.key)];
    if (option.kind == Kind::text && node.is_string()) {
      value = node.as_string()->get();
      return {};
    }
    if (option.kind == Kind::boolean && node.is_boolean()) {
      value = node.as_boolean()->get();
      return {};
    }
    if (option.kind == Kind::number && node.is_integer()) {
      const int64_t number = node.as_integer()->get();
      if (number < option.min || number > option.max) {
        return fail(ErrorCode::invalid_argument, "{}:{}: {} = {} is outside {}..{}", file_,
                    node.source().begin.line, option.key, number, option.min, option.max);
      }
      value = number;
      return {};
    }
    if (option.kind == Kind::text_list && node.is_array() &&
        std::all_of(node.as_array()->begin(), node.as_array()->end(),
                    [](const toml::node& item) { return item.is_string(); })) {
      std::vector<std::string> items;
      for (const toml::node& item : *node.as_array()) {
        items.push_back(item.as_string()->get());
      }
      value = std::move(items);
      return {};
    }
    return fail(ErrorCode::invalid_argument, "{}:{}: {} must be {}", file_,
                node.source().begin.line, option.key, kind_name(option.kind));
  }

  std::string_view file_;
  std::string_view name_;
};

Result<Section> Section::parse(std::string_view toml, std::string_view file_name,
                               std::string_view section, std::span<const Option> options) {
  Section result;
  try {
    Reader reader(file_name, section);
    const toml::table defaults = toml::parse(example(section, options));
    if (auto done = reader.read(*defaults[section].as_table(), options, result); !done) {
      return in("built-in default", done.error());
    }
    const toml::table table = toml::parse(toml, file_name);
    if (auto done = reader.check_outside(table); !done) {
      return std::unexpected(done.error());
    }
    if (!table.contains(section)) {
      return result;
    }
    const toml::table* own = table[section].as_table();
    if (own == nullptr) {
      return fail(ErrorCode::invalid_argument, "{}:{}: \"{}\" must be a section: [{}]", file_name,
                  table[section].node()->source().begin.line, section, section);
    }
    if (auto done = reader.read(*own, options, result); !done) {
      return std::unexpected(done.error());
    }
  } catch (const toml::parse_error& error) {
    return fail(ErrorCode::invalid_argument, "{}:{}: {}", file_name, error.source().begin.line,
                error.description());
  }
  return result;
}

Result<Section> Section::load(const std::string& path, std::string_view section,
                              std::span<const Option> options) {
  const auto content = read_file(path, kFileSizeMax);
  if (!content) {
    return std::unexpected(content.error());
  }
  return parse(as_text(*content), path, section, options);
}

const std::string& Section::text(std::string_view key) const {
  const auto at = values_.find(key);
  MERLON_ASSERT(at != values_.end());
  return std::get<std::string>(at->second);
}

const std::vector<std::string>& Section::text_list(std::string_view key) const {
  const auto at = values_.find(key);
  MERLON_ASSERT(at != values_.end());
  return std::get<std::vector<std::string>>(at->second);
}

int64_t Section::number(std::string_view key) const {
  const auto at = values_.find(key);
  MERLON_ASSERT(at != values_.end());
  return std::get<int64_t>(at->second);
}

bool Section::boolean(std::string_view key) const {
  const auto at = values_.find(key);
  MERLON_ASSERT(at != values_.end());
  return std::get<bool>(at->second);
}

std::string example(std::string_view section, std::span<const Option> options) {
  std::string text = fmt::format("[{}]\n", section);
  for (const Option& option : options) {
    text += fmt::format("# {}", option.summary);
    if (option.kind == Kind::number) {
      text += fmt::format(" ({}..{})", option.min, option.max);
    }
    text += fmt::format("\n{} = {}\n", option.key, option.default_value);
  }
  return text;
}

}  // namespace merlon::settings
