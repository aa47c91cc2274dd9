// SPDX-License-Identifier: Apache-2.0
// What feeds are worth beside each other, as tables and as a picture.
#include <fmt/format.h>

#include <fstream>
#include <string>
#include <vector>

#include "tools/merlonctl/client.h"
#include "tools/merlonctl/command.h"
#include "tools/merlonctl/svg.h"
#include "tools/merlonctl/table.h"
#include "tools/merlonctl/text.h"

namespace merlon::merlonctl {
namespace {

std::string percent(uint64_t part, uint64_t whole) {
  return whole == 0 ? "-"
                    : fmt::format("{:.1f} %",
                                  100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

std::string hours(const Json& seconds) {
  return fmt::format("{:.1f} h", static_cast<double>(seconds.get<int64_t>()) / 3600);
}

uint64_t number(const Json& json, const char* key) {
  return json.at(key).get<uint64_t>();
}

Outcome<Json> fetch_report(const Context& context) {
  std::string target = "/v1/feeds/report";
  for (const std::string& id : context.call.args) {
    target += (target.find('?') == std::string::npos ? "?feeds=" : "%2C") + escaped(id);
  }
  return context.client.get(target);
}

std::string taken_out_text(const Json& safety) {
  const uint64_t count = number(safety, "taken_out_count");
  if (count == 0) {
    return "";
  }
  std::string text;
  for (const Json& one : safety.at("taken_out_examples")) {
    if (text.size() > 60) {
      return text + ", ..";
    }
    text += (text.empty() ? "this feed listed " : ", ") + one.at("entry").get<std::string>();
  }
  return text;
}

Table value_table(const Json& report) {
  Table table({{"FEED"},
               {"SIZE", Align::right},
               {"ALONE", Align::right},
               {"FIRST", Align::right},
               {"LEAD", Align::right},
               {"AGE", Align::right},
               {"RETENTION", Align::right},
               {"TRUST", Align::right},
               {"TAKEN OUT", Align::right},
               {"PROTECTED ENTRIES"}});
  for (const Json& feed : report.at("feeds")) {
    const Json& safety = feed.at("safety");
    const uint64_t sampled = number(feed, "sampled_shared");
    const int trust = safety.at("trust").get<int>();
    table.add({{feed.at("feed").get<std::string>()},
               {fmt::format("{}", number(feed, "size"))},
               {percent(number(feed, "unique"), number(feed, "size"))},
               {percent(number(feed, "sampled_first"), sampled)},
               {sampled == 0 ? "-" : hours(feed.at("lead_s"))},
               {hours(feed.at("age_s"))},
               {number(feed, "sampled_withdrawn") == 0 ? "-" : hours(feed.at("retention_s"))},
               {fmt::format("{}", trust), trust >= 90 ? Tone::plain : Tone::warning},
               {fmt::format("{}", number(safety, "taken_out_count"))},
               {taken_out_text(safety)}});
  }
  return table;
}

Table shared_table(const Json& report) {
  std::vector<Column> columns = {{"OF"}};
  for (const Json& feed : report.at("feeds")) {
    columns.push_back({"IN " + feed.at("feed").get<std::string>(), Align::right});
  }
  Table table(std::move(columns));
  const Json& feeds = report.at("feeds");
  for (size_t i = 0; i < feeds.size(); ++i) {
    std::vector<Cell> cells = {{feeds[i].at("feed").get<std::string>()}};
    for (const Json& both : report.at("shared")[i]) {
      cells.push_back({percent(both.get<uint64_t>(), number(feeds[i], "size"))});
    }
    table.add(std::move(cells));
  }
  return table;
}

}  // namespace

Done run_feed_report(const Context& context) {
  const Outcome<Json> answer = fetch_report(context);
  if (!answer) {
    return std::unexpected(answer.error());
  }
  const Json& report = answer->at("report");
  if (context.call.has("--svg")) {
    const std::string& path = context.call.value("--svg");
    std::ofstream file(path, std::ios::binary);
    file << feeds_svg(report);
    file.close();
    if (!file) {
      return failed(fmt::format("{}: cannot be written", printable(path)));
    }
    say(fmt::format("{} written", printable(path)));
  }
  if (context.json) {
    print_json(*answer);
    return {};
  }
  print(value_table(report).text(context.colour ? Colour::on : Colour::off));
  return {};
}

Done run_feed_compare(const Context& context) {
  const Outcome<Json> answer = fetch_report(context);
  if (!answer) {
    return std::unexpected(answer.error());
  }
  if (context.json) {
    print_json(*answer);
    return {};
  }
  const Colour colour = context.colour ? Colour::on : Colour::off;
  const Json& report = answer->at("report");
  print(shared_table(report).text(colour) + "\n" + value_table(report).text(colour));
  return {};
}

}  // namespace merlon::merlonctl
