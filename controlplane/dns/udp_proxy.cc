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
#include <optional>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "controlplane/dns/connection.h"
#include "controlplane/dns/inbox.h"
#include "controlplane/dns/packet_listener.h"
#include "controlplane/dns/socket.h"
#include "controlplane/dns/special.h"
#include "zones/answer/answer.h"
#include "zones/answer/opt.h"
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

// What a client takes over UDP.
struct Room {
  size_t size_max = 0;
  uint16_t udp_size_max = 0;  // what our OPT announces
  bool has_edns = false;
  bool dnssec_ok = false;
};

// An answer that is too large for its client becomes "come over TCP": header, question and OPT.
void cut_to(const Room& room, std::vector<uint8_t>& message) {
  if (message.size() <= room.size_max) {
    return;
  }
  wire::Reader reader(message);
  reader.skip(wire::kHeaderSize);
  reader.name();
  reader.skip(4);
  const bool has_question = load_be16(message.data() + 4) == 1 && reader.ok();
  const size_t end = has_question ? reader.offset() : wire::kHeaderSize;
  answer::Query query;
  query.has_edns = room.has_edns;
  query.dnssec_ok = room.dnssec_ok;
  const answer::Limits limits{.udp_size_max = room.udp_size_max};
  const size_t opt_size = answer::opt_size(query, answer::Outcome::truncated, limits);
  message.resize(end + opt_size);
  answer::write_opt(query, answer::Outcome::truncated, limits, opt_size, message.data() + end);
  uint8_t* const header = message.data();
  store_be16(header + 2, load_be16(header + 2) | wire::flag::tc);
  store_be16(header + 4, has_question ? 1 : 0);
  store_be32(header + 6, 0);
  store_be16(header + 10, room.has_edns ? 1 : 0);
}

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
    inbox_->close();
  }

  Status start();
  uint64_t count(UdpProxyCounter counter) const {
    return counters_[static_cast<size_t>(counter)].load(std::memory_order_relaxed);
  }

 private:
  struct DataPlane {
    Fd fd;
    uint64_t number = 0;  // never that of another
  };
  // Who asked: a query and where its answer goes.
  struct Asked {
    uint64_t plane = 0;
    Bytes header;  // of the answer
    address::Address source{};
    uint16_t source_port = 0;
    Bytes message;
  };
  // An answer that was looked up elsewhere.
  struct Late {
    uint64_t plane = 0;
    std::vector<uint8_t> datagram{};
  };

  void run();
  void accept_all();
  void take_late_answers();
  bool serve(const DataPlane& plane);
  void answer(const DataPlane& plane, Bytes datagram);
  // nullopt: it comes later. 0: nothing is to be sent.
  std::optional<size_t> answer_message(const Asked& asked, MutableBytes out);
  std::optional<size_t> answer_by_service(const Asked& asked, answer::Reply& reply,
                                          const snapshot::Subject& subject, MutableBytes out);
  void forward(const Asked& asked, const Request& request);
  Room room() const;
  void send_to(const DataPlane& plane, Bytes datagram, size_t header_size);
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
  std::shared_ptr<Inbox<Late>> inbox_ = std::make_shared<Inbox<Late>>();
  std::vector<DataPlane> planes_;
  uint64_t plane_count_ = 0;
  bool accept_paused_ = false;
  std::array<std::atomic<uint64_t>, kUdpProxyCounterCount> counters_{};
  std::thread thread_;
};

