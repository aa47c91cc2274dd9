// SPDX-License-Identifier: Apache-2.0
// Entries of an account's own list. Values come as arguments or as lines of a file, which is sent
// in parts that the API takes; each part is taken whole or not at all.
#include <fmt/format.h>

#include <algorithm>

#include "tools/merlonctl/client.h"
#include "tools/merlonctl/command.h"
#include "tools/merlonctl/table.h"
#include "tools/merlonctl/text.h"

namespace merlon::merlonctl {
namespace {

constexpr size_t kPartLinesMax = 100'000;
constexpr size_t kPartBytesMax = size_t{4} << 20;
constexpr size_t kFaultsShownMax = 10;

std::string entries_target(const Context& context) {
  return fmt::format("/v1/accounts/{}/lists/{}/entries", escaped(context.arg(0)),
                     escaped(context.arg(1)));
}

// What came of all parts together.
struct Totals {
  uint64_t added = 0;
  uint64_t replaced = 0;
  uint64_t unchanged = 0;
  uint64_t removed = 0;
  uint64_t entry_count = 0;
  uint64_t fault_count = 0;
  Json faults = Json::array();

  void take(const Json& report) {
    added += report.at("added_count").get<uint64_t>();
    replaced += report.at("replaced_count").get<uint64_t>();
    unchanged += report.at("unchanged_count").get<uint64_t>();
    removed += report.at("removed_count").get<uint64_t>();
    entry_count = report.at("entry_count").get<uint64_t>();
  }
  Json to_json() const {
    return Json{{"schema_version", 1},
                {"report",
                 {{"added_count", added},
                  {"replaced_count", replaced},
                  {"unchanged_count", unchanged},
                  {"removed_count", removed},
                  {"entry_count", entry_count},
                  {"fault_count", fault_count},
                  {"faults", faults}}}};
  }
};

// Faults of a report or of an error, with their lines counted in the whole file.
void take_faults(const Json& from, size_t lines_before, Totals& totals) {
  if (!from.contains("faults")) {
    return;
  }
  totals.fault_count += from.value("fault_count", uint64_t{0});
  for (Json fault : from.at("faults")) {
    if (fault.contains("line")) {
      fault["line"] = fault.at("line").get<uint64_t>() + lines_before;
    }
    totals.faults.push_back(std::move(fault));
  }
}

void say_faults(const Totals& totals) {
  size_t shown = 0;
  for (const Json& fault : totals.faults) {
    if (shown == kFaultsShownMax) {
      break;
    }
    ++shown;
    const std::string where =
        fault.contains("line") ? fmt::format("line {}: ", fault.at("line").get<uint64_t>()) : "";
    say(printable(fmt::format("  {}{}", where, fault.at("reason").get<std::string>())));
  }
  if (totals.fault_count > shown) {
    say(fmt::format("  and {} more", totals.fault_count - shown));
  }
}

// The part of the text that one request takes, and how many lines it has.
std::pair<std::string_view, size_t> first_part(std::string_view text) {
  size_t lines = 0;
  size_t end = 0;
  while (end < text.size() && lines < kPartLinesMax) {
    const size_t newline = std::min(text.find('\n', end), text.size() - 1);
    if (newline + 1 > kPartBytesMax && lines != 0) {
      break;
    }
    end = newline + 1;
    ++lines;
  }
  return {text.substr(0, end), lines};
}

// The failure of one part, after what earlier parts did.
Done refused(const Context& context, Failure failure, size_t lines_before, const Totals& done) {
  Totals totals;
  if (failure.answer.contains("error")) {
    take_faults(failure.answer.at("error"), lines_before, totals);
  }
  if (!context.json && totals.fault_count > 1) {
    say("refused:");
    say_faults(totals);
  }
  if (lines_before != 0) {
    failure.message += fmt::format(" (the {} before are taken: {} added, {} removed)",
                                   plural(lines_before, "line"), done.added, done.removed);
  }
  return std::unexpected(std::move(failure));
}

Done send_file(const Context& context, const char* method, const std::string& target,
               Totals& totals) {
  const std::string& path =
      context.call.has("--file") ? context.call.value("--file") : context.arg(2);
  const Outcome<std::string> whole = read_input(path);
  if (!whole) {
    return std::unexpected(whole.error());
  }
  std::string_view rest = *whole;
  if (rest.empty()) {
    return failed(fmt::format("{}: there is nothing in it", printable(path)));
  }
  size_t lines_before = 0;
  while (!rest.empty()) {
    const auto [part, lines] = first_part(rest);
    const Outcome<Json> answer = context.client.send_lines(method, target, std::string(part));
    if (!answer) {
      return refused(context, answer.error(), lines_before, totals);
    }
    totals.take(answer->at("report"));
    take_faults(answer->at("report"), lines_before, totals);
    lines_before += lines;
    rest.remove_prefix(part.size());
  }
  return {};
}

// Values from the arguments, or lines from --file or "-".
Done send_values(const Context& context, const char* method, const std::string& target,
                 Totals& totals) {
  const bool from_file = context.call.has("--file");
  const size_t given = context.call.args.size() - 2;
  if (from_file ? given != 0 : given == 0) {
    return usage_error(
        fmt::format("{} needs either values or --file FILE", context.call.command->name()));
  }
  if (from_file || (given == 1 && context.arg(2) == "-")) {
    return send_file(context, method, target, totals);
  }
  Json values = Json::array();
  for (size_t i = 2; i < context.call.args.size(); ++i) {
    values.push_back(context.arg(i));
  }
  const Outcome<Json> answer = std::string_view(method) == "POST"
                                   ? context.client.post(target, values)
                                   : context.client.remove(target, values);
  if (!answer) {
    return refused(context, answer.error(), 0, totals);
  }
  totals.take(answer->at("report"));
  take_faults(answer->at("report"), 0, totals);
  return {};
}

Done report(const Context& context, const Totals& totals, const std::string& what) {
  if (context.json) {
    print_json(totals.to_json());
    return {};
  }
  print(fmt::format(
      "{}; list {} of account {} has {}\n", what, printable(context.arg(1)),
      printable(context.arg(0)),
      totals.entry_count == 1 ? "1 entry" : fmt::format("{} entries", totals.entry_count)));
  if (totals.fault_count != 0) {
    say(fmt::format("{} skipped:", plural(totals.fault_count, "value")));
    say_faults(totals);
  }
  return {};
}

// "2026-12-31T23:59:59Z" as it is, "30d" from now on.
Outcome<std::string> expiry_of(const Context& context) {
  const std::string& text = context.call.value("--expires");
  if (parse_time(Json(text))) {
    return text;
  }
  const auto seconds = parse_duration_s(text);
  if (!seconds || *seconds == 0 || *seconds > uint64_t{100} * 366 * 86400) {
    return usage_error(
        fmt::format("--expires \"{}\": must be a time such as 2026-12-31T23:59:59Z, or one from "
                    "now on such as 12h or 30d",
                    printable(text)));
  }
  return time_text(context.now + static_cast<int64_t>(*seconds));
}

}  // namespace

Done run_entry_list(const Context& context) {
  const std::string target = entries_target(context);
  Json all = Json::array();
  std::string after;
  while (true) {
    const Outcome<Json> answer = context.client.get(
        fmt::format("{}?limit=10000{}", target, after.empty() ? "" : "&after=" + escaped(after)));
    if (!answer) {
      return std::unexpected(answer.error());
    }
    for (const Json& entry : answer->at("entries")) {
      all.push_back(entry);
    }
    if (answer->at("next").is_null()) {
      break;
    }
    after = answer->at("next").get<std::string>();
  }
  if (context.json) {
    print_json(Json{{"schema_version", 1}, {"entries", std::move(all)}});
    return {};
  }
  if (context.call.has("--values")) {
    for (const Json& entry : all) {
      print(printable(entry.at("value").get<std::string>()) + "\n");
    }
    return {};
  }
  Table table({{"VALUE"}, {"ADDED"}, {"EXPIRES"}, {"COMMENT"}});
  for (const Json& entry : all) {
    table.add({{entry.at("value").get<std::string>()},
               {age_text(entry.at("created"), context.now)},
               {entry.at("expires").is_null() ? "never" : entry.at("expires").get<std::string>()},
               {entry.at("comment").get<std::string>()}});
  }
  print(table.text(context.colour ? Colour::on : Colour::off));
  if (table.empty()) {
    say(fmt::format("no entries: next: merlonctl entry add {} {} VALUE...",
                    printable(context.arg(0)), printable(context.arg(1))));
  }
  return {};
}

Done run_entry_add(const Context& context) {
  std::string target = entries_target(context) +
                       "?invalid=" + (context.call.has("--skip-invalid") ? "skip" : "refuse");
  if (context.call.has("--comment")) {
    target += "&comment=" + escaped(context.call.value("--comment"));
  }
  if (context.call.has("--expires")) {
    const Outcome<std::string> expires = expiry_of(context);
    if (!expires) {
      return std::unexpected(expires.error());
    }
    target += "&expires=" + escaped(*expires);
  }
  Totals totals;
  if (Done sent = send_values(context, "POST", target, totals); !sent) {
    return sent;
  }
  return report(context, totals,
                fmt::format("{} added, {} replaced, {} unchanged", totals.added, totals.replaced,
                            totals.unchanged));
}

Done run_entry_remove(const Context& context) {
  const std::string target = entries_target(context) +
                             "?invalid=" + (context.call.has("--skip-invalid") ? "skip" : "refuse");
  Totals totals;
  if (Done sent = send_values(context, "DELETE", target, totals); !sent) {
    return sent;
  }
  return report(context, totals,
                fmt::format("{} removed, {} were not there", totals.removed, totals.unchanged));
}

}  // namespace merlon::merlonctl
