// SPDX-License-Identifier: Apache-2.0
#include "controlplane/dns/udp_proxy.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "controlplane/dns/connection.h"
#include "controlplane/dns/packet_listener.h"
#include "controlplane/dns/socket.h"
#include "controlplane/dns/special.h"
#include "zones/answer/answer.h"
#include "zones/proxy/proxy.h"
#include "zones/wire/wire.h"

namespace merlon::dns {
namespace {

constexpr size_t kConnectionsMax = 64;
constexpr size_t kTurnMax = 64;  // queries taken from one data plane before the others get a look
constexpr size_t kMessageSizeMax = 8192;
constexpr int kSendBufferSize = 4 << 20;
constexpr int kIdleWaitMs = 1000;    // lets go of a snapshot that was replaced
constexpr int kAcceptPauseMs = 100;  // after an accept that failed for want of descriptors

}  // namespace

std::string_view to_string(UdpProxyCounter counter) {
  constexpr std::string_view kNames[] = {
#define MERLON_X(name, text) #name,
      MERLON_UDP_PROXY_COUNTERS(MERLON_X)
#undef MERLON_X
  };
  return kNames[static_cast<size_t>(counter)];
}

class UdpProxyServer::Loop {
 public:
  Loop(const UdpProxyOptions& options, const SnapshotSlot& snapshots, PacketListener listener)
      : options_(options),
        listener_(std::move(listener)),
        wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
        snapshots_(snapshots) {
    limits_.transport = answer::Transport::udp;
    limits_.udp_size_max = options_.udp_size_max;
    limits_.identity = &options_.identity;
  }
  ~Loop() {
    if (thread_.joinable()) {
      const uint64_t one = 1;
      [[maybe_unused]] const ssize_t n = write(wake_.get(), &one, sizeof one);
      thread_.join();
    }
  }

  Status start();
  uint64_t count(UdpProxyCounter counter) const {
    return counters_[static_cast<size_t>(counter)].load(std::memory_order_relaxed);
  }

 private:
  void run();
  void accept_all();
  bool serve(int fd);
  void answer(int fd, Bytes datagram);
  size_t answer_message(const address::Address& source, Bytes message, MutableBytes out);
  void add(UdpProxyCounter counter) {
    counters_[static_cast<size_t>(counter)].fetch_add(1, std::memory_order_relaxed);
  }

