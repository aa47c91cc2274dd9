// SPDX-License-Identifier: Apache-2.0
// Who asks, who is refused without being known, and what a packet costs: the operator's looks into
// a running data plane.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>

#include "tools/merlonctl/client.h"
#include "tools/merlonctl/command.h"
#include "tools/merlonctl/table.h"
#include "tools/merlonctl/text.h"

namespace merlon::merlonctl {
namespace {

constexpr uint64_t kProfileMaxS = 3600;

Colour colour_of(const Context& context) {
  return context.colour ? Colour::on : Colour::off;
}

std::string limit_query(const Context& context, char before) {
  return context.call.has("--limit")
             ? fmt::format("{}limit={}", before, escaped(context.call.value("--limit")))
             : std::string();
}

Cell number(const Json& value) {
  return {value.dump()};
}

Cell count_cell(const Json& value, Tone tone) {
  return {value.dump(), value == 0 ? Tone::plain : tone};
}

std::string ns_text(const Json& value) {
  const double ns = value.get<double>();
  return ns < 1000 ? fmt::format("{:.1f}", ns) : fmt::format("{:.0f}", ns);
}

void print_profile(const Context& context, const Json& profile) {
  if (context.json) {
    print_json(profile);
    return;
  }
  const Json& said = profile.at("dataplane");
  if (said.at("stages").empty()) {
    say(said.at("seconds") == 0 ? "nothing was measured yet; give --seconds"
                                : "no packet came while it was measured");
    return;
  }
  Table table({{"STAGE"},
               {"PACKETS", Align::right},
               {"MEAN NS", Align::right},
               {"P50", Align::right},
               {"P90", Align::right},
               {"P99", Align::right},
               {"MAX", Align::right}});
  for (const Json& stage : said.at("stages")) {
    table.add({{printable(stage.at("stage").get<std::string>())},
               number(stage.at("packets")),
               {ns_text(stage.at("mean_ns"))},
               {ns_text(stage.at("p50_ns"))},
               {ns_text(stage.at("p90_ns"))},
               {ns_text(stage.at("p99_ns"))},
               {ns_text(stage.at("max_ns"))}});
  }
  print(table.text(colour_of(context)));
  if (said.at("running").get<bool>()) {
    say("it is still being measured");
  }
}

}  // namespace

Done run_dataplane_top(const Context& context) {
  const Outcome<Json> answer = context.client.get("/v1/dataplane/top" + limit_query(context, '?'));
  if (!answer) {
    return std::unexpected(answer.error());
  }
  if (context.json) {
    print_json(*answer);
    return {};
  }
  Table table({{"ADDRESS"}, {"QUERIES", Align::right}, {"AT LEAST", Align::right}, {"LAST SEEN"}});
  for (const Json& source : answer->at("dataplane").at("unknown_sources")) {
    const auto count = source.at("count").get<uint64_t>();
    const auto error = source.at("error").get<uint64_t>();
    const int64_t age =
        std::max<int64_t>(0, context.now - source.at("last_seen_unix_s").get<int64_t>());
    table.add({{printable(source.at("address").get<std::string>())},
               {fmt::format("{}", count)},
               {fmt::format("{}", count - error)},
               {fmt::format("{} s ago", age)}});
  }
  if (table.empty()) {
    say("no source was refused because nobody knows it");
    return {};
  }
  print(table.text(colour_of(context)));
  return {};
}

Done run_dataplane_subjects(const Context& context) {
  std::string target = "/v1/dataplane/subjects";
  if (context.call.has("--account")) {
    target += "?account=" + escaped(context.call.value("--account"));
  }
  target += limit_query(context, context.call.has("--account") ? '&' : '?');
  const Outcome<Json> answer = context.client.get(target);
  if (!answer) {
    return std::unexpected(answer.error());
  }
  if (context.json) {
    print_json(*answer);
    return {};
  }
  Table table({{"ACCOUNT"},
               {"DEVICE"},
               {"QUERIES", Align::right},
               {"ANSWERED", Align::right},
               {"NXDOMAIN", Align::right},
               {"NODATA", Align::right},
               {"REFUSED", Align::right},
               {"DROPPED", Align::right},
               {"TRUNCATED", Align::right},
               {"TCP", Align::right},
               {"NEVER CAME", Align::right},
               {"LAST SEEN"}});
  const Json& said = answer->at("dataplane");
  for (const Json& row : said.at("subjects")) {
    const uint64_t refused =
        row.at("refused").get<uint64_t>() + row.at("refused_by_verb").get<uint64_t>();
    table.add({{printable(row.at("account").get<std::string>())},
               {printable(row.at("device").get<std::string>())},
               number(row.at("queries")),
               number(row.at("answered")),
               number(row.at("nxdomain")),
               number(row.at("nodata")),
               count_cell(Json(refused), Tone::warning),
               count_cell(row.at("dropped"), Tone::warning),
               number(row.at("truncated")),
               number(row.at("tcp_queries")),
               count_cell(row.at("never_came_back"), Tone::warning),
               {age_text(row.at("last_seen"), context.now)}});
  }
  if (table.empty()) {
    say("the data plane knows no device");
    return {};
  }
  print(table.text(colour_of(context)));
  const auto all = said.at("subject_count").get<uint64_t>();
  if (said.at("subjects").size() < all && !context.call.has("--account")) {
    say(fmt::format("{} of {}; --limit shows more", plural(said.at("subjects").size(), "device"),
                    all));
  }
  return {};
}

Done run_dataplane_profile(const Context& context) {
  if (context.call.has("--seconds")) {
    const auto seconds = parse_duration_s(context.call.value("--seconds"));
    if (!seconds || *seconds == 0 || *seconds > kProfileMaxS) {
      return usage_error("--seconds must be 1 to 3600 seconds");
    }
    const Outcome<Json> started =
        context.client.post("/v1/dataplane/profile", Json{{"seconds", *seconds}});
    if (!started) {
      return std::unexpected(started.error());
    }
    say(fmt::format("measuring for {}", plural(*seconds, "second")));
    std::this_thread::sleep_for(std::chrono::seconds(*seconds) + std::chrono::milliseconds(100));
  }
  const Outcome<Json> answer = context.client.get("/v1/dataplane/profile");
  if (!answer) {
    return std::unexpected(answer.error());
  }
  print_profile(context, *answer);
  return {};
}

}  // namespace merlon::merlonctl
