// SPDX-License-Identifier: Apache-2.0
// What an account's devices find: `account lists`.
#include <fmt/format.h>

#include "tools/merlonctl/client.h"
#include "tools/merlonctl/command.h"
#include "tools/merlonctl/table.h"
#include "tools/merlonctl/text.h"

namespace merlon::merlonctl {
namespace {

// The first name leads to the others.
std::string names_text(const Json& names) {
  if (names.empty()) {
    return "-";
  }
  const std::string first = names.front().get<std::string>();
  return names.size() == 1 ? first : fmt::format("{} and {} more", first, names.size() - 1);
}

}  // namespace

Done run_account_lists(const Context& context) {
  const Outcome<Json> answer =
      context.client.get("/v1/accounts/" + escaped(context.arg(0)) + "/published");
  if (!answer) {
    return std::unexpected(answer.error());
  }
  if (context.json) {
    print_json(*answer);
    return {};
  }
  const Colour colour = context.colour ? Colour::on : Colour::off;
  Table lists({{"LIST"},
               {"KIND"},
               {"IPV4", Align::right},
               {"IPV6", Align::right},
               {"APL ONLY", Align::right},
               {"PROTECTED", Align::right},
               {"FALLEN OFF", Align::right},
               {"NAMES"}});
  for (const Json& list : answer->at("lists")) {
    lists.add({{list.at("name").get<std::string>()},
               {list.at("kind").get<std::string>()},
               {number_text(list, "address4_count")},
               {number_text(list, "address6_count")},
               {number_text(list, "prefix_only_count")},
               {number_text(list, "protected_prefix_count")},
               {number_text(list, "fallen_off_count")},
               {names_text(list.at("names"))}});
  }
  Table zones({{"POLICY ZONE"}, {"SERIAL", Align::right}, {"NAMES", Align::right}});
  for (const Json& zone : answer->at("policy_zones")) {
    zones.add({{zone.at("apex").get<std::string>()},
               {number_text(zone, "serial")},
               {number_text(zone, "name_count")}});
  }
  Table catalogs({{"CATALOG ZONE"}, {"SERIAL", Align::right}, {"MEMBERS", Align::right}});
  for (const Json& zone : answer->at("catalogs")) {
    catalogs.add({{zone.at("apex").get<std::string>()},
                  {number_text(zone, "serial")},
                  {number_text(zone, "name_count")}});
  }
  print(lists.text(colour));
  if (!zones.empty()) {
    print("\n" + zones.text(colour));
  }
  if (!catalogs.empty()) {
    print("\n" + catalogs.text(colour));
  }
  for (const Json& problem : answer->at("problems")) {
    say(printable("problem: " + problem.get<std::string>()));
  }
  if (lists.empty() && zones.empty()) {
    say(printable(fmt::format("nothing is published for {0}: next: merlonctl policy add {0} NAME",
                              context.arg(0))));
  }
  return {};
}

}  // namespace merlon::merlonctl
