// SPDX-License-Identifier: Apache-2.0
#include "controlplane/forward/stream_channel.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "controlplane/forward/addresses.h"
#include "zones/wire/wire.h"

namespace merlon::forward {
namespace {

constexpr size_t kLinksMax = 4;
constexpr size_t kQueriesPerLink = 128;  // then another link is opened, if there may be one
constexpr size_t kUnsentMax = 256 * 1024;
constexpr size_t kPrefixSize = 2;
constexpr uint64_t kIdle_ms = 8'000;
constexpr uint64_t kSilent_ms = 3'000;  // with queries open
constexpr unsigned kStraysMax = 32;
constexpr std::array<uint8_t, 4> kAlpn = {3, 'd', 'o', 't'};

struct SslDelete {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};

}  // namespace

Result<std::shared_ptr<const TlsContext>> TlsContext::make(const std::string& ca_file) {
  auto made = std::make_shared<const TlsContext>(SSL_CTX_new(TLS_client_method()));
  SSL_CTX* context = made->get();
  if (context == nullptr) {
    return fail(ErrorCode::internal, "TLS to upstreams: no context");
  }
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_alpn_protos(context, kAlpn.data(), kAlpn.size());
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  const int loaded = ca_file.empty()
                         ? SSL_CTX_set_default_verify_paths(context)
                         : SSL_CTX_load_verify_locations(context, ca_file.c_str(), nullptr);
  ERR_clear_error();
  if (loaded != 1) {
    return fail(ErrorCode::io, "TLS to upstreams: {}: no certificates can be read from it",
                ca_file.empty() ? "the system's certificates" : ca_file);
  }
  return made;
}

TlsContext::~TlsContext() {
  SSL_CTX_free(context_);
}

class StreamChannel::Link : public Watcher {
 public:
  Link(StreamChannel& owner, dns::Fd fd, SSL* ssl)
      : owner_(owner), fd_(std::move(fd)), ssl_(ssl), active_ms_(owner.now_ms_) {}
  ~Link() override {
    if (watched_) {
      owner_.poller_.unwatch(fd_.get(), slot_);
    }
  }

  bool watch() {
    events_ = EPOLLIN | EPOLLOUT;
    watched_ = owner_.poller_.watch(fd_.get(), events_, *this, slot_);
    return watched_;
  }
  bool send(uint64_t token, std::vector<uint8_t>& message);
  void cancel(uint64_t token);
  void on_ready(uint32_t events) override;
  size_t open_count() const { return by_token_.size(); }
  bool takes_more() const { return !failed_ && out_.size() - out_at_ < kUnsentMax; }
  bool is_failed() const { return failed_; }
  int descriptor() const { return fd_.get(); }
  bool is_late(uint64_t now_ms) const {
    return now_ms - active_ms_ > (by_token_.empty() ? kIdle_ms : kSilent_ms);
  }
  void fail();

 private:
  enum class Io : uint8_t { done, wait, failed };

  Io read_some();
  bool take_messages();
  Io write_some();
  Io after_tls(int result);
  void want(uint32_t events);

