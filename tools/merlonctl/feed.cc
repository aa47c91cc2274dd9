// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "tools/merlonctl/client.h"
#include "tools/merlonctl/command.h"
#include "tools/merlonctl/feed_folder.h"
#include "tools/merlonctl/feed_safety.h"
#include "tools/merlonctl/table.h"
#include "tools/merlonctl/text.h"

namespace merlon::merlonctl {
namespace {

Tone tone_of(const std::string& health) {
  return health == "good" || health == "loaded" ? Tone::good
         : health == "quarantined"              ? Tone::warning
         : health == "failed"                   ? Tone::bad
                                                : Tone::plain;
}

uint64_t count(const Json& state, const char* key) {
  return state.at(key).get<uint64_t>();
}

std::string number(const Json& state, const char* key) {
  return fmt::format("{}", count(state, key));
}

// The flags of `feed add` that shape a definition, as its JSON keys.
Outcome<Json> definition_of(const Invocation& call) {
  Json body = Json::object();
  static constexpr std::pair<std::string_view, std::string_view> kTexts[] = {
      {"--title", "title"},         {"--format", "format"},     {"--category", "category"},
      {"--direction", "direction"}, {"--tier", "tier"},         {"--provider", "provider"},
      {"--licence", "licence"},     {"--homepage", "homepage"}, {"--credentials", "credentials"},
      {"--ageing", "ageing"},
  };
  for (const auto& [flag, key] : kTexts) {
    if (call.has(flag)) {
      body[std::string(key)] = call.value(flag);
    }
  }
  struct Quantity {
    std::string_view flag;
    const char* key;
    std::optional<uint64_t> (*parse)(std::string_view);
    std::string_view form;
  };
  static constexpr Quantity kQuantities[] = {
      {"--severity", "severity", parse_number, "a number from 0 to 5"},
      {"--confidence", "confidence", parse_number, "a number from 0 to 100"},
      {"--interval", "interval_s", parse_duration_s, "a time such as 900, 15m, 1h or 1d"},
      {"--size-max", "size_max_bytes", parse_size_bytes, "a size such as 1000000 or 64MiB"},
  };
  for (const Quantity& quantity : kQuantities) {
    if (!call.has(quantity.flag)) {
      continue;
    }
    const std::optional<uint64_t> value = quantity.parse(call.value(quantity.flag));
    if (!value) {
      return usage_error(fmt::format("{} \"{}\": must be {}", quantity.flag,
                                     printable(call.value(quantity.flag)), quantity.form));
    }
    body[quantity.key] = *value;
  }
  if (call.has("--not-in-basic")) {
    body["in_basic"] = false;
  }
  if (call.has("--disabled")) {
    body["enabled"] = false;
  }
  if (call.has("--private-hosts")) {
    body["private_hosts"] = true;
  }
  if (call.has("--copies")) {
    const auto copied = parse_names(call.value("--copies"));
    if (!copied) {
      return usage_error("--copies: name feeds, with commas between them");
    }
    body["copies"] = *copied;
  }
  return body;
}

// What became of one feed in a command that works on many.
struct Row {
  std::string id = {};
  std::string file = {};
  std::string format = {};  // of its definition
  std::string result = {};  // "loaded", "quarantined", "failed", "disabled"
  std::string reason = {};
  Json refresh = nullptr;  // the API's "refresh" object

