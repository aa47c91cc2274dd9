// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "tools/merlonctl/client.h"
#include "tools/merlonctl/command.h"
#include "tools/merlonctl/table.h"
#include "tools/merlonctl/text.h"

namespace merlon::merlonctl {
namespace {

std::string text_of(const Json& object, const char* key) {
  return object.at(key).get<std::string>();
}

// "current", "behind since .." or "never fetched".
Cell state_of(const Json& secondary, int64_t now) {
  if (secondary.at("given").is_null()) {
    return {"never fetched", Tone::warning};
  }
  const Json& behind = secondary.at("behind_since");
  return behind.is_null() ? Cell{"current", Tone::good}
                          : Cell{"behind since " + age_text(behind, now), Tone::warning};
}

std::string secondaries_text(const Context& context, const Json& rows) {
  Table table({{"DEVICE"},
               {"SOURCE"},
               {"ZONE"},
               {"LAST"},
               {"SERIAL", Align::right},
               {"IN FORCE", Align::right},
               {"FETCHED"},
               {"REFUSED", Align::right},
               {"STATE"}});
  for (const Json& row : rows) {
    const std::string kind = text_of(row, "kind");
    table.add({{printable(text_of(row, "account") + "/" + text_of(row, "device"))},
               {text_of(row, "source")},
               {printable(text_of(row, "apex"))},
               {kind.empty() ? "-" : kind},
               {number_text(row, "serial_given")},
               {number_text(row, "serial_current")},
               {age_text(row.at("given"), context.now)},
               {number_text(row, "refused")},
               state_of(row, context.now)});
  }
  return table.text(context.colour ? Colour::on : Colour::off);
}

std::string notified_text(const Context& context, const Json& rows) {
  Table table({{"NOTIFIED"},
               {"ADDRESS"},
               {"ZONE"},
               {"SERIAL", Align::right},
               {"TRIES", Align::right},
               {"STATE"}});
  for (const Json& row : rows) {
    const std::string error = text_of(row, "error");
    const bool acknowledged = !row.at("acknowledged").is_null();
    table.add(
        {{printable(text_of(row, "device"))},
         {text_of(row, "target")},
         {printable(text_of(row, "apex"))},
         {number_text(row, "serial")},
         {number_text(row, "tries")},
         !error.empty() ? Cell{printable(error), Tone::bad}
         : acknowledged
             ? Cell{"acknowledged " + age_text(row.at("acknowledged"), context.now), Tone::good}
             : Cell{"waiting for an answer", Tone::warning}});
  }
  return table.text(context.colour ? Colour::on : Colour::off);
}

std::string failures_text(const Context& context, const Json& rows) {
  Table table({{"KEY"}, {"SOURCE"}, {"FAULT"}, {"COUNT", Align::right}, {"LAST"}});
  for (const Json& row : rows) {
    const std::string key = text_of(row, "key");
    const auto skew = row.at("clock_skew_s").get<int64_t>();
    table.add({{key.empty() ? "(unsigned)" : printable(key)},
               {text_of(row, "source")},
               {skew == 0 ? text_of(row, "error")
                          : fmt::format("{}, its clock is {:+} s off", text_of(row, "error"), skew),
                Tone::bad},
               {number_text(row, "count")},
               {age_text(row.at("last"), context.now)}});
  }
  return table.text(context.colour ? Colour::on : Colour::off);
}

}  // namespace

Done run_transfers(const Context& context) {
  const Outcome<Json> answer = context.client.get("/v1/transfers");
  if (!answer) {
    return std::unexpected(answer.error());
  }
  if (context.json) {
    print_json(*answer);
    return {};
  }
  const Json& secondaries = answer->at("secondaries");
  if (secondaries.empty()) {
    say("nobody has asked for a transfer since the control plane was started");
  } else {
    print(secondaries_text(context, secondaries));
  }
  if (const Json& notified = answer->at("notified"); !notified.empty()) {
    print("\n" + notified_text(context, notified));
  }
  if (const Json& failures = answer->at("key_failures"); !failures.empty()) {
    print("\n" + failures_text(context, failures));
  }
  return {};
}

}  // namespace merlon::merlonctl
