// SPDX-License-Identifier: Apache-2.0
// merlon-tcp-load: asks one question over and over on a few TCP connections and says how fast
// whole, right answers come. It works against any DNS server, so that servers are compared by one
// client.
//
// A closed loop: each connection keeps `pipeline` queries under way. Every reply's id (order),
// rcode and answer count are checked, and that all replies have one length. With --read copy the
// client takes the bytes as a resolver does; with --read discard it takes prefix and header and
// lets the kernel drop the rest (MSG_TRUNC), so that the client's own copying hides less of the
// server. With --read compare every byte of every reply but its id is compared with the first's.
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "bench/tcp_common.h"
#include "controlplane/dns/socket.h"
#include "zones/wire/wire.h"

namespace merlon::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kPrefixAndHeader = 2 + wire::kHeaderSize;
constexpr size_t kReceiveSize = 1 << 20;

struct Options {
  std::string server = "127.0.0.1:5300";
  std::string name = "basic.merlon.internal";
  std::string type = "A";
  std::string read = "copy";
  unsigned connections = 4;
  unsigned pipeline = 8;
  double seconds = 5;
  int expect_answers = -1;
  bool edns = false;
  bool json = false;
};

struct Totals {
  uint64_t answers = 0;
  uint64_t bytes = 0;
  uint64_t wrong = 0;
  uint64_t errors = 0;  // connections lost
  size_t reply_size = 0;
  std::vector<uint8_t> first_reply;  // behind its id
  std::string first_wrong;
  Histogram latency;
};

class LoadConnection {
 public:
  LoadConnection(const Options& options, Bytes query, Totals& totals)
      : options_(options), query_(query.begin(), query.end()), totals_(totals) {
    sent_at_.resize(options.pipeline);
  }

  Status open(const dns::Endpoint& server);
  int fd() const { return fd_.get(); }
  // Keeps the pipeline full. False when the connection is lost.
  bool send_queries();
  // Takes what has come. False when the connection is lost.
  bool receive(std::vector<uint8_t>& buffer);

 private:
  bool take_copied(Bytes bytes);
  bool receive_discarding(std::vector<uint8_t>& buffer);
  void compare(Bytes body);
  void check_header(const uint8_t* prefix);
  void finish_answer();
  void note_wrong(std::string what);

  const Options& options_;
  std::vector<uint8_t> query_;  // with its length
  Totals& totals_;
  dns::Fd fd_;
  std::vector<Clock::time_point> sent_at_;  // by id modulo pipeline
  std::vector<uint8_t> unsent_;
  uint16_t next_id_ = 0;
  uint16_t expected_id_ = 0;
  unsigned under_way_ = 0;
  std::array<uint8_t, kPrefixAndHeader> header_{};
  size_t header_filled_ = 0;
  size_t body_left_ = 0;
  inline static const LoadConnection* reference_ = nullptr;  // whose reply came first
};