  StreamChannel& owner_;
  dns::Fd fd_;
  std::unique_ptr<SSL, SslDelete> ssl_;
  uint32_t slot_ = 0;
  uint32_t events_ = 0;
  bool watched_ = false;
  bool connected_ = false;
  bool failed_ = false;
  unsigned strays_ = 0;
  uint64_t active_ms_;
  std::vector<uint8_t> in_;
  std::vector<uint8_t> out_;
  size_t out_at_ = 0;
  std::unordered_map<uint16_t, uint64_t> by_id_;
  std::unordered_map<uint64_t, uint16_t> by_token_;
};

bool StreamChannel::Link::send(uint64_t token, std::vector<uint8_t>& message) {
  uint16_t id = owner_.random_.u16();
  while (by_id_.contains(id)) {
    id = owner_.random_.u16();
  }
  store_be16(message.data(), id);
  uint8_t prefix[kPrefixSize];
  store_be16(prefix, static_cast<uint16_t>(message.size()));
  if (by_token_.empty()) {
    active_ms_ = owner_.now_ms_;
  }
  out_.insert(out_.end(), prefix, prefix + kPrefixSize);
  out_.insert(out_.end(), message.begin(), message.end());
  by_id_.emplace(id, token);
  by_token_.emplace(token, id);
  want(EPOLLIN | EPOLLOUT);
  return true;
}

void StreamChannel::Link::cancel(uint64_t token) {
  const auto found = by_token_.find(token);
  if (found != by_token_.end()) {
    by_id_.erase(found->second);
    by_token_.erase(found);
  }
}

void StreamChannel::Link::want(uint32_t events) {
  if (events != events_) {
    events_ = events;
    owner_.poller_.change(fd_.get(), events, slot_);
  }
}

StreamChannel::Link::Io StreamChannel::Link::after_tls(int result) {
  const int error = SSL_get_error(ssl_.get(), result);
  ERR_clear_error();
  return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? Io::wait : Io::failed;
}

StreamChannel::Link::Io StreamChannel::Link::read_some() {
  std::array<uint8_t, 16 * 1024> room;
  ssize_t n = 0;
  if (ssl_ != nullptr) {
    const int result = SSL_read(ssl_.get(), room.data(), static_cast<int>(room.size()));
    if (result <= 0) {
      return after_tls(result);
    }
    n = result;
  } else {
    n = recv(fd_.get(), room.data(), room.size(), MSG_DONTWAIT);
    if (n <= 0) {
      return n < 0 && (errno == EAGAIN || errno == EINTR) ? Io::wait : Io::failed;
    }
  }
  in_.insert(in_.end(), room.begin(), room.begin() + n);
  return take_messages() ? Io::done : Io::failed;
}

// False: the link is of no use any more.
bool StreamChannel::Link::take_messages() {
  size_t at = 0;
  while (in_.size() - at >= kPrefixSize) {
    const size_t size = load_be16(in_.data() + at);
    if (size < wire::kHeaderSize) {
      return false;
    }
    if (in_.size() - at - kPrefixSize < size) {
      break;
    }
    const Bytes message = Bytes(in_).subspan(at + kPrefixSize, size);
    at += kPrefixSize + size;
    active_ms_ = owner_.now_ms_;
    const auto found = by_id_.find(load_be16(message.data()));
    const uint64_t token = found == by_id_.end() ? 0 : found->second;
    if (found == by_id_.end()) {
      owner_.events_.on_stray();
    }
    if (found == by_id_.end() || !owner_.events_.on_message(token, message)) {
      if (++strays_ >= kStraysMax) {
        return false;
      }
      continue;
    }
    cancel(token);
    owner_.by_token_.erase(token);
  }
  in_.erase(in_.begin(), in_.begin() + static_cast<std::ptrdiff_t>(at));
  return true;
}

StreamChannel::Link::Io StreamChannel::Link::write_some() {
  while (out_at_ < out_.size()) {
    const size_t left = out_.size() - out_at_;
    ssize_t n = 0;
    if (ssl_ != nullptr) {
      const int result = SSL_write(ssl_.get(), out_.data() + out_at_, static_cast<int>(left));
      if (result <= 0) {
        return after_tls(result);
      }
      n = result;
    } else {
      n = ::send(fd_.get(), out_.data() + out_at_, left, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (n < 0) {
        return errno == EAGAIN || errno == EINTR ? Io::wait : Io::failed;
      }
    }
    out_at_ += static_cast<size_t>(n);
  }
  out_.clear();
  out_at_ = 0;
  return Io::done;
}

void StreamChannel::Link::on_ready(uint32_t /*events*/) {
  if (failed_) {
    return;
  }
  if (!connected_) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) {
      fail();
      return;
    }
    connected_ = true;
  }
  if (ssl_ != nullptr && SSL_is_init_finished(ssl_.get()) == 0) {
    const int result = SSL_connect(ssl_.get());
    const Io io = result == 1 ? Io::done : after_tls(result);
    if (io != Io::done) {
      want(SSL_want_write(ssl_.get()) ? EPOLLIN | EPOLLOUT : EPOLLIN);
      if (io == Io::failed) {
        fail();
      }
      return;
    }
  }
  Io io = Io::done;
  while (io == Io::done) {
    io = read_some();
  }
  if (io != Io::failed) {
    io = write_some();
  }
  if (io == Io::failed) {
    fail();
    return;
  }
  want(out_.empty() ? EPOLLIN : EPOLLIN | EPOLLOUT);
}

