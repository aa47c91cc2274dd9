// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <filesystem>

#include "tools/merlonctl/client.h"
#include "tools/merlonctl/command.h"
#include "tools/merlonctl/table.h"
#include "tools/merlonctl/text.h"
#include "zones/base/file.h"

namespace merlon::merlonctl {
namespace {

constexpr uint64_t kFileSizeMax = 64 << 20;

Done show(const Context& context, const Json& answer) {
  if (context.json) {
    print_json(answer);
    return {};
  }
  Table table({{"ZONE"},
               {"STATE"},
               {"SERIAL", Align::right},
               {"RECORDS", Align::right},
               {"SIGNED"},
               {"ACCOUNT"},
               {"SOURCE"}});
  for (const Json& zone : answer.at("zones")) {
    table.add({{zone.at("apex").get<std::string>()},
               {zone.at("health").get<std::string>()},
               {fmt::format("{}", zone.at("serial").get<uint64_t>())},
               {fmt::format("{}", zone.at("record_count").get<uint64_t>())},
               {zone.at("signed").get<bool>() ? "yes" : "no"},
               {zone.at("account").get<std::string>()},
               {zone.at("source").get<std::string>()}});
  }
  print(table.text(context.colour ? Colour::on : Colour::off));
  for (const Json& zone : answer.at("zones")) {
    if (const std::string error = zone.at("error").get<std::string>(); !error.empty()) {
      say(fmt::format("{}: {}", zone.at("apex").get<std::string>(), error));
    }
  }
  if (table.empty()) {
    say("no zones: set zone_directory or zones in [controlplane]");
  }
  return {};
}

}  // namespace

Done run_zone_list(const Context& context) {
  const Outcome<Json> answer = context.client.get("/v1/zones");
  return answer ? show(context, *answer) : std::unexpected(answer.error());
}

Done run_zone_reload(const Context& context) {
  if (context.dry_run) {
    say("would read the zones whose files changed, and publish them");
    return {};
  }
  const Outcome<Json> answer = context.client.post("/v1/zones/reload", Json::object());
  return answer ? show(context, *answer) : std::unexpected(answer.error());
}

// The file is read here, so that any that the user may read can be checked; `$INCLUDE` is refused.
Done run_zone_check(const Context& context) {
  const std::string& path = context.arg(0);
  const auto bytes = read_file(path, kFileSizeMax);
  if (!bytes) {
    return failed(bytes.error().message);
  }
  const std::string apex = context.call.has("--apex") ? context.call.value("--apex")
                                                      : std::filesystem::path(path).stem().string();
  const Outcome<Json> answer = context.client.post(
      "/v1/zones/check",
      Json{{"apex", apex}, {"file", path}, {"text", std::string(as_text(*bytes))}});
  if (!answer) {
    return std::unexpected(answer.error());
  }
  const Json& zone = answer->at("zone");
  const std::string error = zone.at("error").get<std::string>();
  if (context.json) {
    print_json(*answer);
  } else if (error.empty()) {
    for (const Json& note : zone.at("notes")) {
      say(note.get<std::string>());
    }
    print(fmt::format("{}: good, serial {}, {} records\n", zone.at("apex").get<std::string>(),
                      zone.at("serial").get<uint64_t>(), zone.at("record_count").get<uint64_t>()));
  }
  return error.empty() ? Done() : failed(context.json ? std::string() : error);
}

}  // namespace merlon::merlonctl
