// SPDX-License-Identifier: Apache-2.0
#include "dataplane/slowpath/slow_path.h"

#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "dataplane/slowpath/table.h"
#include "zones/proxy/proxy.h"
#include "zones/wire/wire.h"

namespace merlon::slowpath {
namespace {

using stats::IoCounter;
using Clock = std::chrono::steady_clock;

constexpr size_t kReplySizeMax = 4096;
constexpr int kSocketBufferSize = 4 << 20;
constexpr size_t kTurnMax = 256;   // messages taken from one place before the others get a look
constexpr uint64_t kSweepMs = 50;  // how exactly patience is kept
constexpr uint64_t kIdleMs = 1000;

uint64_t now_ms() {
  const auto time = Clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(time).count());
}

uint64_t ms(Options::Milliseconds time) {
  return static_cast<uint64_t>(time.count());
}

// The offset behind the one question of a message, 0 when there is none that is whole.
size_t end_of_question(Bytes message) {
  if (load_be16(message.data() + 4) != 1) {
    return 0;
  }
  wire::Reader reader(message);
  reader.skip(wire::kHeaderSize);
  const name::Name name = reader.name();
  reader.skip(4);
  const size_t end = wire::kHeaderSize + name.size() + 4;
  return reader.ok() && reader.offset() == end ? end : 0;  // equal: the name was uncompressed
}

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return fail(ErrorCode::invalid_argument,
                "slow_path_socket \"{}\": a Unix socket path has 1 to {} bytes; choose a shorter "
                "one",
                path, sizeof address.sun_path - 1);
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

// Above net.core.[rw]mem_max only privileged processes; less is no error.
void make_room(int socket) {
  const int size = kSocketBufferSize;
  if (::setsockopt(socket, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) != 0) {
    ::setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  }
}

uint64_t random_secret() {
  uint64_t secret = 0;
  if (::getrandom(&secret, sizeof secret, 0) != sizeof secret) {
    secret = static_cast<uint64_t>(Clock::now().time_since_epoch().count());
  }
  return secret;
}

}  // namespace

uint16_t make_servfail(Bytes query, std::span<uint8_t, Entry::kHeadSizeMax> out) {
  const size_t question_end = end_of_question(query);
  const size_t size = question_end == 0 ? wire::kHeaderSize : question_end;
  std::memcpy(out.data(), query.data(), size);
  const unsigned kept =
      load_be16(query.data() + 2) & (wire::flag::opcode_mask | wire::flag::rd | wire::flag::cd);
  store_be16(out.data() + 2, static_cast<uint16_t>(wire::flag::qr | kept | wire::rcode::servfail));
  store_be16(out.data() + 4, question_end == 0 ? 0 : 1);
  std::memset(out.data() + 6, 0, 6);
  return static_cast<uint16_t>(size);
}

// What the thread works with.
class SlowPath::Relay {
 public:
  Relay(const Options& the_options, const sockaddr_un& address,
        std::span<stats::WorkerCounters> workers)
      : options_(the_options),
        address_(address),
        admission_(options_.outstanding_max, options_.outstanding_per_source_max, random_secret()),
        table_(options_.outstanding_max),
        engines_(workers.size()) {
    for (stats::WorkerCounters& counters : workers) {
      outlets_.emplace_back(admission_, wake_, counters);
    }
  }
  ~Relay() {
    if (thread_.joinable()) {
      stop_.store(true);
      wake_.notify();
      thread_.join();
    }
    close_socket();
  }

  Status start() {
    if (!wake_.valid()) {
      return fail_errno("slow path: eventfd", errno);
    }
    connect(now_ms());
    thread_ = std::thread([this] { run(); });
    return {};
  }
  Outlet& outlet(size_t worker) { return outlets_[worker]; }
  void set_engine(size_t worker, io::LateReplies* engine) {
    const std::lock_guard lock(engines_mutex_);
    engines_[worker] = engine;
  }
  uint32_t outstanding() const { return admission_.total(); }

 private:
  void run();
  void sleep(uint64_t now);
  bool has_work() const;
  void connect(uint64_t now);
  void close_socket();
  void go_down(uint64_t now);
  bool take_offers(uint64_t now);
  void relay(uint32_t worker, const Relayed& relayed, uint64_t now);
  bool send(Bytes header, Bytes message);
  bool take_replies(uint64_t now);
  void take_reply(Bytes datagram);
  void expire(uint64_t now);
  void give_up(uint16_t place, IoCounter why);
  void answer(Entry& entry, Bytes reply, IoCounter counter);
  void finish(uint16_t place);