// Everything that waits is told; sweep() takes the link away.
void StreamChannel::Link::fail() {
  if (failed_) {
    return;
  }
  failed_ = true;
  if (watched_) {
    owner_.poller_.unwatch(fd_.get(), slot_);
    watched_ = false;
  }
  std::vector<uint64_t> tokens;
  for (const auto& [token, id] : by_token_) {
    tokens.push_back(token);
  }
  by_id_.clear();
  by_token_.clear();
  for (const uint64_t token : tokens) {
    owner_.by_token_.erase(token);
    owner_.events_.on_fault(token);
  }
}

StreamChannel::StreamChannel(Poller& poller, Random& random, ExchangeEvents& events,
                             StreamTarget target)
    : poller_(poller), random_(random), events_(events), target_(std::move(target)) {}

StreamChannel::~StreamChannel() = default;

std::unique_ptr<StreamChannel::Link> StreamChannel::open() {
  const bool v6 = target_.endpoint.address.family == address::Family::v6;
  dns::Fd fd(socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const SocketAddress peer = to_socket_address(target_.endpoint);
  if (!fd.valid() || (connect(fd.get(), peer.get(), peer.size) != 0 && errno != EINPROGRESS)) {
    return nullptr;
  }
  const int on = 1;
  setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  SSL* ssl = nullptr;
  if (target_.tls != nullptr) {
    ssl = SSL_new(target_.tls->get());
    if (ssl == nullptr) {
      return nullptr;
    }
  }
  auto link = std::make_unique<Link>(*this, std::move(fd), ssl);
  if (ssl != nullptr) {
    bool named = false;
    if (!target_.tls_name.empty()) {
      // The macro of OpenSSL casts as C does.
      named = SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                       const_cast<char*>(target_.tls_name.c_str())) == 1 &&
              SSL_set1_host(ssl, target_.tls_name.c_str()) == 1;
    } else {
      const std::string text = address::to_text(target_.endpoint.address);
      named = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), text.c_str()) == 1;
    }
    if (!named || SSL_set_fd(ssl, link->descriptor()) != 1) {
      return nullptr;
    }
    SSL_set_connect_state(ssl);
  }
  return link->watch() ? std::move(link) : nullptr;
}

StreamChannel::Link* StreamChannel::pick() {
  Link* best = nullptr;
  size_t usable = 0;
  for (const auto& link : links_) {
    if (link->is_failed()) {
      continue;
    }
    ++usable;
    if (link->takes_more() && (best == nullptr || link->open_count() < best->open_count())) {
      best = link.get();
    }
  }
  if (usable < kLinksMax && (best == nullptr || best->open_count() >= kQueriesPerLink)) {
    if (auto made = open(); made != nullptr) {
      links_.push_back(std::move(made));
      return links_.back().get();
    }
  }
  return best;
}

bool StreamChannel::send(uint64_t token, std::vector<uint8_t>& message) {
  Link* link = pick();
  if (link == nullptr || !link->send(token, message)) {
    return false;
  }
  by_token_.emplace(token, link);
  return true;
}

void StreamChannel::cancel(uint64_t token) {
  const auto found = by_token_.find(token);
  if (found != by_token_.end()) {
    found->second->cancel(token);
    by_token_.erase(found);
  }
}

void StreamChannel::sweep(uint64_t now_ms) {
  now_ms_ = now_ms;
  for (size_t i = 0; i < links_.size(); ++i) {  // on_fault() may open others
    if (links_[i]->is_late(now_ms)) {
      links_[i]->fail();
    }
  }
  std::erase_if(links_, [](const auto& link) { return link->is_failed(); });
}

}  // namespace merlon::forward
