// SPDX-License-Identifier: Apache-2.0
#include "controlplane/api/https_server.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <spdlog/spdlog.h>

#include <charconv>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "controlplane/api/device_secrets.h"
#include "controlplane/api/http_handlers.h"
#include "controlplane/dns/tls.h"
#include "zones/address/address.h"
#include "zones/base/file.h"

namespace merlon::api {
namespace {

constexpr std::string_view kZonesPath = "/zones/";
constexpr size_t kTokenFileSizeMax = 4096;
constexpr size_t kTokenSizeMax = 256;
constexpr auto kFailureWindow = std::chrono::minutes(1);
constexpr size_t kSourcesMax = 10'000;
constexpr auto kStartTimeout = std::chrono::seconds(10);
constexpr auto kCertificateLook = std::chrono::milliseconds(1'000);

// How often each source failed lately: addresses, and /64s of IPv6. Thread-safe.
class Failures {
 public:
  explicit Failures(uint32_t max) : max_(max) {}

  bool too_many(const std::string& source) {
    const std::lock_guard lock(mutex_);
    const auto at = counts_.find(key_of(source));
    return at != counts_.end() && Clock::now() - at->second.since < kFailureWindow &&
           at->second.count >= max_;
  }
  void note(const std::string& source) {
    const std::lock_guard lock(mutex_);
    const auto now = Clock::now();
    if (counts_.size() >= kSourcesMax) {
      std::erase_if(counts_,
                    [&](const auto& row) { return now - row.second.since >= kFailureWindow; });
    }
    if (counts_.size() >= kSourcesMax) {
      counts_.clear();  // whoever has so many sources is not held up by this
    }
    Row& row = counts_[key_of(source)];
    if (now - row.since >= kFailureWindow) {
      row = {.since = now, .count = 0};
    }
    ++row.count;
  }

 private:
  using Clock = std::chrono::steady_clock;
  struct Row {
    Clock::time_point since{};
    uint32_t count = 0;
  };

  static address::Bits6 key_of(const std::string& source) {
    const auto address = address::parse_address(source);
    if (!address) {
      return 0;
    }
    return address->family == address::Family::v4 ? address->bits : address->bits >> 64 << 64;
  }

  const uint32_t max_;
  std::mutex mutex_;
  std::map<address::Bits6, Row> counts_;
};

// "Bearer TOKEN", or the password of "Basic BASE64"; "": neither.
std::string token_of(const httplib::Request& request) {
  const std::string value = request.get_header_value("Authorization");
  if (value.starts_with("Bearer ")) {
    return value.substr(7);
  }
  if (!value.starts_with("Basic ") || value.size() > 4 * kTokenSizeMax) {
    return {};
  }
  const std::string text = value.substr(6);
  std::string decoded(text.size(), '\0');
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): OpenSSL's bytes
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(decoded.data()),
                                   // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast)
                                   reinterpret_cast<const unsigned char*>(text.data()),
                                   static_cast<int>(text.size()));
  if (size < 0) {
    return {};
  }
  decoded.resize(static_cast<size_t>(size));
  while (!decoded.empty() && decoded.back() == '\0') {
    decoded.pop_back();  // what the padding stood for
  }
  const size_t colon = decoded.find(':');
  return colon == std::string::npos ? std::string() : decoded.substr(colon + 1);
}

Reply nothing_here() {
  return error_reply(404, "not_found", "there is nothing here for you");
}

// The operator's token, made when there is none.
Result<std::string> load_or_make_token(const std::string& path) {
  const auto known = read_file(path, kTokenFileSizeMax);
  if (known) {
    std::string token(as_text(*known));
    token.erase(token.find_last_not_of(" \r\n\t") + 1);
    if (token.size() < 32 || token.size() > kTokenSizeMax) {
      return fail(ErrorCode::invalid_argument,
                  "{}: holds no token of 32 to {} characters; remove it and one is made", path,
                  kTokenSizeMax);
    }
    return token;
  }
  if (known.error().code != ErrorCode::not_found) {
    return std::unexpected(known.error());
  }
  auto token = random_token();
  if (token) {
    if (auto written = write_file_durably(path, as_bytes(*token + "\n"), 0600); !written) {
      return std::unexpected(written.error());
    }
  }
  return token;
}

struct Listen {
  std::string host;
  int port = 0;
};
Result<Listen> parse_listen(const std::string& text) {
  const size_t colon = text.rfind(':');
  std::string host = text.substr(0, std::min(colon, text.size()));
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  }
  uint16_t port = 0;
  const char* end = text.data() + text.size();
  const char* first = colon == std::string::npos ? end : text.data() + colon + 1;
  const auto [at, error] = std::from_chars(first, end, port);
  if (!address::parse_address(host) || error != std::errc() || at != end) {
    return fail(ErrorCode::invalid_argument,
                "https_listen \"{}\" is no address with a port, as 192.0.2.1:443", text);
  }
  return Listen{.host = std::move(host), .port = port};
}

