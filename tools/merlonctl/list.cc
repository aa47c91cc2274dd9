// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "tools/merlonctl/client.h"
#include "tools/merlonctl/command.h"
#include "tools/merlonctl/table.h"
#include "tools/merlonctl/text.h"

namespace merlon::merlonctl {
namespace {

std::string number(const Json& object, const char* key) {
  return fmt::format("{}", object.at(key).get<uint64_t>());
}

}  // namespace

Done run_list_list(const Context& context) {
  const Outcome<Json> answer = context.client.get("/v1/lists");
  if (!answer) {
    return std::unexpected(answer.error());
  }
  if (context.json) {
    print_json(*answer);
    return {};
  }
  Table table({{"LIST"},
               {"KIND"},
               {"TIER"},
               {"IPV4", Align::right},
               {"IPV6", Align::right},
               {"APL ONLY", Align::right},
               {"PROTECTED", Align::right},
               {"DOMAINS", Align::right},
               {"NAMES", Align::right},
               {"FEEDS", Align::right}});
  for (const Json& list : answer->at("lists")) {
    table.add({{list.at("name").get<std::string>()},
               {list.at("kind").get<std::string>()},
               {list.at("tier").get<std::string>()},
               {number(list, "address4_count")},
               {number(list, "address6_count")},
               {number(list, "prefix_only_count")},
               {number(list, "protected_prefix_count")},
               {number(list, "domain_count")},
               {fmt::format("{}", list.at("names").size())},
               {fmt::format("{}", list.at("feeds").size())}});
  }
  print(table.text(context.colour ? Colour::on : Colour::off));
  if (table.empty()) {
    say("no lists: next: merlonctl snapshot build");
  }
  return {};
}

Done run_list_show(const Context& context) {
  const Outcome<Json> answer = context.client.get("/v1/lists/" + escaped(context.arg(0)));
  if (!answer) {
    return std::unexpected(answer.error());
  }
  if (context.json) {
    print_json(*answer);
    return {};
  }
  const Json& list = answer->at("list");
  print(details_text({
      {"list", list.at("name").get<std::string>()},
      {"kind", list.at("kind").get<std::string>()},
      {"tier", list.at("tier").get<std::string>()},
      {"IPv4 addresses", number(list, "address4_count")},
      {"IPv6 addresses", number(list, "address6_count")},
      {"in APL only", number(list, "prefix_only_count")},
      {"protected", number(list, "protected_prefix_count")},
      {"fallen off", number(list, "fallen_off_count")},
      {"domains", number(list, "domain_count")},
      {"feeds", joined(list.at("feeds"), ", ")},
  }));
  Table names({{"NAME"}});
  for (const Json& name : list.at("names")) {
    names.add({{name.get<std::string>()}});
  }
  print("\n" + names.text(context.colour ? Colour::on : Colour::off));
  return {};
}

}  // namespace merlon::merlonctl
