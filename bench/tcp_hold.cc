// SPDX-License-Identifier: Apache-2.0
// merlon-tcp-hold: keeps thousands of connections to a DNS server open, idle ones and slow readers,
// and measures beside them how long a new client waits: connect, query, whole answer.
//
// One thread holds, another is the new client, over and over. An idle connection asks a small
// question every --refresh seconds, so that the server keeps it; a slow reader has asked for a
// large answer, takes --slow-rate bytes a second of it, and asks again when it is whole. The
// connections come from --sources addresses, the first of which is --source. It prints "held" when
// all of them are open, and one JSON object at its end.
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "bench/tcp_common.h"
#include "controlplane/dns/socket.h"
#include "zones/wire/wire.h"

namespace merlon::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr unsigned kTicksPerSecond = 50;
constexpr unsigned kTurns = 10;  // a slow reader takes something every tenth tick
constexpr int kSmallBuffer = 8 * 1024;
constexpr size_t kOpeningMax = 500;
constexpr uint16_t kPipeline = 2;  // large answers under way for a slow reader

struct Options {
  std::string server = "127.0.0.1:5300";
  std::string source;
  unsigned sources = 1;
  std::string small = "n1.merlon.internal";
  std::string large = "list.merlon.internal";
  std::string probe = "list.merlon.internal";
  int expect_answers = 4000;
  unsigned idle = 10'000;
  unsigned slow = 1'000;
  unsigned slow_rate = 10'000;
  double refresh = 4;
  double seconds = 5;
  double pause_ms = 5;
};

struct Held {
  dns::Fd fd;
  bool is_slow = false;
  bool is_open = false;
  std::vector<uint8_t> head{};  // of the message that is coming: length
  size_t left = 0;              // of its body
};

struct Counts {
  std::atomic<uint64_t> opened{0}, lost{0}, refused{0}, refreshed{0}, slow_bytes{0};
};

struct Probes {
  std::vector<uint64_t> us{};
  uint64_t failed = 0;
  std::string first_failure{};
};

class SocketAddress {
 public:
  explicit SocketAddress(const dns::Endpoint& endpoint)
      : v4_(endpoint.address.family == address::Family::v4) {
    four_.sin_family = AF_INET;
    four_.sin_port = htons(endpoint.port);
    four_.sin_addr.s_addr = htonl(static_cast<uint32_t>(endpoint.address.bits));
    six_.sin6_family = AF_INET6;
    six_.sin6_port = htons(endpoint.port);
    address::store_network(endpoint.address.bits, six_.sin6_addr.s6_addr);
  }
  const sockaddr* get() const {
    return v4_ ? reinterpret_cast<const sockaddr*>(&four_)
               : reinterpret_cast<const sockaddr*>(&six_);
  }
  socklen_t size() const { return v4_ ? sizeof four_ : sizeof six_; }
  int family() const { return v4_ ? AF_INET : AF_INET6; }

 private:
  bool v4_;
  sockaddr_in four_{};
  sockaddr_in6 six_{};
};

class Sources {
 public:
  explicit Sources(const Options& options) : count_(options.sources) {
    if (const auto first = address::parse_address(options.source); first) {
      first_ = *first;
      given_ = true;
    }
  }
  bool bind(int fd, uint64_t number) const {
    if (!given_) {
      return true;
    }
    dns::Endpoint from{first_, 0};
    from.address.bits += number % count_;
    const SocketAddress to(from);
    const int one = 1;  // many connections of one address: ports are chosen when connecting
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    return ::bind(fd, to.get(), to.size()) == 0;
  }

 private:
  address::Address first_{};
  bool given_ = false;
  unsigned count_;
};

class Holder {
 public:
  Holder(const Options& options, const SocketAddress& server, std::vector<uint8_t> small,
         std::vector<uint8_t> large)
      : options_(options),
        server_(server),
        sources_(options),
        small_(std::move(small)),
        large_(std::move(large)),
        epoll_(epoll_create1(EPOLL_CLOEXEC)),
        held_(options.idle + options.slow) {}