class Doorkeeper {
 public:
  Doorkeeper(Operations& operations, std::string api_token_digest, uint32_t failures_max)
      : operations_(operations),
        api_token_digest_(std::move(api_token_digest)),
        failures_(failures_max) {}

  Passage look(const httplib::Request& request, httplib::Response& response) {
    if (failures_.too_many(request.remote_addr)) {
      fill(error_reply(429, "busy", "too many failures from your address; wait a minute"),
           response);
      return Passage::answered;
    }
    if (request.path.starts_with(kZonesPath)) {
      give_zone(request, response);
      return Passage::answered;
    }
    const bool is_api = request.path.starts_with("/v1/") || request.path == "/metrics";
    if (is_api && may_operate(request)) {
      return Passage::let_through;
    }
    failures_.note(request.remote_addr);
    fill(is_api && !api_token_digest_.empty()
             ? error_reply(401, "unauthorized", "the REST API takes the operator's token here")
             : nothing_here(),
         response);
    return Passage::answered;
  }

 private:
  bool may_operate(const httplib::Request& request) const {
    const std::string token = token_of(request);
    if (api_token_digest_.empty() || token.empty() || token.size() > kTokenSizeMax) {
      return false;
    }
    const auto digest = digest_of_token(token);
    return digest && digest->size() == api_token_digest_.size() &&
           CRYPTO_memcmp(digest->data(), api_token_digest_.data(), digest->size()) == 0;
  }

  void give_zone(const httplib::Request& request, httplib::Response& response) {
    std::string apex = request.path.substr(kZonesPath.size());
    std::string token = token_of(request);
    if (const size_t slash = apex.find('/'); slash != std::string::npos) {
      token = apex.substr(0, slash);
      apex.erase(0, slash + 1);
    }
    const bool asks = request.method == "GET" || request.method == "HEAD";
    const auto digest = digest_of_token(token);
    if (!asks || token.empty() || token.size() > kTokenSizeMax || !digest) {
      failures_.note(request.remote_addr);
      return fill(nothing_here(), response);
    }
    const auto zone = operations_.zone_file(*digest, apex, request.remote_addr);
    if (!zone && zone.error().code == ErrorCode::conflict) {
      return fill(nothing_here(), response);  // a good token, for no such zone
    }
    if (!zone) {
      failures_.note(request.remote_addr);
      return fill(nothing_here(), response);
    }
    const std::string tag = fmt::format("\"{}\"", zone->serial);
    response.set_header("ETag", tag);
    if (request.get_header_value("If-None-Match") == tag) {
      response.status = 304;
      return;
    }
    response.status = 200;
    response.set_content(zone->text, "text/dns");
  }

  Operations& operations_;
  const std::string api_token_digest_;
  Failures failures_;
};

// Gives a connection the certificate, key and chain that are in force. For SSL_CTX_set_cert_cb.
int use_current(SSL* connection, void* certificates) {
  const std::shared_ptr<SSL_CTX> current =
      static_cast<const dns::TlsCertificates*>(certificates)->current();
  STACK_OF(X509)* chain = nullptr;
  SSL_CTX_get0_chain_certs(current.get(), &chain);
  return SSL_use_cert_and_key(connection, SSL_CTX_get0_certificate(current.get()),
                              SSL_CTX_get0_privatekey(current.get()), chain, 1);
}

// Looks at the certificate's files from time to time, until it goes.
class Watcher {
 public:
  explicit Watcher(dns::TlsCertificates& certificates)
      : certificates_(certificates), thread_([this] { run(); }) {}
  ~Watcher() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

