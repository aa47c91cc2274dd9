// SPDX-License-Identifier: Apache-2.0
// The control socket: a Unix stream socket that takes one command line per connection and answers
// with one line of JSON.
//   load    load what `current` names and serve it: {"generation":N} or {"error":{code,message}}
//   status  engine, workers, what is served since when
//   stats   every counter, summed and per worker
//   top, subjects, profile: observe.h
// Served by one thread, so loads never overlap. Clients that are slow to write or to read wait
// beside the others until their time is over. The packet path never waits for any of this.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "zones/base/error.h"

namespace merlon::control {

class ControlServer {
 public:
  // Answers one command line with one line of JSON (without the line feed).
  using Handler = std::function<std::string(std::string_view command)>;

  // A stale socket file is replaced; a live one, or a file that is no socket, is a conflict.
  // Errors: io, conflict, invalid_argument (path too long).
  static Result<std::unique_ptr<ControlServer>> start(const std::string& path, Handler handler);
  ~ControlServer();
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

 private:
  struct Impl;
  explicit ControlServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace merlon::control
