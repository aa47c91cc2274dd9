// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "tools/merlonctl/client.h"
#include "tools/merlonctl/command.h"
#include "tools/merlonctl/table.h"
#include "tools/merlonctl/text.h"

namespace merlon::merlonctl {

Done run_status(const Context& context) {
  const Outcome<Json> answer = context.client.get("/v1/status");
  if (!answer) {
    return std::unexpected(answer.error());
  }
  if (context.json) {
    print_json(*answer);
    return {};
  }
  const Json& status = answer->at("status");
  const auto number = [&](const char* key) { return status.at(key).get<uint64_t>(); };
  const auto text = [&](const char* key) { return status.at(key).get<std::string>(); };
  const uint64_t unhealthy = number("feed_unhealthy_count");
  const std::string build_error = text("last_build_error");
  const uint64_t generation = number("generation");
  print(details_text({
      {"version", text("version")},
      {"started", time_and_age_text(status.at("started"), context.now)},
      {"feeds", fmt::format("{}, {} unhealthy", number("feed_count"), unhealthy)},
      {"devices", fmt::format("{}", number("device_count"))},
      {"generation", generation == 0 ? "none yet" : fmt::format("{}", generation)},
      {"over TCP", fmt::format("serving generation {}", number("tcp_generation"))},
      {"data plane", text("dataplane")},
      {"DNSSEC", text("dnssec")},
      {"suffix", text("suffix")},
      {"last build", build_error.empty() ? "good" : build_error},
  }));
  if (const auto problems = status.find("problems"); problems != status.end()) {
    for (const Json& problem : *problems) {
      say(fmt::format("problem: {}", problem.get<std::string>()));
    }
  }
  if (unhealthy > 0) {
    say("next: merlonctl feed list");
  } else if (generation == 0) {
    say("next: merlonctl snapshot build");
  }
  return {};
}

}  // namespace merlon::merlonctl
