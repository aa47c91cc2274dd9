// SPDX-License-Identifier: Apache-2.0
#include "tests/controlplane/dns/tls_client.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/time.h>

#include <array>
#include <csignal>
#include <cstdio>

#include "zones/base/assert.h"

namespace merlon::tests {
namespace {

std::string digest_of(const X509* certificate) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned int size = 0;
  MERLON_ASSERT(X509_digest(certificate, EVP_sha256(), digest.data(), &size) == 1);
  return to_hex(Bytes(digest.data(), size));
}

}  // namespace

std::string Certificate::fingerprint() const {
  return digest_of(certificate.get());
}

void Certificate::write(const std::string& certificate_path, const std::string& key_path) const {
  std::FILE* file = std::fopen(certificate_path.c_str(), "w");
  MERLON_ASSERT(file != nullptr && PEM_write_X509(file, certificate.get()) == 1);
  std::fclose(file);
  file = std::fopen(key_path.c_str(), "w");
  MERLON_ASSERT(file != nullptr &&
                PEM_write_PrivateKey(file, key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1);
  std::fclose(file);
}

Certificate make_certificate(const std::string& name) {
  Certificate made;
  made.key.reset(EVP_EC_gen("P-256"), EVP_PKEY_free);
  made.certificate.reset(X509_new(), X509_free);
  X509* const certificate = made.certificate.get();
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_set_version(certificate, 2);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 86'400);
  X509_NAME* const subject = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509_set_issuer_name(certificate, subject);
  X509_set_pubkey(certificate, made.key.get());
  MERLON_ASSERT(X509_sign(certificate, made.key.get(), EVP_sha256()) > 0);
  return made;
}

TlsClient::TlsClient(std::string_view server, const TlsClientOptions& options)
    : context_(SSL_CTX_new(TLS_client_method()), SSL_CTX_free) {
  std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes to closed sockets, too
  SSL_CTX* const context = context_.get();
  SSL_CTX_set_max_proto_version(context, options.version_max);
  if (options.certificate != nullptr) {
    SSL_CTX_use_certificate(context, options.certificate->certificate.get());
    SSL_CTX_use_PrivateKey(context, options.certificate->key.get());
  }
  std::vector<unsigned char> protocols;
  for (const std::string& protocol : options.protocols) {
    protocols.push_back(static_cast<unsigned char>(protocol.size()));
    protocols.insert(protocols.end(), protocol.begin(), protocol.end());
  }
  fd_ = connected_socket(server, options.source);
  timeval patience{.tv_sec = 10, .tv_usec = 0};
  setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ssl_.reset(SSL_new(context), SSL_free);
  if (!protocols.empty()) {
    SSL_set_alpn_protos(ssl_.get(), protocols.data(), static_cast<unsigned>(protocols.size()));
  }
  if (options.session != nullptr) {
    SSL_set_session(ssl_.get(), options.session);
  }
  SSL_set_fd(ssl_.get(), fd_.get());
  ERR_clear_error();
  connected_ = SSL_connect(ssl_.get()) == 1;
}

std::string TlsClient::protocol() const {
  const unsigned char* name = nullptr;
  unsigned int size = 0;
  SSL_get0_alpn_selected(ssl_.get(), &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

std::string TlsClient::server_fingerprint() const {
  const std::shared_ptr<X509> certificate(SSL_get1_peer_certificate(ssl_.get()), X509_free);
  return certificate == nullptr ? "" : digest_of(certificate.get());
}

std::shared_ptr<SSL_SESSION> TlsClient::session() const {
  return {SSL_get1_session(ssl_.get()), SSL_SESSION_free};
}

bool TlsClient::send_raw(Bytes bytes) {
  ERR_clear_error();
  size_t count = 0;
  return SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &count) == 1 && count == bytes.size();
}

bool TlsClient::read_exactly(MutableBytes out) {
  while (!out.empty()) {
    ERR_clear_error();
    size_t count = 0;
    if (SSL_read_ex(ssl_.get(), out.data(), out.size(), &count) != 1) {
      return false;
    }
    out = out.subspan(count);
  }
  return true;
}

std::optional<Message> TlsClient::receive() {
  std::array<uint8_t, 2> prefix;
  if (!read_exactly(prefix)) {
    return std::nullopt;
  }
  Message message(load_be16(prefix.data()));
  return read_exactly(message) ? std::optional(std::move(message)) : std::nullopt;
}

std::optional<Message> TlsClient::ask(const QuerySpec& spec) {
  return send_raw(framed(make_query(spec))) ? receive() : std::nullopt;
}

bool TlsClient::sees_close_notify() {
  uint8_t byte = 0;
  size_t count = 0;
  ERR_clear_error();
  const int result = SSL_read_ex(ssl_.get(), &byte, 1, &count);
  return result != 1 && SSL_get_error(ssl_.get(), result) == SSL_ERROR_ZERO_RETURN;
}

}  // namespace merlon::tests
