// SPDX-License-Identifier: Apache-2.0
// cpp-httplib 0.11 speaks HTTP but binds TCP ports only; it is given a Unix socket that is bound
// and listening already. Routing is ours (routes.h).
#include "controlplane/api/server.h"

#include <spdlog/spdlog.h>

#include <chrono>
#include <string>
#include <thread>
#include <utility>

#include "controlplane/api/http_handlers.h"
#include "controlplane/api/unix_socket.h"

namespace merlon::api {
namespace {

constexpr auto kStartTimeout = std::chrono::seconds(10);

class UnixHttpServer : public httplib::Server {
 public:
  void adopt(int listening_descriptor) { svr_sock_ = listening_descriptor; }
};

}  // namespace

struct Server::Impl {
  Impl(UnixListener socket, std::string where)
      : listener(std::move(socket)), path(std::move(where)) {}

  UnixListener listener;
  std::string path;
  UnixHttpServer http;
  std::thread thread;
};

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<Server>> Server::start(Operations& operations,
                                              const ServerOptions& options) {
  Result<UnixListener> listener = UnixListener::open(options.socket_path, options.mode);
  if (!listener) {
    return std::unexpected(listener.error());
  }
  auto impl = std::make_unique<Impl>(std::move(*listener), options.socket_path);
  set_limits(impl->http, options.thread_count);
  set_handlers(impl->http, operations);
  impl->http.adopt(impl->listener.release());
  impl->thread = std::thread([&http = impl->http, path = options.socket_path] {
    if (!http.listen_after_bind()) {
      spdlog::error("REST API on {} has stopped accepting connections", path);
    }
  });
  std::unique_ptr<Server> server(new Server(std::move(impl)));
  // stop() does nothing before the loop runs, so nobody may hold a server that does not run yet.
  const auto give_up = std::chrono::steady_clock::now() + kStartTimeout;
  while (!server->impl_->http.is_running()) {
    if (std::chrono::steady_clock::now() > give_up) {
      return fail(ErrorCode::internal, "REST API on {}: the server thread does not start",
                  options.socket_path);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return server;
}

Server::~Server() {
  impl_->http.stop();
  end_reading_of_clients(impl_->path);
  impl_->thread.join();
}

}  // namespace merlon::api