  const UdpProxyOptions options_;
  PacketListener listener_;
  Fd wake_;
  SnapshotReader snapshots_;
  answer::Limits limits_;
  answer::Query query_;
  std::array<uint8_t, kMessageSizeMax> assembly_;  // answers that are more than one body
  cookie::Check cookie_;
  std::vector<Fd> connections_;
  bool accept_paused_ = false;
  std::array<std::atomic<uint64_t>, kUdpProxyCounterCount> counters_{};
  std::thread thread_;
};

Status UdpProxyServer::Loop::start() {
  if (!wake_.valid()) {
    return fail_errno("slow path: eventfd", errno);
  }
  sigset_t all;  // signals are the main thread's
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::string reason;
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error& error) {
    reason = error.what();
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (!thread_.joinable()) {
    return fail(ErrorCode::io, "slow path: start a thread: {}", reason);
  }
  pthread_setname_np(thread_.native_handle(), "dns-slow-path");
  return {};
}

void UdpProxyServer::Loop::run() {
  std::vector<pollfd> polled;
  while (true) {
    polled.assign({{wake_.get(), POLLIN, 0}, {accept_paused_ ? -1 : listener_.fd(), POLLIN, 0}});
    for (const Fd& connection : connections_) {
      polled.push_back({connection.get(), POLLIN, 0});
    }
    ::poll(polled.data(), polled.size(), accept_paused_ ? kAcceptPauseMs : kIdleWaitMs);
    accept_paused_ = false;
    if (polled[0].revents != 0) {
      return;
    }
    snapshots_.refresh();
    for (size_t i = connections_.size(); i > 0; --i) {
      if (polled[i + 1].revents != 0 && !serve(connections_[i - 1].get())) {
        connections_.erase(connections_.begin() + static_cast<std::ptrdiff_t>(i - 1));
      }
    }
    if (polled[1].revents != 0) {
      accept_all();
    }
  }
}

void UdpProxyServer::Loop::accept_all() {
  while (true) {
    Fd connection = listener_.accept();
    if (!connection.valid()) {
      // No descriptor is free: the data plane waits in the backlog; trying at once would only spin.
      accept_paused_ = errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS;
      return;
    }
    if (connections_.size() == kConnectionsMax) {
      add(UdpProxyCounter::connections_refused);
      continue;
    }
    if (setsockopt(connection.get(), SOL_SOCKET, SO_SNDBUFFORCE, &kSendBufferSize,
                   sizeof kSendBufferSize) != 0) {
      setsockopt(connection.get(), SOL_SOCKET, SO_SNDBUF, &kSendBufferSize, sizeof kSendBufferSize);
    }
    add(UdpProxyCounter::connections);
    connections_.push_back(std::move(connection));
  }
}

// False when the data plane is gone.
bool UdpProxyServer::Loop::serve(int fd) {
  std::array<uint8_t, kMessageSizeMax> room;
  for (size_t i = 0; i < kTurnMax; ++i) {
    const ssize_t n = recv(fd, room.data(), room.size(), MSG_DONTWAIT | MSG_TRUNC);
    if (n < 0) {
      return errno == EAGAIN || errno == EINTR;
    }
    if (n == 0) {
      return false;
    }
    const size_t size = static_cast<size_t>(n);
    answer(fd, size > room.size() ? Bytes{} : Bytes(room).first(size));
  }
  return true;
}

void UdpProxyServer::Loop::answer(int fd, Bytes datagram) {
  proxy::Header header;
  Bytes message;
  if (proxy::parse(datagram, header, message) != proxy::Fault::none || header.source_port == 0 ||
      header.unique_id.empty() || message.size() < wire::kHeaderSize) {
    add(UdpProxyCounter::malformed);
    return;
  }
  add(UdpProxyCounter::queries);
  std::array<uint8_t, proxy::kHeaderSizeMax + kMessageSizeMax> room;
  const size_t header_size = proxy::write({.source = header.destination,
                                           .destination = header.source,
                                           .source_port = header.destination_port,
                                           .destination_port = header.source_port,
                                           .unique_id = header.unique_id},
                                          room);
  const size_t size =
      answer_message(header.source, message, MutableBytes(room).subspan(header_size));
  if (send(fd, room.data(), header_size + size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
    add(UdpProxyCounter::send_failed);
  } else {
    add(size == 0 ? UdpProxyCounter::silent : UdpProxyCounter::answers);
  }
}

// Returns the answer's size; 0: nothing is to be sent.
size_t UdpProxyServer::Loop::answer_message(const address::Address& source, Bytes message,
                                            MutableBytes out) {
  const SnapshotPointer& snapshot = snapshots_.snapshot();
  if (snapshot == nullptr) {
    add(UdpProxyCounter::no_snapshot);
    const bool is_query = (load_be16(message.data() + 2) & wire::flag::qr) == 0;
    return is_query ? write_bare_reply(message, wire::rcode::servfail, out) : 0;
  }
  const snapshot::Subject* subject = find_subject(*snapshot, source);
  answer::Reply reply = answer::answer(*snapshot, message, subject, limits_, query_, assembly_);
  check_cookie(options_.cookie_secrets, source, cookie_, query_);
  if (answer::is_for_slow_path(reply.outcome)) {
    add(UdpProxyCounter::special);
    const SpecialQuery special{.snapshot = *snapshot,
                               .message = message,
                               .parsed = query_,
                               .subject = subject,
                               .limits = limits_};
    return answer_special(special, out).size;
  }
  std::ranges::copy(message, out.begin());
  return answer::compose(query_, reply, limits_, out, message.size());
}

UdpProxyServer::UdpProxyServer(std::unique_ptr<Loop> loop) : loop_(std::move(loop)) {}
UdpProxyServer::~UdpProxyServer() = default;

Result<std::unique_ptr<UdpProxyServer>> UdpProxyServer::start(const UdpProxyOptions& options,
                                                              const SnapshotSlot& snapshots) {
  auto listener = PacketListener::open(options.socket_path, options.mode);
  if (!listener) {
    return std::unexpected(listener.error());
  }
  auto loop = std::make_unique<Loop>(options, snapshots, std::move(*listener));
  if (auto started = loop->start(); !started) {
    return std::unexpected(started.error());
  }
  return std::unique_ptr<UdpProxyServer>(new UdpProxyServer(std::move(loop)));
}

uint64_t UdpProxyServer::count(UdpProxyCounter counter) const {
  return loop_->count(counter);
}

}  // namespace merlon::dns
