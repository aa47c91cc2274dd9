// SPDX-License-Identifier: Apache-2.0
// TLS for DNS (RFC 7858, and transfers over it, RFC 9103, for which 1.3 is asked): versions 1.2 and
// 1.3, ALPN "dot" (a
// client without ALPN is served, one that offers only something else is refused), session tickets,
// no renegotiation, no early data.
//
// Certificate and key are files. They are looked at every second; when they have changed and rest,
// the new pair is for new connections. A pair that is not good is reported and the old one stays.
#pragma once

#include <openssl/ssl.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "controlplane/dns/service.h"
#include "zones/base/bytes.h"
#include "zones/base/error.h"
#include "zones/snapshot/access.h"

namespace merlon::dns {

struct TlsOptions {
  std::string certificate_file{};  // PEM: the server's, then those between it and its root
  std::string key_file{};          // PEM
  // PEM. A client that shows a certificate must have it from one of these; "": from anybody, as
  // long as it is the one that its device must show.
  std::string client_ca_file{};
  std::chrono::milliseconds look_interval{1'000};
  // Says what became of changed files.
  std::function<void(const std::string&)> report{};
};

// Thread-safe.
class TlsCertificates {
 public:
  // Errors: not_found, io, invalid_argument, naming the file.
  static Result<std::unique_ptr<TlsCertificates>> load(const TlsOptions& options);

  std::shared_ptr<SSL_CTX> current() const;
  // Loads changed files, at most every look_interval. Quick when there is nothing to do.
  void look(uint64_t now_ms);

 private:
  using Stamp = std::array<std::array<int64_t, 4>, 3>;

  explicit TlsCertificates(TlsOptions options) : options_(std::move(options)) {}
  Result<std::shared_ptr<SSL_CTX>> make_context() const;
  Stamp stamp() const;

  const TlsOptions options_;
  std::atomic<uint64_t> look_at_ms_{0};
  std::mutex look_mutex_;  // of the two below
  Stamp loaded_{};
  Stamp seen_{};
  mutable std::mutex mutex_;
  std::shared_ptr<SSL_CTX> context_;
};

// What devices must show over TLS, by their numbers. Thread-safe.
class DeviceCertificates {
 public:
  // Account and device to SHA-256, lower-case hex.
  using Table = std::map<std::pair<uint32_t, uint32_t>, std::string>;

  void set(Table table);
  // Whether a client with this certificate ("": none) may speak for the subject.
  bool allows(const snapshot::Subject& subject, std::string_view certificate) const;

 private:
  mutable std::mutex mutex_;
  Table table_;
};

// The TLS side of one connection. It reads and writes the socket itself, which must not block and
// outlive it.
class TlsSession {
 public:
  enum class State : uint8_t { done, wait, ended, failed };
  struct Io {
    State state = State::failed;
    size_t count = 0;  // > 0 when done
  };
  // What one write takes at most: a record.
  static constexpr size_t kRecordSize = 16 * 1024;

  // nullptr: no memory.
  static std::unique_ptr<TlsSession> make(std::shared_ptr<SSL_CTX> context, int fd);
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  bool is_ready() const { return is_ready_; }
  // A step of the handshake.
  State shake_hands();
  // These need is_ready(). A write that waits is repeated with the same bytes, or more behind them.
  Io read(MutableBytes room);
  Io write(Bytes bytes);
  // Tells the client that this was all.
  void say_goodbye();

  Tls version() const;
  bool is_resumed() const { return SSL_session_reused(session_) == 1; }
  // SHA-256 of the client's, lower-case hex; "": it showed none.
  const std::string& certificate() const { return certificate_; }

 private:
  TlsSession(std::shared_ptr<SSL_CTX> context, SSL* session)
      : context_(std::move(context)), session_(session) {}
  State state_of(int result);

  std::shared_ptr<SSL_CTX> context_;
  SSL* session_;
  bool is_ready_ = false;
  bool is_broken_ = false;
  std::string certificate_;
};

}  // namespace merlon::dns
