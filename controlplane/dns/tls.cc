// SPDX-License-Identifier: Apache-2.0
#include "controlplane/dns/tls.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace merlon::dns {
namespace {

constexpr unsigned char kAlpn[] = {3, 'd', 'o', 't'};
constexpr unsigned char kSessionContext[] = "merlon-dot";

// What OpenSSL says of its last error, and forgets the rest.
std::string last_words() {
  const unsigned long code = ERR_peek_last_error();
  const char* const reason = ERR_reason_error_string(code);
  std::string words = reason != nullptr ? reason : fmt::format("error {:#x}", code);
  ERR_clear_error();
  return words;
}

int choose_protocol(SSL*, const unsigned char** out, unsigned char* out_size,
                    const unsigned char* offered, unsigned int offered_size, void*) {
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_size, kAlpn, sizeof kAlpn, offered, offered_size) !=
      OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

// Without an authority a certificate says only who holds its key; whom that speaks for is asked by
// its fingerprint.
int accept_any(int, X509_STORE_CTX*) {
  return 1;
}

Status check_readable(std::string_view setting, const std::string& path) {
  struct stat info{};
  if (path.empty()) {
    return fail(ErrorCode::invalid_argument, "{} is empty; name a PEM file", setting);
  }
  if (::stat(path.c_str(), &info) != 0) {
    return fail_errno(fmt::format("{} {}", setting, path), errno);
  }
  return {};
}

std::string fingerprint_of(const SSL* session) {
  X509* const certificate = SSL_get1_peer_certificate(session);
  if (certificate == nullptr) {
    return {};
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned int size = 0;
  std::string text;
  if (X509_digest(certificate, EVP_sha256(), digest.data(), &size) == 1) {
    text = to_hex(Bytes(digest.data(), size));
  }
  X509_free(certificate);
  return text;
}

}  // namespace

Result<std::unique_ptr<TlsCertificates>> TlsCertificates::load(const TlsOptions& options) {
  std::unique_ptr<TlsCertificates> made(new TlsCertificates(options));
  made->loaded_ = made->seen_ = made->stamp();
  auto context = made->make_context();
  if (!context) {
    return std::unexpected(context.error());
  }
  made->context_ = std::move(*context);
  return made;
}

Result<std::shared_ptr<SSL_CTX>> TlsCertificates::make_context() const {
  ERR_clear_error();
  const auto wrong = [](std::string_view setting, const std::string& path) {
    return fail(ErrorCode::invalid_argument, "{} {}: {}", setting, path, last_words());
  };
  for (const auto& [setting, path] : {std::pair{"tls_certificate_file", &options_.certificate_file},
                                      std::pair{"tls_key_file", &options_.key_file}}) {
    if (auto readable = check_readable(setting, *path); !readable) {
      return std::unexpected(readable.error());
    }
  }
  const std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  if (context == nullptr) {
    return fail(ErrorCode::io, "TLS: {}", last_words());
  }
  SSL_CTX* const raw = context.get();
  SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION);
  SSL_CTX_set_options(raw, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                               SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(raw, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                            SSL_MODE_RELEASE_BUFFERS);
  // Tickets carry the session, so the server keeps none.
  SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_session_id_context(raw, kSessionContext, sizeof kSessionContext - 1);
  SSL_CTX_set_alpn_select_cb(raw, choose_protocol, nullptr);
  if (SSL_CTX_use_certificate_chain_file(raw, options_.certificate_file.c_str()) != 1) {
    return wrong("tls_certificate_file", options_.certificate_file);
  }
  if (SSL_CTX_use_PrivateKey_file(raw, options_.key_file.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(raw) != 1) {
    return wrong("tls_key_file", options_.key_file);
  }
  if (options_.client_ca_file.empty()) {
    SSL_CTX_set_verify(raw, SSL_VERIFY_PEER, accept_any);
    return context;
  }
  STACK_OF(X509_NAME)* const names = SSL_load_client_CA_file(options_.client_ca_file.c_str());
  if (names == nullptr || SSL_CTX_load_verify_file(raw, options_.client_ca_file.c_str()) != 1) {
    return wrong("tls_client_ca_file", options_.client_ca_file);
  }
  SSL_CTX_set_client_CA_list(raw, names);
  SSL_CTX_set_verify(raw, SSL_VERIFY_PEER, nullptr);
  return context;
}

std::shared_ptr<SSL_CTX> TlsCertificates::current() const {
  const std::lock_guard lock(mutex_);
  return context_;
}

TlsCertificates::Stamp TlsCertificates::stamp() const {
  Stamp out{};
  const std::string* const paths[] = {&options_.certificate_file, &options_.key_file,
                                      &options_.client_ca_file};
  for (size_t i = 0; i < out.size(); ++i) {
    struct stat info{};
    if (!paths[i]->empty() && ::stat(paths[i]->c_str(), &info) == 0) {
      out[i] = {static_cast<int64_t>(info.st_ino), info.st_size, info.st_mtim.tv_sec,
                info.st_mtim.tv_nsec};
    }
  }
  return out;
}

void TlsCertificates::look(uint64_t now_ms) {
  if (now_ms < look_at_ms_.load(std::memory_order_relaxed)) {
    return;
  }
  const std::unique_lock lock(look_mutex_, std::try_to_lock);
  if (!lock.owns_lock()) {
    return;
  }
  look_at_ms_.store(now_ms + static_cast<uint64_t>(options_.look_interval.count()),
                    std::memory_order_relaxed);
  const Stamp now = stamp();
  const bool rests = now == std::exchange(seen_, now);
  if (now == loaded_ || !rests) {
    return;  // as it was, or somebody is still writing: one of two files may be the old one
  }
  loaded_ = now;
  auto context = make_context();
  if (!context) {
    if (options_.report) {
      options_.report(
          fmt::format("TLS goes on with the certificate it has: {}", context.error().message));
    }
    return;
  }
  {
    const std::lock_guard context_lock(mutex_);
    context_.swap(*context);
  }
  if (options_.report) {
    options_.report(fmt::format("TLS has a new certificate: {}", options_.certificate_file));
  }
}

void DeviceCertificates::set(Table table) {
  const std::lock_guard lock(mutex_);
  table_.swap(table);
}

bool DeviceCertificates::allows(const snapshot::Subject& subject,
                                std::string_view certificate) const {
  const std::lock_guard lock(mutex_);
  const auto at = table_.find({subject.account, subject.device});
  return at == table_.end() || at->second == certificate;
}

std::unique_ptr<TlsSession> TlsSession::make(std::shared_ptr<SSL_CTX> context, int fd) {
  SSL* const session = SSL_new(context.get());
  if (session == nullptr) {
    return nullptr;
  }
  std::unique_ptr<TlsSession> made(new TlsSession(std::move(context), session));
  if (SSL_set_fd(session, fd) != 1) {
    return nullptr;
  }
  SSL_set_accept_state(session);
  return made;
}

TlsSession::~TlsSession() {
  SSL_free(session_);
}

TlsSession::State TlsSession::state_of(int result) {
  switch (SSL_get_error(session_, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      return State::wait;
    case SSL_ERROR_ZERO_RETURN:
      return State::ended;
    default:
      is_broken_ = true;
      ERR_clear_error();
      return State::failed;
  }
}

Tls TlsSession::version() const {
  return SSL_version(session_) >= TLS1_3_VERSION ? Tls::v1_3 : Tls::before_1_3;
}

TlsSession::State TlsSession::shake_hands() {
  ERR_clear_error();
  const int result = SSL_do_handshake(session_);
  if (result != 1) {
    return state_of(result);
  }
  is_ready_ = true;
  certificate_ = fingerprint_of(session_);
  return State::done;
}

TlsSession::Io TlsSession::read(MutableBytes room) {
  ERR_clear_error();
  size_t count = 0;
  const int result = SSL_read_ex(session_, room.data(), room.size(), &count);
  return result == 1 ? Io{State::done, count} : Io{state_of(result), 0};
}

TlsSession::Io TlsSession::write(Bytes bytes) {
  ERR_clear_error();
  size_t count = 0;
  const int result = SSL_write_ex(session_, bytes.data(), bytes.size(), &count);
  return result == 1 ? Io{State::done, count} : Io{state_of(result), 0};
}

void TlsSession::say_goodbye() {
  if (is_ready_ && !is_broken_) {
    ERR_clear_error();
    SSL_shutdown(session_);
    ERR_clear_error();
  }
}

}  // namespace merlon::dns
