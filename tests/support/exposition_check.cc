// SPDX-License-Identifier: Apache-2.0
#include "tests/support/exposition_check.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <limits>
#include <optional>
#include <utility>

namespace merlon::tests {
namespace {

using Labels = std::map<std::string, std::string>;

bool is_name(std::string_view text, bool colons) {
  if (text.empty() || std::isdigit(static_cast<unsigned char>(text.front())) != 0) {
    return false;
  }
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '_' && !(colons && c == ':')) {
      return false;
    }
  }
  return true;
}

std::string_view take_until(std::string_view& text, char end) {
  const size_t at = std::min(text.find(end), text.size());
  const std::string_view part = text.substr(0, at);
  text.remove_prefix(std::min(at + 1, text.size()));
  return part;
}

// name="value",... up to the closing brace, which is taken, too.
std::optional<Labels> take_labels(std::string_view& text) {
  Labels labels;
  while (true) {
    const std::string name(take_until(text, '='));
    if (!is_name(name, false) || name.starts_with("__") || !text.starts_with('"')) {
      return std::nullopt;
    }
    text.remove_prefix(1);
    std::string value;
    while (!text.empty() && text.front() != '"') {
      char c = text.front();
      text.remove_prefix(1);
      if (c == '\\') {
        if (text.empty() || std::string_view("\\\"n").find(text.front()) == std::string::npos) {
          return std::nullopt;
        }
        c = text.front() == 'n' ? '\n' : text.front();
        text.remove_prefix(1);
      }
      value.push_back(c);
    }
    if (text.empty() || !labels.emplace(name, value).second) {
      return std::nullopt;
    }
    text.remove_prefix(1);
    if (text.starts_with('}')) {
      text.remove_prefix(1);
      return labels;
    }
    if (!text.starts_with(',')) {
      return std::nullopt;
    }
    text.remove_prefix(1);
  }
}

std::optional<double> read_value(std::string_view text) {
  if (text == "NaN") {
    return std::numeric_limits<double>::quiet_NaN();
  }
  if (text == "+Inf" || text == "-Inf") {
    return text[0] == '+' ? std::numeric_limits<double>::infinity()
                          : -std::numeric_limits<double>::infinity();
  }
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() ||
      std::isalpha(static_cast<unsigned char>(text.back())) != 0) {
    return std::nullopt;
  }
  return value;
}

class Reader {
 public:
  std::string line(std::string_view text) {
    if (text.starts_with("# HELP ")) {
      text.remove_prefix(7);
      const std::string name(take_until(text, ' '));
      if (!is_name(name, true) || text.empty() || !helped_.insert(name).second) {
        return "HELP";
      }
      family_ = name;
      typed_ = false;
      return "";
    }
    if (text.starts_with("# TYPE ")) {
      text.remove_prefix(7);
      const std::string name(take_until(text, ' '));
      const std::set<std::string_view> known{"counter", "gauge", "summary", "histogram", "untyped"};
      if (name != family_ || typed_ || !known.contains(text) ||
          !exposed.types.emplace(name, text).second) {
        return "TYPE";
      }
      typed_ = true;
      return text == "counter" && !name.ends_with("_total") ? "a counter's name" : "";
    }
    return text.starts_with('#') || text.empty() ? "comment or blank" : sample(text);
  }

  Exposed exposed;

 private:
  std::string sample(std::string_view text) {
    ExpositionSample sample;
    const size_t name_end = std::min(text.find_first_of("{ "), text.size());
    sample.name = text.substr(0, name_end);
    text.remove_prefix(name_end);
    if (text.starts_with('{')) {
      text.remove_prefix(1);
      auto labels = take_labels(text);
      if (!labels) {
        return "labels";
      }
      sample.labels = std::move(*labels);
    }
    const auto value = text.starts_with(' ') && text.size() > 1 ? read_value(text.substr(1))
                                                                : std::optional<double>();
    if (!value) {
      return "value";
    }
    sample.value = *value;
    if (!typed_ || !belongs(sample)) {
      return "sample outside its family";
    }
    if (!series_.emplace(sample.name, sample.labels).second) {
      return "series twice";
    }
    if (exposed.types[family_] == "counter" && !(sample.value >= 0)) {
      return "counter below 0";
    }
    exposed.samples.push_back(std::move(sample));
    return "";
  }
  bool belongs(const ExpositionSample& sample) const {
    const std::string& type = exposed.types.at(family_);
    if (type == "summary") {
      return (sample.name == family_ && sample.labels.contains("quantile")) ||
             ((sample.name == family_ + "_sum" || sample.name == family_ + "_count") &&
              !sample.labels.contains("quantile"));
    }
    return sample.name == family_ && !sample.labels.contains("quantile") &&
           !sample.labels.contains("le");
  }

  std::string family_;
  bool typed_ = false;
  std::set<std::string> helped_;
  std::set<std::pair<std::string, Labels>> series_;
};

}  // namespace

double Exposed::value(const std::string& name, const Labels& labels) const {
  for (const ExpositionSample& sample : samples) {
    if (sample.name == name && sample.labels == labels) {
      return sample.value;
    }
  }
  return std::numeric_limits<double>::quiet_NaN();
}

Exposed read_exposition(std::string_view text) {
  Reader reader;
  size_t number = 0;
  if (!text.ends_with('\n')) {
    reader.exposed.fault = "the last line does not end";
  }
  while (!text.empty() && reader.exposed.fault.empty()) {
    const std::string_view line = take_until(text, '\n');
    ++number;
    if (const std::string fault = reader.line(line); !fault.empty()) {
      reader.exposed.fault =
          "line " + std::to_string(number) + ": " + fault + ": " + std::string(line);
    }
  }
  return std::move(reader.exposed);
}

}  // namespace merlon::tests
