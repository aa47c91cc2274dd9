// SPDX-License-Identifier: Apache-2.0
#include "controlplane/forward/udp_channel.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "controlplane/forward/addresses.h"
#include "zones/wire/wire.h"

namespace merlon::forward {
namespace {

constexpr size_t kPoolSize = 64;
constexpr unsigned kQueriesPerSocket = 128;
constexpr unsigned kPortTries = 16;
constexpr uint16_t kPortFirst = 1024;
constexpr size_t kMessageSizeMax = 4096;
constexpr unsigned kMessagesPerTurn = 64;
constexpr unsigned kStraysMax = 32;  // then somebody has found the port
constexpr int kReceiveBuffer = 1 << 20;

}  // namespace

class UdpChannel::Socket : public Watcher {
 public:
  Socket(UdpChannel& owner, dns::Fd fd) : owner_(owner), fd_(std::move(fd)) {}
  ~Socket() override {
    if (watched_) {
      owner_.poller_.unwatch(fd_.get(), slot_);
    }
  }

  bool watch() {
    watched_ = owner_.poller_.watch(fd_.get(), EPOLLIN, *this, slot_);
    return watched_;
  }
  bool send(uint64_t token, std::vector<uint8_t>& message);
  void cancel(uint64_t token);
  void on_ready(uint32_t events) override;
  bool is_used_up() const { return sent_ >= kQueriesPerSocket || strays_ >= kStraysMax; }
  bool is_empty() const { return by_id_.empty(); }

 private:
  void fail_all();

  UdpChannel& owner_;
  dns::Fd fd_;
  uint32_t slot_ = 0;
  bool watched_ = false;
  unsigned sent_ = 0;
  unsigned strays_ = 0;
  std::unordered_map<uint16_t, uint64_t> by_id_;
  std::unordered_map<uint64_t, uint16_t> by_token_;
};

bool UdpChannel::Socket::send(uint64_t token, std::vector<uint8_t>& message) {
  uint16_t id = owner_.random_.u16();
  while (by_id_.contains(id)) {  // kQueriesPerSocket of 65,536 at most
    id = owner_.random_.u16();
  }
  store_be16(message.data(), id);
  ++sent_;
  // What an earlier query was told of (ICMP) must not fail this one.
  ssize_t n = ::send(fd_.get(), message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (n < 0 && errno == ECONNREFUSED) {
    n = ::send(fd_.get(), message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  }
  if (n < 0) {
    return false;
  }
  by_id_.emplace(id, token);
  by_token_.emplace(token, id);
  return true;
}

void UdpChannel::Socket::cancel(uint64_t token) {
  const auto found = by_token_.find(token);
  if (found != by_token_.end()) {
    by_id_.erase(found->second);
    by_token_.erase(found);
  }
}

void UdpChannel::Socket::on_ready(uint32_t /*events*/) {
  std::array<uint8_t, kMessageSizeMax> room;
  for (unsigned i = 0; i < kMessagesPerTurn; ++i) {
    const ssize_t n = recv(fd_.get(), room.data(), room.size(), MSG_DONTWAIT | MSG_TRUNC);
    if (n < 0) {
      if (errno == ECONNREFUSED) {
        fail_all();
      }
      break;
    }
    const auto size = static_cast<size_t>(n);
    const auto found = size < wire::kHeaderSize || size > room.size()
                           ? by_id_.end()
                           : by_id_.find(load_be16(room.data()));
    if (found == by_id_.end()) {
      ++strays_;
      owner_.events_.on_stray();
      continue;
    }
    const uint64_t token = found->second;
    if (!owner_.events_.on_message(token, Bytes(room).first(size))) {
      ++strays_;
      continue;
    }
    // on_message() may have sent, which moves the tables.
    cancel(token);
    owner_.by_token_.erase(token);
  }
  owner_.remove_if_done(*this);  // perhaps the end of this
}

void UdpChannel::Socket::fail_all() {
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

UdpChannel::UdpChannel(Poller& poller, Random& random, ExchangeEvents& events,
                       const dns::Endpoint& upstream)
    : poller_(poller), random_(random), events_(events), upstream_(upstream) {}

UdpChannel::~UdpChannel() = default;

std::unique_ptr<UdpChannel::Socket> UdpChannel::open() {
  const bool v6 = upstream_.address.family == address::Family::v6;
  dns::Fd fd(socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) {
    return nullptr;
  }
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &kReceiveBuffer, sizeof kReceiveBuffer);
  for (unsigned i = 0; i < kPortTries; ++i) {
    const auto port = static_cast<uint16_t>(kPortFirst + random_.below(65'536u - kPortFirst));
    const SocketAddress own = any_address(upstream_.address.family, port);
    if (bind(fd.get(), own.get(), own.size) == 0) {
      break;  // else the kernel takes a port of its own choice when it connects
    }
  }
  const SocketAddress peer = to_socket_address(upstream_);
  if (connect(fd.get(), peer.get(), peer.size) != 0) {
    return nullptr;
  }
  auto made = std::make_unique<Socket>(*this, std::move(fd));
  return made->watch() ? std::move(made) : nullptr;
}

UdpChannel::Socket* UdpChannel::pick() {
  const size_t at = random_.below(kPoolSize);
  if (at >= pool_.size()) {
    auto made = open();
    if (made != nullptr) {
      pool_.push_back(std::move(made));
      return pool_.back().get();
    }
    return pool_.empty() ? nullptr : pool_.front().get();
  }
  if (pool_[at]->is_used_up()) {
    auto made = open();
    if (made != nullptr) {
      std::swap(pool_[at], made);
      retiring_.push_back(std::move(made));  // it may be at work further up the stack
    }
  }
  return pool_[at].get();
}

bool UdpChannel::send(uint64_t token, std::vector<uint8_t>& message) {
  Socket* socket = pick();
  if (socket == nullptr || !socket->send(token, message)) {
    return false;
  }
  by_token_.emplace(token, socket);
  return true;
}

void UdpChannel::cancel(uint64_t token) {
  const auto found = by_token_.find(token);
  if (found != by_token_.end()) {
    found->second->cancel(token);
    by_token_.erase(found);
  }
}

void UdpChannel::remove_if_done(Socket& socket) {
  if (socket.is_empty()) {
    std::erase_if(retiring_, [&](const auto& each) { return each.get() == &socket; });
  }
}

void UdpChannel::sweep(uint64_t /*now_ms*/) {
  std::erase_if(retiring_, [](const auto& each) { return each->is_empty(); });
}

}  // namespace merlon::forward
