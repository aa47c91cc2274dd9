// SPDX-License-Identifier: Apache-2.0
// `doctor`: what is wrong with devices, the cause in a line and what to do in another.
#include <fmt/format.h>

#include "tools/merlonctl/client.h"
#include "tools/merlonctl/command.h"
#include "tools/merlonctl/table.h"
#include "tools/merlonctl/text.h"

namespace merlon::merlonctl {
namespace {

// Of the evidence, what people can compare: times are in --json.
std::string evidence_text(const Json& evidence) {
  std::string text;
  for (const auto& [key, value] : evidence.items()) {
    if (value.is_number() && !key.ends_with("_unix_s")) {
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", key, value.dump());
    }
  }
  return text;
}

std::string who(const Json& finding) {
  return finding.at("device").is_null()
             ? "this server"
             : fmt::format("{}/{}", finding.at("account").get<std::string>(),
                           finding.at("device").get<std::string>());
}

void print_finding(const Json& finding) {
  print(printable(fmt::format("{} {}: {}", finding.at("severity").get<std::string>(), who(finding),
                              finding.at("cause").get<std::string>())) +
        "\n");
  print(printable(fmt::format("  do: {}", finding.at("todo").get<std::string>())) + "\n");
  const std::string evidence = evidence_text(finding.at("evidence"));
  print(printable(fmt::format("  {}{}{}", finding.at("code").get<std::string>(),
                              evidence.empty() ? "" : ": ", evidence)) +
        "\n");
}

void print_device(const Context& context, const Json& device) {
  print(details_text(
      {{"device", printable(device.at("device").get<std::string>())},
       {"account", printable(device.at("account").get<std::string>())},
       {"health", printable(device.at("health").get<std::string>())},
       {"over UDP",
        device.at("udp_known").get<bool>()
            ? fmt::format("{}, last {}", plural(device.at("udp_queries").get<uint64_t>(), "query"),
                          age_text(device.at("udp_last_seen"), context.now))
            : "unknown"},
       {"over TCP",
        fmt::format("{}, last {}", plural(device.at("tcp_queries").get<uint64_t>(), "query"),
                    age_text(device.at("tcp_last_seen"), context.now))}}));
  Table names({{"OVER TCP"},
               {"TYPE"},
               {"TOLD"},
               {"TIMES", Align::right},
               {"RECORDS", Align::right},
               {"LAST"}});
  for (const Json& name : device.at("tcp_names")) {
    names.add({{printable(name.at("name").get<std::string>())},
               {printable(name.at("type").get<std::string>())},
               {printable(name.at("told").get<std::string>())},
               {number_text(name, "count")},
               {number_text(name, "records")},
               {age_text(name.at("last"), context.now)}});
  }
  Table zones({{"ZONE"},
               {"SECONDARY"},
               {"BY"},
               {"HAS", Align::right},
               {"IN FORCE", Align::right},
               {"GIVEN"}});
  for (const Json& zone : device.at("zones")) {
    zones.add({{printable(zone.at("apex").get<std::string>())},
               {printable(zone.at("source").get<std::string>())},
               {zone.at("kind").is_null() ? "-" : printable(zone.at("kind").get<std::string>())},
               {number_text(zone, "serial_given")},
               {number_text(zone, "serial_current")},
               {age_text(zone.at("given"), context.now)}});
  }
  for (const Table* table : {&names, &zones}) {
    if (!table->empty()) {
      print("\n" + table->text(context.colour ? Colour::on : Colour::off));
    }
  }
}

}  // namespace

Done run_doctor(const Context& context) {
  const bool is_one = !context.call.args.empty();
  const Outcome<Json> answer = context.client.get(
      is_one ? "/v1/doctor?device=" + escaped(context.arg(0)) : std::string("/v1/doctor"));
  if (!answer) {
    return std::unexpected(answer.error());
  }
  const Json& doctor = answer->at("doctor");
  size_t errors = 0;
  for (const Json& finding : doctor.at("findings")) {
    errors += finding.at("severity") == "error" ? 1u : 0u;
  }
  if (context.json) {
    print_json(*answer);
  } else {
    if (is_one) {
      print_device(context, doctor.at("devices").at(0));
    }
    for (const Json& finding : doctor.at("findings")) {
      print(is_one ? "\n" : "");
      print_finding(finding);
    }
    const size_t count = doctor.at("findings").size();
    say(count == 0 ? fmt::format("nothing wrong with {}",
                                 is_one ? "it" : plural(doctor.at("devices").size(), "device"))
                   : fmt::format("{}, {} of them {}", plural(count, "finding"), errors,
                                 errors == 1 ? "an error" : "errors"));
  }
  return errors == 0 ? Done{} : std::unexpected(Failure{Exit::failed, "", {}});
}

}  // namespace merlon::merlonctl