 private:
  void run() {
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, kCertificateLook, [this] { return stopping_; })) {
      const auto now = std::chrono::steady_clock::now().time_since_epoch();
      certificates_.look(static_cast<uint64_t>(
          std::chrono::duration_cast<std::chrono::milliseconds>(now).count()));
    }
  }

  dns::TlsCertificates& certificates_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;  // the last: it uses the others
};

}  // namespace

struct HttpsServer::Impl {
  Impl(Operations& operations, std::string digest, uint32_t failures_max)
      : door(operations, std::move(digest), failures_max) {}
  Status listen(Operations& operations, const HttpsOptions& options, const std::string& text);

  struct One {
    std::unique_ptr<httplib::SSLServer> http;
    int port = 0;
    std::thread thread;
  };
  Doorkeeper door;
  std::unique_ptr<dns::TlsCertificates> certificates;
  std::optional<Watcher> watcher;
  std::vector<One> servers;
};

Status HttpsServer::Impl::listen(Operations& operations, const HttpsOptions& options,
                                 const std::string& text) {
  const auto where = parse_listen(text);
  if (!where) {
    return std::unexpected(where.error());
  }
  One one;
  one.http = std::make_unique<httplib::SSLServer>([this](SSL_CTX& context) {
    SSL_CTX_set_min_proto_version(&context, TLS1_2_VERSION);
    SSL_CTX_set_cert_cb(&context, use_current, certificates.get());
    return true;
  });
  if (!one.http->is_valid()) {
    return fail(ErrorCode::internal, "HTTPS on {}: the TLS library refuses", text);
  }
  set_limits(*one.http, options.thread_count);
  set_handlers(*one.http, operations,
               [this](const httplib::Request& request, httplib::Response& response) {
                 return door.look(request, response);
               });
  one.port = where->port != 0 && one.http->bind_to_port(where->host, where->port) ? where->port
             : where->port == 0 ? one.http->bind_to_any_port(where->host)
                                : -1;
  if (one.port <= 0) {
    return fail(ErrorCode::conflict, "cannot listen on {}: is the port taken?", text);
  }
  one.thread = std::thread([http = one.http.get(), text] {
    if (!http->listen_after_bind()) {
      spdlog::error("HTTPS on {} has stopped accepting connections", text);
    }
  });
  servers.push_back(std::move(one));
  return {};
}

HttpsServer::HttpsServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

std::vector<int> HttpsServer::ports() const {
  std::vector<int> ports;
  for (const Impl::One& one : impl_->servers) {
    ports.push_back(one.port);
  }
  return ports;
}

Result<std::unique_ptr<HttpsServer>> HttpsServer::start(Operations& operations,
                                                        const HttpsOptions& options) {
  std::string digest;
  if (!options.api_token_file.empty()) {
    const auto token = load_or_make_token(options.api_token_file);
    auto made = token ? digest_of_token(*token) : token;
    if (!made) {
      return in("token of the REST API", made.error());
    }
    digest = std::move(*made);
  }
  std::unique_ptr<HttpsServer> server(
      new HttpsServer(std::make_unique<Impl>(operations, std::move(digest), options.failures_max)));
  Impl& impl = *server->impl_;
  auto certificates = dns::TlsCertificates::load(
      {.certificate_file = options.certificate_file,
       .key_file = options.key_file,
       .look_interval = kCertificateLook / 2,
       .report = [](const std::string& what) { spdlog::info("HTTPS: {}", what); }});
  if (!certificates) {
    return std::unexpected(certificates.error());
  }
  impl.certificates = std::move(*certificates);
  impl.watcher.emplace(*impl.certificates);
  for (const std::string& text : options.listen) {
    if (auto listening = impl.listen(operations, options, text); !listening) {
      return std::unexpected(listening.error());
    }
  }
  const auto give_up = std::chrono::steady_clock::now() + kStartTimeout;
  for (const Impl::One& one : impl.servers) {
    while (!one.http->is_running()) {
      if (std::chrono::steady_clock::now() > give_up) {
        return fail(ErrorCode::internal, "HTTPS: the server thread does not start");
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  return server;
}

HttpsServer::~HttpsServer() {
  for (Impl::One& one : impl_->servers) {
    one.http->stop();
  }
  for (Impl::One& one : impl_->servers) {
    one.thread.join();
  }
}

}  // namespace merlon::api
