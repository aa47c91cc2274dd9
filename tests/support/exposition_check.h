// SPDX-License-Identifier: Apache-2.0
// A strict reader of the Prometheus exposition format 0.0.4, written from its description: what it
// accepts every scraper does.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace merlon::tests {

struct ExpositionSample {
  std::string name;
  std::map<std::string, std::string> labels;
  double value = 0;
};

struct Exposed {
  std::vector<ExpositionSample> samples;
  std::map<std::string, std::string> types;  // by family
  std::string fault;                         // the first; "" when the text is valid

  // The value of the one sample with this name and these labels; NaN when there is none.
  double value(const std::string& name, const std::map<std::string, std::string>& labels) const;
};

Exposed read_exposition(std::string_view text);

}  // namespace merlon::tests
