// SPDX-License-Identifier: Apache-2.0
#include "tools/merlonctl/feed_safety.h"

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "tools/merlonctl/table.h"
#include "tools/merlonctl/text.h"

namespace merlon::merlonctl {
namespace {

std::string text_at(const Json& json, const char* key) {
  return json.at(key).get<std::string>();
}

}  // namespace

Done print_safety(const Context& context, const std::string& id) {
  const Outcome<Json> answer = context.client.get(fmt::format("/v1/feeds/{}/safety", escaped(id)));
  if (!answer) {
    return std::unexpected(answer.error());
  }
  const Json& safety = answer->at("safety");
  std::vector<std::pair<std::string, std::string>> rows = {
      {"trust", fmt::format("{} of 100", safety.at("trust").get<int>())},
      {"taken out", plural(safety.at("taken_out_count").get<uint64_t>(), "protected entry") +
                        (safety.at("taken_out_at").is_null()
                             ? ""
                             : ", last " + age_text(safety.at("taken_out_at"), context.now))},
  };
  if (const std::string stale = text_at(safety, "stale"); !stale.empty()) {
    rows.emplace_back("stale", stale);
  }
  if (const std::string same = text_at(safety, "same_as"); !same.empty()) {
    rows.emplace_back("same as", fmt::format("feed {}: its content is identical", same));
  }
  if (!safety.at("held").is_null()) {
    rows.emplace_back("quarantine", fmt::format("{}; next: merlonctl feed accept {}",
                                                text_at(safety.at("held"), "reason"), id));
  }
  print(details_text(rows));
  if (safety.at("taken_out_examples").empty()) {
    return {};
  }
  Table table({{"THIS FEED LISTED"}, {"PROTECTED BY"}, {"WHY"}});
  for (const Json& one : safety.at("taken_out_examples")) {
    table.add({{text_at(one, "entry")}, {text_at(one, "protected_by")}, {text_at(one, "why")}});
  }
  print("\n" + table.text(context.colour ? Colour::on : Colour::off));
  return {};
}

Done run_feed_accept(const Context& context) {
  const std::string& id = context.arg(0);
  const std::string target = "/v1/feeds/" + escaped(id);
  if (!context.dry_run && !context.call.has("--yes")) {
    const Outcome<Json> feed = context.client.get(target);
    if (!feed) {
      return std::unexpected(feed.error());
    }
    const std::string reason = text_at(feed->at("feed").at("state"), "reason");
    if (const Done sure = confirm(
            context, fmt::format("Apply content that was refused ({})?", printable(reason)));
        !sure) {
      return sure;
    }
  }
  const Outcome<Json> answer = context.client.post(target + "/accept");
  if (!answer) {
    return std::unexpected(answer.error());
  }
  if (context.json) {
    print_json(*answer);
    return {};
  }
  const Json& refresh = answer->at("refresh");
  print(fmt::format("feed {} accepted: {} added, {} removed\n", printable(id),
                    refresh.at("added_count").get<uint64_t>(),
                    refresh.at("removed_count").get<uint64_t>()));
  return {};
}

}  // namespace merlon::merlonctl
