// SPDX-License-Identifier: Apache-2.0
// The REST API as this tool sees it: JSON in, JSON out, over the control socket.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "tools/merlonctl/command.h"

namespace merlon::merlonctl {

struct ClientOptions {
  std::string socket_path;
  std::string url{};         // https://HOST[:PORT] instead of the socket
  std::string token_file{};  // the operator's token, with `url`
  std::string ca_file{};     // who is believed, with `url`; "": the system's
  uint32_t timeout_s = 30;
  bool dry_run = false;  // requests that change something are printed, and fail with Exit::ok
};

class Client {
 public:
  explicit Client(ClientOptions options) : options_(std::move(options)) {}

  // The API's success object. Failures: the API's own (Exit::not_found, Exit::failed), or
  // Exit::unreachable with the socket's path and what to do.
  Outcome<Json> get(const std::string& target) const;
  Outcome<Json> post(const std::string& target, const Json& body = Json::object()) const;
  Outcome<Json> put(const std::string& target, const Json& body) const;
  Outcome<Json> patch(const std::string& target, const Json& body) const;
  Outcome<Json> remove(const std::string& target) const;
  Outcome<Json> remove(const std::string& target, const Json& body) const;
  // `method` with a body of plain lines.
  Outcome<Json> send_lines(const char* method, const std::string& target,
                           const std::string& lines) const;

 private:
  struct Body {
    std::string text;
    const char* type = "application/json";
  };
  Done check_address() const;
  Done go_by_socket(void* curl, const std::string& target) const;
  Done go_by_url(void* curl, const std::string& target) const;
  Outcome<Json> send(const char* method, const std::string& target, const Body& body) const;

  ClientOptions options_;
};

// Percent-encoded, so that any text is one part of a path or one value of a query.
std::string escaped(std::string_view text);

}  // namespace merlon::merlonctl