Status LoadConnection::open(const dns::Endpoint& server) {
  const bool v4 = server.address.family == address::Family::v4;
  fd_ = dns::Fd(socket(v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in to4{};
  sockaddr_in6 to6{};
  to4.sin_family = AF_INET;
  to4.sin_port = htons(server.port);
  to4.sin_addr.s_addr = htonl(static_cast<uint32_t>(server.address.bits));
  to6.sin6_family = AF_INET6;
  to6.sin6_port = htons(server.port);
  address::store_network(server.address.bits, to6.sin6_addr.s6_addr);
  const auto* to =
      v4 ? reinterpret_cast<const sockaddr*>(&to4) : reinterpret_cast<const sockaddr*>(&to6);
  const int one = 1;
  if (!fd_.valid() || connect(fd_.get(), to, v4 ? sizeof to4 : sizeof to6) != 0 ||
      setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0) {
    return fail_errno(fmt::format("connect to {}", dns::to_text(server)), errno);
  }
  return {};
}

bool LoadConnection::send_queries() {
  const auto now = Clock::now();
  while (under_way_ < options_.pipeline) {
    store_be16(query_.data() + 2, next_id_);
    unsent_.insert(unsent_.end(), query_.begin(), query_.end());
    sent_at_[next_id_ % options_.pipeline] = now;
    ++next_id_;
    ++under_way_;
  }
  if (unsent_.empty()) {
    return true;
  }
  const ssize_t n = send(fd_.get(), unsent_.data(), unsent_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (n < 0) {
    return errno == EAGAIN;
  }
  unsent_.erase(unsent_.begin(), unsent_.begin() + n);
  return true;
}

void LoadConnection::note_wrong(std::string what) {
  ++totals_.wrong;
  if (totals_.first_wrong.empty()) {
    totals_.first_wrong = std::move(what);
  }
}

void LoadConnection::check_header(const uint8_t* prefix) {
  const size_t size = load_be16(prefix);
  const uint16_t id = load_be16(prefix + 2);
  const unsigned rcode = load_be16(prefix + 4) & wire::flag::rcode_mask;
  const int answers = load_be16(prefix + 8);
  totals_.reply_size = totals_.reply_size == 0 ? size : totals_.reply_size;
  if (id != expected_id_) {
    note_wrong(fmt::format("id {} where {} was next", id, expected_id_));
  } else if (rcode != wire::rcode::noerror) {
    note_wrong(fmt::format("rcode {}", rcode));
  } else if (options_.expect_answers >= 0 && answers != options_.expect_answers) {
    note_wrong(fmt::format("{} answers", answers));
  } else if (size != totals_.reply_size) {
    note_wrong(fmt::format("{} bytes where others have {}", size, totals_.reply_size));
  }
}

void LoadConnection::finish_answer() {
  const auto took = Clock::now() - sent_at_[expected_id_ % options_.pipeline];
  totals_.latency.add(
      static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(took).count()));
  ++totals_.answers;
  ++expected_id_;
  --under_way_;
  header_filled_ = 0;
}

// Walks over received bytes: headers are looked at, the rest is passed over.
bool LoadConnection::take_copied(Bytes bytes) {
  while (!bytes.empty()) {
    if (header_filled_ < kPrefixAndHeader) {
      const size_t n = std::min(bytes.size(), kPrefixAndHeader - header_filled_);
      std::memcpy(header_.data() + header_filled_, bytes.data(), n);
      header_filled_ += n;
      bytes = bytes.subspan(n);
      if (header_filled_ < kPrefixAndHeader) {
        return true;
      }
      const size_t size = load_be16(header_.data());
      if (size < wire::kHeaderSize || under_way_ == 0) {
        return false;  // nothing behind this can be told apart
      }
      check_header(header_.data());
      body_left_ = size - wire::kHeaderSize;
    }
    const size_t n = std::min(bytes.size(), body_left_);
    if (options_.read == "compare") {
      compare(bytes.first(n));
    }
    body_left_ -= n;
    bytes = bytes.subspan(n);
    if (body_left_ == 0) {
      finish_answer();
    }
  }
  return true;
}

// The first reply is what the others are compared with.
void LoadConnection::compare(Bytes body) {
  const size_t at = totals_.reply_size - wire::kHeaderSize - body_left_;
  std::vector<uint8_t>& first = totals_.first_reply;
  if (at == first.size() && (reference_ == nullptr || reference_ == this) &&
      first.size() + wire::kHeaderSize < totals_.reply_size) {
    reference_ = this;
    first.insert(first.end(), body.begin(), body.end());
    return;
  }
  const size_t count = std::min(body.size(), first.size() - std::min(at, first.size()));
  if (std::memcmp(body.data(), first.data() + at, count) != 0) {
    note_wrong(fmt::format("a reply differs from the first behind byte {}", at));
  }
}

bool LoadConnection::receive(std::vector<uint8_t>& buffer) {
  if (options_.read == "discard") {
    return receive_discarding(buffer);
  }
  const ssize_t n = recv(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (n <= 0) {
    return n < 0 && errno == EAGAIN;
  }
  totals_.bytes += static_cast<uint64_t>(n);
  return take_copied(Bytes(buffer).first(static_cast<size_t>(n)));
}

bool LoadConnection::receive_discarding(std::vector<uint8_t>& buffer) {
  // As many steps as one buffer's worth of answers takes.
  for (int step = 0; step < 32; ++step) {
    const bool in_body = header_filled_ == kPrefixAndHeader;
    const size_t wanted = in_body ? body_left_ : kPrefixAndHeader - header_filled_;
    const ssize_t n =
        recv(fd_.get(), buffer.data(), wanted, MSG_DONTWAIT | (in_body ? MSG_TRUNC : 0));
    if (n <= 0) {
      return n < 0 && errno == EAGAIN;
    }
    totals_.bytes += static_cast<uint64_t>(n);
    if (!take_copied(Bytes(buffer).first(static_cast<size_t>(n)))) {
      return false;
    }
  }
  return true;
}

struct Usage {
  double seconds = 0;
  double cpu_seconds = 0;
};

double cpu_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto of = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return of(used.ru_utime) + of(used.ru_stime);
}

// Errors: io.
Result<Usage> run_load(const Options& options, const dns::Endpoint& server, Bytes query,
                       Totals& totals) {
  const dns::Fd epoll(epoll_create1(EPOLL_CLOEXEC));
  std::vector<std::unique_ptr<LoadConnection>> connections;
  for (unsigned i = 0; i < options.connections; ++i) {
    connections.push_back(std::make_unique<LoadConnection>(options, query, totals));
    if (auto opened = connections.back()->open(server); !opened) {
      return std::unexpected(opened.error());
    }
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u32 = i;
    if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, connections.back()->fd(), &event) != 0) {
      return fail_errno("watch a connection", errno);
    }
  }
  std::vector<uint8_t> buffer(kReceiveSize);
  std::array<epoll_event, 256> events;
  const auto start = Clock::now();
  const double cpu_start = cpu_seconds();
  const auto end = start + std::chrono::duration_cast<Clock::duration>(
                               std::chrono::duration<double>(options.seconds));
  for (const auto& connection : connections) {
    connection->send_queries();
  }
  size_t alive = connections.size();
  while (Clock::now() < end && alive != 0) {
    const int count = epoll_wait(epoll.get(), events.data(), static_cast<int>(events.size()), 100);
    for (int i = 0; i < count; ++i) {
      LoadConnection& connection = *connections[events[static_cast<size_t>(i)].data.u32];
      if (!connection.receive(buffer) || !connection.send_queries()) {
        ++totals.errors;
        --alive;
        epoll_ctl(epoll.get(), EPOLL_CTL_DEL, connection.fd(), nullptr);
      }
    }
  }
  return Usage{std::chrono::duration<double>(Clock::now() - start).count(),
               cpu_seconds() - cpu_start};
}

