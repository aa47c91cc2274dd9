// SPDX-License-Identifier: Apache-2.0
#include "dataplane/stats/counters.h"

namespace merlon::stats {

std::string_view to_string(IoCounter counter) {
  switch (counter) {
#define MERLON_X(name, text) \
  case IoCounter::name:      \
    return #name;
    MERLON_IO_COUNTERS(MERLON_X)
#undef MERLON_X
    case IoCounter::count_:
      break;
  }
  return "unknown";
}

}  // namespace merlon::stats