  // Until `stop`; sets counts().opened as it goes.
  void run(const std::atomic<bool>& stop);
  const Counts& counts() const { return counts_; }
  bool is_complete() const { return counts_.opened + counts_.refused >= held_.size(); }

 private:
  void open_next();
  void finish_opening(uint32_t index);
  void drop(Held& held);
  void tick(uint64_t number);
  void read_slowly(Held& held);
  bool take(Held& held, Bytes bytes);
  bool ask(Held& held, const std::vector<uint8_t>& query) {
    return send(held.fd.get(), query.data(), query.size(), MSG_NOSIGNAL | MSG_DONTWAIT) ==
           static_cast<ssize_t>(query.size());
  }

  const Options& options_;
  const SocketAddress& server_;
  Sources sources_;
  std::vector<uint8_t> small_, large_;
  dns::Fd epoll_;
  std::vector<Held> held_;
  size_t next_ = 0;
  size_t opening_ = 0;
  Counts counts_;
  std::vector<uint8_t> buffer_ = std::vector<uint8_t>(1 << 16);
};

void Holder::open_next() {
  const size_t index = next_++;
  Held& held = held_[index];
  // Slow readers are spread among the idle.
  held.is_slow = index * options_.slow / held_.size() != (index + 1) * options_.slow / held_.size();
  held.fd = dns::Fd(socket(server_.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (held.is_slow) {
    setsockopt(held.fd.get(), SOL_SOCKET, SO_RCVBUF, &kSmallBuffer, sizeof kSmallBuffer);
  }
  epoll_event event{};
  event.events = EPOLLOUT;
  event.data.u32 = static_cast<uint32_t>(index);
  if (!held.fd.valid() || !sources_.bind(held.fd.get(), index) ||
      (connect(held.fd.get(), server_.get(), server_.size()) != 0 && errno != EINPROGRESS) ||
      epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, held.fd.get(), &event) != 0) {
    ++counts_.refused;
    held.fd = {};
    return;
  }
  ++opening_;
}

void Holder::finish_opening(uint32_t index) {
  Held& held = held_[index];
  --opening_;
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(held.fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  bool good = error == 0;
  for (uint16_t i = 0; good && held.is_slow && i < kPipeline; ++i) {
    good = ask(held, large_);
  }
  good = good && (held.is_slow || ask(held, small_));
  epoll_event event{};
  event.events = held.is_slow ? 0u : EPOLLIN;
  event.data.u32 = index;
  if (!good || epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, held.fd.get(), &event) != 0) {
    ++counts_.refused;
    held.fd = {};
    return;
  }
  held.is_open = true;
  ++counts_.opened;
}

void Holder::drop(Held& held) {
  ++counts_.lost;
  held.is_open = false;
  held.fd = {};
}

// Walks over messages; asks again for each that is whole.
bool Holder::take(Held& held, Bytes bytes) {
  while (!bytes.empty()) {
    if (held.left == 0) {
      held.head.push_back(bytes[0]);
      bytes = bytes.subspan(1);
      if (held.head.size() < 2) {
        continue;
      }
      held.left = load_be16(held.head.data());
      held.head.clear();
      if (held.left < wire::kHeaderSize) {
        return false;
      }
      continue;
    }
    const size_t n = std::min(held.left, bytes.size());
    held.left -= n;
    bytes = bytes.subspan(n);
    if (held.left == 0 && held.is_slow && !ask(held, large_)) {
      return false;
    }
  }
  return true;
}

void Holder::read_slowly(Held& held) {
  const size_t wanted = std::max<size_t>(1, options_.slow_rate * kTurns / kTicksPerSecond);
  const ssize_t n = recv(held.fd.get(), buffer_.data(), std::min(wanted, buffer_.size()), 0);
  if (n > 0) {
    counts_.slow_bytes += static_cast<uint64_t>(n);
  }
  if (n == 0 || (n < 0 && errno != EAGAIN) ||
      (n > 0 && !take(held, Bytes(buffer_).first(static_cast<size_t>(n))))) {
    drop(held);
  }
}

void Holder::tick(uint64_t number) {
  const auto rounds = static_cast<uint64_t>(options_.refresh * kTicksPerSecond);
  for (size_t i = 0; i < next_; ++i) {
    Held& held = held_[i];
    if (!held.is_open) {
      continue;
    }
    if (held.is_slow) {
      if ((i + number) % kTurns == 0) {
        read_slowly(held);
      }
    } else if ((i + number) % std::max<uint64_t>(1, rounds) == 0) {
      if (ask(held, small_)) {
        ++counts_.refreshed;
      } else {
        drop(held);
      }
    }
  }
}

void Holder::run(const std::atomic<bool>& stop) {
  std::array<epoll_event, 256> events;
  uint64_t ticks = 0;
  auto next_tick = Clock::now();
  while (!stop) {
    while (next_ < held_.size() && opening_ < kOpeningMax) {
      open_next();
    }
    const int count = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 5);
    for (int i = 0; i < count; ++i) {
      const uint32_t index = events[static_cast<size_t>(i)].data.u32;
      Held& held = held_[index];
      if (!held.fd.valid()) {
        continue;
      }
      if (!held.is_open) {
        finish_opening(index);
        continue;
      }
      if (held.is_slow) {
        drop(held);  // nothing but a hang-up is reported for it
        continue;
      }
      const ssize_t n = recv(held.fd.get(), buffer_.data(), buffer_.size(), 0);
      if (n == 0 || (n < 0 && errno != EAGAIN) ||
          (n > 0 && !take(held, Bytes(buffer_).first(static_cast<size_t>(n))))) {
        drop(held);
      }
    }
    if (Clock::now() >= next_tick) {
      next_tick += std::chrono::milliseconds(1000 / kTicksPerSecond);
      tick(++ticks);
    }
  }
}

