// SPDX-License-Identifier: Apache-2.0
// A DNS over TLS client, and certificates to test with.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/dns/socket.h"
#include "tests/controlplane/dns/client.h"

namespace merlon::tests {

// A self-signed certificate and its key.
struct Certificate {
  std::shared_ptr<X509> certificate;
  std::shared_ptr<EVP_PKEY> key;

  std::string fingerprint() const;
  void write(const std::string& certificate_path, const std::string& key_path) const;
};
Certificate make_certificate(const std::string& name);

struct TlsClientOptions {
  std::vector<std::string> protocols = {"dot"};  // ALPN; empty: none
  int version_max = TLS1_3_VERSION;
  const Certificate* certificate = nullptr;
  SSL_SESSION* session = nullptr;  // to resume
  std::string source{};
};

class TlsClient {
 public:
  explicit TlsClient(std::string_view server, const TlsClientOptions& options = {});

  bool is_connected() const { return connected_; }
  bool is_resumed() const { return SSL_session_reused(ssl_.get()) == 1; }
  std::string protocol() const;
  std::string server_fingerprint() const;
  std::shared_ptr<SSL_SESSION> session() const;

  bool send_raw(Bytes bytes);
  std::optional<Message> receive();  // nullopt: closed, or nothing for ten seconds
  std::optional<Message> ask(const QuerySpec& spec);
  bool sees_close_notify();

 private:
  bool read_exactly(MutableBytes out);

  std::shared_ptr<SSL_CTX> context_;
  dns::Fd fd_;
  std::shared_ptr<SSL> ssl_;
  bool connected_ = false;
};

}  // namespace merlon::tests