void print(const Options& options, const Totals& totals, const Usage& usage) {
  const double answers_per_s = static_cast<double>(totals.answers) / usage.seconds;
  const double megabytes_per_s = static_cast<double>(totals.bytes) / usage.seconds / 1e6;
  if (options.json) {
    const nlohmann::json json = {{"schema_version", 1},
                                 {"server", options.server},
                                 {"name", options.name},
                                 {"type", options.type},
                                 {"read", options.read},
                                 {"connections", options.connections},
                                 {"pipeline", options.pipeline},
                                 {"seconds", usage.seconds},
                                 {"client_cpu_seconds", usage.cpu_seconds},
                                 {"answers", totals.answers},
                                 {"answers_per_s", answers_per_s},
                                 {"megabytes_per_s", megabytes_per_s},
                                 {"reply_bytes", totals.reply_size},
                                 {"wrong", totals.wrong},
                                 {"errors", totals.errors},
                                 {"first_wrong", totals.first_wrong},
                                 {"latency_us_p50", totals.latency.quantile(0.5)},
                                 {"latency_us_p99", totals.latency.quantile(0.99)},
                                 {"latency_us_p999", totals.latency.quantile(0.999)}};
    fmt::print("{}\n", json.dump());
    return;
  }
  fmt::print("{:.0f} answers/s of {} bytes, {:.0f} MB/s, {} wrong, {} errors\n", answers_per_s,
             totals.reply_size, megabytes_per_s, totals.wrong, totals.errors);
  fmt::print("latency p50 {} us, p99 {} us, p99.9 {} us; client used {:.0f} % of a core\n",
             totals.latency.quantile(0.5), totals.latency.quantile(0.99),
             totals.latency.quantile(0.999), 100 * usage.cpu_seconds / usage.seconds);
  if (!totals.first_wrong.empty()) {
    fmt::print("first wrong reply: {}\n", totals.first_wrong);
  }
}

int report(const Error& error) {
  fmt::print(stderr, "merlon-tcp-load: {}\n", error.message);
  return 1;
}

int run(const Options& options) {
  const auto server = dns::parse_endpoint(options.server);
  if (!server) {
    return report(server.error());
  }
  const auto query =
      make_framed_query({.name = options.name, .type = options.type, .edns = options.edns});
  if (!query) {
    return report(query.error());
  }
  const auto totals = std::make_unique<Totals>();
  const auto usage = run_load(options, *server, *query, *totals);
  if (!usage) {
    return report(usage.error());
  }
  print(options, *totals, *usage);
  return totals->answers != 0 && totals->wrong == 0 && totals->errors == 0 ? 0 : 1;
}

}  // namespace
}  // namespace merlon::bench

int main(int argc, char** argv) {
  merlon::bench::Options options;
  CLI::App app{"Load for DNS over TCP; exit status 0 when every reply was right",
               "merlon-tcp-load"};
  app.add_option("--server", options.server, "address:port")->capture_default_str();
  app.add_option("--name", options.name, "the name to ask for")->capture_default_str();
  app.add_option("--type", options.type, "A, AAAA, TXT, ... or TYPE65280")->capture_default_str();
  app.add_option("--connections", options.connections, "TCP connections")
      ->check(CLI::Range(1, 50'000))
      ->capture_default_str();
  app.add_option("--pipeline", options.pipeline, "queries under way on each")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  app.add_option("--seconds", options.seconds, "how long")->capture_default_str();
  app.add_option("--expect-answers", options.expect_answers, "answer records of a right reply");
  app.add_option("--read", options.read,
                 "copy the replies, compare all their bytes, or look at headers and discard")
      ->check(CLI::IsMember({"copy", "compare", "discard"}))
      ->capture_default_str();
  app.add_flag("--edns", options.edns, "send an OPT record");
  app.add_flag("--json", options.json, "print one JSON object");
  CLI11_PARSE(app, argc, argv);
  return merlon::bench::run(options);
}
