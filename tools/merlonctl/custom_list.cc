// SPDX-License-Identifier: Apache-2.0
// The lists that accounts keep themselves. `list` is about the shared lists that feeds make.
#include <fmt/format.h>

#include <algorithm>

#include "tools/merlonctl/client.h"
#include "tools/merlonctl/command.h"
#include "tools/merlonctl/table.h"
#include "tools/merlonctl/text.h"

namespace merlon::merlonctl {
namespace {

std::string lists_target(const std::string& account) {
  return fmt::format("/v1/accounts/{}/lists", escaped(account));
}

std::string list_target(const Context& context) {
  return fmt::format("{}/{}", lists_target(context.arg(0)), escaped(context.arg(1)));
}

}  // namespace

Done run_custom_list_list(const Context& context) {
  const Outcome<Json> answer = context.client.get(lists_target(context.arg(0)));
  if (!answer) {
    return std::unexpected(answer.error());
  }
  if (context.json) {
    print_json(*answer);
    return {};
  }
  Table table({{"LIST"}, {"DIRECTION"}, {"ENTRIES", Align::right}, {"CHANGED"}, {"TITLE"}});
  for (const Json& list : answer->at("lists")) {
    table.add({{list.at("name").get<std::string>()},
               {list.at("direction").get<std::string>()},
               {number_text(list, "entry_count")},
               {age_text(list.at("changed"), context.now)},
               {list.at("title").get<std::string>()}});
  }
  print(table.text(context.colour ? Colour::on : Colour::off));
  if (table.empty()) {
    say(fmt::format("no lists of its own: next: merlonctl custom-list add {} NAME",
                    printable(context.arg(0))));
  }
  return {};
}

Done run_custom_list_show(const Context& context) {
  Outcome<Json> answer = context.client.get(list_target(context));
  if (!answer) {
    return std::unexpected(answer.error());
  }
  const Outcome<Json> policies =
      context.client.get(fmt::format("/v1/accounts/{}/policies", escaped(context.arg(0))));
  if (!policies) {
    return std::unexpected(policies.error());
  }
  Json users = Json::array();
  for (const Json& policy : policies->at("policies")) {
    const Json& lists = policy.at("lists");
    if (std::find(lists.begin(), lists.end(), Json(context.arg(1))) != lists.end()) {
      users.push_back(policy.at("name"));
    }
  }
  (*answer)["policies"] = users;
  if (context.json) {
    print_json(*answer);
    return {};
  }
  const Json& list = answer->at("list");
  print(details_text({
      {"list", list.at("name").get<std::string>()},
      {"account", list.at("account").get<std::string>()},
      {"title", list.at("title").get<std::string>()},
      {"direction", list.at("direction").get<std::string>()},
      {"entries", number_text(list, "entry_count")},
      {"added", time_and_age_text(list.at("created"), context.now)},
      {"changed", time_and_age_text(list.at("changed"), context.now)},
      {"used by", users.empty() ? "no policy" : joined(users, ", ")},
  }));
  return {};
}

Done run_custom_list_add(const Context& context) {
  Json body{{"name", context.arg(1)}};
  for (const auto& [flag, key] :
       {std::pair{"--direction", "direction"}, std::pair{"--title", "title"}}) {
    if (context.call.has(flag)) {
      body[key] = context.call.value(flag);
    }
  }
  const Outcome<Json> answer = context.client.post(lists_target(context.arg(0)), body);
  if (!answer) {
    return std::unexpected(answer.error());
  }
  if (context.json) {
    print_json(*answer);
    return {};
  }
  const std::string account = printable(context.arg(0));
  const std::string name = printable(context.arg(1));
  print(fmt::format("list {} of account {} added: {}\n", name, account,
                    printable(answer->at("list").at("direction").get<std::string>())));
  say(fmt::format("next: merlonctl entry add {} {} VALUE...", account, name));
  return {};
}

Done run_custom_list_remove(const Context& context) {
  const std::string account = printable(context.arg(0));
  const std::string name = printable(context.arg(1));
  const Done sure = confirm(
      context, fmt::format("Remove list {} of account {} with its entries?", name, account));
  if (!sure) {
    return sure;
  }
  const Outcome<Json> answer = context.client.remove(list_target(context));
  if (!answer) {
    return std::unexpected(answer.error());
  }
  if (context.json) {
    print_json(*answer);
    return {};
  }
  print(fmt::format("list {} of account {} removed\n", name, account));
  return {};
}

}  // namespace merlon::merlonctl