Status UdpProxyServer::Loop::start() {
  if (!wake_.valid() || !inbox_->valid()) {
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
  constexpr size_t kOwnCount = 3;
  std::vector<pollfd> polled;
  while (true) {
    polled.assign({{wake_.get(), POLLIN, 0},
                   {accept_paused_ ? -1 : listener_.fd(), POLLIN, 0},
                   {inbox_->fd(), POLLIN, 0}});
    for (const DataPlane& plane : planes_) {
      polled.push_back({plane.fd.get(), POLLIN, 0});
    }
    ::poll(polled.data(), polled.size(), accept_paused_ ? kAcceptPauseMs : kIdleWaitMs);
    accept_paused_ = false;
    if (polled[0].revents != 0) {
      return;
    }
    snapshots_.refresh();  // lets an old snapshot go while nobody asks
    for (size_t i = planes_.size(); i > 0; --i) {
      if (polled[kOwnCount + i - 1].revents != 0 && !serve(planes_[i - 1])) {
        planes_.erase(planes_.begin() + static_cast<std::ptrdiff_t>(i - 1));
      }
    }
    if (polled[2].revents != 0) {
      take_late_answers();
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
    if (planes_.size() == kConnectionsMax) {
      add(UdpProxyCounter::connections_refused);
      continue;
    }
    if (setsockopt(connection.get(), SOL_SOCKET, SO_SNDBUFFORCE, &kSendBufferSize,
                   sizeof kSendBufferSize) != 0) {
      setsockopt(connection.get(), SOL_SOCKET, SO_SNDBUF, &kSendBufferSize, sizeof kSendBufferSize);
    }
    add(UdpProxyCounter::connections);
    planes_.push_back({std::move(connection), ++plane_count_});
  }
}

// False when the data plane is gone.
bool UdpProxyServer::Loop::serve(const DataPlane& plane) {
  std::array<uint8_t, kMessageSizeMax> room;
  for (size_t i = 0; i < kTurnMax; ++i) {
    const ssize_t n = recv(plane.fd.get(), room.data(), room.size(), MSG_DONTWAIT | MSG_TRUNC);
    if (n < 0) {
      return errno == EAGAIN || errno == EINTR;
    }
    if (n == 0) {
      return false;
    }
    const size_t size = static_cast<size_t>(n);
    answer(plane, size > room.size() ? Bytes{} : Bytes(room).first(size));
  }
  return true;
}

void UdpProxyServer::Loop::take_late_answers() {
  for (const Late& late : inbox_->take()) {
    const auto plane = std::ranges::find(planes_, late.plane, &DataPlane::number);
    if (plane == planes_.end()) {
      add(UdpProxyCounter::too_late);
      continue;
    }
    proxy::Header header;
    Bytes message;
    proxy::parse(late.datagram, header, message);
    send_to(*plane, late.datagram, late.datagram.size() - message.size());
  }
}

void UdpProxyServer::Loop::send_to(const DataPlane& plane, Bytes datagram, size_t header_size) {
  if (send(plane.fd.get(), datagram.data(), datagram.size(), MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
    add(UdpProxyCounter::send_failed);
  } else {
    add(datagram.size() == header_size ? UdpProxyCounter::silent : UdpProxyCounter::answers);
  }
}

void UdpProxyServer::Loop::answer(const DataPlane& plane, Bytes datagram) {
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
  const auto size = answer_message({.plane = plane.number,
                                    .header = Bytes(room).first(header_size),
                                    .source = header.source,
                                    .source_port = header.source_port,
                                    .message = message},
                                   MutableBytes(room).subspan(header_size));
  if (size) {
    send_to(plane, Bytes(room).first(header_size + *size), header_size);
  }
}

std::optional<size_t> UdpProxyServer::Loop::answer_message(const Asked& asked, MutableBytes out) {
  const Bytes message = asked.message;
  snapshots_.refresh();  // after the receive: who asks after a publication sees it
  const SnapshotPointer& snapshot = snapshots_.snapshot();
  if (snapshot == nullptr) {
    add(UdpProxyCounter::no_snapshot);
    const bool is_query = (load_be16(message.data() + 2) & wire::flag::qr) == 0;
    return is_query ? write_bare_reply(message, wire::rcode::servfail, out) : 0;
  }
  const snapshot::Subject* subject = find_subject(*snapshot, asked.source);
  answer::Reply reply = answer::answer(*snapshot, message, subject, limits_, query_, assembly_);
  check_cookie(options_.cookie_secrets, asked.source, cookie_, query_);
  // Services are for whom the access entry lets pass; others get the outcome's own rcode.
  if (answer::is_for_slow_path(reply.outcome) && subject != nullptr &&
      subject->verb == snapshot::Verb::pass) {
    return answer_by_service(asked, reply, *subject, out);
  }
  std::ranges::copy(message, out.begin());
  return answer::compose(query_, reply, limits_, out, message.size());
}

std::optional<size_t> UdpProxyServer::Loop::answer_by_service(const Asked& asked,
                                                              answer::Reply& reply,
                                                              const snapshot::Subject& subject,
                                                              MutableBytes out) {
  const Request request{.snapshot = snapshots_.snapshot(),
                        .message = asked.message,
                        .parsed = query_,
                        .subject = subject,
                        .limits = limits_,
                        .client = {.source = asked.source, .source_port = asked.source_port}};
  const Services& services = options_.services;
  if (reply.outcome != answer::Outcome::forwarded) {
    add(UdpProxyCounter::special);
    auto response = services.special != nullptr ? services.special->answer(request) : std::nullopt;
    if (!response || response->stream != nullptr) {
      return answer_special({.snapshot = *snapshots_.snapshot(),
                             .message = asked.message,
                             .parsed = query_,
                             .subject = &subject,
                             .limits = limits_},
                            out)
          .size;
    }
    if (response->outcome != answer::Outcome::forwarded || !response->message.empty()) {
      cut_to(room(), response->message);
      std::ranges::copy(response->message, out.begin());
      return response->message.size();
    }
  }
  if (services.forwarder == nullptr) {
    reply = answer::reply_without_lookup(answer::Outcome::forwarded);  // SERVFAIL
    std::ranges::copy(asked.message, out.begin());
    return answer::compose(query_, reply, limits_, out, asked.message.size());
  }
  forward(asked, request);
  return std::nullopt;
}

Room UdpProxyServer::Loop::room() const {
  const size_t wanted = query_.has_edns ? size_t{query_.edns_payload_size} : 0;
  const size_t most =
      std::clamp<size_t>(limits_.udp_size_max, wire::kUdpSizeWithoutEdns, kMessageSizeMax);
  return {.size_max = std::clamp<size_t>(wanted, wire::kUdpSizeWithoutEdns, most),
          .udp_size_max = limits_.udp_size_max,
          .has_edns = query_.has_edns,
          .dnssec_ok = query_.dnssec_ok};
}

void UdpProxyServer::Loop::forward(const Asked& asked, const Request& request) {
  add(UdpProxyCounter::forwarded);
  options_.services.forwarder->forward(
      request, [inbox = inbox_, plane = asked.plane, room = room(),
                datagram = std::vector<uint8_t>(asked.header.begin(), asked.header.end())](
                   std::vector<uint8_t> message) {
        cut_to(room, message);
        Late late{plane, datagram};
        late.datagram.insert(late.datagram.end(), message.begin(), message.end());
        inbox->put(std::move(late));
      });
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
