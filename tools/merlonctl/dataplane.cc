// SPDX-License-Identifier: Apache-2.0
// The data plane's answers are its own; this prints whatever JSON comes as "a.b.c = value" lines
// with a blank line between the groups of the first level.
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
  if (show == Show::counters && (!json.is_number() || json == 0)) {
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

Done ask(const Context& context, const std::string& target, Show show) {
  const Outcome<Json> answer = context.client.get(target);
  if (!answer) {
    return std::unexpected(answer.error());
  }
  if (context.json) {
    print_json(*answer);
    return {};
  }
  const std::string text = grouped(answer->at("dataplane"), show);
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
  return ask(context, "/v1/dataplane/stats", Show::counters);
}

}  // namespace merlon::merlonctl
