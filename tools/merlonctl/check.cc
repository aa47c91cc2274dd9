// SPDX-License-Identifier: Apache-2.0
// Listed or not, the question is answered: both exit with 0.
#include <fmt/format.h>

#include <fstream>
#include <iostream>
#include <iterator>

#include "tools/merlonctl/client.h"
#include "tools/merlonctl/command.h"
#include "tools/merlonctl/table.h"
#include "tools/merlonctl/text.h"

namespace merlon::merlonctl {
namespace {

constexpr size_t kFileSizeMax = size_t{4} << 20;
constexpr size_t kIntervalsShown = 3;

// "at=..&account=..", or "".
std::string query_of(const Context& context) {
  std::string query;
  for (const auto& [flag, name] : {std::pair{"--at", "at"}, std::pair{"--account", "account"}}) {
    if (context.call.has(flag)) {
      query +=
          fmt::format("{}{}={}", query.empty() ? "" : "&", name, escaped(context.call.value(flag)));
    }
  }
  return query;
}

std::string day_text(const Json& time) {
  const auto seconds = parse_time(time);
  return seconds ? time_text(*seconds) : "now";
}

// "2026-03-01 .. now", the latest ones.
std::string intervals_text(const Json& intervals) {
  std::string text;
  const size_t count = intervals.size();
  const size_t first = count > kIntervalsShown ? count - kIntervalsShown : 0;
  if (first > 0) {
    text = fmt::format("({} earlier) ", first);
  }
  for (size_t i = first; i < count; ++i) {
    text += fmt::format("{}{} .. {}", i == first ? "" : ", ", day_text(intervals[i].at("from")),
                        day_text(intervals[i].at("until")));
  }
  return text;
}

const char* standing(const Json& observation) {
  if (!observation.at("listed").get<bool>()) {
    return "withdrawn";
  }
  return observation.at("gone").get<bool>() ? "ageing" : "listed";
}

std::string verdict(const Json& check) {
  const bool listed = check.at("listed").get<bool>();
  if (!check.at("at").is_null()) {
    return listed ? "was listed" : "was not listed";
  }
  return listed ? "listed" : check.at("observations").empty() ? "never listed" : "no longer listed";
}

std::string generation_text(const Json& check) {
  if (check.at("generation").is_null()) {
    return "not known";
  }
  return fmt::format("{}{}", check.at("generation").get<uint64_t>(),
                     check.at("lists_from") == "history" ? ", replayed from history" : "");
}

std::string sources_text(const Json& merged) {
  return fmt::format("{}, {} independent, confidence {}, combined {}",
                     merged.at("sources").get<uint64_t>(), merged.at("independent").get<uint64_t>(),
                     merged.at("confidence").get<uint64_t>(),
                     merged.at("combined_confidence").get<uint64_t>());
}

void print_observations(const Context& context, const Json& observations) {
  Table table({{"LISTED AS"}, {"FEED"}, {"CATEGORY"}, {"SEV"}, {"CONF"}, {"LAST SEEN"}, {"NOW"}});
  for (const Json& one : observations) {
    const bool listed = one.at("listed").get<bool>();
    const bool known = !one.at("feed_removed").get<bool>();
    table.add({{one.at("value").get<std::string>()},
               {one.at("feed").get<std::string>()},
               {known ? one.at("category").get<std::string>() : "(removed)"},
               {known ? fmt::format("{}", one.at("severity").get<int>()) : "-"},
               {known ? fmt::format("{}", one.at("confidence").get<int>()) : "-"},
               {age_text(one.at("last_seen"), context.now)},
               listed ? Cell{standing(one), Tone::bad} : Cell{standing(one)}});
  }
  print("\n" + table.text(context.colour ? Colour::on : Colour::off));
  for (const Json& one : observations) {
    std::vector<std::pair<std::string, std::string>> rows{
        {"feed", fmt::format("{} ({})", one.at("feed").get<std::string>(),
                             one.at("value").get<std::string>())},
        {"intervals", intervals_text(one.at("intervals"))}};
    if (!one.at("ages_out").is_null()) {
      rows.emplace_back("ages out", day_text(one.at("ages_out")));
    }
    const std::string reference = one.at("reference").get<std::string>();
    if (!reference.empty()) {
      rows.emplace_back("reference", printable(reference));
    }
    const std::string line = one.at("line").get<std::string>();
    const std::string note = one.at("line_note").get<std::string>();
    if (!one.at("line_number").is_null()) {
      rows.emplace_back(fmt::format("line {}", one.at("line_number").get<uint64_t>()),
                        printable(line));
    } else if (!note.empty()) {
      rows.emplace_back("line", "not shown: " + printable(note));
    }
    print("\n" + details_text(rows));
  }
}

std::string place_text(const Json& check) {
  const auto asn = check.at("asn").get<uint64_t>();
  std::string place = check.at("country").get<std::string>();
  if (asn != 0) {
    place += fmt::format("{}AS{} {}", place.empty() ? "" : ", ", asn,
                         check.at("organisation").get<std::string>());
  }
  return printable(place);
}

void print_check(const Context& context, const Json& check) {
  const std::string protected_by = check.at("protected_by").get<std::string>();
  const std::string lists = joined(check.at("lists"), ", ");
  const std::string allowed = joined(check.at("allowed_by"), ", ");
  std::vector<std::pair<std::string, std::string>> rows{
      {check.at("kind").get<std::string>(), check.at("value").get<std::string>()},
      {"verdict", verdict(check)}};
  if (const std::string place = place_text(check); !place.empty()) {
    rows.emplace_back("place", place);
  }
  if (!check.at("at").is_null()) {
    rows.emplace_back("at", day_text(check.at("at")));
  }
  rows.insert(rows.end(), {{"generation", generation_text(check)},
                           {"on lists", lists.empty() ? "none" : lists},
                           {"sources", sources_text(check.at("merged"))},
                           {"protected by", protected_by.empty() ? "nothing" : protected_by},
                           {"allowed by", allowed.empty() ? "nothing" : allowed}});
  for (const Json& unknown : check.at("unknown")) {
    rows.emplace_back("not known", printable(unknown.get<std::string>()));
  }
  print(details_text(rows));
  if (!check.at("observations").empty()) {
    print_observations(context, check.at("observations"));
  }
}

Outcome<std::string> read_lines(const std::string& path) {
  std::ifstream file;
  if (path != "-") {
    file.open(path, std::ios::binary);
  }
  std::istream& from = path == "-" ? std::cin : file;
  std::string text{std::istreambuf_iterator<char>(from), {}};
  if (from.bad() || (path != "-" && !file.is_open())) {
    return failed(fmt::format("cannot read {}", path));
  }
  if (text.size() > kFileSizeMax) {
    return usage_error(fmt::format("{} is longer than {} MiB", path, kFileSizeMax >> 20));
  }
  return text;
}

Done check_file(const Context& context) {
  const auto lines = read_lines(context.call.value("--file"));
  if (!lines) {
    return std::unexpected(lines.error());
  }
  const std::string query = query_of(context);
  const Outcome<Json> answer =
      context.client.send_lines("POST", "/v1/check" + (query.empty() ? "" : "?" + query), *lines);
  if (!answer) {
    return std::unexpected(answer.error());
  }
  if (context.json) {
    print_json(*answer);
    return {};
  }
  Table table({{"VALUE"}, {"VERDICT"}, {"FEEDS"}, {"LISTS"}, {"PROTECTED BY"}});
  for (const Json& check : answer->at("checks")) {
    if (check.contains("error")) {
      table.add({{printable(check.at("value").get<std::string>())},
                 Cell{"refused: " + printable(check.at("error").get<std::string>()), Tone::bad},
                 {""},
                 {""},
                 {""}});
      continue;
    }
    table.add({{check.at("value").get<std::string>()},
               {verdict(check)},
               {fmt::format("{}", check.at("merged").at("sources").get<uint64_t>())},
               {joined(check.at("lists"), " ")},
               {check.at("protected_by").get<std::string>()}});
  }
  print(table.text(context.colour ? Colour::on : Colour::off));
  return {};
}

}  // namespace

Done run_check(const Context& context) {
  if (context.call.has("--file") != context.call.args.empty()) {
    return usage_error("give one value, or --file FILE with one a line");
  }
  if (context.call.has("--file")) {
    return check_file(context);
  }
  const std::string query = query_of(context);
  const Outcome<Json> answer = context.client.get(fmt::format(
      "/v1/check?value={}{}{}", escaped(context.arg(0)), query.empty() ? "" : "&", query));
  if (!answer) {
    return std::unexpected(answer.error());
  }
  if (context.json) {
    print_json(*answer);
    return {};
  }
  print_check(context, answer->at("check"));
  return {};
}

}  // namespace merlon::merlonctl
