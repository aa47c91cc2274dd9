// SPDX-License-Identifier: Apache-2.0
// What commands say and ask.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <string>
#include <utility>

#include "tools/merlonctl/command.h"

namespace merlon::merlonctl {

std::unexpected<Failure> failed(std::string message) {
  return std::unexpected(Failure{Exit::failed, std::move(message), {}});
}

std::unexpected<Failure> usage_error(std::string message) {
  return std::unexpected(Failure{Exit::usage, std::move(message), {}});
}

void print(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
}

void say(std::string_view text) {
  std::fflush(stdout);
  fmt::print(stderr, "{}\n", text);
}

void print_json(const Json& json) {
  print(json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

Done confirm(const Context& context, const std::string& question) {
  if (context.call.has("--yes") || context.dry_run) {
    return {};
  }
  if (::isatty(STDIN_FILENO) == 0) {
    return usage_error(
        fmt::format("{} There is no terminal to ask on: give --yes to do it", question));
  }
  fmt::print(stderr, "{} [y/N] ", question);
  std::fflush(stderr);
  std::string line;
  std::getline(std::cin, line);
  if (line == "y" || line == "Y" || line == "yes") {
    return {};
  }
  return failed("nothing was changed");
}

}  // namespace merlon::merlonctl
