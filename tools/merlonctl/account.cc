// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "tools/merlonctl/client.h"
#include "tools/merlonctl/command.h"
#include "tools/merlonctl/table.h"
#include "tools/merlonctl/text.h"

namespace merlon::merlonctl {
namespace {

std::string target_of(const std::string& account) {
  return "/v1/accounts/" + escaped(account);
}

void take_flags(const Invocation& call, Json& body) {
  for (const auto& [flag, key] : {std::pair{"--title", "title"}, std::pair{"--tier", "tier"}}) {
    if (call.has(flag)) {
      body[key] = call.value(flag);
    }
  }
}

Done told(const Context& context, const Outcome<Json>& answer, std::string_view what) {
  if (!answer) {
    return std::unexpected(answer.error());
  }
  if (context.json) {
    print_json(*answer);
    return {};
  }
  const Json& account = answer->at("account");
  print(printable(fmt::format(
            "account {} {}: tier {}, number {}", account.at("name").get<std::string>(), what,
            account.at("tier").get<std::string>(), account.at("number").get<uint64_t>())) +
        "\n");
  return {};
}

}  // namespace

Done run_account_list(const Context& context) {
  const Outcome<Json> answer = context.client.get("/v1/accounts");
  if (!answer) {
    return std::unexpected(answer.error());
  }
  if (context.json) {
    print_json(*answer);
    return {};
  }
  Table table({{"ACCOUNT"}, {"TIER"}, {"NUMBER", Align::right}, {"ADDED"}, {"TITLE"}});
  for (const Json& account : answer->at("accounts")) {
    table.add({{account.at("name").get<std::string>()},
               {account.at("tier").get<std::string>()},
               {number_text(account, "number")},
               {age_text(account.at("created"), context.now)},
               {account.at("title").get<std::string>()}});
  }
  print(table.text(context.colour ? Colour::on : Colour::off));
  if (table.empty()) {
    say("no accounts: next: merlonctl account add NAME");
  }
  return {};
}

Done run_account_show(const Context& context) {
  const std::string target = target_of(context.arg(0));
  Outcome<Json> answer = context.client.get(target);
  if (!answer) {
    return std::unexpected(answer.error());
  }
  for (const char* part : {"lists", "policies"}) {
    const Outcome<Json> more = context.client.get(fmt::format("{}/{}", target, part));
    if (!more) {
      return std::unexpected(more.error());
    }
    (*answer)[part] = more->at(part);
  }
  if (context.json) {
    print_json(*answer);
    return {};
  }
  const Json& account = answer->at("account");
  print(details_text({
      {"account", account.at("name").get<std::string>()},
      {"title", account.at("title").get<std::string>()},
      {"tier", account.at("tier").get<std::string>()},
      {"number", number_text(account, "number")},
      {"added", time_and_age_text(account.at("created"), context.now)},
  }));
  const Colour colour = context.colour ? Colour::on : Colour::off;
  Table lists({{"LIST"}, {"DIRECTION"}, {"ENTRIES", Align::right}, {"CHANGED"}});
  for (const Json& list : answer->at("lists")) {
    lists.add({{list.at("name").get<std::string>()},
               {list.at("direction").get<std::string>()},
               {number_text(list, "entry_count")},
               {age_text(list.at("changed"), context.now)}});
  }
  Table policies({{"POLICY"}, {"KIND"}, {"TARGETS", Align::right}, {"LISTS"}});
  for (const Json& policy : answer->at("policies")) {
    policies.add({{policy.at("name").get<std::string>()},
                  {policy.at("kind").get<std::string>()},
                  {fmt::format("{}", policy.at("targets").size())},
                  {joined(policy.at("lists"), ", ")}});
  }
  for (const Table* table : {&lists, &policies}) {
    if (!table->empty()) {
      print("\n" + table->text(colour));
    }
  }
  return {};
}

Done run_account_add(const Context& context) {
  Json body{{"name", context.arg(0)}};
  take_flags(context.call, body);
  return told(context, context.client.post("/v1/accounts", body), "added");
}

Done run_account_change(const Context& context) {
  const std::string target = target_of(context.arg(0));
  const Outcome<Json> present = context.client.get(target);
  if (!present) {
    return std::unexpected(present.error());
  }
  if (!context.call.has("--title") && !context.call.has("--tier")) {
    return usage_error("account change needs --title TEXT or --tier TIER");
  }
  Json body{{"title", present->at("account").at("title")},
            {"tier", present->at("account").at("tier")}};
  take_flags(context.call, body);
  return told(context, context.client.put(target, body), "changed");
}

Done run_account_remove(const Context& context) {
  const std::string& name = context.arg(0);
  const bool with_contents = context.call.has("--with-contents");
  const Done sure =
      confirm(context, fmt::format("Remove account {}{}?", printable(name),
                                   with_contents ? " with its devices, lists and policies" : ""));
  if (!sure) {
    return sure;
  }
  const Outcome<Json> answer =
      context.client.remove(target_of(name) + (with_contents ? "?with_contents=true" : ""));
  if (!answer) {
    return std::unexpected(answer.error());
  }
  if (context.json) {
    print_json(*answer);
    return {};
  }
  print(fmt::format("account {} removed\n", printable(name)));
  return {};
}

}  // namespace merlon::merlonctl
