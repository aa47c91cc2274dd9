// SPDX-License-Identifier: Apache-2.0
// cpp-httplib 0.11 speaks HTTP but binds TCP ports only; it is given a Unix socket that is bound
// and listening already. Routing is ours (routes.h). Three habits of that version are kept away
// from: a chunked or compressed body is not held to the size limit (so neither is taken), and a
// POST without Content-Length is read until the client closes (RFC 9112 section 6.3 says it has no
// body).
#include "controlplane/api/server.h"

#include <httplib.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <utility>

#include "controlplane/api/routes.h"
#include "controlplane/api/unix_socket.h"

namespace merlon::api {
namespace {

constexpr time_t kFirstByteTimeoutS = 5;
constexpr time_t kReadTimeoutS = 10;
constexpr time_t kWriteTimeoutS = 30;
constexpr auto kStartTimeout = std::chrono::seconds(10);

class UnixHttpServer : public httplib::Server {
 public:
  void adopt(int listening_descriptor) { svr_sock_ = listening_descriptor; }
};

void fill(const Reply& reply, httplib::Response& response) {
  response.status = reply.http_status;
  if (reply.content_type.empty()) {
    response.set_content(to_text(reply.body) + "\n", "application/json");
  } else {
    response.set_content(reply.text, reply.content_type);
  }
  if (!reply.allow.empty()) {
    response.set_header("Allow", reply.allow);
  }
}

Reply too_large() {
  return error_reply(413, "too_large",
                     fmt::format("the body may have at most {} bytes", kBodySizeMax));
}

// What is wrong with the way the body is sent; http_status 0: nothing.
Reply body_fault(const httplib::Request& request) {
  if (request.has_header("Transfer-Encoding")) {
    return error_reply(411, "length_required",
                       "send the body with Content-Length, not with Transfer-Encoding");
  }
  const std::string encoding = request.get_header_value("Content-Encoding");
  if (!encoding.empty() && encoding != "identity") {
    return error_reply(415, "unsupported_media_type", "send the body without Content-Encoding");
  }
  if (request.get_header_value("Content-Type").starts_with("multipart/")) {
    return error_reply(415, "unsupported_media_type", "send the body as application/json");
  }
  const std::string length = request.get_header_value("Content-Length");
  const bool digits = std::all_of(length.begin(), length.end(),
                                  [](unsigned char c) { return c >= '0' && c <= '9'; });
  if (!digits || length.size() > 18 || request.get_header_value_count("Content-Length") > 1) {
    return error_reply(400, "invalid_argument", "Content-Length must be one decimal number");
  }
  return Reply{.http_status = 0, .body = {}, .allow = ""};
}

bool has_body(const httplib::Request& request) {
  const std::string length = request.get_header_value("Content-Length");
  const bool may_have_one = request.method == "POST" || request.method == "PUT" ||
                            request.method == "PATCH" || request.method == "DELETE";
  return may_have_one && length.find_first_not_of('0') != std::string::npos;
}

void set_limits(UnixHttpServer& http, const ServerOptions& options) {
  http.new_task_queue = [count = std::max<size_t>(options.thread_count, 1)] {
    return new httplib::ThreadPool(count);
  };
  http.set_keep_alive_max_count(1);
  http.set_keep_alive_timeout(kFirstByteTimeoutS);
  http.set_read_timeout(kReadTimeoutS);
  http.set_write_timeout(kWriteTimeoutS);
  http.set_payload_max_length(kBodySizeMax);
}

void set_handlers(UnixHttpServer& http, Operations& operations) {
  using HandlerResponse = httplib::Server::HandlerResponse;
  // Runs before the body is read, and answers every request that has none.
  http.set_pre_routing_handler(
      [&operations](const httplib::Request& request, httplib::Response& response) {
        const Reply fault = body_fault(request);
        if (fault.http_status != 0) {
          fill(fault, response);
          return HandlerResponse::Handled;
        }
        if (has_body(request)) {
          return HandlerResponse::Unhandled;
        }
        fill(answer(operations, {.method = request.method, .target = request.target, .body = ""}),
             response);
        return HandlerResponse::Handled;
      });
  // Reading it here keeps the library from parsing it as a form, which `curl -d` says it is.
  const httplib::Server::HandlerWithContentReader with_body =
      [&operations](const httplib::Request& request, httplib::Response& response,
                    const httplib::ContentReader& read) {
        std::string body;
        const bool complete = read([&body](const char* data, size_t size) {
          body.append(data, size);
          return true;
        });
        if (complete) {
          fill(answer(operations, {.method = request.method,
                                   .target = request.target,
                                   .body = body,
                                   .content_type = request.get_header_value("Content-Type")}),
               response);
        } else if (response.status < 400) {
          response.status = 400;  // the error handler adds the words
        }
      };
  http.Post(".*", with_body);
  http.Put(".*", with_body);
  http.Patch(".*", with_body);
  http.Delete(".*", with_body);

  http.set_expect_100_continue_handler(
      [](const httplib::Request& request, httplib::Response& response) {
        if (request.get_header_value<uint64_t>("Content-Length") <= kBodySizeMax) {
          return 100;
        }
        fill(too_large(), response);
        return 413;
      });
  // The library's own refusals come without a body.
  http.set_error_handler([](const httplib::Request&, httplib::Response& response) {
    if (response.status == 413) {
      fill(too_large(), response);
    } else if (response.body.empty()) {
      fill(error_reply(response.status, "invalid_argument",
                       "this is not an HTTP/1.1 request that the API understands"),
           response);
    }
  });
  http.set_exception_handler(
      [](const httplib::Request&, httplib::Response& response, std::exception_ptr) {
        fill(error_reply(500, "internal", "the request handler failed"), response);
      });
}

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
  set_limits(impl->http, options);
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
