// SPDX-License-Identifier: Apache-2.0
#include "controlplane/api/exposition.h"

#include <fmt/format.h>

#include <cmath>

#include "controlplane/api/json.h"

namespace merlon::api {
namespace {

std::string_view to_string(MetricType type) {
  switch (type) {
    case MetricType::counter:
      return "counter";
    case MetricType::gauge:
      return "gauge";
    case MetricType::summary:
      return "summary";
  }
  return "untyped";
}

// U+FFFD for what is no UTF-8: the JSON library knows how.
std::string valid_utf8(std::string_view text) {
  return Json::parse(Json(text).dump(-1, ' ', false, Json::error_handler_t::replace))
      .get<std::string>();
}

enum class Quotes : uint8_t { as_they_are, escaped };

std::string escaped(std::string_view raw, Quotes quotes) {
  std::string out;
  for (const char c : valid_utf8(raw)) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"' && quotes == Quotes::escaped) {
      out += "\\\"";
    } else {
      out.push_back(c);
    }
  }
  return out;
}

std::string number_text(double value) {
  if (std::isnan(value)) {
    return "NaN";
  }
  if (std::isinf(value)) {
    return value > 0 ? "+Inf" : "-Inf";
  }
  return fmt::format("{}", value);
}

}  // namespace

void Exposition::family(std::string_view name, MetricType type, std::string_view help) {
  name_ = name;
  text_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, escaped(help, Quotes::as_they_are),
                       name, to_string(type));
}

void Exposition::line(Labels labels, const std::string& value, std::string_view suffix) {
  text_ += name_;
  text_ += suffix;
  char separator = '{';
  for (const Label& label : labels) {
    text_ +=
        fmt::format("{}{}=\"{}\"", separator, label.name, escaped(label.value, Quotes::escaped));
    separator = ',';
  }
  text_ += separator == ',' ? "} " : " ";
  text_ += value;
  text_ += '\n';
}

void Exposition::sample(Labels labels, double value, std::string_view suffix) {
  line(labels, number_text(value), suffix);
}

void Exposition::sample(Labels labels, uint64_t value, std::string_view suffix) {
  line(labels, fmt::format("{}", value), suffix);
}

void Exposition::gauge(std::string_view name, std::string_view help, double value) {
  family(name, MetricType::gauge, help);
  sample({}, value);
}

void Exposition::counter(std::string_view name, std::string_view help, uint64_t value) {
  family(name, MetricType::counter, help);
  sample({}, value);
}

}  // namespace merlon::api
