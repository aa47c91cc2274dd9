// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "tools/merlonctl/client.h"
#include "tools/merlonctl/command.h"
#include "tools/merlonctl/table.h"
#include "tools/merlonctl/text.h"

namespace merlon::merlonctl {

Done run_forward_status(const Context& context) {
  const Outcome<Json> answer = context.client.get("/v1/forward");
  if (!answer) {
    return std::unexpected(answer.error());
  }
  if (context.json) {
    print_json(*answer);
    return {};
  }
  const Json& forward = answer->at("forward");
  const Json& cache = forward.at("cache");
  Table table({{"UPSTREAM"},
               {"STATE"},
               {"MS", Align::right},
               {"QUERIES", Align::right},
               {"ANSWERS", Align::right},
               {"TIMEOUTS", Align::right},
               {"FAILURES", Align::right}});
  for (const Json& each : forward.at("upstreams")) {
    table.add({{each.at("address").get<std::string>()},
               {each.at("up").get<bool>() ? "up" : "down"},
               {fmt::format("{:.1f}", each.at("latency_ms").get<double>())},
               {each.at("queries").dump()},
               {each.at("answers").dump()},
               {each.at("timeouts").dump()},
               {each.at("failures").dump()}});
  }
  print(table.text(context.colour ? Colour::on : Colour::off));
  std::string text = fmt::format(
      "\ncache: {} answers, {} of {} MiB, {} evicted\nwaiting: {}\n", cache.at("entries").dump(),
      cache.at("bytes").get<uint64_t>() >> 20, cache.at("bytes_max").get<uint64_t>() >> 20,
      cache.at("evicted").dump(), forward.at("outstanding").dump());
  for (const auto& counter : forward.at("counters").items()) {
    if (counter.value() != 0) {
      text += fmt::format("{} = {}\n", counter.key(), counter.value().dump());
    }
  }
  print(text);
  if (forward.at("upstreams").empty()) {
    say("next: name upstreams in the [forward] section of the configuration");
  }
  return {};
}

}  // namespace merlon::merlonctl
