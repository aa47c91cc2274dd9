// SPDX-License-Identifier: Apache-2.0
// The REST API over a control plane kept in memory, as a process for tests of merlonctl:
//   fake_controlplane SOCKET
// prints "ready", then takes orders from stdin, a line each, and answers "ok" to every one:
//   fail CODE MESSAGE | throw MESSAGE | away REASON | dataplane JSON | answer COMMAND JSON |
//   sign ZONE
// It ends when stdin does.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <iostream>
#include <memory>
#include <string>

#include "controlplane/api/server.h"
#include "tests/support/fake_operations.h"

namespace {

using merlon::Error;
using merlon::ErrorCode;

bool parse_code(const std::string& text, ErrorCode& out) {
  for (const ErrorCode code :
       {ErrorCode::not_found, ErrorCode::invalid_argument, ErrorCode::corruption, ErrorCode::io,
        ErrorCode::busy, ErrorCode::unsupported, ErrorCode::conflict, ErrorCode::internal}) {
    if (text == merlon::to_string(code)) {
      out = code;
      return true;
    }
  }
  return false;
}

// The first word of `rest`, which becomes what follows it.
std::string take_word(std::string& rest) {
  const size_t blank = std::min(rest.find(' '), rest.size());
  const std::string word = rest.substr(0, blank);
  rest.erase(0, std::min(blank + 1, rest.size()));
  return word;
}

bool obey(merlon::tests::FakeOperations& operations, std::string line) {
  const std::string order = take_word(line);
  if (order == "fail") {
    ErrorCode code;
    if (!parse_code(take_word(line), code)) {
      return false;
    }
    operations.fail_next(Error{code, line});
  } else if (order == "throw") {
    operations.throw_next(line);
  } else if (order == "away") {
    operations.set_dataplane_away(line);
  } else if (order == "dataplane") {
    operations.set_dataplane_answer(line);
  } else if (order == "sign") {
    operations.sign_zone(line);
  } else if (order == "answer") {  // answer COMMAND_WITH_UNDERSCORES JSON
    std::string command = take_word(line);
    std::replace(command.begin(), command.end(), '_', ' ');
    operations.set_dataplane_answer(command, line);
  } else {
    return false;
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    fmt::print(stderr, "usage: fake_controlplane SOCKET\n");
    return 2;
  }
  merlon::tests::FakeOperations operations([] { return static_cast<int64_t>(std::time(nullptr)); });
  const auto server = merlon::api::Server::start(operations, {.socket_path = argv[1]});
  if (!server) {
    fmt::print(stderr, "fake_controlplane: {}\n", server.error().message);
    return 1;
  }
  fmt::print("ready\n");
  std::fflush(stdout);
  std::string line;
  while (std::getline(std::cin, line)) {
    fmt::print("{}\n", obey(operations, line) ? "ok" : "what?");
    std::fflush(stdout);
  }
  return 0;
}
