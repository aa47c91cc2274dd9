// SPDX-License-Identifier: Apache-2.0
// Text in the Prometheus exposition format 0.0.4: families in the order in which they are begun,
// each with HELP and TYPE before its samples.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace merlon::api {

inline constexpr std::string_view kExpositionContentType =
    "text/plain; version=0.0.4; charset=utf-8";

enum class MetricType : uint8_t { counter, gauge, summary };

struct Label {
  std::string_view name;
  std::string_view value;  // any bytes; what is not UTF-8 becomes U+FFFD
};
using Labels = std::initializer_list<Label>;

class Exposition {
 public:
  // REQUIRES: a name once; [a-zA-Z_:][a-zA-Z0-9_:]*, counters end in _total.
  void family(std::string_view name, MetricType type, std::string_view help);
  // Of the family begun last. `suffix` is "_sum" or "_count" of a summary.
  void sample(Labels labels, double value, std::string_view suffix = "");
  void sample(Labels labels, uint64_t value, std::string_view suffix = "");
  // A family of one sample.
  void gauge(std::string_view name, std::string_view help, double value);
  void counter(std::string_view name, std::string_view help, uint64_t value);

  const std::string& text() const { return text_; }

 private:
  void line(Labels labels, const std::string& value, std::string_view suffix);

  std::string text_;
  std::string name_;
};

}  // namespace merlon::api
