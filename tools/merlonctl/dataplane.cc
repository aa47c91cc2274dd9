// SPDX-License-Identifier: Apache-2.0
// The data plane's answers are its own. Statistics in the form that it gives today become a table
// of the counters that are not zero, a column for each worker; whatever else comes is printed as
// "a.b.c = value" lines with a blank line between the groups of the first level.
#include <fmt/format.h>

#include <string>

#include "tools/merlonctl/client.h"
#include "tools/merlonctl/command.h"
#include "tools/merlonctl/table.h"

namespace merlon::merlonctl {
namespace {

enum class Show : unsigned char { everything, counters };

void flatten(const Json& json, const std::string& path, Show show, std::string& out) {
  if (json.is_structured()) {
    for (const auto& item : json.items()) {
      flatten(item.value(), path.empty() ? item.key() : path + "." + item.key(), show, out);
    }
    return;
  }
  if (path == "schema_version" || (show == Show::counters && (!json.is_number() || json == 0))) {
    return;
  }
  const std::string value = json.is_string()
                                ? json.get<std::string>()
                                : json.dump(-1, ' ', false, Json::error_handler_t::replace);
  out += printable(fmt::format("{} = {}", path, value)) + "\n";
}

std::string grouped(const Json& json, Show show) {
  std::string text;
  bool after_group = false;
  if (!json.is_structured()) {
    flatten(json, "dataplane", show, text);
    return text;
  }
  for (const auto& item : json.items()) {
    std::string group;
    flatten(item.value(), item.key(), show, group);
    if (group.empty()) {
      continue;
    }
    const bool is_group = item.value().is_structured();
    text += !text.empty() && (is_group || after_group) ? "\n" : "";
    text += group;
    after_group = is_group;
  }
  return text;
}

bool has_totals(const Json& json) {
  return json.is_object() && json.contains("total") && json["total"].is_object() &&
         json.contains("workers") && json["workers"].is_array();
}

// One row per counter that is not zero in the total.
std::string counters_text(const Json& json, Colour colour) {
  const Json& workers = json.at("workers");
  std::vector<Column> columns = {{"GROUP"}, {"COUNTER"}, {"TOTAL", Align::right}};
  for (size_t i = 0; i < workers.size(); ++i) {
    columns.push_back({fmt::format("WORKER {}", i), Align::right});
  }
  Table table(std::move(columns));
  for (const auto& group : json.at("total").items()) {
    for (const auto& counter : group.value().items()) {
      if (!counter.value().is_number_unsigned() || counter.value() == 0) {
        continue;
      }
      std::vector<Cell> row = {{group.key()}, {counter.key()}, {counter.value().dump()}};
      for (const Json& worker : workers) {
        const Json::json_pointer place("/" + group.key() + "/" + counter.key());
        row.push_back({worker.contains(place) ? worker.at(place).dump() : ""});
      }
      table.add(std::move(row));
    }
  }
  std::string text = table.empty() ? "" : table.text(colour);
  // What else was counted, by whom there is a section: ports, dnstap, subjects.
  for (const auto& section : json.items()) {
    if (section.value().is_structured() && section.key() != "total" && section.key() != "workers") {
      std::string lines;
      flatten(section.value(), section.key(), Show::counters, lines);
      text += lines.empty() ? "" : "\n" + lines;
    }
  }
  return text;
}

Done ask(const Context& context, const std::string& target, Show show) {
  const Outcome<Json> answer = context.client.get(target);
  if (!answer) {
    return std::unexpected(answer.error());
  }
  if (context.json) {
    print_json(*answer);
    return {};
  }
  const Json& said = answer->at("dataplane");
  const Colour colour = context.colour ? Colour::on : Colour::off;
  const std::string text = show == Show::counters && has_totals(said) ? counters_text(said, colour)
                                                                      : grouped(said, show);
  print(text);
  if (text.empty()) {
    say(show == Show::counters ? "every counter is 0" : "the data plane says nothing");
  }
  return {};
}

}  // namespace

Done run_dataplane_status(const Context& context) {
  return ask(context, "/v1/dataplane/status", Show::everything);
}

Done run_dataplane_stats(const Context& context) {
  if (context.call.has("--watch")) {
    return watch_dataplane_stats(context);
  }
  if (context.call.has("--interval") || context.call.has("--count")) {
    return usage_error("--interval and --count go with --watch");
  }
  return ask(context, "/v1/dataplane/stats", Show::counters);
}

}  // namespace merlon::merlonctl
