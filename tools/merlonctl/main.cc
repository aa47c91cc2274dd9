// SPDX-License-Identifier: Apache-2.0
// merlonctl: data to stdout, talk to stderr, one exit status per kind of outcome.
#include <curl/curl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <string>
#include <vector>

#include "tools/merlonctl/client.h"
#include "tools/merlonctl/command.h"
#include "tools/merlonctl/table.h"
#include "tools/merlonctl/text.h"

namespace merlon::merlonctl {
namespace {

constexpr uint64_t kTimeoutMaxS = 86400;

int finish(Exit exit) {
  // A full disk or a closed pipe behind stdout is a failure, not a success with less output.
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    fmt::print(stderr, "merlonctl: cannot write to stdout\n");
    return static_cast<int>(Exit::failed);
  }
  return static_cast<int>(exit);
}

int report(const Failure& failure, const Invocation* invocation) {
  if (invocation != nullptr && invocation->has("--json") && !failure.answer.is_null()) {
    print_json(failure.answer);
  }
  if (!failure.message.empty()) {
    say("merlonctl: " + printable(failure.message));
  }
  if (failure.exit == Exit::usage) {
    const bool known = invocation != nullptr && invocation->command != nullptr;
    say(fmt::format("see merlonctl {}{}--help", known ? invocation->command->name() : "",
                    known ? " " : ""));
  }
  return finish(failure.exit);
}

std::string socket_path(const Invocation& invocation) {
  if (invocation.has("--socket")) {
    return invocation.value("--socket");
  }
  const char* from_environment = std::getenv("MERLON_SOCKET");
  return from_environment != nullptr && *from_environment != '\0' ? from_environment
                                                                  : "/run/merlon/control.sock";
}

bool wants_colour(const Invocation& invocation) {
  const char* no_color = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  return !invocation.has("--no-color") && (no_color == nullptr || *no_color == '\0') &&
         ::isatty(STDOUT_FILENO) == 1 && terminal != nullptr && std::string(terminal) != "dumb";
}

int run(const std::vector<std::string>& words) {
  const Outcome<Invocation> parsed = parse(words);
  if (!parsed) {
    return report(parsed.error(), nullptr);
  }
  const Invocation& invocation = *parsed;
  if (invocation.has("--help")) {
    print(help_text(invocation));
    return finish(Exit::ok);
  }
  if (invocation.has("--version")) {
    print("merlonctl " MERLON_VERSION "\n");
    return finish(Exit::ok);
  }
  uint64_t timeout_s = invocation.command->timeout_s;
  if (invocation.has("--timeout")) {
    const auto given = parse_duration_s(invocation.value("--timeout"));
    if (!given || *given == 0 || *given > kTimeoutMaxS) {
      return report({Exit::usage, "--timeout must be 1 to 86400 seconds", {}}, &invocation);
    }
    timeout_s = *given;
  }
  const bool dry_run = invocation.has("--dry-run");
  const auto given = [&](const char* flag) {
    return invocation.has(flag) ? invocation.value(flag) : std::string();
  };
  const Client client({.socket_path = socket_path(invocation),
                       .url = given("--server"),
                       .token_file = given("--token-file"),
                       .ca_file = given("--ca-file"),
                       .timeout_s = static_cast<uint32_t>(timeout_s),
                       .dry_run = dry_run});
  const Context context{.call = invocation,
                        .client = client,
                        .json = invocation.has("--json"),
                        .colour = wants_colour(invocation),
                        .dry_run = dry_run,
                        .now = std::time(nullptr)};
  const Done done = invocation.command->run(context);
  return done ? finish(Exit::ok) : report(done.error(), &invocation);
}

}  // namespace
}  // namespace merlon::merlonctl

int main(int argc, char** argv) {
  using merlon::merlonctl::Exit;
  curl_global_init(CURL_GLOBAL_DEFAULT);
  int status = static_cast<int>(Exit::failed);
  try {
    status = merlon::merlonctl::run({argv + 1, argv + argc});
  } catch (const nlohmann::json::exception& exception) {
    merlon::merlonctl::say(
        fmt::format("merlonctl: the control plane's answer lacks what this merlonctl expects; are "
                    "they of one version? ({})",
                    merlon::merlonctl::printable(exception.what())));
  } catch (const std::exception& exception) {
    merlon::merlonctl::say(
        fmt::format("merlonctl: {}", merlon::merlonctl::printable(exception.what())));
  }
  curl_global_cleanup();
  return status;
}
