// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "tools/merlonctl/client.h"
#include "tools/merlonctl/command.h"
#include "tools/merlonctl/table.h"
#include "tools/merlonctl/text.h"

namespace merlon::merlonctl {

Done run_device_list(const Context& context) {
  const Outcome<Json> answer = context.client.get("/v1/devices");
  if (!answer) {
    return std::unexpected(answer.error());
  }
  if (context.json) {
    print_json(*answer);
    return {};
  }
  Table table(
      {{"DEVICE"}, {"ACCOUNT"}, {"TIER"}, {"NUMBER", Align::right}, {"ADDED"}, {"SOURCES"}});
  for (const Json& device : answer->at("devices")) {
    table.add({{device.at("name").get<std::string>()},
               {device.at("account").get<std::string>()},
               {device.at("tier").get<std::string>()},
               {fmt::format("{}", device.at("number").get<uint64_t>())},
               {age_text(device.at("created"), context.now)},
               {joined(device.at("sources"), ", ")}});
  }
  print(table.text(context.colour ? Colour::on : Colour::off));
  if (table.empty()) {
    say("no devices, so nobody is answered: next: merlonctl device add NAME --account A "
        "--source PREFIX");
  }
  return {};
}

Done run_device_add(const Context& context) {
  const Invocation& call = context.call;
  if (!call.has("--account") || !call.has("--source")) {
    return usage_error("device add needs --account NAME and --source PREFIX[,PREFIX]");
  }
  Json sources = Json::array();
  std::string_view rest = call.value("--source");
  while (true) {
    const size_t comma = rest.find(',');
    const std::string_view source = rest.substr(0, comma);
    if (source.empty()) {
      return usage_error("--source: a prefix is empty; write PREFIX,PREFIX without blanks");
    }
    sources.push_back(std::string(source));
    if (comma == std::string_view::npos) {
      break;
    }
    rest.remove_prefix(comma + 1);
  }
  Json body{{"name", context.arg(0)}, {"account", call.value("--account")}};
  if (call.has("--tier")) {
    body["tier"] = call.value("--tier");
  }
  body["sources"] = std::move(sources);
  const Outcome<Json> answer = context.client.post("/v1/devices", body);
  if (!answer) {
    return std::unexpected(answer.error());
  }
  if (context.json) {
    print_json(*answer);
    return {};
  }
  const Json& device = answer->at("device");
  print(printable(fmt::format(
            "device {} of account {} added: tier {}, asks from {}",
            device.at("name").get<std::string>(), device.at("account").get<std::string>(),
            device.at("tier").get<std::string>(), joined(device.at("sources"), ", "))) +
        "\n");
  say("it is answered from the next snapshot on; next: merlonctl snapshot build");
  return {};
}

Done run_device_remove(const Context& context) {
  const std::string& name = context.arg(0);
  const Done sure = confirm(context, fmt::format("Remove device {}?", printable(name)));
  if (!sure) {
    return sure;
  }
  const Outcome<Json> answer = context.client.remove("/v1/devices/" + escaped(name));
  if (!answer) {
    return std::unexpected(answer.error());
  }
  if (context.json) {
    print_json(*answer);
    return {};
  }
  print(fmt::format("device {} removed\n", printable(name)));
  say("it is refused from the next snapshot on; next: merlonctl snapshot build");
  return {};
}

}  // namespace merlon::merlonctl
