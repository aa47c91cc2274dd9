// SPDX-License-Identifier: Apache-2.0
// What would become of a file or URL as a feed. The control plane reads it: a file by its path.
#include <fmt/format.h>

#include <filesystem>
#include <string>
#include <system_error>

#include "tools/merlonctl/client.h"
#include "tools/merlonctl/command.h"
#include "tools/merlonctl/feed_folder.h"
#include "tools/merlonctl/table.h"
#include "tools/merlonctl/text.h"

namespace merlon::merlonctl {
namespace {

Outcome<std::string> url_of(const std::string& source) {
  if (source.find("://") != std::string::npos) {
    return source;
  }
  std::error_code error;
  const std::filesystem::path path = std::filesystem::canonical(source, error);
  if (error) {
    return failed(fmt::format("{}: {}; name a file or a URL", printable(source), error.message()));
  }
  return file_url(path.string());
}

std::string quoted(const std::string& text) {
  return text.find_first_of(" ;*[]|?&'") == std::string::npos ? text : fmt::format("'{}'", text);
}

void print_table(const Context& context, Table& table) {
  if (!table.empty()) {
    print("\n" + table.text(context.colour ? Colour::on : Colour::off));
  }
}

void print_probe(const Context& context, const Json& probe) {
  const auto text = [&](const char* key) { return probe.at(key).get<std::string>(); };
  const auto count = [&](const char* key) { return probe.at(key).get<uint64_t>(); };
  print(details_text({
      {"source", text("url")},
      {"format", text("format").empty() ? "none fits" : text("format")},
      {"would be", text("problem").empty() ? "taken" : "quarantined: " + text("problem")},
      {"content",
       fmt::format("{}, {}", size_text(count("size_bytes")), plural(count("line_count"), "line"))},
      {"lists", fmt::format("{} IPv4 prefixes, {} IPv6 prefixes, {} domains",
                            count("prefix4_count"), count("prefix6_count"), count("domain_count"))},
      {"refuses", plural(count("rejected_count"), "line")},
  }));
  Table reasons({{"REJECTED", Align::right}, {"REASON"}});
  for (const auto& item : probe.at("rejected_by_reason").items()) {
    reasons.add({{fmt::format("{}", item.value().get<uint64_t>())}, {item.key()}});
  }
  print_table(context, reasons);
  Table lines({{"LINE", Align::right}, {"REASON"}, {"TEXT"}});
  for (const Json& line : probe.at("rejected_examples")) {
    lines.add({{fmt::format("{}", line.at("line").get<uint64_t>())},
               {line.at("reason").get<std::string>()},
               {line.at("text").get<std::string>()}});
  }
  print_table(context, lines);
  Table examples({{"EXAMPLES"}});
  for (const Json& value : probe.at("examples")) {
    examples.add({{value.get<std::string>()}});
  }
  print_table(context, examples);
  for (const Json& note : probe.at("notes")) {
    print(fmt::format("note: {}\n", printable(note.get<std::string>())));
  }
}

}  // namespace

Done run_feed_probe(const Context& context) {
  const Outcome<std::string> url = url_of(context.arg(0));
  if (!url) {
    return std::unexpected(url.error());
  }
  Json body{{"url", *url}};
  if (context.call.has("--format")) {
    body["format"] = context.call.value("--format");
  }
  const Outcome<Json> answer = context.client.post("/v1/feeds/probe", body);
  if (!answer) {
    return std::unexpected(answer.error());
  }
  const Json& probe = answer->at("probe");
  const std::string format = probe.at("format").get<std::string>();
  const std::string problem = probe.at("problem").get<std::string>();
  if (context.json) {
    print_json(*answer);
  } else {
    print_probe(context, probe);
  }
  if (!problem.empty() || format.empty()) {
    return failed(context.json ? "" : "this would not be taken as it is");
  }
  if (!context.call.has("--write")) {
    say(fmt::format("next: merlonctl feed add ID --url {} --format {}", quoted(printable(*url)),
                    quoted(printable(format))));
    return {};
  }
  const std::string& id = context.call.value("--write");
  const Outcome<Json> added =
      context.client.post("/v1/feeds", Json{{"id", id}, {"url", *url}, {"format", format}});
  if (!added) {
    return std::unexpected(added.error());
  }
  say(fmt::format("feed {} added; next: merlonctl feed refresh {}", printable(id), printable(id)));
  return {};
}

}  // namespace merlon::merlonctl
