// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <vector>

#include "tools/merlonctl/client.h"
#include "tools/merlonctl/command.h"
#include "tools/merlonctl/table.h"
#include "tools/merlonctl/text.h"

namespace merlon::merlonctl {
namespace {

std::string target_of(const std::string& zone) {
  return "/v1/dnssec/" + escaped(zone);
}

std::string text_of(const Json& object, const char* key) {
  return object.at(key).get<std::string>();
}

// "ksk: publish" or "none".
std::string rollover_text(const Json& zone) {
  const std::string kind = text_of(zone, "rollover");
  return kind == "none" ? kind : fmt::format("{}: {}", kind, text_of(zone, "step"));
}

// What the zone waits for.
std::string next_text(const Json& zone) {
  if (zone.at("awaits_ds").get<bool>()) {
    return "when its DS is seen";
  }
  const auto at = parse_time(zone.at("next_step_at"));
  if (at) {
    return time_text(*at);
  }
  return text_of(zone, "rollover") == "none" ? "-" : "when it is published";
}

void say_next(const Json& zone) {
  if (zone.at("awaits_ds").get<bool>()) {
    say(
        printable(fmt::format("next: give `merlonctl dnssec ds {0}` to the parent, or `--dnskey` "
                              "to who validates; then merlonctl dnssec ds-seen {0}",
                              text_of(zone, "apex"))));
  }
}

Done told(const Context& context, const Outcome<Json>& answer, std::string_view what) {
  if (!answer) {
    return std::unexpected(answer.error());
  }
  if (context.json) {
    print_json(*answer);
    return {};
  }
  const Json& zone = answer->at("zone");
  print(printable(fmt::format("zone {}: {}; rollover {}, next step {}", text_of(zone, "apex"), what,
                              rollover_text(zone), next_text(zone))) +
        "\n");
  say_next(zone);
  return {};
}

}  // namespace

Done run_dnssec_list(const Context& context) {
  const Outcome<Json> answer = context.client.get("/v1/dnssec");
  if (!answer) {
    return std::unexpected(answer.error());
  }
  if (context.json) {
    print_json(*answer);
    return {};
  }
  Table table({{"ZONE"}, {"SIGNED"}, {"KEYS", Align::right}, {"ROLLOVER"}, {"NEXT STEP"}});
  for (const Json& zone : answer->at("zones")) {
    table.add({{text_of(zone, "apex")},
               {zone.at("signed").get<bool>() ? "yes" : "no"},
               {fmt::format("{}", zone.at("keys").size())},
               {rollover_text(zone)},
               {next_text(zone)}});
  }
  print(table.text(context.colour ? Colour::on : Colour::off));
  if (const std::string trouble = text_of(*answer, "trouble"); !trouble.empty()) {
    say(printable("problem: " + trouble));
  }
  if (!answer->at("enabled").get<bool>()) {
    say("no zone is signed: set sign or also in [dnssec]");
  } else if (table.empty()) {
    say("no zone has keys yet: next: merlonctl snapshot build");
  }
  return {};
}

Done run_dnssec_show(const Context& context) {
  const Outcome<Json> answer = context.client.get(target_of(context.arg(0)));
  if (!answer) {
    return std::unexpected(answer.error());
  }
  if (context.json) {
    print_json(*answer);
    return {};
  }
  const Json& zone = answer->at("zone");
  print(details_text({
      {"zone", text_of(zone, "apex")},
      {"signed", zone.at("signed").get<bool>() ? "yes" : "no"},
      {"rollover", rollover_text(zone)},
      {"step since", time_and_age_text(zone.at("step_since"), context.now)},
      {"next step", next_text(zone)},
  }));
  Table keys({{"TAG", Align::right},
              {"ROLE"},
              {"ALGORITHM"},
              {"STATE"},
              {"ANCHOR"},
              {"CREATED"},
              {"ACTIVE"}});
  for (const Json& key : zone.at("keys")) {
    keys.add({{number_text(key, "tag")},
              {text_of(key, "role")},
              {text_of(key, "algorithm")},
              {text_of(key, "state")},
              {key.at("trust_anchor").get<bool>() ? "yes" : "no"},
              {age_text(key.at("created"), context.now)},
              {age_text(key.at("active"), context.now)}});
  }
  print("\n" + keys.text(context.colour ? Colour::on : Colour::off));
  say_next(zone);
  return {};
}

// Lines for the parent's zone, or for a file of trust anchors: nothing else on stdout.
Done run_dnssec_ds(const Context& context) {
  const Outcome<Json> answer = context.client.get(target_of(context.arg(0)));
  if (!answer) {
    return std::unexpected(answer.error());
  }
  if (context.json) {
    print_json(*answer);
    return {};
  }
  const char* key = context.call.has("--dnskey") ? "trust_anchors" : "ds";
  for (const Json& line : answer->at("zone").at(key)) {
    print(printable(line.get<std::string>()) + "\n");
  }
  return {};
}

Done run_dnssec_rollover(const Context& context) {
  Json body;
  size_t given = 0;
  for (const auto& [flag, kind] : {std::pair{"--ksk", "ksk"}, std::pair{"--zsk", "zsk"},
                                   std::pair{"--algorithm", "algorithm"}}) {
    if (context.call.has(flag)) {
      body["kind"] = kind;
      ++given;
    }
  }
  if (given != 1) {
    return usage_error("dnssec rollover needs one of --ksk, --zsk and --algorithm NAME");
  }
  if (context.call.has("--algorithm")) {
    body["algorithm"] = context.call.value("--algorithm");
  }
  return told(context, context.client.post(target_of(context.arg(0)) + "/rollover", body), "begun");
}

Done run_dnssec_ds_seen(const Context& context) {
  return told(context, context.client.post(target_of(context.arg(0)) + "/ds-seen"), "noted");
}

Done run_dnssec_confirm_clock(const Context& context) {
  const Outcome<Json> answer = context.client.post("/v1/dnssec/confirm-clock");
  if (!answer) {
    return std::unexpected(answer.error());
  }
  if (context.json) {
    print_json(*answer);
    return {};
  }
  print("the clock is confirmed; zones are signed again\n");
  return {};
}

}  // namespace merlon::merlonctl
