// SPDX-License-Identifier: Apache-2.0
#include "tools/merlonctl/client.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <cstring>
#include <memory>
#include <string>

#include "tools/merlonctl/text.h"

namespace merlon::merlonctl {
namespace {

constexpr size_t kAnswerSizeMax = size_t{256} << 20;
constexpr size_t kSocketPathSizeMax = 107;
constexpr size_t kShownBodyMax = 10'000;

struct Received {
  std::string text;
  bool too_large = false;
};

size_t receive(char* data, size_t size, size_t count, void* out) {
  Received& received = *static_cast<Received*>(out);
  if (received.text.size() + size * count > kAnswerSizeMax) {
    received.too_large = true;
    return 0;
  }
  received.text.append(data, size * count);
  return size * count;
}

std::unexpected<Failure> unreachable(const std::string& message) {
  return std::unexpected(Failure{Exit::unreachable, message, {}});
}

// The API's error object as a Failure.
std::unexpected<Failure> refused(long http_status, const Json& answer) {
  const auto error = answer.find("error");
  if (error == answer.end() || !error->is_object()) {
    return failed(fmt::format("the control plane answered HTTP {} without a reason", http_status));
  }
  const std::string code = error->value("code", "");
  return std::unexpected(Failure{code == "not_found" ? Exit::not_found : Exit::failed,
                                 fmt::format("{}: {}", code, error->value("message", "")), answer});
}

void print_unsent(const char* method, const std::string& target, const std::string& body) {
  print(fmt::format(
      "would send {} {}{}{}\n", method, target, body.empty() ? "" : " ",
      body.size() <= kShownBodyMax ? body : fmt::format("with {}", size_text(body.size()))));
}

std::string text_of(const Json& body) {
  return body.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.' || c == '~';
    if (plain) {
      out.push_back(c);
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

Outcome<Json> Client::get(const std::string& target) const {
  return send("GET", target, {});
}

Outcome<Json> Client::post(const std::string& target, const Json& body) const {
  return send("POST", target, {.text = text_of(body)});
}

Outcome<Json> Client::put(const std::string& target, const Json& body) const {
  return send("PUT", target, {.text = text_of(body)});
}

Outcome<Json> Client::patch(const std::string& target, const Json& body) const {
  return send("PATCH", target, {.text = text_of(body)});
}

Outcome<Json> Client::remove(const std::string& target) const {
  return send("DELETE", target, {});
}

Outcome<Json> Client::remove(const std::string& target, const Json& body) const {
  return send("DELETE", target, {.text = text_of(body)});
}

Outcome<Json> Client::send_lines(const char* method, const std::string& target,
                                 const std::string& lines) const {
  return send(method, target, {.text = lines, .type = "text/plain"});
}

Done Client::go_by_socket(void* curl, const std::string& target) const {
  if (const Done good = check_address(); !good) {
    return good;
  }
  curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, options_.socket_path.c_str());
  curl_easy_setopt(curl, CURLOPT_URL, ("http://localhost" + target).c_str());
  curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
  return {};
}

// Where the token goes nobody but the server that the certificate names can read it.
Done Client::go_by_url(void* curl, const std::string& target) const {
  if (const Done good = check_address(); !good) {
    return good;
  }
  if (options_.token_file.empty()) {
    return usage_error("--server needs --token-file FILE with the operator's token");
  }
  Outcome<std::string> token = read_input(options_.token_file);
  if (!token) {
    return std::unexpected(token.error());
  }
  token->erase(token->find_last_not_of(" \r\n\t") + 1);
  const std::string base =
      options_.url.ends_with('/') ? options_.url.substr(0, options_.url.size() - 1) : options_.url;
  curl_easy_setopt(curl, CURLOPT_URL, (base + target).c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
  curl_easy_setopt(curl, CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BEARER));
  curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, token->c_str());
  if (!options_.ca_file.empty()) {
    curl_easy_setopt(curl, CURLOPT_CAINFO, options_.ca_file.c_str());
  }
  return {};
}

Done Client::check_address() const {
  const bool remote = !options_.url.empty();
  const std::string& socket = remote ? options_.url : options_.socket_path;
  if (remote && !socket.starts_with("https://")) {
    return usage_error(
        fmt::format("--server \"{}\": must be https://HOST or https://HOST:PORT", socket));
  }
  if (!remote && (socket.empty() || socket.size() > kSocketPathSizeMax)) {
    return usage_error(fmt::format("--socket \"{}\": the path must have 1 to {} bytes", socket,
                                   kSocketPathSizeMax));
  }
  return {};
}

Outcome<Json> Client::send(const char* method, const std::string& target, const Body& body) const {
  const bool remote = !options_.url.empty();
  const std::string& socket = remote ? options_.url : options_.socket_path;
  if (options_.dry_run && std::strcmp(method, "GET") != 0) {
    print_unsent(method, target, body.text);
    return std::unexpected(Failure{Exit::ok, "", {}});
  }
  const std::unique_ptr<CURL, void (*)(CURL*)> curl(curl_easy_init(), curl_easy_cleanup);
  const std::unique_ptr<curl_slist, void (*)(curl_slist*)> headers(
      curl_slist_append(
          curl_slist_append(nullptr, fmt::format("Content-Type: {}", body.type).c_str()),
          "Expect:"),
      curl_slist_free_all);
  Received received;
  if (const Done reached =
          remote ? go_by_url(curl.get(), target) : go_by_socket(curl.get(), target);
      !reached) {
    return std::unexpected(reached.error());
  }
  curl_easy_setopt(curl.get(), CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  curl_easy_setopt(curl.get(), CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT, static_cast<long>(options_.timeout_s));
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, receive);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &received);
  curl_easy_setopt(curl.get(), CURLOPT_HTTPHEADER, headers.get());
  if (std::strcmp(method, "POST") == 0 || !body.text.empty()) {
    curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(body.text.size()));
    curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDS, body.text.c_str());
  }
  if (std::strcmp(method, "POST") != 0) {
    curl_easy_setopt(curl.get(), CURLOPT_CUSTOMREQUEST, method);
  }
  const CURLcode code = curl_easy_perform(curl.get());
  long http_status = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &http_status);
  if (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST) {
    long number = 0;
    curl_easy_getinfo(curl.get(), CURLINFO_OS_ERRNO, &number);
    return unreachable(fmt::format(
        "cannot connect to {}{}{}; is merlon-controlplane running? start it or pass --socket",
        socket, number == 0 ? "" : ": ",
        number == 0 ? "" : std::strerror(static_cast<int>(number))));
  }
  if (code == CURLE_OPERATION_TIMEDOUT) {
    return unreachable(
        fmt::format("no answer on {} within {} s; the request may still be in work "
                    "there; wait longer with --timeout",
                    socket, options_.timeout_s));
  }
  if (received.too_large) {
    return failed(fmt::format("the answer is larger than {} MiB", kAnswerSizeMax >> 20));
  }
  if (code != CURLE_OK) {
    return unreachable(
        fmt::format("{}: {}; has merlon-controlplane stopped?", socket, curl_easy_strerror(code)));
  }
  Json answer = Json::parse(received.text, nullptr, false);
  if (!answer.is_object() || answer.value("schema_version", Json()) != 1) {
    return failed(
        fmt::format("what answers on {} does not speak version 1 of Merlon's API", socket));
  }
  if (http_status < 200 || http_status > 299) {
    return refused(http_status, answer);
  }
  return answer;
}

}  // namespace merlon::merlonctl