// One new client from its first packet to the last byte of its answer.
class NewClient {
 public:
  NewClient(const Options& options, const SocketAddress& server, std::vector<uint8_t> query)
      : options_(options), server_(server), sources_(options), query_(std::move(query)) {}

  void run(Probes& probes) {
    const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                        std::chrono::duration<double>(options_.seconds));
    while (Clock::now() < end) {
      const auto start = Clock::now();
      const std::string failure = once();
      if (failure.empty()) {
        probes.us.push_back(static_cast<uint64_t>(
            std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start).count()));
      } else if (++probes.failed == 1) {
        probes.first_failure = failure;
      }
      std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(options_.pause_ms));
    }
  }

 private:
  std::string once() {
    const dns::Fd fd(socket(server_.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval patience{.tv_sec = 5, .tv_usec = 0};
    setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    store_be16(query_.data() + 2, ++id_);
    if (!fd.valid() || !sources_.bind(fd.get(), id_) ||
        connect(fd.get(), server_.get(), server_.size()) != 0) {
      return fmt::format("connect: {}", std::strerror(errno));
    }
    if (send(fd.get(), query_.data(), query_.size(), MSG_NOSIGNAL) < 0) {
      return fmt::format("send: {}", std::strerror(errno));
    }
    size_t filled = 0;
    while (filled < 2 || filled < 2u + load_be16(answer_.data())) {
      const ssize_t n = recv(fd.get(), answer_.data() + filled, answer_.size() - filled, 0);
      if (n <= 0) {
        return n == 0 ? "closed by the server" : fmt::format("recv: {}", std::strerror(errno));
      }
      filled += static_cast<size_t>(n);
    }
    return check(filled - 2);
  }

  // Of the first answer id, rcode and count; of the others every byte behind the id.
  std::string check(size_t size) {
    const Bytes message = Bytes(answer_).subspan(2, size);
    if (size < wire::kHeaderSize || load_be16(message.data()) != id_ ||
        (load_be16(message.data() + 2) & wire::flag::rcode_mask) != wire::rcode::noerror ||
        load_be16(message.data() + 6) != options_.expect_answers) {
      return "a wrong answer";
    }
    if (first_.empty()) {
      first_.assign(message.begin() + 2, message.end());
    }
    return std::ranges::equal(first_, message.subspan(2)) ? "" : "answers differ";
  }

  const Options& options_;
  const SocketAddress& server_;
  Sources sources_;
  std::vector<uint8_t> query_;
  std::vector<uint8_t> answer_ = std::vector<uint8_t>(2 + wire::kMessageSizeMax);
  std::vector<uint8_t> first_;
  uint16_t id_ = 0;
};

int report(const Error& error) {
  fmt::print(stderr, "merlon-tcp-hold: {}\n", error.message);
  return 1;
}

int run(const Options& options) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  const auto server = dns::parse_endpoint(options.server);
  if (!server) {
    return report(server.error());
  }
  const auto small = make_framed_query({.name = options.small});
  const auto large = make_framed_query({.name = options.large});
  const auto probe = make_framed_query({.name = options.probe});
  for (const auto* query : {&small, &large, &probe}) {
    if (!*query) {
      return report(query->error());
    }
  }
  const SocketAddress to(*server);
  Holder holder(options, to, *small, *large);
  std::atomic<bool> stop{false};
  const auto start = Clock::now();
  std::thread thread([&] { holder.run(stop); });
  while (!holder.is_complete() && Clock::now() - start < std::chrono::seconds(60)) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  const std::chrono::duration<double> opening = Clock::now() - start;
  fmt::print("held\n");
  std::fflush(stdout);
  const uint64_t before = holder.counts().slow_bytes;
  Probes probes;
  NewClient(options, to, *probe).run(probes);
  const uint64_t slow_bytes = holder.counts().slow_bytes - before;
  stop = true;
  thread.join();
  const Counts& counts = holder.counts();
  const nlohmann::json json = {
      {"idle", options.idle},
      {"slow", options.slow},
      {"opened", counts.opened.load()},
      {"refused", counts.refused.load()},
      {"lost", counts.lost.load()},
      {"refreshed", counts.refreshed.load()},
      {"opening_s", opening.count()},
      {"slow_bytes_per_s", static_cast<double>(slow_bytes) / options.seconds},
      {"probes", probes.us.size()},
      {"failed", probes.failed},
      {"first_failure", probes.first_failure},
      {"probe_us", probes.us}};
  fmt::print("{}\n", json.dump());
  return counts.lost == 0 && counts.refused == 0 && probes.failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace merlon::bench

int main(int argc, char** argv) {
  merlon::bench::Options options;
  CLI::App app{"Held connections and a new client beside them; exit status 0 when none was lost",
               "merlon-tcp-hold"};
  app.add_option("--server", options.server, "address:port")->capture_default_str();
  app.add_option("--source", options.source, "the first address to come from");
  app.add_option("--sources", options.sources, "how many addresses from there")
      ->check(CLI::Range(1, 65'536))
      ->capture_default_str();
  app.add_option("--small", options.small, "what idle connections ask")->capture_default_str();
  app.add_option("--large", options.large, "what slow readers ask")->capture_default_str();
  app.add_option("--probe", options.probe, "what the new client asks")->capture_default_str();
  app.add_option("--expect-answers", options.expect_answers, "records the new client must get")
      ->capture_default_str();
  app.add_option("--idle", options.idle, "idle connections")->capture_default_str();
  app.add_option("--slow", options.slow, "slow readers")->capture_default_str();
  app.add_option("--slow-rate", options.slow_rate, "bytes a second of each")->capture_default_str();
  app.add_option("--refresh", options.refresh, "seconds between an idle one's questions")
      ->capture_default_str();
  app.add_option("--seconds", options.seconds, "how long the new client asks")
      ->capture_default_str();
  app.add_option("--pause-ms", options.pause_ms, "between its questions")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  return merlon::bench::run(options);
}
