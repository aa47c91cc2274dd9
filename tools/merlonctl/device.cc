// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <optional>
#include <utility>
#include <vector>

#include "tools/merlonctl/client.h"
#include "tools/merlonctl/command.h"
#include "tools/merlonctl/table.h"
#include "tools/merlonctl/text.h"

namespace merlon::merlonctl {
namespace {

std::string device_target(const Context& context) {
  return "/v1/devices/" + escaped(context.arg(0));
}

// What `device add` and `device set` say of a device, as a body of the API.
Done take_flags(const Invocation& call, Json& body) {
  for (const auto& [flag, key] : {std::pair{"--tier", "tier"},
                                  {"--dns-policy", "dns_policy"},
                                  {"--tsig", "tsig"},
                                  {"--certificate", "certificate"},
                                  {"--token", "token"}}) {
    if (call.has(flag)) {
      body[key] = call.value(flag);
    }
  }
  if (call.has("--recursion")) {
    const std::string& word = call.value("--recursion");
    if (word != "on" && word != "off") {
      return usage_error(fmt::format("--recursion \"{}\": is on or off", printable(word)));
    }
    body["recursion"] = word == "on";
  }
  for (const auto& [flag, key] : {std::pair{"--source", "sources"}, {"--notify", "notify"}}) {
    if (!call.has(flag)) {
      continue;
    }
    const bool none = key == std::string_view("notify") && call.value(flag) == "off";
    const auto names =
        none ? std::optional(std::vector<std::string>()) : parse_names(call.value(flag));
    if (!names) {
      return usage_error(fmt::format("{}: an address is empty; write A,A without blanks", flag));
    }
    body[key] = *names;
  }
  return {};
}

// The later of UDP and TCP; "unknown" when the data plane has no such device (yet).
std::string last_seen_text(const Json& subjects, const Json& device, int64_t now) {
  for (const Json& row : subjects.at("dataplane").at("subjects")) {
    if (row.at("device") == device.at("name") && row.at("account") == device.at("account")) {
      const Json& udp = row.at("last_seen");
      const Json tcp = row.value("tcp_last_seen", Json());
      return age_text(parse_time(udp).value_or(0) < parse_time(tcp).value_or(0) ? tcp : udp, now);
    }
  }
  return "unknown";
}

void tell_secrets(const Context& context, const Json& answer) {
  if (answer.contains("token")) {
    print(fmt::format("token {}\n", answer.at("token").get<std::string>()));
    say("the token is shown this once: only its digest is kept");
  }
  if (context.call.has("--tsig") && context.call.value("--tsig") != "off") {
    say(fmt::format("a new key was made; next: merlonctl device key {}",
                    printable(context.arg(0))));
  }
}

}  // namespace

Done run_device_list(const Context& context) {
  const Outcome<Json> answer = context.client.get("/v1/devices");
  if (!answer) {
    return std::unexpected(answer.error());
  }
  if (context.json) {
    print_json(*answer);
    return {};
  }
  // Without a data plane the rest is shown all the same.
  const Outcome<Json> seen = context.client.get("/v1/dataplane/subjects?limit=10000");
  Table table({{"DEVICE"},
               {"ACCOUNT"},
               {"TIER"},
               {"NUMBER", Align::right},
               {"ADDED"},
               {"LAST SEEN"},
               {"SOURCES"}});
  for (const Json& device : answer->at("devices")) {
    table.add({{device.at("name").get<std::string>()},
               {device.at("account").get<std::string>()},
               {device.at("tier").get<std::string>()},
               {fmt::format("{}", device.at("number").get<uint64_t>())},
               {age_text(device.at("created"), context.now)},
               {seen ? last_seen_text(*seen, device, context.now) : "unknown"},
               {joined(device.at("sources"), ", ")}});
  }
  print(table.text(context.colour ? Colour::on : Colour::off));
  if (table.empty()) {
    say("no devices, so nobody is answered: next: merlonctl device add NAME --account A "
        "--source PREFIX");
  }
  return {};
}

Done run_device_show(const Context& context) {
  const Outcome<Json> answer = context.client.get(device_target(context));
  if (!answer) {
    return std::unexpected(answer.error());
  }
  if (context.json) {
    print_json(*answer);
    return {};
  }
  const Json& device = answer->at("device");
  const auto text = [&](const char* key) { return device.at(key).get<std::string>(); };
  const bool recursion = device.at("recursion").get<bool>();
  print(details_text({
      {"device", text("name")},
      {"account", text("account")},
      {"tier", text("tier")},
      {"sources", joined(device.at("sources"), ", ")},
      {"recursion", recursion ? "on" : "off"},
      {"dns policy", text("dns_policy").empty() ? "all of the account's" : text("dns_policy")},
      {"tsig", text("tsig")},
      {"notify", device.at("notify").empty() ? "nobody" : joined(device.at("notify"), ", ")},
      {"certificate", text("certificate")},
      {"token", device.at("has_token").get<bool>() ? "set" : "off"},
      {"number", fmt::format("{}", device.at("number").get<uint64_t>())},
      {"added", time_and_age_text(device.at("created"), context.now)},
  }));
  return {};
}

Done run_device_add(const Context& context) {
  const Invocation& call = context.call;
  if (!call.has("--account") || !call.has("--source")) {
    return usage_error("device add needs --account NAME and --source PREFIX[,PREFIX]");
  }
  Json body{{"name", context.arg(0)}, {"account", call.value("--account")}};
  if (const Done taken = take_flags(call, body); !taken) {
    return taken;
  }
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
  tell_secrets(context, *answer);
  say("it is answered from the next snapshot on; next: merlonctl snapshot build");
  return {};
}

Done run_device_set(const Context& context) {
  Json body = Json::object();
  if (const Done taken = take_flags(context.call, body); !taken) {
    return taken;
  }
  if (body.empty()) {
    return usage_error("device set needs what to change, as --tsig hmac-sha256");
  }
  const Outcome<Json> answer = context.client.patch(device_target(context), body);
  if (!answer) {
    return std::unexpected(answer.error());
  }
  if (context.json) {
    print_json(*answer);
    return {};
  }
  print(fmt::format("device {} changed\n", printable(context.arg(0))));
  tell_secrets(context, *answer);
  say(fmt::format("next: merlonctl device show {}", printable(context.arg(0))));
  return {};
}

Done run_device_remove(const Context& context) {
  const std::string& name = context.arg(0);
  const Done sure = confirm(context, fmt::format("Remove device {}?", printable(name)));
  if (!sure) {
    return sure;
  }
  const Outcome<Json> answer = context.client.remove(device_target(context));
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
