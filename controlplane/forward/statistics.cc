// SPDX-License-Identifier: Apache-2.0
#include "controlplane/forward/statistics.h"

#include <fmt/format.h>

namespace merlon::forward {

std::string_view to_string(Counter counter) {
  constexpr std::string_view kNames[] = {
#define MERLON_X(name, text) #name,
      MERLON_FORWARD_COUNTERS(MERLON_X)
#undef MERLON_X
  };
  return kNames[static_cast<size_t>(counter)];
}

std::string_view explain(Counter counter) {
  constexpr std::string_view kTexts[] = {
#define MERLON_X(name, text) text,
      MERLON_FORWARD_COUNTERS(MERLON_X)
#undef MERLON_X
  };
  return kTexts[static_cast<size_t>(counter)];
}

// Names and addresses of ours need no escaping.
std::string Report::to_json() const {
  std::string out = fmt::format(
      R"({{"outstanding":{},"cache":{{"entries":{},"bytes":{},"bytes_max":{},"evicted":{}}},)",
      outstanding, cache_entries, cache_bytes, cache_bytes_max, cache_evicted);
  out += R"("upstreams":[)";
  for (const UpstreamStatus& each : upstreams) {
    out +=
        fmt::format(R"({}{{"address":"{}","up":{},"latency_ms":{:.1f},"queries":{},"answers":{},)"
                    R"("timeouts":{},"failures":{},"went_down":{}}})",
                    &each == upstreams.data() ? "" : ",", each.address, each.is_up, each.latency_ms,
                    each.queries, each.answers, each.timeouts, each.failures, each.went_down);
  }
  out += R"(],"counters":{)";
  for (const auto& [name, value] : counters) {
    out += fmt::format("{}\"{}\":{}", name == counters.front().first ? "" : ",", name, value);
  }
  return out + "}}";
}

}  // namespace merlon::forward
