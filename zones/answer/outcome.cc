// SPDX-License-Identifier: Apache-2.0
#include "zones/answer/outcome.h"

namespace merlon::answer {

std::string_view to_string(Outcome outcome) {
  switch (outcome) {
#define MERLON_X(name, rcode, text) \
  case Outcome::name:               \
    return #name;
    MERLON_ANSWER_OUTCOMES(MERLON_X)
#undef MERLON_X
#define MERLON_X(name, text) \
  case Outcome::name:        \
    return #name;
    MERLON_RELAY_OUTCOMES(MERLON_X)
    MERLON_DROP_REASONS(MERLON_X)
#undef MERLON_X
    case Outcome::count_:
      break;
  }
  return "unknown";
}

std::string_view explain(Outcome outcome) {
  switch (outcome) {
#define MERLON_X(name, rcode, text) \
  case Outcome::name:               \
    return text;
    MERLON_ANSWER_OUTCOMES(MERLON_X)
#undef MERLON_X
#define MERLON_X(name, text) \
  case Outcome::name:        \
    return text;
    MERLON_RELAY_OUTCOMES(MERLON_X)
    MERLON_DROP_REASONS(MERLON_X)
#undef MERLON_X
    case Outcome::count_:
      break;
  }
  return "";
}

}  // namespace merlon::answer
