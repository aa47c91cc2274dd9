// SPDX-License-Identifier: Apache-2.0
// Listed or not, the question is answered: both exit with 0.
#include <fmt/format.h>

#include "tools/merlonctl/client.h"
#include "tools/merlonctl/command.h"
#include "tools/merlonctl/table.h"
#include "tools/merlonctl/text.h"

namespace merlon::merlonctl {

Done run_check(const Context& context) {
  const Outcome<Json> answer = context.client.get("/v1/check?value=" + escaped(context.arg(0)));
  if (!answer) {
    return std::unexpected(answer.error());
  }
  if (context.json) {
    print_json(*answer);
    return {};
  }
  const Json& check = answer->at("check");
  const Json& observations = check.at("observations");
  const std::string protected_by = check.at("protected_by").get<std::string>();
  const auto asn = check.at("asn").get<uint64_t>();
  std::string place = check.at("country").get<std::string>();
  if (asn != 0) {
    place += fmt::format("{}AS{} {}", place.empty() ? "" : ", ", asn,
                         check.at("organisation").get<std::string>());
  }
  const char* verdict = check.at("listed").get<bool>() ? "listed"
                        : observations.empty()         ? "never listed"
                                                       : "no longer listed";
  const std::string lists = joined(check.at("lists"), ", ");
  print(details_text({
      {check.at("kind").get<std::string>(), check.at("value").get<std::string>()},
      {"verdict", verdict},
      {"place", place.empty() ? "not known" : place},
      {"on lists", lists.empty() ? "none" : lists},
      {"protected by", protected_by.empty() ? "nothing" : protected_by},
  }));
  if (observations.empty()) {
    return {};
  }
  Table table({{"LISTED AS"}, {"FEED"}, {"SINCE"}, {"LAST SEEN"}, {"NOW"}});
  for (const Json& observation : observations) {
    const bool listed = observation.at("listed").get<bool>();
    table.add({{observation.at("value").get<std::string>()},
               {observation.at("feed").get<std::string>()},
               {age_text(observation.at("first_seen"), context.now)},
               {age_text(observation.at("last_seen"), context.now)},
               listed ? Cell{"listed", Tone::bad} : Cell{"withdrawn"}});
  }
  print("\n" + table.text(context.colour ? Colour::on : Colour::off));
  return {};
}

}  // namespace merlon::merlonctl
