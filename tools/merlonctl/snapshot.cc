// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "tools/merlonctl/client.h"
#include "tools/merlonctl/command.h"
#include "tools/merlonctl/table.h"
#include "tools/merlonctl/text.h"

namespace merlon::merlonctl {
namespace {

Outcome<uint64_t> generation_arg(const Context& context) {
  const std::optional<uint64_t> generation = parse_number(context.arg(0));
  if (!generation) {
    return usage_error(
        fmt::format("generation \"{}\": must be a number, as in merlonctl snapshot list",
                    printable(context.arg(0))));
  }
  return *generation;
}

// What a build, an activation and a rollback have in common: the data plane must follow.
Done finish(const Context& context, const Outcome<Json>& answer, std::string_view what) {
  if (!answer) {
    return std::unexpected(answer.error());
  }
  const Json& build = answer->at("build");
  const uint64_t generation = build.at("generation").get<uint64_t>();
  const std::string fault = build.at("dataplane_error").get<std::string>();
  if (context.json) {
    print_json(*answer);
  } else if (build.at("changed").get<bool>()) {
    print(fmt::format("generation {} {}: {}, {}\n", generation, what,
                      plural(build.at("list_count").get<uint64_t>(), "list"),
                      plural(build.at("name_count").get<uint64_t>(), "name")));
  } else {
    print(fmt::format("nothing changed: generation {} stays\n", generation));
  }
  if (!fault.empty()) {
    return failed(fmt::format("generation {} is on disk, but the data plane does not serve it: {}",
                              generation, fault));
  }
  return {};
}

}  // namespace

Done run_snapshot_list(const Context& context) {
  const Outcome<Json> answer = context.client.get("/v1/snapshots");
  if (!answer) {
    return std::unexpected(answer.error());
  }
  if (context.json) {
    print_json(*answer);
    return {};
  }
  Table table({{"GENERATION", Align::right},
               {"CREATED"},
               {"SEGMENTS", Align::right},
               {"SIZE", Align::right},
               {"STATE"}});
  for (const Json& snapshot : answer->at("snapshots")) {
    table.add({{fmt::format("{}", snapshot.at("generation").get<uint64_t>())},
               {age_text(snapshot.at("created"), context.now)},
               {fmt::format("{}", snapshot.at("segment_count").get<uint64_t>())},
               {size_text(snapshot.at("size_bytes").get<uint64_t>())},
               snapshot.at("current").get<bool>() ? Cell{"current", Tone::good} : Cell{""}});
  }
  print(table.text(context.colour ? Colour::on : Colour::off));
  if (table.empty()) {
    say("no snapshots: next: merlonctl snapshot build");
  }
  return {};
}

Done run_snapshot_build(const Context& context) {
  const Outcome<Json> answer = context.client.post("/v1/snapshots");
  const Done done = finish(context, answer, "built");
  if (!done || context.json) {
    return done;
  }
  const Json& build = answer->at("build");
  if (build.at("changed").get<bool>()) {
    say(fmt::format("{} segments written, {} reused; compiled in {:.2f} s, published in {:.2f} s",
                    build.at("segments_written_count").get<uint64_t>(),
                    build.at("segments_reused_count").get<uint64_t>(),
                    build.at("compile_s").get<double>(), build.at("publish_s").get<double>()));
    say("next: merlonctl list list; back again: merlonctl snapshot rollback");
  }
  return {};
}

Done run_snapshot_activate(const Context& context) {
  const Outcome<uint64_t> generation = generation_arg(context);
  if (!generation) {
    return std::unexpected(generation.error());
  }
  const Done sure = confirm(context, fmt::format("Serve generation {} now?", *generation));
  if (!sure) {
    return sure;
  }
  const Outcome<Json> answer =
      context.client.post(fmt::format("/v1/snapshots/{}/activate", *generation));
  const Done done = finish(context, answer, "activated");
  if (done) {
    say("the next build compiles what is stored again; next: merlonctl status");
  }
  return done;
}

Done run_snapshot_rollback(const Context& context) {
  const Done sure = confirm(context, "Serve the generation before the current one?");
  if (!sure) {
    return sure;
  }
  const Done done = finish(context, context.client.post("/v1/snapshots/rollback"), "activated");
  if (done) {
    say("the next build compiles what is stored again; next: merlonctl status");
  }
  return done;
}

Done run_snapshot_verify(const Context& context) {
  uint64_t generation = 0;
  if (context.call.args.empty()) {
    const Outcome<Json> status = context.client.get("/v1/status");
    if (!status) {
      return std::unexpected(status.error());
    }
    generation = status->at("status").at("generation").get<uint64_t>();
    if (generation == 0) {
      return std::unexpected(
          Failure{Exit::not_found, "no snapshot yet; next: merlonctl snapshot build", {}});
    }
  } else {
    const Outcome<uint64_t> given = generation_arg(context);
    if (!given) {
      return std::unexpected(given.error());
    }
    generation = *given;
  }
  const Outcome<Json> answer =
      context.client.get(fmt::format("/v1/snapshots/{}/verify", generation));
  if (!answer) {
    return std::unexpected(answer.error());
  }
  if (context.json) {
    print_json(*answer);
    return {};
  }
  for (const Json& line : answer->at("verify").at("good")) {
    print(printable(line.get<std::string>()) + "\n");
  }
  return {};
}

}  // namespace merlon::merlonctl