  const Options options_;
  const sockaddr_un address_;
  Admission admission_;
  Wake wake_;
  std::deque<Outlet> outlets_;
  Table table_;
  int socket_ = -1;
  uint64_t pause_ms_ = 0;  // before the next attempt to connect
  uint64_t next_attempt_ms_ = 0;
  uint64_t next_sweep_ms_ = 0;
  uint64_t last_reply_ms_ = 0;
  std::mutex engines_mutex_;  // between this thread and workers that start or end
  std::vector<io::LateReplies*> engines_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

void SlowPath::Relay::run() {
  while (!stop_.load()) {
    const uint64_t now = now_ms();
    if (socket_ < 0 && now >= next_attempt_ms_) {
      connect(now);
    }
    const bool offered = take_offers(now);
    const bool replied = take_replies(now);
    if (now >= next_sweep_ms_) {
      expire(now);
      next_sweep_ms_ = now + kSweepMs;
    }
    if (!offered && !replied) {
      sleep(now);
    }
  }
}

bool SlowPath::Relay::has_work() const {
  return stop_.load() || std::ranges::any_of(outlets_, [](const Outlet& outlet) {
           return outlet.front() != nullptr;
         });
}

void SlowPath::Relay::sleep(uint64_t now) {
  uint64_t wait = table_.used() != 0 ? kSweepMs : kIdleMs;
  if (socket_ < 0) {
    wait = std::min(wait, next_attempt_ms_ > now ? next_attempt_ms_ - now : 0);
  }
  wake_.prepare();
  if (!has_work()) {
    pollfd polled[] = {{wake_.fd(), POLLIN, 0}, {socket_, POLLIN, 0}};  // -1 is passed over
    ::poll(polled, 2, static_cast<int>(wait));
  }
  wake_.finish();
}

void SlowPath::Relay::connect(uint64_t now) {
  socket_ = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (socket_ >= 0 &&
      ::connect(socket_, reinterpret_cast<const sockaddr*>(&address_), sizeof address_) == 0) {
    make_room(socket_);
    last_reply_ms_ = now;
    admission_.open();
    return;
  }
  close_socket();
  pause_ms_ = std::clamp(pause_ms_ * 2, ms(options_.pause_min), ms(options_.pause_max));
  next_attempt_ms_ = now + pause_ms_;
}

void SlowPath::Relay::close_socket() {
  admission_.close();
  if (socket_ >= 0) {
    ::close(socket_);
    socket_ = -1;
  }
}

// The control plane is away or stuck: nobody waits for it any longer.
void SlowPath::Relay::go_down(uint64_t now) {
  close_socket();
  for (size_t place = 0; place < table_.size(); ++place) {
    if (table_.at(place).number != 0) {
      give_up(static_cast<uint16_t>(place), IoCounter::slow_path_lost);
    }
  }
  pause_ms_ = std::clamp(pause_ms_ * 2, ms(options_.pause_min), ms(options_.pause_max));
  next_attempt_ms_ = now + pause_ms_;
}

bool SlowPath::Relay::take_offers(uint64_t now) {
  bool any = false;
  for (size_t worker = 0; worker < outlets_.size(); ++worker) {
    Outlet& outlet = outlets_[worker];
    for (size_t i = 0; i < kTurnMax; ++i) {
      const Relayed* relayed = outlet.front();
      if (relayed == nullptr) {
        break;
      }
      relay(static_cast<uint32_t>(worker), *relayed, now);
      outlet.pop();
      any = true;
    }
  }
  return any;
}

void SlowPath::Relay::relay(uint32_t worker, const Relayed& relayed, uint64_t now) {
  // The admission admits no more than the table holds.
  const uint16_t place = table_.take();
  Entry& entry = table_.at(place);
  entry.since_ms = now;
  entry.worker = worker;
  entry.share = relayed.share;
  entry.path = relayed.path;
  entry.head_size = make_servfail(relayed.bytes(), entry.head);
  const Token token(place, entry.number);
  std::array<uint8_t, proxy::kHeaderSizeMax> room;
  const size_t header_size = proxy::write({.source = entry.path.source,
                                           .destination = entry.path.destination,
                                           .source_port = entry.path.source_port,
                                           .destination_port = entry.path.destination_port,
                                           .unique_id = token.bytes()},
                                          room);
  if (!send(Bytes(room).first(header_size), relayed.bytes())) {
    give_up(place, IoCounter::slow_path_lost);
  }
}

bool SlowPath::Relay::send(Bytes header, Bytes message) {
  iovec pieces[] = {{const_cast<uint8_t*>(header.data()), header.size()},
                    {const_cast<uint8_t*>(message.data()), message.size()}};
  msghdr datagram{};
  datagram.msg_iov = pieces;
  datagram.msg_iovlen = 2;
  // An error that ends the connection is seen by take_replies(), too.
  return socket_ >= 0 && ::sendmsg(socket_, &datagram, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

bool SlowPath::Relay::take_replies(uint64_t now) {
  std::array<uint8_t, proxy::kHeaderSizeMax + kReplySizeMax> room;
  for (size_t i = 0; i < kTurnMax; ++i) {
    if (socket_ < 0) {
      return false;
    }
    const ssize_t n = ::recv(socket_, room.data(), room.size(), MSG_DONTWAIT | MSG_TRUNC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
      return i != 0;
    }
    if (n <= 0) {  // 0: closed at the other end
      go_down(now);
      return false;
    }
    last_reply_ms_ = now;
    pause_ms_ = 0;
    const size_t size = static_cast<size_t>(n);
    take_reply(size > room.size() ? Bytes{} : Bytes(room).first(size));
  }
  return true;
}

void SlowPath::Relay::take_reply(Bytes datagram) {
  proxy::Header header;
  Bytes reply;
  Entry* entry = nullptr;
  if (proxy::parse(datagram, header, reply) == proxy::Fault::none) {
    entry = table_.find(header.unique_id);
  }
  if (entry == nullptr) {
    outlets_.front().counters().add(IoCounter::slow_path_unmatched);
    return;
  }
  const uint16_t place = Token::place_of(header.unique_id);
  if (reply.empty()) {  // the control plane's word for: nothing is to be sent
    finish(place);
    return;
  }
  if (reply.size() < wire::kHeaderSize || std::memcmp(reply.data(), entry->head.data(), 2) != 0 ||
      (load_be16(reply.data() + 2) & wire::flag::qr) == 0) {
    outlets_.front().counters().add(IoCounter::slow_path_unmatched);
    return;  // it waits on, in vain, and gets its SERVFAIL
  }
  answer(*entry, reply, IoCounter::slow_path_replies);
  finish(place);
}

void SlowPath::Relay::expire(uint64_t now) {
  if (table_.used() == 0) {
    return;
  }
  bool stuck = false;
  for (size_t place = 0; place < table_.size(); ++place) {
    const Entry& entry = table_.at(place);
    if (entry.number != 0 && now - entry.since_ms >= ms(options_.patience)) {
      // Nothing at all came since this one was sent.
      stuck = stuck || last_reply_ms_ <= entry.since_ms;
      give_up(static_cast<uint16_t>(place), IoCounter::slow_path_expired);
    }
  }
  if (stuck) {
    go_down(now);
  }
}

void SlowPath::Relay::give_up(uint16_t place, IoCounter why) {
  Entry& entry = table_.at(place);
  answer(entry, Bytes(entry.head).first(entry.head_size), why);
  finish(place);
}

void SlowPath::Relay::answer(Entry& entry, Bytes reply, IoCounter counter) {
  stats::WorkerCounters& counters = outlets_[entry.worker].counters();
  counters.add(counter);
  const std::lock_guard lock(engines_mutex_);
  io::LateReplies* engine = engines_[entry.worker];
  if (engine == nullptr || !engine->send_late(entry.path, reply)) {
    counters.add(IoCounter::drop_slow_path_send);
  }
}

void SlowPath::Relay::finish(uint16_t place) {
  admission_.release(table_.at(place).share);
  table_.give_back(place);
}

SlowPath::SlowPath(std::unique_ptr<Relay> relay) : relay_(std::move(relay)) {}
SlowPath::~SlowPath() = default;

Result<std::unique_ptr<SlowPath>> SlowPath::start(const Options& options,
                                                  std::span<stats::WorkerCounters> workers) {
  const auto address = address_of(options.socket);
  if (!address) {
    return std::unexpected(address.error());
  }
  if (workers.empty() || options.outstanding_max == 0 || options.outstanding_max > 65536) {
    return fail(ErrorCode::invalid_argument, "slow path: {} workers, {} open queries at most",
                workers.size(), options.outstanding_max);
  }
  std::unique_ptr<SlowPath> path(new SlowPath(std::make_unique<Relay>(options, *address, workers)));
  if (auto started = path->relay_->start(); !started) {
    return std::unexpected(started.error());
  }
  return path;
}

Outlet& SlowPath::outlet(size_t worker) {
  return relay_->outlet(worker);
}
void SlowPath::attach(size_t worker, io::LateReplies& engine) {
  relay_->set_engine(worker, &engine);
}
void SlowPath::detach(size_t worker) {
  relay_->set_engine(worker, nullptr);
}
uint32_t SlowPath::outstanding() const {
  return relay_->outstanding();
}

}  // namespace merlon::slowpath
