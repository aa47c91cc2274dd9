// SPDX-License-Identifier: Apache-2.0
// The REST API over HTTP/1.1 on a Unix socket. Who may connect is decided by the file's mode and
// its directory. One request a connection: connecting to a local socket costs microseconds, and an
// idle kept-alive connection would hold a thread.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "controlplane/api/operations.h"
#include "zones/base/error.h"

namespace merlon::api {

// Feeds are fetched by the control plane, never uploaded; the largest bodies are entries of own
// lists, a hundred thousand at once.
inline constexpr size_t kBodySizeMax = size_t{8} << 20;

struct ServerOptions {
  std::string socket_path;
  unsigned mode = 0660;
  size_t thread_count = 16;  // requests in work at once; a build holds one until it is done
};

class Server {
 public:
  // Listens when this returns. `operations` must outlive the server. Errors: conflict (another
  // control plane is running there), invalid_argument, io.
  static Result<std::unique_ptr<Server>> start(Operations& operations,
                                               const ServerOptions& options);
  // Stops accepting, waits for the requests in work and removes the socket file.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace merlon::api