  bool good() const { return result == "loaded" || result == "disabled"; }
};

// Refreshes and fills the row. A Failure only when going on makes no sense.
Done refresh_into(const Context& context, Row& row) {
  const Outcome<Json> answer =
      context.client.post(fmt::format("/v1/feeds/{}/refresh", escaped(row.id)));
  if (!answer) {
    if (answer.error().exit == Exit::unreachable || answer.error().exit == Exit::ok) {
      return std::unexpected(answer.error());
    }
    row.result = "failed";
    row.reason = answer.error().message;
    return {};
  }
  row.refresh = answer->at("refresh");
  const Json& state = row.refresh.at("state");
  const std::string health = state.at("health").get<std::string>();
  row.result = health == "good" ? "loaded" : health;
  row.reason = state.at("reason").get<std::string>();
  return {};
}

std::string one_line(const Row& row) {
  std::string text = fmt::format("{}: {}", row.id, row.result);
  if (row.result == "loaded") {
    const Json& state = row.refresh.at("state");
    text += fmt::format(", {} IPv4, {} IPv6, {} domains", count(state, "prefix4_count"),
                        count(state, "prefix6_count"), count(state, "domain_count"));
  }
  if (!row.reason.empty()) {
    text += fmt::format(", {}", row.reason);
  }
  return printable(text);
}

// Why it was not taken, or why some of its lines were not.
std::string reason_of(const Row& row) {
  if (!row.reason.empty() || row.refresh.is_null()) {
    return row.reason;
  }
  std::string text;
  for (const auto& item : row.refresh.at("state").at("rejected_by_reason").items()) {
    text +=
        fmt::format("{}{} {}", text.empty() ? "" : ", ", item.value().get<uint64_t>(), item.key());
  }
  return text;
}

enum class Files : unsigned char { without, with };

void print_rows(const Context& context, const std::vector<Row>& rows, Files files) {
  std::vector<Column> columns = {{"FEED"}, {"RESULT"}};
  for (const char* title : {"IPV4", "IPV6", "DOMAINS", "REJECTED", "ADDED", "REMOVED"}) {
    columns.push_back({title, Align::right});
  }
  if (files == Files::with) {
    columns.push_back({"FILE"});
    columns.push_back({"FORMAT"});
  }
  columns.push_back({"REASON"});
  Table table(std::move(columns));
  for (const Row& row : rows) {
    std::vector<Cell> cells = {{row.id}, {row.result, tone_of(row.result)}};
    const bool known = !row.refresh.is_null();
    for (const char* key : {"prefix4_count", "prefix6_count", "domain_count", "rejected_count"}) {
      cells.push_back({known ? number(row.refresh.at("state"), key) : "-"});
    }
    for (const char* key : {"added_count", "removed_count"}) {
      cells.push_back({known ? number(row.refresh, key) : "-"});
    }
    if (files == Files::with) {
      cells.push_back({row.file});
      cells.push_back({row.format});
    }
    cells.push_back({reason_of(row)});
    table.add(std::move(cells));
  }
  print(table.text(context.colour ? Colour::on : Colour::off));
}

// Prints the rows and says how many went well; the exit is 1 when one did not.
Done finish_rows(const Context& context, const std::vector<Row>& rows, Files files) {
  if (context.json) {
    Json json{{"schema_version", 1}, {"feeds", Json::array()}};
    for (const Row& row : rows) {
      Json item{{"id", row.id}};
      if (files == Files::with) {
        item["file"] = row.file;
        item["format"] = row.format;
      }
      item.update(Json{{"result", row.result}, {"reason", row.reason}, {"refresh", row.refresh}});
      json["feeds"].push_back(std::move(item));
    }
    print_json(json);
  } else {
    print_rows(context, rows, files);
  }
  const auto with = [&](std::string_view result) {
    return std::count_if(rows.begin(), rows.end(),
                         [&](const Row& row) { return row.result == result; });
  };
  const std::string summary =
      fmt::format("{}: {} loaded, {} quarantined, {} failed", plural(rows.size(), "feed"),
                  with("loaded"), with("quarantined"), with("failed"));
  const auto bad =
      std::find_if_not(rows.begin(), rows.end(), [](const Row& r) { return r.good(); });
  if (bad != rows.end()) {
    return failed(fmt::format("{}; next: merlonctl feed show {}", summary, printable(bad->id)));
  }
  say(fmt::format("{}; next: merlonctl snapshot build", summary));
  return {};
}

// Defines the feed; one that is there with the same URL already is taken as it is, so that the
// command can be repeated.
Done define(const Context& context, const FolderFeed& feed, Row& row) {
  Json definition = feed.definition;
  if (!definition.contains("format")) {
    // What nothing fits is defined all the same: its refresh says why it is quarantined.
    const Outcome<Json> probe =
        context.client.post("/v1/feeds/probe", Json{{"url", definition.at("url")}});
    const std::string format =
        probe ? probe->at("probe").at("format").get<std::string>() : std::string();
    if (!format.empty()) {
      definition["format"] = format;
    }
  }
  const Outcome<Json> added = context.client.post("/v1/feeds", definition);
  if (added) {
    row.format = definition.value("format", std::string("auto"));
    return {};
  }
  if (added.error().exit == Exit::unreachable || added.error().exit == Exit::usage) {
    return std::unexpected(added.error());
  }
  const Outcome<Json> present = context.client.get("/v1/feeds/" + escaped(row.id));
  if (!present || present->at("feed").at("url") != feed.definition.at("url")) {
    row.result = "failed";
    row.reason = added.error().message;
  } else {
    row.format = present->at("feed").at("format").get<std::string>();
  }
  return {};
}

Done add_folder(const Context& context, const Json& defaults) {
  const std::string& directory = context.call.value("--dir");
  const Outcome<std::vector<FolderFeed>> feeds = read_folder(directory, defaults);
  if (!feeds) {
    return std::unexpected(feeds.error());
  }
  if (feeds->empty()) {
    return failed(fmt::format("--dir {}: holds no feed files", printable(directory)));
  }
  if (context.dry_run) {
    for (const FolderFeed& feed : *feeds) {
      static_cast<void>(context.client.post("/v1/feeds", feed.definition));  // prints it
    }
    return {};
  }
  std::vector<Row> rows;
  for (const FolderFeed& feed : *feeds) {
    const Json& id = feed.definition.at("id");
    Row row;
    row.id = id.is_string() ? id.get<std::string>() : id.dump();
    row.file = feed.file;
    Done done = define(context, feed, row);
    if (done && row.result.empty()) {
      if (feed.definition.value("enabled", Json(true)) == false) {
        row.result = "disabled";
      } else {
        done = refresh_into(context, row);
      }
    }
    if (!done) {
      return done;
    }
    say(fmt::format("[{}/{}] {}", rows.size() + 1, feeds->size(), one_line(row)));
    rows.push_back(std::move(row));
  }
  return finish_rows(context, rows, Files::with);
}

void print_rejected(const Context& context, const Json& state) {
  const Colour colour = context.colour ? Colour::on : Colour::off;
  if (!state.at("rejected_by_reason").empty()) {
    Table reasons({{"REJECTED", Align::right}, {"REASON"}});
    for (const auto& item : state.at("rejected_by_reason").items()) {
      reasons.add({{fmt::format("{}", item.value().get<uint64_t>())}, {item.key()}});
    }
    print("\n" + reasons.text(colour));
  }
  if (!state.at("rejected_examples").empty()) {
    Table examples({{"LINE", Align::right}, {"REASON"}, {"TEXT"}});
    for (const Json& line : state.at("rejected_examples")) {
      examples.add({{number(line, "line")},
                    {line.at("reason").get<std::string>()},
                    {line.at("text").get<std::string>()}});
    }
    print("\n" + examples.text(colour));
  }
}

}  // namespace

Done run_feed_list(const Context& context) {
  const Outcome<Json> answer = context.client.get("/v1/feeds");
  if (!answer) {
    return std::unexpected(answer.error());
  }
  if (context.json) {
    print_json(*answer);
    return {};
  }
  Table table({{"FEED"},
               {"HEALTH"},
               {"IPV4", Align::right},
               {"IPV6", Align::right},
               {"DOMAINS", Align::right},
               {"REJECTED", Align::right},
               {"TIER"},
               {"CATEGORY"},
               {"LAST GOOD"},
               {"REASON"}});
  for (const Json& feed : answer->at("feeds")) {
    const Json& state = feed.at("state");
    const std::string health = feed.at("enabled").get<bool>()
                                   ? state.at("health").get<std::string>()
                                   : std::string("disabled");
    table.add({{feed.at("id").get<std::string>()},
               {health, tone_of(health)},
               {number(state, "prefix4_count")},
               {number(state, "prefix6_count")},
               {number(state, "domain_count")},
               {number(state, "rejected_count")},
               {feed.at("tier").get<std::string>()},
               {feed.at("category").get<std::string>()},
               {age_text(state.at("last_good"), context.now)},
               {state.at("reason").get<std::string>()}});
  }
  print(table.text(context.colour ? Colour::on : Colour::off));
  if (table.empty()) {
    say("no feeds: next: merlonctl feed add ID --url URL");
  }
  return {};
}

Done run_feed_show(const Context& context) {
  const Outcome<Json> answer = context.client.get("/v1/feeds/" + escaped(context.arg(0)));
  if (!answer) {
    return std::unexpected(answer.error());
  }
  if (context.json) {
    print_json(*answer);
    return {};
  }
  const Json& feed = answer->at("feed");
  const Json& state = feed.at("state");
  const auto text = [&](const char* key) { return feed.at(key).get<std::string>(); };
  const std::string reason = state.at("reason").get<std::string>();
  const auto when = [&](const char* key) { return time_and_age_text(state.at(key), context.now); };
  print(details_text({
      {"feed", text("id")},
      {"title", text("title")},
      {"url", text("url")},
      {"format", fmt::format("{}, read as {}", text("format"),
                             state.at("format") == "" ? "nothing yet"
                                                      : state.at("format").get<std::string>())},
      {"category", fmt::format("{}, severity {}, confidence {}", text("category"),
                               number(feed, "severity"), number(feed, "confidence"))},
      {"use", fmt::format("{}, tier {}, {} basic, {}", text("direction"), text("tier"),
                          feed.at("in_basic").get<bool>() ? "in" : "not in",
                          feed.at("enabled").get<bool>() ? "enabled" : "disabled")},
      {"interval", fmt::format("{} s", count(feed, "interval_s"))},
      {"health", state.at("health").get<std::string>() + (reason.empty() ? "" : ": " + reason)},
      {"last attempt", when("last_attempt")},
      {"last good", when("last_good")},
      {"last changed", when("last_changed")},
      {"content", fmt::format("{}, {}", size_text(count(state, "size_bytes")),
                              plural(count(state, "line_count"), "line"))},
      {"in force",
       fmt::format("{} IPv4 prefixes, {} IPv6 prefixes, {} domains", count(state, "prefix4_count"),
                   count(state, "prefix6_count"), count(state, "domain_count"))},
      {"rejected", plural(count(state, "rejected_count"), "line")},
  }));
  const Done safe = print_safety(context, text("id"));
  print_rejected(context, state);
  return safe;
}

Done run_feed_add(const Context& context) {
  const Invocation& call = context.call;
  Outcome<Json> flags = definition_of(call);
  if (!flags) {
    return std::unexpected(flags.error());
  }
  if (call.has("--dir")) {
    if (call.has("--url") || !call.args.empty()) {
      return usage_error("feed add --dir takes neither an ID nor --url: both come from the files");
    }
    return add_folder(context, *flags);
  }
  if (call.args.empty() || !call.has("--url")) {
    return usage_error("feed add needs an ID and --url URL, or --dir DIR");
  }
  Json body{{"id", context.arg(0)}, {"url", call.value("--url")}};
  body.update(*flags);
  const Outcome<Json> answer = context.client.post("/v1/feeds", body);
  if (!answer) {
    return std::unexpected(answer.error());
  }
  if (context.json) {
    print_json(*answer);
    return {};
  }
  const std::string id = printable(answer->at("feed").at("id").get<std::string>());
  print(fmt::format("feed {} added\n", id));
  say(fmt::format("next: merlonctl feed refresh {}", id));
  return {};
}

Done run_feed_refresh(const Context& context) {
  const bool all = context.call.has("--all");
  std::vector<std::string> ids = context.call.args;
  if (all == !ids.empty()) {
    return usage_error("feed refresh takes either IDs or --all");
  }
  if (all) {
    const Outcome<Json> feeds = context.client.get("/v1/feeds");
    if (!feeds) {
      return std::unexpected(feeds.error());
    }
    for (const Json& feed : feeds->at("feeds")) {
      if (feed.at("enabled").get<bool>()) {
        ids.push_back(feed.at("id").get<std::string>());
      }
    }
  }
  if (!all && ids.size() == 1) {
    const Outcome<Json> answer =
        context.client.post(fmt::format("/v1/feeds/{}/refresh", escaped(ids[0])));
    if (!answer) {
      return std::unexpected(answer.error());
    }
    const Json& state = answer->at("refresh").at("state");
    const std::string health = state.at("health").get<std::string>();
    const Row row{.id = ids[0],
                  .result = health == "good" ? "loaded" : health,
                  .reason = state.at("reason").get<std::string>(),
                  .refresh = answer->at("refresh")};
    if (!context.json) {
      return finish_rows(context, {row}, Files::without);
    }
    print_json(*answer);
    return row.good() ? Done{} : failed(one_line(row));
  }
  std::vector<Row> rows;
  for (const std::string& id : ids) {
    Row row;
    row.id = id;
    const Done done = refresh_into(context, row);
    if (!done && done.error().exit != Exit::ok) {
      return done;
    }
    if (!context.dry_run) {
      say(fmt::format("[{}/{}] {}", rows.size() + 1, ids.size(), one_line(row)));
      rows.push_back(std::move(row));
    }
  }
  return context.dry_run ? Done{} : finish_rows(context, rows, Files::without);
}

Done run_feed_remove(const Context& context) {
  const std::string& id = context.arg(0);
  const Done sure =
      confirm(context, fmt::format("Remove feed {} and withdraw all it lists?", printable(id)));
  if (!sure) {
    return sure;
  }
  const Outcome<Json> answer = context.client.remove("/v1/feeds/" + escaped(id));
  if (!answer) {
    return std::unexpected(answer.error());
  }
  if (context.json) {
    print_json(*answer);
    return {};
  }
  print(fmt::format("feed {} removed\n", printable(id)));
  say("its list goes with the next snapshot; next: merlonctl snapshot build");
  return {};
}

}  // namespace merlon::merlonctl
