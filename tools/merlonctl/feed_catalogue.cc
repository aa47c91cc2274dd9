// SPDX-License-Identifier: Apache-2.0
// The public feeds that the control plane knows, and content of feeds that come from here.
#include <fmt/format.h>

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tools/merlonctl/client.h"
#include "tools/merlonctl/command.h"
#include "tools/merlonctl/table.h"
#include "tools/merlonctl/text.h"

namespace merlon::merlonctl {
namespace {

Tone tone_of(const std::string& access) {
  return access == "free" ? Tone::good : access == "key" ? Tone::bad : Tone::warning;
}

// Enabling one that is defined already is no mistake.
Done enable(const Context& context, const std::string& id, const Json& body, Json& feeds) {
  const Outcome<Json> answer =
      context.client.post(fmt::format("/v1/feed-catalogue/{}", escaped(id)), body);
  if (!answer) {
    return std::unexpected(answer.error());
  }
  feeds.push_back(answer->at("feed"));
  if (!context.json) {
    print(fmt::format("feed {} added\n", printable(id)));
  }
  return {};
}

Outcome<std::vector<std::string>> free_ids(const Context& context) {
  const Outcome<Json> answer = context.client.get("/v1/feed-catalogue");
  if (!answer) {
    return std::unexpected(answer.error());
  }
  std::vector<std::string> ids;
  for (const Json& entry : answer->at("catalogue")) {
    if (entry.at("access") == "free" && !entry.at("defined").get<bool>()) {
      ids.push_back(entry.at("id").get<std::string>());
    }
  }
  return ids;
}

Outcome<std::string> content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return failed(fmt::format("{}: cannot be read", printable(path)));
  }
  return std::string(std::istreambuf_iterator<char>(file), {});
}

}  // namespace

Done run_feed_catalogue_list(const Context& context) {
  const Outcome<Json> answer = context.client.get("/v1/feed-catalogue");
  if (!answer) {
    return std::unexpected(answer.error());
  }
  if (context.json) {
    print_json(*answer);
    return {};
  }
  Table table({{"FEED"},
               {"ACCESS"},
               {"DEFINED"},
               {"CATEGORY"},
               {"SEVERITY", Align::right},
               {"PROVIDER"},
               {"TITLE"}});
  for (const Json& entry : answer->at("catalogue")) {
    const auto text = [&](const char* key) { return entry.at(key).get<std::string>(); };
    table.add({{text("id")},
               {text("access"), tone_of(text("access"))},
               {entry.at("defined").get<bool>() ? "yes" : "-"},
               {text("direction") == "allow" ? "allow" : text("category")},
               {fmt::format("{}", entry.at("severity").get<uint64_t>())},
               {text("provider")},
               {text("title")}});
  }
  print(table.text(context.colour ? Colour::on : Colour::off));
  say("next: merlonctl feed-catalogue show ID, merlonctl feed-catalogue enable ID");
  return {};
}

Done run_feed_catalogue_show(const Context& context) {
  const Outcome<Json> answer =
      context.client.get(fmt::format("/v1/feed-catalogue/{}", escaped(context.arg(0))));
  if (!answer) {
    return std::unexpected(answer.error());
  }
  if (context.json) {
    print_json(*answer);
    return {};
  }
  const Json& entry = answer->at("entry");
  const auto text = [&](const char* key) { return entry.at(key).get<std::string>(); };
  const auto number = [&](const char* key) { return entry.at(key).get<uint64_t>(); };
  std::string copies;
  for (const Json& feed : entry.at("copies")) {
    copies += (copies.empty() ? "" : ", ") + feed.get<std::string>();
  }
  print(details_text({
      {"feed", text("id")},
      {"title", text("title")},
      {"provider", fmt::format("{}, {}", text("provider"), text("homepage"))},
      {"url", text("url")},
      {"format", text("format")},
      {"licence", text("licence")},
      {"access", text("key").empty() ? text("access")
                                     : fmt::format("key; credentials such as \"{}\"", text("key"))},
      {"category", fmt::format("{}, severity {}, confidence {}", text("category"),
                               number("severity"), number("confidence"))},
      {"use", fmt::format("{}, {} basic", text("direction"),
                          entry.at("in_basic").get<bool>() ? "in" : "not in")},
      {"interval", fmt::format("{} s", number("interval_s"))},
      {"copies", copies.empty() ? "nobody" : copies},
      {"defined", entry.at("defined").get<bool>() ? "yes" : "no"},
  }));
  return {};
}

Done run_feed_catalogue_enable(const Context& context) {
  const Invocation& call = context.call;
  const bool free = call.has("--free");
  if (free == !call.args.empty()) {
    return usage_error("feed-catalogue enable takes either IDs or --free");
  }
  if (call.has("--credentials") && call.args.size() != 1) {
    return usage_error("--credentials belong to one feed: name one ID");
  }
  Json body = Json::object();
  if (call.has("--credentials")) {
    body["credentials"] = call.value("--credentials");
  }
  std::vector<std::string> ids = call.args;
  if (free) {
    auto found = free_ids(context);
    if (!found) {
      return std::unexpected(found.error());
    }
    ids = std::move(*found);
  }
  Json feeds = Json::array();
  for (const std::string& id : ids) {
    const Done done = enable(context, id, body, feeds);
    if (!done) {
      return done;
    }
  }
  if (context.json) {
    print_json(Json{{"schema_version", 1}, {"feeds", std::move(feeds)}});
    return {};
  }
  say(fmt::format("{} added; they are fetched from now on", plural(ids.size(), "feed")));
  return {};
}

Done run_feed_upload(const Context& context) {
  const Outcome<std::string> content = content_of(context.arg(1));
  if (!content) {
    return std::unexpected(content.error());
  }
  const std::string& id = context.arg(0);
  const Outcome<Json> answer =
      context.client.send_lines("PUT", fmt::format("/v1/feeds/{}/content", escaped(id)), *content);
  if (!answer) {
    return std::unexpected(answer.error());
  }
  const Json& refresh = answer->at("refresh");
  const std::string health = refresh.at("state").at("health").get<std::string>();
  if (context.json) {
    print_json(*answer);
  } else {
    print(fmt::format("feed {}: {}, {} added, {} removed\n", printable(id), health,
                      refresh.at("added_count").get<uint64_t>(),
                      refresh.at("removed_count").get<uint64_t>()));
  }
  return health == "good" ? Done{}
                          : failed(printable(refresh.at("state").at("reason").get<std::string>()));
}

}  // namespace merlon::merlonctl
