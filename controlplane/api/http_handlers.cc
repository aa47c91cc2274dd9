// SPDX-License-Identifier: Apache-2.0
// Three habits of cpp-httplib 0.11 are kept away from: a chunked or compressed body is not held to
// the size limit (so neither is taken), and a POST without Content-Length is read until the client
// closes (RFC 9112 section 6.3 says it has no body).
#include "controlplane/api/http_handlers.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

namespace merlon::api {
namespace {

constexpr time_t kFirstByteTimeoutS = 5;
constexpr time_t kReadTimeoutS = 10;
constexpr time_t kWriteTimeoutS = 30;

}  // namespace

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

namespace {

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

}  // namespace

void set_limits(httplib::Server& http, size_t thread_count) {
  http.new_task_queue = [count = std::max<size_t>(thread_count, 1)] {
    return new httplib::ThreadPool(count);
  };
  http.set_keep_alive_max_count(1);
  http.set_keep_alive_timeout(kFirstByteTimeoutS);
  http.set_read_timeout(kReadTimeoutS);
  http.set_write_timeout(kWriteTimeoutS);
  http.set_payload_max_length(kBodySizeMax);
}

void set_handlers(httplib::Server& http, Operations& operations, Gate gate) {
  using HandlerResponse = httplib::Server::HandlerResponse;
  // Runs before the body is read, and answers every request that has none.
  http.set_pre_routing_handler([&operations, gate = std::move(gate)](
                                   const httplib::Request& request, httplib::Response& response) {
    if (gate && gate(request, response) == Passage::answered) {
      return HandlerResponse::Handled;
    }
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

}  // namespace merlon::api
