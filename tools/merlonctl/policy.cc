// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "tools/merlonctl/client.h"
#include "tools/merlonctl/command.h"
#include "tools/merlonctl/table.h"
#include "tools/merlonctl/text.h"

namespace merlon::merlonctl {
namespace {

std::string policies_target(const std::string& account) {
  return fmt::format("/v1/accounts/{}/policies", escaped(account));
}

std::string policy_target(const Context& context) {
  return fmt::format("{}/{}", policies_target(context.arg(0)), escaped(context.arg(1)));
}

struct TextFlag {
  std::string_view flag;
  const char* key;
};

// Flags with names or a number as JSON under their keys.
Done take_names(const Invocation& call, std::initializer_list<TextFlag> flags, Json& into) {
  for (const auto& [flag, key] : flags) {
    if (!call.has(flag)) {
      continue;
    }
    const auto names = parse_names(call.value(flag));
    if (!names) {
      return usage_error(fmt::format("{}: a name is empty; write NAME,NAME without blanks", flag));
    }
    into[key] = *names;
  }
  return {};
}

Done take_numbers(const Invocation& call, std::initializer_list<TextFlag> flags, Json& into) {
  for (const auto& [flag, key] : flags) {
    if (!call.has(flag)) {
      continue;
    }
    const auto number = parse_number(call.value(flag));
    if (!number) {
      return usage_error(
          fmt::format("{} \"{}\": must be a number", flag, printable(call.value(flag))));
    }
    into[key] = *number;
  }
  return {};
}

// "AS3320,13335" as numbers.
Done take_asns(const Invocation& call, Json& into) {
  if (!call.has("--asn")) {
    return {};
  }
  const auto names = parse_names(call.value("--asn"));
  Json numbers = Json::array();
  for (const std::string& name : names ? *names : std::vector<std::string>{""}) {
    const bool prefixed = name.starts_with("AS") || name.starts_with("as");
    const auto number = parse_number(std::string_view(name).substr(prefixed ? 2 : 0));
    if (!number) {
      return usage_error(fmt::format("--asn \"{}\": must be numbers such as AS3320,13335",
                                     printable(call.value("--asn"))));
    }
    numbers.push_back(*number);
  }
  into["asns"] = numbers;
  return {};
}

// The flags of `policy add` as a body of the API: those of a target make one target.
Outcome<Json> body_of(const Invocation& call) {
  Json body = Json::object();
  body["kind"] = call.has("--kind") ? call.value("--kind") : "ip";
  for (const auto& [flag, key] : {TextFlag{"--title", "title"}, TextFlag{"--garden", "garden"},
                                  TextFlag{"--profile", "profile"}}) {
    if (call.has(flag)) {
      body[key] = call.value(flag);
    }
  }
  Json target = Json::object();
  Done taken = take_names(
      call, {{"--category", "categories"}, {"--feed", "feeds"}, {"--country", "countries"}},
      target);
  if (taken) {
    taken = take_asns(call, target);
  }
  if (taken) {
    taken = take_numbers(
        call, {{"--severity-min", "severity_min"}, {"--confidence-min", "confidence_min"}}, target);
  }
  if (taken) {
    taken = take_names(call, {{"--list", "lists"}}, body);
  }
  if (taken) {
    taken = take_numbers(call, {{"--capacity", "capacity"}}, body);
  }
  if (!taken) {
    return std::unexpected(taken.error());
  }
  if (target.empty() && !body.contains("lists")) {
    return usage_error(
        "policy add needs what to block: --category, --feed, --severity-min, --confidence-min or "
        "--list (--severity-min 0: all that feeds list)");
  }
  const bool has_action = call.has("--action");
  if (!target.empty()) {
    if (has_action) {
      target["action"] = call.value("--action");
    }
    body["targets"] = Json::array({std::move(target)});
  }
  if (call.has("--list-action") || has_action) {
    body["list_action"] = call.value(call.has("--list-action") ? "--list-action" : "--action");
  }
  return body;
}

Outcome<Json> body_from_file(const Invocation& call) {
  for (const Flag& flag : call.command->flags) {
    if (call.has(flag.name) && flag.name != "--file" && flag.name != "--replace") {
      return usage_error(fmt::format("--file holds the whole policy: leave {} out", flag.name));
    }
  }
  const Outcome<std::string> text = read_input(call.value("--file"));
  if (!text) {
    return std::unexpected(text.error());
  }
  Json body = Json::parse(*text, nullptr, false);
  if (!body.is_object()) {
    return failed(fmt::format("{} is not a JSON object", printable(call.value("--file"))));
  }
  // What `policy show --json` prints is taken back: the policy in its envelope, with what the
  // store adds.
  if (body.contains("policy") && body.at("policy").is_object()) {
    const Json inner = body.at("policy");
    body = inner;
    for (const char* key : {"account", "created", "changed", "number"}) {
      body.erase(key);
    }
  }
  return body;
}

std::string target_text(const Json& target) {
  std::string text;
  const auto add = [&text](const std::string& part) { text += text.empty() ? part : ", " + part; };
  if (!target.at("categories").empty()) {
    add("category " + joined(target.at("categories"), " or "));
  }
  if (!target.at("feeds").empty()) {
    add("feed " + joined(target.at("feeds"), " or "));
  }
  for (const auto& [key, name] :
       {std::pair{"severity_min", "severity"}, std::pair{"confidence_min", "confidence"}}) {
    if (target.at(key).get<uint64_t>() != 0) {
      add(fmt::format("{} {} or more", name, target.at(key).get<uint64_t>()));
    }
  }
  if (!target.at("countries").empty()) {
    add("country " + joined(target.at("countries"), " or "));
  }
  if (!target.at("asns").empty()) {
    std::string systems;
    for (const Json& asn : target.at("asns")) {
      systems += fmt::format("{}AS{}", systems.empty() ? "" : " or ", asn.get<uint64_t>());
    }
    add(systems);
  }
  if (text.empty()) {
    text = "all that feeds list";
  }
  return target.contains("action") ? text + ": " + target.at("action").get<std::string>() : text;
}

}  // namespace

Done run_policy_list(const Context& context) {
  const Outcome<Json> answer = context.client.get(policies_target(context.arg(0)));
  if (!answer) {
    return std::unexpected(answer.error());
  }
  if (context.json) {
    print_json(*answer);
    return {};
  }
  Table table({{"POLICY"},
               {"KIND"},
               {"TARGETS", Align::right},
               {"LISTS"},
               {"PROFILE"},
               {"CHANGED"},
               {"TITLE"}});
  for (const Json& policy : answer->at("policies")) {
    table.add({{policy.at("name").get<std::string>()},
               {policy.at("kind").get<std::string>()},
               {fmt::format("{}", policy.at("targets").size())},
               {joined(policy.at("lists"), ", ")},
               {policy.value("profile", "-")},
               {age_text(policy.at("changed"), context.now)},
               {policy.at("title").get<std::string>()}});
  }
  print(table.text(context.colour ? Colour::on : Colour::off));
  if (table.empty()) {
    say(fmt::format("no policies: next: merlonctl policy add {} NAME --category c2-server",
                    printable(context.arg(0))));
  }
  return {};
}

Done run_policy_show(const Context& context) {
  const Outcome<Json> answer = context.client.get(policy_target(context));
  if (!answer) {
    return std::unexpected(answer.error());
  }
  if (context.json) {
    print_json(*answer);
    return {};
  }
  const Json& policy = answer->at("policy");
  std::vector<std::pair<std::string, std::string>> rows = {
      {"policy", policy.at("name").get<std::string>()},
      {"account", policy.at("account").get<std::string>()},
      {"title", policy.at("title").get<std::string>()},
      {"kind", policy.at("kind").get<std::string>()},
  };
  for (const Json& target : policy.at("targets")) {
    rows.emplace_back("target", target_text(target));
  }
  rows.emplace_back("own lists", joined(policy.at("lists"), ", "));
  if (policy.contains("profile")) {
    const uint64_t capacity = policy.at("capacity").get<uint64_t>();
    rows.emplace_back("profile", policy.at("profile").get<std::string>());
    rows.emplace_back("capacity",
                      capacity == 0 ? "as the profile says" : fmt::format("{}", capacity));
  } else {
    rows.emplace_back("list action", policy.at("list_action").get<std::string>());
    rows.emplace_back("garden", policy.at("garden").get<std::string>());
  }
  rows.emplace_back("added", time_and_age_text(policy.at("created"), context.now));
  rows.emplace_back("changed", time_and_age_text(policy.at("changed"), context.now));
  print(details_text(rows));
  return {};
}

Done run_policy_add(const Context& context) {
  Outcome<Json> body =
      context.call.has("--file") ? body_from_file(context.call) : body_of(context.call);
  if (!body) {
    return std::unexpected(body.error());
  }
  (*body)["name"] = context.arg(1);
  const bool replace = context.call.has("--replace");
  const Outcome<Json> answer = replace
                                   ? context.client.put(policy_target(context), *body)
                                   : context.client.post(policies_target(context.arg(0)), *body);
  if (!answer) {
    return std::unexpected(answer.error());
  }
  if (context.json) {
    print_json(*answer);
    return {};
  }
  const Json& policy = answer->at("policy");
  print(
      printable(fmt::format("policy {} of account {} {}: {}", policy.at("name").get<std::string>(),
                            policy.at("account").get<std::string>(), replace ? "replaced" : "added",
                            policy.at("kind").get<std::string>())) +
      "\n");
  say("it is in force from the next snapshot on; next: merlonctl snapshot build");
  return {};
}

Done run_policy_remove(const Context& context) {
  const std::string account = printable(context.arg(0));
  const std::string name = printable(context.arg(1));
  const Done sure = confirm(context, fmt::format("Remove policy {} of account {}?", name, account));
  if (!sure) {
    return sure;
  }
  const Outcome<Json> answer = context.client.remove(policy_target(context));
  if (!answer) {
    return std::unexpected(answer.error());
  }
  if (context.json) {
    print_json(*answer);
    return {};
  }
  print(fmt::format("policy {} of account {} removed\n", name, account));
  return {};
}

Done run_policy_profiles(const Context& context) {
  const Outcome<Json> answer = context.client.get("/v1/profiles");
  if (!answer) {
    return std::unexpected(answer.error());
  }
  if (context.json) {
    print_json(*answer);
    return {};
  }
  Table table({{"PROFILE"},
               {"IPV4 A NAME", Align::right},
               {"IPV6 A NAME", Align::right},
               {"IN ALL", Align::right},
               {"WHAT"}});
  for (const Json& profile : answer->at("profiles")) {
    const uint64_t capacity = profile.at("capacity").get<uint64_t>();
    table.add({{profile.at("name").get<std::string>()},
               {number_text(profile, "addresses4_per_name")},
               {number_text(profile, "addresses6_per_name")},
               {capacity == 0 ? "-" : fmt::format("{}", capacity)},
               {profile.at("what").get<std::string>()}});
  }
  print(table.text(context.colour ? Colour::on : Colour::off));
  return {};
}

}  // namespace merlon::merlonctl
